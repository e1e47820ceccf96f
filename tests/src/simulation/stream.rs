//! The server's bytes to one client, decoded as they leave: what the client hears when they arrive. Strict: bytes that
//! no server may send end the run.

use codec::http::{HEAD_BYTES_MAX, HeaderStorage, response};
use codec::socketcluster::client::{Decoder as Packets, ServerMessage};
use codec::socketcluster::{Dialect, Limits as PacketLimits};
use codec::websocket::handshake::{self, ResponseError};
use codec::websocket::inflate::{Inflater, Inflation};
use codec::websocket::{Decoder as Frames, Limits as FrameLimits, Message, Role, encode};

use super::compression;

/// One thing that a server says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    /// Compression was agreed to by an upgrade that succeeds.
    Agreed,
    /// The upgrade succeeded.
    Upgraded,
    /// An HTTP response.
    Response(u16, String),
    /// A heartbeat of SocketCluster.
    Ping(Dialect),
    /// The answer to a call: data or error, as JSON.
    Reply(u64, Result<Option<String>, String>),
    /// A publication.
    Publication(String, Option<String>),
    /// The end of a subscription.
    KickOut(String),
    /// An event of the application.
    Event(String, Option<String>),
    /// `#disconnect`.
    Announced(Option<u16>),
    /// `#setAuthToken`.
    TokenSet(String),
    /// `#removeAuthToken`.
    TokenRemoved,
    /// A message on a raw route.
    Text(String),
    /// A message on a raw route.
    Binary(Vec<u8>),
    /// A WebSocket ping.
    ControlPing,
    /// A WebSocket pong.
    ControlPong(Vec<u8>),
    /// A close frame.
    Close(Option<u16>),
    /// The end of the server's stream.
    End,
}

/// What the client expects to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Responses,
    Upgrade,
    Frames,
    Closed,
}

/// The decoding side of one client.
pub(super) struct Stream {
    phase: Phase,
    speaks_packets: bool,
    head: Vec<u8>,
    frames: Frames,
    packets: Packets,
    inflater: Option<Inflater>,
    /// A message that was compressed.
    inflated: Vec<u8>,
}

/// The key of every upgrade.
pub(super) const KEY: [u8; 16] = *b"simulated client";

impl Stream {
    /// For a client that asks for an upgrade, or for pages only.
    pub(super) fn new(upgrades: bool, speaks_packets: bool) -> Self {
        Self {
            phase: if upgrades { Phase::Upgrade } else { Phase::Responses },
            speaks_packets,
            head: Vec::new(),
            frames: Frames::new(Role::Client),
            packets: Packets::new(PacketLimits::default()),
            inflater: None,
            inflated: Vec::new(),
        }
    }

    /// Decodes what the kernel took.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        match self.phase {
            Phase::Frames => self.decode_frames(&mut bytes.to_vec(), &mut heard),
            Phase::Closed => panic!("{} bytes after the close frame", bytes.len()),
            Phase::Upgrade | Phase::Responses => {
                self.head.extend_from_slice(bytes);
                self.decode_heads(&mut heard);
            }
        }
        heard
    }

    fn decode_heads(&mut self, heard: &mut Vec<Heard>) {
        if self.phase == Phase::Upgrade {
            if self.head.starts_with(b"HTTP/1.1 101") && self.inflater.is_none() {
                let Some(end) = self.head.windows(4).position(|window| window == b"\r\n\r\n") else { return };
                let rest = self.head.split_off(end + 4);
                self.inflater = compression::take_agreement(&mut self.head);
                self.head.extend(rest);
                heard.extend(self.inflater.is_some().then_some(Heard::Agreed));
            }
            match handshake::check_response(&self.head, KEY) {
                Ok(None) => return,
                Ok(Some(length)) => {
                    heard.push(Heard::Upgraded);
                    self.phase = Phase::Frames;
                    let mut rest = self.head.split_off(length);
                    return self.decode_frames(&mut rest, heard);
                }
                Err(ResponseError::Refused(_)) => {}
                Err(error) => panic!("a malformed answer to an upgrade: {error}"),
            }
        }
        while let Some((status, body, length)) = response_in(&self.head) {
            heard.push(Heard::Response(status, body));
            self.head.drain(..length);
        }
    }

    fn decode_frames(&mut self, bytes: &mut [u8], heard: &mut Vec<Heard>) {
        let tail = bytes[bytes.len().saturating_sub(CLOSE_FRAME_BYTES_MAX)..].to_vec();
        let Self { frames, inflater, inflated, .. } = self;
        let mut messages = match inflater {
            Some(inflater) => frames.decode_compressed(bytes, &FRAME_LIMITS, Inflation { inflater, out: inflated }),
            None => frames.decode(bytes, &FRAME_LIMITS),
        };
        while let Some(message) = messages.next() {
            match message.unwrap_or_else(|error| panic!("the server broke the protocol: {error}")) {
                Message::Text(text) if self.speaks_packets => {
                    let packets = self.packets.decode(text);
                    let packets = packets.unwrap_or_else(|error| panic!("no packet: {error}: {text:?}"));
                    heard.extend(packets.map(|packet| read(packet, text)));
                }
                Message::Text(text) => heard.push(Heard::Text(text.to_owned())),
                Message::Binary(bytes) => heard.push(Heard::Binary(bytes.to_vec())),
                Message::Ping(_) => heard.push(Heard::ControlPing),
                Message::Pong(payload) => heard.push(Heard::ControlPong(payload.to_vec())),
                Message::Close(close) => {
                    let mut frame = Vec::new();
                    let (code, reason) = close.unwrap_or((0, ""));
                    encode::close(&mut frame, code, reason);
                    assert!(tail.ends_with(&frame) || frame.ends_with(&tail), "bytes after the close frame");
                    heard.push(Heard::Close(close.map(|(code, _)| code)));
                    self.phase = Phase::Closed;
                }
            }
        }
    }
}

/// A control frame's header and payload.
const CLOSE_FRAME_BYTES_MAX: usize = 2 + 125;

/// Far more than any client here is sent at once.
const FRAME_LIMITS: FrameLimits = FrameLimits { message_bytes_max: 1 << 20, fragments_max: 1 };

/// A whole response at the front: its status, its body, its length.
fn response_in(bytes: &[u8]) -> Option<(u16, String, usize)> {
    let mut storage = HeaderStorage::new();
    let parsed = response::parse(bytes, &mut storage, HEAD_BYTES_MAX);
    let (head, length) = parsed.unwrap_or_else(|error| panic!("a malformed response: {error}"))?;
    let body_bytes = usize::try_from(head.content_length.expect("responses have a length")).expect("a small body");
    let body = bytes.get(length..length + body_bytes)?;
    Some((head.status, String::from_utf8(body.to_vec()).expect("bodies here are text"), length + body_bytes))
}

fn read(message: ServerMessage<'_>, text: &str) -> Heard {
    match message {
        ServerMessage::Ping(dialect) => Heard::Ping(dialect),
        ServerMessage::Reply { call, outcome, .. } => {
            let call = call.as_str().parse().unwrap_or_else(|_| panic!("an answer to no call of ours: {text}"));
            let outcome = match outcome {
                Ok(data) => Ok(data.map(|data| data.as_str().to_owned())),
                Err(error) => Err(error.as_str().to_owned()),
            };
            Heard::Reply(call, outcome)
        }
        ServerMessage::Publication { channel, data } => {
            Heard::Publication(channel.into_owned(), data.map(|data| data.as_str().to_owned()))
        }
        ServerMessage::KickOut { channel, .. } => Heard::KickOut(channel.into_owned()),
        ServerMessage::Event { name, data, .. } => {
            Heard::Event(name.into_owned(), data.map(|data| data.as_str().to_owned()))
        }
        ServerMessage::Disconnect { code, .. } => Heard::Announced(code),
        ServerMessage::RemoveAuthToken { .. } => Heard::TokenRemoved,
        ServerMessage::SetAuthToken { token, .. } => Heard::TokenSet(token.into_owned()),
        ServerMessage::Unknown => panic!("the server never says {text}"),
    }
}
