//! A blocking SocketCluster connection that may end at any moment: everything is an `io::Result`. It keeps nothing that
//! outlives it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use codec::websocket::{Decoder, Limits, Message, Opcode, Role, encode, handshake};
use serde_json::{Value, json};

/// An open connection.
pub(crate) struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    calls: u64,
    cookie: Option<String>,
}

/// What the server says.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// An answer: to which call, and what.
    Answer(u64, Value),
    /// A publication: its channel.
    Publication(String),
}

impl Connection {
    /// Connects and upgrades, with a session's cookie.
    pub(crate) fn open(address: SocketAddr, cookie: Option<&str>) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let headers: Vec<_> = cookie.map(|cookie| ("Cookie", cookie)).into_iter().collect();
        let mut request = Vec::new();
        handshake::write_request(&mut request, &address.to_string(), PATH, KEY, &headers);
        stream.write_all(&request)?;
        let (mut answer, mut piece) = (Vec::new(), [0; 2_048]);
        let broken = |error: &dyn std::fmt::Display| io::Error::new(ErrorKind::InvalidData, error.to_string());
        loop {
            if let Some(length) = handshake::check_response(&answer, KEY).map_err(|error| broken(&error))? {
                let head = String::from_utf8_lossy(&answer[..length]);
                let set = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: "));
                let cookie = set.and_then(|set| set.split(';').next()).map(str::to_owned);
                // The server says nothing of its own before the protocol's handshake.
                return Ok(Self { stream, decoder: Decoder::new(Role::Client), calls: 0, cookie });
            }
            match stream.read(&mut piece)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => answer.extend_from_slice(&piece[..length]),
            }
        }
    }

    /// The cookie that came with the upgrade.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Sends a call; its number.
    pub(crate) fn call(&mut self, action: &str, data: &Value) -> io::Result<u64> {
        self.calls += 1;
        self.say(&json!({ "event": action, "data": data, "cid": self.calls }).to_string())?;
        Ok(self.calls)
    }

    /// Publishes without asking for an answer.
    pub(crate) fn publish(&mut self, channel: &str, data: &Value) -> io::Result<()> {
        self.say(&json!({ "event": "#publish", "data": { "channel": channel, "data": data } }).to_string())
    }

    /// Calls and waits for the answer, over whatever else comes.
    pub(crate) fn ask(&mut self, action: &str, data: &Value) -> io::Result<Value> {
        let (call, end) = (self.call(action, data)?, Instant::now() + PATIENCE);
        let mut answer = None;
        while answer.is_none() {
            if Instant::now() >= end {
                return Err(ErrorKind::TimedOut.into());
            }
            self.listen(end, |heard| {
                if let Heard::Answer(of, value) = heard
                    && of == call
                {
                    answer = Some(value);
                }
            })?;
        }
        Ok(answer.unwrap_or_default())
    }

    /// Hands over what comes in one read, at the latest by then; heartbeats are answered.
    pub(crate) fn listen(&mut self, until: Instant, mut hear: impl FnMut(Heard)) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 16 << 10];
        let length = match self.stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut beats = 0;
        let mut messages = self.decoder.decode(&mut piece[..length], &LIMITS);
        while let Some(message) = messages.next() {
            match message.map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))? {
                Message::Text("") => beats += 1,
                Message::Text(text) => heard(text).into_iter().for_each(&mut hear),
                Message::Close(_) => return Err(ErrorKind::ConnectionAborted.into()),
                _ => {}
            }
        }
        (0..beats).try_for_each(|_| self.say(""))
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Text, MASK, text.as_bytes());
        self.stream.write_all(&frame)
    }
}

/// A packet that is of interest.
fn heard(text: &str) -> Option<Heard> {
    let mut packet: Value = serde_json::from_str(text).ok()?;
    if let Some(call) = packet["rid"].as_u64() {
        return Some(Heard::Answer(call, packet["data"].take()));
    }
    let channel = packet["data"]["channel"].as_str().filter(|_| packet["event"] == "#publish")?;
    Some(Heard::Publication(channel.to_owned()))
}

/// How long anything may take before the connection counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const PATH: &str = "/socketcluster/";
/// A measurement has no secrets from proxies.
const KEY: [u8; 16] = *b"recovery of all!";
const MASK: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
/// Far more than any answer here.
const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 16 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_publications_are_told_apart_and_the_rest_is_nothing() {
        assert_eq!(heard(r#"{"rid":3,"data":25}"#), Some(Heard::Answer(3, json!(25))));
        assert_eq!(heard(r#"{"rid":3}"#), Some(Heard::Answer(3, Value::Null)));
        let publication = r##"{"event":"#publish","data":{"channel":"a","data":1}}"##;
        assert_eq!(heard(publication), Some(Heard::Publication("a".to_owned())));
        assert_eq!((heard("#1"), heard(r#"{"event":"x","data":{"channel":"a"}}"#)), (None, None));
    }
}
