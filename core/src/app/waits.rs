//! Who waits for which outcome, on one shard: entered when something is asked, filled in when it is known, taken once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::task::{Context, Poll, Waker};

/// Outcomes that are awaited, by what names them.
#[derive(Debug)]
pub(crate) struct Waits<Key, Outcome> {
    waits: RefCell<HashMap<Key, Wait<Outcome>, foldhash::fast::RandomState>>,
}

#[derive(Debug)]
enum Wait<Outcome> {
    Waiting(Option<Waker>),
    Done(Outcome),
}

impl<Key, Outcome> Default for Waits<Key, Outcome> {
    fn default() -> Self {
        Self { waits: RefCell::default() }
    }
}

impl<Key: Eq + Hash, Outcome> Waits<Key, Outcome> {
    /// Somebody is going to wait for this.
    pub(crate) fn expect(&self, key: Key) {
        self.waits.borrow_mut().insert(key, Wait::Waiting(None));
    }

    /// Nobody waits for it any more.
    pub(crate) fn forget(&self, key: &Key) {
        let forgotten = self.waits.borrow_mut().remove(key);
        drop(forgotten);
    }

    /// It is known. Nothing happens when nobody waits.
    pub(crate) fn finish(&self, key: &Key, outcome: Outcome) {
        let waker = match self.waits.borrow_mut().get_mut(key) {
            Some(wait) => match std::mem::replace(wait, Wait::Done(outcome)) {
                Wait::Waiting(waker) => waker,
                Wait::Done(_) => None,
            },
            None => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The outcome, once; `None` for what is not expected.
    pub(crate) fn poll(&self, key: &Key, task: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let mut waits = self.waits.borrow_mut();
        match waits.get_mut(key) {
            Some(Wait::Waiting(waker)) => {
                *waker = Some(task.waker().clone());
                return Poll::Pending;
            }
            Some(Wait::Done(_)) => {}
            None => return Poll::Ready(None),
        }
        match waits.remove(key) {
            Some(Wait::Done(outcome)) => Poll::Ready(Some(outcome)),
            _ => unreachable!("it was just seen to be done"),
        }
    }
}
