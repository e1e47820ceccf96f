//! The supervisor's life: start a child, wait for signals, words and ends, and do what follows from each.

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use super::member::Member;
use super::restarts::{self, End, Restarts};
use super::spawn::Program;
use super::{Word, wait};
use crate::config::Settings;
use crate::net::{Inherited, Listeners, name_of};
use crate::server::entrance::Entrance;
use crate::server::notify::Notifier;
use crate::server::signals::{self, Signal, SignalReader};
use crate::server::{Placement, StartError, checks};

/// Everything that it knows.
struct Parent {
    program: Program,
    listeners: Listeners,
    /// By listener.
    names: Vec<&'static str>,
    notifier: Notifier,
    restarts: Restarts,
    /// How long a server may take to go.
    patience: Duration,
    /// How long one that serves may give no sign of life.
    hang_timeout: Duration,
    /// Until when the last wait was to be, at the latest.
    awake_by: Option<Instant>,
    serving: Option<Member>,
    /// Starts, to take the place of the one that serves.
    successor: Option<Member>,
    /// Were told to go.
    leaving: Vec<Member>,
    restart_at: Option<Instant>,
    /// The code to end with, once all children have ended.
    verdict: Option<u8>,
    is_stopping: bool,
}

/// Runs the server as a child until it has ended for good; the exit code.
pub(in crate::server) fn supervise(settings: &Settings, inherited: Inherited) -> Result<u8, StartError> {
    let system = |call| move |error| StartError::System { call, error };
    signals::block().map_err(system("pthread_sigmask"))?;
    let reader = SignalReader::new().map_err(system("signalfd"))?;
    let shards = Placement::new(settings)?.cpus.len();
    checks::machine(shards)?;
    let (listeners, doors) = Entrance::listen(settings, shards, inherited.listeners).map_err(StartError::Listen)?;
    let mut parent = Parent {
        program: Program::own().map_err(system("readlink"))?,
        listeners,
        names: doors.into_iter().map(name_of).collect(),
        notifier: Notifier::from_environment(None, Duration::ZERO),
        restarts: Restarts::new(settings.supervision),
        patience: settings.drain + END_PATIENCE,
        hang_timeout: settings.supervision.hang_timeout,
        awake_by: None,
        serving: None,
        successor: None,
        leaving: Vec::new(),
        restart_at: None,
        verdict: None,
        is_stopping: false,
    };
    tracing::info!(app = settings.app_name, pid = std::process::id(), "supervising");
    parent.serving = Some(parent.start().map_err(system("fork"))?);
    loop {
        parent.wait(&reader).map_err(system("poll"))?;
        // A server says that it is ready before it tells anybody else: whoever has heard that may signal us at once.
        parent.handle_words();
        while let Some(signal) = reader.next() {
            parent.handle_signal(signal);
        }
        parent.handle_ends().map_err(system("waitpid"))?;
        parent.handle_time();
        if let Some(code) = parent.verdict.filter(|_| parent.members().next().is_none()) {
            return Ok(code);
        }
    }
}

impl Parent {
    fn start(&self) -> io::Result<Member> {
        let by_listener = self.names.iter().enumerate();
        let sockets: Vec<_> = by_listener
            .flat_map(|(index, name)| self.listeners.by_shard.iter().map(move |shard| (*name, shard[index].as_fd())))
            .collect();
        let (child, line) = self.program.start(&sockets)?;
        Ok(Member::new(child, line, START_PATIENCE))
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.serving.iter().chain(&self.successor).chain(&self.leaving)
    }

    fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.serving.iter_mut().chain(&mut self.successor).chain(&mut self.leaving)
    }

    fn wait(&mut self, reader: &SignalReader) -> io::Result<()> {
        let now = Instant::now();
        let deadlines = self.members().filter_map(|member| member.kill_at()).min().into_iter().chain(self.restart_at);
        let feeding = self.notifier.period().map(|period| now + period);
        let hung_at = self.serving.as_ref().and_then(|member| member.hung_at(self.hang_timeout));
        self.awake_by = deadlines.chain(feeding).chain(hung_at).min();
        let patience = self.awake_by.map(|at| at.saturating_duration_since(now));
        let lines = self.members().filter(|member| member.hears()).map(Member::line);
        let descriptors: Vec<_> = std::iter::once(reader.as_fd()).chain(lines).collect();
        wait::wait(&descriptors, patience)
    }

    fn handle_signal(&mut self, signal: Signal) {
        match signal {
            Signal::Stop(signal) => {
                let patience = self.patience;
                if !self.is_stopping {
                    self.is_stopping = true;
                    self.notifier.stopping();
                    tracing::info!("stopping, and the server with us");
                }
                self.restart_at = None;
                self.verdict.get_or_insert(0);
                for member in self.members_mut() {
                    member.signal(signal);
                    member.expect_end(patience);
                }
            }
            Signal::Reload => self.pass_on(libc::SIGHUP),
            Signal::Report => self.pass_on(libc::SIGUSR1),
            Signal::HandOver => self.begin_hand_over(),
            Signal::Inside | Signal::Ignored => {}
        }
    }

    fn pass_on(&mut self, signal: i32) {
        self.members().filter(|member| member.is_ready()).for_each(|member| member.signal(signal));
    }

    fn begin_hand_over(&mut self) {
        let is_served = self.serving.as_ref().is_some_and(Member::is_ready);
        if self.is_stopping || self.verdict.is_some() || !is_served || self.successor.is_some() {
            return tracing::warn!("no hand-over now: nobody serves yet, one is under way, or we stop");
        }
        if self.leaving.len() >= LEAVING_MAX {
            return tracing::warn!(
                leaving = self.leaving.len(),
                "no hand-over before those who were told to go have gone"
            );
        }
        match self.start() {
            Ok(member) => {
                tracing::info!(pid = member.pid(), "a new server starts, to take over");
                self.successor = Some(member);
            }
            Err(error) => tracing::error!(%error, "the new server does not start: the old one goes on"),
        }
    }

    fn handle_words(&mut self) {
        for word in self.successor.as_mut().map(Member::words).unwrap_or_default() {
            match word {
                Word::WantsStore => {
                    if let Some(serving) = &self.serving {
                        serving.tell(Word::LetGo);
                    }
                }
                Word::Ready => self.finish_hand_over(),
                _ => {}
            }
        }
        for word in self.serving.as_mut().map(Member::words).unwrap_or_default() {
            match (word, &mut self.serving) {
                (Word::Ready, Some(serving)) => {
                    serving.make_ready();
                    tracing::info!(pid = serving.pid(), "the server accepts");
                    self.notifier.ready();
                }
                (Word::Alive, Some(serving)) => {
                    serving.make_alive();
                    self.notifier.alive();
                }
                _ => {}
            }
        }
        // What they say interests nobody, but is not to be said again and again.
        self.leaving.iter_mut().for_each(|member| drop(member.words()));
    }

    fn finish_hand_over(&mut self) {
        let Some(mut successor) = self.successor.take() else { return };
        successor.make_ready();
        let new = successor.pid();
        let Some(mut old) = self.serving.replace(successor) else {
            tracing::info!(pid = new, "the server accepts");
            return;
        };
        tracing::info!(old = old.pid(), new, "the new server has taken over");
        old.tell(Word::Retire);
        old.expect_end(self.patience);
        self.leaving.push(old);
    }

    fn handle_ends(&mut self) -> io::Result<()> {
        if let Some(status) = ended(&mut self.successor)? {
            tracing::error!(
                how = restarts::describe(status),
                "the new server has ended before it was ready: the old one goes on"
            );
            if let Some(serving) = &self.serving {
                serving.tell(Word::TakeBack);
            }
        }
        for index in (0..self.leaving.len()).rev() {
            if let Some(status) = self.leaving[index].ended()? {
                let member = self.leaving.swap_remove(index);
                tracing::info!(pid = member.pid(), how = restarts::describe(status), "the old server has gone");
            }
        }
        let served = self.serving.as_ref().map(Member::served);
        if let (Some(status), Some(served)) = (ended(&mut self.serving)?, served) {
            if self.is_stopping {
                self.verdict = Some(restarts::exit_code(status));
            } else {
                self.handle_death(status, served);
            }
        }
        Ok(())
    }

    /// The server that served, or was to, has ended, and nobody has asked it to.
    fn handle_death(&mut self, status: std::process::ExitStatus, served: Duration) {
        let how = restarts::describe(status);
        if self.successor.is_some() {
            tracing::error!(how, "the server has died: the new one, which starts already, takes its place");
            self.serving = self.successor.take();
            return;
        }
        match End::of(status) {
            End::Final(code) => {
                tracing::info!(how, "the server has ended, and is not started again");
                self.verdict = Some(code);
            }
            End::Death(code) => match self.restarts.died(served) {
                Some(delay) => {
                    let (deaths, delay_ms) = (self.restarts.deaths(), delay.as_millis());
                    tracing::error!(how, deaths, delay_ms, "the server has died, and is started again");
                    self.restart_at = Some(Instant::now() + delay);
                }
                None => {
                    tracing::error!(how, deaths = self.restarts.deaths(), "the server has died too often: giving up");
                    self.verdict = Some(code);
                }
            },
        }
        if self.verdict.is_some() {
            let patience = self.patience;
            for member in self.members_mut() {
                member.signal(libc::SIGTERM);
                member.expect_end(patience);
            }
        }
    }

    /// A server whose loops do not go round is worse than none: it is killed, and what follows from a death follows.
    fn look_at_who_serves(&mut self, now: Instant) {
        let Some(serving) = &mut self.serving else { return };
        // Whatever made us stand still may have stopped the server as well: it has all of its time again.
        if self.awake_by.is_some_and(|at| now.saturating_duration_since(at) > OVERSLEPT) {
            serving.make_alive();
        }
        if !self.is_stopping && serving.hung_at(self.hang_timeout).is_some_and(|at| at <= now) {
            let silent_ms = self.hang_timeout.as_millis();
            tracing::error!(pid = serving.pid(), silent_ms, "the server hangs, and is killed");
            serving.signal(libc::SIGKILL);
            // Once: it has been told, and the kernel needs a moment.
            serving.make_alive();
        }
    }

    fn handle_time(&mut self) {
        let now = Instant::now();
        self.look_at_who_serves(now);
        for member in self.members_mut() {
            if member.kill_if_due(now) {
                tracing::error!(pid = member.pid(), "a server neither starts nor ends in time: it is killed");
            }
        }
        if self.restart_at.take_if(|at| *at <= now).is_some() {
            match self.start() {
                Ok(member) => {
                    tracing::info!(pid = member.pid(), "the server is started again");
                    self.serving = Some(member);
                }
                Err(error) => {
                    tracing::error!(%error, "the server cannot be started");
                    match self.restarts.died(Duration::ZERO) {
                        Some(delay) => self.restart_at = Some(now + delay),
                        None => self.verdict = Some(71),
                    }
                }
            }
        }
        // While nobody serves it is us who are alive.
        if self.notifier.period().is_some() && !self.serving.as_ref().is_some_and(Member::is_ready) {
            self.notifier.alive();
        }
    }
}

fn ended(member: &mut Option<Member>) -> io::Result<Option<std::process::ExitStatus>> {
    let status = match member {
        Some(member) => member.ended()?,
        None => None,
    };
    if status.is_some() {
        *member = None;
    }
    Ok(status)
}

/// A server needs some milliseconds to start, and more for a large store; one that needs longer hangs.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// A server keeps to its `--drain`; one that is still there so much later hangs.
const END_PATIENCE: Duration = Duration::from_secs(10);
/// How late a wait may end before that counts as having stood still.
const OVERSLEPT: Duration = Duration::from_secs(1);
/// Servers that were told to go and have clients still: deploys in a row.
const LEAVING_MAX: usize = 4;
