//! Who is online, as the homes of users tell their applications: every change once, in turns, by one home for each user.
//! Who is surely there and heard from is never said to be gone; who surely fell silent for longer than he may is.

use std::collections::BTreeMap;
use std::time::Duration;

use shard::Time;

use super::super::oracle::{Oracle, SLACK};
use super::super::record::Record;

/// What the homes have said.
#[derive(Default)]
pub(in super::super) struct Online {
    /// By user: whose shard is its home, and what that has said, when.
    users: BTreeMap<String, (usize, Vec<(Time, bool)>)>,
    /// By shard: how many are online, as it was told.
    pub(in super::super) totals: BTreeMap<usize, u64>,
    /// Users who must have been offline at some time between two.
    naps: Vec<(String, Time, Time)>,
    pub(in super::super) changes: u64,
    pub(in super::super) naps_seen: u64,
}

/// A word from shard to shard takes no longer, however full the lanes are: each refuses for 60 ms at most at a time.
const WORD: Duration = Duration::from_millis(800);

impl Online {
    /// Who is online by the last that was said.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let said =
            self.users.iter().filter(|(_, (_, changes))| changes.last().is_some_and(|(_, is_online)| *is_online));
        said.map(|(user, _)| user.as_str())
    }

    /// What the home of some users has said is forgotten with it.
    pub(super) fn shard_died(&mut self, now: Time, shard: usize) {
        for (_, changes) in self.users.values_mut().filter(|(home, _)| *home == shard) {
            if changes.last().is_some_and(|(_, is_online)| *is_online) {
                changes.push((now, false));
            }
        }
        self.totals.remove(&shard);
    }

    fn was_offline(&self, user: &str, from: Time, to: Time) -> bool {
        let Some((_, changes)) = self.users.get(user) else { return true };
        let before = changes.iter().rfind(|(at, _)| *at <= from);
        before.is_none_or(|(_, is_online)| !is_online)
            || changes.iter().any(|(at, is_online)| !is_online && (from..=to).contains(at))
    }
}

impl Oracle {
    /// A home tells its application about a user.
    pub(in super::super) fn user_changed(&mut self, shard: usize, user: &str, is_online: bool) {
        self.note(&[9, shard as u64, u64::from(is_online)], || format!("shard {shard}: {user} online: {is_online}"));
        assert!(super::USERS[1..].contains(&user), "a mangled name: {user}");
        let now = self.now;
        let (home, changes) = self.people.online.users.entry(user.to_owned()).or_insert((shard, Vec::new()));
        assert_eq!(*home, shard, "{user} has two homes");
        let before = changes.last().is_some_and(|(_, is_online)| *is_online);
        assert_ne!(before, is_online, "{user} is said twice to be online: {is_online}");
        changes.push((now, is_online));
        self.people.online.changes += 1;
        if !is_online {
            let silence = self.limits.people.silence;
            let here = self.records.iter().find(|record| record.is_surely_here(now, user, silence));
            assert!(
                here.is_none(),
                "{user} is said to be gone, but client {} is there",
                here.map_or(0, |known| known.client)
            );
        }
    }

    /// A shard is about to receive something of a client: perhaps its user was silent for too long until now.
    pub(in super::super) fn heard_from(&mut self, client: usize) {
        let (now, silence) = (self.now, self.limits.people.silence);
        let record = &mut self.records[client];
        if record.left_at.is_some() {
            return; // Nobody listens any more.
        }
        let since = std::mem::replace(&mut record.last_arrival, now);
        let gap = now.since(since);
        if gap + MARGIN > silence {
            record.last_silence = Some(now);
        }
        let record = &self.records[client];
        let Some(user) = record.user() else { return };
        // From when on it was known whose it is.
        let since = since.max(record.login_at()).max(record.opened_at);
        let was_in = record.is_open && record.is_surely_in(now);
        let was_heard_out = record.last_resumed <= since && !record.is_paused;
        if now.since(since) <= silence + SLACK || !was_in || !was_heard_out {
            return;
        }
        let others = self.records.iter().filter(|other| other.client != client && other.users_ever.contains(user));
        let is_alone = others.into_iter().all(|other| other.left_at.is_some_and(|at| at + WORD < now));
        if is_alone {
            let user = user.to_owned();
            self.people.online.naps.push((user, since, now + WORD));
        }
    }

    /// All is quiet: whoever was silent for too long was offline.
    pub(super) fn check_naps(&mut self) {
        let online = &mut self.people.online;
        for (user, from, to) in std::mem::take(&mut online.naps) {
            assert!(
                online.was_offline(&user, from, to),
                "{user} was silent from {from:?} on, and is online all the while"
            );
            online.naps_seen += 1;
        }
    }
}

impl Record {
    /// Whether this connection makes its user online beyond doubt, and has for so long that everybody knows.
    fn is_surely_here(&self, now: Time, user: &str, silence: Duration) -> bool {
        let is_long_ago = |at: Time| at + WORD < now;
        self.user() == Some(user)
            && self.is_open
            && !self.is_over()
            && self.told.reported.is_none()
            && self.is_surely_in(now)
            && is_long_ago(self.login_at())
            && is_long_ago(self.opened_at)
            && self.last_silence.is_none_or(is_long_ago)
            && now.since(self.last_arrival) + MARGIN < silence
    }
}

/// Stamps are of a tenth of a second, and rounded.
const MARGIN: Duration = Duration::from_millis(200);
