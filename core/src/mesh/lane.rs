//! One lane: from one shard to one other, bounded, lock-free. It never blocks either end.
//!
//! The flag `blocked` closes the only gap: a sender that finds the lane full sets it and looks once more; a receiver
//! that has taken something looks at it afterwards. With a full fence between the two steps on both sides, at least one
//! of them sees the other, so a sender never waits for a ring that does not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use glommio::channels::spsc_queue::{self, Consumer, Producer};
use shard::Batch;

/// What a lane carries.
#[derive(Debug)]
pub(super) enum Parcel {
    /// Envelopes.
    Batch(Batch),
    /// Nothing follows.
    Fin,
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Sender {
    queue: Producer<Parcel>,
    blocked: Arc<Blocked>,
}

/// The receiving end.
#[derive(Debug)]
pub(super) struct Receiver {
    queue: Consumer<Parcel>,
    blocked: Arc<Blocked>,
}

/// Alone on its cache lines: the receiver looks at it once per pass.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Blocked(AtomicBool);

/// A lane for `capacity` parcels, rounded up to a power of two.
pub(super) fn lane(capacity: usize) -> (Sender, Receiver) {
    let (producer, consumer) = spsc_queue::make(capacity.max(1));
    let blocked = Arc::new(Blocked::default());
    (Sender { queue: producer, blocked: Arc::clone(&blocked) }, Receiver { queue: consumer, blocked })
}

impl Sender {
    /// Sends, or gives the parcel back: the receiver rings when there is room.
    pub(super) fn send(&self, parcel: Parcel) -> Result<(), Parcel> {
        let Some(parcel) = self.queue.try_push(parcel) else { return Ok(()) };
        self.blocked.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let Some(parcel) = self.queue.try_push(parcel) else {
            self.blocked.0.store(false, Ordering::Relaxed);
            return Ok(());
        };
        Err(parcel)
    }

    /// Whether the lane was full and the receiver has not taken anything since.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.0.load(Ordering::Acquire)
    }
}

impl Receiver {
    /// The next parcel.
    pub(super) fn receive(&self) -> Option<Parcel> {
        self.queue.try_pop()
    }

    /// After having received: whether the sender waits for room and must be rung.
    #[must_use]
    pub(super) fn unblock(&self) -> bool {
        fence(Ordering::SeqCst);
        self.blocked.0.load(Ordering::Relaxed) && self.blocked.0.swap(false, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_gives_the_parcel_back_and_says_when_to_ring() {
        let (sender, receiver) = lane(1);
        assert!(sender.send(Parcel::Fin).is_ok());
        assert!(!receiver.unblock(), "nobody waits");
        assert!(sender.send(Parcel::Fin).is_err());
        assert!(sender.is_blocked());
        assert!(receiver.receive().is_some());
        assert!(receiver.unblock());
        assert!(!receiver.unblock(), "one ring per blocked sender");
        assert!(!sender.is_blocked());
        assert!(sender.send(Parcel::Fin).is_ok());
    }
}
