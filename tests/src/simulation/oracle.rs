//! Judges a run: one record for each client, fed with what the client sent, what the application decided and what the
//! server said. A wrong step panics with what is wrong. It never asks a shard anything.

use std::collections::VecDeque;
use std::time::Duration;

use codec::socketcluster::Dialect;
use shard::{Limits, SlowConsumer, Time};

use super::ledger::{APPLICATION, Ledger, channel_index, identity};
use super::login::Mint;
use super::people::People;
use super::plan::{CHANNELS, Plan};
use super::record::{Decision, Kind, Record, error_name};
use super::stream::Heard;
use super::trace::Trace;

/// What is known of a run, from outside the shards.
pub(super) struct Oracle {
    pub(super) now: Time,
    pub(super) limits: Limits,
    /// By channel.
    pub(super) policies: [SlowConsumer; CHANNELS.len()],
    pub(super) ledger: Ledger,
    pub(super) records: Vec<Record>,
    pub(super) trace: Trace,
    pub(super) is_shutting_down: bool,
    application_numbers: u64,
    pub(super) mint: Mint,
    /// Times that clients were told to forget their token.
    pub(super) tokens_removed: u64,
    pub(super) people: People,
}

impl Oracle {
    pub(super) fn new(plan: &Plan, is_verbose: bool) -> Self {
        Self {
            now: Time::ZERO,
            limits: plan.limits,
            policies: std::array::from_fn(|channel| plan.policy(channel)),
            ledger: Ledger::new(),
            records: Vec::new(),
            trace: Trace::new(is_verbose),
            is_shutting_down: false,
            application_numbers: 0,
            mint: Mint::default(),
            tokens_removed: 0,
            people: People::new(),
        }
    }

    pub(super) fn note(&mut self, numbers: &[u64], line: impl FnOnce() -> String) {
        self.trace.note(self.now, numbers, line);
    }

    /// A number for the next publication of the application.
    pub(super) const fn next_number(&mut self) -> u64 {
        self.application_numbers += 1;
        self.application_numbers
    }

    /// The application let a publication through: from now on subscribers are owed it.
    pub(super) fn accept(&mut self, shard: usize, channel: usize, publisher: u64, number: u64) {
        self.note(&[1, publisher, number], || format!("shard {shard} accepts {publisher}#{number} on {channel}"));
        self.ledger.accept(shard, channel, publisher, number);
    }

    /// The application has decided about a subscribe.
    pub(super) fn decide(&mut self, client: usize, index: u64, decision: Decision) {
        let record = &mut self.records[client];
        record.decisions.insert(index, decision);
        if decision == Decision::Refused {
            record.subscriptions.values_mut().for_each(|subscription| subscription.refused(index));
        }
    }

    /// The mesh brings a publication to a shard.
    pub(super) fn reach(&mut self, shard: usize, channel: &str, data: Option<&str>) {
        let (publisher, number) = data.and_then(identity).expect("publications here have a payload");
        self.ledger.reach(shard, channel_index(channel), publisher, number);
    }

    /// The server says something to a client: it has left the shard and will arrive in this order.
    pub(super) fn hear(&mut self, client: usize, heard: &Heard) {
        if self.trace.is_verbose() {
            self.note(&[], || format!("client {client} is told {heard:?}"));
        }
        assert!(self.records[client].close.is_none(), "client {client} is told {heard:?} after the close frame");
        match heard {
            Heard::Reply(call, outcome) => self.reply(client, *call, outcome),
            Heard::Publication(channel, data) => self.publication(client, channel, data.as_deref()),
            Heard::KickOut(channel) => self.kick_out(client, channel),
            Heard::Ping(dialect) => self.ping(client, *dialect),
            Heard::Event(name, data) if name == "said" => self.hear_said(client, data.as_deref()),
            Heard::Event(name, data) if name == "presence" => self.hear_presence(client, data.as_deref()),
            Heard::Event(name, data) => self.records[client].event(name, data.as_deref()),
            Heard::Close(code) => self.close(client, *code),
            Heard::Announced(code) => {
                assert!(self.records[client].announced.is_none(), "announced twice");
                self.records[client].announced = *code;
            }
            Heard::Text(text) => self.records[client].raw(Ok(text)),
            Heard::Binary(bytes) => self.records[client].raw(Err(bytes)),
            Heard::Response(status, body) => self.records[client].response(*status, body),
            Heard::ControlPong(payload) => self.records[client].control_pong(payload),
            Heard::Upgraded => self.records[client].upgraded(),
            Heard::TokenSet(token) => drop(self.records[client].tokens_heard.insert(token.clone())),
            Heard::TokenRemoved => self.tokens_removed += 1,
            Heard::Agreed | Heard::ControlPing | Heard::End => {}
        }
    }

    fn reply(&mut self, client: usize, call: u64, outcome: &Result<Option<String>, String>) {
        let moment = self.ledger.moment();
        let record = &mut self.records[client];
        let Some(asked) = record.calls.remove(&call) else { panic!("client {client}: no call {call} waits") };
        record.check_reply(&asked, outcome, self.now, &self.limits, &self.ledger);
        if let Kind::Subscribe(channel) = asked.kind {
            record.subscription(channel).subscribe_answered(call, outcome.is_ok(), moment);
            if outcome.as_ref().is_err_and(|error| matches!(error_name(error), "BrokerError" | "BusyError")) {
                record.subscription(channel).found_no_room(call);
            }
        }
        if call > record.processed {
            record.processed = call;
            let is_lossy = self.policies.map(|policy| record.is_lossy(policy));
            for (channel, subscription) in &mut record.subscriptions {
                subscription.processed(call, &self.ledger, is_lossy[*channel]);
            }
        }
        if let (Kind::Publish(channel, number), true) = (&asked.kind, outcome.is_ok()) {
            let publisher = client as u64;
            let position = self.ledger.position(*channel, publisher, *number);
            let position = position.unwrap_or_else(|| panic!("{publisher}#{number} is acknowledged, not accepted"));
            let owes = record.subscriptions.get(channel).map(|known| known.owes_own(&self.ledger, publisher, position));
            assert!(
                record.is_lossy(self.policies[*channel]) || owes != Some(true),
                "{publisher}#{number} is acknowledged before it arrives"
            );
        }
    }

    fn publication(&mut self, client: usize, channel: &str, data: Option<&str>) {
        let record = &mut self.records[client];
        let identity = data.and_then(identity);
        let (publisher, number) = identity.unwrap_or_else(|| panic!("client {client}: a mangled payload: {data:?}"));
        let index = channel_index(channel);
        let is_lossy = record.is_lossy(self.policies[index]);
        let subscription = record.subscriptions.get_mut(&index);
        let subscription = subscription.unwrap_or_else(|| panic!("client {client} never subscribed to {channel}"));
        subscription.receive(&self.ledger, publisher, number, is_lossy);
    }

    fn kick_out(&mut self, client: usize, channel: &str) {
        let record = &mut self.records[client];
        let channel = channel_index(channel);
        let is_lossy = record.is_lossy(self.policies[channel]);
        record.subscription(channel).kicked_out(&self.ledger, is_lossy);
    }

    /// Once the server has seen this client's pong, it asks in that dialect only.
    fn ping(&mut self, client: usize, dialect: Dialect) {
        let record = &mut self.records[client];
        let is_known = record.first_pong.is_some_and(|pong| pong < record.processed) || record.is_dialect_fixed;
        assert!(!is_known || record.dialect == Some(dialect), "client {client} is asked in {dialect:?}");
        if record.dialect == Some(dialect) {
            record.last_ping = Some(self.now);
        }
    }

    fn close(&mut self, client: usize, code: Option<u16>) {
        let (now, ping_timeout) = (self.now, self.limits.ping_timeout);
        let record = &mut self.records[client];
        record.close = Some(code);
        let code = code.unwrap_or(1005);
        let is_starved = record.flight_longest(now) * 2 >= ping_timeout;
        let is_allowed = record.closes.contains(&code)
            || (code == 1013 && record.had_flight)
            || (code == 4001 && is_starved)
            || (code == 1001 && self.is_shutting_down);
        assert!(is_allowed, "client {client} is closed with {code}, allowed are {:?}", record.closes);
        if code == 4001 {
            let silence = now.since(record.last_arrival);
            assert!(silence + STAMP >= ping_timeout, "client {client} was silent for {silence:?} only");
            let silence = silence.min(now.since(record.last_resumed));
            let is_late = silence > ping_timeout + SLACK;
            assert!(!is_late || record.had_flight, "client {client} was silent for {silence:?} until it was closed");
        }
        let is_ours = record.said_close;
        let reported = record.told.reported.filter(|_| !is_ours);
        assert!(reported.is_none_or(|reported| reported == code), "closed with {code}, reported as {reported:?}");
        let is_old = matches!(record.dialect, Some(Dialect::V1 | Dialect::V0));
        let is_known = record.first_pong.is_some_and(|pong| pong < record.processed);
        if is_known && !is_ours {
            let expected = is_old.then_some(code);
            assert_eq!(record.announced, expected, "what client {client} was told by #disconnect before its close");
        }
    }

    /// A shard has died, and with it the connections of these clients.
    pub(super) fn shard_died(&mut self, shard: usize, clients: &[usize]) {
        let now = self.now;
        for client in clients {
            let record = &mut self.records[*client];
            record.may_vanish = true;
            record.is_released = true;
            record.left_at.get_or_insert(now);
        }
        self.people.shard_died(now, shard);
    }

    /// A client's stream has ended.
    pub(super) fn ended(&mut self, client: usize) {
        let (now, patience) = (self.now, self.limits.send_timeout.min(self.limits.close_timeout));
        let record = &mut self.records[client];
        record.is_ended = true;
        let was_stuck = record.flight_longest(now) + STAMP >= patience;
        let is_allowed = record.may_vanish
            || record.close.is_some()
            || record.said_close
            || was_stuck
            || (record.may_vanish_unopened && !record.is_upgraded);
        assert!(is_allowed, "client {client} lost its connection without a word");
    }

    /// All is quiet, faults are off: everybody who behaved has everything, and who has lost some of a conflated channel
    /// has the latest, if there was room for all that had to wait.
    pub(super) fn check_liveness(&self, had_room: bool) -> u64 {
        let mut kept_latest = 0;
        for (client, record) in self.records.iter().enumerate() {
            if record.is_over() {
                continue;
            }
            assert!(!record.is_doomed, "client {client} should have been closed long ago");
            assert!(record.calls.is_empty(), "client {client} still waits for {:?}", record.calls);
            assert!(record.echoes_asked.is_empty(), "client {client} is not heard");
            assert!(record.echoes.is_empty(), "client {client} still waits for {} echoes", record.echoes.len());
            assert!(record.pages.is_empty(), "client {client} still waits for {:?}", record.pages);
            assert!(record.pongs.is_empty(), "client {client} still waits for pongs");
            assert_eq!(record.events_heard, record.events_sent, "events that client {client} has heard");
            for (channel, subscription) in &record.subscriptions {
                let policy = self.policies[*channel];
                if !record.is_lossy(policy) {
                    subscription.finish(&self.ledger);
                } else if policy == SlowConsumer::Conflate && had_room {
                    subscription.finish_with_latest(&self.ledger);
                    kept_latest += 1;
                }
            }
            kept_latest += record.told.finish(client, record.went_short, had_room);
            if record.is_open && record.dialect.is_some() && record.first_pong.is_some() {
                let since = record.last_ping.map(|at| self.now.since(at));
                let is_asked = since.is_some_and(|since| since <= self.limits.ping_timeout);
                assert!(is_asked, "client {client} was asked in its own dialect {since:?} ago");
            }
        }
        kept_latest
    }

    /// Deliveries that were seen, for the report.
    pub(super) fn deliveries(&self) -> u64 {
        let subscriptions = self.records.iter().flat_map(|record| record.subscriptions.values());
        subscriptions.map(|subscription| subscription.received).sum()
    }
}

/// The publisher's name for the application on one shard.
pub(super) const fn application(shard: usize) -> u64 {
    APPLICATION + shard as u64
}

/// The shard's clock ticks in tenths of a second, and rounds down.
pub(super) const STAMP: Duration = Duration::from_millis(200);

/// Tick, sweep, rounding and a delayed pass.
pub(super) const SLACK: Duration = Duration::from_millis(350);

/// What a raw client expects back, in order.
pub(super) type Echoes = VecDeque<Result<String, Vec<u8>>>;
