//! Heads of responses: nothing that a server answers surprises a client, and whatever text a response is written from,
//! it parses to that status, those headers and that length.
#![no_main]

use codec::http::{HEAD_BYTES_MAX, HeaderStorage, response};
use codec::websocket::handshake;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    check_parse(input);
    check_write(input);
});

fn check_parse(input: &[u8]) {
    let mut storage = HeaderStorage::new();
    if let Ok(Some((head, length))) = response::parse(input, &mut storage, HEAD_BYTES_MAX) {
        assert!(length <= input.len() && input[..length].ends_with(b"\r\n\r\n"));
        assert!((100..1000).contains(&head.status));
        for cut in 0..length {
            let mut storage = HeaderStorage::new();
            let early = response::parse(&input[..cut], &mut storage, HEAD_BYTES_MAX);
            assert!(matches!(early, Ok(None)), "{early:?} for a beginning of what is good as a whole");
        }
    }
    let opened = handshake::check_response(input, *b"0123456789abcdef");
    if let Ok(Some(length)) = opened {
        assert!(input[..length].starts_with(b"HTTP/1."));
    }
}

/// Writes a response from hostile text.
fn check_write(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.splitn(3, '|');
    let (first, second, body) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let status = 200 + u16::from(input.first().copied().unwrap_or(0));
    let keep_alive = input.len().is_multiple_of(2);
    let mut out = Vec::new();
    response::write(&mut out, status, &[("X-First", first), ("X-Second", second)], body.as_bytes(), keep_alive);
    let mut storage = HeaderStorage::new();
    let parsed = response::parse(&out, &mut storage, usize::MAX);
    let Ok(Some((head, length))) = parsed else {
        panic!("{parsed:?} for what was written");
    };
    assert_eq!((head.status, head.keep_alive(), head.headers.len() <= 4), (status, keep_alive, true));
    let safe = |text: &str| text.replace(|c: char| c.is_ascii_control(), " ").trim_matches(' ').to_owned();
    assert_eq!(head.header("x-first"), Some(safe(first).as_str()));
    assert_eq!(head.header("x-second"), Some(safe(second).as_str()));
    if let Some(content_length) = head.content_length {
        assert_eq!(content_length, (out.len() - length) as u64);
        assert_eq!(&out[length..], body.as_bytes());
    }
}
