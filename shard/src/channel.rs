//! The channel table: name to local subscribers, the peers that want it, and our own interest in the peers'
//! publications. One lookup per publication.

use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;

use foldhash::fast::FixedState;
use slab::Slab;

use crate::filter::Filter;
use crate::form::Form;
use crate::interest::Interest;
use crate::policies::{Policies, Terms};
use crate::{ShardSet, SlowConsumer};

/// One member of a channel: the connection's slot, where its list of subscriptions mentions this channel, and in which
/// form it is told of publications. Eight bytes: fan-out walks all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscriber {
    pub(crate) slot: u32,
    /// The index in the lower 22 bits, the form above.
    place: u32,
}

impl Subscriber {
    pub(crate) fn new(slot: u32, index: usize, form: Form) -> Self {
        let mut new = Self { slot, place: u32::from(form.bits()) << INDEX_BITS };
        new.set_index(index);
        new
    }

    /// Where the connection's list mentions the channel.
    pub(crate) const fn index(self) -> usize {
        (self.place & INDEX_MASK) as usize
    }

    pub(crate) fn set_index(&mut self, index: usize) {
        let index = u32::try_from(index).ok().filter(|index| *index <= INDEX_MASK);
        self.place = self.place & !INDEX_MASK | index.expect("a connection's subscriptions are bounded far below 2^22");
    }

    /// How it is told of publications.
    #[inline]
    pub(crate) const fn form(self) -> Form {
        Form::from_bits((self.place >> INDEX_BITS) as u16)
    }
}

/// Bits of an index: four times as many subscriptions as the largest limit allows.
const INDEX_BITS: u32 = 22;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;

/// One entry of a connection's list: the channel's slot, and where the channel mentions the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) channel: u32,
    pub(crate) index: u32,
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) name: Rc<str>,
    /// Dense, unordered: fan-out walks it from end to end.
    pub(crate) subscribers: Vec<Subscriber>,
    /// Peers that asked for this channel's publications.
    pub(crate) wanted_by: ShardSet,
    pub(crate) interest: Interest,
    /// Where it is shown who is in it: users with connections among the subscribers, and how many each.
    #[allow(clippy::box_collection, reason = "a million channels without: a pointer each, not four words")]
    pub(crate) members: Option<Box<HashMap<u32, u32, FixedState>>>,
    /// The application is asked about every delivery.
    pub(crate) is_filtered: bool,
    /// What happens to its publications at a slow consumer.
    pub(crate) policy: SlowConsumer,
}

impl Channel {
    /// On which terms its publications wait for a slow consumer. What its subscribers of today have heard is not replaced
    /// by what a later crowd hears.
    pub(crate) fn terms(&self) -> Terms {
        Terms { policy: self.policy, key: self.interest.generation.unwrap_or_default() }
    }

    fn is_unused(&self) -> bool {
        self.subscribers.is_empty() && self.wanted_by.is_empty()
    }
}

#[derive(Debug)]
pub(crate) struct Channels {
    slots: Slab<Channel>,
    names: HashMap<Rc<str>, u32, FixedState>,
    /// Channels with at least one local subscriber.
    subscribed: usize,
    filter: Option<Filter>,
    pub(crate) policies: Policies,
}

impl Channels {
    /// The seed keys the hash, so that no client can choose names that collide.
    pub(crate) fn new(seed: u64, policy: SlowConsumer) -> Self {
        Self {
            slots: Slab::new(),
            names: HashMap::with_hasher(FixedState::with_seed(seed)),
            subscribed: 0,
            filter: None,
            policies: Policies::new(policy),
        }
    }

    /// Tells which channels that come from now on are filtered.
    pub(crate) fn set_filter(&mut self, filter: Filter) {
        self.filter = Some(filter);
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(crate) fn find_or_insert(&mut self, name: &str) -> u32 {
        if let Some(slot) = self.find(name) {
            return slot;
        }
        let is_filtered = self.filter.as_ref().is_some_and(|filter| (filter.0)(name));
        let policy = self.policies.of(name);
        let name: Rc<str> = name.into();
        let channel = Channel {
            name: name.clone(),
            subscribers: Vec::new(),
            wanted_by: ShardSet::EMPTY,
            interest: Interest::default(),
            members: None,
            is_filtered,
            policy,
        };
        let slot = u32::try_from(self.slots.insert(channel)).expect("channels are bounded far below 2^32");
        self.names.insert(name, slot);
        slot
    }

    pub(crate) fn channel(&self, slot: u32) -> &Channel {
        &self.slots[slot as usize]
    }

    pub(crate) fn channel_mut(&mut self, slot: u32) -> &mut Channel {
        &mut self.slots[slot as usize]
    }

    /// Channels with local subscribers.
    pub(crate) const fn subscribed(&self) -> usize {
        self.subscribed
    }

    /// Adds a member; returns its index, and whether it is the first.
    pub(crate) fn join(&mut self, slot: u32, subscriber: Subscriber) -> (u32, bool) {
        let subscribers = &mut self.slots[slot as usize].subscribers;
        let index = u32::try_from(subscribers.len()).expect("connections are bounded far below 2^32");
        subscribers.push(subscriber);
        self.subscribed += usize::from(index == 0);
        (index, index == 0)
    }

    /// Removes a member; returns the one that moved into its place, and whether none is left.
    pub(crate) fn leave(&mut self, slot: u32, index: u32) -> (Option<Subscriber>, bool) {
        let subscribers = &mut self.slots[slot as usize].subscribers;
        subscribers.swap_remove(index as usize);
        let moved = subscribers.get(index as usize).copied();
        let is_empty = subscribers.is_empty();
        if subscribers.len() < subscribers.capacity() / 4 {
            subscribers.shrink_to(subscribers.len() * 2);
        }
        self.subscribed -= usize::from(is_empty);
        (moved, is_empty)
    }

    /// Forgets a channel that nobody here and no peer wants. The table gives its memory back after a crowd has left.
    pub(crate) fn remove_if_unused(&mut self, slot: u32) {
        if self.slots[slot as usize].is_unused() {
            let channel = self.slots.remove(slot as usize);
            self.names.remove(&channel.name);
            if self.names.len() < self.names.capacity() / 8 {
                self.names.shrink_to(self.names.len() * 2);
                self.slots.shrink_to_fit();
            }
        }
    }

    /// Channels with local subscribers in the order of their names, so many at most, and whether others follow. It looks at
    /// all of them, and keeps no more than are wanted.
    pub(crate) fn page(&self, after: Option<&str>, count: usize) -> (Vec<(Box<str>, u64)>, bool) {
        let mut first = BinaryHeap::with_capacity(count + 2);
        for (slot, channel) in &self.slots {
            if channel.subscribers.is_empty() || after.is_some_and(|after| *channel.name <= *after) {
                continue;
            }
            first.push((&*channel.name, slot));
            if first.len() > count + 1 {
                first.pop();
            }
        }
        let has_more = first.len() > count;
        let mut names = first.into_sorted_vec();
        names.truncate(count);
        let counted = |(name, slot): (&str, usize)| (name.into(), self.slots[slot].subscribers.len() as u64);
        (names.into_iter().map(counted).collect(), has_more)
    }

    /// Every channel, for checks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Channel)> {
        self.slots.iter().map(|(slot, channel)| (slot as u32, channel))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use super::*;

    /// Names that collide on one shard do not on another, nor after the next start.
    #[test]
    fn a_seed_moves_names() {
        let hash = |seed| Channels::new(seed, SlowConsumer::Close).names.hasher().hash_one("room");
        assert_ne!(hash(1), hash(2));
        assert_eq!(hash(1), hash(1));
    }
}
