//! *What* is said: one file per scenario, and the seam between a scenario and the worker that carries it. A scenario
//! never does I/O and never reads a clock: it is told the time and appends bytes to queues.

pub(crate) mod attendance;
pub(crate) mod calls;
pub(crate) mod connect;
pub(crate) mod delivery;
pub(crate) mod echo;
pub(crate) mod emit;
pub(crate) mod fanout;
pub(crate) mod idle;
pub(crate) mod keeper;
pub(crate) mod payload;
mod phrase;
pub(crate) mod presence;
pub(crate) mod rpc;

use crate::client::{Client, Tongue, UNSENT_BYTES_MAX};
use crate::net::Engine;
use crate::plan::Nanoseconds;
use crate::record::Recorder;

/// The connections of a worker whose roles are `R`.
pub(crate) type Connections<R> = Engine<Client<R>>;

/// What a scenario measures with.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The time of this pass: one reading of the clock serves everything that arrived in it.
    pub(crate) now: Nanoseconds,
    /// Latencies and counts.
    pub(crate) recorder: Recorder,
    /// Connections that have said everything that must be said before the plan begins.
    pub(crate) prepared: u64,
    /// The plan has begun.
    pub(crate) has_begun: bool,
}

impl Meter {
    /// Whether a message of that intended time may leave now: it is due, and of the plan. One that is late may leave
    /// after the plan's end, as long as the run waits for answers.
    pub(crate) const fn accepts(&self, intended: Nanoseconds) -> bool {
        let window = self.recorder.window();
        self.has_begun && intended >= window.start && intended < window.stop && intended <= self.now
    }

    /// The last moment up to which the plan is due.
    pub(crate) fn horizon(&self) -> Option<Nanoseconds> {
        self.has_begun.then(|| self.now.min(self.recorder.window().stop.saturating_sub(1)))
    }
}

/// One connection, as a scenario sees it.
pub(crate) struct Wire<'a, R> {
    /// Its number in this worker.
    pub(crate) slot: usize,
    /// The scenario's part of it.
    pub(crate) role: &'a mut R,
    /// Bytes to send.
    pub(crate) out: &'a mut Vec<u8>,
    /// Words and tools.
    pub(crate) tongue: &'a mut Tongue,
}

impl<R> Wire<'_, R> {
    /// Whether the server reads what was sent so far.
    pub(crate) const fn has_room(&self) -> bool {
        self.out.len() < UNSENT_BYTES_MAX
    }
}

/// The open connection in a slot.
pub(crate) fn wire<'a, R>(
    connections: &'a mut Connections<R>,
    tongue: &'a mut Tongue,
    slot: usize,
) -> Option<Wire<'a, R>> {
    let (client, out) = connections.get(slot)?;
    client.is_open().then_some(Wire { slot, role: &mut client.role, out, tongue })
}

/// What becomes of a connection's slot after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing: the plan goes on without it.
    Gone,
    /// It is opened again.
    Reopen,
}

/// What one worker does in a run.
pub(crate) trait Scenario {
    /// What it keeps for each connection.
    type Role;

    /// The role of the connection about to be opened in a slot.
    fn role(&mut self, slot: usize, meter: &Meter) -> Self::Role;

    /// The connection is open: says what must be said before the plan begins, and counts it as prepared then.
    fn ready(&mut self, wire: &mut Wire<'_, Self::Role>, meter: &mut Meter);

    /// A message came.
    fn text(&mut self, wire: &mut Wire<'_, Self::Role>, meter: &mut Meter, text: &str);

    /// The connection is over. `was_ready` tells whether it had been open.
    fn ended(&mut self, slot: usize, role: &mut Self::Role, was_ready: bool, meter: &mut Meter) -> After;

    /// Everything that came in this pass was handled: sends what is due.
    fn step(&mut self, connections: &mut Connections<Self::Role>, tongue: &mut Tongue, meter: &mut Meter);

    /// The plan is agreed on: its first message is due then.
    fn begin(&mut self, start: Nanoseconds);

    /// When something will be due that nothing arriving announces.
    fn next_time(&self, meter: &Meter) -> Option<Nanoseconds>;

    /// Whether everything is said and answered.
    fn is_settled(&self, meter: &Meter) -> bool;

    /// The run is over: counts what is missing.
    fn finish(&mut self, connections: &mut Connections<Self::Role>, meter: &mut Meter);

    /// Whether the worker opens all connections before the plan begins; else the scenario does, by the plan.
    fn opens_ahead(&self) -> bool {
        true
    }

    /// A slot is free (for scenarios that open by themselves).
    fn freed(&mut self, _slot: usize) {}

    /// Opens connections, for scenarios that do so by themselves: the slot and role of the next one, if one is due.
    fn next_opening(&mut self, _meter: &mut Meter) -> Option<(usize, Self::Role)> {
        None
    }
}
