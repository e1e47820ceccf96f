//! Clients that began by long-polling, went over to a WebSocket and then do not read: wherever the WebSocket has landed,
//! they lose what their channel's policy says and nothing else, and what waits for them stays within its bound.

use std::net::SocketAddr;

use harness::http::Http;
use harness::member::Member;
use harness::websocket::{Received, WebSocket};
use serde_json::{Value, json};

use crate::guard::{FLOOD_BYTES, survives};

/// Of 60,000 bytes each: 72 MB for every client, several times what the kernels hold and what a server may grow.
const PUBLICATIONS: u64 = 1_200;

/// Session and WebSocket meet on one shard as often as not: that all eight do, or none does, is one of 128 runs, and then
/// the test has shown one half of it.
const CLIENTS: usize = 8;

#[test]
fn upgraded_clients_that_never_read_lose_what_their_channels_policy_says() {
    // They answer no heartbeat either while they do not read.
    let flags = ["--slow-consumer", "drop-oldest", "--send-timeout", "5m", "--engine-ping-interval", "5m"];
    survives(&flags, FLOOD_BYTES, |server| {
        let (mut healthy, mut publisher) = Member::pair(server.address());
        healthy.subscribe("hot");
        let mut slow: Vec<_> = (0..CLIENTS).map(|_| upgraded(server.address())).collect();
        let text = "x".repeat(60_000);
        for sequence in 0..PUBLICATIONS {
            publisher.publish("hot", &json!({ "sequence": sequence, "text": text }));
            assert_eq!(healthy.publication().1["sequence"], json!(sequence), "a healthy subscriber misses nothing");
        }
        for socket in &mut slow {
            let heard = sequences_until_the_last(socket);
            assert!(heard.is_sorted() && heard.len() < PUBLICATIONS as usize, "some are lost: {heard:?}");
            assert_eq!(heard.first(), Some(&0), "nothing is lost before there is a backlog");
        }
        // Once they have caught up they get everything again, and are heard.
        publisher.publish("hot", &json!({ "sequence": "after" }));
        for socket in &mut slow {
            assert_eq!(event(socket), json!(["hot", { "sequence": "after" }]));
            socket.send_text(r#"421["app.square",25]"#);
            assert_eq!(socket.receive(), Received::Text("431[625]".to_owned()));
        }
    });
}

/// A client of Socket.IO that was let in by long-polling, has a WebSocket now, and is subscribed to `hot`.
fn upgraded(address: SocketAddr) -> WebSocket {
    let opened = Http::get(address, "/socket.io/?EIO=4&transport=polling");
    let opened: Value = serde_json::from_str(&opened.text()[1..]).expect("an opening packet");
    let id = opened["sid"].as_str().expect("an id");
    let mut post = Http::connect(address);
    let path = format!("/socket.io/?EIO=4&sid={id}&transport=");
    post.send(format!("POST {path}polling HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n40").as_bytes());
    assert_eq!(post.response(false).text(), "ok");
    assert!(Http::get(address, &format!("{path}polling")).text().starts_with("40{"));
    let mut socket = WebSocket::connect(address, &format!("{path}websocket"));
    socket.send_text("2probe");
    assert_eq!(socket.receive(), Received::Text("3probe".to_owned()));
    socket.send_text("5");
    socket.send_text(r#"420["subscribe","hot"]"#);
    assert_eq!(socket.receive(), Received::Text("430[]".to_owned()));
    socket
}

fn event(socket: &mut WebSocket) -> Value {
    let Received::Text(text) = socket.receive() else { panic!("an event is text") };
    serde_json::from_str(text.strip_prefix("42").expect("an event")).expect("JSON")
}

fn sequences_until_the_last(socket: &mut WebSocket) -> Vec<u64> {
    let mut heard = Vec::new();
    while heard.last() != Some(&(PUBLICATIONS - 1)) {
        heard.push(event(socket)[1]["sequence"].as_u64().expect("a publication has its number"));
    }
    heard
}
