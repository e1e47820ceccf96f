//! What goes from a mailbox to its carrier, and how much of it at a time. The carrier says what is with the kernel; before
//! that it is given no more than the high-water mark of an outbox. The rest stays in the mailbox, where it is a backlog
//! like any other, with its policies and its limit. A carrier that has its part queued is over that mark itself, and so is
//! not read meanwhile: the client of a full mailbox is not heard.
//!
//! ```text
//! mailbox ──Carried──> carrier ── kernel
//!    <──Landed── carrier
//! ```

use super::{PollMessage, Poller, SessionKey};
use crate::connection::{Connection, Protocol, State};
use crate::shard::Shard;
use crate::{ConnectionId, SessionId};

/// What a WebSocket knows that carries a connection.
#[derive(Debug)]
pub(crate) struct Carrier {
    pub(super) key: SessionKey,
    /// The session of its own cookie.
    pub(super) bound_to: Option<SessionId>,
    /// The connection's requests are over.
    pub(super) is_switched: bool,
    /// Bytes that were carried here and that the connection does not know to be with the kernel.
    unsaid: usize,
}

impl Carrier {
    /// What asks whether it may carry a connection.
    pub(super) const fn asking(key: SessionKey, bound_to: Option<SessionId>) -> Self {
        Self { key, bound_to, is_switched: false, unsaid: 0 }
    }

    /// What goes on with a connection whose last transport is lost.
    pub(crate) const fn taking_up(key: SessionKey) -> Self {
        Self { key, bound_to: None, is_switched: true, unsaid: 0 }
    }
}

impl Shard {
    /// Hands the mailbox to the carrier, if there is one, as far as it has not too much already; whether there is one.
    pub(super) fn serve_carrier(&mut self, id: ConnectionId) -> bool {
        let window = self.limits.outbox_high_water_mark;
        let Some(connection) = self.connections.live(id) else { return false };
        let is_closing = connection.state == State::Closing;
        let Connection { engine: Some(engine), outbox, .. } = connection else { return false };
        let Some(polling) = engine.polling.as_deref_mut() else { return false };
        let Some(carrier) = polling.carrier else { return false };
        // One byte more than its mark, so that a carrier that is full is paused. The last words are few: what a slow
        // consumer has not heard is dropped before.
        let room = if is_closing { usize::MAX } else { (window + 1).saturating_sub(polling.in_flight) };
        let mailbox = outbox.as_mut().filter(|mailbox| room > 0 && !mailbox.is_empty());
        if let Some(mailbox) = mailbox {
            let mut bytes = mailbox.take_all(room);
            if bytes.len() < room {
                // There is room, so the next frame goes as well, however long it is: nobody would ask for it later.
                bytes.extend_from_slice(&mailbox.take_all(1));
            }
            polling.in_flight += bytes.len();
            self.metrics.carriers_full += u64::from(polling.in_flight > window);
            self.tell_carrier(carrier, PollMessage::Carried { connection: carrier.connection, bytes });
        }
        if is_closing {
            self.linger(id);
        }
        self.mail_fetched(id);
        true
    }

    /// What a carrier is to send.
    pub(super) fn write_carried(&mut self, id: ConnectionId, bytes: &[u8]) {
        if self.speaks(id) != Some(Protocol::Carrier) {
            return;
        }
        let worth = self.limits.outbox_high_water_mark / 2;
        let Some(connection) = self.connections.live(id).filter(|known| known.state != State::Closing) else { return };
        if let Some(carrier) = connection.engine.as_mut().and_then(|engine| engine.carrier.as_mut())
            && carrier.is_switched
        {
            carrier.unsaid += bytes.len();
            if carrier.unsaid > worth {
                self.mail.push(id); // Whether the kernel takes it is known in the next pass.
            }
        }
        self.write(id, |out| out.extend_from_slice(bytes));
    }

    /// Tells a carried connection how much more of what it has said is with the kernel, once it is worth a message: half
    /// of what may be on its way, so that who keeps up costs few, and who is waited for is always told.
    pub(crate) fn say_landed(&mut self, id: ConnectionId) {
        let worth = self.limits.outbox_high_water_mark / 2;
        let Some(connection) = self.connections.live(id).filter(|known| known.state != State::Closing) else { return };
        let (queued, is_sending) = (connection.queued_bytes(), !connection.chain.is_empty());
        let Some(carrier) = connection.engine.as_mut().and_then(|engine| engine.carrier.as_mut()) else { return };
        let landed = carrier.unsaid.saturating_sub(queued);
        if landed > worth {
            carrier.unsaid -= landed;
            let key = carrier.key;
            self.tell_carried(key, PollMessage::Landed { connection: id, key, bytes: landed });
        } else if carrier.unsaid > worth && is_sending {
            self.mail.push(id); // As above; of what waits longer than this `handle_sent` tells.
        }
    }

    pub(super) fn carried_landed(&mut self, carrier: Poller, key: SessionKey, bytes: usize) {
        let Some(polling) = self.polling_of(&key).filter(|polling| polling.carrier == Some(carrier)) else { return };
        polling.in_flight = polling.in_flight.saturating_sub(bytes);
        self.serve_carrier(key.connection);
    }
}
