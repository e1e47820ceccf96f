//! Messages to less than they were (RFC 7692 section 7.2.1), and frames that are already written to compressed ones where
//! that pays. Never refuses: what does not shrink stays as it is.

use super::encode;
use super::header::{Header, Opcode, Role};
use flate2::{Compress, Compression, FlushCompress, Status};

/// What every flush ends with, and no message carries.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// A compressor: 372 KiB with a window of 15 bits, 246 KiB with one of 9. It can begin anew at any message, and then
/// serves any number of connections.
#[derive(Debug)]
pub struct Deflater {
    raw: Compress,
}

/// What compressing frames has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Frames that are compressed now.
    pub frames: u64,
    /// Bytes that they are shorter by.
    pub bytes: u64,
}

impl Deflater {
    /// A compressor of that level (1 to 9) and window (9 to 15 bits).
    #[must_use]
    pub fn new(level: u8, window_bits: u8) -> Self {
        let raw = Compress::new_with_window_bits(Compression::new(u32::from(level)), false, window_bits);
        Self { raw }
    }

    /// Forgets every message: the next one refers to none of them.
    pub fn reset(&mut self) {
        self.raw.reset();
    }

    /// Appends a message's compressed payload.
    pub fn deflate(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            // Nothing to flush: an empty block without compression, less its tail (section 7.2.3.6).
            return out.push(0x00);
        }
        // Nine bits for each byte at worst, and the ends of blocks; with room left the flush is done in one go.
        out.reserve(payload.len() + payload.len() / 8 + 64);
        let mut rest = payload;
        loop {
            let consumed_before = self.raw.total_in();
            let status = self.raw.compress_vec(rest, out, FlushCompress::Sync);
            debug_assert!(matches!(status, Ok(Status::Ok)), "memory to memory, nothing can fail: {status:?}");
            let consumed = usize::try_from(self.raw.total_in() - consumed_before).expect("no more than the input");
            rest = &rest[consumed..];
            if rest.is_empty() && out.len() < out.capacity() {
                break;
            }
            out.reserve(64 + rest.len());
        }
        debug_assert!(out.ends_with(&TAIL), "a flush ends with an empty block");
        out.truncate(out.len() - TAIL.len());
    }

    /// Rewrites the server frames from `start` on, which are whole: each message of at least `bytes_min` bytes in one frame
    /// becomes a compressed one. One that takes over refers to the messages before it; else each stands for itself, and
    /// stays as it is where compression would not shorten it. In `scratch` the frames lie meanwhile.
    pub fn deflate_frames(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        bytes_min: usize,
        takes_over: bool,
        scratch: &mut Vec<u8>,
    ) -> Saved {
        let mut saved = Saved::default();
        if out.len() - start < bytes_min {
            return saved;
        }
        scratch.clear();
        scratch.extend_from_slice(&out[start..]);
        out.truncate(start);
        let mut rest = &scratch[..];
        while let Ok(Some(header)) = Header::parse(rest, Role::Client, false) {
            let length = usize::try_from(header.payload_bytes).expect("it lies in memory");
            let (frame, after) = rest.split_at(header.bytes + length);
            rest = after;
            let (frame_start, payload) = (out.len(), &frame[header.bytes..]);
            let compressed = match header.opcode {
                Opcode::Text => Some(Opcode::CompressedText),
                Opcode::Binary => Some(Opcode::CompressedBinary),
                _ => None,
            };
            if let Some(opcode) = compressed.filter(|_| header.is_final && length >= bytes_min) {
                if !takes_over {
                    self.reset();
                }
                encode::frame_with(out, opcode, length / 2, |out| self.deflate(payload, out));
                let bytes = out.len() - frame_start;
                if takes_over || bytes < frame.len() {
                    saved.frames += 1;
                    saved.bytes += frame.len().saturating_sub(bytes) as u64;
                    continue;
                }
                out.truncate(frame_start);
            }
            out.extend_from_slice(frame);
        }
        debug_assert!(rest.is_empty(), "whole frames of our own");
        saved
    }
}

/// Whether one of these server frames, which are whole, is compressed.
#[must_use]
pub fn has_compressed(mut frames: &[u8]) -> bool {
    while let Ok(Some(header)) = Header::parse(frames, Role::Client, true) {
        if header.opcode.is_compressed() {
            return true;
        }
        let length = usize::try_from(header.payload_bytes).expect("it lies in memory");
        frames = &frames[header.bytes + length..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::inflate::Inflater;
    use super::*;

    fn text(length: usize, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut text = Vec::new();
        while text.len() < length {
            let word =
                *random.choice(&["shard ", "channel ", "frame ", "{\"id\":", "42, ", "\u{e9}t\u{e9} "]).expect("six");
            text.extend_from_slice(word.as_bytes());
        }
        text
    }

    #[test]
    fn whatever_is_deflated_is_inflated_again() {
        for window_bits in 9..=15 {
            for level in [1, 3, 6, 9] {
                let (mut deflater, mut inflater) = (Deflater::new(level, window_bits), Inflater::new(true));
                for (round, length) in [0, 1, 100, 70_000, 5, 300_000, 0, 4_096].into_iter().enumerate() {
                    let payload = text(length, round as u64);
                    let (mut small, mut out) = (Vec::new(), Vec::new());
                    deflater.deflate(&payload, &mut small);
                    inflater.inflate(&small, 1 << 20, &mut out).expect("our own");
                    assert!(out == payload, "{length} bytes, level {level}, {window_bits} bits");
                }
            }
        }
    }

    #[test]
    fn frames_are_compressed_where_it_pays() {
        let mut random = fastrand::Rng::with_seed(3);
        let noise = Vec::from_iter((0..2_000).map(|_| random.u8(..)));
        let mut plain = b"before".to_vec();
        encode::frame(&mut plain, Opcode::Text, &text(50, 1));
        encode::frame(&mut plain, Opcode::Text, &text(5_000, 2));
        encode::frame(&mut plain, Opcode::Ping, b"ping");
        encode::frame(&mut plain, Opcode::Binary, &noise);
        encode::frame(&mut plain, Opcode::Binary, &text(70_000, 3));
        let mut out = plain.clone();
        let saved = Deflater::new(1, 15).deflate_frames(&mut out, 6, 100, false, &mut Vec::new());
        assert_eq!((saved.frames, saved.bytes), (2, (plain.len() - out.len()) as u64));
        assert!(out.len() < plain.len() - 50_000 && out.starts_with(b"before"));
        let mut rest = &out[6..];
        let mut opcodes = Vec::new();
        while let Ok(Some(header)) = Header::parse(rest, Role::Client, true) {
            opcodes.push(header.opcode);
            rest = &rest[header.bytes + usize::try_from(header.payload_bytes).expect("small")..];
        }
        let expected = [Opcode::Text, Opcode::CompressedText, Opcode::Ping, Opcode::Binary, Opcode::CompressedBinary];
        assert_eq!(opcodes, expected);
        let mut small = plain.clone();
        assert_eq!(
            Deflater::new(1, 15).deflate_frames(&mut small, 6, 1 << 20, true, &mut Vec::new()),
            Saved::default()
        );
        assert!(small == plain);
    }
}
