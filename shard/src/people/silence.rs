//! Users who fall silent: offline after a while, though their connections are still open, and online again when they are
//! heard from. No timer per user: every tick looks at a few.

use crate::heartbeat::Timing;
use crate::shard::Shard;

/// Users that every tick looks at, at least, and the part of all: a round takes no longer than 100 ticks, five seconds.
const USERS_MIN: usize = 256;
const ROUND_TICKS: usize = 100;

impl Shard {
    /// Time has passed.
    pub(crate) fn sweep_users(&mut self) {
        if !self.limits.people.is_online_known || self.users.len() == 0 {
            return;
        }
        let slots = self.users.slots();
        for _ in 0..(slots / ROUND_TICKS).max(USERS_MIN).min(slots) {
            let slot = self.people.sweep_cursor % slots;
            self.people.sweep_cursor = slot + 1;
            self.hear_user(u32::try_from(slot).expect("users are no more than connections"));
        }
    }

    fn hear_user(&mut self, slot: u32) {
        let Some(user) = self.users.get(slot).filter(|user| user.admitted > 0) else { return };
        let Timing { silence, .. } = self.timing;
        let connections = user.connections.iter().map(|connection| &self.connections[*connection]);
        let is_heard = connections
            .filter(|connection| connection.admitted)
            .any(|connection| connection.pauses != 0 || connection.last_seen.saturating_add(silence) > self.now);
        if is_heard != user.is_announced {
            self.metrics.users_silent += u64::from(!is_heard);
            self.announce(slot, is_heard);
        }
    }
}
