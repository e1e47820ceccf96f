//! Stopping: clients are told to go elsewhere, what is queued for them still goes out, and the end comes in bounded time.

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use harness::http::Http;
use harness::member::Member;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use harness::websocket::{Received, WebSocket};
use serde_json::json;

#[test]
fn connected_clients_are_sent_away_with_1001_and_the_exit_is_0() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let server = Server::start(&[]);
        let members = Vec::from_iter((0..100).map(|_| Member::connect(server.address())));
        let raw = WebSocket::connect(server.address(), "/echo");
        let mut idle = Http::connect(server.address());
        idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(idle.response(false).status, 200);
        server.signal(signal);
        for mut socket in members.into_iter().map(Member::into_socket).chain([raw]) {
            assert_eq!(socket.expect_close().0, 1001);
        }
        idle.expect_end();
        drop(idle);
        let exit = server.into_process().wait(PATIENCE);
        assert_eq!(exit.code(), 0, "{exit}");
    }
}

/// What was acknowledged is delivered on every shard before anybody is told to leave.
#[test]
fn what_was_published_before_the_end_is_delivered() {
    let server = Server::start(&[]);
    let (mut near, mut far) = Member::pair(server.address());
    near.subscribe("last words");
    far.subscribe("last words");
    for sequence in 0..500 {
        far.publish("last words", &json!(sequence));
    }
    server.signal(libc::SIGTERM);
    for member in [&mut near, &mut far] {
        for sequence in 0..500 {
            assert_eq!(member.publication(), ("last words".to_owned(), json!(sequence)));
        }
    }
    for member in [near, far] {
        let mut socket = member.into_socket();
        assert_eq!(socket.expect_close().0, 1001);
        socket.shutdown_write();
    }
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

/// While clients are told to leave one by one, those who were not told yet are served, newcomers as well, and balancers
/// are told to send nobody more.
#[test]
fn a_lame_duck_sends_its_clients_away_one_by_one() {
    let server = Server::start(&["--drain", "20s", "--drain-spread", "3s"]);
    assert_eq!(Http::get(server.address(), "/readyz").status, 200);
    let mut sockets = Vec::from_iter((0..40).map(|_| WebSocket::connect(server.address(), "/echo")));
    let begin = Instant::now();
    server.signal(libc::SIGTERM);
    wait::until("it is not ready any more", PATIENCE, || {
        (Http::get(server.address(), "/readyz").status == 503).then_some(())
    });
    let mut newcomer = WebSocket::connect(server.address(), "/echo");
    newcomer.send_text("still here");
    assert_eq!(newcomer.receive_text(), "still here");
    let mut ends = Vec::new();
    while !sockets.is_empty() {
        sockets.retain_mut(|socket| match socket.receive_within(Duration::from_millis(1)) {
            Some(Received::Close(close)) => {
                assert_eq!(close.map(|(code, _)| code), Some(1001));
                ends.push(begin.elapsed());
                false
            }
            _ => true,
        });
        assert!(begin.elapsed() < PATIENCE, "{} are not told to leave", sockets.len());
    }
    // Half of them were not told in the first quarter of the time.
    assert!(ends[20] > Duration::from_millis(750), "{ends:?}");
    assert_eq!(newcomer.expect_close().0, 1001);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

#[test]
fn a_lame_duck_that_nobody_needs_goes_at_once() {
    let server = Server::start(&["--drain", "1m", "--drain-spread", "50s"]);
    server.signal(libc::SIGTERM);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

#[test]
fn a_stopping_server_accepts_nobody() {
    let server = Server::start(&["--close-timeout", "1m", "--drain", "1m"]);
    let mut stubborn = WebSocket::connect(server.address(), "/echo");
    server.signal(libc::SIGTERM);
    assert!(matches!(stubborn.receive(), Received::Close(Some((1001, _)))));
    wait::until("new connections are refused", PATIENCE, || TcpStream::connect(server.address()).err());
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Server::start(&["--close-timeout", "1m", "--drain", "1m"]);
    let mut stubborn = WebSocket::connect(server.address(), "/echo");
    server.signal(libc::SIGTERM);
    assert!(matches!(stubborn.receive(), Received::Close(Some((1001, _)))));
    // The close frame is not answered: the server would wait for a minute.
    let mut process = server.into_process();
    assert_eq!(process.status(), None, "it waits for the client");
    process.signal(libc::SIGTERM);
    let exit = process.wait(PATIENCE);
    assert_ne!(exit.status.code(), Some(0), "an end in disorder is not success\n{exit}");
    assert!(exit.status.signal() != Some(libc::SIGSEGV) && !exit.stderr.contains("panicked"), "{exit}");
}

#[test]
fn clients_that_do_not_go_are_left_behind_when_the_time_is_up() {
    let server = Server::start(&["--close-timeout", "1m", "--drain", "500ms"]);
    let mut stubborn = WebSocket::connect(server.address(), "/echo");
    server.signal(libc::SIGTERM);
    assert!(matches!(stubborn.receive(), Received::Close(Some((1001, _)))));
    let exit = server.into_process().wait(PATIENCE);
    assert_eq!(exit.code(), 0, "{exit}");
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_the_end() {
    let server = Server::start(&["--drain", "1s"]);
    let (mut reader, mut publisher) = Member::pair(server.address());
    reader.subscribe("heavy");
    // 60 kB × 100: more than both kernels hold for a reader that does not read.
    let text = "x".repeat(60_000);
    for _ in 0..100 {
        publisher.publish("heavy", &json!(text));
    }
    server.signal(libc::SIGTERM);
    assert_eq!(publisher.into_socket().expect_close().0, 1001);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

#[test]
fn a_server_without_clients_stops() {
    let server = Server::start(&[]);
    server.signal(libc::SIGTERM);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}
