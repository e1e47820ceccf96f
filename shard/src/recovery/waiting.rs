//! A transport is lost, a connection waits, a client comes back.

use codec::message::RawJson;
use codec::websocket::{Decoder, Role};

use super::{Key, Recovering, claim_of};
use crate::connection::{Protocol, State, ending};
use crate::heartbeat::stamp;
use crate::outbox::Outbox;
use crate::pending::{Pending, Work};
use crate::polling::{Carrier, PollMessage, Poller, Polling, SessionKey};
use crate::shard::{Event, Shard};
use crate::turn::Chain;
use crate::{ConnectionId, Disconnect, Envelope, Host, ShardId, Time};

/// It has waited in vain.
const IN_VAIN: Disconnect = Disconnect::new(1006, "connection lost");

impl Shard {
    /// A transport is lost. Whether its connection waits for its client now, and does not end.
    pub(crate) fn wait_for_client<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) -> bool {
        let Some(recoveries) = self.recovery.as_mut().filter(|_| !self.is_stopping) else { return false };
        let Some(connection) = self.connections.live(id) else { return false };
        if connection.is_waiting() {
            return true;
        }
        let namespaces = connection.engine.as_ref().map_or(0, |engine| engine.namespaces);
        let is_recoverable = connection.is_ending(ending::RECOVERS)
            && (connection.protocol, connection.state) == (Protocol::SocketIo, State::Open)
            && namespaces != 0;
        let Some(kept) = recoveries.get_mut(id.slot).filter(|_| is_recoverable) else { return false };
        kept.absent = namespaces;
        kept.unmark();
        recoveries.waiting.push_back(id);
        self.metrics.recovery_waits += 1;
        connection.endings |= ending::BROKEN;
        connection.chain = Chain::EMPTY;
        connection.pauses = 0;
        connection.held = None;
        connection.decoder = Decoder::new(Role::Server);
        connection.deadline = stamp(now) + self.timing.recovery;
        self.due[id.slot as usize] = connection.deadline;
        if let Some(outbox) = &mut connection.outbox {
            outbox.discard();
        }
        if let Some(engine) = &mut connection.engine {
            engine.incomplete = None;
        }
        if std::mem::take(&mut connection.calls) != 0 {
            for ticket in self.pending.of(id) {
                self.pending.remove(ticket);
                host.cancel(ticket);
            }
        }
        self.forget_subscribe_calls(id);
        self.end_client_calls(id, None, host);
        if self.seats.is_some() {
            self.leave_seats_of_transport(id.slot);
        }
        self.let_transport_go(id, host);
        self.bound_waiting(now, host);
        true
    }

    /// No more wait than may: who has waited longest ends.
    fn bound_waiting<H: Host>(&mut self, now: Time, host: &mut H) {
        let connections_max = self.limits.recovery.connections_max;
        loop {
            let Some(recoveries) = &mut self.recovery else { return };
            while let Some(first) = recoveries.waiting.front().copied()
                && !self.connections.live(first).is_some_and(|known| known.is_waiting())
            {
                recoveries.waiting.pop_front();
            }
            if recoveries.waiting.len() > connections_max {
                let connections = &mut self.connections;
                recoveries.waiting.retain(|id| connections.live(*id).is_some_and(|known| known.is_waiting()));
            }
            if recoveries.waiting.len() <= connections_max {
                return;
            }
            let Some(longest) = recoveries.waiting.pop_front() else { return };
            self.leave(now, longest, &IN_VAIN, host);
        }
    }

    /// The sweep looks at a connection that waits; whether it does.
    pub(crate) fn beat_waiting<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) -> bool {
        let Some(connection) = self.connections.live(id).filter(|known| known.is_waiting()) else { return false };
        if connection.deadline <= stamp(now) {
            self.leave(now, id, &IN_VAIN, host);
        } else {
            self.due[id.slot as usize] = connection.deadline;
        }
        true
    }

    /// Whoever has carried it is told that there is nothing to carry any more; requests find it no more by the old id.
    fn let_transport_go<H: Host>(&mut self, id: ConnectionId, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        let Some(polling) = connection.polling_mut() else { return self.let_socket_go(id, host) };
        polling.secret = host.secret();
        let pollers = polling.take_pollers();
        connection.outbox = Some(Box::new(Outbox::mailbox()));
        self.dismiss(pollers);
    }

    /// Its socket is closed as soon as nothing of it is in the air; the connection lives without one.
    pub(crate) fn let_socket_go<H: Host>(&mut self, id: ConnectionId, host: &mut H) {
        let secret = host.secret();
        let Some(connection) = self.connections.live(id) else { return };
        if connection.in_flight() {
            if !connection.is_ending(ending::ABORTED) {
                connection.endings |= ending::ABORTED;
                self.events.push_back(Event::Abort(id));
            }
            return; // `handle_sent` brings it back.
        }
        connection.endings = ending::RECOVERS | ending::BROKEN;
        connection.outbox = Some(Box::new(Outbox::mailbox()));
        if let Some(engine) = &mut connection.engine {
            engine.polling = Some(Box::new(Polling::new(secret)));
        }
        self.events.push_back(Event::Close(id));
        let recovering = self.recovery.as_mut().and_then(|all| all.get_mut(id.slot)?.recovering.take());
        if let Some(recovering) = recovering {
            self.poll_work.push_back((recovering.carrier.shard, PollMessage::Recover(recovering)));
        }
    }

    /// A client shows an id of an earlier life. Whether that is being looked for: the connection waits for the answer.
    pub(crate) fn ask_to_recover(
        &mut self,
        now: Time,
        id: ConnectionId,
        namespace: u8,
        auth: RawJson<'_>,
        token: Option<&str>,
    ) -> bool {
        if self.recovery.is_none() {
            return false;
        }
        let Some((key, offset)) = claim_of(auth, self.lanes.len()) else { return false };
        if key.shard != self.id && !self.peers.contains(key.shard) {
            return false; // It went with the shard that it lived on.
        }
        let is_first = self.connections.live(id).is_some_and(|known| known.state == State::Handshake);
        if !is_first || key.namespace != namespace {
            return false;
        }
        let ticket = self.pending.ticket();
        let work = Work::Recover { shard: key.shard, namespace, token: token.map(Into::into) };
        self.await_verdict(now, ticket, id, None, work);
        let carrier = Poller { shard: self.id, connection: id };
        let recovering = Box::new(Recovering { carrier, ticket, key, offset });
        if key.shard == self.id {
            // Not in place: frames are being looked at.
            self.poll_work.push_back((self.id, PollMessage::Recover(recovering)));
        } else {
            self.send_to_peer(key.shard, Envelope::Poll(&PollMessage::Recover(recovering)));
        }
        true
    }

    /// A shard has died: who has asked it for a connection begins anew, and nobody from there takes one up.
    pub(crate) fn forget_recoveries<H: Host>(&mut self, now: Time, peer: ShardId, host: &mut H) {
        let Some(recoveries) = &mut self.recovery else { return };
        recoveries.forget_carriers(peer);
        let asks = |pending: &Pending| matches!(pending.work, Work::Recover { shard, .. } if shard == peer);
        let mut asked: Vec<_> =
            self.pending.iter().filter(|(_, pending)| asks(pending)).map(|(ticket, _)| ticket).collect();
        asked.sort_unstable();
        for ticket in asked {
            if let Some(pending) = self.take_pending(ticket) {
                self.conclude(now, pending, Ok(()), host);
            }
        }
    }

    /// A transport wants to carry a connection of this shard.
    pub(crate) fn handle_recover<H: Host>(&mut self, now: Time, recovering: Box<Recovering>, host: &mut H) {
        let (id, namespace) = (recovering.key.connection, recovering.key.namespace);
        let Some(is_known) = self.recoverable(&recovering.key) else {
            return self.answer_recovering(&recovering, None);
        };
        let offset = if is_known { self.missed_since(id, namespace, recovering.offset.as_deref()) } else { None };
        let Some(offset) = offset else {
            // Its client has come, and begins anew: nobody else will.
            self.metrics.recoveries_incomplete += 1;
            self.leave(now, id, &IN_VAIN, host);
            return self.answer_recovering(&recovering, None);
        };
        if !self.wait_for_client(now, id, host) {
            return self.answer_recovering(&recovering, None);
        }
        let (interval, now) = (self.timing.engine_interval, stamp(now));
        let Some(connection) = self.connections.live(id) else { return };
        let Some(polling) = connection.polling_mut() else {
            // The old socket is still closing.
            if let Some(kept) = self.recovery.as_mut().and_then(|all| all.get_mut(id.slot)) {
                kept.recovering = Some(recovering);
            }
            return;
        };
        polling.carry_by(recovering.carrier);
        let key = SessionKey { shard: self.id, connection: id, secret: polling.secret };
        connection.endings &= !ending::BROKEN;
        (connection.last_seen, connection.deadline) = (now, now + interval);
        self.due[id.slot as usize] = connection.deadline;
        self.metrics.recoveries += 1;
        self.answer_recovering(&recovering, Some(key));
        self.take_up(id, namespace, offset);
    }

    /// Whether the client of a key has been here, and its namespace too; `None`: it has not.
    fn recoverable(&mut self, key: &Key) -> Option<bool> {
        let kept = self.recovery.as_ref()?.get(key.connection.slot)?;
        let connection = self.connections.live(key.connection).filter(|known| known.state == State::Open)?;
        // Whoever guesses learns nothing from the time that it takes.
        let differing =
            kept.secret.iter().zip(&key.secret).fold(0, |differing, (one, other)| differing | (one ^ other));
        let namespaces = connection.engine.as_ref().map_or(0, |engine| engine.namespaces);
        let is_known = namespaces.checked_shr(u32::from(key.namespace)).unwrap_or(0) & 1 == 1
            && kept.epoch(key.namespace) == key.epoch;
        (differing == 0).then_some(is_known)
    }

    fn missed_since(&self, id: ConnectionId, namespace: u8, offset: Option<&str>) -> Option<u64> {
        self.recovery.as_ref()?.has_all(id.slot, namespace, offset)
    }

    fn answer_recovering(&mut self, recovering: &Recovering, key: Option<SessionKey>) {
        let Recovering { carrier, ticket, .. } = *recovering;
        self.tell_carrier(carrier, PollMessage::Recovered { connection: carrier.connection, ticket, key });
    }

    /// A namespace is there again: what it has missed, then the answer to its packet.
    fn take_up(&mut self, id: ConnectionId, namespace: u8, offset: u64) {
        let Some(recoveries) = &mut self.recovery else { return };
        let Some(kept) = recoveries.get_mut(id.slot) else { return };
        kept.absent &= !(1 << namespace);
        let mut missed = Vec::new();
        kept.write_after(&mut missed, namespace, offset);
        self.write(id, |out| out.extend_from_slice(&missed));
        if let Some(engine) = self.connections.live(id).and_then(|known| known.engine.as_mut()) {
            engine.current = namespace;
        }
        self.namespace_opened(id);
    }

    /// A namespace of a connection that was taken up is asked for. Whether that is all: it is there again.
    pub(crate) fn take_up_namespace<H: Host>(
        &mut self,
        id: ConnectionId,
        namespace: u8,
        auth: Option<RawJson<'_>>,
        host: &mut H,
    ) -> bool {
        let claim = auth.and_then(|auth| claim_of(auth, self.lanes.len()));
        let known = claim.filter(|(key, _)| {
            key.namespace == namespace && key.connection == id && key.shard == self.id && {
                self.recoverable(key) == Some(true)
            }
        });
        if let Some((_, offset)) = known
            && let Some(offset) = self.missed_since(id, namespace, offset.as_deref())
        {
            self.take_up(id, namespace, offset);
            return true;
        }
        // It begins anew, without what it was subscribed to.
        self.end_client_calls(id, Some(namespace), host);
        if let Some(recoveries) = &mut self.recovery {
            recoveries.renew(id.slot, namespace);
        }
        let Some(connection) = self.connections.live(id) else { return true };
        let Some(engine) = connection.engine.as_mut() else { return true };
        engine.current = namespace;
        engine.namespaces &= !(1 << namespace);
        let form = connection.form();
        self.unsubscribe_form(id, form);
        false
    }

    /// Whether a namespace of this connection is open, but its client has not come back to it.
    pub(crate) fn is_absent(&self, slot: u32, namespace: u8) -> bool {
        let kept = self.recovery.as_ref().and_then(|all| all.get(slot));
        kept.is_some_and(|kept| kept.absent & 1 << namespace != 0)
    }

    /// The shard of the earlier connection has answered.
    pub(crate) fn recovered<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        ticket: crate::Ticket,
        key: Option<SessionKey>,
        host: &mut H,
    ) {
        let interval = self.timing.engine;
        let (pending, key) = match (self.take_pending(ticket), key) {
            (Some(pending), Some(key)) => (pending, key),
            (Some(pending), None) => return self.conclude(now, pending, Ok(()), host),
            // Its time was over, or it has gone.
            (None, Some(key)) => return self.say_carrier_gone(id, key),
            (None, None) => return,
        };
        let known = self.connections.live(pending.connection).filter(|known| known.state == State::Handshake);
        let Some(connection) = known else { return self.say_carrier_gone(id, key) };
        connection.state = State::Open;
        connection.protocol = Protocol::Carrier;
        connection.deadline = stamp(now) + interval;
        self.due[id.slot as usize] = connection.deadline;
        if let Some(engine) = &mut connection.engine {
            engine.carrier = Some(Box::new(Carrier::taking_up(key)));
        }
        self.resume_after_hook(id);
    }

    fn say_carrier_gone(&mut self, id: ConnectionId, key: SessionKey) {
        self.tell_carried(key, PollMessage::CarrierGone { connection: id, key, code: IN_VAIN.code });
    }
}
