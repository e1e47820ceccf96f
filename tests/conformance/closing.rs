//! Group 7: how a conversation ends, and what a close frame may hold.

use crate::case::{Case, run};
use crate::frame::TEXT;
use crate::frame::{CLOSE, FIN, close, fragments, frame, ping, text};

#[test]
fn a_close_frame_is_answered_and_nothing_after_it_is() {
    let halves = fragments(TEXT, [&b"fragment1"[..], b"fragment2"]);
    let large = "BAsd7&jh23".repeat(26_214);
    run(&[
        Case::new("7.1.1").send(text("Hello World!")).expect_text("Hello World!"),
        Case::new("7.1.2").send([close(1000, b""), close(1000, b"")].concat()).answered(1000),
        Case::new("7.1.3").send([close(1000, b""), ping(b"")].concat()).answered(1000),
        Case::new("7.1.4").send([close(1000, b""), text("Hello World!")].concat()).answered(1000),
        Case::new("7.1.5").send([halves[0].clone(), close(1000, b""), halves[1].clone()].concat()).answered(1000),
        Case::new("7.1.6")
            .send([text(&large), close(1000, b""), ping(b"")].concat())
            .expect_text(&large)
            .answered(1000),
        // Ours: the same, byte by byte and frame by frame.
        Case::new("7.1.3 in two writes").send(close(1000, b"")).send(ping(b"")).answered(1000),
        Case::new("7.1.5 byte by byte").dribble([halves[0].clone(), close(1000, b"")].concat()).answered(1000),
    ]);
}

#[test]
fn a_close_payload_is_nothing_or_a_code_and_a_reason() {
    let reason = |length| "*".repeat(length).into_bytes();
    run(&[
        Case::new("7.3.1").send(frame(FIN | CLOSE, b"")).answered(1005),
        Case::new("7.3.2").send(frame(FIN | CLOSE, b"a")).failed(1002),
        Case::new("7.3.3").send(close(1000, b"")).answered(1000),
        Case::new("7.3.4").send(close(1000, b"Hello World!")).answered(1000),
        Case::new("7.3.5").send(close(1000, &reason(123))).answered(1000),
        Case::new("7.3.6").send(close(1000, &reason(124))).failed(1002),
        Case::new("7.5.1")
            .send(close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"))
            .failed(1007),
    ]);
}

#[test]
fn close_codes_are_answered_or_refused() {
    let good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    let bad = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
    let mut cases = Vec::new();
    for (index, code) in good.into_iter().enumerate() {
        cases.push(Case::new(format!("7.7.{}", index + 1)).send(close(code, b"")).answered(code));
    }
    for (index, code) in bad.into_iter().enumerate() {
        cases.push(Case::new(format!("7.9.{}", index + 1)).send(close(code, b"")).failed(1002));
    }
    cases.push(Case::new("7.13.1").send(close(5000, b"")).failed(1002));
    cases.push(Case::new("7.13.2").send(close(65_535, b"")).failed(1002));
    // Registered after the suite was written.
    for code in [1012, 1013, 1014] {
        cases.push(Case::new(format!("7.7 with {code}")).send(close(code, b"")).answered(code));
    }
    cases.push(Case::new("7.9 with 1015").send(close(1015, b"")).failed(1002));
    run(&cases);
}
