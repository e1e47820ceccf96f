//! A SocketCluster client in the plainest form: calls with answers, publications kept while it waits for something else.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::case::Seen;
use super::socket::{Heard, Socket};
use super::stage::Stage;

/// An open connection.
pub(crate) struct Member {
    socket: Socket,
    calls: u64,
    publications: Vec<Value>,
}

/// An answer's data, or what came instead of it.
pub(crate) type Reply = Result<Value, Seen>;

impl Member {
    /// Connects and shakes hands.
    pub(crate) fn open(stage: &Stage) -> io::Result<Self> {
        let mut member = Self::before_handshake(stage)?;
        match member.call("#handshake", &json!({ "authToken": null }))? {
            Ok(_) => Ok(member),
            Err(seen) => Err(io::Error::other(format!("no handshake: {seen}"))),
        }
    }

    /// Connects only.
    pub(crate) fn before_handshake(stage: &Stage) -> io::Result<Self> {
        let socket = Socket::open(stage, stage.socketcluster_path(), &[])?;
        let socket = socket.map_err(|seen| io::Error::other(format!("no SocketCluster: {seen}")))?;
        Ok(Self { socket, calls: 0, publications: Vec::new() })
    }

    /// The WebSocket below.
    pub(crate) const fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Calls and waits for the answer.
    pub(crate) fn call(&mut self, event: &str, data: &Value) -> io::Result<Reply> {
        let call = self.start(event, data)?;
        self.reply(call)
    }

    /// Sends a call and returns its id.
    pub(crate) fn start(&mut self, event: &str, data: &Value) -> io::Result<u64> {
        self.calls += 1;
        self.socket.text(&json!({ "event": event, "data": data, "cid": self.calls }).to_string())?;
        Ok(self.calls)
    }

    /// Waits for the answer to that call; what comes to other ids is passed over.
    pub(crate) fn reply(&mut self, call: u64) -> io::Result<Reply> {
        self.reply_to(&json!(call))
    }

    /// Waits for the answer to the call of that id.
    pub(crate) fn reply_to(&mut self, call: &Value) -> io::Result<Reply> {
        let end = Instant::now() + self.socket.wire().patience();
        loop {
            match self.packet(end.saturating_duration_since(Instant::now()))? {
                Ok(packet) if packet["rid"] == *call => {
                    return Ok(match packet.get("error") {
                        Some(error) => Err(Seen::Refused(error["name"].as_str().unwrap_or("an error").to_owned())),
                        None => Ok(packet["data"].clone()),
                    });
                }
                Ok(_) => {}
                Err(seen) => return Ok(Err(seen)),
            }
        }
    }

    /// The next packet; heartbeats are answered, publications kept.
    pub(crate) fn packet(&mut self, limit: Duration) -> io::Result<Reply> {
        let end = Instant::now() + limit;
        loop {
            let text = match self.socket.hear(end.saturating_duration_since(Instant::now()))? {
                Heard::Text(text) => text,
                Heard::Close(code) => return Ok(Err(Seen::Closed(code))),
                Heard::End => return Ok(Err(Seen::Ended)),
                Heard::Late => return Ok(Err(Seen::Nothing)),
                Heard::Binary(_) | Heard::Pong => continue,
            };
            match text.as_str() {
                "" => self.socket.text("")?,
                // Heartbeats of other dialects, by which a server finds out whom it talks to.
                "#1" | "1" => {}
                _ => {
                    let packet: Value = serde_json::from_str(&text)
                        .map_err(|error| io::Error::other(format!("the server sent what is no JSON: {error}")))?;
                    if packet["event"] == "#publish" {
                        self.publications.push(packet["data"].clone());
                    } else {
                        return Ok(Ok(packet));
                    }
                }
            }
        }
    }

    /// The publications that have come, each as `{"channel":…,"data":…}`.
    pub(crate) fn take_publications(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.publications)
    }

    /// Whether calls are still answered; what is answered before is not looked at, as it may be what no parser takes.
    pub(crate) fn served_over(&mut self) -> io::Result<Seen> {
        self.calls += 1;
        self.socket.text(&json!({ "event": "app.square", "data": 25, "cid": self.calls }).to_string())?;
        let answer = json!({ "rid": self.calls, "data": 625 }).to_string();
        let end = Instant::now() + self.socket.wire().patience();
        loop {
            match self.socket.hear(end.saturating_duration_since(Instant::now()))? {
                Heard::Text(text) if same(&text, &answer) => return Ok(Seen::Served),
                Heard::Close(code) => return Ok(Seen::Closed(code)),
                Heard::End => return Ok(Seen::Ended),
                Heard::Late => return Ok(Seen::Nothing),
                Heard::Text(_) | Heard::Binary(_) | Heard::Pong => {}
            }
        }
    }

    /// Whether calls are still answered.
    pub(crate) fn served(&mut self) -> io::Result<Seen> {
        Ok(match self.call("app.square", &json!(25))? {
            Ok(square) if square == json!(625) => Seen::Served,
            Ok(other) => Seen::Wrong(format!("the square of 25 is {other}")),
            Err(seen) => seen,
        })
    }
}

/// Whether two texts are the same JSON.
fn same(one: &str, other: &str) -> bool {
    serde_json::from_str::<Value>(one)
        .is_ok_and(|one| serde_json::from_str(other).is_ok_and(|other: Value| one == other))
}

/// What an answer shows, where it should have been an error.
pub(crate) fn seen(reply: Reply) -> Seen {
    match reply {
        Ok(_) => Seen::Served,
        Err(seen) => seen,
    }
}
