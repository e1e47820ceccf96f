//! Who is where, as a home knows it: for those who are online and for each channel, its members by name, each with the
//! shards that have connections of it. A member is there while any shard says so.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use foldhash::fast::FixedState;

use crate::{ShardId, ShardSet};

/// Members in order, so that pages follow each other whatever happens between them.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    members: BTreeMap<Box<str>, ShardSet>,
}

impl Roster {
    /// Notes what a shard says; whether the member has come or gone by it.
    pub(crate) fn set(&mut self, from: ShardId, user: &str, is_here: bool) -> bool {
        match self.members.get_mut(user) {
            Some(shards) if is_here => {
                shards.insert(from);
                false
            }
            Some(shards) => {
                shards.remove(from);
                let is_gone = shards.is_empty();
                if is_gone {
                    self.members.remove(user);
                }
                is_gone
            }
            None if is_here => {
                let mut shards = ShardSet::EMPTY;
                shards.insert(from);
                self.members.insert(user.into(), shards);
                true
            }
            None => false,
        }
    }

    pub(crate) fn contains(&self, user: &str) -> bool {
        self.members.contains_key(user)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The first so many members after a name, and whether there are more.
    pub(crate) fn page(&self, after: Option<&str>, count: usize) -> (Vec<Box<str>>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.members.range::<str, _>((from, Bound::Unbounded)).map(|(name, _)| name.clone());
        let page = rest.by_ref().take(count).collect();
        (page, rest.next().is_some())
    }

    /// Members that a shard has said are there.
    pub(crate) fn of(&self, shard: ShardId) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(_, shards)| shards.contains(shard)).map(|(name, _)| name)
    }

    /// Every member with its shards.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, ShardSet)> {
        self.members.iter().map(|(name, shards)| (&**name, *shards))
    }
}

/// The rosters of one home.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    /// Those who are online.
    pub(crate) online: Roster,
    /// By channel; only those that somebody is in.
    channels: HashMap<Box<str>, Roster, FixedState>,
}

impl Rosters {
    pub(crate) fn channel(&self, channel: &str) -> Option<&Roster> {
        self.channels.get(channel)
    }

    /// As [`Roster::set`], of a channel's.
    pub(crate) fn set(&mut self, channel: &str, from: ShardId, user: &str, is_here: bool) -> bool {
        let Some(roster) = self.channels.get_mut(channel) else {
            return is_here && self.channels.entry(channel.into()).or_default().set(from, user, true);
        };
        let has_changed = roster.set(from, user, is_here);
        if roster.is_empty() {
            self.channels.remove(channel);
            if self.channels.len() < self.channels.capacity() / 8 {
                self.channels.shrink_to(self.channels.len() * 2);
            }
        }
        has_changed
    }

    /// Every channel's.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Roster)> {
        self.channels.iter().map(|(channel, roster)| (&**channel, roster))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_there_while_any_shard_says_so() {
        let mut roster = Roster::default();
        assert!(roster.set(ShardId(0), "alice", true));
        assert!(!roster.set(ShardId(1), "alice", true));
        assert!(!roster.set(ShardId(0), "alice", false));
        assert!(!roster.set(ShardId(0), "alice", false), "said twice");
        assert!(roster.contains("alice"));
        assert!(roster.set(ShardId(1), "alice", false));
        assert!(!roster.set(ShardId(1), "bob", false), "was never there");
        assert!(roster.is_empty());
    }

    #[test]
    fn pages_follow_each_other_by_name() {
        let mut roster = Roster::default();
        for name in ["d", "a", "c", "b", "e"] {
            roster.set(ShardId(0), name, true);
        }
        assert_eq!(roster.page(None, 2), (vec!["a".into(), "b".into()], true));
        roster.set(ShardId(0), "b", false);
        assert_eq!(roster.page(Some("b"), 2), (vec!["c".into(), "d".into()], true), "b need not be there any more");
        assert_eq!(roster.page(Some("d"), 2), (vec!["e".into()], false));
        assert_eq!(roster.page(Some("e"), 2), (vec![], false));
        assert_eq!(roster.page(None, 0), (vec![], true));
    }

    #[test]
    fn an_empty_channel_is_forgotten() {
        let mut rosters = Rosters::default();
        assert!(rosters.set("room", ShardId(3), "alice", true));
        assert!(!rosters.set("room", ShardId(4), "alice", true));
        assert!(!rosters.set("room", ShardId(3), "alice", false));
        assert!(rosters.set("room", ShardId(4), "alice", false));
        assert!(rosters.channel("room").is_none() && !rosters.set("room", ShardId(4), "alice", false));
    }
}
