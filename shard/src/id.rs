//! Ids: which shard, which connection, which pending call; and a set of shards as one machine word.

/// Index of a shard, below [`ShardId::COUNT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u8);

impl ShardId {
    /// At most 128 shards in one process: the widest [`ShardSet`] that is one machine value, and more CPUs than one
    /// socket of today has.
    pub const COUNT_MAX: usize = 128;

    /// As an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A connection of one shard: its slot, and the generation that tells it from earlier users of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Index into the shard's connection table, reused after a close.
    pub slot: u32,
    /// Counts the slot's users modulo 2^24, so that slot, generation and an operation fit 64 bits of a completion.
    pub generation: u32,
}

impl ConnectionId {
    /// Generations wrap here.
    pub const GENERATION_MASK: u32 = 0x00ff_ffff;
}

/// One call of the shard into the application that may be answered later. Never reused within a shard's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(u128);

impl ShardSet {
    /// No shard.
    pub const EMPTY: Self = Self(0);

    /// Shards 0 to `count` without `except`.
    #[must_use]
    pub fn others(count: usize, except: ShardId) -> Self {
        let all = if count >= ShardId::COUNT_MAX { u128::MAX } else { (1 << count) - 1 };
        Self(all & !(1 << except.0))
    }

    /// Adds a shard.
    pub const fn insert(&mut self, shard: ShardId) {
        self.0 |= 1 << shard.0;
    }

    /// Removes a shard.
    pub const fn remove(&mut self, shard: ShardId) {
        self.0 &= !(1 << shard.0);
    }

    /// Whether the shard is in the set.
    #[must_use]
    pub const fn contains(self, shard: ShardId) -> bool {
        self.0 & (1 << shard.0) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The shards, in order.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let shard = u8::try_from(rest.trailing_zeros()).ok().filter(|_| rest != 0)?;
            rest &= rest - 1;
            Some(ShardId(shard))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_set_lists_the_others_in_order() {
        let others = ShardSet::others(4, ShardId(2));
        assert_eq!(others.iter().map(|shard| shard.0).collect::<Vec<_>>(), [0, 1, 3]);
        assert!(ShardSet::others(1, ShardId(0)).is_empty());
        assert_eq!(ShardSet::others(128, ShardId(127)).iter().count(), 127);
    }
}
