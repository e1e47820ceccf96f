//! What the application has said to users, channels and everybody: each is numbered, and each shard that it reaches is
//! the moment at which it is clear who must hear it (who is of the audience beyond doubt), who may, and who must not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shard::{Act, Audience, SlowConsumer};

use super::super::ledger::{channel_index, identity, payload};
use super::super::oracle::{Oracle, application};
use super::super::plan::CHANNELS;
use super::super::record::Record;

/// Something that was addressed to somebody.
pub(in super::super) struct Said {
    origin: usize,
    audience: Audience,
    names: Box<str>,
    /// A moment of the ledger.
    accepted: u64,
    /// Shards that it need not reach: they were dead, or died since.
    excused: BTreeSet<usize>,
    /// It was said on a shard that has died since.
    is_orphan: bool,
    /// Shards that it has reached, by name where it goes name by name.
    reached: BTreeSet<(usize, String)>,
}

/// What has reached a client's shard for it and is not heard yet, in the order in which it must come. What goes to a
/// channel of which only the latest waits has an order of its own: a newer one may have the place of an older one.
#[derive(Debug, Default)]
pub(in super::super) struct Told {
    due: BTreeMap<Option<usize>, VecDeque<Due>>,
    /// Of those that were due, by order of their coming, the last that was heard.
    last: u64,
    next: u64,
    /// It was closed by an address: with this code, unless something else was quicker.
    pub(in super::super) reported: Option<u16>,
}

/// Who is in two channels is told twice: once for each.
#[derive(Clone, Copy, Debug)]
struct Due {
    number: u64,
    order: u64,
    sure: u32,
    most: u32,
    heard: u32,
    /// Of those of which the client must hear it, those of which it may be lost to one that is slow.
    droppable: u32,
}

impl Said {
    pub(super) fn shard_died(&mut self, shard: usize) {
        self.excused.insert(shard);
        self.is_orphan |= self.origin == shard;
    }
}

impl Told {
    fn owe(&mut self, lane: Lane, number: u64, is_sure: bool) {
        let due = self.due.entry(lane.conflated).or_default();
        if due.back().is_none_or(|last| last.number != number) {
            self.next += 1;
            due.push_back(Due { number, order: self.next, sure: 0, most: 0, heard: 0, droppable: 0 });
        }
        let last = due.back_mut().expect("it was put there");
        last.most += 1;
        last.sure += u32::from(is_sure);
        last.droppable += u32::from(is_sure && lane.is_droppable);
    }

    fn hear(&mut self, client: usize, lane: Option<usize>, number: u64, is_slow: bool) {
        let due = self.due.entry(lane).or_default();
        while due.front().is_some_and(|due| due.number != number) {
            let due = due.pop_front().expect("it was just looked at");
            assert!(!due.is_lost(is_slow), "client {client} hears {number}, but {due:?} is lost");
        }
        let Some(due) = due.front_mut() else {
            panic!("client {client} hears {number}, which was not said to it, or was heard before");
        };
        due.heard += 1;
        assert!(due.heard <= due.most, "client {client} hears {number} again");
        assert!(is_slow || due.order >= self.last, "client {client} hears {number} late, which keeps up");
        self.last = due.order;
    }

    /// All is quiet. How many it must have heard as the latest of their channels, if there was room for all of these.
    pub(in super::super) fn finish(&self, client: usize, is_slow: bool, had_room: bool) -> u64 {
        let lost = self.due.values().flatten().find(|due| due.is_lost(is_slow));
        assert!(lost.is_none(), "client {client} has never heard what was said to it: {lost:?}");
        let conflated = self.due.iter().filter(|(lane, _)| is_slow && had_room && lane.is_some());
        let latest = conflated.filter_map(|(_, due)| due.back().filter(|latest| latest.sure > 0));
        let count = |latest: &Due| assert!(latest.heard > 0, "client {client} has not heard the latest: {latest:?}");
        latest.map(count).count() as u64
    }
}

impl Due {
    /// Whether something is missing, of a client that may have lost some if it was slow.
    const fn is_lost(&self, is_slow: bool) -> bool {
        self.heard + if is_slow { self.droppable } else { 0 } < self.sure
    }
}

/// Where something that is said waits for a slow client.
#[derive(Clone, Copy, Debug)]
struct Lane {
    /// The channel, where only the latest waits.
    conflated: Option<usize>,
    is_droppable: bool,
}

impl Oracle {
    /// The application is about to say something: it gets its number, and reaches the shard on which it is said.
    pub(in super::super) fn say(
        &mut self,
        shard: usize,
        audience: Audience,
        names: &str,
        act: &mut Act<Box<str>>,
        padding: usize,
    ) {
        let number = self.next_number();
        match act {
            Act::Event { data, .. } => *data = Some(payload(application(shard), number, padding).into()),
            Act::Disconnect { reason: text, .. } | Act::KickOut { message: text, .. } => {
                *text = number.to_string().into();
            }
        }
        self.note(&[8, number], || format!("shard {shard} says {number} to {audience:?} {names:?}: {act:.60?}"));
        let accepted = self.ledger.moment();
        let (excused, reached) = (self.people.away.clone(), BTreeSet::new());
        let names_owned = names.into();
        let said = Said { origin: shard, audience, names: names_owned, accepted, reached, excused, is_orphan: false };
        self.people.said.insert(number, said);
        if audience == Audience::Channels {
            names
                .split(Audience::SEPARATOR)
                .for_each(|name| self.addressed(shard, shard, audience, name, act.as_ref()));
        } else {
            self.addressed(shard, shard, audience, names, act.as_ref());
        }
    }

    /// Something that was said has reached a shard.
    pub(in super::super) fn addressed(
        &mut self,
        from: usize,
        to: usize,
        audience: Audience,
        names: &str,
        act: Act<&str>,
    ) {
        let Some(number) = number_of(act) else { return };
        let (now, moment) = (self.now, self.ledger.moment());
        let said = self.people.said.get_mut(&number).unwrap_or_else(|| panic!("nobody has said {number}"));
        assert_eq!((said.origin, said.audience), (from, audience), "of {number}");
        assert!(said.names.split(Audience::SEPARATOR).any(|name| names.starts_with(name)), "{number} to {names}");
        assert!(said.reached.insert((to, names.to_owned())), "{number} reaches shard {to} again");
        let accepted = said.accepted;
        let lane = lane(audience, names, self.limits.slow_consumer, &self.policies);
        for record in self.records.iter_mut().filter(|record| record.shard == Some(to)) {
            let standing = match audience {
                Audience::Everyone => Some(record.is_open),
                Audience::Users => record.is_user(names).then(|| record.is_open && record.is_surely_in(now)),
                Audience::Channels => record.standing_in(channel_index(names), accepted),
                Audience::Sessions | Audience::AnyChannel | Audience::Connections => None,
            };
            let Some(is_sure) = standing else { continue };
            match act {
                // Raw connections have no events.
                Act::Event { .. } if record.dialect.is_none() => {}
                Act::Event { .. } => record.told.owe(lane, number, is_sure),
                Act::Disconnect { code, .. } => {
                    record.closes.insert(code);
                    record.is_doomed |= is_sure;
                }
                Act::KickOut { channel, .. } => {
                    if let Some(known) = record.subscriptions.get_mut(&channel_index(channel)) {
                        known.kick(moment, is_sure);
                    }
                }
            }
        }
    }

    /// A client hears what was said.
    pub(in super::super) fn hear_said(&mut self, client: usize, data: Option<&str>) {
        let identity = data.and_then(identity);
        let (origin, number) = identity.unwrap_or_else(|| panic!("client {client}: a mangled payload: {data:?}"));
        let said = self.people.said.get(&number).unwrap_or_else(|| panic!("nobody has said {number}"));
        assert_eq!(origin, application(said.origin), "who has said {number}");
        let record = &mut self.records[client];
        assert!(record.is_open, "client {client} is addressed before it is let in");
        let lane = lane(said.audience, &said.names, self.limits.slow_consumer, &self.policies);
        record.told.hear(client, lane.conflated, number, record.went_short);
        self.people.heard += 1;
    }

    /// A client hears that somebody has come to a channel, or has gone.
    pub(in super::super) fn hear_presence(&mut self, client: usize, data: Option<&str>) {
        let value: serde_json::Value = data.and_then(|data| serde_json::from_str(data).ok()).expect("it is JSON");
        let [channel, event] = ["channel", "event"].map(|key| value[key].as_str().expect("a text"));
        assert!(super::shows_members(channel), "{channel} shows nobody");
        if event == "reset" {
            let subscription = self.records[client].subscriptions.get_mut(&channel_index(channel));
            return subscription.expect("only subscribers hear it").hear_reset(&super::USERS[1..]);
        }
        let user = value["user"].as_str().expect("a text");
        assert!(super::USERS[1..].contains(&user), "a mangled name: {user}");
        assert!(matches!(event, "join" | "leave"), "a mangled event: {event}");
        let record = &mut self.records[client];
        let is_lossy = record.is_lossy(self.limits.slow_consumer);
        let subscription = record.subscriptions.get_mut(&channel_index(channel));
        let subscription = subscription.unwrap_or_else(|| panic!("client {client} never subscribed to {channel}"));
        subscription.hear_presence(user, event == "join", is_lossy);
        self.people.presences += 1;
    }

    /// All is quiet: everything has reached every shard that had to be reached.
    pub(in super::super) fn check_said(&self, shards: usize) {
        for (number, said) in &self.people.said {
            if said.is_orphan {
                continue;
            }
            if said.audience != Audience::Channels {
                let mut due = (0..shards).filter(|shard| !said.excused.contains(shard));
                let everywhere = due.all(|shard| said.reached.contains(&(shard, said.names.to_string())));
                assert!(everywhere, "{number} has reached {:?} only", said.reached);
                continue;
            }
            for name in said.names.split(Audience::SEPARATOR) {
                let channel = channel_index(name);
                for record in self.records.iter().filter(|record| !record.is_over()) {
                    let is_owed = record.subscriptions.get(&channel).is_some_and(|known| known.is_owed(said.accepted));
                    let has_reached = record.shard.is_some_and(|shard| said.reached.contains(&(shard, name.into())));
                    assert!(!is_owed || has_reached, "{number} to {name} has not reached client {}", record.client);
                }
            }
        }
    }
}

impl Record {
    /// Whether its login is of one of these users.
    fn is_user(&self, names: &str) -> bool {
        self.user().is_some_and(|user| names.split(Audience::SEPARATOR).any(|name| name == user))
    }

    /// Whether it may be a subscriber; then, whether it is beyond doubt, since before that moment.
    fn standing_in(&self, channel: usize, accepted: u64) -> Option<bool> {
        let known = self.subscriptions.get(&channel).filter(|known| known.may_receive())?;
        Some(known.is_owed(accepted))
    }
}

/// By which policy an event waits for slow clients. Those to a channel of which only the latest waits go to no other.
fn lane(audience: Audience, names: &str, default: SlowConsumer, policies: &[SlowConsumer]) -> Lane {
    if audience != Audience::Channels {
        return Lane { conflated: None, is_droppable: default != SlowConsumer::Close };
    }
    let channel = channel_index(names.split(Audience::SEPARATOR).next().expect("there is a first"));
    let policy = policies[channel];
    let conflated = (policy == SlowConsumer::Conflate).then_some(channel);
    Lane { conflated, is_droppable: policy != SlowConsumer::Close }
}

/// The number of what was said; none for what shards say by themselves.
fn number_of(act: Act<&str>) -> Option<u64> {
    match act {
        Act::Event { event: "said", data, .. } => {
            Some(data.and_then(identity).unwrap_or_else(|| panic!("a mangled payload: {data:?}")).1)
        }
        Act::Event { event, .. } => {
            assert_eq!(event, "presence", "nobody says that");
            None
        }
        Act::Disconnect { reason: number, .. } | Act::KickOut { message: number, .. } => {
            Some(number.parse().unwrap_or_else(|_| panic!("a mangled number: {number}")))
        }
    }
}

/// The names of channels, for an address.
pub(super) fn channel_names(channels: &[usize]) -> Box<str> {
    let names: Vec<_> = channels.iter().map(|channel| CHANNELS[*channel]).collect();
    names.join("\n").into()
}
