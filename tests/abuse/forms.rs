//! Subscribers of every kind that never read: what they lose is what their channel's policy says, of events addressed to the
//! channel as of publications, and who reads misses nothing meanwhile.

use harness::http::Http;
use harness::member::Member;
use harness::server::Server;
use harness::websocket::WebSocket;
use serde_json::json;

use crate::guard::{FLOOD_BYTES, survives};

/// Of 60 kB each: 24 MB, more than the kernels hold between two sockets.
const PUSHES: u64 = 400;

/// A subscriber, by what it can be heard.
enum Slow {
    Text(WebSocket),
    Stream(Http),
}

/// A subscriber of each kind to that channel.
fn everybody(server: &Server, channel: &str) -> Vec<(&'static str, Slow)> {
    let address = server.address();
    let mut cluster = Member::connect(address);
    cluster.subscribe(channel);
    let engine = |path: &str, said: &[(String, &str)]| {
        let mut socket = WebSocket::connect(address, path);
        for (text, answer) in said {
            if !text.is_empty() {
                socket.send_text(text);
            }
            while !socket.receive_text().contains(answer) {}
        }
        Slow::Text(socket)
    };
    let joins = format!(r#"420["rooms.join","{channel}"]"#);
    let socketio = |version: u8, hello: &str| {
        let path = format!("/socket.io/?EIO={version}&transport=websocket");
        (path, [(hello.to_owned(), "40"), (joins.clone(), "430")])
    };
    let subscribes = format!(r#"41|{{"m":"subscribe","id":1,"p":["{channel}"]}}"#);
    let stream = [(String::new(), "X|OK"), (subscribes, r#""id":1"#)];
    let (path_4, said_4) = socketio(4, "40");
    let (path_3, said_3) = socketio(3, "");
    let mut events = Http::connect(address);
    events.send(format!("GET /sse?channel={channel} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    assert_eq!(events.endless().status, 200);
    vec![
        ("SocketCluster", Slow::Text(cluster.into_socket())),
        ("Socket.IO 5", engine(&path_4, &said_4)),
        ("Socket.IO 4", engine(&path_3, &said_3)),
        ("SocketStream", engine("/engine.io/?EIO=3&transport=websocket", &stream)),
        ("an event stream", Slow::Stream(events)),
    ]
}

impl Slow {
    /// The numbers of everything that comes until that one.
    fn sequences_until(&mut self, last: u64) -> Vec<u64> {
        let mut sequences = Vec::new();
        while sequences.last() != Some(&last) {
            let text = match self {
                Self::Text(socket) => socket.receive_text(),
                Self::Stream(http) => http.until("\n\n"),
            };
            let number =
                text.split_once(r#""sequence":"#).and_then(|(_, rest)| rest.split([',', '}']).next()?.parse().ok());
            sequences.extend::<Option<u64>>(number);
        }
        sequences
    }
}

#[test]
fn every_kind_of_subscriber_loses_what_its_channels_policy_says_of_publications_and_of_events() {
    let policies = "close,hot.oldest=drop-oldest,hot.latest=conflate";
    let flags = ["--slow-consumer", policies, "--send-timeout", "5m", "--ping-interval", "1m", "--ping-timeout", "10m"];
    // Engine.IO has heartbeats of its own.
    let flags = [&flags[..], &["--engine-ping-interval", "5m", "--engine-ping-timeout", "5m"]].concat();
    survives(&flags, FLOOD_BYTES, |server| {
        for channel in ["hot.oldest", "hot.latest"] {
            for is_event in [false, true] {
                let mut slow = everybody(server, channel);
                let (mut healthy, mut publisher) = Member::pair(server.address());
                healthy.subscribe(channel);
                let text = "x".repeat(60_000);
                for sequence in 0..PUSHES {
                    let data = json!({ "sequence": sequence, "text": text });
                    let heard = if is_event {
                        let event = json!({ "to": channel, "event": "tick", "data": data });
                        publisher.call("publish.channel", &event).expect("it may be said");
                        healthy.event().1
                    } else {
                        publisher.publish(channel, &data);
                        healthy.publication().1
                    };
                    assert_eq!(heard["sequence"], json!(sequence), "who reads misses nothing while others stall");
                }
                for (kind, slow) in &mut slow {
                    let heard = slow.sequences_until(PUSHES - 1);
                    let case = format!("{kind}, {channel}, events: {is_event}");
                    assert!(heard.windows(2).all(|pair| pair[0] < pair[1]), "{case}: in order: {heard:?}");
                    assert_eq!(heard.first(), Some(&0), "{case}: nothing is lost before there is a backlog");
                    assert!((heard.len() as u64) < PUSHES, "{case}: some are lost");
                    let tail = heard.iter().rev().zip((0..PUSHES).rev()).take_while(|(heard, all)| **heard == *all);
                    // 256 KiB are four of 60 kB; what was in the air when they were lost may end right before them.
                    let kept = if channel == "hot.latest" { 1..=1 } else { 3..=4 };
                    assert!(kept.contains(&tail.count()), "{case}: what waited: {heard:?}");
                }
            }
        }
    });
}
