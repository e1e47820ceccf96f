//! `idle`: connections that say nothing but answer heartbeats, so that the server's memory per connection can be read;
//! if asked, each subscribes to channels first. The reading is done by the run, from /proc.

use std::sync::Arc;

use super::phrase::{reply, subscribe};
use super::{After, Connections, Meter, Scenario, Wire};
use crate::client::Tongue;
use crate::plan::Nanoseconds;

/// The first subscription's call: 1 is the handshake.
const FIRST_CALL: u64 = 2;

/// Holds connections.
#[derive(Debug)]
pub(crate) struct Idle {
    channels: usize,
    prefix: Arc<str>,
    /// Channels of each connection.
    subscriptions: usize,
    worker: usize,
    workers: usize,
}

/// Subscriptions of a connection that the server has acknowledged.
type Acknowledged = usize;

impl Idle {
    /// The part of one worker.
    pub(crate) fn new(prefix: Arc<str>, [channels, subscriptions]: [usize; 2], [worker, workers]: [usize; 2]) -> Self {
        Self { channels, prefix, subscriptions, worker, workers }
    }
}

impl Scenario for Idle {
    type Role = Acknowledged;

    fn role(&mut self, _slot: usize, _meter: &Meter) -> Acknowledged {
        0
    }

    fn ready(&mut self, wire: &mut Wire<'_, Acknowledged>, meter: &mut Meter) {
        if self.subscriptions == 0 {
            meter.prepared += 1;
        }
        let number = wire.slot * self.workers + self.worker;
        for nth in 0..self.subscriptions {
            let channel = format!("{}{}", self.prefix, (number * self.subscriptions + nth) % self.channels);
            subscribe(wire.tongue, wire.out, &channel, FIRST_CALL + nth as u64);
        }
    }

    fn text(&mut self, wire: &mut Wire<'_, Acknowledged>, meter: &mut Meter, text: &str) {
        match reply(wire.tongue, text) {
            Some((_, Ok(_))) if *wire.role < self.subscriptions => {
                *wire.role += 1;
                meter.prepared += u64::from(*wire.role == self.subscriptions);
            }
            Some((_, Err(error))) => meter.recorder.counters().error(&format!("refused: {error}")),
            _ => meter.recorder.counters().error("a message that nobody asked for"),
        }
    }

    fn ended(&mut self, _slot: usize, _role: &mut Acknowledged, was_ready: bool, _meter: &mut Meter) -> After {
        if was_ready { After::Gone } else { After::Reopen }
    }

    fn step(&mut self, _connections: &mut Connections<Acknowledged>, _tongue: &mut Tongue, _meter: &mut Meter) {}

    fn begin(&mut self, _start: Nanoseconds) {}

    fn next_time(&self, _meter: &Meter) -> Option<Nanoseconds> {
        None
    }

    fn is_settled(&self, meter: &Meter) -> bool {
        meter.now >= meter.recorder.window().stop
    }

    fn finish(&mut self, _connections: &mut Connections<Acknowledged>, _meter: &mut Meter) {}
}
