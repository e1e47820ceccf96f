//! A deploy: SIGUSR2 puts a new process in the place of the one that serves, and nobody who comes meanwhile is refused. Who
//! has come to the old one at its last moment may be told to leave (1001) before the first answer, as all its clients are.

use std::fs;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use codec::websocket::Opcode;
use harness::http::Http;
use harness::member::Member;
use harness::server::Server;
use harness::tls::{Certificates, TlsClient};
use harness::wait::{self, PATIENCE};
use harness::websocket::{Received, WebSocket};
use serde_json::json;

use crate::{Directory, ask, child, is_alive, next_child};

#[test]
fn nobody_is_refused_while_one_server_takes_over_from_another() {
    let server = Server::start(&["--supervise", "--drain", "20s", "--drain-spread", "1s"]);
    let address = server.address();
    let mut clients = Vec::from_iter((0..20).map(|_| WebSocket::connect(address, "/echo")));
    let is_over = Arc::new(AtomicBool::new(false));
    let visitors = Vec::from_iter((0..2).map(|number| {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            let mut count = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                if number == 0 {
                    ask(address);
                } else {
                    let mut socket = WebSocket::connect(address, "/echo");
                    socket.send_text("here");
                    match socket.receive() {
                        Received::Text(text) => assert_eq!(text, "here"),
                        Received::Close(Some((code, _))) => assert_eq!(code, 1001),
                        other => panic!("{other:?}"),
                    }
                }
                count += 1;
            }
            count
        })
    }));
    let mut pid = child(&server);
    for round in 2..=3 {
        server.signal(libc::SIGUSR2);
        let next = next_child(&server, pid, round);
        wait::until("the old one has gone", PATIENCE, || {
            // Whoever has heard that it goes, goes.
            clients.retain_mut(|client| {
                client.receive_within(std::time::Duration::from_millis(1)).is_none_or(|_| {
                    client.shutdown_write();
                    false
                })
            });
            (!is_alive(pid)).then_some(())
        });
        pid = next;
        assert!(clients.is_empty(), "{} were not told to leave", clients.len());
        clients = Vec::from_iter((0..20).map(|_| WebSocket::connect(address, "/echo")));
    }
    is_over.store(true, Ordering::Relaxed);
    for visitor in visitors {
        assert!(visitor.join().expect("nobody was refused or cut off") > 20);
    }
    assert_eq!(child(&server), pid);
    assert_eq!(Http::get(address, "/readyz").status, 200);
}

#[test]
fn nobody_is_refused_at_the_door_of_tls_either_or_where_connections_are_no_descriptors() {
    let certificates = Certificates::new();
    let certificate = certificates.write("server", &["localhost"], 2090);
    let (file, key) = (certificates.certificate("server"), certificates.key("server"));
    let mut flags = vec!["--supervise", "--drain", "20s", "--drain-spread", "1s", "--direct-descriptors", "200"];
    flags.extend(["--tls-listen", "127.0.0.1:0", "--tls-cert", &file, "--tls-key", &key]);
    let server = Server::start(&flags);
    let (plain, secure) = (server.address(), server.tls_address());
    let connect = move || TlsClient::connect(secure, "localhost", &certificate).expect("the door is open");
    let mut early = connect();
    early.upgrade("localhost", "/echo", &[]).expect("the route is there");
    early.echo(b"here");
    let is_over = Arc::new(AtomicBool::new(false));
    let visitors = Vec::from_iter((0..2).map(|number| {
        let (is_over, connect) = (Arc::clone(&is_over), connect.clone());
        thread::spawn(move || {
            let mut count = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                if number == 0 {
                    ask(plain);
                } else {
                    let mut client = connect();
                    client.upgrade("localhost", "/echo", &[]).expect("nobody is refused");
                    client.send_frame(Opcode::Binary, b"here").expect("the server reads");
                    match client.receive_frame().expect("nobody is cut off") {
                        (0x82, payload) => assert_eq!(payload, b"here"),
                        (0x88, payload) => assert_eq!(payload[..2], 1001_u16.to_be_bytes()),
                        other => panic!("{other:?}"),
                    }
                }
                count += 1;
            }
            count
        })
    }));
    let old = child(&server);
    server.signal(libc::SIGUSR2);
    let new = next_child(&server, old, 2);
    let close = early.receive().expect("a close frame");
    assert_eq!(close[..1], [0x88], "it is told to leave");
    assert_eq!(close[2..4], 1001_u16.to_be_bytes());
    drop(early);
    wait::until("the old one has gone", PATIENCE, || (!is_alive(old)).then_some(()));
    is_over.store(true, Ordering::Relaxed);
    for visitor in visitors {
        assert!(visitor.join().expect("nobody was refused or cut off") > 10);
    }
    assert_eq!(child(&server), new);
    connect().get("localhost", "/readyz", "").expect("the new one answers");
}

#[test]
fn a_session_goes_over_to_the_new_server_with_everything_that_was_durable() {
    let place = Directory::new("handover");
    let flags = place.session_flags();
    let mut flags = Vec::from_iter(flags.iter().map(String::as_str));
    flags.extend(["--supervise", "--drain", "20s", "--drain-spread", "5s"]);
    let server = Server::start(&flags);
    let page = Http::get(server.address(), "/");
    let cookie = page.header("set-cookie").expect("a cookie").split(';').next().expect("a pair").to_owned();
    let mut member = Member::with_cookie(server.address(), &cookie);
    assert_eq!(member.call("session.set", &json!(["before", 1])), Ok(json!(true)), "durable");
    let old = child(&server);
    server.signal(libc::SIGUSR2);
    let _ = next_child(&server, old, 2);
    // For a moment the old one may still accept, and says that what it writes is not durable, or that it goes, which a
    // member does not expect.
    let address = server.address();
    let come = || {
        let mut again = Member::with_cookie(address, &cookie);
        (again.call("session.set", &json!(["after", 2])) == Ok(json!(true))).then_some(again)
    };
    let mut again =
        wait::until("a newcomer's writes are durable again", PATIENCE, || catch_unwind(come).ok().flatten());
    assert_eq!(again.call("session.all", &json!(null)), Ok(json!({ "after": 2, "before": 1 })));
    drop(member);
    wait::until("the old one has gone", PATIENCE, || (!is_alive(old)).then_some(()));
    let mut third = Member::with_cookie(server.address(), &cookie);
    assert_eq!(third.call("session.all", &json!(null)), Ok(json!({ "after": 2, "before": 1 })));
}

#[test]
fn a_new_server_that_does_not_start_changes_nothing() {
    let place = Directory::new("failed-handover");
    let flags = place.session_flags();
    let mut flags = Vec::from_iter(flags.iter().map(String::as_str));
    flags.push("--supervise");
    let server = Server::start(&flags);
    let mut member = Member::connect(server.address());
    assert_eq!(member.call("session.set", &json!(["a", 1])), Ok(json!(true)), "durable");
    let old = child(&server);
    fs::remove_file(place.0.join("keys")).expect("it is there");
    server.signal(libc::SIGUSR2);
    wait::until("it has failed", PATIENCE, || server.stderr().contains("the old one goes on").then_some(()));
    assert_eq!(child(&server), old);
    wait::until("writes are durable", PATIENCE, || {
        (member.call("session.set", &json!(["a", 2])) == Ok(json!(true))).then_some(())
    });
}

#[test]
fn a_server_without_a_supervisor_says_so_and_goes_on() {
    let server = Server::start(&[]);
    server.signal(libc::SIGUSR2);
    wait::until("it says so", PATIENCE, || server.stderr().contains("start with --supervise").then_some(()));
    ask(server.address());
}
