//! What the main thread tells the shards while they run: stop, report. It never waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::net::Doorbell;

/// The main thread's end.
#[derive(Debug)]
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
}

impl Control {
    /// Controls the shards with these doorbells.
    pub(crate) fn new(doorbells: Vec<Arc<Doorbell>>) -> Self {
        Self { orders: Arc::default(), doorbells }
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
