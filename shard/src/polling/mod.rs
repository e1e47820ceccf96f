//! Long-polling: clients of Engine.IO without a WebSocket. Their connection is one like all others, but for its socket:
//! what is said to it lies in a mailbox, as the frames that a WebSocket would have been sent, until a request asks for
//! it; what a request brings is made frames and received. So nothing else in the shard knows the difference.
//!
//! The session's id names the shard that the connection lives on. A request that comes to another shard is carried there,
//! and its answer back: no client ever has to come to a certain shard.
//!
//! ```text
//! request ── its own shard ── PollMessage::Request ──> the connection's shard: mailbox, frames
//!    <───────────── response ── PollMessage::Answer <──
//! ```

mod answer;
mod carrying;
mod id;
mod message;
mod request;
mod upgrade;

#[cfg(test)]
mod tests;

pub(crate) use answer::PollContext;
pub(crate) use carrying::Carrier;
pub(crate) use id::{SECRET_BYTES, SID_BYTES, SessionKey};
pub use message::PollMessage;
pub(crate) use message::{Polled, Poller, Posted};

use codec::engineio::{Encoding, Item, Reader, Refusal, Version, write_binary_packet, write_text_packet};
use codec::websocket::{Opcode, encode};

use crate::connection::{Connection, Protocol, State, pause};
use crate::engineio::Engine;
use crate::heartbeat::stamp;
use crate::outbox::Outbox;
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, SessionId, ShardId, Time};

/// What a connection without a socket of its own has.
#[derive(Debug)]
pub(crate) struct Polling {
    /// What proves that a request is the client's.
    pub(crate) secret: [u8; SECRET_BYTES],
    /// Which of its responses are bytes.
    pub(crate) octets: Octets,
    /// The request that waits for something to be told.
    pub(crate) waiting: Option<Poller>,
    /// A WebSocket that has asked whether it may carry the connection.
    pub(crate) upgrading: Option<Poller>,
    /// The WebSocket that does.
    pub(crate) carrier: Option<Poller>,
    /// Bytes that it was given and that may still wait there.
    pub(crate) in_flight: usize,
    /// The session whose cookie has opened it: whoever knows its id must have that cookie as well, or that of the id that
    /// the session has now.
    pub(crate) bound_to: Option<SessionId>,
    /// What the next response sets.
    pub(crate) cookie: Option<Box<str>>,
}

/// Responses of protocol 3 that are octets and no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Octets {
    Never,
    /// Those with bytes in them.
    WhereNeeded,
    /// All: libraries from before 2014 read no text where the browser can give them bytes.
    Always,
}

impl Octets {
    const fn encoding(self, version: Version, has_binary: bool) -> Encoding {
        let needs_octets = has_binary || matches!(self, Self::Always);
        Encoding::choose(version, !matches!(self, Self::Never), needs_octets)
    }
}

impl Polling {
    /// Nobody waits, nobody carries.
    pub(crate) const fn new(secret: [u8; SECRET_BYTES]) -> Self {
        Self {
            secret,
            octets: Octets::Never,
            waiting: None,
            upgrading: None,
            carrier: None,
            in_flight: 0,
            bound_to: None,
            cookie: None,
        }
    }

    /// Whoever there is on the other side: the request that waits, the carrier and who is to become it.
    pub(crate) const fn take_pollers(&mut self) -> [Option<Poller>; 3] {
        [self.waiting.take(), self.carrier.take(), self.upgrading.take()]
    }

    /// From now on this WebSocket carries the connection.
    pub(crate) const fn carry_by(&mut self, carrier: Poller) {
        (self.carrier, self.in_flight) = (Some(carrier), 0);
    }
}

impl Connection {
    /// Whether requests carry it: no socket has its number.
    pub(crate) fn is_polled(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.polling.is_some())
    }

    pub(crate) fn polling_mut(&mut self) -> Option<&mut Polling> {
        self.engine.as_mut()?.polling.as_deref_mut()
    }
}

impl Shard {
    /// A connection without a socket; its first request waits.
    pub(crate) fn open_polled(
        &mut self,
        now: Time,
        requester: ConnectionId,
        version: Version,
        octets: Octets,
        secret: [u8; SECRET_BYTES],
    ) -> Option<ConnectionId> {
        if self.connections.len() >= self.limits.connections_max || self.is_stopping {
            self.metrics.connections_refused += 1;
            return None;
        }
        let known = self.connections.live(requester)?;
        let (address, door) = (known.address, known.door);
        if !self.has_memory(door) {
            return None;
        }
        let (generation, now) = (self.next_generation(), stamp(now));
        let deadline = now + self.timing.handshake;
        let mut connection = Connection::new(generation, address, door, now, deadline);
        let mut engine = Engine::new(version);
        let waiting = Some(Poller { shard: self.id, connection: requester });
        engine.polling = Some(Box::new(Polling { octets, waiting, ..Polling::new(secret) }));
        connection.engine = Some(engine);
        connection.outbox = Some(Box::new(Outbox::mailbox()));
        let slot = self.connections.insert(connection);
        if self.due.len() <= slot as usize {
            self.due.resize(slot as usize + 1, u32::MAX);
        }
        self.due[slot as usize] = deadline;
        self.metrics.connections_accepted += 1;
        self.metrics.polled_opened += 1;
        Some(ConnectionId { slot, generation })
    }

    /// A request for a connection of this shard, wherever it came in.
    pub(crate) fn handle_poll<H: Host>(
        &mut self,
        now: Time,
        poller: Poller,
        key: &SessionKey,
        session: Option<SessionId>,
        posted: Option<&Posted>,
        host: &mut H,
    ) {
        let id = key.connection;
        let is_bound = self.is_bound_elsewhere(key, session);
        let Some(polling) = self.polling_of(key).filter(|_| !is_bound) else {
            return self.answer_poll(now, poller, Polled::Refused(Refusal::SessionUnknown), host);
        };
        if polling.carrier.is_some() {
            return self.answer_poll(now, poller, Polled::Refused(Refusal::BadRequest), host);
        }
        if let Some(connection) = self.connections.live(id) {
            connection.last_seen = stamp(now);
        }
        match posted {
            Some(posted) => self.handle_posted(now, poller, id, posted, host),
            None => self.handle_poll_for_more(now, poller, id, host),
        }
    }

    /// Whether a connection was opened with the cookie of another session than this one.
    pub(super) fn is_bound_elsewhere(&mut self, key: &SessionKey, session: Option<SessionId>) -> bool {
        let Some(bound_to) = self.polling_of(key).and_then(|polling| polling.bound_to) else { return false };
        let is_elsewhere = session.is_none_or(|session| {
            session != bound_to && self.session_of(key.connection).is_none_or(|own| own != session)
        });
        self.metrics.polls_refused += u64::from(is_elsewhere);
        is_elsewhere
    }

    /// A GET: it gets what there is, or waits.
    fn handle_poll_for_more<H: Host>(&mut self, now: Time, poller: Poller, id: ConnectionId, host: &mut H) {
        let Some(polling) = self.connections.live(id).and_then(Connection::polling_mut) else { return };
        if let Some(waiting) = polling.waiting
            && self.may_wait(waiting)
        {
            // Two at a time: no client that is sound does so, and what the one has read the other misses.
            self.answer_poll(now, poller, Polled::Refused(Refusal::BadRequest), host);
            return self.engine_violation(now, id, "two requests at a time", host);
        }
        let Some(polling) = self.connections.live(id).and_then(Connection::polling_mut) else { return };
        polling.waiting = Some(poller);
        let is_upgrading = polling.upgrading.is_some();
        self.serve_poll(now, id, host);
        if is_upgrading {
            self.release_poll(now, id, host);
        }
    }

    /// Answers the request that waits, with nothing to tell: the client goes over to a WebSocket.
    fn release_poll<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        self.serve_poll(now, id, host);
        let Some(engine) = self.connections.live(id).and_then(|connection| connection.engine.as_mut()) else { return };
        let version = engine.version;
        let Some(polling) = engine.polling.as_mut() else { return };
        let encoding = polling.octets.encoding(version, false);
        let Some(poller) = polling.waiting.take() else { return };
        let mut body = Vec::new();
        write_text_packet(&mut body, encoding, "6", true);
        self.answer_poll(now, poller, Polled::Payload { body, encoding, cookie: None }, host);
    }

    /// Whether a request that was seen waiting still may; those of other shards tell when they do not.
    fn may_wait(&mut self, poller: Poller) -> bool {
        poller.shard != self.id || self.polls.contains_key(&poller.connection)
    }

    /// A POST: its packets are received like any others. It is answered with `ok` even if they are none, as the
    /// reference does; then the connection ends.
    fn handle_posted<H: Host>(&mut self, now: Time, poller: Poller, id: ConnectionId, posted: &Posted, host: &mut H) {
        let bytes_max = self.limits.engine.payload_bytes_max;
        let Some(connection) = self.connections.live(id) else { return };
        let Some(version) = connection.engine.as_ref().map(|engine| engine.version) else { return };
        let held = connection.held.as_ref().map_or(0, |held| held.bytes.len());
        match frames(version, posted) {
            Some(mut frames) if held <= bytes_max => self.receive(now, id, &mut frames, host),
            Some(_) => self.engine_violation(now, id, "too much at once", host),
            None => self.engine_violation(now, id, "no payload", host),
        }
        self.answer_poll(now, poller, Polled::Taken, host);
    }

    /// Gives the request that waits what the mailbox holds, if both are there.
    pub(crate) fn serve_poll<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        if self.serve_carrier(id) {
            return;
        }
        let (own, packets_max) = (self.id, self.limits.engine.payload_packets_max);
        let Some(connection) = self.connections.live(id) else { return };
        let Connection { engine: Some(engine), outbox: Some(outbox), state, .. } = connection else { return };
        let version = engine.version;
        let Some(polling) = engine.polling.as_deref_mut() else { return };
        if outbox.is_empty() {
            return;
        }
        let Some(poller) = polling.waiting.take() else { return };
        if poller.shard == own && !self.polls.contains_key(&poller.connection) {
            return; // It has gone, and what there is to tell waits for the next.
        }
        let is_closing = *state == State::Closing;
        let (body, encoding) = payload(outbox, version, polling.octets, packets_max);
        let (is_read, cookie) = (outbox.is_empty(), polling.cookie.take());
        self.mail_fetched(id);
        self.answer_poll(now, poller, Polled::Payload { body, encoding, cookie }, host);
        if is_closing && is_read {
            self.linger(id);
        }
    }

    /// Something was taken out of a mailbox: who was not heard because it was too full may be heard again.
    fn mail_fetched(&mut self, id: ConnectionId) {
        let low_water_mark = self.limits.outbox_high_water_mark / 2;
        let Some(connection) = self.connections.live(id) else { return };
        if connection.pauses & pause::OUTBOX != 0 && connection.backlog_bytes() <= low_water_mark {
            self.resumable.push(id);
        }
        if self.speaks(id) == Some(Protocol::Carrier) {
            self.say_landed(id);
        }
    }

    /// Everything that came for the connections without sockets since the last pass.
    pub(crate) fn serve_polls<H: Host>(&mut self, now: Time, host: &mut H) {
        while let Some((from, message)) = self.poll_work.pop_front() {
            self.handle_poll_message(now, from, message, host);
        }
        for id in std::mem::take(&mut self.mail) {
            // A carrier may be polled itself, where a lost connection is taken up.
            if self.speaks(id) == Some(Protocol::Carrier) {
                self.say_landed(id);
            }
            self.serve_poll(now, id, host);
        }
    }

    /// What another shard says about polling; looked at when the turn settles.
    fn handle_poll_message<H: Host>(&mut self, now: Time, from: ShardId, message: PollMessage, host: &mut H) {
        match message {
            PollMessage::Request { connection, key, session, posted } => {
                self.handle_poll(now, Poller { shard: from, connection }, &key, session, posted.as_ref(), host);
            }
            PollMessage::Answer { connection, polled } => self.poll_answered(now, connection, &polled, host),
            PollMessage::Gone { connection, key } => {
                let gone = Poller { shard: from, connection };
                if let Some(polling) = self.connections.live(key.connection).and_then(Connection::polling_mut)
                    && polling.waiting == Some(gone)
                {
                    polling.waiting = None;
                }
            }
            PollMessage::Recover(recovering) => self.handle_recover(now, recovering, host),
            PollMessage::Recovered { connection, ticket, key } => self.recovered(now, connection, ticket, key, host),
            message => self.handle_upgrade(now, from, message, host),
        }
    }

    fn answer_poll<H: Host>(&mut self, now: Time, poller: Poller, polled: Polled, host: &mut H) {
        if poller.shard == self.id {
            return self.poll_answered(now, poller.connection, &polled, host);
        }
        let message = PollMessage::Answer { connection: poller.connection, polled };
        self.send_to_peer(poller.shard, crate::Envelope::Poll(&message));
    }

    /// A connection without a socket is gone: nobody waits for it any more.
    pub(crate) fn polled_released(&mut self, engine: Option<Box<Engine>>) {
        if let Some(mut polling) = engine.and_then(|engine| engine.polling) {
            self.dismiss(polling.take_pollers());
        }
    }

    /// Who has polled a connection, carried it or was about to, is told that there is nothing any more.
    pub(crate) fn dismiss(&mut self, [waiting, carrier, upgrading]: [Option<Poller>; 3]) {
        if let Some(poller) = waiting {
            let polled = Polled::Refused(Refusal::SessionUnknown);
            self.tell_carrier(poller, PollMessage::Answer { connection: poller.connection, polled });
        }
        for carrier in [carrier, upgrading].into_iter().flatten() {
            self.tell_carrier(carrier, PollMessage::CarrierEnded { connection: carrier.connection });
        }
    }

    /// Sends a connection without a socket away that was never let in: its request is answered like any other.
    pub(crate) fn refuse_polled<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) -> Option<ConnectionId> {
        let polling = self.connections.live(id).and_then(Connection::polling_mut)?;
        let waiting = polling.waiting.take();
        self.close(now, id, &Disconnect::new(1002, "refused"), host);
        let requester = waiting?.connection;
        self.polls.remove(&requester)?;
        Some(requester)
    }
}

/// The frames that a client with a WebSocket would have sent.
fn frames(version: Version, posted: &Posted) -> Option<Vec<u8>> {
    let mut frames = Vec::with_capacity(posted.body.len() + 16);
    for item in Reader::new(version, posted.is_octets, &posted.body) {
        match item.ok()? {
            Item::Text(text) => encode::masked_frame(&mut frames, Opcode::Text, [0; 4], text.as_bytes()),
            Item::Binary(bytes) => encode::masked_frame(&mut frames, Opcode::Binary, [0; 4], bytes),
        }
    }
    Some(frames)
}

/// Takes so many packets out of a mailbox.
fn payload(outbox: &mut Outbox, version: Version, octets: Octets, packets_max: usize) -> (Vec<u8>, Encoding) {
    let mail = outbox.take_mail(packets_max);
    let has_binary = mail.iter().any(|(opcode, _)| *opcode == Opcode::Binary as u8);
    let encoding = octets.encoding(version, has_binary);
    let mut body = Vec::new();
    for (opcode, payload) in &mail {
        let is_first = body.is_empty();
        match *opcode {
            opcode if opcode == Opcode::Binary as u8 => write_binary_packet(&mut body, encoding, payload, is_first),
            opcode if opcode == Opcode::Close as u8 => write_text_packet(&mut body, encoding, "1", is_first),
            _ => {
                let text = std::str::from_utf8(payload).expect("text frames are text");
                write_text_packet(&mut body, encoding, text, is_first);
            }
        }
    }
    (body, encoding)
}
