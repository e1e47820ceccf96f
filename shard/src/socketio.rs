//! Socket.IO's packets to what the shard does, and its answers. An event whose name is an action calls it; an
//! acknowledgement is its answer. The only file here that knows the protocol; the messages that it makes are those of
//! every protocol.
//!
//! A call's id is the text by which its answer is addressed: namespace, comma and number, as they came.

use std::borrow::Cow;

use codec::engineio::Version;
use codec::json::{JsonLimits, NESTING_MAX, Scanner, unescape};
use codec::message::{CallId, ClientMessage, Operation, RawJson};
use codec::socketio::encode::{self as socketio, AnswerShape};
use codec::socketio::{Kind, Limits, Packet, fill, is_reserved};

use crate::connection::{Protocol, State};
use crate::engineio::Incomplete;
use crate::form::{Form, Push};
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, Time};

/// What the application has to say about Socket.IO.
#[derive(Clone, Debug, Default)]
pub struct SocketIoConfig {
    /// Namespaces beside `/`, each with its slash; at most [`SocketIoConfig::NAMESPACES_MAX`].
    pub namespaces: Vec<Box<str>>,
    /// The shape of acknowledgements.
    pub answer_shape: AnswerShape,
    /// Whether the events `subscribe`, `unsubscribe` and `publish` are for channels, and no actions.
    pub has_channel_events: bool,
}

impl SocketIoConfig {
    /// Namespaces of an application, `/` not counted: each has a bit in its connections' sets.
    pub const NAMESPACES_MAX: usize = Form::NAMESPACES_MAX - 1;
}

impl Shard {
    /// Tells the shard what the application has to say about Socket.IO, before anything else happens.
    ///
    /// # Panics
    /// There are too many namespaces.
    pub fn open_socket_io(&mut self, mut config: SocketIoConfig) {
        assert!(config.namespaces.len() <= SocketIoConfig::NAMESPACES_MAX, "too many namespaces");
        config.namespaces.insert(0, "/".into());
        self.socketio = config;
    }

    /// A packet's text.
    pub(crate) fn socketio_text<H: Host>(&mut self, now: Time, id: ConnectionId, text: &str, host: &mut H) {
        let limits = Limits {
            json: self.limits.socketcluster.json,
            attachments_max: self.limits.engine.attachments_max,
            ..Limits::default()
        };
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else { return };
        if engine.incomplete.is_some() {
            return self.engine_violation(now, id, "attachments are missing", host);
        }
        let Ok(packet) = Packet::decode(text, &limits) else {
            return self.engine_violation(now, id, "no packet", host);
        };
        match packet.attachments {
            Some(missing) if missing > 0 => {
                engine.incomplete = Some(Incomplete { text: text.into(), missing, attachments: Vec::new() });
            }
            _ => self.socketio_packet(now, id, &packet, host),
        }
    }

    /// An attachment.
    pub(crate) fn socketio_binary<H: Host>(&mut self, now: Time, id: ConnectionId, bytes: &[u8], host: &mut H) {
        let bytes_max = self.limits.engine.payload_bytes_max;
        let limits = Limits { json: self.limits.socketcluster.json, attachments_max: usize::MAX, ..Limits::default() };
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else { return };
        let Some(mut incomplete) = engine.incomplete.take() else {
            return self.engine_violation(now, id, "an attachment of nothing", host);
        };
        let held: usize = incomplete.attachments.iter().map(Vec::len).sum();
        if held + bytes.len() > bytes_max {
            return self.engine_violation(now, id, "attachments are too large", host);
        }
        incomplete.attachments.push(bytes.to_vec());
        incomplete.missing -= 1;
        if incomplete.missing > 0 {
            engine.incomplete = Some(incomplete);
            return;
        }
        let Incomplete { text, attachments, .. } = incomplete;
        let Ok(mut packet) = Packet::decode(&text, &limits) else { return };
        let mut filled = String::new();
        if !fill(&mut filled, packet.arguments.text, &attachments) {
            return self.engine_violation(now, id, "an attachment that is not there", host);
        }
        packet.arguments.text = &filled;
        self.socketio_packet(now, id, &packet, host);
    }

    fn socketio_packet<H: Host>(&mut self, now: Time, id: ConnectionId, packet: &Packet<'_>, host: &mut H) {
        let namespace = self.socketio.namespaces.iter().position(|known| **known == *packet.namespace);
        let namespace = namespace.map(|index| u8::try_from(index).expect("namespaces are few"));
        if packet.kind == Kind::Connect {
            return self.connect_namespace(now, id, namespace, packet, host);
        }
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else { return };
        let Some(namespace) = namespace.filter(|index| engine.namespaces & (1 << index) != 0) else {
            // Where the reference of protocol 5 closes, that of protocol 4 looks away.
            return match engine.version {
                Version::V4 => self.engine_violation(now, id, "a namespace that is not open", host),
                Version::V3 => self.metrics.messages_unknown += 1,
            };
        };
        engine.current = namespace;
        match packet.kind {
            Kind::Event => self.socketio_event(now, id, packet, host),
            Kind::Disconnect => self.leave_namespace(now, id, namespace, host),
            Kind::Ack => {
                let Some(call) = packet.id else { return self.metrics.client_answers_ignored += 1 };
                let mut scratch = String::new();
                let (call, data) = (CallId::new(RawJson::from_validated(call)), packet.arguments.data(&mut scratch));
                self.handle_packet(now, id, ClientMessage::Reply { call, outcome: Ok(data) }, host);
            }
            Kind::Connect | Kind::ConnectError => self.engine_violation(now, id, "packet of a server", host),
        }
    }

    /// The client wants a namespace; the first is its handshake.
    fn connect_namespace<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        namespace: Option<u8>,
        packet: &Packet<'_>,
        host: &mut H,
    ) {
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else { return };
        let version = engine.version;
        let Some(index) = namespace else {
            let address = format!("{},", packet.namespace);
            self.write(id, |out| socketio::connect_error(out, version, &address, "Invalid namespace", None));
            return;
        };
        if engine.namespaces & (1 << index) != 0 {
            if version == Version::V3 {
                return;
            }
            if !self.is_absent(id.slot, index) {
                return self.engine_violation(now, id, "the namespace is open", host);
            }
            if self.take_up_namespace(id, index, packet.data, host) {
                return;
            }
        }
        let token = match version {
            Version::V4 => packet.data.and_then(token_of),
            Version::V3 => packet.query.and_then(query_token).map(Cow::Borrowed),
        };
        if let Some(auth) = packet.data.filter(|_| version == Version::V4)
            && self.ask_to_recover(now, id, index, auth, token.as_deref())
        {
            return;
        }
        self.begin_namespace(now, id, index, token.as_deref(), host);
    }

    /// Lets a client into a namespace that it has not been in.
    pub(crate) fn begin_namespace<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        index: u8,
        token: Option<&str>,
        host: &mut H,
    ) {
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else { return };
        engine.current = index;
        self.begin_recovery(id, host);
        let address = self.socketio_address(index);
        self.handshake(now, id, CallId::new(RawJson::from_validated(&address)), token, host);
    }

    /// The namespace is open: the answer to its packet.
    pub(crate) fn namespace_opened(&mut self, id: ConnectionId) {
        let mut public_id = self.public_id(id).to_vec();
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else { return };
        let (version, index) = (engine.version, engine.current);
        engine.namespaces |= 1 << index;
        if index > 0 {
            // Each namespace has an id of its own.
            public_id.extend_from_slice(format!("{index:02}").as_bytes());
        }
        let address = self.socketio_address(index);
        let public_id = std::str::from_utf8(&public_id).expect("public ids are ASCII");
        let private_id = self.private_id(id, index);
        self.write(id, |out| socketio::connect(out, version, &address, public_id, private_id.as_deref()));
    }

    /// The namespace is not opened; the client may ask again.
    pub(crate) fn namespace_refused(&mut self, id: ConnectionId, error: &str) {
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_ref()) else { return };
        let (version, index) = (engine.version, engine.current);
        let (address, message) = (self.socketio_address(index), message_of(error));
        let data = if error.starts_with('{') { Some(RawJson::from_validated(error)) } else { None };
        self.write(id, |out| socketio::connect_error(out, version, &address, &message, data));
    }

    fn leave_namespace<H: Host>(&mut self, now: Time, id: ConnectionId, namespace: u8, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        let Some(engine) = connection.engine.as_mut() else { return };
        engine.namespaces &= !(1 << namespace);
        let is_last = engine.namespaces == 0;
        self.end_client_calls(id, Some(namespace), host);
        if is_last {
            return self.close(now, id, &Disconnect::new(1000, "the client has left"), host);
        }
        let Some(connection) = self.connections.live(id) else { return };
        let form = connection.form();
        if let Some(engine) = connection.engine.as_mut() {
            engine.current = u8::try_from(engine.namespaces.trailing_zeros()).expect("a bit's number");
        }
        self.unsubscribe_form(id, form);
    }

    fn socketio_event<H: Host>(&mut self, now: Time, id: ConnectionId, packet: &Packet<'_>, host: &mut H) {
        let call = packet.id.map(|_| CallId::new(RawJson::from_validated(packet.address)));
        let mut scratch = String::new();
        let message = match &*packet.name {
            name @ ("subscribe" | "unsubscribe" | "publish") if self.socketio.has_channel_events => {
                self.channel_event(name, packet, call)
            }
            name if self.limits.socketcluster.names.check_action(name).is_err() => {
                ClientMessage::Malformed { operation: Operation::Invoke, call }
            }
            name => {
                let data = packet.arguments.data(&mut scratch);
                ClientMessage::Invoke { action: Cow::Borrowed(name), data, call }
            }
        };
        self.handle_packet(now, id, message, host);
    }

    /// The events by which a stock client joins, leaves and publishes: the channel's name, then what there is to say.
    fn channel_event<'a>(&self, name: &str, packet: &'a Packet<'_>, call: Option<CallId<'a>>) -> ClientMessage<'a> {
        let limits = &self.limits.socketcluster;
        let mut arguments = packet.arguments.iter(limits.json);
        let channel = arguments.next().and_then(unescape).filter(|name| limits.names.check_channel(name).is_ok());
        let data = arguments.next();
        let operation = match name {
            "subscribe" => Operation::Subscribe,
            "unsubscribe" => Operation::Unsubscribe,
            _ => Operation::Publish,
        };
        let Some(channel) = channel else { return ClientMessage::Malformed { operation, call } };
        match operation {
            // Its publications would be events that the client takes for its own.
            Operation::Subscribe if is_reserved(&channel) => ClientMessage::Malformed { operation, call },
            Operation::Subscribe => ClientMessage::Subscribe { channel, data, call },
            Operation::Unsubscribe => ClientMessage::Unsubscribe { channel, call },
            _ => ClientMessage::Publish { channel, data, call },
        }
    }

    /// Answers a call.
    pub(crate) fn answer_socketio(
        &mut self,
        id: ConnectionId,
        call: CallId<'_>,
        outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
    ) {
        let (shape, version) = (self.socketio.answer_shape, self.engine_version(id));
        let Some(version) = version else { return };
        self.write(id, |out| socketio::answer(out, version, call.as_str(), shape, outcome));
    }

    /// Sends an event, in the namespace in which the client spoke last.
    pub(crate) fn socketio_emit(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>) {
        let Some(connection) = self.connections.live(id) else { return };
        let Some(engine) = connection.engine.as_ref() else { return };
        if connection.protocol != Protocol::SocketIo || connection.state != State::Open || is_reserved(name) {
            return;
        }
        let (version, namespace) = (engine.version, engine.current);
        let address = self.socketio_address(namespace);
        if self.numbers_events(version) {
            let write = |out: &mut Vec<u8>, offset| socketio::event(out, version, &address, name, data, Some(offset));
            return self.write_numbered(id, namespace, write);
        }
        self.write(id, |out| socketio::event(out, version, &address, name, data, None));
    }

    /// Sends an event that is to be acknowledged, likewise.
    pub(crate) fn socketio_invoke(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>, call: u32) {
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_ref()) else { return };
        let (version, namespace) = (engine.version, engine.current);
        let address = format!("{}{call}", self.socketio_address(namespace));
        self.write(id, |out| socketio::event(out, version, &address, name, data, None));
    }

    /// The server sends somebody away who is not to come back: clients read that from a packet, not from a code.
    pub(crate) fn socketio_farewell(&mut self, id: ConnectionId) {
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_ref()) else { return };
        let mut namespaces = engine.namespaces;
        while namespaces != 0 {
            let index = u8::try_from(namespaces.trailing_zeros()).expect("a bit's number");
            namespaces &= namespaces - 1;
            let address = self.socketio_address(index);
            self.write(id, |out| socketio::disconnect(out, &address));
        }
    }

    /// What stands before a packet's payload in this namespace: nothing, or its name and a comma.
    pub(crate) fn socketio_address(&self, namespace: u8) -> Box<str> {
        match namespace {
            0 => "".into(),
            index => format!("{},", self.socketio.namespaces[usize::from(index)]).into(),
        }
    }

    /// Appends a push as the connections of this namespace are told it: a publication is the event that the channel is
    /// named by.
    pub(crate) fn write_socketio(&mut self, version: Version, namespace: u8, push: Push<'_>) {
        let address = self.socketio_address(namespace);
        let (name, data) = push.as_event();
        let numbered = self.recovery.as_mut().filter(|_| version == Version::V4);
        let offset = numbered.map(|recoveries| recoveries.next_offset());
        socketio::event(&mut self.turn.shared, version, &address, name, data, offset);
    }
}

/// The token of a CONNECT's payload, `{"token":…}`.
fn token_of(auth: RawJson<'_>) -> Option<Cow<'_, str>> {
    text_member(auth.as_str(), "\"token\"")
}

/// The token of a namespace's query.
fn query_token(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// What an error says: its `message`, or itself if it is a string.
pub(crate) fn message_of(error: &str) -> Cow<'_, str> {
    let text = unescape(RawJson::from_validated(error));
    text.or_else(|| text_member(error, "\"message\"")).unwrap_or(Cow::Borrowed("refused"))
}

/// A string among an object's members; of several the last, as JavaScript has it.
pub(crate) fn text_member<'a>(object: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    let mut scanner = Scanner::new(object, JsonLimits { depth_max: NESTING_MAX }).ok()?;
    let reader = scanner.clone();
    let mut text = None;
    let read = scanner.object(|scanner, key| {
        let value = scanner.value()?;
        if reader.raw(key.span).as_str() == wanted {
            text = unescape(reader.raw(value.span));
        }
        Ok(())
    });
    read.ok().and(text)
}

#[cfg(test)]
mod tests;
