//! Requests that two parsers in a row could read differently, requests of other versions of HTTP, and upgrades that are
//! not quite: each is refused with its status, says that the connection closes, and what follows it is never answered.

use harness::http::{Http, Response};
use harness::server::Server;
use harness::websocket::MASK;

use crate::guard::{SLACK_BYTES, survives};

/// What an attacker hopes to have answered on somebody else's behalf.
const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n";

/// A GET with these header lines beside its host.
fn get(rest: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: x\r\n{rest}\r\n\r\n")
}

/// A POST with these header lines beside its host, and a body that ends early for who reads it as chunks.
fn post(rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{rest}\r\n\r\n0\r\n\r\n")
}

/// An upgrade to the echo with these header lines besides.
fn upgrade(rest: &str) -> String {
    format!(
        "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{rest}\r\n\r\n"
    )
}

/// Sends each request with one more behind it: only the first is answered, with that status, and the connection ends.
fn each_is_refused(cases: &[(&str, String, u16)]) {
    survives(&[], SLACK_BYTES, |server: &Server| {
        let mut failures = Vec::new();
        for (what, request, status) in cases {
            let mut http = Http::connect(server.address());
            http.send(format!("{request}{SMUGGLED}").as_bytes());
            let answer: Response = http.response(false);
            if answer.status != *status || answer.header("connection") != Some("close") {
                failures.push(format!("{what}: {} instead of {status}, {:?}", answer.status, answer.headers));
            }
            http.expect_end();
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

#[test]
fn lengths_that_could_be_read_two_ways_are_refused() {
    each_is_refused(&[
        ("a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400),
        ("chunks and a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400),
        ("a length of zero and chunks", post("Content-Length: 0\r\nTransfer-Encoding: chunked"), 400),
        ("two lengths", post("Content-Length: 5\r\nContent-Length: 6"), 400),
        ("the same length twice", post("Content-Length: 5\r\nContent-Length: 5"), 400),
        ("a list of lengths", post("Content-Length: 5, 5"), 400),
        ("a signed length", post("Content-Length: +5"), 400),
        ("a negative length", post("Content-Length: -1"), 400),
        ("a length in hexadecimal", post("Content-Length: 0x5"), 400),
        ("an empty length", post("Content-Length:"), 400),
        ("a length with a word", post("Content-Length: 5 bytes"), 400),
        ("a length beyond 64 bits", post("Content-Length: 18446744073709551621"), 400),
        ("a length with a vertical tab", post("Content-Length: \u{b}5"), 400),
        ("a length in a GET, twice", get("Content-Length: 0\r\nContent-Length: 44"), 400),
    ]);
}

#[test]
fn codings_in_disguise_are_refused() {
    each_is_refused(&[
        ("a coding that is none", post("Transfer-Encoding: xchunked"), 400),
        ("a coding beside chunked", post("Transfer-Encoding: gzip, chunked"), 400),
        ("chunked and something after it", post("Transfer-Encoding: chunked, identity"), 400),
        ("identity", post("Transfer-Encoding: identity"), 400),
        ("chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400),
        ("two codings in two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x"), 400),
        ("chunked in quotes", post("Transfer-Encoding: \"chunked\""), 400),
        ("chunked with a parameter", post("Transfer-Encoding: chunked;q=1"), 400),
        ("an empty coding", post("Transfer-Encoding:"), 400),
        ("chunked after a vertical tab", post("Transfer-Encoding: \u{b}chunked"), 400),
        ("a space before the colon", post("Transfer-Encoding : chunked"), 400),
        ("a tab before the colon", post("Transfer-Encoding\t: chunked"), 400),
        ("a folded coding", post("Transfer-Encoding:\r\n chunked"), 400),
        ("a line that begins with a blank", post("X: 1\r\n Transfer-Encoding: chunked"), 400),
        ("a coding behind a carriage return", post("X: 1\rTransfer-Encoding: chunked"), 400),
        ("a coding behind a line feed", post("X: 1\nTransfer-Encoding: chunked"), 400),
        ("chunks of HTTP/1.0", "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), 400),
    ]);
}

#[test]
fn lines_that_end_or_begin_oddly_are_refused() {
    each_is_refused(&[
        ("bare line feeds", "GET / HTTP/1.1\nHost: x\n\n".into(), 400),
        ("one bare line feed", "GET / HTTP/1.1\r\nHost: x\nX: 1\r\n\r\n".into(), 400),
        ("a bare carriage return", get("X: 1\rY: 2"), 400),
        ("two carriage returns", "GET / HTTP/1.1\r\r\nHost: x\r\n\r\n".into(), 400),
        ("a header without a colon", get("X"), 400),
        ("a header without a name", get(": 1"), 400),
        ("a name with a blank", get("X Y: 1"), 400),
        ("a name with a bracket", get("X(Y): 1"), 400),
        ("a name that is not ASCII", get("X\u{e9}: 1"), 400),
        ("a folded line", get("X: 1\r\n 2"), 400),
        ("a line folded by a tab", get("X: 1\r\n\t2"), 400),
        ("a first header that is folded", "GET / HTTP/1.1\r\n X: 1\r\nHost: x\r\n\r\n".into(), 400),
        ("a NUL", get("X: 1\u{0}2"), 400),
        ("an escape for a terminal", get("X: \u{1b}[31m"), 400),
        ("two empty lines before the request", format!("\r\n\r\n{}", get("X: 1")), 400),
        ("a blank before the request", format!(" {}", get("X: 1")), 400),
    ]);
}

#[test]
fn hosts_and_targets_that_contradict_are_refused() {
    let host = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n\r\n");
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    each_is_refused(&[
        ("no host", host("X: 1"), 400),
        ("two hosts", host("Host: a\r\nHost: b"), 400),
        ("the same host twice", host("Host: a\r\nhost: a"), 400),
        ("a list of hosts", host("Host: a, b"), 400),
        ("an empty host", host("Host:"), 400),
        ("a host with a path", host("Host: a/b"), 400),
        ("a host with a user", host("Host: a@b"), 400),
        ("a host with a blank", host("Host: a b"), 400),
        ("an absolute target", target("http://x/"), 400),
        ("an absolute target of another host", target("http://y/"), 400),
        ("a target that is an authority", target("x:80"), 400),
        ("an asterisk for GET", target("*"), 400),
        ("a target with a fragment", target("/#x"), 400),
        ("a target with a blank", target("/a b"), 400),
        ("a target that is not ASCII", target("/\u{e9}"), 400),
        ("two blanks before the target", target(" /"), 400),
        ("tabs between the words", "GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        ("CONNECT", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405),
        ("TRACE", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405),
        ("a method of nobody's", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 501),
        ("a method in small letters", "get / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 501),
    ]);
}

#[test]
fn other_versions_of_http_are_refused() {
    let version = |version: &str| format!("GET / {version}\r\nHost: x\r\n\r\n");
    each_is_refused(&[
        ("HTTP/0.9 by its number", version("HTTP/0.9"), 505),
        ("HTTP/0.9 as it was", "GET /\r\n\r\n".into(), 400),
        ("HTTP/1.2", version("HTTP/1.2"), 505),
        ("HTTP/2.0", version("HTTP/2.0"), 505),
        ("HTTP/3.0", version("HTTP/3.0"), 505),
        ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("a version with three digits", version("HTTP/1.10"), 400),
        ("a version with a leading zero", version("HTTP/01.1"), 400),
        ("a version in small letters", version("http/1.1"), 400),
        ("a version with a blank behind it", version("HTTP/1.1 "), 400),
        ("another protocol", version("RTSP/1.0"), 400),
    ]);
}

#[test]
fn a_request_line_of_http_0_9_is_not_waited_on() {
    survives(&[], SLACK_BYTES, |server| {
        // No empty line ever follows such a request.
        let mut http = Http::connect(server.address());
        http.send(b"GET /\r\n");
        assert_eq!(http.response(false).status, 400);
        http.expect_end();
    });
}

#[test]
fn floods_of_headers_are_refused() {
    let lines = |count: usize| (0..count).map(|index| format!("X-{index}: 1\r\n")).collect::<String>();
    let megabyte = "a".repeat(1 << 20);
    each_is_refused(&[
        ("101 headers", format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", lines(100)), 431),
        ("10,000 headers", format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", lines(10_000)), 431),
        ("a header of 1 MiB", get(&format!("X: {megabyte}")), 431),
        ("a name of 1 MiB", get(&format!("{megabyte}: 1")), 431),
        ("a target of 1 MiB", format!("GET /{megabyte} HTTP/1.1\r\nHost: x\r\n\r\n"), 414),
        ("1 MiB without a blank", megabyte.clone(), 414),
    ]);
}

#[test]
fn other_versions_of_websocket_are_told_which_one_is_spoken() {
    survives(&[], SLACK_BYTES, |server: &Server| {
        let versions = [
            "",
            "Sec-WebSocket-Version: 0",
            "Sec-WebSocket-Version: 7",
            "Sec-WebSocket-Version: 8",
            "Sec-WebSocket-Version: 12",
            "Sec-WebSocket-Version: 14",
            "Sec-WebSocket-Version: 113",
            "Sec-WebSocket-Version: 013",
            "Sec-WebSocket-Version: 13, 8",
            "Sec-WebSocket-Version:",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8",
        ];
        for version in versions {
            let version = if version.is_empty() { "X: 1" } else { version };
            let mut http = Http::connect(server.address());
            http.send(format!("{}{SMUGGLED}", upgrade(version)).as_bytes());
            let answer = http.response(false);
            assert_eq!(answer.status, 426, "{version:?}");
            assert_eq!(answer.header("sec-websocket-version"), Some("13"), "{version:?}");
            assert_eq!(answer.header("upgrade"), Some("websocket"), "{version:?}");
            http.expect_end();
        }
    });
}

#[test]
fn upgrades_that_proxies_could_misunderstand_are_refused() {
    let good = "Sec-WebSocket-Version: 13";
    each_is_refused(&[
        ("a body", upgrade(&format!("{good}\r\nContent-Length: {}", SMUGGLED.len())), 400),
        ("chunks", upgrade(&format!("{good}\r\nTransfer-Encoding: chunked")), 400),
        ("HTTP/1.0", upgrade(good).replace("HTTP/1.1", "HTTP/1.0"), 400),
        ("no word in Connection", upgrade(good).replace("Connection: Upgrade", "Connection: keep-alive"), 400),
        ("a word that only contains it", upgrade(good).replace("Connection: Upgrade", "Connection: Upgrades"), 400),
        ("a POST", upgrade(good).replace("GET", "POST"), 405),
        ("a short key", upgrade(good).replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), 400),
        ("a long key", upgrade(good).replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSEhISE="), 400),
        ("a key that is no base64", upgrade(good).replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="), 400),
        ("two keys", upgrade(&format!("{good}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")), 400),
        ("an unknown path", upgrade(good).replace("/echo", "/nowhere"), 404),
        ("a page's path", upgrade(good).replace("/echo", "/healthz"), 404),
    ]);
}

#[test]
fn what_follows_an_upgrade_is_frames_and_nothing_else() {
    let good = upgrade("Sec-WebSocket-Version: 13");
    survives(&[], SLACK_BYTES, |server| {
        // A request: its G is an opcode of nobody's with a reserved bit.
        let mut http = Http::connect(server.address());
        http.send(format!("{good}{SMUGGLED}").as_bytes());
        assert_eq!(http.response(false).status, 101);
        let rest = http.read_to_end();
        assert_eq!(rest[..4], [0x88, rest[1], 0x03, 0xea], "a close frame with 1002: {rest:?}");
        assert_eq!(rest.len(), 2 + usize::from(rest[1]), "and nothing after it: {rest:?}");
        // A frame: it is answered after the upgrade.
        let mut http = Http::connect(server.address());
        let mut bytes = good.clone().into_bytes();
        bytes.extend([0x81, 0x82]);
        bytes.extend(MASK);
        bytes.extend([b'h' ^ MASK[0], b'i' ^ MASK[1]]);
        http.send(&bytes);
        assert_eq!(http.response(false).status, 101);
        http.shutdown_write();
        assert_eq!(http.read_to_end()[..4], *b"\x81\x02hi");
    });
}

#[test]
fn upgrades_to_other_protocols_are_plain_requests() {
    survives(&[], SLACK_BYTES, |server| {
        let mut http = Http::connect(server.address());
        let upgrade = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                       HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
        http.send(format!("{upgrade}{SMUGGLED}").as_bytes());
        for _ in 0..2 {
            assert_eq!(http.response(false).status, 200);
        }
    });
}

#[test]
fn a_list_of_subprotocols_full_of_blanks_costs_no_more_than_its_length() {
    survives(&["--max-head", "1MiB"], SLACK_BYTES, |server| {
        let blanks = " ".repeat(900_000);
        for value in [format!("a{blanks}b"), format!("a,{blanks}"), ",".repeat(900_000)] {
            let request = upgrade(&format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {value}"));
            let mut http = Http::connect(server.address());
            http.send(request.as_bytes());
            assert_eq!(http.response(false).status, 101);
            http.shutdown_write();
            let _ = http.read_to_end();
        }
    });
}
