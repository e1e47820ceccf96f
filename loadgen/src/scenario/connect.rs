//! `connect`: handshakes per second. Each attempt connects, upgrades, shakes hands and (unless connections are kept)
//! closes; its latency runs from its intended time to the handshake's answer. Closed loop: as many attempts as there
//! are slots, each followed by the next. Open loop: attempts at the times of the plan, waiting for a slot if need be.

use super::{After, Connections, Meter, Scenario, Wire};
use crate::client::Tongue;
use crate::flight::Stamp;
use crate::plan::{Nanoseconds, Schedule};

/// How long an attempt may wait for the server's end after its goodbye.
const CLOSE_WAIT: Nanoseconds = 2_000_000_000;

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    stamp: Stamp,
    is_answered: bool,
}

/// The scenario.
#[derive(Debug)]
pub(crate) struct Connect {
    schedule: Option<Schedule>,
    begun: u64,
    budget: u64,
    free: Vec<usize>,
    answered: Vec<usize>,
    waiting: u64,
    keeps_open: bool,
}

impl Connect {
    /// A worker with so many slots. The schedule, if any, has one "connection" per worker.
    pub(crate) fn new(schedule: Option<Schedule>, slots: usize, budget: u64, keeps_open: bool) -> Self {
        Self {
            schedule,
            begun: 0,
            budget,
            free: (0..slots).rev().collect(),
            answered: Vec::new(),
            waiting: 0,
            keeps_open,
        }
    }

    /// The intended time of the next attempt.
    fn intended(&self, now: Nanoseconds) -> Nanoseconds {
        self.schedule.as_ref().map_or(now, |schedule| schedule.intended(0, self.begun))
    }

    fn may_open(&self) -> bool {
        self.budget > 0 && !self.free.is_empty()
    }
}

impl Scenario for Connect {
    type Role = Attempt;

    fn role(&mut self, _slot: usize, meter: &Meter) -> Attempt {
        Attempt { stamp: Stamp { intended: meter.now, sent: meter.now }, is_answered: false }
    }

    fn ready(&mut self, wire: &mut Wire<'_, Attempt>, meter: &mut Meter) {
        wire.role.is_answered = true;
        self.waiting -= 1;
        meter.recorder.answered(wire.role.stamp, meter.now);
        if !self.keeps_open {
            self.answered.push(wire.slot);
        }
    }

    fn text(&mut self, _wire: &mut Wire<'_, Attempt>, meter: &mut Meter, _text: &str) {
        meter.recorder.counters().error("a message that nobody asked for");
    }

    fn ended(&mut self, _slot: usize, attempt: &mut Attempt, _was_ready: bool, meter: &mut Meter) -> After {
        if !std::mem::replace(&mut attempt.is_answered, true) {
            self.waiting -= 1;
            meter.recorder.lost(attempt.stamp, meter.now);
        }
        After::Gone
    }

    fn step(&mut self, connections: &mut Connections<Attempt>, tongue: &mut Tongue, meter: &mut Meter) {
        for slot in self.answered.drain(..) {
            if let Some((client, out)) = connections.get(slot) {
                client.close(tongue, out, meter.now + CLOSE_WAIT);
            }
        }
    }

    fn begin(&mut self, start: Nanoseconds) {
        if let Some(schedule) = &mut self.schedule {
            schedule.begin(start);
        }
    }

    fn next_time(&self, meter: &Meter) -> Option<Nanoseconds> {
        let window = meter.recorder.window();
        let may = meter.has_begun && self.may_open();
        may.then(|| self.intended(meter.now).max(window.start)).filter(|&time| time < window.stop)
    }

    fn is_settled(&self, meter: &Meter) -> bool {
        let is_full = self.keeps_open && self.free.is_empty();
        self.waiting == 0 && (meter.now >= meter.recorder.window().stop || self.budget == 0 || is_full)
    }

    fn finish(&mut self, connections: &mut Connections<Attempt>, meter: &mut Meter) {
        for (_, client) in connections.connections() {
            if !client.role.is_answered {
                self.waiting = self.waiting.saturating_sub(1);
                meter.recorder.lost(client.role.stamp, meter.now);
            }
        }
        let stop = meter.recorder.window().stop.min(meter.now);
        while self.schedule.is_some() && self.budget > 0 && meter.has_begun {
            let intended = self.intended(meter.now);
            if intended >= stop || (self.keeps_open && self.free.is_empty()) {
                return;
            }
            meter.recorder.unsent(intended, meter.now);
            self.begun += 1;
        }
    }

    fn opens_ahead(&self) -> bool {
        false
    }

    fn freed(&mut self, slot: usize) {
        if !self.keeps_open {
            self.free.push(slot);
        }
    }

    fn next_opening(&mut self, meter: &mut Meter) -> Option<(usize, Attempt)> {
        let intended = self.intended(meter.now);
        if !self.may_open() || !meter.accepts(intended) {
            return None;
        }
        let slot = self.free.pop()?;
        let stamp = Stamp { intended, sent: meter.now };
        meter.recorder.departed(stamp);
        self.begun += 1;
        self.budget -= 1;
        self.waiting += 1;
        Some((slot, Attempt { stamp, is_answered: false }))
    }
}
