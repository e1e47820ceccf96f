#![allow(unsafe_code)] // eventfd(2) and write(2) have no safe wrapper in the libraries at hand
//! A shard's doorbell: how other threads tell it that there is something to look at. It never carries what that is.
//!
//! ```text
//!            ring()                          sleep() succeeds only from Awake
//!   Awake ----------> Rung <---------- Asleep    and only a ring() that finds Asleep
//!     ^  <----------    |      ring()    ^       pays a system call
//!     |     answer()                     |
//!     +----------------------------------+
//! ```
//! So wakes coalesce: however many ring, at most one write(2) happens per sleep, and none while the shard is busy.
//! The order that makes it lossless: a ringer posts first and rings then; the shard answers first and looks then.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

/// One shard's doorbell. Its own cache line pair: it is the one word of a shard that others write.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Doorbell {
    state: AtomicU32,
    event: OwnedFd,
}

impl Doorbell {
    /// A doorbell of a shard that is awake.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: eventfd just returned it, and nobody else knows it.
        let event = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { state: AtomicU32::new(AWAKE), event })
    }

    /// Makes the shard look, from any thread. Whatever it should find must have been posted before.
    pub(crate) fn ring(&self) {
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            let one = 1_u64.to_ne_bytes();
            // SAFETY: eight readable bytes, as eventfd wants them. It can only fail once 2^64 - 2 wakes were written:
            // the counter is never read, since a poll armed as multishot reports each write.
            unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    /// Shard only: whether somebody has rung since the last answer. From now on a ring counts for the next look.
    pub(crate) fn answer(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == RUNG
    }

    /// Shard only: announces sleep. `false` when somebody has rung: look instead.
    #[must_use]
    pub(crate) fn sleep(&self) -> bool {
        self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether somebody has rung and was not answered yet.
    pub(crate) fn is_rung(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNG
    }

    /// What to poll for reading while asleep.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const RUNG: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(doorbell: &Doorbell) -> u64 {
        let mut count = [0; 8];
        // SAFETY: eight writable bytes.
        let read = unsafe { libc::read(doorbell.descriptor(), count.as_mut_ptr().cast(), count.len()) };
        if read == 8 { u64::from_ne_bytes(count) } else { 0 }
    }

    #[test]
    fn only_the_first_ring_of_a_sleep_is_a_system_call() {
        let doorbell = Doorbell::new().expect("an eventfd");
        doorbell.ring();
        doorbell.ring();
        assert_eq!(written(&doorbell), 0, "nobody sleeps");
        assert!(!doorbell.sleep(), "a ring before the sleep is not slept through");
        assert!(doorbell.answer());
        assert!(!doorbell.answer());
        assert!(doorbell.sleep());
        doorbell.ring();
        doorbell.ring();
        assert_eq!(written(&doorbell), 1);
        assert!(doorbell.answer());
    }
}
