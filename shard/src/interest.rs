//! Our interest in one channel's publications on the other shards, and who waits for it to be established.
//!
//! The first local subscriber asks every peer; each acknowledges once it has recorded the interest. Lanes are FIFO per
//! pair, so a publication that a peer accepts after its acknowledgement follows it: when all have acknowledged, the
//! subscription is complete and its waiting calls are answered. That is the subscribe barrier. A publication that comes
//! from a peer before its acknowledgement belongs to an interest that was given up meanwhile, and is not delivered:
//! what a subscriber sees of one peer is gapless.

use crate::{ConnectionId, ShardId, ShardSet};

#[derive(Debug, Default)]
pub(crate) struct Interest {
    /// Which interest of this shard this is, from its counter; `None` while there is no local subscriber.
    pub(crate) generation: Option<u64>,
    acknowledged: ShardSet,
    waiting: Vec<Waiting>,
}

/// Who is to be answered when the interest is complete.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A subscribe call.
    Call { connection: ConnectionId, call: Box<str> },
    /// A shard that asks whether we are subscribed by now.
    Peer { shard: ShardId, ticket: u64 },
}

impl Interest {
    pub(crate) fn begin(&mut self, generation: u64) {
        *self = Self { generation: Some(generation), ..Self::default() };
    }

    /// Gives the interest up. The calls that still wait were taken out before, by [`Self::forget`].
    pub(crate) fn end(&mut self) -> Option<u64> {
        std::mem::take(self).generation
    }

    pub(crate) fn is_complete(&self, peers: ShardSet) -> bool {
        self.acknowledged == peers
    }

    pub(crate) const fn hears(&self, peer: ShardId) -> bool {
        self.acknowledged.contains(peer)
    }

    pub(crate) fn wait(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
    }

    pub(crate) fn waits_for_nothing(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A connection leaves the channel, perhaps as the last: returns who still waits on its account. Nothing is owed to
    /// them any more, so that they can be answered at once.
    pub(crate) fn forget(&mut self, leaving: ConnectionId, is_last: bool) -> Vec<Waiting> {
        let is_over = |waiting: &mut Waiting| match waiting {
            Waiting::Call { connection, .. } => *connection == leaving,
            Waiting::Peer { .. } => is_last,
        };
        self.waiting.extract_if(.., is_over).collect()
    }

    /// A peer is gone: it need not acknowledge any more, and asks nothing. Returns the calls to answer, if it was the last
    /// one to wait for; `peers` are those that are left.
    pub(crate) fn forget_peer(&mut self, gone: ShardId, peers: ShardSet) -> Vec<Waiting> {
        self.acknowledged.remove(gone);
        self.waiting.retain(|waiting| !matches!(waiting, Waiting::Peer { shard, .. } if *shard == gone));
        let is_complete = self.generation.is_some() && self.is_complete(peers);
        if is_complete { std::mem::take(&mut self.waiting) } else { Vec::new() }
    }

    /// A peer's acknowledgement; returns the calls to answer when it was the last one.
    pub(crate) fn acknowledge(&mut self, peer: ShardId, generation: u64, peers: ShardSet) -> Vec<Waiting> {
        if self.generation != Some(generation) {
            return Vec::new();
        }
        self.acknowledged.insert(peer);
        if self.is_complete(peers) { std::mem::take(&mut self.waiting) } else { Vec::new() }
    }
}
