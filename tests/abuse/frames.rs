//! WebSocket frames that RFC 6455 forbids, on a raw route and on SocketCluster's: each ends its own connection with the
//! right code.

use harness::member::{Member, PATH};
use harness::server::Server;
use harness::websocket::{MASK, Received, WebSocket};

use crate::guard::{SLACK_BYTES, survives};

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

/// A masked frame whose first byte is given; the payload is below 126 bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).expect("a short payload");
    let mut bytes = vec![first, 0x80 | length];
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header of a masked frame of that length, whether or not the bytes follow.
fn long_header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | 127];
    bytes.extend(length.to_be_bytes());
    bytes.extend(MASK);
    bytes
}

/// Sends each of these on connections of its own and expects its close code; in between, a healthy connection is served.
fn each_is_closed(cases: &[(&str, Vec<u8>, u16)]) {
    survives(&[], SLACK_BYTES, |server| {
        for path in ["/echo", PATH] {
            for (what, bytes, code) in cases {
                let mut socket = open(server, path);
                socket.send_raw(bytes).expect("a fresh connection takes bytes");
                let (closed, reason) = socket.expect_close();
                assert_eq!(closed, *code, "{what} on {path} (reason {reason:?})");
                assert_eq!(Member::connect(server.address()).shard() >> 1, 0, "after {what}");
            }
        }
        server.expect_told("protocol_errors");
    });
}

/// A raw connection, or one past SocketCluster's handshake.
fn open(server: &Server, path: &str) -> WebSocket {
    if path == PATH {
        Member::connect(server.address()).into_socket()
    } else {
        WebSocket::connect(server.address(), path)
    }
}

#[test]
fn protocol_violations_are_closed_with_1002() {
    let unmasked = vec![FIN | TEXT, 2, b'h', b'i'];
    let mut long_ping = vec![FIN | PING, 0x80 | 126, 0, 126];
    long_ping.extend(MASK);
    long_ping.extend([0; 126]);
    let mut not_minimal = vec![FIN | TEXT, 0x80 | 126, 0, 2];
    not_minimal.extend(MASK);
    not_minimal.extend([b'h' ^ MASK[0], b'i' ^ MASK[1]]);
    each_is_closed(&[
        ("an unmasked frame", unmasked, 1002),
        ("reserved bit 1", frame(FIN | 0x40 | TEXT, b"hi"), 1002),
        ("reserved bit 2", frame(FIN | 0x20 | TEXT, b"hi"), 1002),
        ("reserved bit 3", frame(FIN | 0x10 | TEXT, b"hi"), 1002),
        ("reserved opcode 3", frame(FIN | 0x3, b"hi"), 1002),
        ("reserved opcode 11", frame(FIN | 0xB, b"hi"), 1002),
        ("a fragmented ping", frame(PING, b"hi"), 1002),
        ("a ping of 126 bytes", long_ping, 1002),
        ("a length that is not minimal", not_minimal, 1002),
        ("a length of 2^63", long_header(FIN | BINARY, 1 << 63), 1002),
        ("a continuation of nothing", frame(FIN | CONTINUATION, b"hi"), 1002),
        ("a message inside a message", [frame(TEXT, b"h"), frame(FIN | TEXT, b"i")].concat(), 1002),
        ("a close frame of 1 byte", frame(FIN | CLOSE, &[3]), 1002),
        ("close code 999", frame(FIN | CLOSE, &999u16.to_be_bytes()), 1002),
        ("close code 1005", frame(FIN | CLOSE, &1005u16.to_be_bytes()), 1002),
        ("close code 5000", frame(FIN | CLOSE, &5000u16.to_be_bytes()), 1002),
    ]);
}

#[test]
fn text_that_is_not_utf_8_is_closed_with_1007() {
    let emoji = "🙂".as_bytes();
    each_is_closed(&[
        ("a stray continuation byte", frame(FIN | TEXT, b"\x80"), 1007),
        ("an overlong slash", frame(FIN | TEXT, b"\xC0\xAF"), 1007),
        ("a surrogate", frame(FIN | TEXT, b"\xED\xA0\x80"), 1007),
        ("beyond U+10FFFF", frame(FIN | TEXT, b"\xF4\x90\x80\x80"), 1007),
        ("an end inside a character", frame(FIN | TEXT, &emoji[..3]), 1007),
        ("a fragment that can never become good", frame(TEXT, b"fine\xFF"), 1007),
        (
            "a character broken across fragments",
            [frame(TEXT, &emoji[..2]), frame(FIN | CONTINUATION, b"a")].concat(),
            1007,
        ),
        ("a close reason", frame(FIN | CLOSE, b"\x03\xE8\xFF"), 1007),
    ]);
}

#[test]
fn a_character_split_across_fragments_is_not_an_error() {
    survives(&[], SLACK_BYTES, |server| {
        let mut socket = WebSocket::connect(server.address(), "/echo");
        let emoji = "🙂".as_bytes();
        let pieces =
            [frame(TEXT, &emoji[..1]), frame(CONTINUATION, &emoji[1..3]), frame(FIN | CONTINUATION, &emoji[3..])];
        for piece in pieces {
            socket.send_raw(&piece).expect("the server reads");
        }
        assert_eq!(socket.receive_text(), "🙂");
    });
}

#[test]
fn a_message_over_the_limit_is_closed_with_1009() {
    let fragment = |first| {
        let length = 60_000_u16;
        let mut bytes = vec![first, 0x80 | 126];
        bytes.extend(length.to_be_bytes());
        bytes.extend(MASK);
        bytes.extend((0..usize::from(length)).map(|at| b'a' ^ MASK[at % 4]));
        bytes
    };
    let cumulative = [fragment(TEXT), fragment(CONTINUATION), fragment(CONTINUATION)].concat();
    // The server says no at the header, before a byte of the payload is there to be stored.
    each_is_closed(&[
        ("one byte more than 128 KiB", long_header(FIN | BINARY, (128 << 10) + 1), 1009),
        ("a declared gigabyte", long_header(FIN | TEXT, 1 << 30), 1009),
        ("a declared exabyte", long_header(FIN | TEXT, 1 << 60), 1009),
        ("three fragments of 60,000 bytes", cumulative, 1009),
    ]);
}

#[test]
fn a_message_at_the_limit_is_served() {
    survives(&[], SLACK_BYTES, |server| {
        let mut socket = WebSocket::connect(server.address(), "/echo");
        let payload = vec![b'x'; 128 << 10];
        socket.send_binary(&payload);
        assert!(socket.receive() == Received::Binary(payload), "128 KiB come back");
    });
}

#[test]
fn more_fragments_than_allowed_are_closed_with_1008() {
    let mut fragments = frame(TEXT, b"");
    fragments.extend((0..1_100).flat_map(|_| frame(CONTINUATION, b"")));
    each_is_closed(&[("1,101 empty fragments", fragments, 1008)]);
}

/// 4 bytes of every length that a frame can declare, with nothing after them, on many connections at once: memory
/// follows what arrives, not what is announced.
#[test]
fn declared_lengths_cost_no_memory() {
    survives(&["--max-message", "16MiB", "--outbox-bytes-max", "32MiB"], SLACK_BYTES, |server| {
        let before = server.resident_bytes();
        let sockets = Vec::from_iter((0..200).map(|_| {
            let mut socket = WebSocket::connect(server.address(), "/echo");
            let mut bytes = long_header(FIN | BINARY, 16 << 20);
            bytes.extend([0; 4]);
            socket.send_raw(&bytes).expect("the server reads");
            socket
        }));
        // 200 × 16 MiB would be 3.2 GiB; and what is only reserved is not resident, but counts where memory is not overcommitted.
        crate::guard::assert_served(server);
        let growth = server.resident_bytes().saturating_sub(before);
        assert!(growth <= SLACK_BYTES, "memory grew by {growth} bytes while they were held");
        drop(sockets);
    });
}
