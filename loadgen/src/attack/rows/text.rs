//! A23: text that is no UTF-8.

use super::super::case::Case;
use super::super::socket::frame;
use super::frame::closed;

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;

pub(super) fn cases() -> Vec<Case> {
    let whole: [(&str, &[u8]); 9] = [
        ("a stray continuation byte", b"\x80"),
        ("a byte that never occurs", b"fine\xff"),
        ("a long form of a slash", b"\xc0\xaf"),
        ("a long form of NUL", b"\xe0\x80\x80"),
        ("half of a surrogate pair", b"\xed\xa0\x80"),
        ("a surrogate pair", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
        ("five bytes", b"\xf8\x88\x80\x80\x80"),
        ("an end inside a character", b"\xf0\x9f\x99"),
    ];
    let mut cases = Vec::from_iter(whole.map(|(input, bytes)| closed("A23", input, frame(FIN | TEXT, bytes), &[1007])));
    cases.extend([
        closed("A23", "a fragment that can never become good", frame(TEXT, b"\xf4\x90"), &[1007]),
        closed(
            "A23",
            "a character broken by a fragment's end",
            [frame(TEXT, b"\xf0\x9f"), frame(FIN | CONTINUATION, b"a")].concat(),
            &[1007],
        ),
        closed("A23", "in a close reason", frame(FIN | CLOSE, b"\x03\xe8\xff"), &[1007]),
    ]);
    cases
}
