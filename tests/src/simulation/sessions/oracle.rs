//! What is right about sessions, kept by who was told what: never by asking a shard.
//!
//! Each connection writes one key of its own, upwards, so that "everybody sees write 7" is "nobody reads less than 7";
//! all of them add to one sum, so that no increment may be missing from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use shard::{Session, SessionId, Sessions, Time, WriteError, Written};

use super::private::{Concern, Private};
use crate::simulation::trace::Trace;

/// One session through all its ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Logical {
    /// What everybody must see at least, by key.
    acknowledged: BTreeMap<String, i64>,
    /// What must be there after a crash.
    durable: BTreeMap<String, i64>,
    /// Results of increments, and how much each added.
    numbers: BTreeMap<i64, i64>,
    /// It was ended, or somebody has asked for it.
    is_ending: bool,
    has_ended: bool,
    has_ended_durably: bool,
    /// Rotations that are not acknowledged.
    rotations: usize,
    /// It may have ended in a crash.
    is_unknown: bool,
    /// Some writes were done or not, nobody knows.
    is_uncertain: bool,
    pub(super) concern: Concern,
}

impl Logical {
    /// Its connections may be about to be closed, or may be of another session by the same id.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.is_ending || self.is_unknown
    }
}

/// What a write was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection's own key, to that number.
    Own(String, i64),
    Sum(i64),
    /// Something that nobody keeps account of.
    Other,
    Rotate(SessionId),
    End,
    /// Whose it is from now on, as an index of [`USERS`](super::private::USERS).
    User(Option<usize>),
    /// Whether it is in a private channel from now on.
    Channel(usize, bool),
}

#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) logical: usize,
    pub(super) kind: Kind,
}

pub(super) struct Oracle {
    pub(super) trace: Trace,
    pub(super) now: Time,
    pub(super) logicals: Vec<Logical>,
    ids: BTreeMap<SessionId, usize>,
    /// Ids that nobody may be given any more.
    retired: BTreeSet<SessionId>,
    retired_durably: BTreeSet<SessionId>,
    /// Ids that may or may not be valid.
    doubtful: BTreeSet<SessionId>,
    /// Ids that the store may never have heard of.
    fleeting: BTreeSet<SessionId>,
    pub(super) private: Private,
    pub(super) has_crashed: bool,
    pub(super) writes: u64,
    pub(super) written: u64,
    pub(super) durable: u64,
    pub(super) refused: u64,
    /// Rotations acknowledged.
    pub(super) rotations: u64,
    /// Writes whose home has died before it acknowledged them.
    pub(super) lost: u64,
    has_deaths: bool,
}

/// The name of the sum's key.
pub(super) const SUM: &str = "sum";

impl Oracle {
    pub(super) fn new(is_verbose: bool) -> Self {
        Self {
            trace: Trace::new(is_verbose),
            now: Time::ZERO,
            logicals: Vec::new(),
            ids: BTreeMap::new(),
            retired: BTreeSet::new(),
            retired_durably: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            fleeting: BTreeSet::new(),
            private: Private::default(),
            has_crashed: false,
            writes: 0,
            written: 0,
            durable: 0,
            refused: 0,
            rotations: 0,
            lost: 0,
            has_deaths: false,
        }
    }

    pub(super) fn note(&mut self, numbers: &[u64], line: impl FnOnce() -> String) {
        self.trace.note(self.now, numbers, line);
    }

    /// An id was made.
    pub(super) fn made(&mut self, id: SessionId) {
        let logical = self.logicals.len();
        assert!(self.ids.insert(id, logical).is_none(), "{id} is made twice");
        self.logicals.push(Logical::default());
    }

    /// Which session an id stands, or has stood, for.
    pub(super) fn logical(&self, id: SessionId) -> usize {
        *self.ids.get(&id).unwrap_or_else(|| panic!("nobody has made {id}"))
    }

    /// A connection has a session. `cookie`: what it came with.
    pub(super) fn opened(&mut self, cookie: Option<SessionId>, session: &Session, is_exact: bool) {
        let id = session.id();
        assert!(!self.retired.contains(&id), "{id} is given away though it was given up");
        let logical = self.logical(id);
        assert!(!self.logicals[logical].has_ended, "{id} is given away though it has ended");
        if let Some(cookie) = cookie
            && is_exact
            && !self.retired.contains(&cookie)
            && !self.doubtful.contains(&cookie)
            && !self.logicals[self.logical(cookie)].is_ending
            && !self.logicals[self.logical(cookie)].is_unknown
        {
            assert_eq!(self.logical(cookie), logical, "the cookie {cookie} leads to {id}");
        }
        self.check(session, "an opened connection");
    }

    /// Whoever may read must see what was acknowledged.
    pub(super) fn check(&self, session: &Session, who: &str) {
        let known = &self.logicals[self.logical(session.id())];
        if known.is_ending || known.is_unknown || session.is_ended() {
            return;
        }
        for (key, least) in &known.acknowledged {
            let seen = number(session, key);
            assert!(seen >= *least, "{who} of {} reads {key} = {seen}; {least} was acknowledged", session.id());
        }
        self.check_concern(session, who);
    }

    pub(super) fn issued(&mut self, id: SessionId, kind: Kind) -> Issued {
        self.writes += 1;
        let logical = self.logical(id);
        match &kind {
            Kind::Rotate(to) => {
                let is_alone = self.logicals[logical].rotations == 0;
                self.logicals[logical].rotations += 1;
                self.ids.insert(*to, logical);
                self.fleeting.insert(*to);
                // Of several rotations under way nobody knows yet which is the last.
                let own = self.ids.iter().filter(|(known, owner)| **owner == logical && (**known != *to || !is_alone));
                self.doubtful.extend(own.map(|(known, _)| *known));
            }
            Kind::End => self.logicals[logical].is_ending = true,
            Kind::User(_) => self.logicals[logical].concern.user.issue(self.now),
            Kind::Channel(channel, is_in) => self.unsettle(logical, *channel, *is_in),
            Kind::Own(..) | Kind::Sum(_) | Kind::Other => {}
        }
        Issued { logical, kind }
    }

    /// A write is acknowledged, or refused. Whether there is something that every holder must see from now on.
    pub(super) fn written(&mut self, write: &Issued, from: SessionId, outcome: Result<Written, WriteError>) -> bool {
        let written = match outcome {
            Ok(written) => written,
            Err(error) => {
                if error == WriteError::Lost {
                    assert!(self.has_deaths, "lost without a reason");
                    self.lost += 1;
                    self.abandoned(write);
                    return false;
                }
                self.refused += 1;
                self.resolve_concern(write, None);
                let logical = &mut self.logicals[write.logical];
                // The end of a session may have been told before, by the death of its home.
                let rotations = usize::from(matches!(write.kind, Kind::Rotate(_)));
                logical.rotations = logical.rotations.saturating_sub(rotations);
                let is_allowed =
                    logical.is_ending || logical.is_unknown || error == WriteError::Ended && write.kind == Kind::Other;
                assert!(is_allowed, "{:?} is refused: {error}", write.kind);
                return false;
            }
        };
        self.written += 1;
        self.durable += u64::from(written.is_durable);
        self.resolve_concern(write, Some(written.is_durable));
        let logical = &mut self.logicals[write.logical];
        let (key, number) = match &write.kind {
            Kind::Own(key, number) => (key.clone(), *number),
            Kind::Sum(by) => {
                let number = written.number.expect("an increment has a result");
                let before = logical.numbers.insert(number, *by);
                assert!(before.is_none(), "two increments have led to {number}");
                (SUM.to_owned(), number)
            }
            Kind::Rotate(to) => {
                logical.rotations = logical.rotations.saturating_sub(1);
                self.retired.insert(from);
                if written.is_durable {
                    self.retired_durably.insert(from);
                    self.fleeting.remove(to);
                }
                return false;
            }
            Kind::End => {
                logical.has_ended = true;
                logical.has_ended_durably |= written.is_durable;
                return false;
            }
            // Whoever may read is checked for these as well.
            Kind::User(_) | Kind::Channel(..) => return true,
            Kind::Other => return false,
        };
        raise(&mut logical.acknowledged, key.clone(), number);
        if written.is_durable {
            raise(&mut logical.durable, key, number);
        }
        true
    }

    /// A rotation is acknowledged: here the session has its new id, or one of later, and is found by it. By the old one
    /// nobody finds anything.
    pub(super) fn rotated(&mut self, session: &Session, from: SessionId, to: SessionId, sessions: &Sessions) {
        self.rotations += 1;
        let id = session.id();
        assert_ne!(id, from, "the rotation to {to} is acknowledged");
        assert_eq!(self.logical(id), self.logical(to), "{from} is to be {to}");
        // Of several under way nobody knows the order.
        assert!(id == to || self.doubtful.contains(&to), "{from} is {id} and was to be {to}");
        if !session.is_ended() {
            let slot = |session: &Session| sessions.all().iter().position(|known| known.id() == session.id());
            let found = sessions.named(id);
            assert_eq!(found.as_ref().map(slot), Some(slot(session)), "{id} is found by its name");
        }
        // Who comes with the old cookie may be asking the home for it.
        let is_given = sessions.all().iter().any(|known| known.id() == from && known.is_ready());
        assert!(!is_given && sessions.named(from).is_none_or(|known| !known.is_ready()), "{from} is still a session");
    }

    /// What became of a write that concerns connections: nothing, or whether the store has it.
    fn resolve_concern(&mut self, write: &Issued, is_durable: Option<bool>) {
        match write.kind {
            Kind::User(user) => {
                let outcome = is_durable.map(|is_durable| (user, is_durable));
                self.logicals[write.logical].concern.user.resolve(outcome);
            }
            Kind::Channel(channel, is_in) => {
                self.resolve(write.logical, channel, is_durable.map(|is_durable| (is_in, is_durable)));
            }
            _ => {}
        }
    }

    /// Nobody knows whether a write was done.
    pub(super) fn abandoned(&mut self, write: &Issued) {
        let now = self.now;
        let logical = &mut self.logicals[write.logical];
        logical.is_uncertain = true;
        match write.kind {
            Kind::User(_) => logical.concern.user.abandon(now),
            Kind::Channel(channel, _) => logical.concern.channels[channel].abandon(now),
            _ => {}
        }
        if let Kind::Rotate(to) = &write.kind {
            logical.rotations = logical.rotations.saturating_sub(1);
            let own = self.ids.iter().filter(|(_, owner)| **owner == write.logical);
            self.doubtful.extend(own.map(|(id, _)| *id).chain([*to]));
        }
    }

    /// Every session, with one of its ids.
    pub(super) fn all(&self) -> BTreeMap<usize, SessionId> {
        self.ids.iter().map(|(id, logical)| (*logical, *id)).collect()
    }

    /// The home of a session has died; `is_held`: somebody who lives has a copy. What the home alone has known is lost.
    pub(super) fn home_died(&mut self, index: usize, has_store: bool, is_held: bool) {
        self.has_deaths = true;
        let own: Vec<_> = self.ids.iter().filter(|(_, owner)| **owner == index).map(|(id, _)| *id).collect();
        self.logicals[index].is_uncertain = true;
        for id in &own {
            // That an id was given up is known to the store, and perhaps to some.
            if self.retired.contains(id) && !(has_store && self.retired_durably.contains(id)) {
                self.retired.remove(id);
                self.forget_id(*id, true);
            }
        }
        if is_held {
            return;
        }
        let published = self.private.published();
        let logical = &mut self.logicals[index];
        logical.concern.crash(has_store, true, published);
        // Somebody may remember that it has ended.
        let is_ending = logical.is_ending;
        logical.acknowledged = if has_store { logical.durable.clone() } else { BTreeMap::new() };
        logical.numbers = BTreeMap::new();
        logical.rotations = 0;
        logical.has_ended = has_store && logical.has_ended_durably;
        logical.is_unknown |= logical.is_ending && !logical.has_ended;
        for id in own {
            if self.ids[&id] != index {
                continue;
            }
            let is_fleeting = self.fleeting.remove(&id);
            if !has_store || is_fleeting {
                self.forget_id(id, is_fleeting || is_ending);
            }
        }
    }

    /// If it is shown again, it is a session of its own, or one that was remembered.
    fn forget_id(&mut self, id: SessionId, is_unknown: bool) {
        let concern = self.logicals[self.ids[&id]].concern.clone();
        self.ids.insert(id, self.logicals.len());
        self.logicals.push(Logical { is_unknown, is_uncertain: true, concern, ..Logical::default() });
    }

    /// Everything but the store is lost.
    pub(super) fn crashed(&mut self, has_store: bool) {
        self.has_crashed = true;
        self.private.crash();
        let published = self.private.published();
        self.retired = if has_store { self.retired_durably.clone() } else { BTreeSet::new() };
        for logical in &mut self.logicals {
            logical.acknowledged = if has_store { logical.durable.clone() } else { BTreeMap::new() };
            logical.numbers = BTreeMap::new();
            logical.rotations = 0;
            logical.concern.crash(has_store, false, published);
            logical.has_ended = has_store && logical.has_ended_durably;
            logical.is_unknown = logical.is_ending && !logical.has_ended;
        }
        for id in std::mem::take(&mut self.fleeting) {
            self.ids.insert(id, self.logicals.len());
            self.logicals.push(Logical { is_unknown: true, ..Logical::default() });
        }
        if !has_store {
            // Each id that is shown again is a session of its own now.
            for id in self.ids.keys().copied().collect::<Vec<_>>() {
                self.ids.insert(id, self.logicals.len());
                self.logicals.push(Logical::default());
            }
            self.doubtful.clear();
        }
    }

    /// All is quiet: every increment is in the sum, and nothing else.
    pub(super) fn check_sum(&self, session: &Session) {
        let known = &self.logicals[self.logical(session.id())];
        if self.has_crashed || known.is_ending || known.is_uncertain || session.is_ended() {
            return;
        }
        let mut sum = 0;
        for (number, by) in &known.numbers {
            sum += by;
            assert_eq!(*number, sum, "the results of the increments of {} do not add up", session.id());
        }
        assert_eq!(number(session, SUM), sum, "the sum of {}", session.id());
    }
}

fn raise(levels: &mut BTreeMap<String, i64>, key: String, to: i64) {
    let level = levels.entry(key).or_insert(to);
    *level = (*level).max(to);
}

/// A number in a session, zero if it is not there.
pub(super) fn number(session: &Session, key: &str) -> i64 {
    session.get(key).map_or(0, |text| text.parse().expect("the numbers here are numbers"))
}

/// All values in one line, to compare copies by.
pub(super) fn values(session: &Session) -> String {
    let mut text = String::new();
    for (key, value) in session.all() {
        write!(text, "{key}={value} ").expect("text");
    }
    text
}
