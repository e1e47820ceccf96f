//! People, judged from outside: what the application has said to whom and who must hear it, who is online and in which
//! channel, what is answered to questions about it. It knows connections and their logins from what clients sent and
//! what the application decided, and never asks a shard, except in the census, where it compares.
//!
//! ```text
//! said    what was addressed to whom        asking  questions of one application, and their answers
//! whims   what an application says and asks  online  who has come and gone, and who fell silent
//! census  all is quiet: everybody is counted, twice
//! ```

mod asking;
mod census;
mod online;
mod said;
mod whims;

pub(super) use asking::Asking;
pub(super) use online::Online;
pub(super) use said::Told;
pub(super) use whims::whim;

use std::collections::{BTreeMap, BTreeSet};

use said::Said;
use shard::Time;

use super::ledger::channel_index;

/// Everything about people that belongs to no single client.
pub(super) struct People {
    /// By number.
    said: BTreeMap<u64, Said>,
    pub(super) online: Online,
    /// Events and presence that clients have heard.
    pub(super) heard: u64,
    pub(super) presences: u64,
    /// Shards that have died, until everybody knows their successors.
    pub(super) away: BTreeSet<usize>,
    /// Members that were compared in a census.
    pub(super) members_counted: u64,
}

impl People {
    pub(super) fn new() -> Self {
        Self {
            said: BTreeMap::new(),
            online: Online::default(),
            heard: 0,
            presences: 0,
            members_counted: 0,
            away: BTreeSet::new(),
        }
    }

    /// What was said there and what should have been heard there may be lost; its users begin anew.
    pub(super) fn shard_died(&mut self, now: Time, shard: usize) {
        self.away.insert(shard);
        for said in self.said.values_mut() {
            said.shard_died(shard);
        }
        self.online.shard_died(now, shard);
    }
}

/// The users there are. The first is nobody; the names of some need care.
pub(super) const USERS: [&str; 5] = ["", "ann", "böb 🚀", "\"eve\"\\", "dan"];

/// Whether a channel shows who is in it. Most do.
pub(super) fn shows_members(channel: &str) -> bool {
    channel_index(channel) % 3 != 1
}
