//! What is said on connections that do not speak the SocketCluster of our days, by what they speak. One line for each
//! protocol and occasion: what it is, the protocol's own file knows.

use codec::engineio::Version;
use codec::message::{CallId, ClientMessage, RawJson};
use codec::websocket::{Opcode, encode};

use crate::connection::{Heartbeat, Protocol, State};
use crate::engineio::{Engine, EngineOpening};
use crate::opening::Entry;
use crate::requests::Next;
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, Refusal, Time};

impl Shard {
    /// A connection has its session, and begins to speak. Where the client opens nothing itself, it asks for nothing more
    /// to be let in.
    pub(crate) fn begin_tongue<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        protocol: Protocol,
        entry: Entry<'_>,
        host: &mut H,
    ) -> Next {
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        connection.state = State::Handshake;
        connection.protocol = protocol;
        if let Some(dialect) = entry.dialect {
            connection.heartbeat = Heartbeat::Locked(dialect);
        }
        if let Some(EngineOpening { version, .. }) = entry.engine {
            connection.engine.get_or_insert_with(|| Engine::new(*version));
        }
        self.accept_upgrade(id, entry.accept, entry.agreement, entry.cookie);
        let Some(opening) = entry.engine else {
            if protocol == Protocol::Services {
                self.connect_at_once(now, id, None, host);
            }
            return Next::Frames;
        };
        self.say_open(id);
        if protocol != Protocol::SocketIo || opening.version == Version::V3 {
            self.connect_at_once(now, id, opening.token.as_deref(), host);
        }
        Next::Frames
    }

    /// A client that is in as soon as its connection is open.
    fn connect_at_once<H: Host>(&mut self, now: Time, id: ConnectionId, token: Option<&str>, host: &mut H) {
        self.handshake(now, id, CallId::new(RawJson::from_validated("")), token, host);
    }

    /// A client was let in: what it is told of that.
    pub(crate) fn tongue_let_in(&mut self, id: ConnectionId) {
        match self.speaks(id) {
            Some(Protocol::SocketIo) => self.namespace_opened(id),
            Some(Protocol::SocketStream) => self.socketstream_let_in(id),
            Some(Protocol::SocketCluster09) => self.socketcluster_09_let_in(id),
            _ => {}
        }
    }

    /// A client was not let in.
    pub(crate) fn tongue_refused<H: Host>(&mut self, now: Time, id: ConnectionId, refusal: &Refusal, host: &mut H) {
        let error = RawJson::from_validated(&refusal.error);
        match self.speaks(id) {
            Some(Protocol::Services) => self.services_refused(id, error),
            Some(Protocol::SocketCluster09) => self.socketcluster_09_refused(id, error),
            _ => {}
        }
        self.close(now, id, &Disconnect { code: refusal.code, reason: "".into() }, host);
    }

    /// A text message of a WebSocket.
    pub(crate) fn tongue_text<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        protocol: Protocol,
        text: &str,
        host: &mut H,
    ) {
        let Some(connection) = self.connections.live(id) else { return };
        match connection.engine {
            Some(_) => self.engine_text(now, id, text, host),
            None => self.tongue_message(now, id, protocol, text, host),
        }
    }

    /// A message, without what carried it.
    pub(crate) fn tongue_message<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        protocol: Protocol,
        text: &str,
        host: &mut H,
    ) {
        match protocol {
            Protocol::SocketStream => self.socketstream_message(now, id, text, host),
            Protocol::Services => self.services_message(now, id, text, host),
            Protocol::SocketCluster09 => self.socketcluster_09_message(now, id, text, host),
            _ => {}
        }
    }

    /// Whether a message that is no request of ours, but of its protocol's own, may be answered.
    pub(crate) fn is_heard<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) -> bool {
        self.meters.is_none() || self.meter_message(now, id, &ClientMessage::Unknown, host)
    }

    /// Answers a call.
    pub(crate) fn tongue_answer(
        &mut self,
        id: ConnectionId,
        call: CallId<'_>,
        outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
    ) {
        match self.speaks(id) {
            Some(Protocol::SocketIo) => self.answer_socketio(id, call, outcome),
            Some(Protocol::SocketStream) => self.answer_socketstream(id, call, outcome),
            Some(Protocol::Services) => self.answer_services(id, call, outcome),
            Some(Protocol::SocketCluster09) => self.answer_socketcluster_09(id, call, outcome),
            Some(Protocol::EventStream) => self.stream_answered(id, outcome.map(|_| ())),
            _ => {}
        }
    }

    /// Sends an event to one connection, if its protocol has events.
    pub(crate) fn tongue_emit(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>) {
        match self.speaks(id) {
            Some(Protocol::SocketIo) => self.socketio_emit(id, name, data),
            Some(Protocol::SocketStream) => self.socketstream_emit(id, name, data),
            Some(Protocol::Services) => self.services_emit(id, name, data),
            Some(Protocol::SocketCluster09) => self.socketcluster_09_emit(id, name, data),
            Some(Protocol::EventStream) => self.stream_emit(id, name, data),
            _ => {}
        }
    }

    /// Queues one text message for a connection that has not ended, as it is carried there.
    pub(crate) fn say_text(&mut self, id: ConnectionId, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(connection) = self.connections.live(id) else { return };
        if !matches!(connection.state, State::Open | State::Handshake) {
            return;
        }
        let is_on_engine = connection.engine.is_some();
        self.write(id, |out| write_text(out, is_on_engine, length_hint, write));
    }
}

/// Appends a text message in a frame: on Engine.IO as its packet.
pub(crate) fn write_text(out: &mut Vec<u8>, is_on_engine: bool, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
    encode::frame_with(out, Opcode::Text, 1 + length_hint, |out| {
        if is_on_engine {
            out.push(b'4');
        }
        write(out);
    });
}

#[cfg(test)]
mod tests;
