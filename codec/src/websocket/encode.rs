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
    out.reserve(header_length(payload.len()) + payload.len());
    push_header(out, opcode, is_final, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a server frame whose payload `write` appends. The header is written for `length_hint`; when that was not the
/// length, it is written again, and the payload is moved only if it needs a header of another size.
#[inline]
pub fn frame_with(out: &mut Vec<u8>, opcode: Opcode, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let reserved = header_length(length_hint);
    out.reserve(reserved + length_hint);
    push_header(out, opcode, true, length_hint);
    write(out);
    if out.len() - start != reserved + length_hint {
        patch(out, start, reserved, opcode, false);
    }
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

/// Appends the header of a server frame.
#[inline]
fn push_header(out: &mut Vec<u8>, opcode: Opcode, is_final: bool, payload_bytes: usize) {
    let first = opcode as u8 | if is_final { 0x80 } else { 0 };
    let long = (payload_bytes as u64).to_be_bytes();
    match header_length(payload_bytes) {
        2 => out.extend_from_slice(&[first, long[7]]),
        4 => out.extend_from_slice(&[first, 126, long[6], long[7]]),
        _ => {
            out.extend_from_slice(&[first, 127]);
            out.extend_from_slice(&long);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_shortest_header() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)] {
            assert_eq!(header_length(length), header);
            let mut out = Vec::new();
            frame(&mut out, Opcode::Binary, &vec![7; length]);
            assert_eq!(out.len(), header + length);
            assert_eq!(out[0], 0x82);
        }
        let mut out = b"before".to_vec();
        frame(&mut out, Opcode::Text, b"hi");
        assert_eq!(out, b"before\x81\x02hi");
    }

    #[test]
    fn payload_lands_rightly_whatever_length_was_guessed() {
        for length in [0, 1, 125, 126, 65535, 65536] {
            let payload: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let (mut plain, mut masked) = (b"before".to_vec(), b"before".to_vec());
            frame(&mut plain, Opcode::Text, &payload);
            masked_frame(&mut masked, Opcode::Text, [1, 2, 3, 4], &payload);
            for hint in [0, 125, 126, 65535, 65536] {
                let mut out = b"before".to_vec();
                frame_with(&mut out, Opcode::Text, hint, |out| out.extend_from_slice(&payload));
                assert!(out == plain, "{hint} for {length}");
                let mut out = b"before".to_vec();
                let write = |out: &mut Vec<u8>| out.extend_from_slice(&payload);
                masked_frame_with(&mut out, Opcode::Text, [1, 2, 3, 4], hint, write);
                assert!(out == masked, "masked, {hint} for {length}");
            }
        }
    }

    #[test]
    fn masked_frame_is_what_the_rfc_shows() {
        // RFC 6455 section 5.7.
        let mut out = Vec::new();
        masked_frame(&mut out, Opcode::Text, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn fragments_carry_no_fin_until_the_last() {
        let mut out = Vec::new();
        fragment(&mut out, Opcode::Text, false, b"Hel");
        fragment(&mut out, Opcode::Continuation, true, b"lo");
        assert_eq!(out, [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f]);
    }

    #[test]
    fn close_holds_code_and_cut_reason() {
        let mut out = Vec::new();
        close(&mut out, 4001, "bye");
        assert_eq!(out, b"\x88\x05\x0f\xa1bye");
        out.clear();
        close(&mut out, 1000, &"\u{e9}".repeat(100));
        assert_eq!((out.len(), out[1]), (2 + 2 + 122, 124));
        out.clear();
        masked_close(&mut out, [0; 4], 1000, "");
        assert_eq!(out, b"\x88\x82\0\0\0\0\x03\xe8");
    }

    #[test]
    fn close_with_a_code_that_must_not_be_sent_is_empty() {
        for code in [0, 999, 1005, 1006, 1015, 2999, 5000] {
            let mut out = Vec::new();
            close(&mut out, code, "reason");
            assert_eq!(out, [0x88, 0], "{code}");
        }
    }
}
