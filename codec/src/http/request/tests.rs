//! What heads are accepted, what is refused and with which status: one test for each rule, on whole heads and on heads
//! that arrive a byte at a time.

use super::*;
use crate::http::HEAD_BYTES_MAX;

/// The status with which a head is refused.
fn refused(head: &str) -> u16 {
    refusal_of(head.as_bytes()).status()
}

/// Why a head is refused: the same whether it arrives whole or a byte at a time.
fn refusal_of(bytes: &[u8]) -> HttpError {
    let mut storage = HeaderStorage::new();
    let error = parse(bytes, &mut storage, HEAD_BYTES_MAX).expect_err("must be refused");
    let in_pieces = (1..=bytes.len()).find_map(|received| {
        let mut storage = HeaderStorage::new();
        parse_more(&bytes[..received], received - 1, &mut storage, HEAD_BYTES_MAX).err()
    });
    assert_eq!(in_pieces, Some(error), "another verdict a byte at a time");
    error
}

/// Checks the head of a request that is good.
fn accepted(head: &str, check: impl Fn(&Head<'_>)) {
    let mut storage = HeaderStorage::new();
    let (parsed, length) =
        parse(head.as_bytes(), &mut storage, HEAD_BYTES_MAX).expect("must be accepted").expect("must be whole");
    assert_eq!(length, head.len());
    check(&parsed);
    for received in 1..head.len() {
        let mut storage = HeaderStorage::new();
        let early = parse_more(&head.as_bytes()[..received], received - 1, &mut storage, HEAD_BYTES_MAX);
        assert!(matches!(early, Ok(None)), "{early:?} after {received} bytes");
    }
}

/// A GET with these header lines beside Host.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn head_is_split_into_its_parts() {
    accepted("GET /chat/room?a=1?b HTTP/1.1\r\nHost: example.org:8000\r\nX-Thing:  two words \r\n\r\n", |head| {
        assert_eq!((head.method, head.target), ("GET", "/chat/room?a=1?b"));
        assert_eq!((head.path, head.query), ("/chat/room", Some("a=1?b")));
        assert_eq!(head.minor_version, 1);
        assert_eq!(head.header("x-tHING"), Some("two words"));
        assert_eq!(head.header("x-other"), None);
        assert_eq!(head.headers.len(), 2);
    });
}

#[test]
fn bytes_after_the_head_are_left_alone() {
    let mut storage = HeaderStorage::new();
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x80\x00\x00\x00\x00";
    let (_, length) = parse(bytes, &mut storage, HEAD_BYTES_MAX).expect("good").expect("whole");
    assert_eq!(length, bytes.len() - 6);
}

#[test]
fn list_members_are_found_over_several_lines() {
    accepted(&get("A: x, y,,\r\na:\tz \r\n"), |head| {
        assert_eq!(head.tokens("a").collect::<Vec<_>>(), ["x", "y", "z"]);
        assert_eq!(head.headers.all("A").count(), 2);
    });
}

#[test]
fn one_empty_line_before_the_request_is_forgiven_and_two_are_not() {
    accepted("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.path, "/"));
    assert_eq!(refused("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

#[test]
fn keep_alive_follows_version_and_connection_header() {
    accepted(&get(""), |head| assert!(head.keep_alive()));
    accepted(&get("Connection: x, Close\r\n"), |head| assert!(!head.keep_alive()));
    accepted("GET / HTTP/1.0\r\n\r\n", |head| assert!(!head.keep_alive()));
    accepted("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", |head| assert!(head.keep_alive()));
    accepted("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", |head| {
        assert!(!head.keep_alive());
    });
}

#[test]
fn wish_for_a_websocket_is_seen() {
    accepted(&get("Upgrade: h2c, WebSocket\r\n"), |head| assert!(head.wants_upgrade()));
    accepted(&get("Upgrade: h2c\r\n"), |head| assert!(!head.wants_upgrade()));
    accepted(&get(""), |head| assert!(!head.wants_upgrade()));
}

#[test]
fn framing_of_the_body_is_said() {
    accepted(&get(""), |head| assert_eq!(head.body(), Body::None));
    accepted(&get("Content-Length: 0\r\n"), |head| assert_eq!(head.body(), Body::None));
    accepted(&get("Content-Length: 012\r\n"), |head| {
        assert_eq!((head.body(), head.content_length()), (Body::Length(12), 12));
    });
    accepted(&get("Transfer-Encoding: Chunked\r\n"), |head| {
        assert_eq!((head.body(), head.content_length(), head.is_chunked()), (Body::Chunked, 0, true));
    });
}

#[test]
fn ambiguous_body_is_refused() {
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Content-Length: 4, 4\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 4 4\r\n",
        "Content-Length:\r\n",
        "Content-Length: 9999999999999999999\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        assert_eq!(refused(&get(lines)), 400, "{lines}");
    }
    assert_eq!(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

#[test]
fn host_is_one_and_only_one() {
    assert_eq!(refusal_of(b"GET / HTTP/1.1\r\n\r\n"), HttpError::HostMissing);
    assert_eq!(refusal_of(get("Host: a\r\n").as_bytes()), HttpError::HostRepeated);
    assert_eq!(refusal_of(get("hOST: b\r\n").as_bytes()), HttpError::HostRepeated);
    for host in ["", "a b", "a,b", "user@a", "a/b", "http://a", "a?b", "a#b", "a\\b", "\u{e9}"] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(refusal_of(head.as_bytes()), HttpError::HostMalformed, "{host}");
    }
    for host in ["a", "localhost:8000", "[::1]:8000", "127.0.0.1", "xn--bcher-kva.example", "under_score"] {
        accepted(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), |head| {
            assert_eq!(head.header("host"), Some(host))
        });
    }
}

#[test]
fn line_ends_other_than_cr_lf_are_refused() {
    assert_eq!(refusal_of(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), HttpError::BareLineEnd);
    assert_eq!(refusal_of(b"GET / HTTP/1.1\r\nHost: a\n\r\n"), HttpError::BareLineEnd);
    assert_eq!(refusal_of(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), HttpError::BareLineEnd);
    assert_eq!(refusal_of(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), HttpError::BareLineEnd);
    for lone_cr in
        ["GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "GET / HTTP/1.1\rHost: a\r\n\r\n", "GET /\r HTTP/1.1\r\n\r\n"]
    {
        let mut storage = HeaderStorage::new();
        let error = parse(lone_cr.as_bytes(), &mut storage, HEAD_BYTES_MAX).expect_err("must be refused");
        assert_eq!(error.status(), 400, "{lone_cr:?}");
    }
}

#[test]
fn lone_cr_is_refused_before_the_head_is_whole() {
    let mut storage = HeaderStorage::new();
    assert!(matches!(parse_more(b"GET / HTTP/1.1\r", 14, &mut storage, HEAD_BYTES_MAX), Ok(None)));
    let mut storage = HeaderStorage::new();
    let outcome = parse_more(b"GET / HTTP/1.1\rX", 15, &mut storage, HEAD_BYTES_MAX);
    assert_eq!(outcome.err(), Some(HttpError::BareLineEnd));
}

#[test]
fn folded_headers_are_refused() {
    assert_eq!(refusal_of(get("X: a\r\n b\r\n").as_bytes()), HttpError::FoldedHeader);
    assert_eq!(refusal_of(get("X: a\r\n\tb\r\n").as_bytes()), HttpError::FoldedHeader);
    assert_eq!(refusal_of(b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"), HttpError::FoldedHeader);
}

#[test]
fn malformed_header_names_are_refused() {
    for line in ["X : a", "X\t: a", ": a", "X Y: a", "X(: a", "\u{e9}: a", "no colon", "[X]: a"] {
        assert_eq!(refusal_of(get(&format!("{line}\r\n")).as_bytes()), HttpError::HeaderName, "{line}");
    }
}

#[test]
fn control_characters_are_refused_as_soon_as_they_are_seen() {
    for byte in (0..=0x1f).chain([0x7f]).filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n')) {
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &[byte][..]].concat();
        let mut storage = HeaderStorage::new();
        let outcome = parse(&head, &mut storage, HEAD_BYTES_MAX);
        assert_eq!(outcome.err(), Some(HttpError::Character), "{byte}");
        let whole = [&head, &b"\r\n\r\n"[..]].concat();
        let mut storage = HeaderStorage::new();
        let outcome = parse(&whole, &mut storage, HEAD_BYTES_MAX);
        assert_eq!(outcome.err().map(HttpError::status), Some(400), "{byte}");
    }
    // The first bytes of a TLS connection.
    let mut storage = HeaderStorage::new();
    assert_eq!(parse(b"\x16\x03\x01", &mut storage, HEAD_BYTES_MAX).err(), Some(HttpError::Character));
}

#[test]
fn text_beyond_ascii_is_allowed_in_values_if_it_is_utf8() {
    accepted(&get("X: \u{e9}\u{20ac}\r\n"), |head| assert_eq!(head.header("x"), Some("\u{e9}\u{20ac}")));
    let latin1 = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &[0xe9][..], b"\r\n\r\n"].concat();
    assert_eq!(refusal_of(&latin1), HttpError::Character);
}

#[test]
fn targets_other_than_absolute_paths_are_refused() {
    for target in ["http://a/", "a", "a:80", "*", "?x", "/a#b", "/\u{e9}"] {
        assert_eq!(refused(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")), 400, "{target}");
    }
    accepted("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.path, "*"));
    accepted("GET /api/chat/say?\"hi\" HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.query, Some("\"hi\"")));
    accepted("GET /%00/..%2f HTTP/1.1\r\nHost: a\r\n\r\n", |head| assert_eq!(head.path, "/%00/..%2f"));
}

#[test]
fn request_line_is_three_words_with_one_space_between() {
    for line in
        ["GET / a HTTP/1.1", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET /"]
    {
        assert_eq!(refused(&format!("{line}\r\nHost: a\r\n\r\n")), 400, "{line}");
    }
}

#[test]
fn methods_are_those_of_http() {
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        accepted(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"), |head| assert_eq!(head.method, method));
    }
    assert_eq!(refused("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 405);
    assert_eq!(refused("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
    assert_eq!(refused("get / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
    assert_eq!(refused("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
    assert_eq!(refused("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

#[test]
fn versions_other_than_1_0_and_1_1_are_refused() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.1"] {
        assert_eq!(refused(&format!("GET / {version}\r\nHost: a\r\n\r\n")), 505, "{version}");
    }
    for version in ["HTTP/1", "http/1.1", "HTTP/1.11", "HTP/1.1", "HTTP/x.1"] {
        assert_eq!(refused(&format!("GET / {version}\r\nHost: a\r\n\r\n")), 400, "{version}");
    }
}

#[test]
fn head_of_exactly_the_limit_is_accepted_and_longer_ones_are_not() {
    let head = get(&format!("X: {}\r\n", "a".repeat(200)));
    let mut storage = HeaderStorage::new();
    assert!(matches!(parse(head.as_bytes(), &mut storage, head.len()), Ok(Some(_))));
    let mut storage = HeaderStorage::new();
    assert_eq!(parse(head.as_bytes(), &mut storage, head.len() - 1).err(), Some(HttpError::HeadTooLong));
    // Refused as soon as the limit is reached, whether or not an end would come.
    let mut storage = HeaderStorage::new();
    assert_eq!(parse(&head.as_bytes()[..100], &mut storage, 100).err().map(HttpError::status), Some(431));
}

#[test]
fn endless_request_line_is_refused_as_such() {
    assert_eq!(refused(&format!("GET /{}", "a".repeat(HEAD_BYTES_MAX))), 414);
    assert_eq!(refused(&format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_BYTES_MAX))), 431);
}

#[test]
fn hundred_headers_are_accepted_and_one_more_is_not() {
    let lines = "x:y\r\n".repeat(HEADERS_MAX - 1);
    accepted(&get(&lines), |head| assert_eq!(head.headers.len(), HEADERS_MAX));
    assert_eq!(refused(&get(&format!("{lines}x:y\r\n"))), 431);
}

#[test]
fn bytes_seen_by_an_earlier_call_are_not_looked_at_again() {
    // A client that sends a byte at a time must cost linear time. These bytes would be refused if they were seen.
    let bytes = b"\x01\n\r\x02\r\n\r\nX: y";
    let mut storage = HeaderStorage::new();
    assert!(matches!(parse_more(bytes, 8, &mut storage, HEAD_BYTES_MAX), Ok(None)));
}

#[test]
fn long_run_of_spaces_is_accepted_even_a_byte_at_a_time() {
    let head = get(&format!("Sec-WebSocket-Protocol: a{}b\r\n", " ".repeat(15_000)));
    accepted(&head, |head| assert_eq!(head.tokens("sec-websocket-protocol").count(), 1));
}

#[test]
fn a_first_line_without_a_version_is_refused_when_it_is_whole() {
    for line in ["GET /\r\n", "GET\r\n", "\r\nGET /x y\r\n"] {
        let mut scanned = 0;
        for received in 1..line.len() {
            let mut storage = HeaderStorage::new();
            let parsed = parse_more(&line.as_bytes()[..received], scanned, &mut storage, HEAD_BYTES_MAX);
            assert!(matches!(parsed, Ok(None)), "{received} of {line:?}: {parsed:?}");
            scanned = received;
        }
        let mut storage = HeaderStorage::new();
        let parsed = parse_more(line.as_bytes(), scanned, &mut storage, HEAD_BYTES_MAX);
        assert_eq!(parsed.err(), Some(HttpError::Syntax), "{line:?}");
    }
}
