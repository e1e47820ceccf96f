//! Client frames as bytes, good and bad ones alike: nothing here judges what it writes.

use harness::websocket::MASK;

pub(crate) const FIN: u8 = 0x80;
/// The first reserved bit, where compression was agreed on.
pub(crate) const COMPRESSED: u8 = 0x40;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// A masked frame with that first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).expect("below 126")),
        length @ 126..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(length).expect("below 2^16").to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A whole text message in one frame.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    frame(FIN | TEXT, payload.as_bytes())
}

/// A ping.
pub(crate) fn ping(payload: &[u8]) -> Vec<u8> {
    frame(FIN | PING, payload)
}

/// A pong.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    frame(FIN | PONG, payload)
}

/// A close frame with a code and a reason.
pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A message in these pieces, each a frame of its own; `first` is the first frame's byte without FIN.
pub(crate) fn fragments<'a>(first: u8, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut pieces = pieces.into_iter().peekable();
    let mut frames = Vec::new();
    let mut opcode = first;
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { FIN } else { 0 };
        frames.push(frame(opcode | last, piece));
        opcode = CONTINUATION;
    }
    frames
}
