//! Heads of requests: the pieces they arrive in change nothing, what is accepted is unambiguous and survives being
//! written and parsed again, and the WebSocket handshake judges it without surprise.
#![no_main]

use codec::http::request::{self, Head};
use codec::http::{HeaderStorage, HttpError};
use codec::websocket::extension::{self, Terms, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use codec::websocket::handshake;
use socketshard_codec_fuzz::chop::Chop;

/// Small, so that a fuzzer reaches it.
const HEAD_BYTES_MAX: usize = 2_000;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((mut chop, stream)) = Chop::split(input) else {
        return;
    };
    let mut storage = HeaderStorage::new();
    let whole = request::parse(stream, &mut storage, HEAD_BYTES_MAX);
    check_pieces(stream, &mut chop, &whole);
    match whole {
        Ok(Some((head, length))) => check_head(&stream[..length], &head),
        Ok(None) => assert!(stream.len() < HEAD_BYTES_MAX, "over the limit and not refused"),
        Err(error) => assert!(matches!(error.status(), 400 | 405 | 414 | 431 | 501 | 505)),
    }
});

/// Grows the head piece by piece, and expects the verdict that it had as a whole.
fn check_pieces(stream: &[u8], chop: &mut Chop, whole: &Result<Option<(Head<'_>, usize)>, HttpError>) {
    let (mut scanned, mut received) = (0, 0);
    while received < stream.len() {
        received += chop.piece(stream.len() - received);
        let mut storage = HeaderStorage::new();
        match (request::parse_more(&stream[..received], scanned, &mut storage, HEAD_BYTES_MAX), whole) {
            (Ok(None), _) => scanned = received,
            (Ok(Some((head, length))), Ok(Some((expected, expected_length)))) => {
                assert_eq!(length, *expected_length);
                assert_eq!(format!("{head:?}"), format!("{expected:?}"));
                return;
            }
            (Err(_), Err(_)) => return,
            (seen, expected) => panic!("{seen:?} in pieces, {expected:?} as a whole"),
        }
    }
    assert!(matches!(whole, Ok(None)), "incomplete in pieces, {whole:?} as a whole");
}

fn check_head(bytes: &[u8], head: &Head<'_>) {
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert!(head.headers.all("host").count() <= 1);
    assert!(!(head.is_chunked() && head.header("content-length").is_some()));
    match head.query {
        Some(query) => assert_eq!(head.target, format!("{}?{query}", head.path)),
        None => assert_eq!(head.target, head.path),
    }
    let mut again = format!("{} {} HTTP/1.{}\r\n", head.method, head.target, head.minor_version);
    for (name, value) in head.headers.iter() {
        assert!(!value.contains(['\r', '\n', '\0']) && !name.is_empty());
        again += &format!("{name}: {value}\r\n");
    }
    again += "\r\n";
    let mut storage = HeaderStorage::new();
    // Not the fuzzed limit: a space that the sender left out is written here.
    let parsed = request::parse(again.as_bytes(), &mut storage, 2 * HEAD_BYTES_MAX);
    let Ok(Some((same, length))) = parsed else {
        panic!("{parsed:?} for what was written again: {again:?}");
    };
    assert_eq!(length, again.len());
    assert_eq!(format!("{same:?}"), format!("{head:?}"));
    check_agreement(head);
    match handshake::accept(head) {
        Ok(accept) => {
            assert!(head.wants_upgrade() && head.method == "GET" && head.content_length() == 0);
            let mut out = Vec::new();
            handshake::write_response(&mut out, &accept, head.tokens("sec-websocket-protocol").next());
            let mut storage = HeaderStorage::new();
            let (answer, _) = codec::http::response::parse(&out, &mut storage, 2 * HEAD_BYTES_MAX)
                .expect("what is answered is http")
                .expect("what is answered is whole");
            assert_eq!(answer.status, 101);
        }
        Err(error) => assert!(matches!(error.status(), 400 | 405 | 426)),
    }
}

/// Whatever was offered, no more is agreed to than the terms allow.
fn check_agreement(head: &Head<'_>) {
    for window_bits_max in [WINDOW_BITS_MIN, 12, WINDOW_BITS_MAX] {
        for takes_over in [false, true] {
            let terms = Terms { window_bits_max, takes_over };
            let Some(agreement) = extension::agree(head, terms) else { continue };
            assert!((WINDOW_BITS_MIN..=window_bits_max).contains(&agreement.server_window_bits));
            // Its compressor may have a smaller one than ours.
            assert!((8..=WINDOW_BITS_MAX).contains(&agreement.client_window_bits));
            assert!(takes_over || !(agreement.server_takes_over || agreement.client_takes_over));
            assert!(agreement.to_string().starts_with("permessage-deflate"));
        }
    }
}
