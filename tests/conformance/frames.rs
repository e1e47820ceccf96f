//! Groups 1 to 4: lengths, pings and pongs, reserved bits, reserved opcodes.

use crate::case::{Case, run};
use crate::client::Received;
use crate::frame::{BINARY, CLOSE, FIN, PING, TEXT, frame, ping, pong, text};

/// Every length whose header looks different, and their neighbours.
const LENGTHS: [usize; 7] = [0, 125, 126, 127, 128, 65_535, 65_536];

#[test]
fn messages_of_every_length_come_back() {
    let mut cases = Vec::new();
    for (index, length) in LENGTHS.into_iter().enumerate() {
        let (letters, bytes) = ("*".repeat(length), vec![0xfe; length]);
        cases.push(Case::new(format!("1.1.{}", index + 1)).send(text(&letters)).expect_text(&letters));
        let binary = frame(FIN | BINARY, &bytes);
        cases.push(Case::new(format!("1.2.{}", index + 1)).send(binary).expect(Received::Binary(bytes)));
    }
    let (letters, bytes) = ("*".repeat(65_536), vec![0xfe; 65_536]);
    cases.push(Case::new("1.1.8").chop(text(&letters), 997).expect_text(&letters));
    let binary = frame(FIN | BINARY, &bytes);
    cases.push(Case::new("1.2.8").chop(binary, 997).expect(Received::Binary(bytes)));
    run(&cases);
}

#[test]
fn pings_are_answered_and_pongs_are_not() {
    let full = [0xfe; 125];
    let ten = || (0..10).map(|index| format!("payload-{index}"));
    let pings = ten().flat_map(|payload| ping(payload.as_bytes())).collect::<Vec<u8>>();
    let answered = |case: Case| ten().fold(case, |case, payload| case.expect_pong(payload.as_bytes()));
    run(&[
        Case::new("2.1").send(ping(b"")).expect_pong(b""),
        Case::new("2.2").send(ping(b"Hello, world!")).expect_pong(b"Hello, world!"),
        Case::new("2.3")
            .send(ping(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"))
            .expect_pong(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        Case::new("2.4").send(ping(&full)).expect_pong(&full),
        Case::new("2.5").send(ping(&[0xfe; 126])).failed(1002),
        Case::new("2.6").dribble(ping(&full)).expect_pong(&full),
        Case::new("2.7").send(pong(b"")),
        Case::new("2.8").send(pong(b"nobody asked")),
        Case::new("2.9").send(pong(b"nobody asked")).send(ping(b"are you there?")).expect_pong(b"are you there?"),
        answered(Case::new("2.10").send(pings.clone())),
        answered(Case::new("2.11").dribble(pings)),
    ]);
}

#[test]
fn reserved_bits_end_the_connection_after_what_came_before() {
    let hello = "Hello, world!";
    let after_hello = |bits: u8| [text(hello), frame(FIN | bits | TEXT, hello.as_bytes()), ping(b"")];
    run(&[
        Case::new("3.1").send(frame(FIN | 0x10 | TEXT, hello.as_bytes())).failed(1002),
        Case::new("3.2").send(after_hello(0x20).concat()).expect_text(hello).failed(1002),
        Case::new("3.3").send_each(after_hello(0x30)).expect_text(hello).failed(1002),
        Case::new("3.4").dribble(after_hello(0x40).concat()).expect_text(hello).failed(1002),
        Case::new("3.5").send(frame(FIN | 0x50 | BINARY, &[0, 0xff])).failed(1002),
        Case::new("3.6").send(frame(FIN | 0x60 | PING, hello.as_bytes())).failed(1002),
        Case::new("3.7").send(frame(FIN | 0x70 | CLOSE, &1000_u16.to_be_bytes())).failed(1002),
        // Ours: the first byte alone is enough.
        Case::new("3.1 by its first byte").send(vec![FIN | 0x10 | TEXT]).failed(1002),
    ]);
}

#[test]
fn reserved_opcodes_end_the_connection_after_what_came_before() {
    let hello = "Hello, world!";
    let mut cases = Vec::new();
    for (group, first) in [(1, 3), (2, 11)] {
        let number = |index| format!("4.{group}.{index}");
        let after_hello = |opcode: u8, payload: &[u8]| [text(hello), frame(FIN | opcode, payload), ping(b"")];
        cases.extend([
            Case::new(number(1)).send(frame(FIN | first, b"")).failed(1002),
            Case::new(number(2)).send(frame(FIN | (first + 1), b"reserved opcode payload")).failed(1002),
            Case::new(number(3)).send(after_hello(first + 2, b"").concat()).expect_text(hello).failed(1002),
            Case::new(number(4)).send_each(after_hello(first + 3, hello.as_bytes())).expect_text(hello).failed(1002),
            Case::new(number(5))
                .dribble(after_hello(first + 4, hello.as_bytes()).concat())
                .expect_text(hello)
                .failed(1002),
            Case::new(format!("{} by its first byte", number(1))).send(vec![FIN | first]).failed(1002),
        ]);
    }
    run(&cases);
}
