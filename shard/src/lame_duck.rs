//! Going while others come: for a while before the stop everybody is served, and one connection after the other is told
//! to leave, evenly over the time, so that those who come back elsewhere do not all do so at once.

use crate::connection::{Connection, State};
use crate::heartbeat::stamp;
use crate::shard::Shard;
use crate::{Disconnect, Host, Time};

/// How far it has got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LameDuck {
    began: Time,
    until: Time,
    /// Slots below were looked at. Who came into one of them later is told to leave at the stop.
    cursor: usize,
}

impl Shard {
    /// From now until then every connection is told to leave. Everything else goes on.
    pub const fn handle_lame_duck(&mut self, now: Time, until: Time) {
        if self.lame_duck.is_none() {
            self.lame_duck = Some(LameDuck { began: now, until, cursor: 0 });
        }
    }

    /// After `handle_lame_duck`: whether everybody was told to leave, and has left.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        self.lame_duck.is_some_and(|lame_duck| lame_duck.cursor >= self.due.len()) && self.connections.is_empty()
    }

    /// Whether the time of that slot has come: it has heard that we go, or will with its next answer.
    pub(crate) fn is_told(&self, slot: u32) -> bool {
        self.lame_duck.is_some_and(|lame_duck| (slot as usize) < lame_duck.cursor)
    }

    /// Tells as many as it is time for.
    pub(crate) fn tell_some<H: Host>(&mut self, now: Time, host: &mut H) {
        let Some(LameDuck { began, until, cursor }) = self.lame_duck else { return };
        let (slots, per_turn) = (self.due.len(), self.limits.drain_connections_per_turn);
        let (passed, whole) = (now.since(began).as_micros(), until.since(began).as_micros().max(1));
        // One more than that: the first is told at once.
        let share = usize::try_from((slots as u128 * passed).div_ceil(whole)).unwrap_or(slots);
        let end = share.max(1).min(slots).min(cursor + per_turn).max(cursor.min(slots));
        self.lame_duck = Some(LameDuck { began, until, cursor: end });
        for slot in cursor..end {
            let slot = u32::try_from(slot).expect("connections are bounded far below 2^32");
            let Some(connection) = self.connections.get(slot) else { continue };
            if is_asking(connection, stamp(now)) {
                continue; // Its next answer is its last.
            }
            let id = connection.id(slot);
            self.close(now, id, &Disconnect::new(1001, "server is going away"), host);
        }
    }
}

/// Whether an HTTP connection has just come, or waits for an answer: to cut it off would be to refuse it. Who has been
/// silent for a second after an answer only holds a connection ready.
fn is_asking(connection: &Connection, now: u32) -> bool {
    let is_recent = connection.last_seen + ASKING_STAMPS > now;
    connection.state == State::Request && (is_recent || connection.calls != 0 || connection.held.is_some())
}

/// A second: longer than it takes from connecting to the request.
const ASKING_STAMPS: u32 = 10;
