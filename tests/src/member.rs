//! A blocking SocketCluster client in the plainest form, written from the protocol and independent of the codec's
//! client direction. It answers the server's heartbeats only while it waits for something.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::websocket::{Received, WebSocket};

/// An open SocketCluster connection.
pub struct Member {
    socket: WebSocket,
    id: String,
    calls: u64,
    publications: VecDeque<(String, Value)>,
    events: VecDeque<(String, Value)>,
}

impl Member {
    /// Connects and shakes hands.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let mut member = Self::before_handshake(address);
        let status = member.call("#handshake", &json!({ "authToken": null })).expect("the handshake is answered");
        assert!(status["id"].is_string() && status["pingTimeout"].is_u64(), "not a handshake's answer: {status}");
        assert_eq!(status["isAuthenticated"], json!(false), "nobody logged in");
        member.id = status["id"].as_str().unwrap_or_default().to_owned();
        member
    }

    /// Connects, and leaves the SocketCluster handshake to the caller.
    #[must_use]
    pub fn before_handshake(address: SocketAddr) -> Self {
        let socket = WebSocket::connect(address, PATH);
        Self::over(socket)
    }

    /// Connects with a session's cookie, `name=value`, and shakes hands.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn with_cookie(address: SocketAddr, cookie: &str) -> Self {
        let socket = WebSocket::connect_with(address, PATH, &[("Cookie", cookie)]);
        let socket = socket.unwrap_or_else(|error| panic!("a connection with a cookie: {error}"));
        let mut member = Self::over(socket);
        member.call("#handshake", &json!({ "authToken": null })).expect("the handshake is answered");
        member
    }

    const fn over(socket: WebSocket) -> Self {
        Self { socket, id: String::new(), calls: 0, publications: VecDeque::new(), events: VecDeque::new() }
    }

    /// Its public id, as the handshake of [`Member::connect`] has told it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The `Set-Cookie` of its upgrade.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.socket.cookie()
    }

    /// Two members on different shards of a server that has two.
    ///
    /// # Panics
    /// When the connections all land on one shard.
    #[must_use]
    pub fn pair(address: SocketAddr) -> (Self, Self) {
        let mut near = Self::connect(address);
        let home = near.shard();
        // 64 misses in a row with equal chances: not bad luck but a bug.
        let far = (0..64).map(|_| Self::connect(address)).find_map(|mut far| (far.shard() != home).then_some(far));
        (near, far.unwrap_or_else(|| panic!("64 connections in a row were all on shard {home}")))
    }

    /// Calls an action and waits for its answer; an absent value reads as null.
    ///
    /// # Errors
    /// The error object that the server answered with.
    pub fn call(&mut self, action: &str, data: &Value) -> Result<Value, Value> {
        let call = self.start_call(action, data);
        self.answer(call)
    }

    /// Sends a call and returns its id.
    pub fn start_call(&mut self, action: &str, data: &Value) -> u64 {
        self.calls += 1;
        self.socket.send_text(&json!({ "event": action, "data": data, "cid": self.calls }).to_string());
        self.calls
    }

    /// Waits for the answer to that call; the answers must come in the order of the calls.
    ///
    /// # Errors
    /// The error object that the server answered with.
    pub fn answer(&mut self, call: u64) -> Result<Value, Value> {
        loop {
            let packet = self.packet();
            if let Some(rid) = packet.get("rid") {
                assert_eq!(rid, &json!(call), "an answer to another call: {packet}");
                return packet.get("error").map_or_else(|| Ok(packet["data"].clone()), |error| Err(error.clone()));
            }
            self.keep(&packet);
        }
    }

    /// The shard that serves this connection.
    ///
    /// # Panics
    /// When the server does not say.
    pub fn shard(&mut self) -> u64 {
        self.call("app.shard", &Value::Null).expect("app.shard answers").as_u64().expect("a shard has a number")
    }

    /// Subscribes and waits for the answer.
    ///
    /// # Panics
    /// When it is refused.
    pub fn subscribe(&mut self, channel: &str) {
        self.call("#subscribe", &json!({ "channel": channel })).expect("the subscription is accepted");
    }

    /// Unsubscribes and waits for the answer.
    ///
    /// # Panics
    /// When it is refused.
    pub fn unsubscribe(&mut self, channel: &str) {
        self.call("#unsubscribe", &json!(channel)).expect("the unsubscription is accepted");
    }

    /// Publishes and waits for the answer.
    ///
    /// # Panics
    /// When it is refused.
    pub fn publish(&mut self, channel: &str, data: &Value) {
        self.call("#publish", &json!({ "channel": channel, "data": data })).expect("the publication is accepted");
    }

    /// Waits for the next publication: its channel and its payload.
    pub fn publication(&mut self) -> (String, Value) {
        loop {
            if let Some(publication) = self.publications.pop_front() {
                return publication;
            }
            let packet = self.packet();
            self.keep(&packet);
        }
    }

    /// Waits for the next event of the application: its name and its payload.
    pub fn event(&mut self) -> (String, Value) {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let packet = self.packet();
            self.keep(&packet);
        }
    }

    /// The events that came while something else was waited for.
    pub fn kept_events(&mut self) -> Vec<(String, Value)> {
        self.events.drain(..).collect()
    }

    /// A publication that came while something else was waited for.
    pub fn kept_publication(&mut self) -> Option<(String, Value)> {
        self.publications.pop_front()
    }

    /// Waits until that many heartbeats have come, answering each. Those of other dialects, by which the server finds
    /// out whom it talks to, are passed over.
    ///
    /// # Panics
    /// When something else comes.
    pub fn hear_heartbeats(&mut self, count: usize) {
        let mut heard = 0;
        while heard < count {
            match self.socket.receive() {
                Received::Text(text) if text.is_empty() => {
                    self.socket.send_text("");
                    heard += 1;
                }
                Received::Text(text) if text == "#1" || text == "1" => {}
                other => panic!("expected a heartbeat, received {other:?}"),
            }
        }
    }

    /// The next packet, whatever it is; heartbeats are answered and passed over.
    ///
    /// # Panics
    /// When something that is no packet comes, the connection's end for instance.
    pub fn packet(&mut self) -> Value {
        loop {
            match self.socket.receive() {
                Received::Text(text) => match text.as_str() {
                    "" => self.socket.send_text(""),
                    // Heartbeats of dialects that this client does not speak.
                    "#1" | "1" => {}
                    packet => return serde_json::from_str(packet).unwrap_or_else(|_| panic!("not JSON: {packet:?}")),
                },
                Received::Ping(_) | Received::Pong(_) => {}
                other => panic!("expected a packet, received {other:?}"),
            }
        }
    }

    /// The WebSocket below, for good.
    #[must_use]
    pub fn into_socket(self) -> WebSocket {
        self.socket
    }

    /// The WebSocket below.
    pub const fn socket(&mut self) -> &mut WebSocket {
        &mut self.socket
    }

    fn keep(&mut self, packet: &Value) {
        if packet["event"] == json!("#publish") {
            let channel = packet["data"]["channel"].as_str().expect("a publication names its channel").to_owned();
            self.publications.push_back((channel, packet["data"]["data"].clone()));
        } else if let Some(event) = packet["event"].as_str().filter(|event| !event.starts_with('#')) {
            self.events.push_back((event.to_owned(), packet["data"].clone()));
        }
    }
}

/// Where SocketCluster is served.
pub const PATH: &str = "/socketcluster/";
