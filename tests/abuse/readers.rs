//! Clients that send and never read, or listen and never read: they are held back or ended, and what is queued for them
//! stays within its bound.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use codec::websocket::{Opcode, encode};
use harness::http::Http;
use harness::member::Member;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use harness::websocket::{MASK, Received, WebSocket};
use serde_json::json;

use crate::guard::{FLOOD_BYTES, assert_served, survives};

/// A client that does not read is ended after a second, so that tests see the end. Where it is no WebSocket yet, what
/// ends it is that it asks nothing more.
const IMPATIENT: [&str; 6] = ["--send-timeout", "1s", "--close-timeout", "1s", "--idle-timeout", "2s"];

/// What both kernels may hold between two sockets: 6 MB receive and 4 MB send buffers at the usual maxima, each way,
/// and the server's outbox. A server without back-pressure takes far more in the time that is given here.
const TAKEN_BYTES_MAX: u64 = 64 << 20;

#[test]
fn an_echo_client_that_never_reads_is_not_read_either() {
    survives(&IMPATIENT, FLOOD_BYTES, |server| {
        let mut socket = WebSocket::connect(server.address(), "/echo");
        let mut message = Vec::new();
        encode::masked_frame(&mut message, Opcode::Binary, MASK, &[7; 64 << 10]);
        flood_until_ended(server, &message, TAKEN_BYTES_MAX, |bytes| {
            socket.send_raw(bytes).err().map(|error| error.kind())
        });
    });
}

#[test]
fn a_caller_that_never_reads_is_not_read_either() {
    survives(&IMPATIENT, FLOOD_BYTES, |server| {
        let mut member = Member::connect(server.address());
        let call = json!({ "event": "app.echo", "data": "x".repeat(60_000), "cid": 1 }).to_string();
        let mut message = Vec::new();
        encode::masked_frame(&mut message, Opcode::Text, MASK, call.as_bytes());
        flood_until_ended(server, &message, TAKEN_BYTES_MAX, |bytes| {
            member.socket().send_raw(bytes).err().map(|error| error.kind())
        });
    });
}

#[test]
fn a_pinging_client_that_never_reads_is_not_read_either() {
    survives(&IMPATIENT, FLOOD_BYTES, |server| {
        let mut socket = WebSocket::connect(server.address(), "/echo");
        let mut message = Vec::new();
        for _ in 0..1_000 {
            encode::masked_frame(&mut message, Opcode::Ping, MASK, &[b'p'; 125]);
        }
        flood_until_ended(server, &message, TAKEN_BYTES_MAX, |bytes| {
            socket.send_raw(bytes).err().map(|error| error.kind())
        });
    });
}

#[test]
fn a_browser_that_never_reads_its_pages_is_not_read_either() {
    survives(&IMPATIENT, FLOOD_BYTES, |server| {
        let mut http = Http::connect(server.address());
        let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
        // After its time is up the server drains what still comes, so as not to reset what it said: memory is the bound.
        flood_until_ended(server, &requests, u64::MAX, |bytes| http.try_send(bytes).err().map(|error| error.kind()));
    });
}

/// Sends the same bytes until the server ends the connection. Meanwhile it takes no more than the kernels and its own
/// bounds can hold, and serves others.
fn flood_until_ended(
    server: &Server,
    bytes: &[u8],
    taken_bytes_max: u64,
    mut send: impl FnMut(&[u8]) -> Option<ErrorKind>,
) {
    let end = Instant::now() + PATIENCE;
    let mut taken = 0u64;
    let error = loop {
        match send(bytes) {
            None => taken += bytes.len() as u64,
            Some(error) => break error,
        }
        assert!(taken <= taken_bytes_max, "the server took {taken} bytes from a client that does not read");
        assert!(wait::remaining(end).is_some(), "after {PATIENCE:?} the server is still reading, {taken} bytes so far");
    };
    assert!(
        matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "the server ends the connection; sending failed with {error:?} after {taken} bytes"
    );
    assert_served(server);
}

/// How many publications of 60,000 bytes: 180 MB on each shard, several times the growth that is allowed.
const PUBLICATIONS: usize = 3_000;

#[test]
fn a_subscriber_that_never_reads_a_hot_channel_is_ended() {
    survives(&IMPATIENT, FLOOD_BYTES, |server| {
        let (mut healthy, mut publisher) = Member::pair(server.address());
        // One on each shard.
        let (mut slow_near, mut slow_far) = Member::pair(server.address());
        for member in [&mut healthy, &mut slow_near, &mut slow_far] {
            member.subscribe("hot");
        }
        let descriptors = server.descriptors();
        publish_in_step(&mut publisher, &mut healthy);
        server.wait_for_descriptors(descriptors - 2, PATIENCE);
        // Both are told why, if they ever look, unless the end overtook it.
        for slow in [slow_near, slow_far] {
            expect_slow_consumer_end(slow.into_socket());
        }
    });
}

#[test]
fn a_subscriber_that_never_reads_may_lose_publications_instead() {
    // It answers no heartbeat either while it does not read.
    let flags = ["--slow-consumer", "drop", "--send-timeout", "5m", "--ping-interval", "1m", "--ping-timeout", "10m"];
    survives(&flags, FLOOD_BYTES, |server| {
        let (mut healthy, mut publisher) = Member::pair(server.address());
        let (mut slow_near, mut slow_far) = Member::pair(server.address());
        for member in [&mut healthy, &mut slow_near, &mut slow_far] {
            member.subscribe("hot");
        }
        publish_in_step(&mut publisher, &mut healthy);
        for slow in [&mut slow_near, &mut slow_far] {
            let mut sequences = Vec::new();
            let fence = slow.start_call("app.echo", &json!("fence"));
            assert_eq!(slow.answer(fence), Ok(json!("fence")), "it is still a member");
            while let Some((_, data)) = slow.kept_publication() {
                sequences.push(data["sequence"].as_u64().expect("a publication has its number"));
            }
            assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]), "what it gets is in order: {sequences:?}");
            assert!(sequences.len() < PUBLICATIONS, "it has lost some");
            assert_eq!(sequences.first(), Some(&0), "it has lost the later ones");
            // Once it has caught up it gets everything again.
            publisher.publish("hot", &json!({ "sequence": "after" }));
            assert_eq!(slow.publication().1["sequence"], json!("after"));
        }
    });
}

/// Publishes, each time waiting until the healthy subscriber has it: that one is never behind.
fn publish_in_step(publisher: &mut Member, healthy: &mut Member) {
    let text = "x".repeat(60_000);
    for sequence in 0..PUBLICATIONS {
        publisher.publish("hot", &json!({ "sequence": sequence, "text": text }));
        assert_eq!(healthy.publication().1["sequence"], json!(sequence), "a healthy subscriber misses nothing");
    }
}

fn expect_slow_consumer_end(mut socket: WebSocket) {
    loop {
        match socket.receive_within(Duration::from_secs(10)).expect("the connection has ended") {
            Received::Close(close) => break assert_eq!(close.expect("a code is given").0, 1013),
            Received::End | Received::Reset => break,
            _ => {}
        }
    }
}
