//! `idle`: connections that say nothing but answer heartbeats, so that the server's memory per connection can be read.
//! The reading is done by the run, from /proc.

use super::{After, Connections, Meter, Scenario, Wire};
use crate::client::Tongue;
use crate::plan::Nanoseconds;

/// Holds connections.
#[derive(Debug)]
pub(crate) struct Idle;

impl Scenario for Idle {
    type Role = ();

    fn role(&mut self, _slot: usize, _meter: &Meter) {}

    fn ready(&mut self, _wire: &mut Wire<'_, ()>, meter: &mut Meter) {
        meter.prepared += 1;
    }

    fn text(&mut self, _wire: &mut Wire<'_, ()>, meter: &mut Meter, _text: &str) {
        meter.recorder.counters().error("a message that nobody asked for");
    }

    fn ended(&mut self, _slot: usize, (): &mut (), was_ready: bool, _meter: &mut Meter) -> After {
        if was_ready { After::Gone } else { After::Reopen }
    }

    fn step(&mut self, _connections: &mut Connections<()>, _tongue: &mut Tongue, _meter: &mut Meter) {}

    fn begin(&mut self, _start: Nanoseconds) {}

    fn next_time(&self, _meter: &Meter) -> Option<Nanoseconds> {
        None
    }

    fn is_settled(&self, meter: &Meter) -> bool {
        meter.now >= meter.recorder.window().stop
    }

    fn finish(&mut self, _connections: &mut Connections<()>, _meter: &mut Meter) {}
}
