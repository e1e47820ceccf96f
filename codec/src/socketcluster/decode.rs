//! Client to server: one WebSocket message to the messages in it. It never re-serialises a payload, keeps nothing
//! between two messages, and allocates nothing once its buffers have grown to the size of ordinary messages.

use std::borrow::Cow;
use std::fmt;

use super::dialect::Dialect;
use super::packet::{Id, Packet, Packets, member};
use crate::json::{JsonError, JsonLimits, Kind, Scanner, Value};
use crate::message::{CallId, ClientMessage, Operation};
use crate::name::NameLimits;

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How JSON may look.
    pub json: JsonLimits,
    /// How long names may be.
    pub names: NameLimits,
    /// Most packets in one array message.
    pub batch_messages_max: usize,
    /// Longest call id, quotes included.
    pub call_id_bytes_max: usize,
}

impl Default for Limits {
    /// 1,000 packets: clients batch the subscriptions of one page, and a connection may hold 1,000. 64 bytes: a UUID
    /// in quotes has 38, the longest number that JavaScript prints has 24.
    fn default() -> Self {
        Self {
            json: JsonLimits::default(),
            names: NameLimits::default(),
            batch_messages_max: 1_000,
            call_id_bytes_max: 64,
        }
    }
}

/// Why a whole message means nothing: the protocol has it ignored (and, before the handshake, the connection closed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is not JSON, or nests too deep.
    Json(JsonError),
    /// A binary message that is not even text.
    NotText,
    /// An array of more packets than allowed; none of them was looked at.
    BatchTooLong {
        /// The limit that it exceeds.
        batch_messages_max: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(formatter),
            Self::NotText => formatter.write_str("binary message is not UTF-8"),
            Self::BatchTooLong { batch_messages_max } => {
                write!(formatter, "more than {batch_messages_max} packets in one message")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Decodes the messages of all connections of a shard, one after the other.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    scanner: Scanner,
}

impl Decoder {
    /// A decoder that has not allocated yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, scanner: Scanner::new(limits.json) }
    }

    /// One WebSocket text message to its messages in order. Valid JSON that is no packet gives
    /// [`ClientMessage::Unknown`], also as an element of an array.
    ///
    /// # Errors
    /// The text cannot be of this protocol.
    pub fn decode<'a>(&'a mut self, text: &'a str) -> Result<Messages<'a>, DecodeError> {
        let source = match Dialect::of_pong(text) {
            Some(dialect) => Source::Pong(Some(dialect)),
            None => Source::Packets(Packets::scan(&mut self.scanner, text, self.limits.batch_messages_max)?),
        };
        Ok(Messages { limits: self.limits, source })
    }

    /// One WebSocket binary message: JSON in it counts as if it had come as text.
    ///
    /// # Errors
    /// The bytes are not UTF-8, or the text cannot be of this protocol.
    pub fn decode_binary<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Messages<'a>, DecodeError> {
        self.decode(simdutf8::basic::from_utf8(bytes).map_err(|_| DecodeError::NotText)?)
    }

    /// Memory kept between two messages.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.scanner.retained_bytes()
    }
}

/// The messages in one WebSocket message, in order.
#[derive(Debug)]
pub struct Messages<'a> {
    limits: Limits,
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Pong(Option<Dialect>),
    Packets(Packets<'a>),
}

impl<'a> Iterator for Messages<'a> {
    type Item = ClientMessage<'a>;

    fn next(&mut self) -> Option<ClientMessage<'a>> {
        match &mut self.source {
            Source::Pong(dialect) => dialect.take().map(ClientMessage::Pong),
            Source::Packets(packets) => packets.next(|object| message(object, &self.limits)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = match &self.source {
            Source::Pong(dialect) => usize::from(dialect.is_some()),
            Source::Packets(packets) => packets.remaining(),
        };
        (count, Some(count))
    }
}

impl ExactSizeIterator for Messages<'_> {}

/// What one packet says.
fn message<'a>(object: Value<'_, 'a>, limits: &Limits) -> ClientMessage<'a> {
    let packet = Packet::read(object, limits.call_id_bytes_max);
    let call = match packet.call {
        // Acting on a call that cannot be answered would leave its caller with a wrong idea of what happened.
        Some(Id::TooLong) => return ClientMessage::Unknown,
        Some(Id::Good(call)) => Some(call),
        None => None,
    };
    match packet.event {
        Some("#publish") => publish(&packet, call, limits),
        Some("#subscribe") => subscribe(&packet, call, limits),
        Some("#unsubscribe") => unsubscribe(&packet, call, limits),
        Some("#handshake") => ClientMessage::Handshake { call, token: handshake_token(&packet) },
        Some("#authenticate") => authenticate(&packet, call),
        Some("#removeAuthToken") => ClientMessage::RemoveAuthToken,
        Some("#disconnect") => disconnect(&packet),
        Some("") => ClientMessage::Unknown,
        Some(action) if limits.names.check_action(action).is_ok() => {
            ClientMessage::Invoke { action: Cow::Borrowed(action), data: packet.data.map(Value::raw), call }
        }
        Some(_) => ClientMessage::Malformed { operation: Operation::Invoke, call },
        None => reply(&packet),
    }
}

fn publish<'a>(packet: &Packet<'_, 'a>, call: Option<CallId<'a>>, limits: &Limits) -> ClientMessage<'a> {
    let (mut channel, mut data) = (None, None);
    for (key, value) in packet.data.into_iter().flat_map(Value::members) {
        match key {
            "channel" => channel = value.as_str(),
            "data" => data = Some(value),
            _ => {}
        }
    }
    match channel_name(channel, limits) {
        Some(channel) => ClientMessage::Publish { channel, data: data.map(Value::raw), call },
        None => ClientMessage::Malformed { operation: Operation::Publish, call },
    }
}

/// Clients up to 4.0 send the bare name, later ones an object. Its `waitForAuth` and `batch` are the client's own
/// affair: it waits by itself, and every client takes the answers one by one.
fn subscribe<'a>(packet: &Packet<'_, 'a>, call: Option<CallId<'a>>, limits: &Limits) -> ClientMessage<'a> {
    let Some(argument) = packet.data else {
        return ClientMessage::Malformed { operation: Operation::Subscribe, call };
    };
    let (mut channel, mut data) = (argument.as_str(), None);
    for (key, value) in argument.members() {
        match key {
            "channel" => channel = value.as_str(),
            "data" => data = Some(value),
            _ => {}
        }
    }
    match channel_name(channel, limits) {
        Some(channel) => ClientMessage::Subscribe { channel, data: data.map(Value::raw), call },
        None => ClientMessage::Malformed { operation: Operation::Subscribe, call },
    }
}

/// Here the bare name is the only form, in every version.
fn unsubscribe<'a>(packet: &Packet<'_, 'a>, call: Option<CallId<'a>>, limits: &Limits) -> ClientMessage<'a> {
    match channel_name(packet.data.and_then(Value::as_str), limits) {
        Some(channel) => ClientMessage::Unsubscribe { channel, call },
        None => ClientMessage::Malformed { operation: Operation::Unsubscribe, call },
    }
}

fn channel_name<'a>(name: Option<&'a str>, limits: &Limits) -> Option<Cow<'a, str>> {
    name.filter(|name| limits.names.check_channel(name).is_ok()).map(Cow::Borrowed)
}

/// A token that is no string (no client sends one) counts as none: a bad token must not keep a connection from opening.
fn handshake_token<'a>(packet: &Packet<'_, 'a>) -> Option<Cow<'a, str>> {
    member(packet.data?, "authToken")?.as_str().map(Cow::Borrowed)
}

fn authenticate<'a>(packet: &Packet<'_, 'a>, call: Option<CallId<'a>>) -> ClientMessage<'a> {
    let token = match packet.data {
        None => None,
        Some(data) if data.kind() == Kind::Null => None,
        Some(data) => match data.as_str() {
            Some(token) => Some(Cow::Borrowed(token)),
            None => return ClientMessage::Malformed { operation: Operation::Authenticate, call },
        },
    };
    ClientMessage::Authenticate { token, call }
}

fn disconnect<'a>(packet: &Packet<'_, 'a>) -> ClientMessage<'a> {
    let code = packet.data.and_then(|data| member(data, "code")).and_then(Value::as_u64);
    let reason = packet.data.and_then(|data| member(data, "data")).and_then(Value::as_str);
    ClientMessage::Disconnect { code: close_code(code), reason: reason.map(Cow::Borrowed) }
}

/// The code goes into our close frame, so that it has to be one which may stand there (RFC 6455, section 7.4).
fn close_code(code: Option<u64>) -> u16 {
    code.and_then(|code| u16::try_from(code).ok())
        .filter(|code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999))
        .unwrap_or(1000)
}

fn reply<'a>(packet: &Packet<'_, 'a>) -> ClientMessage<'a> {
    match packet.reply {
        Some(Id::Good(call)) => ClientMessage::Reply { call, outcome: packet.outcome() },
        Some(Id::TooLong) | None => ClientMessage::Unknown,
    }
}
