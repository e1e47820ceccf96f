//! What the threads of a run share: its clock, its phases, and the deliveries that publishers wait for. Everything is
//! an atomic that one side writes and the others read; nobody ever waits on a lock. Never does I/O but ring doorbells.
//!
//! ```text
//! connecting -> all workers ready -> begun (window set) -> stop -> all workers settled -> finished -> threads end
//! ```

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crate::net::Bell;
use crate::plan::{Nanoseconds, Window};

/// The shared state of one run.
#[derive(Debug)]
pub(crate) struct Shared {
    epoch: Instant,
    bells: Vec<Bell>,
    has_begun: AtomicBool,
    start: AtomicU64,
    warm: AtomicU64,
    stop: AtomicU64,
    is_finished: AtomicBool,
    ready: AtomicUsize,
    settled: AtomicUsize,
    settled_at: AtomicU64,
    deliveries: Vec<AtomicU64>,
    /// Open connections of each worker.
    open: Vec<AtomicU64>,
}

impl Shared {
    /// A run of so many workers, whose clock starts now.
    pub(crate) fn new(workers: usize, publishers: usize) -> io::Result<Self> {
        Ok(Self {
            epoch: Instant::now(),
            bells: (0..workers).map(|_| Bell::new()).collect::<io::Result<_>>()?,
            has_begun: AtomicBool::new(false),
            start: AtomicU64::new(0),
            warm: AtomicU64::new(0),
            stop: AtomicU64::new(u64::MAX),
            is_finished: AtomicBool::new(false),
            ready: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            settled_at: AtomicU64::new(0),
            deliveries: (0..publishers).map(|_| AtomicU64::new(0)).collect(),
            open: (0..workers).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// The time of the run.
    pub(crate) fn now(&self) -> Nanoseconds {
        u64::try_from(self.epoch.elapsed().as_nanos()).expect("a run is shorter than 584 years")
    }

    /// A worker's doorbell.
    pub(crate) fn bell(&self, worker: usize) -> &Bell {
        &self.bells[worker]
    }

    fn ring_all(&self) {
        self.bells.iter().for_each(Bell::ring);
    }

    /// Lets the plan begin.
    pub(crate) fn begin(&self, window: Window) {
        self.start.store(window.start, Ordering::Relaxed);
        self.warm.store(window.warm, Ordering::Relaxed);
        self.stop.store(window.stop, Ordering::Relaxed);
        self.has_begun.store(true, Ordering::Release);
        self.ring_all();
    }

    /// Ends the plan early.
    pub(crate) fn stop_at(&self, stop: Nanoseconds) {
        self.stop.fetch_min(stop, Ordering::AcqRel);
        self.ring_all();
    }

    /// Tells the workers to record what is missing and to close.
    pub(crate) fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
        self.ring_all();
    }

    /// The window, once the plan has begun.
    pub(crate) fn window(&self) -> Option<Window> {
        self.has_begun.load(Ordering::Acquire).then(|| Window {
            start: self.start.load(Ordering::Relaxed),
            warm: self.warm.load(Ordering::Relaxed),
            stop: self.stop.load(Ordering::Relaxed),
        })
    }

    /// Whether the workers should close.
    pub(crate) fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::Acquire)
    }

    /// A worker has all its connections, or gave up on those it lacks.
    pub(crate) fn add_ready(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
    }

    /// How many workers are ready.
    pub(crate) fn ready(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    /// A worker has nothing more to send and waits for no answer.
    pub(crate) fn add_settled(&self, now: Nanoseconds) {
        self.settled_at.fetch_max(now, Ordering::AcqRel);
        self.settled.fetch_add(1, Ordering::AcqRel);
    }

    /// When all workers were settled, once they are.
    pub(crate) fn settled(&self) -> Option<Nanoseconds> {
        (self.settled.load(Ordering::Acquire) == self.bells.len()).then(|| self.settled_at.load(Ordering::Acquire))
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.bells.len()
    }

    /// Says how many connections of a worker are open.
    pub(crate) fn set_open(&self, worker: usize, connections: u64) {
        self.open[worker].store(connections, Ordering::Release);
    }

    /// How many connections are open, a tenth of a second ago at most.
    pub(crate) fn open(&self) -> u64 {
        self.open.iter().map(|open| open.load(Ordering::Acquire)).sum()
    }

    /// Notes deliveries of one publisher's messages, and wakes the worker that has it.
    pub(crate) fn add_deliveries(&self, publisher: usize, count: u64, here: usize) {
        self.deliveries[publisher].fetch_add(count, Ordering::AcqRel);
        let owner = publisher % self.bells.len();
        if owner != here {
            self.bells[owner].ring();
        }
    }

    /// How many deliveries of that publisher's messages arrived.
    pub(crate) fn deliveries(&self, publisher: usize) -> u64 {
        self.deliveries[publisher].load(Ordering::Acquire)
    }
}
