//! Connections that come and go faster than they can be of use, that vanish in the middle of something, or that are too
//! many.

use std::net::TcpStream;
use std::time::Duration;

use codec::websocket::{Opcode, encode};
use harness::http::Http;
use harness::member::{Member, PATH};
use harness::server::{self, Server};
use harness::system::{self, Resource};
use harness::wait::{self, PATIENCE};
use harness::websocket::{MASK, WebSocket};
use serde_json::json;

use crate::guard::{FLOOD_BYTES, SLACK_BYTES, TELL, assert_served, survives};

#[test]
fn ten_thousand_quick_connections_leave_nothing() {
    survives(&[], SLACK_BYTES, |server| {
        for round in 0..2_500 {
            drop(connect(server));
            system::reset(connect(server));
            let socket = WebSocket::connect(server.address(), PATH);
            if round % 2 == 0 {
                drop(socket)
            } else {
                socket.reset()
            }
            Member::connect(server.address()).into_socket().reset();
        }
    });
}

#[test]
fn connections_that_vanish_in_the_middle_leave_nothing() {
    survives(&[], FLOOD_BYTES, |server| {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Text, MASK, &[b'x'; 50_000]);
        for cut in [1, 5, 7, 8, 1_000, 40_000, frame.len() - 1] {
            for _ in 0..50 {
                let mut socket = WebSocket::connect(server.address(), "/echo");
                socket.send_raw(&frame[..cut]).expect("the server reads");
                socket.reset();
            }
        }
        for _ in 0..100 {
            // A head, a fragmented message, replies under way.
            let mut http = Http::connect(server.address());
            http.send(b"GET / HTTP/1.1\r\nHost:");
            http.reset();
            let mut socket = WebSocket::connect(server.address(), "/echo");
            socket.send_fragment(Opcode::Text, false, b"to be continued");
            socket.reset();
            let mut socket = WebSocket::connect(server.address(), "/echo");
            for _ in 0..20 {
                socket.send_raw(&frame).expect("the server reads");
            }
            socket.reset();
            let mut member = Member::connect(server.address());
            member.start_call("app.drop", &json!(null));
            member.into_socket().reset();
        }
    });
}

#[test]
fn subscribers_that_vanish_are_forgotten_on_every_shard() {
    survives(&[], SLACK_BYTES, |server| {
        let (mut near, mut far) = Member::pair(server.address());
        near.subscribe("ghosts");
        for round in 0..100 {
            let mut ghost = Member::connect(server.address());
            ghost.subscribe("ghosts");
            if round % 2 == 0 {
                ghost.into_socket().reset()
            } else {
                drop(ghost)
            }
            far.publish("ghosts", &json!(round));
            assert_eq!(near.publication(), ("ghosts".to_owned(), json!(round)));
        }
    });
}

/// With fewer descriptors than clients, the surplus waits in the kernel's queue; those that are in are served, and so
/// are the others once there is room.
#[test]
fn running_out_of_descriptors_is_survived() {
    let mut command = server::start_command();
    command.args(["--shards", "2"]);
    system::limit(&mut command, Resource::Descriptors, 96);
    let server = Server::from_command(command);
    let idle = server.descriptors();
    assert!(idle < 80, "an idle server of two shards uses {idle} descriptors");
    let mut early = Member::connect(server.address());
    let crowd = Vec::from_iter((0..200).map(|_| connect(&server)));
    wait::until("no descriptor is left", PATIENCE, || (server.descriptors() >= 96).then_some(()));
    assert_eq!(early.call("app.square", &json!(25)), Ok(json!(625)), "who is in is served");
    drop(crowd);
    assert_served(&server);
    drop(early);
    server.wait_for_descriptors(idle, PATIENCE);
    assert!(server.count("accepts_failed") > 0);
    wait::until("the log says so", PATIENCE, || server.stderr().contains("cannot accept connections").then_some(()));
    server.assert_no_panic();
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once() {
    let server = Server::start(&["--max-connections", "20", TELL]);
    let descriptors = server.descriptors();
    // 20 for each of two shards, or for both together: of 60 connections at least 20 find no room either way.
    let mut crowd = Vec::from_iter((0..60).map(|_| WebSocket::try_connect(server.address(), "/echo").ok()));
    let refused = crowd.iter().filter(|socket| socket.is_none()).count();
    assert!(refused >= 20, "{refused} of 60 connections were refused");
    for socket in crowd.iter_mut().flatten() {
        socket.send_text("still here");
        assert_eq!(socket.receive_text(), "still here", "who is in is served");
    }
    server.expect_told("refused");
    assert_eq!(server.count("refused"), refused as u64);
    drop(crowd);
    server.wait_for_descriptors(descriptors, PATIENCE);
    assert_served(&server);
    server.assert_no_panic();
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect_timeout(&server.address(), Duration::from_secs(20)).expect("the kernel's queue has room")
}
