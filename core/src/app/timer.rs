//! Sleeping, on the shard's own clock: an ordered table of deadlines that the driver waits for and wakes in order. It
//! never reads a clock (time enters by `run_tasks`), so that tests run it on virtual time; and a sleep never ends early.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shard::Time;

use super::local::Local;

/// Waits for at least this long, counted from when it is first awaited; to the microsecond plus one pass of the loop.
///
/// # Panics
/// When awaited outside of a shard, or when the shard has as many sleeps as its limit allows.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { duration, armed: None }
}

/// Waits for the future, but for no longer than this.
///
/// # Errors
/// [`Elapsed`] when the time is over first; the future is dropped then.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut end = pin!(sleep(duration));
    poll_fn(|task| match future.as_mut().poll(task) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => end.as_mut().poll(task).map(|()| Err(Elapsed)),
    })
    .await
}

/// The time given to [`timeout`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

/// The future of [`sleep`].
#[derive(Debug)]
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    duration: Duration,
    armed: Option<(Rc<Local>, Deadline)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if let Some((local, deadline)) = &self.armed {
            if deadline.at <= local.now() {
                local.timers.disarm(*deadline);
                self.armed = None;
                return Poll::Ready(());
            }
            local.timers.renew(*deadline, task.waker());
            return Poll::Pending;
        }
        let local = Local::current().expect("sleep is awaited on a shard: by an action, a hook or a spawned task");
        if !local.is_running() {
            // The first poll of an action happens in place, where the time is that of the last pass. The deadline is set
            // when the task runs, later in this pass; this wake is for whatever keeps the sleep inside a set of its own.
            task.waker().wake_by_ref();
            return Poll::Pending;
        }
        let deadline = local.timers.arm(local.now() + self.duration, task.waker());
        self.armed = Some((local, deadline));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((local, deadline)) = self.armed.take() {
            local.timers.disarm(deadline);
        }
    }
}

/// When a sleep ends; the number tells sleeps with the same end apart and keeps them in the order they were armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline {
    at: Time,
    number: u64,
}

/// The deadlines of one shard.
#[derive(Debug)]
pub(crate) struct Timers {
    /// An ordered map rather than a heap: a cancelled sleep leaves at once, and holds nothing until its end.
    wakers: RefCell<BTreeMap<Deadline, Waker>>,
    next_number: Cell<u64>,
    timers_max: usize,
}

impl Timers {
    /// No deadlines.
    pub(crate) const fn new(timers_max: usize) -> Self {
        Self { wakers: RefCell::new(BTreeMap::new()), next_number: Cell::new(0), timers_max }
    }

    fn arm(&self, at: Time, waker: &Waker) -> Deadline {
        let mut wakers = self.wakers.borrow_mut();
        assert!(wakers.len() < self.timers_max, "{} sleeps are under way on this shard, its limit", wakers.len());
        let deadline = Deadline { at, number: self.next_number.get() };
        self.next_number.set(deadline.number + 1);
        wakers.insert(deadline, waker.clone());
        deadline
    }

    /// The task that waits may have another waker by now.
    fn renew(&self, deadline: Deadline, waker: &Waker) {
        if let Some(known) = self.wakers.borrow_mut().get_mut(&deadline) {
            known.clone_from(waker);
        }
    }

    fn disarm(&self, deadline: Deadline) {
        let disarmed = self.wakers.borrow_mut().remove(&deadline);
        drop(disarmed);
    }

    /// Wakes what is due, in order.
    pub(crate) fn expire(&self, now: Time) {
        loop {
            // The borrow ends before the wake: a waker is foreign code.
            let due = self
                .wakers
                .borrow_mut()
                .first_entry()
                .filter(|first| first.key().at <= now)
                .map(|first| first.remove());
            let Some(waker) = due else { return };
            waker.wake();
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        self.wakers.borrow().first_key_value().map(|(deadline, _)| deadline.at)
    }
}
