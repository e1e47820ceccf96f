//! What everything of an application on one shard shares: commands, timers, state, newly spawned work. It never leaves
//! its thread, so there is no lock in it; no borrow of its parts is held while the application's code runs.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use shard::{Answer, ShardId, Time};

use super::api::Exchanges;
use super::client_call::ClientAnswer;
use super::commands::Commands;
use super::common::Common;
use super::error::{Error, Result};
use super::limits::AppLimits;
use super::state::States;
use super::tasks::Work;
use super::timer::Timers;
use super::waits::Waits;
use crate::session::LocalSessions;

/// The shared things of one shard's application.
pub(crate) struct Local {
    pub(crate) shard: ShardId,
    pub(crate) common: Common,
    sessions: OnceCell<LocalSessions>,
    pub(crate) commands: Commands,
    pub(crate) timers: Timers,
    pub(crate) states: States,
    pub(crate) counters: Counters,
    /// Users who are online on all shards, as far as is known here.
    pub(crate) online: Cell<u64>,
    /// What the shards are asked about people, by numbers that are never used again.
    pub(super) questions: Cell<u64>,
    pub(super) answers: Waits<u64, Answer>,
    /// What clients are asked, by the same numbers.
    pub(super) client_answers: Waits<u64, ClientAnswer>,
    pub(super) client_call_timeout: Duration,
    pub(super) recipients_max: usize,
    pub(crate) exchanges: Exchanges,
    /// Work spawned while tasks run or outside of them; the runner takes it over.
    spawned: RefCell<Vec<Work>>,
    /// Pending work of any kind, what is spawned included.
    tasks: Cell<usize>,
    tasks_max: usize,
    now: Cell<Time>,
    is_running: Cell<bool>,
    is_congested: Cell<bool>,
    /// Who waits for the end of the congestion; bounded by the tasks.
    stalled: RefCell<Vec<Waker>>,
}

/// What an application's side of a shard has refused since its start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Refused {
    /// HTTP requests for what is not there, or not for them.
    pub(crate) requests: u64,
    /// Cookies that nobody has signed, or whose session is none.
    pub(crate) cookies: u64,
    /// Requests of an admin listener.
    pub(crate) admin: u64,
}

/// What happened to the application on this shard since its start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) panics: Cell<u64>,
    pub(crate) tasks_refused: Cell<u64>,
    pub(crate) admin_refused: Cell<u64>,
    /// HTTP requests for what is not there, or not for them.
    pub(crate) requests_refused: Cell<u64>,
}

impl Local {
    /// The shared things of a new shard.
    pub(crate) fn new(shard: ShardId, common: Common, states: States, limits: &AppLimits) -> Rc<Self> {
        Rc::new(Self {
            shard,
            common,
            sessions: OnceCell::new(),
            commands: Commands::new(limits),
            timers: Timers::new(limits.timers_max),
            states,
            counters: Counters::default(),
            online: Cell::new(0),
            questions: Cell::new(0),
            answers: Waits::default(),
            client_answers: Waits::default(),
            client_call_timeout: limits.client_call_timeout,
            recipients_max: limits.recipients_max,
            exchanges: Exchanges::default(),
            spawned: RefCell::default(),
            tasks: Cell::new(0),
            tasks_max: limits.tasks_max,
            now: Cell::new(Time::ZERO),
            is_running: Cell::new(false),
            is_congested: Cell::new(false),
            stalled: RefCell::default(),
        })
    }

    /// What the shard's sessions need, once it has any.
    pub(crate) fn sessions(&self) -> Option<&LocalSessions> {
        self.sessions.get()
    }

    /// The shard's sessions are there.
    pub(crate) fn open_sessions(&self, sessions: LocalSessions) {
        assert!(self.sessions.set(sessions).is_ok(), "a shard opens its sessions once");
    }

    /// Makes this shard the one that [`Local::current`] finds, until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        Entered { previous: CURRENT.replace(Some(Rc::clone(self))) }
    }

    /// The shard whose application runs on this thread right now.
    pub(crate) fn current() -> Option<Rc<Self>> {
        CURRENT.with_borrow(Option::clone)
    }

    /// Counts one more piece of pending work in.
    pub(crate) fn admit(&self) -> Result {
        if self.tasks.get() >= self.tasks_max {
            Counters::count(&self.counters.tasks_refused);
            return Err(Error::busy());
        }
        self.tasks.set(self.tasks.get() + 1);
        Ok(())
    }

    /// Counts one out.
    pub(crate) fn leave(&self) {
        self.tasks.set(self.tasks.get() - 1);
    }

    /// Hands work to the runner.
    pub(crate) fn spawn(&self, work: Work) -> Result {
        self.admit()?;
        self.spawned.borrow_mut().push(work);
        Ok(())
    }

    /// Whether work waits for the runner.
    pub(crate) fn has_spawned(&self) -> bool {
        !self.spawned.borrow().is_empty()
    }

    /// The work that waits for the runner.
    pub(crate) fn take_spawned(&self) -> Vec<Work> {
        self.spawned.take()
    }

    /// The time of the current or the last run of tasks.
    pub(crate) const fn now(&self) -> Time {
        self.now.get()
    }

    /// Whether tasks are being run, so that the time is the pass's own.
    pub(crate) const fn is_running(&self) -> bool {
        self.is_running.get()
    }

    /// Whether the lanes to other shards are too full for publications of the application's own.
    pub(crate) const fn is_congested(&self) -> bool {
        self.is_congested.get()
    }

    /// Keeps a waker for the end of the congestion. Tasks that were cancelled since leave theirs behind: when there are
    /// more than there can be tasks, all are woken, and who still waits comes again.
    pub(crate) fn stall(&self, waker: &Waker) {
        if self.stalled.borrow().len() > 2 * self.tasks_max {
            self.stalled.take().into_iter().for_each(Waker::wake);
        }
        self.stalled.borrow_mut().push(waker.clone());
    }

    /// Notes that the lanes are too full, or have room again.
    pub(crate) fn set_congested(&self, is_congested: bool) {
        self.is_congested.set(is_congested);
        if !is_congested {
            self.stalled.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Begins or ends a run of tasks.
    pub(crate) fn set_running(&self, is_running: bool, now: Time) {
        self.is_running.set(is_running);
        self.now.set(now);
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Local").field("shard", &self.shard).field("tasks", &self.tasks).finish_non_exhaustive()
    }
}

impl Counters {
    /// Adds one.
    pub(crate) fn count(counter: &Cell<u64>) {
        counter.set(counter.get() + 1);
    }
}

/// While this lives, a shard's application runs.
pub(crate) struct Entered {
    previous: Option<Rc<Local>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.previous.take());
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}
