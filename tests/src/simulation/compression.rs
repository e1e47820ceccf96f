//! permessage-deflate in a run: what shards are ready for, what clients offer, what was agreed to, and both ends of a
//! client's messages. Half of the clients know nothing of it, so that a channel has subscribers of every form.

use codec::websocket::deflate::Deflater;
use codec::websocket::inflate::Inflater;
use codec::websocket::{Opcode, encode};
use fastrand::Rng;
use shard::CompressionLimits;

/// The header of offers and of the answer.
const NAME: &str = "Sec-WebSocket-Extensions";

/// What clients offer: windows of their own, contexts or none, and what has to be declined.
const OFFERS: [&str; 6] = [
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
    "permessage-deflate; server_max_window_bits=8, permessage-deflate",
    "permessage-deflate; server_max_window_bits=8",
    "x-webkit-deflate-frame",
];

/// What the shards of a run are ready for: nothing, every length, none but long messages; contexts for nobody, few or all.
pub(super) fn limits(random: &mut Rng) -> CompressionLimits {
    CompressionLimits {
        is_on: random.u8(..4) > 0,
        contexts_max: *random.choice(&[0, 1, 100]).expect("three"),
        message_bytes_min: *random.choice(&[0, 40, 1_000]).expect("three"),
        level: random.u8(1..=9),
        window_bits_max: random.u8(9..=15),
    }
}

/// A client's offer, if it makes one.
pub(super) fn offer(random: &mut Rng) -> Vec<(&'static str, &'static str)> {
    if random.bool() { Vec::new() } else { vec![(NAME, random.choice(OFFERS).expect("six"))] }
}

/// Takes the agreement out of the head of an upgrade's answer, for whoever judges the rest of it. What it leaves to inflate
/// with, where there was one.
pub(super) fn take_agreement(head: &mut Vec<u8>) -> Option<Inflater> {
    let text = std::str::from_utf8(head).expect("a head is text");
    let start = text.find(NAME)?;
    let end = start + text[start..].find("\r\n").expect("a head is whole") + 2;
    let takes_over = !text[start..end].contains("server_no_context_takeover");
    head.drain(start..end);
    Some(Inflater::new(takes_over))
}

/// A client's compressor: each message stands for itself, in the smallest window that there is, as every agreement allows.
pub(super) struct Sender(Deflater);

impl Sender {
    pub(super) fn new() -> Self {
        Self(Deflater::new(1, 9))
    }

    /// Appends a frame, compressed if it is a message.
    pub(super) fn frame(&mut self, out: &mut Vec<u8>, opcode: Opcode, key: [u8; 4], payload: &[u8]) {
        let compressed = match opcode {
            Opcode::Text => Opcode::CompressedText,
            Opcode::Binary => Opcode::CompressedBinary,
            other => return encode::masked_frame(out, other, key, payload),
        };
        let mut deflated = Vec::new();
        self.0.reset();
        self.0.deflate(payload, &mut deflated);
        encode::masked_frame(out, compressed, key, &deflated);
    }
}
