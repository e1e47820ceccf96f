//! Received bytes to messages, and messages to the protocol that is spoken on their connection.

use codec::socketcluster;
use codec::websocket::{Decoder, Message, Opcode, Role, encode};

use crate::connection::{Protocol, State};
use crate::shard::Shard;
use crate::turn::Arena;
use crate::{ConnectionId, Disconnect, Host, RawMessage, RawReplies, Time};

impl Shard {
    /// Looks at received bytes until they are used up or the connection must wait; then the rest is held.
    pub(crate) fn process<H: Host>(&mut self, now: Time, id: ConnectionId, bytes: &mut [u8], host: &mut H) {
        if self.is_stopping {
            return;
        }
        if !self.login_ends.is_empty() {
            self.tell_login_ends(now, host); // A peer has brought them, and the application hears of it first.
        }
        self.has_overflowed = false; // That was somebody else's doing.
        let Some(connection) = self.connection_mut(id) else { return };
        match connection.state {
            State::Request => self.process_requests(now, id, bytes, host),
            State::Handshake | State::Open => self.process_frames(now, id, bytes, host),
            State::Closing => {}
        }
    }

    pub(crate) fn process_frames<H: Host>(&mut self, now: Time, id: ConnectionId, bytes: &mut [u8], host: &mut H) {
        let Some(connection) = self.connection_mut(id) else { return };
        // What is spoken is settled before the first frame.
        let spoken = connection.protocol;
        if matches!(spoken, Protocol::EventStream | Protocol::Http) {
            return self.hear_listener(now, id, bytes, host);
        }
        // The decoder leaves the connection while the messages it lends are acted upon.
        let mut decoder = std::mem::replace(&mut connection.decoder, Decoder::new(Role::Server));
        let compresses = connection.compression.is_some();
        let websocket_limits = self.frame_limits(spoken);
        let mut lent = if compresses { self.lend_inflater(id) } else { None };
        let mut protocol = self.protocol.take().expect("frames are not processed while frames are processed");
        let mut messages = match &mut lent {
            None => decoder.decode(bytes, &websocket_limits),
            Some(lent) => decoder.decode_compressed(bytes, &websocket_limits, lent.inflation()),
        };
        let mut violation = None;
        while let Some(message) = messages.next() {
            match message {
                Ok(message) => self.handle_message(now, id, spoken, message, &mut protocol, host),
                Err(error) => violation = Some(error),
            }
            if self.must_wait(id) {
                break;
            }
        }
        self.protocol = Some(protocol);
        if let Some(connection) = self.connections.live(id)
            && connection.state != State::Closing
            && !connection.is_waiting()
        {
            if connection.pauses != 0 && !messages.rest().is_empty() {
                connection.held_mut().bytes.extend_from_slice(messages.rest());
            }
            connection.decoder = decoder;
        }
        if let Some(lent) = lent {
            self.return_inflater(id, lent);
        }
        if let Some(violation) = violation {
            self.metrics.protocol_errors += 1;
            let reason = violation.to_string().into();
            self.close(now, id, &Disconnect { code: violation.close_code(), reason }, host);
        }
    }

    /// Whoever listens only has nothing to say: neither a request, whose answer would stand among the events, nor a frame.
    fn hear_listener<H: Host>(&mut self, now: Time, id: ConnectionId, bytes: &[u8], host: &mut H) {
        if !bytes.is_empty() && self.connections.live(id).is_some_and(|known| known.state != State::Closing) {
            self.metrics.protocol_errors += 1;
            self.close(now, id, &Disconnect::new(1002, "nothing is received on an event stream"), host);
        }
    }

    #[inline]
    fn handle_message<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        spoken: Protocol,
        message: Message<'_>,
        protocol: &mut socketcluster::Decoder,
        host: &mut H,
    ) {
        self.metrics.messages_received += 1;
        match (spoken, message) {
            (Protocol::EventStream | Protocol::Http, _) => unreachable!("what they say is no frames"),
            (_, Message::Close(close)) => self.close_received(now, id, close, host),
            (_, Message::Ping(payload)) => {
                if self.meters.is_none() || self.meter_ping(now, id, host) {
                    self.pong(id, payload);
                }
            }
            (_, Message::Pong(_)) => self.expire_token(now, id, host),
            (Protocol::Raw(route), Message::Text(text)) => self.raw(now, id, route, RawMessage::Text(text), host),
            (Protocol::Raw(route), Message::Binary(bytes)) => self.raw(now, id, route, RawMessage::Binary(bytes), host),
            (Protocol::SocketIo | Protocol::EngineIo(_), Message::Text(text)) => self.engine_text(now, id, text, host),
            (Protocol::SocketIo | Protocol::EngineIo(_), Message::Binary(bytes)) => {
                self.engine_binary(now, id, bytes, host);
            }
            (
                protocol @ (Protocol::SocketStream | Protocol::SocketCluster09 | Protocol::Services),
                Message::Text(text),
            ) => self.tongue_text(now, id, protocol, text, host),
            (Protocol::SocketStream | Protocol::SocketCluster09 | Protocol::Services, Message::Binary(_)) => {
                // None of them has any; on Engine.IO, too, it means nothing.
                self.metrics.messages_unknown += 1;
            }
            (Protocol::Carrier, message) => self.carrier_message(now, id, message, host),
            (_, Message::Text(text)) => self.handle_text(now, id, text, protocol, host),
            (_, Message::Binary(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => self.handle_text(now, id, text, protocol, host),
                Err(_) => self.handle_garbage(now, id, host),
            },
        }
    }

    pub(crate) fn raw<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        route: u16,
        message: RawMessage<'_>,
        host: &mut H,
    ) {
        if self.meters.is_some() && !self.meter_raw(now, id, host) {
            return;
        }
        let Some(mut connection) = self.connections.live(id) else { return };
        if connection.identity.is_some() {
            self.expire_token(now, id, host);
            // Perhaps the application did not want it as a stranger.
            let Some(known) = self.connections.live(id).filter(|known| known.state == State::Open) else { return };
            connection = known;
        }
        let framing = connection.framing();
        let start = self.turn.end(Arena::Direct);
        let caller = connection.caller(id.slot, &self.users);
        host.message(caller, route, message, &mut RawReplies::new(&mut self.turn.direct, framing));
        self.queue_direct(id, start);
        self.drain_commands(now, host);
    }

    fn pong(&mut self, id: ConnectionId, payload: &[u8]) {
        self.write(id, |out| encode::frame(out, Opcode::Pong, payload));
    }
}
