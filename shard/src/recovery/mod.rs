//! Recovery of Socket.IO's connections: one whose transport is lost waits for its client, with its subscriptions, its user
//! and what it was told meanwhile. When the client comes back, on any shard, its new transport becomes the old connection's
//! carrier, as a WebSocket does after an upgrade; what it has missed is said again, in order, and everything goes on. The
//! application sees no end and no beginning.
//!
//! ```text
//! new transport: 40{pid,offset} ──Recover──> old connection: is it all in the log?
//!      <──────── Recovered, the rest of the log, 40{sid,pid} ── Carried ──
//! ```
//!
//! Every event that is not to be answered gets a number of its shard, the offset, as its last argument. By connection, the
//! last ones are kept until the client has answered a ping that came after them. Nothing of this exists unless it is asked
//! for by a window.

mod limits;
mod log;
mod message;
#[cfg(test)]
mod tests;
mod waiting;

pub use limits::RecoveryLimits;
pub(crate) use log::Recoveries;
pub(crate) use message::{Key, Recovering};

use std::borrow::Cow;

use codec::engineio::Version;
use codec::message::RawJson;

use crate::connection::{Connection, State, ending};
use crate::shard::Shard;
use crate::socketio::text_member;
use crate::turn::Arena;
use crate::{ConnectionId, Host};

impl Shard {
    /// Whether what is written for these connections is numbered.
    pub(crate) const fn numbers_events(&self, version: Version) -> bool {
        matches!(version, Version::V4) && self.recovery.is_some()
    }

    /// A client of protocol 5 is about to be let in: from here on its events are kept.
    pub(crate) fn begin_recovery<H: Host>(&mut self, id: ConnectionId, host: &mut H) {
        let Some(recoveries) = &mut self.recovery else { return };
        let Some(connection) = self.connections.live(id) else { return };
        let is_new = connection.engine.as_ref().is_some_and(|engine| engine.version == Version::V4)
            && !connection.is_ending(ending::RECOVERS);
        if is_new {
            connection.endings |= ending::RECOVERS;
            recoveries.enter(id.slot, host.secret());
        }
    }

    /// What the client of a namespace proves later that it is the same: none where nothing is kept.
    pub(crate) fn private_id(&self, id: ConnectionId, namespace: u8) -> Option<String> {
        let kept = self.recovery.as_ref()?.get(id.slot)?;
        Some(
            Key { shard: self.id, connection: id, secret: kept.secret, namespace, epoch: kept.epoch(namespace) }.text(),
        )
    }

    /// One event for one connection, numbered and kept.
    pub(crate) fn write_numbered(&mut self, id: ConnectionId, namespace: u8, write: impl FnOnce(&mut Vec<u8>, u64)) {
        let Some(recoveries) = &mut self.recovery else { return };
        let offset = recoveries.next_offset();
        let start = self.turn.end(Arena::Direct);
        write(&mut self.turn.direct, offset);
        let frames = self.turn.direct[start as usize..].into();
        if recoveries.keep(id.slot, namespace, offset, frames, &mut self.metrics) {
            self.queue_direct(id, start);
        } else {
            self.turn.direct.truncate(start as usize);
        }
    }

    /// A push for a connection whose events are kept; whether it is to be sent now.
    pub(crate) fn keep_push(&mut self, slot: u32, start: u32, end: u32) -> bool {
        let Some(recoveries) = &mut self.recovery else { return true };
        let written = self.written.iter().find(|written| written.start == start && written.end == end);
        let Some(written) = written else { return true };
        let bytes = self.turn.bytes_of((Arena::Shared, start, end));
        let frames = recoveries.shared(self.turn.number, start, bytes);
        recoveries.keep(slot, written.form.namespace(), written.offset, frames, &mut self.metrics)
    }

    /// A ping goes out: its answer will say that everything before it has come.
    pub(crate) fn mark_kept(&mut self, id: ConnectionId) {
        if let Some(recoveries) = &mut self.recovery {
            recoveries.mark(id.slot);
        }
    }

    /// The ping was answered.
    pub(crate) fn forget_received(&mut self, id: ConnectionId) {
        if let Some(recoveries) = &mut self.recovery {
            recoveries.forget_received(id.slot);
        }
    }

    /// The connection is gone for good.
    pub(crate) fn end_recovery(&mut self, slot: u32) {
        if let Some(recoveries) = &mut self.recovery {
            recoveries.remove(slot);
        }
    }
}

impl Connection {
    /// It waits for its client to come back.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.is_ending(ending::RECOVERS) && self.is_ending(ending::BROKEN) && matches!(self.state, State::Open)
    }
}

/// What a client brings of an earlier life: who it was, and the last that it has heard.
pub(crate) fn claim_of(auth: RawJson<'_>, shards: usize) -> Option<(Key, Option<String>)> {
    let key = Key::parse(&text_member(auth.as_str(), "\"pid\"")?, shards)?;
    Some((key, text_member(auth.as_str(), "\"offset\"").map(Cow::into_owned)))
}
