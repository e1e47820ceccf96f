//! Client to server: one WebSocket message to the messages in it. It never re-serialises a payload, keeps nothing
//! between two messages, and allocates nothing once its buffers have grown to the size of ordinary messages.

use std::borrow::Cow;
use std::fmt;

use super::dialect::Dialect;
use super::packet::{Found, Id, Packet, Packets, Usual};
use crate::json::{JsonError, JsonLimits, Span};
use crate::message::{CallId, ClientMessage, Operation, RawJson};
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
    packets: Packets,
}

impl Decoder {
    /// A decoder that has not allocated yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, packets: Packets::default() }
    }

    /// One WebSocket text message to its messages in order. Valid JSON that is no packet gives
    /// [`ClientMessage::Unknown`], also as an element of an array.
    ///
    /// # Errors
    /// The text cannot be of this protocol.
    pub fn decode<'a>(&'a mut self, text: &'a str) -> Result<Messages<'a>, DecodeError> {
        // No pong is longer, and nearly every message is.
        if text.len() <= 2
            && let Some(dialect) = Dialect::of_pong(text)
        {
            return Ok(Messages { limits: &self.limits, pong: Some(dialect), packets: Found::default() });
        }
        let packets = self.packets.scan(text, self.limits.json, self.limits.batch_messages_max)?;
        Ok(Messages { limits: &self.limits, pong: None, packets })
    }

    /// The message of a text that is one event or call, written as every client writes it; `None` proves nothing:
    /// [`Self::decode`] knows all texts. What this finds, that finds too.
    #[inline]
    #[must_use]
    pub fn decode_event<'a>(&self, text: &'a str) -> Option<ClientMessage<'a>> {
        let usual = Usual::of_text(text, self.limits.json)?;
        let raw = |span: Span| (!span.is_absent()).then(|| span.raw(text));
        let call = raw(usual.call);
        if call.is_some_and(|call| call.as_str().len() > self.limits.call_id_bytes_max) {
            return None;
        }
        let (event, call) = (usual.event.inside(text), call.map(CallId::new));
        match event.as_bytes() {
            [] => None,
            [b'#', ..] => {
                let channel = Some(usual.channel.inside(text));
                Some(match event {
                    "#publish" => publish(channel, raw(usual.inner_data), call, &self.limits),
                    _ => subscribe(channel, raw(usual.inner_data), call, &self.limits),
                })
            }
            _ => Some(invoke(event, raw(usual.data), call, &self.limits)),
        }
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
        self.packets.retained_bytes()
    }
}

/// The messages in one WebSocket message, in order.
#[derive(Debug)]
pub struct Messages<'a> {
    limits: &'a Limits,
    pong: Option<Dialect>,
    packets: Found<'a>,
}

impl<'a> Iterator for Messages<'a> {
    type Item = ClientMessage<'a>;

    #[inline]
    fn next(&mut self) -> Option<ClientMessage<'a>> {
        match self.packets.next() {
            Some(packet) => Some(message(packet, self.limits)),
            None => self.pong.take().map(ClientMessage::Pong),
        }
    }

    fn nth(&mut self, skipped: usize) -> Option<ClientMessage<'a>> {
        // A pong comes alone.
        match skipped {
            0 => self.next(),
            _ => {
                self.pong = None;
                self.packets.nth(skipped).map(|packet| message(packet, self.limits))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.packets.len() + usize::from(self.pong.is_some());
        (count, Some(count))
    }
}

impl ExactSizeIterator for Messages<'_> {}

/// What one packet says.
#[inline]
fn message<'a>(packet: Packet<'a>, limits: &Limits) -> ClientMessage<'a> {
    let call = match packet.call(limits.call_id_bytes_max) {
        // Acting on a call that cannot be answered would leave its caller with a wrong idea of what happened.
        Some(Id::TooLong) => return ClientMessage::Unknown,
        Some(Id::Good(call)) => Some(call),
        None => None,
    };
    match packet.event() {
        Some(event) if event.starts_with('#') => reserved(event, packet, call, limits),
        Some("") => ClientMessage::Unknown,
        Some(action) => invoke(action, packet.data(), call, limits),
        None => reply(packet, limits.call_id_bytes_max),
    }
}

/// The protocol's own events, and the calls that are named as if they were.
fn reserved<'a>(event: &'a str, packet: Packet<'a>, call: Option<CallId<'a>>, limits: &Limits) -> ClientMessage<'a> {
    match event {
        "#publish" => publish(packet.channel(), packet.inner_data(), call, limits),
        // Clients up to 4.0 send the bare name, later ones an object.
        "#subscribe" => subscribe(packet.data_text().or(packet.channel()), packet.inner_data(), call, limits),
        "#unsubscribe" => unsubscribe(packet, call, limits),
        // A token that is no string (no client sends one) counts as none: it must not keep a connection from opening.
        "#handshake" => ClientMessage::Handshake { call, token: packet.auth_token().map(Cow::Borrowed) },
        "#authenticate" => authenticate(packet, call),
        "#removeAuthToken" => ClientMessage::RemoveAuthToken,
        "#disconnect" => disconnect(packet),
        _ => invoke(event, packet.data(), call, limits),
    }
}

#[inline]
fn invoke<'a>(
    action: &'a str,
    data: Option<RawJson<'a>>,
    call: Option<CallId<'a>>,
    limits: &Limits,
) -> ClientMessage<'a> {
    match limits.names.check_action(action) {
        Ok(()) => ClientMessage::Invoke { action: Cow::Borrowed(action), data, call },
        Err(_) => ClientMessage::Malformed { operation: Operation::Invoke, call },
    }
}

#[inline]
fn publish<'a>(
    channel: Option<&'a str>,
    data: Option<RawJson<'a>>,
    call: Option<CallId<'a>>,
    limits: &Limits,
) -> ClientMessage<'a> {
    match channel_name(channel, limits) {
        Some(channel) => ClientMessage::Publish { channel, data, call },
        None => ClientMessage::Malformed { operation: Operation::Publish, call },
    }
}

/// Its `waitForAuth` and `batch` are the client's own affair: it waits by itself, and every client takes the answers one
/// by one.
#[inline]
fn subscribe<'a>(
    channel: Option<&'a str>,
    data: Option<RawJson<'a>>,
    call: Option<CallId<'a>>,
    limits: &Limits,
) -> ClientMessage<'a> {
    match channel_name(channel, limits) {
        Some(channel) => ClientMessage::Subscribe { channel, data, call },
        None => ClientMessage::Malformed { operation: Operation::Subscribe, call },
    }
}

/// Here the bare name is the only form, in every version.
fn unsubscribe<'a>(packet: Packet<'a>, call: Option<CallId<'a>>, limits: &Limits) -> ClientMessage<'a> {
    match channel_name(packet.data_text(), limits) {
        Some(channel) => ClientMessage::Unsubscribe { channel, call },
        None => ClientMessage::Malformed { operation: Operation::Unsubscribe, call },
    }
}

fn channel_name<'a>(name: Option<&'a str>, limits: &Limits) -> Option<Cow<'a, str>> {
    name.filter(|name| limits.names.check_channel(name).is_ok()).map(Cow::Borrowed)
}

/// No token is none; one that is no string is wrong.
fn authenticate<'a>(packet: Packet<'a>, call: Option<CallId<'a>>) -> ClientMessage<'a> {
    let token = match packet.data() {
        None | Some(RawJson::NULL) => None,
        Some(_) => match packet.data_text() {
            Some(token) => Some(Cow::Borrowed(token)),
            None => return ClientMessage::Malformed { operation: Operation::Authenticate, call },
        },
    };
    ClientMessage::Authenticate { token, call }
}

fn disconnect(packet: Packet<'_>) -> ClientMessage<'_> {
    ClientMessage::Disconnect { code: close_code(packet.code()), reason: packet.inner_data_text().map(Cow::Borrowed) }
}

/// The code goes into our close frame, so that it has to be one which may stand there (RFC 6455, section 7.4).
fn close_code(code: Option<u16>) -> u16 {
    code.filter(|code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)).unwrap_or(1000)
}

fn reply(packet: Packet<'_>, call_id_bytes_max: usize) -> ClientMessage<'_> {
    match packet.reply(call_id_bytes_max) {
        Some(Id::Good(call)) => ClientMessage::Reply { call, outcome: packet.outcome() },
        Some(Id::TooLong) | None => ClientMessage::Unknown,
    }
}
