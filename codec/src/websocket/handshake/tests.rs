//! Both sides of the upgrade: what RFC 6455 section 4 demands, one test for each demand.

use super::*;
use crate::http::request::parse;

/// The example of RFC 6455 section 1.3.
const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn judge(request: &str) -> Result<Accept, HandshakeError> {
    let mut storage = HeaderStorage::new();
    let (head, _) = parse(request.as_bytes(), &mut storage, HEAD_BYTES_MAX).expect("is http").expect("is whole");
    accept(&head)
}

/// Judges the example with one thing in it replaced.
fn judge_with(old: &str, new: &str) -> Result<Accept, HandshakeError> {
    assert!(REQUEST.contains(old), "{old} is not in the example");
    judge(&REQUEST.replace(old, new))
}

#[test]
fn example_of_the_rfc_is_accepted_with_its_proof() {
    let mut out = Vec::new();
    write_response(&mut out, &judge(REQUEST).expect("good"), None);
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(std::str::from_utf8(&out), Ok(expected));
}

#[test]
fn chosen_subprotocol_is_named_and_cannot_split_the_answer() {
    let mut out = Vec::new();
    write_response(&mut out, &judge(REQUEST).expect("good"), Some("chat\r\nX: y"));
    let text = String::from_utf8(out).expect("ascii");
    assert!(text.ends_with("\r\nSec-WebSocket-Protocol: chat  X: y\r\n\r\n"), "{text}");
}

#[test]
fn case_and_lists_of_upgrade_and_connection_do_not_matter() {
    assert!(judge_with("Upgrade: websocket", "UPGRADE: h2c, WebSocket").is_ok());
    assert!(judge_with("Connection: Upgrade", "connection: keep-alive ,upgrade").is_ok());
    assert!(judge_with("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade").is_ok());
    assert!(judge_with("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n").is_ok());
}

#[test]
fn method_must_be_get() {
    let error = judge_with("GET", "POST").expect_err("not GET");
    assert_eq!((error, error.status()), (HandshakeError::Method, 405));
    assert_eq!(error.headers(), [("Allow", "GET")]);
}

#[test]
fn http_1_0_is_refused() {
    let error = judge_with("HTTP/1.1", "HTTP/1.0").expect_err("too old");
    assert_eq!((error, error.status()), (HandshakeError::HttpVersion, 400));
}

#[test]
fn body_is_refused() {
    for line in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let error = judge_with("\r\n\r\n", &format!("\r\n{line}\r\n\r\n")).expect_err("body");
        assert_eq!((error, error.status()), (HandshakeError::Body, 400));
    }
    assert!(judge_with("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n").is_ok());
}

#[test]
fn upgrade_and_connection_must_say_so() {
    for (old, new, expected) in [
        ("Upgrade: websocket\r\n", "", HandshakeError::Upgrade),
        ("Upgrade: websocket", "Upgrade: websockets", HandshakeError::Upgrade),
        ("Connection: Upgrade\r\n", "", HandshakeError::Connection),
        ("Connection: Upgrade", "Connection: keep-alive", HandshakeError::Connection),
    ] {
        let error = judge_with(old, new).expect_err("must be refused");
        assert_eq!((error, error.status()), (expected, 400));
    }
}

#[test]
fn version_must_be_13_and_the_refusal_says_so() {
    for line in ["8", "0", "14", "13, 8", "013", ""] {
        let error = judge_with("Version: 13", &format!("Version: {line}")).expect_err("must be refused");
        assert_eq!((error, error.status()), (HandshakeError::Version, 426), "{line}");
        assert!(error.headers().contains(&("Sec-WebSocket-Version", "13")));
    }
    let missing = judge_with("Sec-WebSocket-Version: 13\r\n", "");
    assert_eq!(missing, Err(HandshakeError::Version));
    let twice = judge_with("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n");
    assert_eq!(twice, Err(HandshakeError::Version));
}

#[test]
fn key_must_be_one_and_sixteen_bytes_of_base64() {
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZ===",
        "dGhlIHNhbXBsZSBub25j!Q==",
        "dGhlIHNhbXBsZSBub25j_Q==",
        "dGhlIHNhbXBsZSBub25jZWE=",
        "dGhlIHNhbXBsZSBub25jZWFi",
        "dGhlIHNhbXBsZSBub25jZSBsb25nZXI=",
    ] {
        let error = judge_with("dGhlIHNhbXBsZSBub25jZQ==", key).expect_err("must be refused");
        assert_eq!((error, error.status()), (HandshakeError::Key, 400), "{key}");
    }
    let twice = judge_with("Version: 13", "Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(twice, Err(HandshakeError::Key));
    assert_eq!(judge_with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), Err(HandshakeError::Key));
}

#[test]
fn key_is_sent_in_base64() {
    assert_eq!(&key_text(*b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(&key_text([0xff; 16]), b"/////////////////////w==");
    assert_eq!(&key_text([0; 16]), b"AAAAAAAAAAAAAAAAAAAAAA==");
}

#[test]
fn our_request_is_accepted_by_our_server_and_its_answer_by_our_client() {
    let key = *b"0123456789abcdef";
    let mut request = Vec::new();
    write_request(&mut request, "localhost:8000", "/socketcluster/", key, &[("Origin", "http://a\r\nX: y")]);
    let text = String::from_utf8(request).expect("ascii");
    assert!(text.contains("\r\nOrigin: http://a  X: y\r\n"), "{text}");
    let mut answer = Vec::new();
    write_response(&mut answer, &judge(&text).expect("good"), None);
    let length = answer.len();
    answer.extend_from_slice(b"\x81\x00");
    for cut in 0..length {
        assert_eq!(check_response(&answer[..cut], key), Ok(None));
    }
    assert_eq!(check_response(&answer, key), Ok(Some(length)));
    assert_eq!(check_response(&answer, [0; 16]), Err(ResponseError::AcceptKey));
}

#[test]
fn answers_that_open_nothing_are_refused_with_the_reason() {
    let key = *b"the sample nonce";
    let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(check_response(good.as_bytes(), key), Ok(Some(good.len())));
    for (old, new, expected) in [
        ("101 Switching Protocols", "401 Unauthorized", ResponseError::Refused(401)),
        ("Upgrade: websocket", "Upgrade: h2c", ResponseError::Upgrade),
        ("Connection: Upgrade", "Connection: close", ResponseError::Connection),
        ("s3pP", "S3pP", ResponseError::AcceptKey),
        ("Sec-WebSocket-Accept", "X", ResponseError::AcceptKey),
        ("\r\n\r\n", "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", ResponseError::AcceptKey),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", ResponseError::Extensions),
        ("HTTP/1.1", "HTTP/3.1", ResponseError::Http(HttpError::Version)),
    ] {
        let answer = good.replace(old, new);
        assert_eq!(check_response(answer.as_bytes(), key), Err(expected), "{new}");
    }
}
