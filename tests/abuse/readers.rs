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
    server.expect_told("timeouts");
}

/// How many publications of 60,000 bytes to a channel: 72 MB on each shard, several times what the kernels hold and what
/// a server may grow.
const PUBLICATIONS: usize = 1_200;

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
        publish_in_step(&mut publisher, &mut healthy, &["hot"]);
        server.wait_for_descriptors(descriptors - 2, PATIENCE);
        // Both are told why, if they ever look, unless the end overtook it.
        for slow in [slow_near, slow_far] {
            expect_slow_consumer_end(slow.into_socket());
        }
        server.expect_told("slow_consumers");
        assert_eq!(server.count("slow_consumers"), 2);
    });
}

/// Channels whose subscribers may lose something, and the flag that says what.
const LOSSY: [&str; 3] = ["hot.newest", "hot.oldest", "hot.latest"];
const POLICIES: &str = "close,hot.newest=drop-newest,hot.oldest=drop-oldest,hot.l*=conflate";

#[test]
fn subscribers_that_never_read_lose_what_their_channels_policy_says() {
    // They answer no heartbeat either while they do not read.
    let flags = ["--slow-consumer", POLICIES, "--send-timeout", "5m", "--ping-interval", "1m", "--ping-timeout", "10m"];
    survives(&flags, FLOOD_BYTES, |server| {
        let (mut healthy, mut publisher) = Member::pair(server.address());
        // Of each channel one on each shard.
        let mut slow: Vec<_> = LOSSY
            .into_iter()
            .flat_map(|channel| {
                let (near, far) = Member::pair(server.address());
                [(channel, near), (channel, far)]
            })
            .collect();
        LOSSY.iter().for_each(|channel| healthy.subscribe(channel));
        slow.iter_mut().for_each(|(channel, member)| member.subscribe(channel));
        publish_in_step(&mut publisher, &mut healthy, &LOSSY);
        let last = PUBLICATIONS as u64 - 1;
        for (channel, slow) in &mut slow {
            let heard = sequences_until_answered(slow);
            assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "{channel}: what comes is in order: {heard:?}");
            assert_eq!(heard.first(), Some(&0), "{channel}: nothing is lost before there is a backlog");
            assert!(heard.len() < PUBLICATIONS, "{channel}: some are lost");
            assert_eq!(heard.last() == Some(&last), *channel != "hot.newest", "{channel}: whether the last came");
        }
        for counter in ["deliveries_dropped_newest", "deliveries_dropped_oldest", "deliveries_conflated"] {
            assert!(server.count(counter) > 0, "{counter}");
        }
        // Once they have caught up they get everything again.
        LOSSY.iter().for_each(|channel| publisher.publish(channel, &json!({ "sequence": "after" })));
        for (_, slow) in &mut slow {
            assert_eq!(slow.publication().1["sequence"], json!("after"));
        }
    });
}

#[test]
fn a_subscriber_that_reads_slowly_but_steadily_stays_and_has_the_latest() {
    let flags = ["--slow-consumer", "conflate", "--send-timeout", "1s"];
    survives(&flags, FLOOD_BYTES, |server| {
        let (mut healthy, mut publisher) = Member::pair(server.address());
        let (mut near, mut far) = Member::pair(server.address());
        for member in [&mut healthy, &mut near, &mut far] {
            member.subscribe("hot");
        }
        // It reads one of ten: its backlog stays, and what it is sent moves on.
        let text = "x".repeat(60_000);
        let mut last_heard = [None; 2];
        for sequence in 0..PUBLICATIONS as u64 {
            publisher.publish("hot", &json!({ "sequence": sequence, "text": text }));
            assert_eq!(healthy.publication().1["sequence"], json!(sequence));
            if sequence % 10 == 9 {
                for (slow, last) in [&mut near, &mut far].into_iter().zip(&mut last_heard) {
                    let heard = slow.publication().1["sequence"].as_u64();
                    assert!(heard > *last, "in order: {heard:?} after {last:?}");
                    *last = heard;
                }
            }
        }
        for (slow, before) in [&mut near, &mut far].into_iter().zip(last_heard) {
            let rest = sequences_until_answered(slow);
            assert!(rest.windows(2).all(|pair| pair[0] < pair[1]) && rest.first().copied() > before);
            assert_eq!(rest.last(), Some(&(PUBLICATIONS as u64 - 1)), "it has the latest");
        }
        assert!(server.count("deliveries_conflated") > 0);
    });
}

/// The numbers of everything that was published to a member until it is answered, which shows that it is still one.
fn sequences_until_answered(member: &mut Member) -> Vec<u64> {
    let fence = member.start_call("app.echo", &json!("fence"));
    assert_eq!(member.answer(fence), Ok(json!("fence")), "it is still a member");
    let sequences = std::iter::from_fn(|| member.kept_publication());
    sequences.map(|(_, data)| data["sequence"].as_u64().expect("a publication has its number")).collect()
}

/// Publishes to each channel, each time waiting until the healthy subscriber has it: that one is never behind.
fn publish_in_step(publisher: &mut Member, healthy: &mut Member, channels: &[&str]) {
    let text = "x".repeat(60_000);
    for sequence in 0..PUBLICATIONS {
        for channel in channels {
            publisher.publish(channel, &json!({ "sequence": sequence, "text": text }));
            let (heard, data) = healthy.publication();
            assert_eq!(
                (&*heard, &data["sequence"]),
                (*channel, &json!(sequence)),
                "a healthy subscriber misses nothing"
            );
        }
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
