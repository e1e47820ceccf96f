//! What is known of one client: what it sent and still waits for, what it may be told, how it may end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use codec::socketcluster::Dialect;
use shard::{ConnectionId, Limits, SlowConsumer, Time};

use super::ledger::Ledger;
use super::login::{Login, TokenVerdict};
use super::oracle::{Echoes, STAMP};
use super::people::Told;
use super::plan::CHANNELS;
use super::subscription::Subscription;

/// What a call asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Handshake,
    Subscribe(usize),
    Unsubscribe(usize),
    /// A publication to that channel, of that number.
    Publish(usize, u64),
    /// `#authenticate`.
    Authenticate,
    /// An action that gives a token, at once or in time.
    Login,
    /// An action that takes it.
    Logout,
    /// An action that answers with its caller's claims.
    Who,
    /// An action that answers with its argument, at once or in time.
    Echo(String),
    /// An action that answers with nothing.
    Nothing,
    /// An action that answers with an error.
    Fail,
    /// An action that may take too long.
    Later(String),
    /// An action that never answers.
    Never,
    /// No action.
    Unknown,
}

/// A call that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) index: u64,
    pub(super) kind: Kind,
    pub(super) sent: Time,
}

/// What the application decided about a subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    Refused,
    Pending,
}

/// One client.
#[derive(Default)]
pub(super) struct Record {
    pub(super) client: usize,
    pub(super) shard: Option<usize>,
    pub(super) id: Option<ConnectionId>,
    pub(super) dialect: Option<Dialect>,
    /// The URL said which.
    pub(super) is_dialect_fixed: bool,
    /// Packets sent. Each has its number, which is also its call id.
    pub(super) sent: u64,
    /// Everything up to this packet was processed.
    pub(super) processed: u64,
    pub(super) calls: BTreeMap<u64, Call>,
    pub(super) decisions: BTreeMap<u64, Decision>,
    pub(super) subscriptions: BTreeMap<usize, Subscription>,
    pub(super) login: Option<Login>,
    /// What tokens said whose end the application was told of.
    pub(super) ended: BTreeSet<String>,
    /// Users it has ever been.
    pub(super) users_ever: BTreeSet<Box<str>>,
    pub(super) told: Told,
    /// The packets with which the client has logged itself out.
    pub(super) logouts: BTreeSet<u64>,
    /// By packet, with the end of the token.
    pub(super) token_verdicts: BTreeMap<u64, (TokenVerdict, Option<Time>)>,
    /// The token that a login is to give, by its packet.
    pub(super) tokens_due: BTreeMap<u64, String>,
    pub(super) tokens_heard: BTreeSet<String>,
    /// The last numbered packet that the application has seen.
    pub(super) heard_packet: u64,
    /// Raw messages that the application has not seen yet.
    pub(super) echoes_asked: Echoes,
    pub(super) echoes: Echoes,
    pub(super) pages: VecDeque<String>,
    pub(super) pongs: VecDeque<Vec<u8>>,
    pub(super) events_sent: u64,
    pub(super) events_heard: u64,
    pub(super) first_pong: Option<u64>,
    pub(super) last_ping: Option<Time>,
    /// When the shard last received something from it.
    pub(super) last_arrival: Time,
    /// When it was last heard again after its user may have counted as silent.
    pub(super) last_silence: Option<Time>,
    /// When the shard last began to listen to it again, and whether it does not now.
    pub(super) last_resumed: Time,
    pub(super) is_paused: bool,
    /// When its handshake was answered.
    pub(super) opened_at: Time,
    /// When the application was told that it is gone.
    pub(super) left_at: Option<Time>,
    pub(super) is_open: bool,
    pub(super) is_upgraded: bool,
    pub(super) had_flight: bool,
    /// A send to it went short.
    pub(super) went_short: bool,
    pub(super) flight_since: Option<Time>,
    pub(super) flight_ended: Option<Time>,
    pub(super) flight_longest: Duration,
    /// Close codes that it has earned.
    pub(super) closes: BTreeSet<u16>,
    /// HTTP statuses that it may get beside 200.
    pub(super) statuses: BTreeSet<u16>,
    /// It has begun to close by itself.
    pub(super) said_close: bool,
    /// Its connection may end without a close frame.
    pub(super) may_vanish: bool,
    /// Its connection may end without a word before it is upgraded.
    pub(super) may_vanish_unopened: bool,
    /// It must not survive.
    pub(super) is_doomed: bool,
    pub(super) close: Option<Option<u16>>,
    pub(super) announced: Option<u16>,
    /// Its stream has ended.
    pub(super) is_ended: bool,
    /// The server has closed the descriptor.
    pub(super) is_released: bool,
}

impl Record {
    /// Nothing more is expected of it.
    pub(super) const fn is_over(&self) -> bool {
        self.is_ended || self.is_released || self.close.is_some() || self.said_close || self.may_vanish
    }

    /// Whether it may have lost publications of a channel with this policy: only who did not keep up has.
    pub(super) fn is_lossy(&self, policy: SlowConsumer) -> bool {
        policy != SlowConsumer::Close && self.went_short
    }

    /// Whether it is subscribed, once every packet about the channel has been answered.
    pub(super) fn is_subscribed(&self, channel: usize) -> bool {
        self.subscriptions.get(&channel).is_some_and(Subscription::is_subscribed)
    }

    pub(super) fn subscription(&mut self, channel: usize) -> &mut Subscription {
        let shard = self.shard.expect("who sends is connected");
        self.subscriptions.entry(channel).or_insert_with(|| Subscription::new(shard, channel))
    }

    /// Counts the next packet.
    pub(super) const fn next_packet(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// An owned send has begun or ended. One that begins in the pass in which another ended continues it: all the
    /// while there is a backlog.
    pub(super) fn flies(&mut self, now: Time, is_flying: bool) {
        if !is_flying {
            self.flight_ended = Some(now);
            self.flight_longest = self.flight_longest(now);
            return;
        }
        self.had_flight = true;
        if self.flight_ended.take() != Some(now) {
            self.flight_since = Some(now);
        }
    }

    /// The longest time with a backlog.
    pub(super) fn flight_longest(&self, now: Time) -> Duration {
        let until = self.flight_ended.unwrap_or(now);
        self.flight_since.map_or(self.flight_longest, |since| self.flight_longest.max(until.since(since)))
    }

    pub(super) fn upgraded(&mut self) {
        assert!(!std::mem::replace(&mut self.is_upgraded, true), "upgraded twice");
    }

    /// Events are numbered.
    pub(super) fn event(&mut self, name: &str, data: Option<&str>) {
        self.events_heard += 1;
        assert_eq!((name, data), ("tick", Some(self.events_heard.to_string().as_str())), "events in order");
        assert!(self.events_heard <= self.events_sent, "an event that nobody sent");
    }

    pub(super) fn raw(&mut self, message: Result<&String, &Vec<u8>>) {
        let expected = self.echoes.pop_front().expect("an echo of nothing");
        assert_eq!(expected.as_ref(), message, "echoes come in order");
    }

    pub(super) fn control_pong(&mut self, payload: &[u8]) {
        assert_eq!(self.pongs.pop_front().as_deref(), Some(payload), "pongs come in order");
    }

    pub(super) fn response(&mut self, status: u16, body: &str) {
        if status == 200 {
            assert_eq!(self.pages.pop_front().as_deref(), Some(body), "responses come in order");
        } else if matches!(status, 503 | 504) {
            // What was to be answered later was not in time, or the server stops; then upgrades that wait are told too.
            let page = self.pages.pop_front();
            let is_late = page.as_ref().is_some_and(|page| page.starts_with("/later"));
            let is_upgrade = page.is_none() && status == 503 && !self.is_upgraded;
            assert!(is_late || is_upgrade, "{status} for {page:?}");
            self.may_vanish |= status == 503;
        } else {
            assert!(self.statuses.contains(&status), "status {status}, expected are {:?}", self.statuses);
            self.may_vanish = true;
        }
    }

    /// Whether that is an answer to this call.
    pub(super) fn check_reply(
        &mut self,
        call: &Call,
        outcome: &Result<Option<String>, String>,
        now: Time,
        limits: &Limits,
        ledger: &Ledger,
    ) {
        let waited = now.since(call.sent) + STAMP;
        let name = outcome.as_ref().err().map(|error| error_name(error));
        if name == Some("TooManyCallsError") {
            let slow = |call: &&Call| matches!(call.kind, Kind::Later(_) | Kind::Never | Kind::Login);
            assert!(self.calls.values().filter(slow).count() >= limits.calls_per_connection_max, "not too many");
            return;
        }
        let data = outcome.as_ref().ok().map(Option::as_deref);
        let is_right = match &call.kind {
            Kind::Handshake => {
                assert!(!self.is_open, "opened twice");
                self.is_open = outcome.is_ok();
                self.opened_at = now;
                self.may_vanish |= outcome.is_err();
                if let Ok(data) = outcome {
                    let data = data.as_deref().expect("a handshake's answer says something");
                    self.check_authenticated(now, call.index, data);
                }
                name.is_none() || name == Some("MoodError") || name == Some("TimeoutError")
            }
            Kind::Subscribe(_) => return self.check_subscribe_reply(call, name, waited, limits),
            Kind::Unsubscribe(_) => data == Some(None) || name == Some("BrokerError"),
            Kind::Publish(channel, number) => {
                let is_accepted = ledger.position(*channel, self.number(), *number).is_some();
                let is_refused = name == Some("MoodError") || name == Some("TimeoutError");
                if is_accepted { data == Some(None) } else { is_refused }
            }
            Kind::Authenticate => self.is_token_answer(now, call.index, data, name),
            Kind::Login => {
                // The promise: who reads the answer has the token.
                let is_given = self.tokens_due.get(&call.index).is_some_and(|token| self.tokens_heard.contains(token));
                (data == Some(None) && is_given) || (name == Some("TimeoutError") && waited >= limits.call_timeout)
            }
            Kind::Logout => data == Some(None),
            Kind::Who => data.is_some_and(|claims| claims.is_some()),
            Kind::Echo(payload) => data == Some(Some(payload)),
            Kind::Nothing => data == Some(None),
            Kind::Fail => name == Some("FailError"),
            Kind::Later(payload) => {
                data == Some(Some(payload)) || (name == Some("TimeoutError") && waited >= limits.call_timeout)
            }
            Kind::Never => name == Some("TimeoutError") && waited >= limits.call_timeout,
            Kind::Unknown => name == Some("UnknownActionError"),
        };
        assert!(is_right, "{call:?} is answered with {outcome:?}");
    }

    fn is_token_answer(&self, now: Time, index: u64, data: Option<Option<&str>>, name: Option<&str>) -> bool {
        if let Some(data) = data {
            self.check_authenticated(now, index, data.expect("an answer says whether"));
            return true;
        }
        let is_bad = matches!(self.token_verdicts.get(&index), Some((TokenVerdict::Bad, _)));
        is_bad && matches!(name, Some("AuthTokenInvalidError" | "AuthTokenExpiredError"))
    }

    fn check_subscribe_reply(&self, call: &Call, name: Option<&str>, waited: Duration, limits: &Limits) {
        let decision = self.decision_of(call);
        let is_right = match name {
            None => decision == Some(Decision::Allowed),
            Some("MoodError") => decision == Some(Decision::Refused),
            Some("TimeoutError") => decision == Some(Decision::Pending) && waited >= limits.call_timeout,
            Some("BrokerError" | "BusyError") => decision == Some(Decision::Allowed) && has_tight_limits(limits),
            Some(_) => false,
        };
        assert!(is_right, "{call:?} is answered with {name:?}, the application said {decision:?}");
    }

    fn decision_of(&self, call: &Call) -> Option<Decision> {
        self.decisions.get(&call.index).copied()
    }

    /// Its name as a publisher.
    fn number(&self) -> u64 {
        self.client as u64
    }
}

/// Whether a well-behaved client may hold too many subscriptions.
const fn has_tight_limits(limits: &Limits) -> bool {
    let shares_few = limits.quotas.per_user != 0;
    shares_few || limits.subscriptions_per_connection_max < CHANNELS.len() || limits.channels_max < CHANNELS.len()
}

/// The `name` of an error object.
pub(super) fn error_name(error: &str) -> &str {
    let found = error.split_once("\"name\":\"").and_then(|(_, rest)| rest.split_once('"'));
    found.map_or_else(|| panic!("an error without a name: {error}"), |(name, _)| name)
}
