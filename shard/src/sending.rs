//! The end of a turn: every connection that has something to say gets one send, of its own backlog or straight from the
//! turn's arena.

use crate::connection::State;
use crate::shard::Shard;
use crate::turn::{Chain, Mode, Send, Transmit};

impl Shard {
    /// The next send of this turn. From the first call until the kernel has taken the bytes of all, nothing else of the
    /// shard may be called.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        if self.next_send.is_none() {
            self.close_turn();
        }
        let index = self.next_send.expect("the turn was just closed");
        let send = self.turn.sends.get(index).copied()?;
        self.next_send = Some(index + 1);
        let token = u32::try_from(index).expect("one send per connection");
        let connection = send.connection;
        Some(match send.span {
            Some(span) => Transmit { connection, token, mode: Mode::Turn, bytes: self.turn.bytes_of(span) },
            None => {
                let outbox = self.connections[connection.slot as usize].outbox.as_ref();
                let bytes = outbox.expect("an outbox in flight is kept until it has landed").flying();
                Transmit { connection, token, mode: Mode::Owned, bytes }
            }
        })
    }

    /// Decides for every connection with something to say how it is sent.
    fn close_turn(&mut self) {
        let mut dirty = std::mem::take(&mut self.turn.dirty);
        for slot in dirty.drain(..) {
            self.close_chain(slot);
        }
        self.turn.dirty = dirty;
        self.next_send = Some(0);
    }

    fn close_chain(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot as usize) else { return };
        let id = connection.id(slot);
        let chain = std::mem::replace(&mut connection.chain, Chain::EMPTY);
        let Some(outbox) = connection.outbox.as_mut() else {
            if !chain.is_empty() {
                let span = self.turn.span(chain);
                self.turn.sends.push(Send { connection: id, span: Some(span) });
            }
            return;
        };
        outbox.push_with(|queue| self.turn.copy(chain, queue));
        if outbox.bytes() > self.limits.outbox_bytes_max && connection.state != State::Closing {
            self.slow_consumers.push(id);
        }
        if outbox.take_off(self.now) {
            self.turn.sends.push(Send { connection: id, span: None });
        } else if outbox.is_empty() {
            connection.outbox = None;
        }
    }
}
