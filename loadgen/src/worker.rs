//! One thread of the generator: a glommio executor whose one task drives an engine of connections and a scenario. One
//! pass is one system call; the thread sleeps in the engine's ring until something arrives, something is due, or a
//! tenth of a second is over.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use crate::client::{Client, Event, Protocol, Stage, Tongue};
use crate::net::{Arrival, Engine, Line, Target, Wish};
use crate::plan::{Nanoseconds, Window};
use crate::record::{Interval, Recorder};
use crate::scenario::{After, Connections, Meter, Scenario, Wire};
use crate::shared::Shared;
use crate::units::Network;

/// Deadlines are looked at, measurements handed over and the phase checked at least this often.
const TICK: Nanoseconds = 100_000_000;
/// Deadlines of a slice of the connections per tick: of each connection once a second.
const SWEEP_TICKS: usize = 10;
/// Connections of one source address: far below the 28,000 ephemeral ports, with room for those in TIME_WAIT.
pub(crate) const PER_SOURCE: u64 = 10_000;
/// Attempts for one connection before the run goes on without it.
const ATTEMPTS_MAX: u8 = 3;
/// Between attempts.
const RETRY_PAUSE: Nanoseconds = 100_000_000;
/// How long goodbyes may take at the end.
const FAREWELL: Nanoseconds = 2_000_000_000;
/// Wake-ups for the plan are at least this far apart, so that a dense plan is served in small batches instead of by a
/// thread that never sleeps. What it adds to a latency is counted: it runs from the intended time.
const SPACING: Nanoseconds = 20_000;

/// What a worker is told.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    /// Connections of this worker.
    pub(crate) connections: usize,
    pub(crate) target: Target,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) protocol: Protocol,
    pub(crate) source: Option<Network>,
    /// Connections per second that this worker opens ahead of the plan.
    pub(crate) ramp: f64,
    /// Connections that may be on their way at once.
    pub(crate) opening_max: usize,
    pub(crate) open_timeout: Duration,
    pub(crate) seed: u64,
}

/// A worker at work.
struct Worker<S: Scenario> {
    orders: Orders,
    shared: Arc<Shared>,
    scenario: S,
    tongue: Tongue,
    meter: Meter,
    opener: Opener,
    reports: SyncSender<Interval>,
    unreported: Option<Interval>,
    next_report: Nanoseconds,
    open: u64,
    is_ready: bool,
    is_settled: bool,
    sweep: usize,
    farewell: Option<Nanoseconds>,
}

/// Opens connections at the ramp's pace.
struct Opener {
    waiting: VecDeque<(Nanoseconds, usize)>,
    attempts: Vec<u8>,
    /// What becomes of each slot once it is free.
    after: Vec<After>,
    opening: usize,
    opened: u64,
    begun_at: Nanoseconds,
    gone: u64,
}

impl Opener {
    fn new(slots: usize, is_ahead: bool) -> Self {
        Self {
            waiting: (0..slots).filter(|_| is_ahead).map(|slot| (0, slot)).collect(),
            attempts: vec![0; slots],
            after: vec![After::Gone; slots],
            opening: 0,
            opened: 0,
            begun_at: 0,
            gone: 0,
        }
    }

    /// When the next connection of the ramp may be opened.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn next_time(&self, orders: &Orders) -> Option<Nanoseconds> {
        let &(not_before, _) = self.waiting.front()?;
        let paced = self.begun_at + (self.opened as f64 * 1e9 / orders.ramp) as u64;
        (self.opening < orders.opening_max).then(|| paced.max(not_before))
    }
}

/// Works until the run is finished; gives what was measured and not handed over before.
pub(crate) fn work<S: Scenario>(
    orders: Orders,
    shared: Arc<Shared>,
    scenario: S,
    reports: SyncSender<Interval>,
) -> io::Result<Interval> {
    let mut connections: Connections<S::Role> =
        Engine::new(orders.connections, orders.target.clone(), shared.bell(orders.worker))?;
    let tongue = Tongue::new(orders.host.clone(), orders.path.clone(), orders.protocol, orders.seed);
    let window = Window { start: u64::MAX, warm: u64::MAX, stop: u64::MAX };
    let meter = Meter { now: shared.now(), recorder: Recorder::new(window), prepared: 0, has_begun: false };
    let opener = Opener { begun_at: meter.now, ..Opener::new(orders.connections, scenario.opens_ahead()) };
    let next_report = meter.now + 1_000_000_000;
    let mut worker = Worker {
        orders,
        shared,
        scenario,
        tongue,
        meter,
        opener,
        reports,
        unreported: None,
        next_report,
        open: 0,
        is_ready: false,
        is_settled: false,
        sweep: 0,
        farewell: None,
    };
    let mut next_tick = worker.meter.now;
    loop {
        let wait = worker.wait(next_tick);
        connections.enter(wait)?;
        worker.pass(&mut connections);
        if worker.meter.now >= next_tick {
            next_tick = worker.meter.now + TICK;
            worker.tick(&mut connections);
        }
        if worker.is_done(&mut connections) {
            worker.collect(&mut connections);
            let mut last = worker.meter.recorder.take();
            if let Some(unreported) = worker.unreported.take() {
                last.add(&unreported);
            }
            return Ok(last);
        }
        connections.flush();
    }
}

impl<S: Scenario> Worker<S> {
    /// How long the pass may sleep.
    fn wait(&self, next_tick: Nanoseconds) -> Duration {
        let now = self.shared.now();
        let due = self.scenario.next_time(&self.meter).map(|due| due.max(self.meter.now + SPACING));
        let opening = self.opener.next_time(&self.orders);
        let until = [Some(next_tick), due, opening].into_iter().flatten().min().expect("there is a next tick");
        Duration::from_nanos(until.saturating_sub(now))
    }

    /// Everything that came, and everything that is due.
    fn pass(&mut self, connections: &mut Connections<S::Role>) {
        self.meter.now = self.shared.now();
        if let Some(window) = self.shared.window() {
            if !std::mem::replace(&mut self.meter.has_begun, true) {
                self.scenario.begin(window.start);
            }
            self.meter.recorder.set_window(window);
        }
        let shared = Arc::clone(&self.shared);
        connections.arrivals(shared.bell(self.orders.worker), |slot, client, out, arrival| match arrival {
            Arrival::Connected => {
                client.connected(&self.tongue, out);
                Wish::Keep
            }
            Arrival::Bytes(line, bytes) => self.receive(slot, client, out, (line, bytes)),
            Arrival::Ended(error) => {
                self.ended(slot, client, error);
                Wish::Keep
            }
        });
        for slot in connections.freed() {
            self.scenario.freed(slot);
            match self.opener.after[slot] {
                After::Reopen => self.opener.waiting.push_back((self.meter.now + RETRY_PAUSE, slot)),
                After::Gone => self.opener.gone += 1,
            }
        }
        self.open_ahead(connections);
        self.scenario.step(connections, &mut self.tongue, &mut self.meter);
        while let Some((slot, role)) = self.scenario.next_opening(&mut self.meter) {
            self.open(connections, slot, role);
        }
        let is_deserted = self.scenario.opens_ahead() && self.opener.gone >= self.orders.connections as u64;
        if self.meter.has_begun && !self.is_settled && (is_deserted || self.scenario.is_settled(&self.meter)) {
            self.is_settled = true;
            self.shared.set_open(self.orders.worker, self.open);
            self.shared.add_settled(self.meter.now);
        }
    }

    fn receive(
        &mut self,
        slot: usize,
        client: &mut Client<S::Role>,
        out: &mut Vec<u8>,
        (line, bytes): (Line, &mut [u8]),
    ) -> Wish {
        let Self { scenario, tongue, meter, opener, open, .. } = self;
        let mut is_ready_now = false;
        let wish = client.receive(line, bytes, tongue, out, |role, tongue, out, event| {
            let mut wire = Wire { slot, role, out, tongue };
            match event {
                Event::Text(text) => scenario.text(&mut wire, meter, text),
                Event::Ready => {
                    is_ready_now = true;
                    *open += 1;
                    opener.opening = opener.opening.saturating_sub(usize::from(scenario.opens_ahead()));
                    meter.recorder.counters().opened += 1;
                    scenario.ready(&mut wire, meter);
                }
                Event::Ping => meter.recorder.counters().pings += 1,
                Event::Closed(code) => *meter.recorder.counters().closes.entry(code).or_default() += 1,
                Event::Broken(text) => meter.recorder.counters().error(&text),
            }
        });
        if is_ready_now {
            client.was_ready = true;
            client.deadline = Nanoseconds::MAX;
        }
        if matches!(client.stage(), Stage::Closed(_)) {
            client.deadline = client.deadline.min(self.meter.now + FAREWELL);
        }
        wish
    }

    fn ended(&mut self, slot: usize, client: &mut Client<S::Role>, error: Option<io::Error>) {
        let is_over = self.farewell.is_some();
        match client.stage() {
            Stage::Closing | Stage::Closed(_) | Stage::Broken => {}
            _ if is_over => {}
            Stage::Connecting => {
                let error = error.map_or_else(|| "ended".to_owned(), |error| error.to_string());
                self.meter.recorder.counters().error(&format!("connect: {error}"));
            }
            stage => {
                let counters = self.meter.recorder.counters();
                *counters.closes.entry(1006).or_default() += 1;
                let error = error.map_or_else(|| "by its end".to_owned(), |error| format!("by {error}"));
                counters.error(&format!("connection lost while {stage:?}, {error}").to_lowercase());
            }
        }
        if client.was_ready {
            self.open -= 1;
        } else if self.scenario.opens_ahead() {
            self.opener.opening = self.opener.opening.saturating_sub(1);
        }
        let mut after = self.scenario.ended(slot, &mut client.role, client.was_ready, &mut self.meter);
        if !client.was_ready {
            self.opener.attempts[slot] += u8::from(self.opener.attempts[slot] < ATTEMPTS_MAX);
            if self.opener.attempts[slot] >= ATTEMPTS_MAX {
                after = After::Gone;
            }
        }
        self.opener.after[slot] = if is_over { After::Gone } else { after };
    }

    fn open_ahead(&mut self, connections: &mut Connections<S::Role>) {
        while self.farewell.is_none() {
            let Some(time) = self.opener.next_time(&self.orders) else { return };
            if time > self.meter.now {
                return;
            }
            let Some((_, slot)) = self.opener.waiting.pop_front() else { return };
            self.opener.opening += 1;
            let role = self.scenario.role(slot, &self.meter);
            self.open(connections, slot, role);
        }
    }

    fn open(&mut self, connections: &mut Connections<S::Role>, slot: usize, role: S::Role) {
        let nth = self.opener.opened * self.orders.workers as u64 + self.orders.worker as u64;
        self.opener.opened += 1;
        let source = self.orders.source.map(|network| IpAddr::from(network.host(nth / PER_SOURCE)));
        let timeout = Nanoseconds::try_from(self.orders.open_timeout.as_nanos()).unwrap_or(Nanoseconds::MAX / 2);
        let client = Client::new(role, &mut self.tongue, self.meter.now + timeout);
        if let Err((error, mut client)) = connections.open(slot, source, client) {
            self.ended(slot, &mut client, Some(error));
            self.scenario.freed(slot);
            match self.opener.after[slot] {
                After::Reopen => self.opener.waiting.push_back((self.meter.now + RETRY_PAUSE, slot)),
                After::Gone => self.opener.gone += 1,
            }
        }
    }

    /// Phases, deadlines, reports.
    fn tick(&mut self, connections: &mut Connections<S::Role>) {
        let overdue: Vec<usize> = connections
            .connections()
            .filter(|(slot, client)| slot % SWEEP_TICKS == self.sweep && client.deadline <= self.meter.now)
            .map(|(slot, _)| slot)
            .collect();
        self.sweep = (self.sweep + 1) % SWEEP_TICKS;
        for slot in overdue {
            let Some((client, _)) = connections.get(slot) else { continue };
            if !matches!(client.stage(), Stage::Closing | Stage::Closed(_) | Stage::Broken) {
                let stage = format!("{:?}", client.stage()).to_lowercase();
                self.meter.recorder.counters().error(&format!("no answer in time while {stage}"));
                client.break_off();
            }
            connections.shutdown(slot);
        }
        self.shared.set_open(self.orders.worker, self.open);
        let expected = self.orders.connections as u64;
        let is_complete = !self.scenario.opens_ahead() || self.meter.prepared + self.opener.gone >= expected;
        if !self.is_ready && is_complete {
            self.is_ready = true;
            self.shared.add_ready();
        }
        if self.meter.now >= self.next_report {
            self.next_report += 1_000_000_000;
            self.report(connections);
        }
    }

    fn report(&mut self, connections: &mut Connections<S::Role>) {
        self.collect(connections);
        let mut interval = self.meter.recorder.take();
        if let Some(unreported) = self.unreported.take() {
            interval.add(&unreported);
        }
        if let Err(TrySendError::Full(interval) | TrySendError::Disconnected(interval)) =
            self.reports.try_send(interval)
        {
            self.unreported = Some(interval);
        }
    }

    fn collect(&mut self, connections: &mut Connections<S::Role>) {
        let counters = self.meter.recorder.counters();
        counters.bytes_in += std::mem::take(&mut connections.bytes_in);
        counters.bytes_out += std::mem::take(&mut connections.bytes_out);
        counters.buffer_shortages += std::mem::take(&mut connections.buffer_shortages);
        counters.short_sends += std::mem::take(&mut connections.short_sends);
    }

    /// Whether the worker may end: the run is finished and everybody said goodbye, or took too long.
    fn is_done(&mut self, connections: &mut Connections<S::Role>) -> bool {
        if !self.shared.is_finished() {
            return false;
        }
        let Some(until) = self.farewell else {
            self.scenario.finish(connections, &mut self.meter);
            let until = self.meter.now + FAREWELL;
            self.farewell = Some(until);
            for slot in 0..self.orders.connections {
                let Some((client, out)) = connections.get(slot) else { continue };
                if client.is_open() {
                    client.close(&mut self.tongue, out, until);
                } else {
                    connections.shutdown(slot);
                }
            }
            return false;
        };
        connections.connections().next().is_none() || self.meter.now >= until
    }
}
