//! What `echo` and `rpc` have in common: every connection asks, and each question has one answer. Open loop: each
//! connection asks at its times of the plan, as long as its window has room, and what it could not ask then it asks
//! late, with the intended time kept. Closed loop: each connection keeps its window full.

use super::{After, Connections, Meter, Scenario, Wire, wire};
use crate::client::Tongue;
use crate::flight::{Flight, Stamp};
use crate::plan::{Nanoseconds, Schedule};

/// How questions are written and answers read.
pub(crate) trait Dialogue {
    /// Appends the question of that number.
    fn ask(&mut self, tongue: &mut Tongue, out: &mut Vec<u8>, number: u64);

    /// Reads what came while `oldest` is the number of the oldest open question: which question it answers, and whether
    /// rightly; `None` when it is no answer at all.
    fn read(&mut self, tongue: &mut Tongue, text: &str, oldest: Option<u64>) -> Option<(u64, Result<(), String>)>;
}

/// The pace of asking.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The plan; none in a closed loop.
    pub(crate) schedule: Option<Schedule>,
    /// Most open questions of one connection.
    pub(crate) window: u32,
    /// Questions this worker may still ask.
    pub(crate) budget: u64,
}

/// The scenario of questions and answers.
#[derive(Debug)]
pub(crate) struct Calls<D> {
    dialogue: D,
    pace: Pace,
    /// How many questions each connection had asked at its end; for those that ended.
    asked: Vec<Option<u64>>,
    waiting: u64,
    is_kicked: bool,
}

impl<D: Dialogue> Calls<D> {
    /// The part of a worker with so many connections.
    pub(crate) fn new(dialogue: D, pace: Pace, connections: usize) -> Self {
        Self { dialogue, pace, asked: vec![None; connections], waiting: 0, is_kicked: false }
    }

    /// Asks everything that this connection owes and may ask.
    fn pump(&mut self, wire: &mut Wire<'_, Flight>, meter: &mut Meter) {
        while self.pace.budget > 0 && wire.role.has_room(self.pace.window) && wire.has_room() {
            let number = wire.role.next();
            let intended = match &self.pace.schedule {
                Some(schedule) => schedule.intended(wire.slot as u64, number),
                None => meter.now,
            };
            if !meter.accepts(intended) {
                return;
            }
            let stamp = Stamp { intended, sent: meter.now };
            wire.role.depart(stamp);
            self.dialogue.ask(wire.tongue, wire.out, number);
            meter.recorder.departed(stamp);
            self.pace.budget -= 1;
            self.waiting += 1;
        }
    }

    fn give_up(&mut self, flight: &mut Flight, meter: &mut Meter) {
        for stamp in flight.abandon() {
            self.waiting -= 1;
            meter.recorder.lost(stamp, meter.now);
        }
    }

    /// Counts what a connection that had asked `asked` questions still owed when the plan stopped.
    fn count_unsent(&self, slot: usize, mut asked: u64, meter: &mut Meter) {
        let stop = meter.recorder.window().stop.min(meter.now);
        while let Some(schedule) = &self.pace.schedule {
            let intended = schedule.intended(slot as u64, asked);
            if intended >= stop {
                return;
            }
            meter.recorder.unsent(intended, meter.now);
            asked += 1;
        }
    }
}

impl<D: Dialogue> Scenario for Calls<D> {
    type Role = Flight;

    fn role(&mut self, _slot: usize, _meter: &Meter) -> Flight {
        Flight::default()
    }

    fn ready(&mut self, _wire: &mut Wire<'_, Flight>, meter: &mut Meter) {
        meter.prepared += 1;
    }

    fn text(&mut self, wire: &mut Wire<'_, Flight>, meter: &mut Meter, text: &str) {
        let Some((number, outcome)) = self.dialogue.read(wire.tongue, text, wire.role.oldest()) else {
            meter.recorder.counters().error("a message that answers nothing");
            return;
        };
        match wire.role.arrive(number) {
            Some(stamp) => {
                self.waiting -= 1;
                meter.recorder.answered(stamp, meter.now);
            }
            None => meter.recorder.counters().unexpected += 1,
        }
        if let Err(text) = outcome {
            meter.recorder.counters().error(&text);
        }
        self.pump(wire, meter);
    }

    fn ended(&mut self, slot: usize, flight: &mut Flight, was_ready: bool, meter: &mut Meter) -> After {
        if !was_ready {
            return After::Reopen;
        }
        self.give_up(flight, meter);
        self.asked[slot] = Some(flight.next());
        After::Gone
    }

    fn step(&mut self, connections: &mut Connections<Flight>, tongue: &mut Tongue, meter: &mut Meter) {
        let Some(horizon) = meter.horizon() else { return };
        if self.pace.schedule.is_none() {
            let may_begin = meter.now >= meter.recorder.window().start;
            if may_begin && !std::mem::replace(&mut self.is_kicked, true) {
                for slot in 0..self.asked.len() {
                    if let Some(mut wire) = wire(connections, tongue, slot) {
                        self.pump(&mut wire, meter);
                    }
                }
            }
            return;
        }
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
        let window = meter.recorder.window();
        if !meter.has_begun || self.pace.budget == 0 {
            return None;
        }
        match &self.pace.schedule {
            Some(schedule) => schedule.next_time().filter(|&time| time < window.stop),
            None => (!self.is_kicked).then_some(window.start),
        }
    }

    fn is_settled(&self, meter: &Meter) -> bool {
        self.waiting == 0 && (meter.now >= meter.recorder.window().stop || self.pace.budget == 0)
    }

    fn finish(&mut self, connections: &mut Connections<Flight>, meter: &mut Meter) {
        for slot in 0..self.asked.len() {
            let asked = match connections.get(slot) {
                Some((client, _)) if self.asked[slot].is_none() => {
                    let flight = &mut client.role;
                    self.give_up(flight, meter);
                    flight.next()
                }
                _ => self.asked[slot].unwrap_or(0),
            };
            if self.pace.budget > 0 && meter.has_begun {
                self.count_unsent(slot, asked, meter);
            }
        }
    }
}
