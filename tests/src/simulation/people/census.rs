//! All is quiet: every client says once more who it is and where, so that nothing about it is in doubt, and everybody is
//! counted: by every home, every shard, every answer and every subscriber who was told of those who came and went.

use std::collections::BTreeSet;
use std::time::Duration;

use shard::{Answer, Question, Shard};

use super::super::death::Mortal;
use super::super::oracle::Oracle;
use super::super::plan::CHANNELS;
use super::super::record::Record;
use super::super::world::World;
use super::{USERS, shows_members};

/// Enough for every word and every tick: networks and lanes take 60 ms at most here.
const QUIET: Duration = Duration::from_millis(700);

/// A question, and its pages one after the other.
const ANSWERS: Duration = Duration::from_millis(1_000);

impl World {
    /// Counts everybody twice; in between some come and go, log in and out, or are cut off.
    pub(in super::super) fn census(&mut self) {
        for is_first in [true, false] {
            for client in 0..self.actors.len() {
                if self.oracle.borrow().records[client].is_over() {
                    continue;
                }
                self.actors[client].report(&mut self.oracle.borrow_mut(), &self.plan, &mut self.random, is_first);
                self.after_actor(client);
            }
            self.run_until(self.now + QUIET);
            self.count();
            self.ask_everything();
        }
        self.oracle.borrow_mut().check_naps();
    }

    /// What the homes have, what shards tell and what subscribers have heard is what is so.
    fn count(&mut self) {
        let shards: Vec<_> = self.stations.iter().map(|station| &station.shard).collect();
        Shard::check_rosters(&shards);
        let mut oracle = self.oracle.borrow_mut();
        let online = oracle.members(None);
        let known: BTreeSet<_> = oracle.people.online.names().map(str::to_owned).collect();
        assert_eq!(known, online, "who is online, by what the homes have told");
        for (index, shard) in shards.iter().enumerate() {
            let total = oracle.people.online.totals.get(&index).copied().unwrap_or(0);
            assert_eq!(total, online.len() as u64, "how many are online, as shard {index} was told");
            assert_eq!(shard.online(), total, "how many are online, by shard {index}");
        }
        for (channel, name) in CHANNELS.iter().enumerate().take(self.plan.channels) {
            let members = oracle.members(Some(channel));
            if shows_members(name) {
                oracle.compare_presence(channel, &members);
            }
        }
    }

    /// Every shard's application asks everything.
    fn ask_everything(&mut self) {
        for index in 0..self.plan.shards {
            let mut questions: Vec<Question> = Vec::new();
            let channels = (0..self.plan.channels).map(|channel| Some(Box::from(CHANNELS[channel])));
            for channel in channels.chain([None]) {
                let user = (*self.random.choice(&USERS[1..]).expect("four")).into();
                let count = self.random.usize(1..=4);
                questions.push(Question::Members { channel: channel.clone(), after: None, count });
                questions.push(Question::IsMember { channel: channel.clone(), user });
                if let Some(channel) = channel {
                    questions.push(Question::Count { channel: channel.clone() });
                    questions.push(Question::Settled { channel });
                }
            }
            self.random.shuffle(&mut questions);
            self.stations[index].application.ask_all(questions);
            self.wake(index);
        }
        self.run_until(self.now + ANSWERS);
        for station in &mut self.stations {
            let found = station.application.found();
            let oracle = self.oracle.borrow();
            for (question, answer) in found {
                let right = oracle.right_answer(&question);
                assert_eq!(answer, right, "the answer to {question:?}");
            }
        }
        self.oracle.borrow_mut().people.members_counted += self.stations.len() as u64;
    }
}

impl Oracle {
    /// Who is online, or in a channel.
    fn members(&self, channel: Option<usize>) -> BTreeSet<String> {
        let mut members = BTreeSet::new();
        for record in self.records.iter().filter(|record| record.is_open && !record.is_over()) {
            let Some(user) = record.user() else { continue };
            assert!(record.is_surely_in(self.now), "client {} is in doubt: {:?}", record.client, record.login);
            let is_there = channel.is_none_or(|channel| record.is_subscribed(channel));
            if is_there {
                members.insert(user.to_owned());
            }
        }
        members
    }

    fn right_answer(&self, question: &Question) -> Answer {
        let shown = |channel: &Option<Box<str>>| match channel {
            Some(name) if !shows_members(name) => BTreeSet::new(),
            Some(name) => self.members(Some(super::channel_index(name))),
            None => self.members(None),
        };
        match question {
            Question::Members { channel, .. } => {
                let users = shown(channel).into_iter().map(Box::from).collect();
                Answer::Members { users, has_more: false }
            }
            Question::IsMember { channel, user } => Answer::IsMember(shown(channel).contains(&**user)),
            Question::Count { channel } => Answer::Count(shown(&Some(channel.clone())).len() as u64),
            Question::Settled { .. } => Answer::Settled,
            Question::Channels { .. } | Question::Subscribers { .. } => {
                unreachable!("the census does not ask for channels")
            }
        }
    }

    /// What each subscriber knows of a channel by what it was told is so; from here on it knows everything, as if it had
    /// asked.
    fn compare_presence(&mut self, channel: usize, members: &BTreeSet<String>) {
        let policy = self.limits.slow_consumer;
        let hears_all = |record: &&mut Record| record.is_open && !record.is_over() && !record.is_lossy(policy);
        for record in self.records.iter_mut().filter(hears_all) {
            if !record.is_subscribed(channel) {
                continue;
            }
            let client = record.client;
            let subscription = record.subscriptions.get_mut(&channel).expect("it is subscribed");
            for user in &USERS[1..] {
                let is_member = members.contains(*user);
                if let Some(told) = subscription.presence.insert((*user).to_owned(), is_member) {
                    assert_eq!(told, is_member, "{user} in {}, as client {client} was told", CHANNELS[channel]);
                }
            }
        }
    }
}
