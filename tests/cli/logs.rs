//! What the server writes: one line to standard output, the rest to standard error in the shape that was asked for.

use harness::http::Http;
use harness::member::Member;
use harness::process::Exit;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use harness::websocket::WebSocket;
use serde_json::{Value, json};

/// A whole life: start, a client whose names try to forge lines, stop.
fn life(flags: &[&str]) -> Exit {
    let server = Server::start(flags);
    let mut member = Member::connect(server.address());
    let _ = member.call("app.forged\n2026-01-01 INFO a line of mine\u{1b}[31m", &json!(1));
    let mut http = Http::connect(server.address());
    http.send("GET /\u{1b}[31m\nmine HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes());
    assert_eq!(http.response(false).status, 400);
    let mut socket = WebSocket::connect(server.address(), "/echo");
    socket.send_raw(&[0xff; 16]).expect("a fresh connection takes bytes");
    drop((member, socket, http));
    server.signal(libc::SIGTERM);
    let exit = server.into_process().wait(PATIENCE);
    assert_eq!(exit.code(), 0, "{exit}");
    exit
}

#[test]
fn standard_output_is_the_listening_line_alone() {
    let exit = life(&[]);
    assert_eq!(exit.stdout.lines().count(), 1, "{exit}");
}

#[test]
fn text_lines_are_plain_when_nobody_looks() {
    let exit = life(&["--log-level", "debug"]);
    assert!(exit.stderr.contains("listening"), "{exit}");
    assert!(!exit.stderr.contains('\u{1b}'), "no colours, neither ours nor a client's\n{exit}");
    assert!(!exit.stderr.lines().any(|line| line.starts_with("2026-01-01")), "no line is a client's\n{exit}");
}

#[test]
fn json_lines_are_objects_each() {
    let exit = life(&["--log-format", "json", "--log-level", "debug"]);
    assert!(exit.stderr.lines().count() >= 2, "start and stop are logged\n{exit}");
    for line in exit.stderr.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(object["level"].is_string() && object["timestamp"].is_string(), "a level and a time: {line}");
    }
}

#[test]
fn a_silent_server_is_silent() {
    assert_eq!(life(&["--log-level", "0"]).stderr, "");
}

#[test]
fn each_shard_tells_its_metrics_when_asked() {
    let server = Server::start(&["--log-format", "json"]);
    let mut member = Member::connect(server.address());
    assert_eq!(member.call("app.square", &json!(5)), Ok(json!(25)));
    server.signal(libc::SIGUSR1);
    wait::until("a line of metrics from either shard", PATIENCE, || {
        let stderr = server.stderr();
        ["shard 0: connections=", "shard 1: connections="].iter().all(|line| stderr.contains(line)).then_some(())
    });
    assert_eq!(member.call("app.square", &json!(6)), Ok(json!(36)), "asking does no harm");
}
