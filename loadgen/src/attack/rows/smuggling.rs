//! A9: requests that two parsers in a row could read differently.

use super::super::case::Case;
use super::{get, refused};

/// Header lines of a POST whose body ends early for who reads it as chunks.
const LINES: &[(&str, &str)] = &[
    ("a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
    ("the same length twice", "Content-Length: 5\r\nContent-Length: 5"),
    ("a list of lengths", "Content-Length: 5, 5"),
    ("a signed length", "Content-Length: +5"),
    ("a negative length", "Content-Length: -1"),
    ("a length in hexadecimal", "Content-Length: 0x5"),
    ("a length beyond 64 bits", "Content-Length: 18446744073709551621"),
    ("a coding that is none", "Transfer-Encoding: xchunked"),
    ("a coding beside chunked", "Transfer-Encoding: gzip, chunked"),
    ("chunked and something after it", "Transfer-Encoding: chunked, identity"),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("chunked after a vertical tab", "Transfer-Encoding: \u{b}chunked"),
    ("a space before the colon", "Transfer-Encoding : chunked"),
    ("a folded coding", "Transfer-Encoding:\r\n chunked"),
    ("a line that begins with a blank", "X: 1\r\n Transfer-Encoding: chunked"),
    ("a coding behind a carriage return", "X: 1\rTransfer-Encoding: chunked"),
    ("a coding behind a line feed", "X: 1\nTransfer-Encoding: chunked"),
];

/// Bodies of a POST in chunks.
const CHUNKS: &[(&str, &str)] = &[
    ("a chunk's size with a sign", "+5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk's size with a blank", "5 \r\nhello\r\n0\r\n\r\n"),
    ("a chunk's size of 16 digits", "0000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a chunk's size that is none", "x\r\nhello\r\n0\r\n\r\n"),
    ("a chunk that goes on", "5\r\nhello!\r\n0\r\n\r\n"),
    ("a chunk ended by a line feed", "5\r\nhello\n0\r\n\r\n"),
];

pub(super) fn cases() -> Vec<Case> {
    let post = |lines: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n0\r\n\r\n");
    let chunked = |body: &str| format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let mut cases = Vec::from_iter(LINES.iter().map(|(input, lines)| refused("A9", input, post(lines), &[400])));
    cases.extend(CHUNKS.iter().map(|(input, body)| refused("A9", input, chunked(body), &[400])));
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(1 << 20));
    let trailers = format!("0\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    cases.extend([
        refused("A9", "a chunk's extension of 1 MiB", chunked(&extension), &[400]),
        refused("A9", "10,000 trailers", chunked(&trailers), &[400]),
        refused("A9", "bare line feeds", "GET / HTTP/1.1\nHost: x\n\n", &[400]),
        refused("A9", "a bare carriage return", get("X: 1\rY: 2"), &[400]),
        refused("A9", "a header without a name", get(": 1"), &[400]),
        refused("A9", "a header without a colon", get("X"), &[400]),
        refused("A9", "a length in a GET, twice", get("Content-Length: 0\r\nContent-Length: 44"), &[400]),
        refused("A9", "HTTP/0.9", "GET /\r\n", &[400]),
        refused("A9", "HTTP/1.2", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", &[505]),
    ]);
    cases
}
