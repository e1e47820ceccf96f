//! What the main thread tells the shards while they run: stop, report. It never waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use shard::{Pressure, ShardId};

use crate::net::Doorbell;

/// The main thread's end.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    orders: Arc<Orders>,
    doorbells: Vec<Arc<Doorbell>>,
}

/// What is ordered; every shard looks at it when its doorbell has rung.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    stopping: AtomicBool,
    /// Shards that nobody is connected to any more, before the stop.
    deserted: AtomicU32,
    reports: AtomicU32,
    /// Somebody else accepts from now on.
    handed_over: AtomicBool,
    /// Of memory, as its guard has measured it: the pressure in the lowest two bits, above it how many times.
    pressure: AtomicU32,
    /// By shard: goes on as long as its loop does.
    beats: Box<[AtomicU32]>,
}

impl Control {
    /// Controls the shards with these doorbells.
    pub(crate) fn new(doorbells: Vec<Arc<Doorbell>>) -> Self {
        let beats = doorbells.iter().map(|_| AtomicU32::new(0)).collect();
        Self { orders: Arc::new(Orders { beats, ..Orders::default() }), doorbells }
    }

    /// For a shard.
    pub(crate) fn orders(&self) -> Arc<Orders> {
        Arc::clone(&self.orders)
    }

    /// Asks every shard to stop.
    pub(crate) fn stop(&self) {
        self.orders.stopping.store(true, Ordering::Release);
        self.ring();
    }

    /// Asks every shard to stop, whose listening sockets somebody else has as well and accepts from: nobody who connects
    /// meanwhile is to be lost.
    pub(crate) fn hand_over(&self) {
        self.orders.handed_over.store(true, Ordering::Release);
        self.stop();
    }

    /// The memory was measured again. Shards look at their ticks.
    pub(super) fn press(&self, pressure: Pressure) {
        // Its only writer.
        let times = (self.orders.pressure.load(Ordering::Relaxed) >> 2).wrapping_add(1);
        let level = match pressure {
            Pressure::None => 0,
            Pressure::Full => 1,
            Pressure::Over => 2,
        };
        self.orders.pressure.store((times << 2) | level, Ordering::Relaxed);
    }

    /// Whether every shard's loop has come around since the last question; `last` is what was seen then.
    pub(crate) fn are_alive(&self, last: &mut Vec<u32>) -> bool {
        let beats: Vec<_> = self.orders.beats.iter().map(|beat| beat.load(Ordering::Relaxed)).collect();
        let before = std::mem::replace(last, beats);
        before.len() != last.len() || last.iter().zip(before).all(|(now, before)| *now != before)
    }

    /// Asks every shard for a line with its metrics.
    pub(crate) fn report(&self) {
        self.orders.reports.fetch_add(1, Ordering::Release);
        self.ring();
    }

    fn ring(&self) {
        self.doorbells.iter().for_each(|doorbell| doorbell.ring());
    }
}

impl Orders {
    /// Whether to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether somebody else accepts.
    pub(super) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Acquire)
    }

    /// The pressure, if it was measured since; `last` is what was seen then.
    pub(super) fn pressure(&self, last: &mut u32) -> Option<Pressure> {
        let now = self.pressure.load(Ordering::Relaxed);
        let is_new = std::mem::replace(last, now) != now;
        is_new.then_some(match now & 3 {
            0 => Pressure::None,
            1 => Pressure::Full,
            _ => Pressure::Over,
        })
    }

    /// A shard's loop has come around, at a tick.
    pub(super) fn beat(&self, shard: ShardId) {
        if let Some(beat) = self.beats.get(shard.index()) {
            // Its only writer.
            beat.store(beat.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// A shard says, once, that everybody has left it.
    pub(super) fn desert(&self) {
        self.deserted.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether everybody has left that many shards.
    pub(super) fn are_deserted(&self, shards: usize) -> bool {
        self.deserted.load(Ordering::Acquire) as usize >= shards
    }

    /// How many reports were asked for so far.
    pub(crate) fn reports(&self) -> u32 {
        self.reports.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measurement_of_the_memory_is_seen_once() {
        let control = Control::new(Vec::new());
        let (orders, mut seen) = (control.orders(), 0);
        assert_eq!(orders.pressure(&mut seen), None);
        for pressure in [Pressure::Full, Pressure::Over, Pressure::Over, Pressure::None] {
            control.press(pressure);
            assert_eq!(orders.pressure(&mut seen), Some(pressure));
            assert_eq!(orders.pressure(&mut seen), None);
        }
    }

    #[test]
    fn a_shard_whose_loop_stands_still_is_noticed() {
        let doorbells = (0..2).map(|_| Arc::new(Doorbell::new().expect("an eventfd"))).collect();
        let (control, mut seen) = (Control::new(doorbells), Vec::new());
        let orders = control.orders();
        assert!(control.are_alive(&mut seen), "the first time there is nothing to compare with");
        assert!(!control.are_alive(&mut seen));
        orders.beat(ShardId(0));
        assert!(!control.are_alive(&mut seen), "the other one stands still");
        orders.beat(ShardId(0));
        orders.beat(ShardId(1));
        assert!(control.are_alive(&mut seen));
    }
}
