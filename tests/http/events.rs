//! Event streams (SSE) of a real server on two shards: what curl and a socket of our own hear, beside members who publish.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use harness::http::Http;
use harness::member::Member;
use harness::process::Process;
use harness::server::Server;
use harness::tls::{Certificates, TlsClient};
use harness::wait::{PATIENCE, until};
use serde_json::{Value, json};

/// A stream of events whose response has begun.
struct Stream {
    http: Http,
}

impl Stream {
    fn open(address: SocketAddr, query: &str, headers: &str) -> Self {
        let mut http = Http::connect(address);
        http.send(format!("GET /sse?{query} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").as_bytes());
        let head = http.endless();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{head:?}");
        let retry = http.until("\n\n");
        assert!(retry.starts_with("retry: "), "{retry}");
        Self { http }
    }

    /// The next event: its name and its data. Signs of life are none.
    fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.http.until("\n\n");
            let field = |name: &str| -> Vec<String> {
                let value = |line: &str| line.strip_prefix(name).map(|value| value[2..].to_owned());
                block.lines().filter_map(value).collect()
            };
            if block.starts_with(':') {
                continue;
            }
            let name = field("event").pop().unwrap_or_else(|| "message".to_owned());
            let data = field("data").join("\n");
            return (name, serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {block:?}")));
        }
    }

    fn publication(&mut self) -> (String, Value) {
        let (name, data) = self.event();
        assert_eq!(name, "message", "{data}");
        (data["channel"].as_str().expect("a publication names its channel").to_owned(), data["data"].clone())
    }
}

/// A token that makes its bearer this user.
fn token(address: SocketAddr, user: &str) -> String {
    let mut http = Http::connect(address);
    let body = json!({ "user": user }).to_string();
    let head = format!("POST /api/app/login HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n", body.len());
    http.send((head + &body).as_bytes());
    http.response(false).header("auth-token").expect("a token").to_owned()
}

fn refused(address: SocketAddr, target: &str, headers: &str) -> (u16, Value) {
    let mut http = Http::connect(address);
    http.send(format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n").as_bytes());
    let answer = http.response(false);
    http.expect_end();
    (answer.status, serde_json::from_str(answer.text()).unwrap_or_else(|error| panic!("{error}: {answer:?}")))
}

#[test]
fn a_stream_whose_client_has_gone_without_a_word_is_ended_and_others_stay() {
    let server = Server::start(&["--ping-interval", "100ms", "--ack-timeout", "500ms"]);
    let mut stays = Stream::open(server.address(), "channel=news", "");
    let gone = Stream::open(server.address(), "channel=news", "");
    let mut member = Member::connect(server.address());
    let descriptors = server.descriptors();
    gone.http.fall_silent();
    server.wait_for_descriptors(descriptors - 1, PATIENCE);
    server.signal(libc::SIGUSR1);
    until("it is counted", PATIENCE, || server.stderr().contains("peers_silent=1").then_some(()));
    member.publish("news", &json!("still here"));
    assert_eq!(stays.publication(), ("news".to_owned(), json!("still here")));
    assert_eq!(server.descriptors(), descriptors - 1);
}

#[test]
fn a_hundred_numbers_arrive_in_order_beside_a_member_on_either_shard() {
    let server = Server::start(&[]);
    let (mut near, mut far) = Member::pair(server.address());
    let mut streams: Vec<_> = (0..6).map(|_| Stream::open(server.address(), "channel=near&channel=far", "")).collect();
    near.subscribe("far");
    for number in 0..100 {
        near.publish("near", &json!(number));
        far.publish("far", &json!(number));
    }
    for stream in &mut streams {
        let (mut heard, mut next) = (0, [0, 0]);
        while heard < 200 {
            let (channel, data) = stream.publication();
            let next = &mut next[usize::from(channel == "far")];
            assert_eq!(data, json!(*next), "{channel}");
            *next += 1;
            heard += 1;
        }
    }
    (0..100).for_each(|number| assert_eq!(near.publication(), ("far".to_owned(), json!(number))));
}

#[test]
fn curl_hears_what_it_asks_for() {
    let server = Server::start(&[]);
    let url = format!("http://{}/sse?channel=news", server.address());
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "--http1.0", "--max-time", "60", "--noproxy", "*", &url]);
    command.stdin(Stdio::null());
    let curl = Process::start(command);
    let line = |start: &str| curl.stdout_lines().into_iter().find(|line| line.starts_with(start));
    // The stream is there when its first line is.
    until("the stream begins", PATIENCE, || line("retry: "));
    let mut member = Member::connect(server.address());
    member.publish("news", &json!({ "text": "two\nlines" }));
    let event = until("an event", PATIENCE, || line("data: "));
    assert_eq!(event, r#"data: {"channel":"news","data":{"text":"two\nlines"}}"#);
}

#[test]
fn a_stream_is_its_sessions_and_its_users() {
    let server = Server::start(&["--ping-interval", "1s", "--ping-timeout", "3s"]);
    let address = server.address();
    let page = Http::get(address, "/");
    let cookie = page.header("set-cookie").expect("a session").split(';').next().expect("one part").to_owned();
    let mut tab = Member::with_cookie(address, &cookie);
    tab.subscribe("room.1");
    tab.call("auth.login", &json!({ "module": "guest", "params": { "name": "alice" } })).expect("a guest");
    let token = token(address, "alice");
    let mut own = Stream::open(address, "channel=room.1", &format!("Cookie: {cookie}\r\n"));
    let mut by_header = Stream::open(address, "", &format!("Authorization: Bearer {token}\r\nLast-Event-ID: 9\r\n"));
    let mut by_query = Stream::open(address, &format!("token={token}"), "");
    tab.call("publish.user", &json!({ "to": "alice", "event": "mail", "data": [1] })).expect("it is said");
    assert_eq!(by_header.event(), ("mail".to_owned(), json!([1])));
    assert_eq!(by_query.event(), ("mail".to_owned(), json!([1])));
    tab.call("publish.session", &json!({ "event": "tabs", "data": 2 })).expect("it is said");
    assert_eq!(own.event(), ("tabs".to_owned(), json!(2)));
    tab.call("publish.broadcast", &json!({ "event": "all" })).expect("it is said");
    for stream in [&mut own, &mut by_header, &mut by_query] {
        assert_eq!(stream.event(), ("all".to_owned(), Value::Null));
    }
    assert_eq!(by_header.http.until("\n\n"), ":\n\n", "a sign of life");
}

#[test]
fn what_may_not_be_heard_is_refused_with_its_error() {
    let server = Server::start(&["--allow-origin", "https://page.example"]);
    let address = server.address();
    for (target, headers, status, name) in [
        ("/sse?channel=news&channel=members.1", "", 403, "UnauthenticatedError"),
        ("/sse?channel=news", "Origin: https://evil.example\r\n", 403, "UnauthorizedError"),
        ("/sse?channel=news", "Sec-Fetch-Site: cross-site\r\n", 403, "UnauthorizedError"),
        ("/sse?channel=news&token=a.b.c", "", 401, "AuthTokenInvalidError"),
        ("/sse?channel=%zz", "", 400, "InvalidArgumentsError"),
    ] {
        let (answered, error) = refused(address, target, headers);
        let expected = if name == "UnauthenticatedError" { 401 } else { status };
        assert_eq!((answered, error["name"].as_str()), (expected, Some(name)), "{target} {headers}");
    }
    let mut http = Http::connect(address);
    http.send(b"GET /sse HTTP/1.1\r\nHost: a\r\nOrigin: https://page.example\r\n\r\n");
    let head = http.endless();
    assert_eq!(head.header("access-control-allow-origin"), Some("https://page.example"));
    assert_eq!(head.header("access-control-allow-credentials"), Some("true"));
    let off = Server::start(&["--no-sse"]);
    assert_eq!(Http::get(off.address(), "/sse").status, 404);
}

/// A stream with a publication, after a request that was sent in these pieces; what was answered before its response.
fn opened_by(server: &Server, member: &mut Member, pieces: &[&str]) -> String {
    let mut http = Http::connect(server.address());
    let (last, first) = pieces.split_last().expect("a request");
    let mut before = String::new();
    for piece in first {
        http.send(piece.as_bytes());
        if piece.contains("Expect:") {
            before += &http.until("\r\n\r\n");
        }
    }
    http.send(last.as_bytes());
    before += &http.until("text/event-stream\r\n");
    http.until("retry: ");
    http.until("\n\n");
    let mut stream = Stream { http };
    member.publish("news", &json!(pieces));
    assert_eq!(stream.publication(), ("news".to_owned(), json!(pieces)));
    before
}

#[test]
fn a_stream_is_asked_for_with_a_body_or_behind_other_requests_like_any_page() {
    let server = Server::start(&["--body-timeout", "300ms", "--log-refusals=1ms"]);
    let mut member = Member::connect(server.address());
    let head = |lines: &str| format!("GET /sse?channel=news HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let (known, chunked) = (head("Content-Length: 5\r\n"), head("Transfer-Encoding: chunked\r\n"));
    let awaited = head("Content-Length: 5\r\nExpect: 100-continue\r\n");
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (pieces, answers) in [
        (&[&*head("")][..], 1),
        (&[&*format!("{known}hello")], 1),
        (&[&known, "he", "llo"], 1),
        (&[&chunked, "5\r\nhello\r\n", "0\r\n\r\n"], 1),
        // Nobody waits for the word when there is nothing that it is for.
        (&[&*head("Expect: 100-continue\r\n")], 1),
        (&[&awaited, "hello"], 2),
        // Answered at once, and when other shards have answered; both before the stream.
        (&[&*format!("{}{}", ask("/healthz"), head(""))], 2),
        (&[&*format!("{}{}{}", ask("/api/users/online"), ask("/healthz"), head(""))], 3),
    ] {
        let before = opened_by(&server, &mut member, pieces);
        assert_eq!(before.matches("HTTP/1.1 ").count(), answers, "{pieces:?}: {before}");
        assert_eq!(before.contains("HTTP/1.1 100 Continue\r\n\r\n"), pieces[0] == awaited, "{before}");
    }
    for (request, status) in [
        (head("Content-Length: 5\r\nExpect: a-miracle\r\n"), 417),
        (head("Content-Length: 99999999\r\n"), 413),
        (head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400),
        (known, 408),
    ] {
        let mut http = Http::connect(server.address());
        http.send(request.as_bytes());
        assert_eq!(http.response(false).status, status, "{request}");
        http.expect_end();
    }
    ["bodies_refused", "protocol_errors", "timeouts"].iter().for_each(|counter| server.expect_told(counter));
    server.assert_no_panic();
}

#[test]
fn what_follows_the_request_for_a_stream_is_neither_answered_nor_heard() {
    let server = Server::start(&["--log-refusals=1ms"]);
    let address = server.address();
    let (descriptors, more) = (server.descriptors(), "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    // In the same breath: an error, or an end where the response has begun by then.
    for (query, length) in [("?channel=news", 0), ("", 0), ("?channel=news", 2), ("", 2)] {
        let mut http = Http::connect(address);
        let body = "x".repeat(length);
        http.send(
            format!("GET /sse{query} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}{more}").as_bytes(),
        );
        let text = String::from_utf8(http.read_to_end()).expect("text");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
        let is_error = text.starts_with("HTTP/1.1 400 ") && text.contains("nothing is received on an event stream");
        let is_end = text.starts_with("HTTP/1.1 200 ") && text.contains("event: #disconnect\ndata: {\"code\":1002,");
        assert!(is_error || is_end, "{text}");
    }
    // Later: a request, half a line, and frames as a WebSocket has them, of which a ping would be answered.
    for said in [more.as_bytes(), b"\r\n", b"G", b"\x89\x80\0\0\0\0", b"\x81\x81\0\0\0\0x", b"\x81"] {
        let mut stream = Stream::open(address, "channel=news", "");
        stream.http.send(said);
        let (name, data) = stream.event();
        assert_eq!((&*name, &data["code"]), ("#disconnect", &json!(1002)), "{said:?}");
        stream.http.expect_end();
    }
    server.wait_for_descriptors(descriptors, PATIENCE);
    assert_eq!(server.count("protocol_errors"), 10);
    server.expect_told("protocol_errors");
    server.assert_no_panic();
}

#[test]
fn a_stop_tells_and_ends() {
    let server = Server::start(&[]);
    let mut stream = Stream::open(server.address(), "channel=news", "");
    server.signal(libc::SIGTERM);
    assert_eq!(stream.event().0, "#disconnect");
    stream.http.expect_end();
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

#[test]
fn whoever_does_not_read_is_ended_and_others_are_not_delayed() {
    let flags = ["--outbox-bytes-max", "512KiB", "--outbox-high-water-mark", "128KiB", "--log-refusals=1ms"];
    let server = Server::start(&flags);
    let mut reader = Stream::open(server.address(), "channel=flood", "");
    let stuck = Stream::open(server.address(), "channel=flood", "");
    let mut member = Member::connect(server.address());
    let text = "x".repeat(60_000);
    // Far more than both ends' socket buffers and the outbox hold.
    for number in 0..400 {
        member.publish("flood", &json!([number, text]));
        assert_eq!(reader.publication().1[0], json!(number));
    }
    let heard = stuck.http.read_to_end();
    let whole = String::from_utf8(heard).expect("text");
    let count = whole.matches("\"flood\"").count();
    assert!(count < 400, "{count} of 400");
    server.expect_told("slow_consumers");
    server.assert_no_panic();
}

#[test]
fn streams_are_served_by_tls() {
    let certificates = Certificates::new();
    let trusted = certificates.write("server", &["localhost"], 2090);
    let files = [certificates.certificate("server"), certificates.key("server")];
    let server = Server::start(&["--tls-listen", "127.0.0.1:0", "--tls-cert", &files[0], "--tls-key", &files[1]]);
    let mut client = TlsClient::connect(server.tls_address(), "localhost", &trusted).expect("TLS");
    client.send(b"GET /sse?channel=news HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is read");
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        text.push_str(std::str::from_utf8(&client.receive().expect("a stream")).expect("text"));
    }
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let mut member = Member::connect(server.address());
    member.publish("news", &json!(1));
    let event = client.receive().expect("an event");
    assert_eq!(String::from_utf8_lossy(&event), "data: {\"channel\":\"news\",\"data\":1}\n\n");
}
