//! A15 to A18, A20 to A22 and A24: frames that RFC 6455 forbids.

use super::super::case::{Case, Door, Wanted};
use super::super::socket::{MASK, Socket, frame, header};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

/// Frames on an open echo, and the code that ends it.
pub(super) fn closed(row: &'static str, input: impl Into<String>, bytes: Vec<u8>, codes: &'static [u16]) -> Case {
    Case::new(row, input, Door::Echo, Wanted::Close(codes), move |stage| {
        let mut socket = Socket::echo(stage)?;
        socket.send(&bytes)?;
        socket.ending(stage.patience())
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        closed("A15", "a text", vec![FIN | TEXT, 2, b'h', b'i'], &[1002]),
        closed("A15", "a ping", vec![FIN | PING, 0], &[1002]),
        closed("A17", "a ping of 126 bytes", frame(FIN | PING, &[0; 126]), &[1002]),
        closed("A17", "a close frame of 126 bytes", frame(FIN | CLOSE, &[3; 126]), &[1002]),
        closed("A17", "a ping in pieces", frame(PING, b"hi"), &[1002]),
        closed("A18", "2^63 bytes", header(FIN | BINARY, 1 << 63), &[1002, 1009]),
        closed("A18", "2^64 - 1 bytes", header(FIN | BINARY, u64::MAX), &[1002, 1009]),
        closed("A18", "2^63 - 1 bytes", header(FIN | BINARY, (1 << 63) - 1), &[1002, 1009]),
        closed("A18", "2 bytes said in 16 bits", not_minimal(126, &2_u16.to_be_bytes()), &[1002]),
        closed("A18", "2 bytes said in 64 bits", not_minimal(127, &2_u64.to_be_bytes()), &[1002]),
        closed("A21", "1,101 empty fragments", fragments(), &[1008, 1009]),
        closed("A22", "a continuation of nothing", frame(FIN | CONTINUATION, b"hi"), &[1002]),
        closed("A22", "a message inside a message", [frame(TEXT, b"h"), frame(FIN | TEXT, b"i")].concat(), &[1002]),
        closed("A24", "a close frame of 1 byte", frame(FIN | CLOSE, &[3]), &[1002]),
        too_long("one byte more than the limit", |max| header(FIN | BINARY, max as u64 + 1)),
        too_long("fragments that are more together", |max| {
            let half = vec![b'a'; max / 2 + 1];
            [frame(TEXT, &half), frame(FIN | CONTINUATION, &half)].concat()
        }),
    ];
    for bit in 1..=3 {
        cases.push(closed("A16", format!("reserved bit {bit}"), frame(FIN | 0x80 >> bit | TEXT, b"hi"), &[1002]));
    }
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        cases.push(closed("A16", format!("opcode {opcode}"), frame(FIN | opcode, b"hi"), &[1002]));
    }
    for code in [0_u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
        cases.push(closed("A24", format!("close code {code}"), frame(FIN | CLOSE, &code.to_be_bytes()), &[1002]));
    }
    cases
}

/// Two bytes whose length is said in a longer form than needed.
fn not_minimal(form: u8, length: &[u8]) -> Vec<u8> {
    [&[FIN | BINARY, 0x80 | form], length, &MASK, b"hi"].concat()
}

fn fragments() -> Vec<u8> {
    let mut bytes = frame(TEXT, b"");
    bytes.extend((0..1_100).flat_map(|_| frame(CONTINUATION, b"")));
    bytes
}

fn too_long(input: &str, bytes: impl Fn(usize) -> Vec<u8> + 'static) -> Case {
    Case::new("A20", input, Door::Echo, Wanted::Close(&[1009]), move |stage| {
        let mut socket = Socket::echo(stage)?;
        socket.send(&bytes(stage.message_bytes_max()))?;
        socket.ending(stage.patience())
    })
}
