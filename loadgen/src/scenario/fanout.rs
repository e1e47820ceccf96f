//! `fanout`: publishers and subscribers on channels. Every delivery is checked against its sequence number, so that
//! loss, duplicates and disorder are counted for each (publisher, channel, subscriber). Closed loop: a publisher keeps
//! its window of publications in flight, and one counts as done when every subscriber has it, on whatever thread.
//! Servers without channels send every message to all connections, its publisher included: there, nobody subscribes,
//! and a publication is acknowledged by the publisher's own copy.
//!
//! Connections are numbered over all workers: first the publishers, then the subscribers. Subscriber s has the channels
//! `s × k … s × k + k - 1` modulo their number; publisher p sends its n-th publication to channel `p + n`.

use std::sync::Arc;

use super::calls::Pace;
use super::delivery::{Delivery, Publications};
use super::phrase::{invoke, reply, subscribe};
use super::{After, Connections, Meter, Scenario, Wire, wire};
use crate::client::{Protocol, Tongue};
use crate::flight::{Flight, Stamp};
use crate::plan::{Nanoseconds, share};
use crate::sequence::Stream;
use crate::shared::Shared;

/// The call by which a publisher asks for its shard.
const SHARD_CALL: u64 = 2;
/// The first publication's or subscription's call.
const FIRST_CALL: u64 = 3;
/// How long a publisher waits for the number of its shard: servers that do not know the question may not answer.
const SHARD_WAIT: Nanoseconds = 1_000_000_000;
/// Connections a publisher tries to land on its shard: with 64 shards, 400 tries fail once in 500.
const SHARD_TRIES_MAX: u16 = 400;
/// How long a redialling publisher waits for the server's end.
const CLOSE_WAIT: Nanoseconds = 1_000_000_000;
/// Without any delivery for so long, what a closed loop waits for is lost and no longer waited for.
const DELIVERY_WAIT: Nanoseconds = 1_000_000_000;

/// Who takes part.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    pub(crate) channels: usize,
    /// Channels of each subscriber.
    pub(crate) subscriptions: usize,
    /// Shards to spread the publishers over; none if they stay where they land.
    pub(crate) shards: Option<usize>,
    /// Shards on which publishers and subscribers must be; none if they stay where they land.
    pub(crate) publisher_shard: Option<u64>,
    pub(crate) subscriber_shard: Option<u64>,
    pub(crate) protocol: Protocol,
    /// Whether the server has channels; else it sends every message to everybody.
    pub(crate) has_channels: bool,
    /// Channels are named by this and their numbers.
    pub(crate) prefix: Arc<str>,
    pub(crate) payload_bytes: usize,
    pub(crate) seed: u64,
}

impl Cast {
    /// How many subscribers each channel has.
    fn audience(&self) -> Vec<u64> {
        let mut audience = vec![0; self.channels];
        for subscription in 0..self.subscribers * self.subscriptions {
            audience[subscription % self.channels] += 1;
        }
        audience
    }
}

/// One connection's part.
#[derive(Debug)]
pub(crate) enum Role {
    Publisher(Publisher),
    Subscriber(Subscriber),
}

/// A publisher.
#[derive(Debug)]
pub(crate) struct Publisher {
    number: usize,
    /// Waits until then for the number of its shard.
    asking: Option<Nanoseconds>,
    flight: Flight,
    /// The next sequence number on each channel.
    sequences: Vec<u32>,
    /// Deliveries that its publications should cause.
    expected: u64,
    /// Of these, the ones no longer waited for.
    written_off: u64,
    /// Deliveries when last looked at, and since when there were no more.
    progress: (u64, Nanoseconds),
}

/// A subscriber.
#[derive(Debug)]
pub(crate) struct Subscriber {
    number: usize,
    acknowledged: usize,
    /// By its channels, then by publisher.
    streams: Vec<Stream>,
}

/// The scenario, as one worker plays it.
pub(crate) struct Fanout {
    cast: Cast,
    pace: Pace,
    shared: Arc<Shared>,
    worker: usize,
    workers: usize,
    publishers_here: usize,
    publications: Publications,
    audience: Vec<u64>,
    audience_max: u64,
    /// Deliveries of this pass, by publisher, and the publishers that have any.
    delivered: Vec<u64>,
    touched: Vec<usize>,
    tries: Vec<u16>,
    redial: Vec<usize>,
    asking: usize,
    /// Deliveries that the publications of this worker should cause.
    expected: u64,
    /// Publications of this worker that wait for their acknowledgement.
    waiting: u64,
}

impl Fanout {
    /// The part of one worker.
    pub(crate) fn new(cast: Cast, pace: Pace, shared: Arc<Shared>, worker: usize, workers: usize) -> Self {
        let audience = cast.audience();
        let publishers_here = share(cast.publishers as u64, worker as u64, workers as u64);
        let publishers_here = usize::try_from(publishers_here).expect("not more than all");
        let connections_here = share((cast.publishers + cast.subscribers) as u64, worker as u64, workers as u64);
        let connections_here = usize::try_from(connections_here).expect("not more than all");
        Self {
            pace,
            shared,
            worker,
            workers,
            publishers_here,
            publications: Publications::new(&cast),
            audience_max: audience.iter().copied().max().unwrap_or(0),
            audience,
            delivered: vec![0; cast.publishers],
            touched: Vec::new(),
            tries: vec![0; connections_here],
            redial: Vec::new(),
            asking: 0,
            expected: 0,
            waiting: 0,
            cast,
        }
    }

    fn pump(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter) {
        while self.pace.budget > 0 && wire.has_room() {
            let Role::Publisher(publisher) = &mut *wire.role else { return };
            if !publisher.flight.has_room(self.pace.window) {
                return;
            }
            let number = publisher.flight.next();
            let channel = self.channel(publisher.number, number);
            let intended = match &self.pace.schedule {
                Some(schedule) => schedule.intended(wire.slot as u64, number),
                None if self.is_full(publisher, channel) => return,
                None => meter.now,
            };
            if !meter.accepts(intended) {
                return;
            }
            let stamp = Stamp { intended, sent: meter.now };
            publisher.flight.depart(stamp);
            let sequence = publisher.sequences[channel];
            publisher.sequences[channel] = sequence.wrapping_add(1);
            publisher.expected += self.audience[channel];
            let delivery = Delivery { channel, publisher: publisher.number, sequence, stamp };
            self.publications.write(wire.tongue, wire.out, &delivery, number + FIRST_CALL);
            meter.recorder.departed(stamp);
            self.expected += self.audience[channel];
            self.waiting += 1;
            self.pace.budget -= 1;
        }
    }

    fn channel(&self, publisher: usize, number: u64) -> usize {
        let channels = self.cast.channels as u64;
        usize::try_from((publisher as u64 + number) % channels).expect("below a usize")
    }

    /// Whether a closed loop must wait for deliveries before it publishes to that channel.
    fn is_full(&self, publisher: &Publisher, channel: usize) -> bool {
        let arrived = self.shared.deliveries(publisher.number) + publisher.written_off;
        let outstanding = publisher.expected.saturating_sub(arrived);
        outstanding > 0 && outstanding + self.audience[channel] > u64::from(self.pace.window) * self.audience_max
    }

    fn deliver(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter, text: &str) -> bool {
        if matches!(wire.role, Role::Publisher(_)) && self.cast.has_channels {
            return false;
        }
        let delivery = match self.publications.read(wire.tongue, text) {
            None => return false,
            Some(Ok(delivery)) => delivery,
            Some(Err(text)) => {
                meter.recorder.counters().error(&text);
                return true;
            }
        };
        let Role::Subscriber(subscriber) = &mut *wire.role else {
            self.copied(wire, meter, &delivery);
            return true;
        };
        let Cast { publishers, channels, subscriptions, .. } = self.cast;
        let first = subscriber.number * subscriptions % channels;
        let nth = (delivery.channel + channels - first) % channels;
        if delivery.publisher >= publishers || delivery.channel >= channels || nth >= subscriptions {
            meter.recorder.counters().unexpected += 1;
            return true;
        }
        let arrival = subscriber.streams[nth * publishers + delivery.publisher].arrive(delivery.sequence);
        if meter.recorder.counters().tally.count(arrival) {
            meter.recorder.answered(delivery.stamp, meter.now);
            if self.delivered[delivery.publisher] == 0 {
                self.touched.push(delivery.publisher);
            }
            self.delivered[delivery.publisher] += 1;
        }
        true
    }

    /// A publisher got a copy: its own is the acknowledgement, others are not its business.
    fn copied(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter, delivery: &Delivery) {
        let Role::Publisher(publisher) = &mut *wire.role else { return };
        if delivery.publisher != publisher.number {
            return;
        }
        // The low bits came back: the number is the first from the oldest open one on that has them.
        let oldest = publisher.flight.oldest().unwrap_or(0);
        let ahead = u64::from(delivery.sequence).wrapping_sub(oldest) & u64::from(u32::MAX);
        if publisher.flight.arrive(oldest + ahead).is_some() {
            self.waiting -= 1;
        } else {
            meter.recorder.counters().unexpected += 1;
        }
        self.pump(wire, meter);
    }

    /// An answer to a subscription or a publication.
    fn acknowledged(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter, text: &str) {
        let Some((call, outcome)) = reply(wire.tongue, text) else {
            meter.recorder.counters().error("a message that answers nothing");
            return;
        };
        if call == SHARD_CALL {
            return self.landed(wire, meter, outcome.ok());
        }
        let is_known = match wire.role {
            Role::Subscriber(subscriber) => {
                subscriber.acknowledged += 1;
                if subscriber.acknowledged == self.cast.subscriptions {
                    meter.prepared += 1;
                }
                subscriber.acknowledged <= self.cast.subscriptions
            }
            Role::Publisher(publisher) => {
                let number = call.wrapping_sub(FIRST_CALL);
                let is_known = publisher.flight.arrive(number).is_some();
                self.waiting -= u64::from(is_known);
                if is_known && outcome.is_err() {
                    let channel = (publisher.number as u64 + number) % self.cast.channels as u64;
                    let audience = self.audience[usize::try_from(channel).expect("below a usize")];
                    publisher.expected -= audience;
                    self.expected -= audience;
                }
                is_known
            }
        };
        if !is_known {
            meter.recorder.counters().unexpected += 1;
        }
        if let Err(error) = outcome {
            meter.recorder.counters().error(&format!("refused: {error}"));
        }
        self.pump(wire, meter);
    }

    /// The shard that a connection should be on.
    fn wanted(&self, role: &Role) -> Option<u64> {
        match role {
            Role::Publisher(publisher) => {
                let spread = self.cast.shards.map(|shards| (publisher.number % shards) as u64);
                self.cast.publisher_shard.or(spread)
            }
            Role::Subscriber(_) => self.cast.subscriber_shard,
        }
    }

    /// A connection learnt its shard (or will not): stays, or tries another connection.
    fn landed(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter, data: Option<Option<u64>>) {
        if let Role::Publisher(publisher) = &mut *wire.role {
            if publisher.asking.take().is_none() {
                return;
            }
            self.asking -= 1;
        }
        let (shard, wanted) = (data.flatten(), self.wanted(wire.role));
        if wanted.is_some() && shard.is_some() && wanted != shard && self.tries[wire.slot] < SHARD_TRIES_MAX {
            self.tries[wire.slot] += 1;
            self.redial.push(wire.slot);
            return;
        }
        let is_demanded = match wire.role {
            Role::Publisher(_) => self.cast.publisher_shard.is_some(),
            Role::Subscriber(_) => true,
        };
        if is_demanded && wanted != shard {
            meter.recorder.counters().error("no connection to the shard that was asked for");
        }
        match &mut *wire.role {
            Role::Publisher(_) => {
                if let Some(shard) = shard {
                    *meter.recorder.counters().publishers.entry(shard).or_default() += 1;
                }
                meter.prepared += 1;
            }
            Role::Subscriber(subscriber) => self.cast.subscribe(subscriber.number, wire.tongue, wire.out),
        }
    }

    /// Looks after the publishers of this worker: questions without answer, redialling, deliveries that never came.
    fn attend(&mut self, connections: &mut Connections<Role>, tongue: &mut Tongue, meter: &mut Meter) {
        for slot in std::mem::take(&mut self.redial) {
            if let Some((client, out)) = connections.get(slot) {
                client.close(tongue, out, meter.now + CLOSE_WAIT);
            }
        }
        for slot in 0..self.publishers_here {
            let Some(mut wire) = wire(connections, tongue, slot) else { continue };
            let Role::Publisher(publisher) = &mut *wire.role else { continue };
            if publisher.asking.is_some_and(|until| meter.now >= until) {
                self.landed(&mut wire, meter, None);
                continue;
            }
            if !meter.has_begun || self.pace.schedule.is_some() {
                continue;
            }
            let arrived = self.shared.deliveries(publisher.number);
            if arrived != publisher.progress.0 || arrived + publisher.written_off >= publisher.expected {
                publisher.progress = (arrived, meter.now);
            } else if meter.now > publisher.progress.1 + DELIVERY_WAIT {
                publisher.written_off = publisher.expected - arrived;
                publisher.progress.1 = meter.now;
            }
            self.pump(&mut wire, meter);
        }
    }
}

impl Cast {
    /// Subscribes that subscriber to its channels.
    fn subscribe(&self, number: usize, tongue: &mut Tongue, out: &mut Vec<u8>) {
        for nth in 0..self.subscriptions {
            let channel = format!("{}{}", self.prefix, (number * self.subscriptions + nth) % self.channels);
            subscribe(tongue, out, &channel, FIRST_CALL + nth as u64);
        }
    }
}

impl Scenario for Fanout {
    type Role = Role;

    fn role(&mut self, slot: usize, _meter: &Meter) -> Role {
        let number = slot * self.workers + self.worker;
        if number < self.cast.publishers {
            return Role::Publisher(Publisher {
                number,
                asking: None,
                flight: Flight::default(),
                sequences: vec![0; self.cast.channels],
                expected: 0,
                written_off: 0,
                progress: (0, 0),
            });
        }
        let streams = vec![Stream::default(); self.cast.publishers * self.cast.subscriptions];
        Role::Subscriber(Subscriber { number: number - self.cast.publishers, acknowledged: 0, streams })
    }

    fn ready(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter) {
        match &mut *wire.role {
            Role::Publisher(publisher) => {
                publisher.asking = Some(meter.now + SHARD_WAIT);
                self.asking += 1;
                if self.wanted(wire.role).is_none() {
                    return self.landed(wire, meter, None);
                }
                invoke(wire.tongue, wire.out, "app.shard", SHARD_CALL);
            }
            Role::Subscriber(subscriber) if self.cast.has_channels => {
                if self.cast.subscriber_shard.is_none() {
                    return self.cast.subscribe(subscriber.number, wire.tongue, wire.out);
                }
                invoke(wire.tongue, wire.out, "app.shard", SHARD_CALL);
            }
            Role::Subscriber(_) => meter.prepared += 1,
        }
    }

    fn text(&mut self, wire: &mut Wire<'_, Role>, meter: &mut Meter, text: &str) {
        if !self.deliver(wire, meter, text) {
            self.acknowledged(wire, meter, text);
        }
    }

    fn ended(&mut self, slot: usize, role: &mut Role, was_ready: bool, _meter: &mut Meter) -> After {
        let publisher = match role {
            Role::Publisher(publisher) => publisher,
            // Before it has subscribed, a subscriber only ends in order to land elsewhere.
            Role::Subscriber(subscriber) => {
                let is_redialling = self.tries[slot] > 0 && subscriber.acknowledged == 0;
                return if !was_ready || is_redialling { After::Reopen } else { After::Gone };
            }
        };
        if publisher.asking.take().is_some() {
            self.asking -= 1;
        }
        self.waiting -= u64::from(publisher.flight.waiting());
        // Before it has published anything, a publisher only ends in order to land elsewhere.
        let is_redialling = self.tries[slot] > 0 && publisher.flight.next() == 0;
        if !was_ready || is_redialling { After::Reopen } else { After::Gone }
    }

    fn step(&mut self, connections: &mut Connections<Role>, tongue: &mut Tongue, meter: &mut Meter) {
        for publisher in self.touched.drain(..) {
            self.shared.add_deliveries(publisher, std::mem::take(&mut self.delivered[publisher]), self.worker);
        }
        if self.asking > 0 || !self.redial.is_empty() || self.pace.schedule.is_none() {
            self.attend(connections, tongue, meter);
        }
        let Some(horizon) = meter.horizon() else { return };
        while let Some(due) = self.pace.schedule.as_mut().and_then(|schedule| schedule.next_due(horizon)) {
            meter.recorder.lagged(meter.now - due.intended);
            if let Some(mut wire) = wire(connections, tongue, due.connection) {
                self.pump(&mut wire, meter);
            }
        }
    }

    fn begin(&mut self, start: Nanoseconds) {
        if let Some(schedule) = &mut self.pace.schedule {
            schedule.begin(start);
        }
    }

    fn next_time(&self, meter: &Meter) -> Option<Nanoseconds> {
        if self.asking > 0 {
            return Some(meter.now + SHARD_WAIT / 10);
        }
        let window = meter.recorder.window();
        if !meter.has_begun || self.publishers_here == 0 {
            return None;
        }
        match &self.pace.schedule {
            Some(schedule) => schedule.next_time().filter(|&time| time < window.stop),
            None => (meter.now < window.start).then_some(window.start),
        }
    }

    fn is_settled(&self, meter: &Meter) -> bool {
        let is_silent = meter.now >= meter.recorder.window().stop || self.pace.budget == 0;
        let publishers = (self.worker..self.cast.publishers).step_by(self.workers);
        is_silent
            && self.waiting == 0
            && publishers.map(|publisher| self.shared.deliveries(publisher)).sum::<u64>() >= self.expected
    }

    fn finish(&mut self, connections: &mut Connections<Role>, meter: &mut Meter) {
        meter.recorder.counters().expected += self.expected;
        let stop = meter.recorder.window().stop.min(meter.now);
        for slot in 0..self.publishers_here {
            let mut published = match connections.get(slot) {
                Some((client, _)) => match &client.role {
                    Role::Publisher(publisher) => publisher.flight.next(),
                    Role::Subscriber(_) => continue,
                },
                None => continue,
            };
            while let Some(schedule) = self.pace.schedule.as_ref().filter(|_| meter.has_begun) {
                let intended = schedule.intended(slot as u64, published);
                if intended >= stop {
                    break;
                }
                meter.recorder.unsent(intended, meter.now);
                published += 1;
            }
        }
    }
}
