//! Which shards live. A shard that has died is struck off and everybody is told; its successor is entered, and gets a new
//! link to everybody who lives. It never looks into a shard: it hands out ends of lanes, and rings.
//!
//! All of it happens under one lock, so that every shard hears of the others' ends and beginnings in one order; shards take
//! it when they are told that there is something, which is when one of them has died.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shard::{ShardId, ShardSet};

use super::link::{Link, Peer};
use crate::net::Doorbell;

/// Which shards live, and what each of them has to hear about the others.
#[derive(Debug)]
pub(crate) struct Roll {
    entries: Mutex<Entries>,
    /// By shard: there is something to hear.
    is_told: Vec<AtomicBool>,
    doorbells: Arc<[Arc<Doorbell>]>,
    lane_capacity: usize,
}

#[derive(Debug)]
struct Entries {
    living: ShardSet,
    /// By shard.
    notices: Vec<Vec<Notice>>,
}

/// What a shard is told of another.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It has died. What it has sent is still in its lane.
    Lost(ShardId),
    /// It has come in the place of one that has died: the lanes to and from it.
    Joined(ShardId, Peer),
}

impl Roll {
    pub(super) fn new(doorbells: Arc<[Arc<Doorbell>]>, lane_capacity: usize) -> Arc<Self> {
        let count = doorbells.len();
        let mut living = ShardSet::others(count, ShardId(0));
        living.insert(ShardId(0));
        let entries = Entries { living, notices: (0..count).map(|_| Vec::new()).collect() };
        let is_told = (0..count).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self { entries: Mutex::new(entries), is_told, doorbells, lane_capacity })
    }

    /// A shard's doorbell, which its successor inherits.
    pub(crate) fn doorbell(&self, shard: ShardId) -> &Arc<Doorbell> {
        &self.doorbells[shard.index()]
    }

    /// A shard has died; its thread has come to its end.
    pub(crate) fn strike_off(&self, shard: ShardId) {
        let mut entries = self.entries();
        entries.living.remove(shard);
        entries.notices[shard.index()].clear();
        for other in entries.living.iter() {
            self.tell(&mut entries, other, Notice::Lost(shard));
        }
    }

    /// A shard is about to begin in the place of one that was struck off: its link to everybody who lives.
    pub(crate) fn enter(self: &Arc<Self>, shard: ShardId) -> Link {
        let mut entries = self.entries();
        let mut link = Link::new(shard, Arc::clone(self), Arc::clone(&self.doorbells));
        for other in entries.living.iter() {
            let (ours, theirs) = Peer::pair(self.lane_capacity);
            link.join(other, ours);
            self.tell(&mut entries, other, Notice::Joined(shard, theirs));
        }
        entries.living.insert(shard);
        link
    }

    /// What a shard has not heard yet, in order.
    pub(super) fn notices(&self, shard: ShardId) -> Vec<Notice> {
        if !self.is_told[shard.index()].swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.entries().notices[shard.index()])
    }

    fn tell(&self, entries: &mut Entries, shard: ShardId, notice: Notice) {
        entries.notices[shard.index()].push(notice);
        self.is_told[shard.index()].store(true, Ordering::Release);
        self.doorbells[shard.index()].ring();
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing in there can be left half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
