//! Group 6: text is UTF-8, however it is cut, and what can no longer become UTF-8 is refused at once.

use crate::case::{Case, run};
use crate::frame::{CONTINUATION, FIN, TEXT, fragments, frame, text};

const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";

/// A case for each text, numbered from 1: good ones come back, bad ones end the connection.
fn numbered<'a>(group: &str, texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Case> {
    let case = |(index, bytes): (usize, &[u8])| {
        let case = Case::new(format!("{group}.{}", index + 1)).send(frame(FIN | TEXT, bytes));
        // The standard library is the judge: the tables below name what they hold.
        match std::str::from_utf8(bytes) {
            Ok(text) => case.expect_text(text),
            Err(_) => case.failed(1007),
        }
    };
    texts.into_iter().enumerate().map(case).collect()
}

/// All must be good.
fn good<'a>(group: &str, texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Case> {
    let texts = Vec::from_iter(texts);
    assert!(texts.iter().all(|bytes| std::str::from_utf8(bytes).is_ok()), "group {group} is of good texts");
    numbered(group, texts)
}

/// All must be bad.
fn bad<'a>(group: &str, texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Case> {
    let texts = Vec::from_iter(texts);
    assert!(texts.iter().all(|bytes| std::str::from_utf8(bytes).is_err()), "group {group} is of bad texts");
    numbered(group, texts)
}

#[test]
fn text_may_be_empty_and_cut_anywhere() {
    let mixed = "Hello-µ@ßöäüàá-UTF-8!!";
    let (left, right) = mixed.as_bytes().split_at(12);
    let kosme = std::str::from_utf8(KOSME).expect("good text");
    run(&[
        Case::new("6.1.1").send(text("")).expect_text(""),
        Case::new("6.1.2").send(fragments(TEXT, [&b""[..], b"", b""]).concat()).expect_text(""),
        Case::new("6.1.3")
            .send(fragments(TEXT, [&b""[..], b"middle frame payload", b""]).concat())
            .expect_text("middle frame payload"),
        Case::new("6.2.1").send(text(mixed)).expect_text(mixed),
        Case::new("6.2.2").send(fragments(TEXT, [left, right]).concat()).expect_text(mixed),
        Case::new("6.2.3").send_each(fragments(TEXT, mixed.as_bytes().chunks(1))).expect_text(mixed),
        Case::new("6.2.4").send_each(fragments(TEXT, KOSME.chunks(1))).expect_text(kosme),
        // Ours: one frame, byte by byte.
        Case::new("6.2.1 byte by byte").dribble(text(mixed)).expect_text(mixed),
    ]);
}

#[test]
fn text_that_can_no_longer_become_good_is_refused_at_once() {
    let surrogate = [KOSME, b"\xed\xa0\x80edited"].concat();
    // U+110000: the second byte shows it.
    let (beyond, late) = ([KOSME, b"\xf4\x90\x80\x80edited"].concat(), b"\x80\x80edited");
    let whole = frame(FIN | TEXT, &beyond);
    let header = 6;
    let at = header + KOSME.len();
    // In the middle of a frame nothing shows whether the server is still there, but a ping between frames does.
    let alive = |case: Case| case.send(crate::frame::ping(b"still there?")).expect_pong(b"still there?");
    run(&[
        Case::new("6.3.1").send(frame(FIN | TEXT, &surrogate)).failed(1007),
        Case::new("6.3.2").send_each(fragments(TEXT, surrogate.chunks(1))).failed(1007),
        // What follows is never sent: the server must not wait for it.
        alive(Case::new("6.4.1").send(frame(TEXT, KOSME))).send(frame(CONTINUATION, b"\xf4\x90\x80\x80")).failed(1007),
        alive(Case::new("6.4.2").send(frame(TEXT, &[KOSME, b"\xf4"].concat())))
            .send(frame(CONTINUATION, b"\x90"))
            .failed(1007),
        Case::new("6.4.3").send(whole[..at].to_vec()).send(whole[at..at + 4].to_vec()).failed(1007),
        Case::new("6.4.4").send(whole[..=at].to_vec()).send(whole[at + 1..at + 2].to_vec()).failed(1007),
        // As the suite has them, with the rest.
        Case::new("6.4.1 with the rest")
            .send_each([frame(TEXT, KOSME), frame(CONTINUATION, b"\xf4\x90"), frame(FIN | CONTINUATION, late)])
            .failed(1007),
        Case::new("6.4.3 byte by byte").dribble(whole).failed(1007),
    ]);
}

#[test]
fn every_prefix_is_judged_by_itself() {
    // 6.5 of the suite: the same text, cut between all of its bytes into two writes of one frame.
    let whole = frame(FIN | TEXT, KOSME);
    let kosme = std::str::from_utf8(KOSME).expect("good text");
    let mut cases = Vec::new();
    for cut in 1..KOSME.len() {
        let (left, right) = whole.split_at(6 + cut);
        let case = Case::new(format!("6.5 cut at {cut}"));
        cases.push(case.send(left.to_vec()).send(right.to_vec()).expect_text(kosme));
    }
    cases.extend(numbered("6.6", (1..=KOSME.len()).map(|length| &KOSME[..length])));
    run(&cases);
}

#[test]
fn sequences_at_the_edges_are_told_apart() {
    let continuations = Vec::from_iter(0x80..=0xbf_u8);
    let starts = |first: u8, last: u8| Vec::from_iter((first..=last).flat_map(|start| [start, b' ']));
    let lonely = [starts(0xc0, 0xdf), starts(0xe0, 0xef), starts(0xf0, 0xf7), starts(0xf8, 0xfb), starts(0xfc, 0xfd)];
    let unfinished: [&[u8]; 10] = [
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfb\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf",
    ];
    let together = unfinished.concat();
    run(&[
        good("6.7", [&b"\x00"[..], b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"]),
        bad("6.8", [&b"\xf8\x88\x80\x80\x80"[..], b"\xfc\x84\x80\x80\x80\x80"]),
        good("6.9", [&b"\x7f"[..], b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]),
        bad("6.10", [&b"\xf7\xbf\xbf\xbf"[..], b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"]),
        numbered(
            "6.11",
            [&b"\xed\x9f\xbf"[..], b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80"],
        ),
        bad(
            "6.12",
            [
                &b"\x80"[..],
                b"\xbf",
                b"\x80\xbf",
                b"\x80\xbf\x80",
                b"\x80\xbf\x80\xbf",
                b"\x80\xbf\x80\xbf\x80",
                b"\x80\xbf\x80\xbf\x80\xbf",
                &continuations,
            ],
        ),
        bad("6.13", lonely.iter().map(Vec::as_slice)),
        bad("6.14", unfinished),
        bad("6.15", [&together[..]]),
        bad("6.16", [&b"\xfe"[..], b"\xff", b"\xfe\xfe\xff\xff"]),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>());
}

#[test]
fn overlong_forms_and_surrogates_are_refused_and_odd_characters_are_not() {
    let surrogate_pairs: [&[u8]; 8] = [
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xa0\x80\xed\xbf\xbf",
        b"\xed\xad\xbf\xed\xb0\x80",
        b"\xed\xad\xbf\xed\xbf\xbf",
        b"\xed\xae\x80\xed\xb0\x80",
        b"\xed\xae\x80\xed\xbf\xbf",
        b"\xed\xaf\xbf\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
    ];
    // The last two characters of each of the 17 planes.
    let no_characters = (0..17_u32).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let no_characters = no_characters.map(|code| char::from_u32(code).expect("no surrogate").to_string());
    let no_characters = Vec::from_iter(no_characters);
    let specials =
        Vec::from_iter((0xfff9..=0xffff_u32).map(|code| char::from_u32(code).expect("no surrogate").to_string()));
    run(&[
        bad(
            "6.17",
            [
                &b"\xc0\xaf"[..],
                b"\xe0\x80\xaf",
                b"\xf0\x80\x80\xaf",
                b"\xf8\x80\x80\x80\xaf",
                b"\xfc\x80\x80\x80\x80\xaf",
            ],
        ),
        bad(
            "6.18",
            [
                &b"\xc1\xbf"[..],
                b"\xe0\x9f\xbf",
                b"\xf0\x8f\xbf\xbf",
                b"\xf8\x87\xbf\xbf\xbf",
                b"\xfc\x83\xbf\xbf\xbf\xbf",
            ],
        ),
        bad(
            "6.19",
            [
                &b"\xc0\x80"[..],
                b"\xe0\x80\x80",
                b"\xf0\x80\x80\x80",
                b"\xf8\x80\x80\x80\x80",
                b"\xfc\x80\x80\x80\x80\x80",
            ],
        ),
        bad(
            "6.20",
            [
                &b"\xed\xa0\x80"[..],
                b"\xed\xad\xbf",
                b"\xed\xae\x80",
                b"\xed\xaf\xbf",
                b"\xed\xb0\x80",
                b"\xed\xbe\x80",
                b"\xed\xbf\xbf",
            ],
        ),
        bad("6.21", surrogate_pairs),
        good("6.22", no_characters.iter().map(String::as_bytes)),
        good("6.23", specials.iter().map(String::as_bytes)),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>());
}
