//! Looking for work before sleeping: for a bounded time a shard polls its ring and its doorbell instead of being woken.
//! It never runs while a shard stops, and never when there is something to do already.
//!
//! What it buys is the wake-up: a thread that the kernel must schedule again is some microseconds late, and tens on a
//! CPU that has gone to sleep meanwhile. What it costs is a CPU that is busy while nothing happens.

use std::io;
use std::time::{Duration, Instant};

use crate::net::{Doorbell, Sockets};

/// How long a shard looks, and how often it found something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spin {
    time: Duration,
    /// Times it looked before sleeping.
    pub(super) spins: u64,
    /// Times something came while it looked, so that it did not sleep.
    pub(super) hits: u64,
}

impl Spin {
    /// Looks for this long; zero is never.
    pub(super) const fn new(time: Duration) -> Self {
        Self { time, spins: 0, hits: 0 }
    }

    /// Whether it looks at all.
    pub(super) const fn is_on(&self) -> bool {
        !self.time.is_zero()
    }

    /// Looks until something is there or the time is over; says whether something is.
    ///
    /// Everything that was asked of the ring is submitted by the first look. The doorbell's owner counts as awake
    /// meanwhile, so whoever rings pays no system call.
    pub(super) fn look(&mut self, sockets: &mut Sockets, doorbell: &Doorbell) -> io::Result<bool> {
        self.spins += 1;
        let began = Instant::now();
        loop {
            sockets.enter(false)?;
            if sockets.has_completions() || doorbell.is_rung() {
                self.hits += 1;
                return Ok(true);
            }
            if began.elapsed() >= self.time {
                return Ok(false);
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::RingSettings;

    fn parts() -> (Sockets, Arc<Doorbell>) {
        let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
        let settings = RingSettings { entries: 8, receive_buffers: 2, receive_buffer_bytes: 64, direct_descriptors: 0 };
        // The tick is an hour away: nothing completes by itself.
        let tick = Duration::from_secs(3600);
        (Sockets::new(&settings, Arc::clone(&doorbell), tick).expect("a ring"), doorbell)
    }

    #[test]
    fn a_look_ends_when_its_time_is_over() {
        let (mut sockets, doorbell) = parts();
        let mut spin = Spin::new(Duration::from_micros(10));
        assert!(!spin.look(&mut sockets, &doorbell).expect("a ring that works"));
        assert_eq!((spin.spins, spin.hits), (1, 0));
        assert!(!Spin::new(Duration::ZERO).is_on());
    }

    #[test]
    fn a_ring_of_the_doorbell_is_seen_without_a_system_call() {
        let (mut sockets, doorbell) = parts();
        let mut spin = Spin::new(Duration::from_secs(60));
        std::thread::scope(|scope| {
            scope.spawn(|| doorbell.ring());
            assert!(spin.look(&mut sockets, &doorbell).expect("a ring that works"));
        });
        assert_eq!((spin.spins, spin.hits), (1, 1));
        assert!(!sockets.has_completions(), "nobody slept, so nothing was written to the eventfd");
        assert!(doorbell.answer());
    }

    #[test]
    fn a_completion_is_seen() {
        let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
        let settings = RingSettings { entries: 8, receive_buffers: 2, receive_buffer_bytes: 64, direct_descriptors: 0 };
        let mut sockets = Sockets::new(&settings, Arc::clone(&doorbell), Duration::from_millis(1)).expect("a ring");
        let mut spin = Spin::new(Duration::from_secs(60));
        assert!(spin.look(&mut sockets, &doorbell).expect("a ring that works"), "the tick comes");
        assert!(sockets.has_completions());
    }
}
