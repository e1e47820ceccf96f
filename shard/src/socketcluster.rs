//! SocketCluster's messages to what the shard does, and its answers. The only file here that knows the protocol's
//! reserved events; a further protocol is a further file like this one.

use codec::json::write_string;
use codec::message::{CallId, ClientMessage, Operation, RawJson};
use codec::socketcluster::errors::WireError;
use codec::socketcluster::{Decoder, encode as socketcluster};
use codec::websocket::{Opcode, encode};

use crate::connection::{Protocol, State};
use crate::pending::{Pending, Work};
use crate::shard::Shard;
use crate::turn::Arena;
use crate::{ConnectionId, Disconnect, Host, Invocation, Invoked, Refusal, Time, TokenError};

/// Bytes of a public id: 20 characters of base64 are 120 bits.
const PUBLIC_ID_BYTES: usize = 20;

impl Shard {
    /// One text message. Nearly every one is a single event or call.
    #[inline]
    pub(crate) fn handle_text<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        text: &str,
        protocol: &mut Decoder,
        host: &mut H,
    ) {
        match protocol.decode_event(text) {
            Some(message) => self.handle_packet(now, id, message, host),
            None => self.handle_packets(now, id, text, 0, protocol, host),
        }
    }

    /// One text message of any kind; its first `done` packets were acted upon before.
    #[inline(never)]
    pub(crate) fn handle_packets<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        text: &str,
        done: usize,
        protocol: &mut Decoder,
        host: &mut H,
    ) {
        let Ok(messages) = protocol.decode(text) else { return self.handle_garbage(now, id, host) };
        let mut is_empty = done == 0;
        for (index, message) in messages.enumerate().skip(done) {
            is_empty = false;
            self.handle_packet(now, id, message, host);
            let Some(connection) = self.connections.live(id) else { return };
            if connection.state == State::Closing {
                return;
            }
            if connection.pauses & crate::connection::pause::HOOK != 0 {
                connection.held_mut().batch = Some((text.into(), index + 1));
                return;
            }
        }
        if is_empty {
            self.handle_garbage(now, id, host); // An array without packets.
        }
    }

    /// Neither a packet nor JSON: ignored, as the reference does; before the handshake it ends the connection.
    pub(crate) fn handle_garbage<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        self.metrics.messages_unknown += 1;
        if self.connections.live(id).is_some_and(|connection| connection.state == State::Handshake) {
            self.close(now, id, &Disconnect::new(4009, ""), host);
        }
    }

    #[inline]
    pub(crate) fn handle_packet<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        message: ClientMessage<'_>,
        host: &mut H,
    ) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state == State::Handshake {
            return match message {
                ClientMessage::Handshake { call: Some(call), token } => {
                    self.handshake(now, id, call, token.as_deref(), host);
                }
                ClientMessage::Handshake { call: None, .. } => self.close(now, id, &Disconnect::new(4008, ""), host),
                _ => self.close(now, id, &Disconnect::new(4009, ""), host),
            };
        }
        let has_identity = connection.identity.is_some();
        if self.meters.is_some() && !self.meter_message(now, id, &message, host) {
            return;
        }
        if has_identity && !matches!(message, ClientMessage::Authenticate { .. } | ClientMessage::RemoveAuthToken) {
            self.expire_token(now, id, host);
        }
        match message {
            ClientMessage::Invoke { action, data, call } => self.invoke(now, id, &action, data, call, host),
            ClientMessage::Publish { channel, data, call } => self.handle_publish(now, id, &channel, data, call, host),
            ClientMessage::Subscribe { channel, data, call } => {
                self.handle_subscribe(now, id, &channel, data, call, host);
            }
            ClientMessage::Unsubscribe { channel, call } => self.handle_unsubscribe(id, &channel, call),
            ClientMessage::Pong(dialect) => self.pong_received(now, id, dialect),
            ClientMessage::Authenticate { call, token } => {
                self.handle_authenticate(now, id, call, Ok(token.as_deref()), host);
            }
            ClientMessage::RemoveAuthToken => self.token_removed(now, id, host),
            ClientMessage::Disconnect { code, reason } => {
                let reason = reason.map(std::borrow::Cow::into_owned).unwrap_or_default();
                self.close(now, id, &Disconnect { code, reason: reason.into() }, host);
            }
            ClientMessage::Malformed { operation, call } => {
                let error = match operation {
                    Operation::Authenticate => {
                        return self.handle_authenticate(now, id, call, Err(TokenError::NotString), host);
                    }
                    Operation::Subscribe => WireError::SubscribeMalformed,
                    Operation::Unsubscribe => WireError::UnsubscribeMalformed,
                    Operation::Publish => WireError::PublishMalformed,
                    Operation::Invoke => WireError::ActionMalformed,
                    Operation::Arguments => WireError::ArgumentsMalformed,
                };
                self.refuse(id, call, &error);
            }
            // A second handshake is ignored: answering it again could only confuse its sender.
            ClientMessage::Handshake { .. } => {}
            ClientMessage::Reply { call, outcome } => self.client_answered(id, call, outcome, host),
            ClientMessage::Unknown => self.metrics.messages_unknown += 1,
        }
    }

    /// The error carries the code twice, for either generation of clients.
    pub(crate) fn refuse_handshake<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        call: CallId<'_>,
        refusal: &Refusal,
        host: &mut H,
    ) {
        match self.speaks(id) {
            Some(Protocol::SocketIo) => return self.namespace_refused(id, &refusal.error),
            Some(Protocol::EventStream) => return self.refuse_stream(id, Some(refusal.status), &refusal.error),
            Some(Protocol::SocketCluster) | None => {}
            Some(_) => return self.tongue_refused(now, id, refusal, host),
        }
        let (code, error) = (refusal.code, RawJson::from_validated(&refusal.error));
        self.say(id, 200, |out| socketcluster::handshake_refusal(out, call, error, code));
        self.close(now, id, &Disconnect { code, reason: "".into() }, host);
    }

    #[inline]
    fn invoke<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        action: &str,
        data: Option<RawJson<'_>>,
        call: Option<CallId<'_>>,
        host: &mut H,
    ) {
        self.metrics.calls += 1;
        let calls_max = self.limits.calls_per_connection_max;
        let Some(connection) = self.connections.live(id) else { return };
        if usize::from(connection.calls) >= calls_max {
            self.metrics.calls_busy += 1;
            return self.refuse(id, call, &WireError::TooManyCalls { calls_max: calls_max as u64 });
        }
        let ticket = self.pending.ticket();
        let mut reply = std::mem::take(&mut self.reply);
        reply.set_empty();
        let caller = connection.caller(id.slot, &self.users);
        let invocation = Invocation { ticket, caller, action, data, wants_reply: call.is_some() };
        let invoked = host.invoke(invocation, &mut reply);
        if invoked == Invoked::Pending {
            // Before the commands: the answer may be among them already.
            self.await_reply(now, ticket, id, action, call);
        }
        self.drain_commands(now, host);
        match (invoked, call) {
            (Invoked::Ready, Some(call)) => self.answer(id, call, reply.outcome()),
            (Invoked::Unknown, call) => self.refuse(id, call, &WireError::UnknownAction { action }),
            (Invoked::Ready, None) | (Invoked::Pending, _) => {}
        }
        self.reply = reply;
    }

    fn await_reply(
        &mut self,
        now: Time,
        ticket: crate::Ticket,
        id: ConnectionId,
        action: &str,
        call: Option<CallId<'_>>,
    ) {
        let deadline = now + self.limits.call_timeout;
        let Some(connection) = self.connections.live(id) else { return };
        connection.calls += 1;
        let call = call.map(|call| call.as_str().into());
        let work = Work::Call { action: action.into() };
        self.pending.insert(ticket, deadline, Pending { connection: id, call, work });
    }

    /// Answers a call, if its connection is still there.
    pub(crate) fn answer(
        &mut self,
        id: ConnectionId,
        call: CallId<'_>,
        outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
    ) {
        let is_said = match outcome {
            Ok(data) => {
                let length = socketcluster::reply_length(call, data);
                self.say_if_spoken(id, length, |out| socketcluster::reply(out, call, data))
            }
            Err(error) => {
                let hint = 20 + call.as_str().len() + error.as_str().len();
                self.say_if_spoken(id, hint, |out| socketcluster::reply_error(out, call, error))
            }
        };
        if !is_said {
            self.tongue_answer(id, call, outcome);
        }
    }

    pub(crate) fn answer_error(&mut self, id: ConnectionId, call: CallId<'_>, error: &WireError<'_>) {
        if self.speaks(id) != Some(Protocol::SocketCluster) {
            let mut json = Vec::new();
            error.write(&mut json);
            let json = String::from_utf8(json).expect("error objects are text");
            return self.tongue_answer(id, call, Err(RawJson::from_validated(&json)));
        }
        self.say(id, 120, |out| socketcluster::reply_wire_error(out, call, error));
    }

    /// Answers with an error, if an answer is wanted.
    pub(crate) fn refuse(&mut self, id: ConnectionId, call: Option<CallId<'_>>, error: &WireError<'_>) {
        self.metrics.calls_refused += 1;
        if let Some(call) = call {
            self.answer_error(id, call, error);
        }
    }

    /// Tells a client that the server has ended its subscription.
    pub(crate) fn say_kicked_out(&mut self, id: ConnectionId, channel: &str, message: &str) {
        if self.speaks(id) == Some(Protocol::SocketCluster) {
            return self.say(id, 256, |out| socketcluster::kick_out(out, channel, message));
        }
        let mut data = b"{\"channel\":".to_vec();
        write_string(&mut data, channel);
        data.extend_from_slice(b",\"message\":");
        write_string(&mut data, message);
        data.push(b'}');
        let data = String::from_utf8(data).expect("JSON strings are text");
        self.emit(id, "#kickOut", Some(RawJson::from_validated(&data)));
    }

    /// What is spoken on a connection, if it is there.
    pub(crate) fn speaks(&mut self, id: ConnectionId) -> Option<Protocol> {
        self.connections.live(id).map(|connection| connection.protocol)
    }

    /// Sends an event that wants no answer to an open connection whose protocol has events.
    pub(crate) fn emit(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>) {
        match self.speaks(id) {
            Some(Protocol::SocketCluster) => self.say(id, 256, |out| socketcluster::event(out, name, data)),
            Some(_) => self.tongue_emit(id, name, data),
            None => {}
        }
    }

    /// Queues one packet for an open SocketCluster connection, or one in its handshake.
    #[inline]
    pub(crate) fn say(&mut self, id: ConnectionId, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.say_if_spoken(id, length_hint, write);
    }

    /// As `say`; whether the connection speaks so.
    #[inline]
    fn say_if_spoken(&mut self, id: ConnectionId, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(connection) = self.connections.live(id) else { return false };
        let is_spoken = connection.protocol == Protocol::SocketCluster
            && matches!(connection.state, State::Open | State::Handshake);
        if is_spoken {
            let start = self.turn.end(Arena::Direct);
            encode::frame_with(&mut self.turn.direct, Opcode::Text, length_hint, write);
            self.turn.append_direct(connection, id.slot, start, &mut self.compressors);
        }
        is_spoken
    }

    /// The id that clients know a connection by: unguessable enough to be shown, and not stored, since the seed and the
    /// connection's own id give it again.
    pub(crate) fn public_id(&self, id: ConnectionId) -> [u8; PUBLIC_ID_BYTES] {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let own = u64::from(self.id.0) << 56 | u64::from(id.generation) << 32 | u64::from(id.slot);
        let words = [mix(self.seed ^ mix(own)), mix(self.seed.rotate_left(32) ^ mix(own ^ u64::MAX))];
        std::array::from_fn(|index| {
            let (word, shift) = (words[index / 10], index % 10 * 6);
            ALPHABET[(word >> shift) as usize & 63]
        })
    }
}

/// splitmix64's finaliser: every input bit reaches every output bit.
const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
