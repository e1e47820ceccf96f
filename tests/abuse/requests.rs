//! HTTP as it should not be: requests that drip, end halfway, come in bundles, or try to be two things at once.

use harness::http::Http;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use harness::websocket::{Received, WebSocket};

use crate::guard::{SLACK_BYTES, assert_served, survives};

/// Heads must come within this, however slowly they drip.
const SHORT_HANDSHAKE: [&str; 4] = ["--handshake-timeout", "500ms", "--idle-timeout", "1s"];

#[test]
fn heads_that_stop_halfway_are_ended() {
    survives(&SHORT_HANDSHAKE, SLACK_BYTES, |server| {
        let halves = ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX-Long: aaaaaaaa", "\r\n"];
        let connections = Vec::from_iter((0..400).map(|index| {
            let mut http = Http::connect(server.address());
            http.send(halves[index % halves.len()].as_bytes());
            http
        }));
        assert_served(server);
        for http in connections {
            let _ = http.read_to_end();
        }
    });
}

#[test]
fn a_head_that_drips_is_ended_in_the_same_time() {
    survives(&SHORT_HANDSHAKE, SLACK_BYTES, |server| {
        let mut http = Http::connect(server.address());
        http.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Drip: ");
        wait::until("the server ends a head that never ends", PATIENCE, || http.try_send(b"a").err());
    });
}

#[test]
fn connections_that_say_nothing_are_ended() {
    survives(&SHORT_HANDSHAKE, SLACK_BYTES, |server| {
        let connections = Vec::from_iter((0..400).map(|_| Http::connect(server.address())));
        for mut http in connections {
            http.expect_end();
        }
    });
}

#[test]
fn a_client_that_has_closed_its_half_is_answered() {
    survives(&[], SLACK_BYTES, |server| {
        for request in ["GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET /healthz HTTP/1.0\r\n\r\n"] {
            let mut http = Http::connect(server.address());
            http.send(request.as_bytes());
            http.shutdown_write();
            let response = http.response(false);
            assert_eq!((response.status, response.text().trim()), (200, "ok"), "{request}");
            http.expect_end();
        }
    });
}

#[test]
fn a_websocket_that_closes_its_half_is_ended() {
    survives(&[], SLACK_BYTES, |server| {
        for path in ["/echo", "/socketcluster/"] {
            let mut socket = WebSocket::connect(server.address(), path);
            socket.shutdown_write();
            let end = socket.receive();
            assert!(matches!(end, Received::End | Received::Reset | Received::Close(_)), "{path}: {end:?}");
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    survives(&[], SLACK_BYTES, |server| {
        let targets = ["/", "/healthz", "/no-such-page"];
        let mut http = Http::connect(server.address());
        let mut requests = String::new();
        for index in 0..300 {
            let method = if index % 2 == 0 { "GET" } else { "HEAD" };
            requests += &format!("{method} {} HTTP/1.1\r\nHost: x\r\n\r\n", targets[index % targets.len()]);
        }
        let (first, second) = requests.split_at(requests.len() / 2 + 7);
        http.send(first.as_bytes());
        http.send(second.as_bytes());
        let page = Http::get(server.address(), "/").body;
        for index in 0..300 {
            let is_head = index % 2 == 1;
            let response = http.response(is_head);
            let expected = [200, 200, 404][index % targets.len()];
            assert_eq!(response.status, expected, "answer {index}");
            if index % targets.len() == 0 && !is_head {
                assert!(response.body == page, "answer {index} is the whole page");
            }
        }
    });
}

/// Sends each request on a connection of its own: it is refused with that status and the connection ends.
fn each_is_refused(cases: &[(&str, String, u16)]) {
    survives(&[], SLACK_BYTES, |server: &Server| {
        for (what, request, status) in cases {
            let mut http = Http::connect(server.address());
            http.send(request.as_bytes());
            assert_eq!(http.response(false).status, *status, "{what}");
            http.expect_end();
            assert_eq!(Http::get(server.address(), "/healthz").status, 200, "after {what}");
        }
    });
}

#[test]
fn malformed_requests_are_refused() {
    let request = |rest: &str| format!("GET / HTTP/1.1\r\n{rest}\r\n\r\n");
    let many = Vec::from_iter((0..101).map(|index| format!("X-{index}: 1\r\n"))).concat();
    each_is_refused(&[
        ("garbage", "garbage\r\n\r\n".into(), 400),
        ("a TLS greeting", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}".into(), 400),
        ("no host", request("X: 1"), 400),
        ("two hosts", request("Host: a\r\nHost: b"), 400),
        ("a bare line feed", "GET / HTTP/1.1\nHost: x\n\n".into(), 400),
        ("a space before the colon", request("Host: x\r\nX : 1"), 400),
        ("a folded header", request("Host: x\r\nX: 1\r\n 2"), 400),
        ("a NUL in a header", request("Host: x\r\nX: \u{0}"), 400),
        ("a target without a slash", "GET x HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400),
        ("HTTP/2.0", "GET / HTTP/2.0\r\nHost: x\r\n\r\n".into(), 505),
        ("a head of 17 KiB", request(&format!("Host: x\r\nX: {}", "a".repeat(17 << 10))), 431),
        ("a target of 17 KiB", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(17 << 10)), 414),
        ("101 headers", request(&format!("Host: x\r\n{}X: 1", many)), 431),
    ]);
}

#[test]
fn requests_that_could_be_read_two_ways_are_refused() {
    let request =
        |rest: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{rest}\r\n\r\n0\r\n\r\nGET /echo HTTP/1.1\r\n\r\n");
    let chunked = |body: &str| format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    each_is_refused(&[
        ("two kinds of length", request("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400),
        ("two lengths", request("Content-Length: 5\r\nContent-Length: 6"), 400),
        ("a signed length", request("Content-Length: +5"), 400),
        ("a chunked body of another coding", request("Transfer-Encoding: gzip, chunked"), 400),
        ("a size with a sign", chunked("+5\r\nhello"), 400),
        ("a size with a blank", chunked("5 \r\nhello"), 400),
        ("a size ended by a bare line feed", chunked("5\nhello"), 400),
        ("a chunk that goes on", chunked("5\r\nhello!\r\n"), 400),
        ("a chunk ended by a bare line feed", chunked("5\r\nhello\n0\r\n\r\n"), 400),
        ("an extension with a bare line feed", chunked("5;a\nhello"), 400),
        ("a size of 16 digits", chunked("0000000000000005\r\nhello"), 400),
    ]);
}

#[test]
fn bodies_beyond_the_limit_are_refused_unread() {
    let post = |rest: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{rest}");
    each_is_refused(&[
        ("a length beyond the limit", post("Content-Length: 1048577\r\n\r\n"), 413),
        ("a length beyond all", post("Content-Length: 999999999999999999\r\n\r\n"), 413),
        ("one that waits to be asked", post("Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n"), 413),
        ("a chunk beyond the limit", post("Transfer-Encoding: chunked\r\n\r\n100001\r\n"), 413),
        ("an endless extension", post(&format!("Transfer-Encoding: chunked\r\n\r\n1;{}", "e".repeat(5_000))), 400),
        (
            "endless trailers",
            post(&format!("Transfer-Encoding: chunked\r\n\r\n0\r\n{}", "a: b\r\n".repeat(2_000))),
            400,
        ),
        ("an expectation of something else", post("Expect: more\r\nContent-Length: 1\r\n\r\nx"), 417),
    ]);
}

#[test]
fn bodies_that_stop_halfway_are_ended() {
    survives(&["--body-timeout", "500ms"], SLACK_BYTES, |server| {
        let halves = [
            "Content-Length: 1000000\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\nffff\r\nabc",
            "Content-Length: 1\r\n\r\n",
        ];
        let connections = Vec::from_iter((0..400).map(|index| {
            let mut http = Http::connect(server.address());
            http.send(format!("POST / HTTP/1.1\r\nHost: x\r\n{}", halves[index % halves.len()]).as_bytes());
            http
        }));
        assert_served(server);
        for mut http in connections {
            assert_eq!(http.response(false).status, 408);
            http.expect_end();
        }
    });
}

#[test]
fn large_bodies_leave_nothing_behind() {
    // 40 bodies of 1 MiB would be more.
    survives(&[], SLACK_BYTES, |server| {
        for _ in 0..40 {
            let mut http = Http::connect(server.address());
            http.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
            http.send(&vec![b'a'; 1 << 20]);
            assert_eq!(http.response(false).status, 405);
            http.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            http.send("1\r\na\r\n".repeat(10_000).as_bytes());
            http.send(b"0\r\n\r\n");
            assert_eq!(http.response(false).status, 405);
        }
    });
}

#[test]
fn upgrades_that_are_none_are_refused() {
    let upgrade = |method: &str, target: &str, rest: &str| {
        format!("{method} {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{rest}\r\n\r\n")
    };
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    each_is_refused(&[
        ("no key", upgrade("GET", "/echo", "Sec-WebSocket-Version: 13"), 400),
        ("a short key", upgrade("GET", "/echo", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abcd"), 400),
        ("two keys", upgrade("GET", "/echo", &format!("Sec-WebSocket-Version: 13\r\n{key}\r\n{key}")), 400),
        ("version 8", upgrade("GET", "/echo", &format!("Sec-WebSocket-Version: 8\r\n{key}")), 426),
        ("a POST", upgrade("POST", "/echo", &format!("Sec-WebSocket-Version: 13\r\n{key}")), 405),
        ("an unknown path", upgrade("GET", "/nowhere", &format!("Sec-WebSocket-Version: 13\r\n{key}")), 404),
    ]);
}
