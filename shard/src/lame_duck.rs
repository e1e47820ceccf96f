//! Going while others come: for a while before the stop everybody is served, and one connection after the other is told
//! to leave, evenly over the time, so that those who come back elsewhere do not all do so at once.

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
            let id = connection.id(slot);
            self.close(now, id, &Disconnect::new(1001, "server is going away"), host);
        }
    }
}
