//! Group 5: fragments, and what may and may not stand between them; and group 10, what a sender cuts of itself.

use crate::case::{Case, run};
use crate::client::Received;
use crate::frame::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, fragments, frame, ping, text};

/// The three ways in which a case's frames are sent: at once, one by one, byte by byte.
fn three_ways(first: u32, frames: &[Vec<u8>], then: impl Fn(Case) -> Case) -> Vec<Case> {
    let case = |index: u32| Case::new(format!("5.{}", first + index));
    vec![
        then(case(0).send(frames.concat())),
        then(case(1).send_each(frames.iter().cloned())),
        then(case(2).dribble(frames.concat())),
    ]
}

#[test]
fn fragments_are_one_message_and_control_frames_stand_between_them() {
    let halves = fragments(TEXT, [&b"fragment1"[..], b"fragment2"]);
    let with_ping = [halves[0].clone(), ping(b"ping payload"), halves[1].clone()];
    let five: Vec<&[u8]> = vec![b"fragment1", b"fragment2", b"fragment3", b"fragment4", b"fragment5"];
    let whole = String::from_utf8(five.concat()).expect("letters");
    let five = fragments(TEXT, five);
    let (one, two) = (ping(b"pongme 1!"), ping(b"pongme 2!"));
    let mut cases = three_ways(3, &halves, |case| case.expect_text("fragment1fragment2"));
    cases.extend(three_ways(6, &with_ping, |case| case.expect_pong(b"ping payload").expect_text("fragment1fragment2")));
    cases.extend([
        Case::new("5.19")
            .send([five[0].clone(), five[1].clone(), one.clone()].concat())
            .expect_pong(b"pongme 1!")
            .send([five[2].clone(), five[3].clone(), two.clone(), five[4].clone()].concat())
            .expect_pong(b"pongme 2!")
            .expect_text(&whole),
        Case::new("5.20")
            .send_each([five[0].clone(), five[1].clone(), one])
            .expect_pong(b"pongme 1!")
            .send_each([five[2].clone(), five[3].clone(), two, five[4].clone()])
            .expect_pong(b"pongme 2!")
            .expect_text(&whole),
    ]);
    run(&cases);
}

#[test]
fn fragments_out_of_place_end_the_connection() {
    let stray = |first: u8| [frame(first | CONTINUATION, b"non-continuation payload"), text("Hello, world!")];
    let mut cases = vec![
        Case::new("5.1").send(fragments(PING, [&b"fragment1"[..], b"fragment2"]).concat()).failed(1002),
        Case::new("5.2").send(fragments(PONG, [&b"fragment1"[..], b"fragment2"]).concat()).failed(1002),
    ];
    cases.extend(three_ways(9, &stray(FIN), |case| case.failed(1002)));
    cases.extend(three_ways(12, &stray(0), |case| case.failed(1002)));
    let halves = fragments(TEXT, [&b"fragment1"[..], b"fragment2"]).concat();
    let twice = |first: u8| {
        let begun = fragments(TEXT, [&b"fragment2"[..], b"fragment3"]).concat();
        [frame(first | CONTINUATION, b"fragment1"), begun].concat().repeat(2)
    };
    cases.extend([
        Case::new("5.15").send([halves, stray(0).concat()].concat()).expect_text("fragment1fragment2").failed(1002),
        Case::new("5.16").send(twice(0)).failed(1002),
        Case::new("5.17").send(twice(FIN)).failed(1002),
        Case::new("5.18").send([frame(TEXT, b"fragment1"), frame(FIN | TEXT, b"fragment2")].concat()).failed(1002),
        // Ours: a message of the other kind inside one is as wrong, and the header alone shows it.
        Case::new("5.18 with a binary header")
            .send([frame(TEXT, b"fragment1"), vec![FIN | BINARY, 0x80, 0, 0, 0, 0]].concat())
            .failed(1002),
    ]);
    run(&cases);
}

#[test]
fn a_message_that_its_sender_cuts_comes_back_whole() {
    let payload = vec![b'*'; 65_536];
    let frames = fragments(BINARY, payload.chunks(1_300)).concat();
    run(&[Case::new("10.1.1").send(frames).expect(Received::Binary(payload))]);
}
