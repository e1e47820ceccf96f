//! Work that is pending: actions and hooks that await something, and what the application spawned. It is polled on the
//! shard's thread when it was woken, from whatever thread; each piece is fenced, so that its panic is its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use codec::socketcluster::errors::WireError;
use futures_util::stream::{FuturesUnordered, Stream};
use shard::{Command, Reply, Ticket, Time};

use super::api::Way;
use super::bell::Bell;
use super::error::{Error, Result};
use super::fence::{Panic, fence};
use super::local::{Counters, Local};

/// A future of the application's, on its shard for good.
pub(crate) type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// One piece of pending work.
pub(crate) enum Work {
    /// A client waits for the answer.
    Call { ticket: Ticket, action: Rc<str>, answer: LocalFuture<Reply> },
    /// A connection's messages wait for the verdict.
    Hook { ticket: Ticket, hook: &'static str, verdict: LocalFuture<Result> },
    /// A client waits for the response.
    Request { ticket: Ticket, action: Rc<str>, answer: LocalFuture<Vec<u8>>, way: Way },
    /// Nobody waits.
    Background { name: &'static str, work: LocalFuture<()> },
}

impl Work {
    /// Who waits for it.
    const fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Call { ticket, .. } | Self::Hook { ticket, .. } | Self::Request { ticket, .. } => Some(*ticket),
            Self::Background { .. } => None,
        }
    }

    /// Polls it: the command that answers who waits, when it is done.
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<Command>> {
        match self {
            Self::Call { ticket, answer, .. } => {
                answer.as_mut().poll(task).map(|reply| Some(Command::Reply { ticket: *ticket, reply }))
            }
            Self::Hook { ticket, verdict, .. } => verdict.as_mut().poll(task).map(|verdict| {
                Some(Command::Verdict { ticket: *ticket, verdict: verdict.map_err(Error::into_refusal) })
            }),
            Self::Request { ticket, answer, .. } => {
                answer.as_mut().poll(task).map(|response| Some(Command::Respond { ticket: *ticket, response }))
            }
            Self::Background { work, .. } => work.as_mut().poll(task).map(|()| None),
        }
    }

    /// The command that answers who waits when it panicked. The log has the panic; the client learns that it failed.
    fn panicked(&self, panic: &Panic) -> Option<Command> {
        match self {
            Self::Call { ticket, action, .. } => {
                let mut reply = Reply::default();
                action_panicked(action, panic, &mut reply);
                Some(Command::Reply { ticket: *ticket, reply })
            }
            Self::Hook { ticket, hook, .. } => {
                hook_panicked(hook, panic);
                Some(Command::Verdict { ticket: *ticket, verdict: Err(Error::panicked().into_refusal()) })
            }
            Self::Request { ticket, action, way, .. } => {
                Some(Command::Respond { ticket: *ticket, response: request_panicked(action, panic, way) })
            }
            Self::Background { name, .. } => {
                tracing::error!(task = name, panic = panic.text, "task panicked");
                None
            }
        }
    }
}

/// Logs an action's panic and makes the reply its caller's error.
pub(crate) fn action_panicked(action: &str, panic: &Panic, reply: &mut Reply) {
    tracing::error!(action, panic = panic.text, "action panicked");
    reply.write_error(|out| WireError::ActionFailed { action }.write(out));
}

/// Logs the panic of an action that was called by HTTP: the response.
pub(crate) fn request_panicked(action: &str, panic: &Panic, way: &Way) -> Vec<u8> {
    let (mut reply, mut response) = (Reply::default(), Vec::new());
    action_panicked(action, panic, &mut reply);
    if let Err(error) = reply.outcome() {
        way.write_error_json(&mut response, error.as_str().as_bytes(), 500, &[]);
    }
    response
}

/// Logs a hook's panic.
pub(crate) fn hook_panicked(hook: &str, panic: &Panic) {
    tracing::error!(hook, panic = panic.text, "hook panicked");
}

/// All pending work of one shard.
pub(crate) struct Tasks {
    local: Rc<Local>,
    set: FuturesUnordered<Task>,
    /// The slots of what somebody waits for, to be found when nobody does any more.
    tickets: HashMap<Ticket, Rc<Slot>, foldhash::fast::RandomState>,
    bell: Option<(Waker, Arc<Bell>)>,
    /// Whether work was added since tasks ran last: nothing has registered a waker for it yet.
    has_new: bool,
}

impl Tasks {
    /// No work.
    pub(crate) fn new(local: Rc<Local>) -> Self {
        Self { local, set: FuturesUnordered::new(), tickets: HashMap::default(), bell: None, has_new: false }
    }

    /// Adds work that was counted in.
    pub(crate) fn push(&mut self, work: Work) {
        let ticket = work.ticket();
        let slot = Rc::new(Slot { work: RefCell::new(Some(work)), waker: RefCell::default() });
        if let Some(ticket) = ticket {
            self.tickets.insert(ticket, Rc::clone(&slot));
        }
        self.set.push(Task { slot, local: Rc::clone(&self.local) });
        self.has_new = true;
    }

    /// Drops the work of a ticket.
    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        let Some(slot) = self.tickets.remove(&ticket) else { return };
        let Some(work) = slot.work.take() else { return };
        let waker = slot.waker.take();
        // The destructors of the application's values run here.
        discard(&self.local, work);
        if let Some(waker) = waker {
            waker.wake();
        }
        self.has_new = true;
    }

    /// Runs all work that was woken, and what that wakes in turn, for so many rounds; then rings `waker` to come back.
    pub(crate) fn run(&mut self, now: Time, waker: &Waker) {
        self.local.set_running(true, now);
        if self.is_empty() {
            // The common pass: nothing is pending, and nothing can wait for a timer.
            self.local.set_running(false, now);
            return;
        }
        let bell = self.bell(waker);
        bell.begin();
        self.local.timers.expire(now);
        self.has_new = false;
        let inner = Waker::from(Arc::clone(&bell));
        let mut task = Context::from_waker(&inner);
        let mut rounds = 0;
        loop {
            self.round(&mut task);
            rounds += 1;
            if rounds == ROUNDS_MAX {
                bell.end_and_ring();
                break;
            }
            if self.local.has_spawned() {
                continue;
            }
            if bell.end() {
                break;
            }
            bell.begin();
        }
        self.local.set_running(false, now);
    }

    /// Whether something was added that only the next run looks at.
    pub(crate) fn has_new(&self) -> bool {
        self.has_new || self.local.has_spawned()
    }

    /// Whether nothing is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && !self.local.has_spawned()
    }

    /// Drops all work.
    pub(crate) fn clear(&mut self) {
        self.tickets.clear();
        for task in std::mem::take(&mut self.set) {
            if let Some(work) = task.slot.work.take() {
                discard(&self.local, work);
            }
        }
        for work in self.local.take_spawned() {
            discard(&self.local, work);
        }
    }

    fn round(&mut self, task: &mut Context<'_>) {
        for work in self.local.take_spawned() {
            self.push(work);
        }
        self.has_new = false;
        // Pending at the latest when everything in the set was polled once: the set itself sees to that.
        while let Poll::Ready(Some(done)) = Pin::new(&mut self.set).poll_next(task) {
            if let Some(ticket) = done {
                self.tickets.remove(&ticket);
            }
        }
    }

    /// The bell of this driver: the same one as long as its waker is.
    fn bell(&mut self, waker: &Waker) -> Arc<Bell> {
        if let Some((known, bell)) = &self.bell
            && known.will_wake(waker)
        {
            return Arc::clone(bell);
        }
        let bell = Arc::new(Bell::new(waker.clone()));
        self.bell = Some((waker.clone(), Arc::clone(&bell)));
        bell
    }
}

/// Drops work whose result nobody will see.
fn discard(local: &Local, work: Work) {
    local.leave();
    if let Err(panic) = fence(|| drop(work)) {
        Counters::count(&local.counters.panics);
        tracing::error!(panic = panic.text, "cancelled work panicked");
    }
}

/// Where a task's work lies, so that it can be taken away from outside of the set.
struct Slot {
    work: RefCell<Option<Work>>,
    waker: RefCell<Option<Waker>>,
}

/// One member of the set. Its output is the ticket that is over.
struct Task {
    slot: Rc<Slot>,
    local: Rc<Local>,
}

impl Future for Task {
    type Output = Option<Ticket>;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Ticket>> {
        let Some(mut work) = self.slot.work.take() else { return Poll::Ready(None) };
        let command = match fence(|| work.poll(task)) {
            Ok(Poll::Pending) => {
                *self.slot.work.borrow_mut() = Some(work);
                let mut waker = self.slot.waker.borrow_mut();
                match &mut *waker {
                    Some(waker) => waker.clone_from(task.waker()),
                    None => *waker = Some(task.waker().clone()),
                }
                return Poll::Pending;
            }
            Ok(Poll::Ready(command)) => command,
            Err(panic) => {
                Counters::count(&self.local.counters.panics);
                work.panicked(&panic)
            }
        };
        let ticket = work.ticket();
        discard(&self.local, work);
        if let Some(command) = command {
            self.local.commands.push_answer(command);
        }
        Poll::Ready(ticket)
    }
}

/// How often a run goes over the tasks before the sockets get their turn: work that wakes itself or each other without
/// end costs each pass this much and no more.
const ROUNDS_MAX: u32 = 8;
