//! Frames out, appended to a buffer that is already there: unmasked as a server sends them, masked as a client does.
//! Never allocates beyond that buffer's growth.

use super::close;
use super::header::Opcode;
use super::mask::unmask;

/// The length of a server frame's header for a payload of that length; a client's is 4 bytes longer.
#[must_use]
pub const fn header_length(payload: usize) -> usize {
    match payload {
        0..126 => 2,
        126..0x1_0000 => 4,
        _ => 10,
    }
}

/// Appends a whole message as one server frame.
pub fn frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    fragment(out, opcode, true, payload);
}

/// Appends one server frame of a message that may have more of them.
pub fn fragment(out: &mut Vec<u8>, opcode: Opcode, is_final: bool, payload: &[u8]) {
    let (header, header_bytes) = header(opcode, is_final, false, payload.len());
    out.reserve(header_bytes + payload.len());
    out.extend_from_slice(&header[..header_bytes]);
    out.extend_from_slice(payload);
}

/// Appends a server frame whose payload `write` appends. The header is reserved for `length_hint`; only when the
/// payload turns out to need a header of another size is it moved.
pub fn frame_with(out: &mut Vec<u8>, opcode: Opcode, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let reserved = header_length(length_hint);
    out.reserve(reserved + length_hint);
    out.resize(start + reserved, 0);
    write(out);
    patch(out, start, reserved, opcode, false);
}

/// Appends a whole message as one client frame.
pub fn masked_frame(out: &mut Vec<u8>, opcode: Opcode, key: [u8; 4], payload: &[u8]) {
    masked_fragment(out, opcode, true, key, payload);
}

/// Appends one client frame of a message that may have more of them.
pub fn masked_fragment(out: &mut Vec<u8>, opcode: Opcode, is_final: bool, key: [u8; 4], payload: &[u8]) {
    let (header, header_bytes) = header(opcode, is_final, true, payload.len());
    out.reserve(header_bytes + 4 + payload.len());
    out.extend_from_slice(&header[..header_bytes]);
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[start..], key);
}

/// Appends a client frame whose payload `write` appends unmasked; see `frame_with`.
pub fn masked_frame_with(
    out: &mut Vec<u8>,
    opcode: Opcode,
    key: [u8; 4],
    length_hint: usize,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let reserved = header_length(length_hint) + 4;
    out.reserve(reserved + length_hint);
    out.resize(start + reserved, 0);
    write(out);
    let payload = patch(out, start, reserved, opcode, true);
    out[payload - 4..payload].copy_from_slice(&key);
    unmask(&mut out[payload..], key);
}

/// Appends a server's close frame. A reason that is too long is cut; a code that must not be sent (1005, say) makes
/// the payload empty.
pub fn close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let (payload, length) = close_payload(code, reason);
    frame(out, Opcode::Close, &payload[..length]);
}

/// Appends a client's close frame; see `close`.
pub fn masked_close(out: &mut Vec<u8>, key: [u8; 4], code: u16, reason: &str) {
    let (payload, length) = close_payload(code, reason);
    masked_frame(out, Opcode::Close, key, &payload[..length]);
}

fn close_payload(code: u16, reason: &str) -> ([u8; 2 + close::REASON_BYTES_MAX], usize) {
    let mut payload = [0; 2 + close::REASON_BYTES_MAX];
    if !close::is_sendable(code) {
        return (payload, 0);
    }
    let reason = close::cut(reason);
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
    (payload, 2 + reason.len())
}

/// Writes the header of the frame that begins at `start` and whose payload begins `reserved` bytes later and reaches
/// to the end, moving the payload if the header is of another length. Returns where the payload begins.
fn patch(out: &mut Vec<u8>, start: usize, reserved: usize, opcode: Opcode, is_masked: bool) -> usize {
    let payload_bytes = out.len().checked_sub(start + reserved).expect("the payload's writer only appends");
    let (header, header_bytes) = header(opcode, true, is_masked, payload_bytes);
    let needed = header_bytes + if is_masked { 4 } else { 0 };
    if needed > reserved {
        let old_end = out.len();
        out.resize(old_end + needed - reserved, 0);
        out.copy_within(start + reserved..old_end, start + needed);
    } else if needed < reserved {
        out.copy_within(start + reserved.., start + needed);
        out.truncate(start + needed + payload_bytes);
    }
    out[start..start + header_bytes].copy_from_slice(&header[..header_bytes]);
    start + needed
}

/// A header without its key, and its length.
fn header(opcode: Opcode, is_final: bool, is_masked: bool, payload_bytes: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    let length = header_length(payload_bytes);
    let mask_bit = if is_masked { 0x80 } else { 0 };
    header[0] = opcode as u8 | if is_final { 0x80 } else { 0 };
    let long = (payload_bytes as u64).to_be_bytes();
    match length {
        2 => header[1] = mask_bit | long[7],
        4 => {
            header[1] = mask_bit | 126;
            header[2..4].copy_from_slice(&long[6..]);
        }
        _ => {
            header[1] = mask_bit | 127;
            header[2..].copy_from_slice(&long);
        }
    }
    (header, length)
}
