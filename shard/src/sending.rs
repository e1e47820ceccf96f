//! The end of a pass: connections that have something to hear get one send each, of their own backlog or straight from
//! the turn's arena.
//!
//! Sends cost some microseconds of kernel time each, so that a publication to ten thousand subscribers would hold the
//! loop for tens of milliseconds. Those who only hear publications therefore wait in a line of which each pass takes a
//! bounded part; between two parts everybody else is heard and answered. Whoever is told something of their own gets it
//! in the same pass, and before it, in order, what was waiting for them.

use crate::connection::{Connection, State};
use crate::outbox::Room;
use crate::shard::Shard;
use crate::turn::{Chain, Mode, Send, Transmit};
use crate::{ConnectionId, Limits};

impl Shard {
    /// The next send of this pass. From the first call until the kernel has taken the bytes of all, nothing else of the
    /// shard may be called.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if self.next_send.is_none() {
            self.decide_sends();
        }
        let index = self.next_send.expect("they were just decided");
        let send = self.sends.get(index)?;
        self.next_send = Some(index + 1);
        let token = u32::try_from(index).expect("one send per connection");
        let connection = send.connection;
        Some(match send.span {
            Some(span) => Transmit { connection, token, mode: Mode::Turn, bytes: self.turn.bytes_of(span) },
            None => {
                let outbox = self.connections[connection.slot].outbox.as_ref();
                let bytes = outbox.expect("an outbox in flight is kept until it has landed").flying();
                Transmit { connection, token, mode: Mode::Owned, bytes }
            }
        })
    }

    /// Decides who is sent to in this pass, and how: everybody who is told something of their own, then those who only
    /// hear publications, as many as the loop may be held for.
    fn decide_sends(&mut self) {
        let mut urgent = std::mem::take(&mut self.turn.urgent);
        for slot in urgent.drain(..) {
            self.close_chain(slot);
        }
        self.turn.urgent = urgent;
        let sends_max = if self.turn.is_full() { usize::MAX } else { self.limits.sends_per_pass };
        while self.sends.len() < sends_max
            && let Some(slot) = self.turn.waiting.pop_front()
        {
            self.close_chain(slot);
        }
        self.metrics.turns_continued += u64::from(!self.turn.waiting.is_empty());
        self.count_compression();
        self.next_send = Some(0);
    }

    fn close_chain(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let id = connection.id(slot);
        connection.is_urgent = false;
        let chain = std::mem::replace(&mut connection.chain, Chain::EMPTY);
        if connection.outbox.is_some() {
            self.queue_behind(id, chain);
        } else if !chain.is_empty() {
            let span = self.turn.span(chain);
            self.sends.push(Send { connection: id, turn: self.turn.number, span: Some(span), chain });
        }
    }

    /// Queues a chain for a connection that has a backlog, and sends the next part of that, if nothing is in flight.
    fn queue_behind(&mut self, id: ConnectionId, chain: Chain) {
        let Some(connection) = self.connections.live(id) else { return };
        let room = room(&self.limits, connection);
        let Some(outbox) = connection.outbox.as_mut() else { return };
        if self.channels.policies.may_drop() {
            self.turn.file(chain, 0, outbox, room, &mut self.metrics);
            outbox.shrink_to(room.bytes_max, &mut self.metrics);
        } else {
            outbox.push_with(|queue| self.turn.copy(chain, queue));
        }
        // A response may be longer: its client asked for it, and is not heard before it has read most of it.
        let is_bounded = matches!(connection.state, State::Handshake | State::Open);
        if is_bounded && outbox.bytes() > room.bytes_max {
            self.slow_consumers.push(id);
        }
        if outbox.is_mailbox() {
            self.mail.push(id);
        } else if outbox.take_off(self.now, room) {
            // Whether it has landed is looked at when it is too late, and not at the next ping.
            let due = &mut self.due[id.slot as usize];
            *due = (*due).min(self.now + self.timing.send);
            self.sends.push(Send { connection: id, turn: self.turn.number, span: None, chain });
        } else if outbox.is_empty() {
            connection.outbox = None;
        }
    }
}

/// How much may wait for a connection.
pub(crate) fn room(limits: &Limits, connection: &Connection) -> Room {
    // One message being sent and the next one behind it are nobody's fault.
    let engine = if connection.engine.is_some() { 2 * limits.engine.payload_bytes_max } else { 0 };
    Room { droppable_bytes_max: limits.outbox_high_water_mark, bytes_max: limits.outbox_bytes_max.max(engine) }
}
