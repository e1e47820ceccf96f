//! Engine.IO's packets to what the shard does, and the opening of its connections. What messages mean is the business of
//! `socketio`, or of the raw route that stands behind the path. It never keeps more than an incomplete packet.

use std::time::Duration;

use codec::base64;
use codec::engineio::{Open, Packet, Refusal, Version, write_binary, write_text};
use codec::http::request::Head;
use codec::websocket::{Limits as FrameLimits, Opcode, encode};

use crate::connection::{Connection, Protocol};
use crate::polling::{Carrier, Polling, SessionKey};
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, RawMessage, Route, Time};

/// The bounds of Engine.IO's connections, and those of Socket.IO on top.
#[derive(Clone, Copy, Debug)]
pub struct EngineLimits {
    /// Between pings, or between those of a client of protocol 3. 25 s: the reference's.
    pub ping_interval: Duration,
    /// How long the answer may take. 20 s: the reference's.
    pub ping_timeout: Duration,
    /// Bytes of one message, or of one payload of long-polling. 2 MiB: the reference's 1,000,000 and room for what
    /// stands around a document of so many.
    pub payload_bytes_max: usize,
    /// Packets of one payload of long-polling. 16: what the engine that stock Python clients are built on takes.
    pub payload_packets_max: usize,
    /// Attachments of one Socket.IO packet. 10: the reference's parser.
    pub attachments_max: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            payload_bytes_max: 2 << 20,
            payload_packets_max: 16,
            attachments_max: 10,
        }
    }
}

/// What an Engine.IO connection has that others have not.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) version: Version,
    /// Of Socket.IO's namespaces, those that are open: a bit for each.
    pub(crate) namespaces: u32,
    /// The namespace in which the client spoke last.
    pub(crate) current: u8,
    /// A packet whose attachments are still to come.
    pub(crate) incomplete: Option<Incomplete>,
    /// It has no socket of its own.
    pub(crate) polling: Option<Box<Polling>>,
    /// It is the socket of another connection.
    pub(crate) carrier: Option<Box<Carrier>>,
}

/// A packet that is not whole.
#[derive(Debug)]
pub(crate) struct Incomplete {
    pub(crate) text: Box<str>,
    pub(crate) missing: usize,
    pub(crate) attachments: Vec<Vec<u8>>,
}

impl Engine {
    pub(crate) fn new(version: Version) -> Box<Self> {
        Box::new(Self { version, namespaces: 0, current: 0, incomplete: None, polling: None, carrier: None })
    }
}

/// What a request to open a session says.
#[derive(Clone, Debug)]
pub(crate) struct EngineOpening {
    pub(crate) version: Version,
    /// The token that clients of Socket.IO's protocol 4 have no better place for.
    pub(crate) token: Option<Box<str>>,
    /// The session that is to go over to this WebSocket.
    pub(crate) upgrades: Option<Box<str>>,
}

impl EngineOpening {
    /// What an upgrade says that opens such a route; nothing where another route is meant.
    pub(crate) fn of_route(route: Route, head: &Head<'_>) -> Result<Option<Self>, Refusal> {
        if route.is_on_engine(head) { Self::of(head).map(Some) } else { Ok(None) }
    }

    /// Reads an upgrade's query.
    pub(crate) fn of(head: &Head<'_>) -> Result<Self, Refusal> {
        match parameter(head, "transport") {
            Some("websocket") => {}
            Some("polling") => return Err(Refusal::BadRequest),
            _ => return Err(Refusal::TransportUnknown),
        }
        let version = Version::from_query(parameter(head, "EIO")).ok_or(Refusal::UnsupportedVersion)?;
        if head.method != "GET" {
            return Err(Refusal::BadHandshakeMethod);
        }
        let token = match version {
            Version::V3 => parameter(head, "token").map(Into::into),
            Version::V4 => None,
        };
        Ok(Self { version, token, upgrades: parameter(head, "sid").map(Into::into) })
    }
}

impl Route {
    /// Whether this request is for Engine.IO: the paths that are not its own are where a transport of it is named.
    pub(crate) fn is_on_engine(self, head: &Head<'_>) -> bool {
        match self {
            Self::SocketIo | Self::EngineIo(_) | Self::SocketStream => true,
            Self::SocketCluster | Self::Services => parameter(head, "transport").is_some(),
            Self::Raw(_) | Self::EventStream => false,
        }
    }
}

/// A parameter of the query, as it stands there.
pub(crate) fn parameter<'a>(head: &Head<'a>, name: &str) -> Option<&'a str> {
    head.query?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

impl Shard {
    /// What a message may be at most where this is spoken.
    pub(crate) fn frame_limits(&self, spoken: Protocol) -> FrameLimits {
        let limits = self.limits.websocket;
        match spoken {
            Protocol::SocketIo
            | Protocol::EngineIo(_)
            | Protocol::Carrier
            | Protocol::SocketStream
            | Protocol::SocketCluster09 => FrameLimits {
                message_bytes_max: self.limits.engine.payload_bytes_max.max(limits.message_bytes_max),
                ..limits
            },
            _ => limits,
        }
    }

    /// The first packet.
    pub(crate) fn say_open(&mut self, id: ConnectionId) {
        let engine = self.limits.engine;
        let public_id = self.public_id(id);
        let shard = self.id;
        let polling = self.connections.live(id).and_then(Connection::polling_mut);
        let key = polling.map(|polling| SessionKey { shard, connection: id, secret: polling.secret }.text());
        let public_id = std::str::from_utf8(&public_id).expect("public ids are ASCII");
        let open = Open {
            id: key.as_deref().unwrap_or(public_id),
            may_upgrade: key.is_some(),
            ping_interval_ms: milliseconds(engine.ping_interval),
            ping_timeout_ms: milliseconds(engine.ping_timeout),
            payload_bytes_max: engine.payload_bytes_max.max(self.limits.websocket.message_bytes_max) as u64,
        };
        self.write(id, |out| encode::frame_with(out, Opcode::Text, 130, |out| open.write(out)));
    }

    /// One text message.
    pub(crate) fn engine_text<H: Host>(&mut self, now: Time, id: ConnectionId, text: &str, host: &mut H) {
        let Some(version) = self.engine_version(id) else { return };
        match Packet::from_text(version, text) {
            Some(packet) => self.engine_packet(now, id, version, packet, host),
            None => self.engine_violation(now, id, "unknown packet", host),
        }
    }

    /// One binary message.
    pub(crate) fn engine_binary<H: Host>(&mut self, now: Time, id: ConnectionId, bytes: &[u8], host: &mut H) {
        let Some(version) = self.engine_version(id) else { return };
        match Packet::from_binary(version, bytes) {
            Some(packet) => self.engine_packet(now, id, version, packet, host),
            None => self.engine_violation(now, id, "unknown packet", host),
        }
    }

    fn engine_packet<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        version: Version,
        packet: Packet<'_>,
        host: &mut H,
    ) {
        match (packet, version) {
            (Packet::Text(text), _) => self.engine_message(now, id, RawMessage::Text(text), host),
            (Packet::Binary(bytes), _) => self.engine_message(now, id, RawMessage::Binary(bytes), host),
            (Packet::Base64(text), _) => {
                let mut bytes = Vec::new();
                if base64::decode(&mut bytes, text) {
                    self.engine_message(now, id, RawMessage::Binary(&bytes), host);
                } else {
                    self.engine_violation(now, id, "no base64", host);
                }
            }
            (Packet::Ping(text), Version::V3) => {
                self.expire_token(now, id, host);
                self.write(id, |out| {
                    encode::frame_with(out, Opcode::Text, 1 + text.len(), |out| {
                        out.push(b'3');
                        out.extend_from_slice(text.as_bytes());
                    });
                });
            }
            (Packet::Pong(_), Version::V4) => {
                self.forget_received(id);
                self.expire_token(now, id, host);
            }
            (Packet::Close, _) => {
                if !self.wait_for_client(now, id, host) {
                    self.close(now, id, &Disconnect::new(1000, "closed by the client"), host);
                }
            }
            // Nothing to switch, nothing said.
            (Packet::Upgrade | Packet::Noop, _) => {}
            (Packet::Ping(_) | Packet::Pong(_) | Packet::Open(_), _) => {
                self.engine_violation(now, id, "packet of the other direction", host);
            }
        }
    }

    fn engine_message<H: Host>(&mut self, now: Time, id: ConnectionId, message: RawMessage<'_>, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        match (connection.protocol, message) {
            (Protocol::SocketIo, RawMessage::Text(text)) => self.socketio_text(now, id, text, host),
            (Protocol::SocketIo, RawMessage::Binary(bytes)) => self.socketio_binary(now, id, bytes, host),
            (Protocol::EngineIo(route), message) => self.raw(now, id, route, message, host),
            (protocol, RawMessage::Text(text)) => self.tongue_message(now, id, protocol, text, host),
            _ => {}
        }
    }

    /// A client that breaks the rules of its protocol is sent away: what it says next could not be trusted either.
    pub(crate) fn engine_violation<H: Host>(&mut self, now: Time, id: ConnectionId, why: &'static str, host: &mut H) {
        self.metrics.protocol_errors += 1;
        self.close(now, id, &Disconnect::new(1002, why), host);
    }

    pub(crate) fn engine_version(&mut self, id: ConnectionId) -> Option<Version> {
        self.connections.live(id)?.engine.as_ref().map(|engine| engine.version)
    }

    /// An open connection's ping is due; its next one is, when it says.
    pub(crate) fn engine_ping(&mut self, id: ConnectionId, now: u32) {
        let interval = self.timing.engine_interval;
        let Some(connection) = self.connections.live(id) else { return };
        connection.deadline = now + interval;
        // Clients of protocol 3 ask themselves; whom a carrier carries is asked by its own connection.
        if connection.engine.as_ref().is_some_and(|engine| engine.version == Version::V4 && engine.carrier.is_none()) {
            self.mark_kept(id);
            self.write(id, |out| encode::frame(out, Opcode::Text, b"2"));
        }
    }
}

/// Appends a message of a raw route as its connection is told it.
pub(crate) fn write_message(out: &mut Vec<u8>, version: Version, message: RawMessage<'_>) {
    match message {
        RawMessage::Text(text) => {
            encode::frame_with(out, Opcode::Text, 1 + text.len(), |out| write_text(out, text));
        }
        RawMessage::Binary(bytes) => {
            encode::frame_with(out, Opcode::Binary, 1 + bytes.len(), |out| write_binary(out, version, bytes));
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Shard {
    /// A bare Engine.IO connection was let in.
    pub(crate) fn open_engine(&mut self, id: ConnectionId, version: Version, route: u16) {
        let Some(connection) = self.connections.live(id) else { return };
        connection.protocol = Protocol::EngineIo(route);
        connection.engine.get_or_insert_with(|| Engine::new(version));
        self.say_open(id);
    }
}
