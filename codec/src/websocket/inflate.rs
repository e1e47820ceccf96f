//! The payload of a compressed message to what it was (RFC 7692 section 7.2.2), in steps that a bound ends: a few bytes
//! of DEFLATE may stand for a thousand times as many. Never makes room for more than the bound allows.

use super::error::WebSocketError;
use flate2::{Decompress, FlushDecompress, Status};

/// What the sender took off the end of the message: the rest of an empty block without compression.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// An empty block without compression that is the last one.
const END: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

/// The largest window of DEFLATE.
const WINDOW_BYTES: usize = 32 << 10;

/// The first room for a message: most are smaller.
const FIRST_BYTES: usize = 4 << 10;

/// A decompressor. Its 47 KiB are there from the first compressed message on; one that takes nothing over serves any
/// number of connections.
#[derive(Debug)]
pub struct Inflater {
    raw: Option<Decompress>,
    takes_over: bool,
}

/// What compressed messages are inflated with while input is decoded.
#[derive(Debug)]
pub struct Inflation<'a> {
    /// The connection's own or a shared one.
    pub inflater: &'a mut Inflater,
    /// Where the message is that was lent last.
    pub out: &'a mut Vec<u8>,
}

impl Inflater {
    /// A decompressor of messages that refer to earlier ones, or do not.
    #[must_use]
    pub const fn new(takes_over: bool) -> Self {
        Self { raw: None, takes_over }
    }

    /// Whether messages may refer to earlier ones.
    #[must_use]
    pub const fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// Replaces `out` by the message.
    ///
    /// # Errors
    /// That it is more than `bytes_max` bytes, or no DEFLATE. After that, one that takes over understands nothing any more;
    /// one that does not has forgotten it.
    pub fn inflate(&mut self, payload: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Result<(), WebSocketError> {
        out.clear();
        // Not even an empty message is nothing (section 7.2.3.6).
        if payload.is_empty() {
            return Err(WebSocketError::Compression);
        }
        let raw = self.raw.get_or_insert_with(|| Decompress::new(false));
        if self.takes_over {
            return read(raw, payload, bytes_max, true, out);
        }
        let outcome = read(raw, payload, bytes_max, false, out);
        // Whether the message ended with its last block: then one more block can follow.
        let is_whole = outcome.and_then(|()| feed(raw, &END, bytes_max, false, out));
        // Whatever it was: the next one may be somebody else's.
        raw.reset(false);
        if is_whole? { Ok(()) } else { Err(WebSocketError::Compression) }
    }
}

/// Inflates a message and the end that its sender took off.
fn read(
    raw: &mut Decompress,
    payload: &[u8],
    bytes_max: usize,
    takes_over: bool,
    out: &mut Vec<u8>,
) -> Result<(), WebSocketError> {
    feed(raw, payload, bytes_max, takes_over, out)?;
    feed(raw, &TAIL, bytes_max, takes_over, out)?;
    Ok(())
}

/// Inflates all of `input`. Returns whether its last byte ended a stream of blocks, as a sender may (section 7.2.3.4):
/// the next one begins with what was said so far as its past.
fn feed(
    raw: &mut Decompress,
    mut input: &[u8],
    bytes_max: usize,
    takes_over: bool,
    out: &mut Vec<u8>,
) -> Result<bool, WebSocketError> {
    loop {
        grow(out, input.len(), bytes_max);
        let consumed_before = raw.total_in();
        let status = raw.decompress_vec(input, out, FlushDecompress::Sync).map_err(|_| WebSocketError::Compression)?;
        if out.len() > bytes_max {
            return Err(WebSocketError::MessageTooLarge);
        }
        let consumed = usize::try_from(raw.total_in() - consumed_before).expect("no more than the input");
        input = &input[consumed..];
        if status == Status::StreamEnd {
            raw.reset(false);
            if takes_over {
                let past = &out[out.len().saturating_sub(WINDOW_BYTES)..];
                raw.set_dictionary(past).map_err(|_| WebSocketError::Compression)?;
            }
            if input.is_empty() {
                return Ok(true);
            }
        } else if out.len() < out.capacity() {
            // There was room left, so everything is out that the input brought.
            return if input.is_empty() { Ok(false) } else { Err(WebSocketError::Compression) };
        }
    }
}

/// Makes room when there is none left: a guess from the input at first, then twice as much, and never more than one byte
/// beyond the bound, which shows that it is exceeded.
fn grow(out: &mut Vec<u8>, input_bytes: usize, bytes_max: usize) {
    if out.len() == out.capacity() {
        let wanted = (out.capacity() * 2).max(input_bytes.saturating_mul(4)).max(FIRST_BYTES);
        out.reserve_exact(wanted.min(bytes_max + 1).saturating_sub(out.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::deflate::Deflater;
    use super::*;

    const MAX: usize = 100_000;

    fn inflate(inflater: &mut Inflater, payload: &[u8]) -> Result<Vec<u8>, WebSocketError> {
        let mut out = Vec::new();
        inflater.inflate(payload, MAX, &mut out).map(|()| out)
    }

    /// The examples of RFC 7692 section 7.2.3.
    #[test]
    fn the_examples_of_the_rfc_are_understood() {
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for takes_over in [false, true] {
            let mut inflater = Inflater::new(takes_over);
            assert_eq!(inflate(&mut inflater, &hello).as_deref(), Ok(&b"Hello"[..]));
            // Without compression, as a final block, in two blocks, and nothing at all.
            let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
            let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
            let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
            for payload in [&stored[..], &last, &two] {
                assert_eq!(inflate(&mut inflater, payload).as_deref(), Ok(&b"Hello"[..]), "{payload:x?}");
            }
            assert_eq!(inflate(&mut inflater, &[0x00]).as_deref(), Ok(&b""[..]));
        }
        let mut inflater = Inflater::new(true);
        assert_eq!(inflate(&mut inflater, &hello).as_deref(), Ok(&b"Hello"[..]));
        assert_eq!(inflate(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00]).as_deref(), Ok(&b"Hello"[..]));
        let mut forgetful = Inflater::new(false);
        assert_eq!(inflate(&mut forgetful, &hello).as_deref(), Ok(&b"Hello"[..]));
        assert_eq!(inflate(&mut forgetful, &[0xf2, 0x00, 0x11, 0x00, 0x00]), Err(WebSocketError::Compression));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_bound() {
        let mut payload = Vec::new();
        Deflater::new(9, 15).deflate(&vec![0; 10 << 20], &mut payload);
        assert!(payload.len() < 11_000, "a thousandth: {}", payload.len());
        let mut out = Vec::new();
        assert_eq!(Inflater::new(false).inflate(&payload, MAX, &mut out), Err(WebSocketError::MessageTooLarge));
        assert!(out.capacity() <= MAX + 1, "{}", out.capacity());
    }

    #[test]
    fn the_bound_is_what_it_says() {
        for (length, is_good) in [(MAX - 1, true), (MAX, true), (MAX + 1, false)] {
            let mut payload = Vec::new();
            Deflater::new(1, 15).deflate(&vec![7; length], &mut payload);
            assert_eq!(inflate(&mut Inflater::new(false), &payload).is_ok(), is_good, "{length}");
        }
    }

    #[test]
    fn what_is_no_deflate_is_refused() {
        let cases: [&[u8]; 5] = [b"", b"\xff\xff\xff\xff", b"\x07", b"\x00\x05\x00\x00\x00", b"\xf2\x48\xcd"];
        for payload in cases {
            let mut inflater = Inflater::new(false);
            assert_eq!(inflate(&mut inflater, payload), Err(WebSocketError::Compression), "{payload:x?}");
            // The next message is another client's.
            assert_eq!(inflate(&mut inflater, b"\xf2\x48\xcd\xc9\xc9\x07\x00").as_deref(), Ok(&b"Hello"[..]));
        }
    }
}
