#![allow(unsafe_code)] // io_uring_enter and io_uring_register are called raw: the crate cannot enter a registered ring
//! One shard's io_uring: the queue of what is asked, the queue of what happened, and the one system call between them,
//! which is also where the shard sleeps. It never interprets an operation.
//!
//! Built on the shard's own thread: with `SINGLE_ISSUER` the first thread to submit owns the ring. `DEFER_TASKRUN` runs
//! completions only inside [`Ring::enter`], so none interrupts the shard; `SUBMIT_ALL` goes on after an entry that
//! fails. Needs Linux 6.4 (multishot time-outs); `NO_SQARRAY` is taken where there is one (6.6).

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::{IoUring, squeue};

use super::Completion;

/// The ring.
pub(crate) struct Ring {
    ring: IoUring,
    /// Index of the ring in the thread's table: saves the descriptor's look-up on each enter.
    registered: Option<u32>,
    /// Completions taken early, to make room for the kernel.
    spilled: Vec<Completion>,
    metrics: RingMetrics,
}

/// What happened to the ring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RingMetrics {
    /// System calls made.
    pub(crate) enters: u64,
    /// Times the submission queue was full in the middle of a pass.
    pub(crate) submission_overflows: u64,
    /// Times the kernel held back completions because their queue was full.
    pub(crate) completion_overflows: u64,
}

impl Ring {
    /// A ring of `entries` submissions and four times as many completions: a pass submits at most one send per
    /// connection and overflows early, while a pass of mass ends completes without being asked.
    pub(crate) fn new(entries: u32) -> io::Result<Self> {
        let build = |sqarray: bool| {
            let mut builder = IoUring::builder();
            builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
            builder.setup_cqsize(entries.saturating_mul(4));
            if !sqarray {
                builder.setup_no_sqarray();
            }
            builder.build(entries)
        };
        let ring = match build(false) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => build(true)?,
            other => other?,
        };
        let registered = register(&ring);
        Ok(Self { ring, registered, spilled: Vec::new(), metrics: RingMetrics::default() })
    }

    /// Asks for an operation. A full queue is submitted on the spot.
    ///
    /// # Safety
    /// What the entry points to is valid until the operation is over, or until the next [`Ring::enter`] if the
    /// operation is one that ends inside of it.
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: the caller's promise.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            self.metrics.submission_overflows += 1;
            self.submit(0, 0)?;
        }
        Ok(())
    }

    /// Submits everything that was asked, runs what became ready, and with `wait` sleeps until at least one completion
    /// is there.
    pub(crate) fn enter(&mut self, wait: bool) -> io::Result<()> {
        self.submit(u32::from(wait), GETEVENTS)
    }

    /// Moves every completion into `completions`, those that did not fit the queue included: a send that failed must be
    /// seen in this pass, because its bytes are only kept for this one.
    pub(crate) fn drain(&mut self, completions: &mut Vec<Completion>) -> io::Result<()> {
        completions.append(&mut self.spilled);
        loop {
            completions.extend(
                self.ring.completion().map(|entry| Completion::new(entry.user_data(), entry.result(), entry.flags())),
            );
            if !self.ring.submission().cq_overflow() {
                return Ok(());
            }
            self.metrics.completion_overflows += 1;
            self.call(0, 0, GETEVENTS)?;
        }
    }

    /// Whether [`Ring::drain`] would find something.
    pub(crate) fn has_completions(&mut self) -> bool {
        !self.spilled.is_empty() || !self.ring.completion().is_empty()
    }

    /// How many operations were asked and not submitted yet.
    pub(crate) fn queued(&mut self) -> usize {
        self.ring.submission().len()
    }

    /// The counters.
    pub(crate) const fn metrics(&self) -> RingMetrics {
        self.metrics
    }

    /// Registers what is reached through the ring's descriptor.
    pub(super) fn submitter(&self) -> io_uring::Submitter<'_> {
        self.ring.submitter()
    }

    /// Enters until the submission queue is empty; only the first call waits.
    fn submit(&mut self, mut wait: u32, flags: u32) -> io::Result<()> {
        loop {
            let queued = u32::try_from(self.queued()).expect("a submission queue is counted in 32 bits");
            let submitted = self.call(queued, wait, flags)?;
            if submitted >= queued {
                return Ok(());
            }
            wait = 0;
        }
    }

    /// One system call. Interruption and shortage are not errors: nothing or part was submitted, and the caller
    /// tries again. `EBUSY` asks to take completions first, which `GETEVENTS` lets the kernel do.
    fn call(&mut self, queued: u32, wait: u32, flags: u32) -> io::Result<u32> {
        self.metrics.enters += 1;
        let (descriptor, flags) = match self.registered {
            Some(index) => (index as libc::c_int, flags | REGISTERED_RING),
            None => (self.ring.as_raw_fd(), flags),
        };
        let null = std::ptr::null::<libc::c_void>();
        // SAFETY: no memory is passed; the entries were vouched for when they were pushed.
        let result = unsafe { libc::syscall(libc::SYS_io_uring_enter, descriptor, queued, wait, flags, null, 0_usize) };
        if let Ok(submitted) = u32::try_from(result) {
            return Ok(submitted);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR | libc::ETIME) => Ok(0),
            Some(libc::EBUSY | libc::EAGAIN) => Ok(self.relieve(&error)),
            _ => Err(error),
        }
    }

    /// The kernel is short of something: completions are taken out of its way. Without any to take there is nothing that
    /// we could free: memory is gone, and a shard that spins would not bring it back sooner than one that tries every
    /// millisecond.
    fn relieve(&mut self, error: &io::Error) -> u32 {
        self.metrics.completion_overflows += 1;
        let before = self.spilled.len();
        let taken = self.ring.completion();
        self.spilled.extend(taken.map(|entry| Completion::new(entry.user_data(), entry.result(), entry.flags())));
        if self.spilled.len() == before {
            tracing::warn!(%error, "the kernel refuses to take operations");
            std::thread::sleep(Duration::from_millis(1));
        }
        0
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ring").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

/// Registers the ring's descriptor with its own thread. `None` where the kernel does not: then each enter looks it up.
fn register(ring: &IoUring) -> Option<u32> {
    #[repr(C)]
    struct Update {
        offset: u32,
        reserved: u32,
        data: u64,
    }
    let descriptor = ring.as_raw_fd();
    let mut update = Update { offset: u32::MAX, reserved: 0, data: u64::try_from(descriptor).ok()? };
    let pointer = std::ptr::from_mut(&mut update);
    // SAFETY: one valid update structure, which the kernel reads and whose offset it sets.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_register, descriptor, REGISTER_RING_FDS, pointer, 1_u32) };
    (result == 1).then_some(update.offset)
}

/// `IORING_ENTER_GETEVENTS`.
const GETEVENTS: u32 = 1;
/// `IORING_ENTER_REGISTERED_RING`.
const REGISTERED_RING: u32 = 1 << 4;
/// `IORING_REGISTER_RING_FDS`.
const REGISTER_RING_FDS: u32 = 20;
