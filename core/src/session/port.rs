//! Where a store's answers reach a shard: any thread puts them in, the shard takes them out when its doorbell has rung.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use shard::{Command, StoreFailed};

use super::store::StoreError;

/// One shard's.
#[derive(Debug)]
pub(super) struct Port {
    inbox: Mutex<Inbox>,
    health: Arc<Health>,
}

#[derive(Debug, Default)]
struct Inbox {
    answers: Vec<Command>,
    waker: Option<Waker>,
}

/// What the log knows of the store: each kind of failure is said once, until it works again.
#[derive(Debug, Default)]
pub(super) struct Health(AtomicU8);

impl Port {
    /// An empty one.
    pub(super) fn new(health: &Arc<Health>) -> Arc<Self> {
        Arc::new(Self { inbox: Mutex::default(), health: Arc::clone(health) })
    }

    /// Puts an answer in and rings.
    pub(super) fn post(&self, answer: Command) {
        let mut inbox = self.inbox();
        inbox.answers.push(answer);
        // One ring for as many answers as come before the shard looks.
        let waker = if inbox.answers.len() == 1 { inbox.waker.clone() } else { None };
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all answers out; `waker` rings when there are more.
    pub(super) fn take(&self, waker: &Waker) -> Vec<Command> {
        let mut inbox = self.inbox();
        if !inbox.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inbox.waker = Some(waker.clone());
        }
        std::mem::take(&mut inbox.answers)
    }

    /// Says in the log, once, that the store has failed.
    pub(super) fn failed(&self, doing: &str, error: &StoreError) -> StoreFailed {
        let kind = match error {
            StoreError::Full => 1,
            StoreError::Closed => 2,
            StoreError::Failed(_) => 4,
        };
        if self.health.0.fetch_or(kind, Ordering::Relaxed) & kind == 0 {
            tracing::error!(doing, %error, "the session store fails: sessions go on in memory");
        }
        StoreFailed
    }

    /// Says in the log that it works again, if it did not.
    pub(super) fn worked(&self) {
        if self.health.0.load(Ordering::Relaxed) != 0 && self.health.0.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!("the session store works again");
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Nothing in there can be left half done.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
