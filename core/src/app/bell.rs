//! The waker of a shard's tasks: rings the driver's doorbell when a task is woken from elsewhere, and keeps quiet when
//! that happens while the tasks are being run anyway, which saves a system call for each wake between tasks.
//!
//! ```text
//!          begin            wake
//!   IDLE ────────> RUNNING ──────> WOKEN        wake in IDLE: rings the driver
//!     ^  end: true    |   <──begin───┘          wake in RUNNING or WOKEN: run again, no ring
//!     └───────────────┘  end: false in WOKEN
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

/// The waker of one shard's tasks.
pub(crate) struct Bell {
    state: AtomicU8,
    driver: Waker,
}

impl Bell {
    /// The bell in front of a driver's waker.
    pub(crate) const fn new(driver: Waker) -> Self {
        Self { state: AtomicU8::new(IDLE), driver }
    }

    /// The tasks are about to be run: wakes from here on are seen by this run or make it go round again.
    pub(crate) fn begin(&self) {
        self.state.store(RUNNING, Ordering::SeqCst);
    }

    /// Ends the run, unless something was woken since `begin`.
    pub(crate) fn end(&self) -> bool {
        self.state.compare_exchange(RUNNING, IDLE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Ends the run with work left: the driver is to come back.
    pub(crate) fn end_and_ring(&self) {
        self.state.store(IDLE, Ordering::SeqCst);
        self.driver.wake_by_ref();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.compare_exchange(RUNNING, WOKEN, Ordering::SeqCst, Ordering::SeqCst) == Err(IDLE) {
            self.driver.wake_by_ref();
        }
    }
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const WOKEN: u8 = 2;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[derive(Default)]
    struct Rings(AtomicU32);

    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_wake_rings_only_when_nobody_looks_anyway() {
        let rings = Arc::new(Rings::default());
        let bell = Arc::new(Bell::new(Waker::from(Arc::clone(&rings))));
        let waker = Waker::from(Arc::clone(&bell));
        waker.wake_by_ref();
        assert_eq!(rings.0.load(Ordering::SeqCst), 1);
        bell.begin();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(rings.0.load(Ordering::SeqCst), 1);
        assert!(!bell.end(), "something was woken: the tasks must be looked at again");
        bell.begin();
        assert!(bell.end());
        waker.wake();
        assert_eq!(rings.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_run_that_stops_with_work_left_rings_by_itself() {
        let rings = Arc::new(Rings::default());
        let bell = Arc::new(Bell::new(Waker::from(Arc::clone(&rings))));
        bell.begin();
        bell.end_and_ring();
        assert_eq!(rings.0.load(Ordering::SeqCst), 1);
        assert!(!bell.end());
    }
}
