//! Groups 12 and 13: permessage-deflate (RFC 7692), with every kind of data, every offer and both modes of the server; and
//! what it changes about reserved bits, lengths and text.

use harness::server::Server;

use crate::case::{Case, run_with};
use crate::client::{Client, Received};
use crate::deflate::{Offer, deflate_once};
use crate::frame::{BINARY, CLOSE, COMPRESSED, CONTINUATION, FIN, PING, TEXT, fragments, frame, ping};

/// The server's two modes: compressors that all share, and a context for each connection. Everything is compressed.
const MODES: [[&str; 5]; 2] = [
    ["--compress", "--compress-threshold", "0", "--compress-contexts", "0"],
    ["--compress", "--compress-threshold", "0", "--compress-contexts", "100"],
];

/// The suite's sizes: bytes of a message, and of a frame of it where it is cut.
const SIZES: [(usize, usize); 18] = [
    (16, 0),
    (64, 0),
    (256, 0),
    (1024, 0),
    (4096, 0),
    (8192, 0),
    (16384, 0),
    (32768, 0),
    (65536, 0),
    (131_072, 0),
    (8192, 256),
    (16384, 256),
    (32768, 256),
    (65536, 256),
    (131_072, 256),
    (131_072, 1024),
    (131_072, 4096),
    (131_072, 32768),
];

/// Bytes that a case sends. The suite has a thousand messages, of whatever size; here the short ones have as many and the
/// longest eight, by which their contexts have turned over many times.
const CASE_BYTES: usize = 512 << 10;

/// A file of some kind.
struct Data {
    opcode: u8,
    bytes: Vec<u8>,
}

fn words(seed: u64, length: usize, vocabulary: &[&str]) -> Data {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::new();
    while text.len() < length {
        text += random.choice(vocabulary).expect("words");
        if random.u8(..) < 20 {
            text += &random.u32(..).to_string();
        }
    }
    Data { opcode: TEXT, bytes: text.into_bytes() }
}

/// JSON, a picture, prose, HTML, and what does not shrink: the kinds of the suite's five files.
fn files() -> [Data; 5] {
    let mut random = fastrand::Rng::with_seed(12);
    let length = 300_000;
    let picture = (0..length).map(|at: usize| {
        let (row, column) = (at / 512, at % 512);
        u8::try_from((row / 3 + column / 5 + usize::from(random.u8(..4))) % 256).expect("below 256")
    });
    let picture = picture.collect();
    let noise = (0..length).map(|_| random.u8(..)).collect();
    let json = ["{\"id\":", "\"name\":\"Zoë\",", "[1,2.5e3,true],", "null},", "\"tags\":[", "\"α\",", "]}\n"];
    let prose = [
        "Habe nun, ach! ",
        "Philosophie, ",
        "Juristerei ",
        "und ",
        "Medizin ",
        "studiert, ",
        "mit heißem ",
        "Bemühn.\n",
    ];
    let html = ["<div class=\"row\">", "</div>\n", "<a href=\"/x?y=", "\">", "&nbsp;", "<li>", "</li>", "日本語 "];
    [
        words(1, length, &json),
        Data { opcode: BINARY, bytes: picture },
        Data { opcode: BINARY, bytes: words(3, length, &prose).bytes },
        words(4, length, &html),
        Data { opcode: BINARY, bytes: noise },
    ]
}

/// Successive pieces of a file, from its beginning again at its end; of text, none ends inside a character.
fn pieces(data: &Data, length: usize) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at + length > data.bytes.len() {
            at = 0;
        }
        let mut end = at + length;
        while data.opcode == TEXT && data.bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end -= 1;
        }
        let piece = &data.bytes[at..end];
        at = end;
        Some(piece)
    })
}

/// One case: every message comes back, compressed.
fn echoes(server: &Server, offers: &[Offer], data: &Data, (length, frame_bytes): (usize, usize)) -> Result<(), String> {
    let mut client = Client::connect_offering(server.address(), "/echo", offers)?;
    if client.deflate().is_none() {
        return Err("compression is declined".to_owned());
    }
    let frame_bytes = if frame_bytes == 0 { usize::MAX } else { frame_bytes };
    for piece in pieces(data, length).take((CASE_BYTES / length).min(1000)) {
        client.send_compressed(data.opcode, piece, frame_bytes)?;
        let expected = match data.opcode {
            TEXT => Received::Text(String::from_utf8(piece.to_vec()).expect("whole characters")),
            _ => Received::Binary(piece.to_vec()),
        };
        let received = client.receive()?;
        if received != expected {
            return Err(format!("expected {expected:?}, received {received:?}"));
        }
        // With a context everything is; without one, what would not have become shorter is not.
        let takes_over = client.deflate().is_some_and(|deflate| deflate.server_takes_over());
        if !client.was_compressed() && (takes_over || (length >= 4096 && data.opcode == TEXT)) {
            return Err("the echo is not compressed".to_owned());
        }
    }
    client.send(&crate::frame::close(1000, b""))?;
    match client.receive()? {
        Received::Close(1000) => Ok(()),
        other => Err(format!("{other:?} in the place of the close frame")),
    }
}

/// A case's number, what is offered, what is sent, and in which sizes.
type Echo<'a> = (String, &'a [Offer], &'a Data, (usize, usize));

/// Runs cases in both modes and names those that fail.
fn run_echoes(cases: &[Echo<'_>]) {
    let mut failures = Vec::new();
    for flags in MODES {
        let server = Server::start(&flags);
        for (number, offers, data, size) in cases {
            if let Err(finding) = echoes(&server, offers, data, *size) {
                failures.push(format!("case {number} with {} contexts: {finding}", flags[4]));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} cases failed\n{}", failures.len(), 2 * cases.len(), failures.join("\n"));
    println!("{} cases passed, in both modes", cases.len());
}

/// As the suite's client offers it.
const PLAIN: Offer = Offer {
    server_no_context_takeover: false,
    server_max_window_bits: None,
    client_no_context_takeover: true,
    client_max_window_bits: true,
};

#[test]
fn every_kind_of_data_comes_back_compressed() {
    let files = files();
    let mut cases = Vec::new();
    for (group, data) in files.iter().enumerate() {
        for (index, size) in SIZES.into_iter().enumerate() {
            cases.push((format!("12.{}.{}", group + 1, index + 1), &[PLAIN][..], data, size));
        }
    }
    run_echoes(&cases);
}

#[test]
fn every_offer_is_kept_to() {
    let hints = |server_no_context_takeover, server_max_window_bits| Offer {
        server_no_context_takeover,
        server_max_window_bits,
        ..PLAIN
    };
    let groups = [
        vec![hints(false, None)],
        vec![hints(true, None)],
        vec![hints(false, Some(9))],
        vec![hints(false, Some(15))],
        vec![hints(true, Some(9))],
        vec![hints(true, Some(15))],
        vec![hints(true, Some(9)), hints(true, None), hints(false, None)],
        // Ours: a client that says nothing about itself, and one that bounds only the server.
        vec![Offer::default()],
        vec![Offer { server_max_window_bits: Some(10), ..Offer::default() }],
    ];
    let files = files();
    let mut cases = Vec::new();
    for (group, offers) in groups.iter().enumerate() {
        for (index, size) in SIZES.into_iter().enumerate() {
            cases.push((format!("13.{}.{}", group + 1, index + 1), &offers[..], &files[0], size));
        }
    }
    run_echoes(&cases);
}

#[test]
fn the_reserved_bit_stands_on_the_first_frame_of_a_message_only() {
    let payload = deflate_once(b"Hello, world! Hello, world!");
    let (left, right) = payload.split_at(5);
    let mut halves = fragments(TEXT, [left, right]);
    halves[0][0] |= COMPRESSED;
    let both = [halves[0].clone(), frame(FIN | COMPRESSED | CONTINUATION, right)].concat();
    let between = [halves[0].clone(), ping(b"between"), halves[1].clone()];
    let text = "Hello, world! Hello, world!";
    let whole = frame(FIN | COMPRESSED | TEXT, &payload);
    let new = |number: &str| Case::new(number).offering(PLAIN);
    for flags in MODES {
        run_with(
            &flags,
            &[
                new("in fragments").send_each(halves.clone()).expect_text(text),
                new("with a ping between").send_each(between.clone()).expect_pong(b"between").expect_text(text),
                new("byte by byte").dribble(between.concat()).expect_pong(b"between").expect_text(text),
                new("beside plain ones")
                    .send(crate::frame::text(text))
                    .expect_text(text)
                    .send(whole.clone())
                    .expect_text(text),
                new("on a continuation").send(both.clone()).failed(1002),
                new("on a ping").send(frame(FIN | COMPRESSED | PING, b"")).failed(1002),
                new("on a close frame").send(frame(FIN | COMPRESSED | CLOSE, b"")).failed(1002),
                new("on a stray continuation").send(frame(FIN | COMPRESSED | CONTINUATION, left)).failed(1002),
                new("on a reserved opcode").send(frame(FIN | COMPRESSED | 0x3, left)).failed(1002),
                new("beside the second one").send(frame(FIN | COMPRESSED | 0x20 | TEXT, &payload)).failed(1002),
                new("beside the third one").send(frame(FIN | COMPRESSED | 0x10 | TEXT, &payload)).failed(1002),
                Case::new("without an offer").send(whole.clone()).failed(1002),
            ],
        );
    }
    run_with(&[], &[Case::new("on a server that does not compress").send(whole).failed(1002)]);
}

#[test]
fn what_is_inflated_is_text_and_within_the_limit() {
    let new = |number: &str| Case::new(number).offering(PLAIN);
    let message = |payload: &[u8]| frame(FIN | COMPRESSED | TEXT, payload);
    let limit = 128 << 10;
    let bomb = deflate_once(&vec![b'a'; 100 << 20]);
    assert!(bomb.len() < limit, "{} bytes stand for 100 MiB", bomb.len());
    let full = "a".repeat(limit);
    let mut random = fastrand::Rng::with_seed(1);
    let noise = Vec::from_iter((0..limit).map(|_| random.u8(..)));
    let grown = deflate_once(&noise);
    assert!(grown.len() > limit, "noise does not shrink: {}", grown.len());
    for flags in MODES {
        run_with(
            &flags,
            &[
                new("as much as may be").send(message(&deflate_once(full.as_bytes()))).expect_text(&full),
                new("one byte more").send(message(&deflate_once(&vec![b'a'; limit + 1]))).failed(1009),
                new("100 MiB in 100 KiB").send(message(&bomb)).failed(1009),
                new("noise of the largest size")
                    .send(frame(FIN | COMPRESSED | BINARY, &grown))
                    .expect(Received::Binary(noise.clone())),
                new("a longer frame than that can be")
                    .send(vec![0xc1, 0xff, 0, 0, 0, 0, 0, 3, 0, 0, 1, 2, 3, 4])
                    .failed(1009),
                new("no UTF-8").send(message(&deflate_once(b"good \xed\xa0\x80 bad"))).failed(1007),
                new("no DEFLATE").send(message(b"\xff\xff\xff\xff")).failed(1007),
                new("a stored block that contradicts itself").send(message(b"\x00\x05\x00\x00\x00Hello")).failed(1007),
                new("nothing at all").send(message(b"")).failed(1007),
                new("an empty message").send(message(b"\x00")).expect_text(""),
                new("a last block").send(message(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00")).expect_text("Hello"),
            ],
        );
    }
}

#[test]
fn offers_that_cannot_be_kept_are_declined_and_the_connection_is_good() {
    let server = Server::start(&MODES[1]);
    let good = "permessage-deflate; server_max_window_bits=15";
    for bad in [
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=\"7\"",
        "permessage-deflate; unknown_parameter",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-bzip2",
        "x-webkit-deflate-frame",
        "; ; ,",
    ] {
        let (mut client, answer) = Client::connect_with(server.address(), "/echo", bad).expect("an upgrade");
        assert_eq!(answer, None, "{bad}");
        client.send(&crate::frame::text("plain")).expect("the server reads");
        assert_eq!(client.receive(), Ok(Received::Text("plain".to_owned())), "{bad}");
        let both = format!("{bad}, {good}");
        let (_, answer) = Client::connect_with(server.address(), "/echo", &both).expect("an upgrade");
        assert_eq!(answer.as_deref(), Some(good), "{both}");
    }
}
