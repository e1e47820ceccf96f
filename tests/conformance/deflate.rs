//! The client's side of permessage-deflate: what it offers, whether the answer keeps to it, and messages in and out. It
//! shares no code with the server's codec, and no byte of a window that is larger than agreed.

use crate::window::longest_distance;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// One offer (RFC 7692 section 7.1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offer {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) server_max_window_bits: Option<u8>,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) client_max_window_bits: bool,
}

/// What was agreed on, and the state of both directions.
pub(crate) struct Deflate {
    deflate: Compress,
    inflate: Decompress,
    server_window_bits: u8,
    client_takes_over: bool,
    server_takes_over: bool,
}

impl Offer {
    /// The header's value.
    pub(crate) fn text(self) -> String {
        let mut text = "permessage-deflate".to_owned();
        for (name, is_there) in [
            ("client_no_context_takeover", self.client_no_context_takeover),
            ("client_max_window_bits", self.client_max_window_bits),
            ("server_no_context_takeover", self.server_no_context_takeover),
        ] {
            if is_there {
                text += &format!("; {name}");
            }
        }
        if let Some(bits) = self.server_max_window_bits {
            text += &format!("; server_max_window_bits={bits}");
        }
        text
    }

    /// Judges an answer to this offer.
    fn accept(self, answer: &str) -> Result<Deflate, String> {
        let mut parts = answer.split("; ");
        if parts.next() != Some("permessage-deflate") {
            return Err(format!("another extension: {answer}"));
        }
        let (mut server_takes_over, mut client_takes_over) = (true, true);
        let (mut server_bits, mut client_bits) = (None, 15);
        for part in parts {
            match part.split_once('=') {
                None if part == "server_no_context_takeover" && server_takes_over => server_takes_over = false,
                None if part == "client_no_context_takeover" && client_takes_over => client_takes_over = false,
                Some(("server_max_window_bits", bits)) if server_bits.is_none() => server_bits = bits.parse().ok(),
                Some(("client_max_window_bits", bits)) if self.client_max_window_bits => {
                    client_bits = bits.parse().map_err(|_| answer.to_owned())?;
                }
                _ => return Err(format!("an answer to something else: {answer}")),
            }
        }
        let keeps = server_bits.unwrap_or(15) <= self.server_max_window_bits.unwrap_or(15)
            && !(self.server_max_window_bits.is_some() && server_bits.is_none())
            && !(self.server_no_context_takeover && server_takes_over)
            && (8..=15).contains(&server_bits.unwrap_or(15))
            && (8..=15).contains(&client_bits);
        if !keeps {
            return Err(format!("{answer} does not keep to {}", self.text()));
        }
        Ok(Deflate {
            deflate: Compress::new_with_window_bits(Compression::new(6), false, client_bits.max(9)),
            inflate: Decompress::new(false),
            server_window_bits: server_bits.unwrap_or(15),
            client_takes_over,
            server_takes_over,
        })
    }
}

impl Deflate {
    /// Judges an answer to these offers: it must be one to any of them.
    pub(crate) fn agreed(offers: &[Offer], answer: &str) -> Result<Self, String> {
        let mut outcomes = offers.iter().map(|offer| offer.accept(answer));
        outcomes.find(Result::is_ok).unwrap_or_else(|| Err(format!("an answer to nothing that was offered: {answer}")))
    }

    /// Whether the server may refer to earlier messages.
    pub(crate) const fn server_takes_over(&self) -> bool {
        self.server_takes_over
    }

    /// A message's compressed payload.
    pub(crate) fn deflate(&mut self, payload: &[u8]) -> Vec<u8> {
        if payload.is_empty() {
            return vec![0];
        }
        if !self.client_takes_over {
            self.deflate.reset();
        }
        deflated(&mut self.deflate, payload)
    }

    /// A message from its compressed payload, which refers to nothing beyond the window.
    pub(crate) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        if self.server_window_bits < 15 {
            let distance = longest_distance(&[payload, &TAIL].concat())?;
            if distance > 1 << self.server_window_bits {
                return Err(format!("{distance} bytes back in a window of {} bits", self.server_window_bits));
            }
        }
        let mut whole = Vec::new();
        for piece in [payload, &TAIL] {
            inflate_into(&mut self.inflate, piece, &mut whole)?;
        }
        if !self.server_takes_over {
            self.inflate.reset(false);
        }
        Ok(whole)
    }
}

/// A payload of one message that refers to no other.
pub(crate) fn deflate_once(payload: &[u8]) -> Vec<u8> {
    deflated(&mut Compress::new(Compression::new(9), false), payload)
}

fn deflated(deflate: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + payload.len() / 8 + 64);
    let before = deflate.total_in();
    deflate.compress_vec(payload, &mut out, FlushCompress::Sync).expect("memory to memory");
    assert_eq!(deflate.total_in() - before, payload.len() as u64, "there is room for all of it");
    assert!(out.ends_with(&TAIL), "a flush ends with an empty block");
    out.truncate(out.len() - TAIL.len());
    out
}

fn inflate_into(inflate: &mut Decompress, mut input: &[u8], whole: &mut Vec<u8>) -> Result<(), String> {
    let mut step = [0; 4096];
    loop {
        let (consumed, produced) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(input, &mut step, FlushDecompress::Sync);
        let status = status.map_err(|error| format!("no DEFLATE: {error}"))?;
        let consumed = usize::try_from(inflate.total_in() - consumed).expect("no more than the input");
        let produced = usize::try_from(inflate.total_out() - produced).expect("no more than a step");
        input = &input[consumed..];
        whole.extend_from_slice(&step[..produced]);
        if status == Status::StreamEnd {
            return Err("a last block where none is needed".to_owned());
        }
        if produced < step.len() {
            return if input.is_empty() { Ok(()) } else { Err("bytes after the end".to_owned()) };
        }
    }
}

/// What is taken off a message's end.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_is_too_large_is_noticed() {
        let mut payload =
            Vec::from_iter((0..2_000_u32).flat_map(|at| (at.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()));
        payload.extend_from_within(..1_000);
        let small = deflate_once(&payload);
        let distance = longest_distance(&[&small[..], &TAIL].concat());
        assert_eq!(distance, Ok(8_000));
        for (bits, is_good) in [(15, true), (13, true), (12, false), (9, false)] {
            let answer = format!("permessage-deflate; server_max_window_bits={bits}");
            let mut deflate = Deflate::agreed(&[Offer::default()], &answer).expect("a good answer");
            assert_eq!(deflate.inflate(&small).is_ok(), is_good, "{bits}");
        }
    }

    #[test]
    fn answers_that_do_not_keep_to_the_offer_are_noticed() {
        let nine = Offer { server_max_window_bits: Some(9), server_no_context_takeover: true, ..Offer::default() };
        let kept = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9";
        assert!(Deflate::agreed(&[nine], kept).is_ok());
        for answer in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; unknown",
            "x-deflate",
        ] {
            assert!(Deflate::agreed(&[nine], answer).is_err(), "{answer}");
        }
    }
}
