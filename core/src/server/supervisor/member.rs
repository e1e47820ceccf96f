//! One child of the supervisor: a server that starts, serves, or goes.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::Word;
use crate::server::signals;

/// A child that was not waited for yet.
#[derive(Debug)]
pub(super) struct Member {
    child: Child,
    line: UnixStream,
    /// Since when it accepts.
    ready_at: Option<Instant>,
    /// Whether its end of the line is open.
    hears: bool,
    /// When it gave a sign of life.
    alive_at: Instant,
    /// When the patience is over that we have with it: with a start, or with an end.
    kill_at: Option<Instant>,
}

impl Member {
    /// A child that starts, and may take so long for it.
    pub(super) fn new(child: Child, line: UnixStream, patience: Duration) -> Self {
        let now = Instant::now();
        Self { child, line, hears: true, ready_at: None, alive_at: now, kill_at: Some(now + patience) }
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it accepts.
    pub(super) const fn is_ready(&self) -> bool {
        self.ready_at.is_some()
    }

    /// For how long it has accepted.
    pub(super) fn served(&self) -> Duration {
        self.ready_at.map_or(Duration::ZERO, |at| at.elapsed())
    }

    /// It accepts.
    pub(super) fn make_ready(&mut self) {
        self.ready_at = Some(Instant::now());
        self.kill_at = None;
        self.make_alive();
    }

    /// It gives a sign of life.
    pub(super) fn make_alive(&mut self) {
        self.alive_at = Instant::now();
    }

    /// When it counts as hung, if it serves and nothing is heard of it until then.
    pub(super) fn hung_at(&self, patience: Duration) -> Option<Instant> {
        (self.is_ready() && !patience.is_zero()).then(|| self.alive_at + patience)
    }

    /// From now on it is expected to end, within that time.
    pub(super) fn expect_end(&mut self, patience: Duration) {
        self.kill_at.get_or_insert(Instant::now() + patience);
    }

    /// When it is to be killed.
    pub(super) const fn kill_at(&self) -> Option<Instant> {
        self.kill_at
    }

    /// Kills it if that time has come. `true`: it has.
    pub(super) fn kill_if_due(&mut self, now: Instant) -> bool {
        let is_due = self.kill_at.take_if(|at| *at <= now).is_some();
        if is_due {
            self.signal(libc::SIGKILL);
        }
        is_due
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: i32) {
        signals::send(self.pid(), signal);
    }

    /// Tells it something. Who does not listen has ended, or will be killed.
    pub(super) fn tell(&self, word: Word) {
        if let Err(error) = (&self.line).write_all(&[word.byte()]) {
            tracing::debug!(pid = self.pid(), ?word, %error, "a word was not heard");
        }
    }

    /// What it has said since we asked last.
    pub(super) fn words(&mut self) -> Vec<Word> {
        let mut bytes = [0; 64];
        match self.line.read(&mut bytes) {
            Ok(0) => {
                self.hears = false;
                Vec::new()
            }
            Ok(length) => bytes[..length].iter().filter_map(|byte| Word::of(*byte)).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Whether it has not hung up: then there is something to poll.
    pub(super) const fn hears(&self) -> bool {
        self.hears
    }

    /// What can be polled for its words.
    pub(super) fn line(&self) -> BorrowedFd<'_> {
        self.line.as_fd()
    }

    /// How it has ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}
