//! The invariants of people, spelt out: on one shard, and of a home against those who tell it.

use super::users::NO_USER;
use crate::shard::Shard;
use crate::{ShardId, ShardSet};

impl Shard {
    /// Panics if users, connections and members contradict each other.
    pub(crate) fn check_people(&self) {
        for (slot, user) in self.users.iter() {
            assert!(!user.connections.is_empty(), "user {} is left behind", user.name);
            assert_eq!(self.users.find(&user.name), Some(slot), "user {} is not found under its name", user.name);
            let admitted = user.connections.iter().filter(|connection| self.connections[**connection].admitted).count();
            assert_eq!(admitted, user.admitted as usize, "connections of {} that are let in", user.name);
            assert!(!user.is_announced || admitted > 0, "{} is online without a connection", user.name);
            let held: usize = user.connections.iter().map(|own| self.connections[*own].subscriptions.len()).sum();
            assert_eq!(held, user.subscriptions as usize, "subscriptions of {}", user.name);
            for connection in &user.connections {
                assert_eq!(self.connections[*connection].user, slot, "a connection of {} is another's", user.name);
            }
        }
        for (slot, connection) in self.connections.iter() {
            if connection.user != NO_USER {
                let user = self.users.get(connection.user).expect("a connection's user is known");
                assert!(user.connections.contains(&slot), "{} does not know its connection", user.name);
            }
        }
        if let Some(quotas) = &self.quotas {
            let held: usize = self.connections.iter().map(|(_, connection)| connection.subscriptions.len()).sum();
            assert_eq!(quotas.total(), held, "subscriptions by address");
        }
        for (slot, channel) in self.channels.iter() {
            let Some(members) = &channel.members else { continue };
            for (user, subscriptions) in members.iter() {
                let subscribers = channel.subscribers.iter();
                let own = subscribers.filter(|subscriber| self.connections[subscriber.slot].user == *user).count();
                assert!(own > 0, "a member of {} that is not subscribed", channel.name);
                assert_eq!(own, *subscriptions as usize, "subscriptions of a member of channel {slot}");
            }
        }
    }

    /// Panics if what the homes of these shards know is not what is so on each of them. For when nothing is under way
    /// between them.
    pub fn check_rosters(shards: &[&Self]) {
        let holds = |from: &Self, set: ShardSet| set.contains(from.id);
        for shard in shards {
            for (_, user) in shard.users.iter().filter(|(_, user)| user.is_announced) {
                let home = shards[shard.home_of(&user.name).index()];
                let known = home.people.rosters.online.iter().find(|(name, _)| *name == &*user.name);
                assert!(known.is_some_and(|(_, set)| holds(shard, set)), "{} is online, unknown at home", user.name);
            }
            for (name, set) in shard.people.rosters.online.iter() {
                let is_announced = |at: ShardId| {
                    let users = &shards[at.index()].users;
                    users.find(name).and_then(|slot| users.get(slot)).is_some_and(|user| user.is_announced)
                };
                assert!(set.iter().all(is_announced), "{name} is a ghost");
            }
            for (_, channel) in shard.channels.iter() {
                for user in channel.members.iter().flat_map(|members| members.keys()) {
                    let user = shard.users.name(*user).expect("a member is a user");
                    let roster = shards[shard.home_of(&channel.name).index()].people.rosters.channel(&channel.name);
                    let known = roster.and_then(|roster| roster.iter().find(|(name, _)| *name == user));
                    let is_known = known.is_some_and(|(_, set)| holds(shard, set));
                    assert!(is_known, "{user} is in {}, unknown at home", channel.name);
                }
            }
            for (channel, roster) in shard.people.rosters.iter() {
                for (name, set) in roster.iter() {
                    let is_member = |at: ShardId| {
                        let at = shards[at.index()];
                        let members =
                            at.channels.find(channel).and_then(|slot| at.channels.channel(slot).members.as_ref());
                        let user = at.users.find(name);
                        members.zip(user).is_some_and(|(members, user)| members.contains_key(&user))
                    };
                    assert!(set.iter().all(is_member), "{name} is a ghost in {channel}");
                }
            }
        }
    }
}
