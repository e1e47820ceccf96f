//! Whose sessions are, and their private channels: who is subscribed without having asked, who must hear what, on
//! whichever shard and after whichever reconnect, and what a shard that dies takes along.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shard::{ConnectionId, Session, SessionId, Time};

use super::oracle::{Logical, Oracle};
use super::register::Register;

/// The private channels that sessions are put in.
pub(super) const CHANNELS: [&str; 3] = ["private.0", "private.1", "private.2"];

/// The users that sessions become.
pub(super) const USERS: [&str; 3] = ["ann", "ben", "cid"];

/// What a session says about its connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Concern {
    /// Whose it is, as an index of [`USERS`].
    pub(super) user: Register<Option<usize>>,
    /// Whether it is in each private channel.
    pub(super) channels: [Register<bool>; 3],
    /// Whether that is established everywhere.
    settled: [bool; 3],
    /// How often somebody has written about it.
    writes: [u64; 3],
    /// How many publications there were when that was known at last, and when it was.
    known_since: [(u64, Time); 3],
}

impl Concern {
    /// Everything but the store is lost, and perhaps that; `published`: how many publications there were.
    pub(super) fn crash(&mut self, has_store: bool, has_last_words: bool, published: u64) {
        self.user.crash(has_store, has_last_words);
        self.channels.iter_mut().for_each(|channel| channel.crash(has_store, has_last_words));
        self.settled = [false; 3];
        self.known_since = [(published, Time::ZERO); 3];
    }
}

/// A connection that was let in.
struct Listener {
    logical: usize,
    /// The how-manyth it was.
    number: u64,
    /// Since the last time that the subscription to a channel was established.
    is_owed: [bool; 3],
    /// What it has to hear, by the shard that has accepted it and the channel, in order.
    owed: BTreeMap<(usize, usize), VecDeque<u64>>,
    heard: BTreeSet<u64>,
    /// The last number heard, by its shard and channel.
    last: BTreeMap<(usize, usize), u64>,
    /// Whose it was when it was last asked.
    user: Option<String>,
}

/// Whether a session's subscription to a channel is established: what was so when it was asked.
pub(super) struct Asked {
    logical: usize,
    channel: usize,
    /// How many writes about it there had been, and how many connections of all sessions.
    writes: u64,
    listened: u64,
}

struct Publication {
    shard: usize,
    /// Which of the shards in its place has accepted it.
    life: u32,
    channel: usize,
}

/// What was proven of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateReport {
    /// Publications heard in private channels.
    pub heard: u64,
    /// Subscriptions of sessions that were established.
    pub barriers: u64,
    /// Deliveries that had to be, when all was quiet.
    pub proven: u64,
    /// Connections that were told that they are in a channel no more.
    pub kicked: u64,
    /// Calls of connections that were a user's by their session.
    pub users_checked: u64,
    /// Logins that ended before their connections.
    pub logins_ended: u64,
    /// Connections of sessions with private channels on another shard than the one before.
    pub moves: u64,
    /// Deliveries that a dead shard owed, and that were excused.
    pub lost: u64,
}

#[derive(Default)]
pub(super) struct Private {
    listeners: BTreeMap<(usize, ConnectionId), Listener>,
    listened: u64,
    publications: Vec<Publication>,
    pub(super) report: PrivateReport,
    /// Where a session's connection was last, to see that it moves.
    last_shards: BTreeMap<usize, usize>,
}

impl Private {
    /// Nobody is there any more.
    pub(super) fn crash(&mut self) {
        self.listeners.clear();
    }

    /// How many publications there were.
    pub(super) const fn published(&self) -> u64 {
        self.publications.len() as u64
    }

    fn publication(&self, number: u64) -> &Publication {
        let publication = usize::try_from(number).ok().and_then(|number| self.publications.get(number));
        publication.unwrap_or_else(|| panic!("nobody has published {number}"))
    }
}

impl Oracle {
    /// A connection is let in.
    pub(super) fn listen(&mut self, shard: usize, id: ConnectionId, session: SessionId) {
        let logical = self.logical(session);
        let private = &mut self.private;
        let is_private = self.logicals[logical].concern.channels.iter().any(|channel| channel.known() == Some(&true));
        let before = private.last_shards.insert(logical, shard);
        private.report.moves += u64::from(is_private && before.is_some_and(|before| before != shard));
        private.listened += 1;
        let listener = Listener {
            logical,
            number: private.listened,
            is_owed: [false; 3],
            owed: BTreeMap::new(),
            heard: BTreeSet::new(),
            last: BTreeMap::new(),
            user: None,
        };
        assert!(private.listeners.insert((shard, id), listener).is_none(), "let in twice");
    }

    /// A connection is gone.
    pub(super) fn silence(&mut self, shard: usize, id: ConnectionId, user: Option<&str>) {
        let listener = self.private.listeners.remove(&(shard, id)).expect("it was let in, and is gone once");
        if let Some(known) = listener.user {
            assert_eq!(user, Some(&*known), "a login has ended before its connection, and nobody was told");
        }
    }

    /// A connection says something, and counts as this user's.
    pub(super) fn check_user(&mut self, shard: usize, id: ConnectionId, user: Option<&str>) {
        let listener = self.private.listeners.get_mut(&(shard, id)).expect("it was let in");
        if let Some(known) = &listener.user {
            assert_eq!(user, Some(&**known), "a login has ended, and nobody was told");
        }
        listener.user = user.map(str::to_owned);
        let logical = &self.logicals[listener.logical];
        if let Some(known) = logical.concern.user.known().filter(|_| !logical.is_in_doubt()) {
            let known = known.map(|user| USERS[user]);
            assert_eq!(user, known, "the user of a connection of session {}", listener.logical);
            self.private.report.users_checked += u64::from(known.is_some());
        }
    }

    /// The application is told that a login has ended.
    pub(super) fn login_ended(&mut self, shard: usize, id: ConnectionId, user: Option<&str>) {
        let user = user.expect("here are no tokens, only users");
        assert!(USERS.contains(&user), "a mangled name: {user}");
        self.private.report.logins_ended += 1;
        let Some(listener) = self.private.listeners.get_mut(&(shard, id)) else { return };
        if let Some(known) = listener.user.take() {
            assert_eq!(user, known, "another's login has ended");
        }
    }

    /// Whoever may read sees whose a session is and where it is subscribed, when nobody writes about that.
    pub(super) fn check_concern(&self, session: &Session, who: &str) {
        let known = &self.logicals[self.logical(session.id())].concern;
        let id = session.id();
        if let Some(user) = known.user.known() {
            assert_eq!(session.user().as_deref(), user.map(|user| USERS[user]), "{who} of {id}: whose it is");
        }
        for (channel, known) in CHANNELS.into_iter().zip(&known.channels) {
            if let Some(is_in) = known.known() {
                assert_eq!(session.channels().iter().any(|own| **own == *channel), *is_in, "{who} of {id}: {channel}");
            }
        }
    }

    /// Somebody writes about a channel: who was owed its publications may or may not be any more. Those that are on their
    /// way while a session is taken out may be left out.
    pub(super) fn unsettle(&mut self, logical: usize, channel: usize, is_in: bool) {
        let concern = &mut self.logicals[logical].concern;
        concern.channels[channel].issue(self.now);
        concern.writes[channel] += 1;
        concern.settled[channel] = false;
        for listener in self.private.listeners.values_mut().filter(|listener| listener.logical == logical) {
            listener.is_owed[channel] = false;
            listener.owed.retain(|(_, own), _| is_in || *own != channel);
        }
    }

    /// What became of a write about a channel.
    pub(super) fn resolve(&mut self, logical: usize, channel: usize, outcome: Option<(bool, bool)>) {
        let concern = &mut self.logicals[logical].concern;
        concern.channels[channel].resolve(outcome);
        concern.known_since[channel] = (self.private.published(), self.now);
    }

    /// It is asked whether a session's subscription is established.
    pub(super) fn ask(&self, logical: usize, channel: usize) -> Asked {
        let writes = self.logicals[logical].concern.writes[channel];
        Asked { logical, channel, writes, listened: self.private.listened }
    }

    /// The subscription of a session is established on every shard, for those who were there when it was asked, if nobody
    /// has written about it since.
    pub(super) fn settle(&mut self, asked: &Asked) {
        let &Asked { logical, channel, writes, listened } = asked;
        let known = &mut self.logicals[logical];
        if known.concern.writes[channel] != writes
            || known.concern.channels[channel].known() != Some(&true)
            || known.is_in_doubt()
        {
            return;
        }
        known.concern.settled[channel] = true;
        self.private.report.barriers += 1;
        let own =
            self.private.listeners.values_mut().filter(|known| known.logical == logical && known.number <= listened);
        own.for_each(|listener| listener.is_owed[channel] = true);
    }

    /// A shard is about to accept a publication; its number.
    pub(super) fn publish(&mut self, (shard, life): (usize, u32), channel: usize) -> u64 {
        let number = self.private.published();
        self.note(&[20, shard as u64, channel as u64], || format!("shard {shard}: publishes {number} to {channel}"));
        for ((at, _), listener) in &mut self.private.listeners {
            // Who has come back since is subscribed where it is, and elsewhere when its shard has said so.
            let is_near = *at == shard && self.logicals[listener.logical].concern.settled[channel];
            if listener.is_owed[channel] || is_near {
                listener.owed.entry((shard, channel)).or_default().push_back(number);
            }
        }
        self.private.publications.push(Publication { shard, life, channel });
        number
    }

    /// A connection hears a publication: in order, and nothing of its shard that it was owed is missed before it.
    pub(super) fn hear(&mut self, at: usize, id: ConnectionId, name: &str, number: u64) {
        self.note(&[21, at as u64, number], || format!("shard {at}: {id:?} hears {number}"));
        let &Publication { shard, life, channel } = self.private.publication(number);
        assert_eq!(name, CHANNELS[channel], "the channel of {number}");
        let Private { listeners, publications, report, .. } = &mut self.private;
        let Some(listener) = listeners.get_mut(&(at, id)) else { return };
        let known = &self.logicals[listener.logical];
        let is_out = known.concern.channels[channel].known() == Some(&false);
        let is_wrong = is_out && known.concern.known_since[channel].0 <= number && !known.is_in_doubt();
        assert!(!is_wrong, "session {} hears {number}, and was out of {name} all the while", listener.logical);
        assert!(listener.heard.insert(number), "{number} is heard twice");
        let last = listener.last.insert((shard, channel), number);
        assert!(last.is_none_or(|last| last < number), "{number} is heard after {last:?}");
        let owed = listener.owed.entry((shard, channel)).or_default();
        // What a shard that has died had not handed over.
        while owed.front().is_some_and(|first| publications[usize::try_from(*first).expect("few")].life < life) {
            owed.pop_front();
            report.lost += 1;
        }
        let is_missed = owed.front().is_some_and(|first| *first < number) && !known.is_in_doubt();
        assert!(!is_missed, "{id:?} on shard {at} hears {number} and has missed {:?}", owed.front());
        owed.pop_front_if(|first| *first <= number);
        report.heard += 1;
    }

    /// A connection is told that it is in a channel no more.
    pub(super) fn kick(&mut self, shard: usize, id: ConnectionId, name: &str) {
        let channel = CHANNELS.iter().position(|known| *known == name);
        let channel = channel.unwrap_or_else(|| panic!("a mangled name: {name}"));
        self.private.report.kicked += 1;
        let Some(listener) = self.private.listeners.get(&(shard, id)) else { return };
        let known: &Logical = &self.logicals[listener.logical];
        // In one pass it may be taken out and put in again.
        let is_long_known = known.concern.known_since[channel].1 < self.now && !known.is_in_doubt();
        let is_in = known.concern.channels[channel].known() == Some(&true) && is_long_known;
        assert!(!is_in, "{id:?} on shard {shard} is taken out of {name}, which its session is in");
    }

    /// All is quiet: everybody has heard what it was owed; `lives`: which shards are in their places.
    pub(super) fn check_owed(&mut self, lives: &[u32]) {
        let Private { listeners, publications, report, .. } = &mut self.private;
        for ((shard, id), listener) in listeners {
            if self.logicals[listener.logical].is_in_doubt() {
                continue;
            }
            for ((from, _), owed) in &listener.owed {
                let is_lost = |number: &u64| publications[usize::try_from(*number).expect("few")].life < lives[*from];
                let missed: Vec<_> = owed.iter().filter(|number| !is_lost(number)).collect();
                assert!(missed.is_empty(), "{id:?} on shard {shard} has missed {missed:?}");
                report.lost += owed.len() as u64;
            }
        }
    }

    /// These were published when all was quiet: exactly the connections of sessions that are in the channel have heard them.
    pub(super) fn check_quiet_publications(&mut self, from: u64) {
        let mut proven = 0;
        for ((shard, id), listener) in &self.private.listeners {
            let known = &self.logicals[listener.logical];
            for number in from..self.private.published() {
                let channel = self.private.publication(number).channel;
                let is_in = known.concern.channels[channel].known().filter(|_| !known.is_in_doubt());
                let Some(is_in) = is_in else { continue };
                let has_heard = listener.heard.contains(&number);
                assert_eq!(has_heard, *is_in, "{id:?} on shard {shard}: {number} to {}", CHANNELS[channel]);
                proven += u64::from(*is_in);
            }
        }
        self.private.report.proven += proven;
    }

    /// Who is online: by the users of the sessions that have connections; none where that is in doubt.
    pub(super) fn online(&self) -> Option<BTreeSet<&'static str>> {
        let mut online = BTreeSet::new();
        for listener in self.private.listeners.values() {
            let known = &self.logicals[listener.logical];
            if known.is_in_doubt() {
                return None;
            }
            online.extend(known.concern.user.known()?.map(|user| USERS[user]));
        }
        Some(online)
    }
}
