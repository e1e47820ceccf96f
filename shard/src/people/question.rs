//! What can be asked about people, and how an answer is put together: from one home, or from all shards.

use crate::shard::Shard;
use crate::{Envelope, ShardId, ShardSet};

use super::message::PeopleMessage;
use super::roster::Roster;

/// Something that the application wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A page of members, ordered by name.
    Members {
        /// Of which channel; none: of those who are online.
        channel: Option<Box<str>>,
        /// The last of the page before.
        after: Option<Box<str>>,
        /// How many at most; no more than [`PeopleLimits::page_max`](super::PeopleLimits::page_max).
        count: usize,
    },
    /// Whether a user is a member.
    IsMember {
        /// Of which channel; none: of those who are online.
        channel: Option<Box<str>>,
        /// Who.
        user: Box<str>,
    },
    /// How many members a channel has.
    Count {
        /// Which.
        channel: Box<str>,
    },
    /// A page of the channels that have subscribers, ordered by name. Every shard looks at all of its channels: some ten
    /// milliseconds for a million.
    Channels {
        /// The last of the page before.
        after: Option<Box<str>>,
        /// How many at most; no more than [`PeopleLimits::page_max`](super::PeopleLimits::page_max).
        count: usize,
    },
    /// How many connections are subscribed to a channel.
    Subscribers {
        /// Which.
        channel: Box<str>,
    },
    /// Nothing but: have all shards that are subscribed to this channel everything that is published to it from now on?
    Settled {
        /// Which.
        channel: Box<str>,
    },
}

/// What is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A page.
    Members {
        /// In order.
        users: Vec<Box<str>>,
        /// Others follow.
        has_more: bool,
    },
    /// A page.
    Channels {
        /// In order, with their subscribers.
        channels: Vec<(Box<str>, u64)>,
        /// Others follow.
        has_more: bool,
    },
    /// Yes or no.
    IsMember(bool),
    /// So many.
    Count(u64),
    /// Yes.
    Settled,
}

impl Question {
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        match self {
            Self::Members { channel, after, .. } => text(channel) + text(after),
            Self::IsMember { channel, user } => text(channel) + user.len(),
            Self::Channels { after, .. } => text(after),
            Self::Count { channel } | Self::Subscribers { channel } | Self::Settled { channel } => channel.len(),
        }
    }
}

impl Answer {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Members { users, .. } => users.iter().map(|user| size_of::<Box<str>>() + user.len()).sum(),
            Self::Channels { channels, .. } => {
                channels.iter().map(|(name, _)| size_of::<(Box<str>, u64)>() + name.len()).sum()
            }
            Self::IsMember(_) | Self::Count(_) | Self::Settled => 0,
        }
    }
}

/// An answer that is being put together.
#[derive(Debug)]
pub(crate) struct Gathering {
    waits_for: ShardSet,
    /// To be asked again where a shard has died before it has answered.
    question: Question,
    answer: Answer,
    count: usize,
}

impl Gathering {
    /// Adds one shard's answer.
    fn add(&mut self, from: ShardId, told: Answer) {
        self.waits_for.remove(from);
        match (&mut self.answer, told) {
            (Answer::Members { users, has_more }, Answer::Members { users: further, has_more: further_more }) => {
                users.extend(further);
                users.sort_unstable();
                *has_more |= further_more || users.len() > self.count;
                users.truncate(self.count);
            }
            (
                Answer::Channels { channels, has_more },
                Answer::Channels { channels: further, has_more: further_more },
            ) => {
                // Whoever has left a channel out has told as many before it: those of a page are counted whole.
                channels.extend(further);
                channels.sort_unstable_by(|one, other| one.0.cmp(&other.0));
                channels.dedup_by(|later, first| {
                    let is_same = later.0 == first.0;
                    first.1 += if is_same { later.1 } else { 0 };
                    is_same
                });
                *has_more |= further_more || channels.len() > self.count;
                channels.truncate(self.count);
            }
            (Answer::Count(sum), Answer::Count(further)) => *sum += further,
            (answer, told) => *answer = told,
        }
    }
}

impl Shard {
    /// The application asks; [`Host::answered`](crate::Host::answered) brings the answer.
    pub(crate) fn ask(&mut self, ticket: u64, question: Question) {
        let page_max = self.limits.people.page_max;
        let question = match question {
            Question::Members { channel, after, count } => {
                Question::Members { channel, after, count: count.min(page_max) }
            }
            Question::Channels { after, count } => Question::Channels { after, count: count.min(page_max) },
            other => other,
        };
        let home = match &question {
            Question::Members { channel: Some(channel), .. }
            | Question::IsMember { channel: Some(channel), .. }
            | Question::Count { channel } => Some(self.home_of(channel)),
            Question::IsMember { channel: None, user } => Some(self.home_of(user)),
            Question::Members { channel: None, .. }
            | Question::Channels { .. }
            | Question::Subscribers { .. }
            | Question::Settled { .. } => None,
        };
        let count = match question {
            Question::Members { count, .. } | Question::Channels { count, .. } => count,
            _ => 0,
        };
        let answer = match question {
            Question::Members { .. } => Answer::Members { users: Vec::new(), has_more: false },
            Question::Channels { .. } => Answer::Channels { channels: Vec::new(), has_more: false },
            Question::Subscribers { .. } => Answer::Count(0),
            _ => Answer::Settled,
        };
        let others = ShardSet::others(self.lanes.len(), self.id);
        let mut waits_for = if home.is_some() { ShardSet::EMPTY } else { others };
        waits_for.insert(home.unwrap_or(self.id));
        self.people.gatherings.insert(ticket, Gathering { waits_for, question: question.clone(), answer, count });
        for shard in waits_for.iter() {
            self.ask_shard(shard, ticket, &question);
        }
    }

    /// Asks a shard, perhaps this one. One that has died has a successor, which is asked as soon as it can know.
    fn ask_shard(&mut self, shard: ShardId, ticket: u64, question: &Question) {
        if shard == self.id {
            if !self.is_joining() {
                self.asked(shard, ticket, question);
            }
        } else {
            let message = PeopleMessage::Ask { ticket, question: question.clone() };
            self.ask_peer(shard, Envelope::People(&message));
        }
    }

    /// A shard answers from here on, perhaps this one: everything that waits for it is asked.
    pub(crate) fn ask_people(&mut self, shard: ShardId) {
        let waiting = self.people.gatherings.iter().filter(|(_, gathering)| gathering.waits_for.contains(shard));
        let mut waiting: Vec<_> = waiting.map(|(ticket, gathering)| (*ticket, gathering.question.clone())).collect();
        waiting.sort_unstable_by_key(|(ticket, _)| *ticket);
        for (ticket, question) in waiting {
            self.ask_shard(shard, ticket, &question);
        }
    }

    /// A shard, perhaps this one, asks.
    pub(super) fn asked(&mut self, from: ShardId, ticket: u64, question: &Question) {
        let roster = |channel: &Option<Box<str>>| match channel {
            Some(channel) => self.people.rosters.channel(channel),
            None => Some(&self.people.rosters.online),
        };
        let answer = match question {
            Question::Members { channel, after, count } => {
                let page = roster(channel).map(|roster| roster.page(after.as_deref(), *count));
                let (users, has_more) = page.unwrap_or_default();
                Answer::Members { users, has_more }
            }
            Question::IsMember { channel, user } => {
                Answer::IsMember(roster(channel).is_some_and(|roster| roster.contains(user)))
            }
            Question::Count { channel } => {
                Answer::Count(self.people.rosters.channel(channel).map_or(0, Roster::len) as u64)
            }
            Question::Channels { after, count } => {
                let (channels, has_more) = self.channels.page(after.as_deref(), *count);
                Answer::Channels { channels, has_more }
            }
            Question::Subscribers { channel } => {
                let slot = self.channels.find(channel);
                let subscribers = slot.map_or(0, |slot| self.channels.channel(slot).subscribers.len());
                Answer::Count(subscribers as u64)
            }
            Question::Settled { channel } => {
                if self.waits_for_interest(channel, from, ticket) {
                    return;
                }
                Answer::Settled
            }
        };
        self.tell(from, ticket, answer);
    }

    /// Answers a shard, perhaps this one.
    pub(crate) fn tell(&mut self, to: ShardId, ticket: u64, answer: Answer) {
        if to == self.id {
            self.told(to, ticket, answer);
        } else {
            self.send_to_peer(to, Envelope::People(&PeopleMessage::Told { ticket, answer }));
        }
    }

    /// A shard, perhaps this one, has answered.
    pub(super) fn told(&mut self, from: ShardId, ticket: u64, answer: Answer) {
        let Some(gathering) = self.people.gatherings.get_mut(&ticket) else { return };
        gathering.add(from, answer);
        if gathering.waits_for.is_empty()
            && let Some(gathering) = self.people.gatherings.remove(&ticket)
        {
            self.people.answers.push_back((ticket, gathering.answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_several_shards_are_counted_whole() {
        let mut waits_for = ShardSet::EMPTY;
        (0..2).for_each(|shard| waits_for.insert(ShardId(shard)));
        let answer = Answer::Channels { channels: Vec::new(), has_more: false };
        let question = Question::Channels { after: None, count: 2 };
        let mut gathering = Gathering { waits_for, question, answer, count: 2 };
        let page = |names: &[(&str, u64)], has_more| Answer::Channels {
            channels: names.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
            has_more,
        };
        gathering.add(ShardId(1), page(&[("a", 1), ("c", 5)], false));
        gathering.add(ShardId(0), page(&[("a", 2), ("b", 3)], true));
        assert_eq!(gathering.answer, page(&[("a", 3), ("b", 3)], true), "c was cut off");
    }

    #[test]
    fn pages_of_several_shards_are_one_page() {
        let mut waits_for = ShardSet::EMPTY;
        (0..3).for_each(|shard| waits_for.insert(ShardId(shard)));
        let answer = Answer::Members { users: Vec::new(), has_more: false };
        let question = Question::Members { channel: None, after: None, count: 3 };
        let mut gathering = Gathering { waits_for, question, answer, count: 3 };
        let page = |names: &[&str], has_more| Answer::Members {
            users: names.iter().map(|name| (*name).into()).collect(),
            has_more,
        };
        gathering.add(ShardId(1), page(&["b", "d"], false));
        gathering.add(ShardId(0), page(&[], false));
        assert_eq!(gathering.answer, page(&["b", "d"], false));
        gathering.add(ShardId(2), page(&["a", "c"], false));
        assert!(gathering.waits_for.is_empty());
        assert_eq!(gathering.answer, page(&["a", "b", "c"], true), "d was cut off");
    }
}
