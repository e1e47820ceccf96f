#![allow(unsafe_code)] // pointers to the turn's bytes are handed to the ring
//! The loop of one shard: kernel, mesh and application in, one step of the state machine, mesh and kernel out; one
//! system call per pass. It never decides anything about a connection.
//!
//! ```text
//!   enter: submit, run what is ready, sleep if there is nothing to do ──┐
//!   completions → mesh → tasks → settle                                 │ run to completion, no await
//!   batches to peers → sends → socket events                            │
//!   every tick: a visit to glommio's reactor ───────────────────────────┘
//! ```

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use shard::{Batch, Door, Event, Pressure, Shard, ShardId, Time};
use socket2::Socket;

use super::control::Orders;
use super::refusals::Refusals;
use super::report::{self, Counts};
use super::shutdown::{Step, Stop};
use super::spin::Spin;
use super::{Application, memory};
use crate::app::fence::fence;
use crate::config::Settings;
use crate::mesh::{Link, Notice};
use crate::net::{Completion, Happened, Sockets};
use crate::observe::board::Counters;

/// One shard's loop.
pub(super) struct Driver<H> {
    /// The ring stands before what it may point into: it is closed first.
    sockets: Sockets,
    shard: Shard,
    host: H,
    link: Link,
    orders: Arc<Orders>,
    waker: Waker,
    began: Instant,
    stop: Stop,
    spin: Spin,
    refusals: Refusals,
    completions: Vec<Completion>,
    /// How many of them are handled.
    handled: usize,
    /// To be opened when the shard is one of many again.
    entrance: Option<(Vec<Socket>, Arc<[Door]>)>,
    /// How many shards have died in this place before.
    replaced: u32,
    /// The next pass must not sleep.
    again: bool,
    /// A peer's lane was left before it was empty.
    mesh_left: bool,
    reports: u32,
    /// The last measurement of the memory that was looked at, and what it said.
    measured: u32,
    pressure: Pressure,
    passes: u64,
    /// When the last pass began, and how long it takes until one that has nothing to do begins.
    last: Time,
    tick: Duration,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// At once.
    Next,
    /// After glommio's tasks that can run: the application waits for something that may be one of them.
    Rest,
    /// After a visit to the reactor.
    Visit,
    /// No more: everybody has left and heard that nothing follows.
    Done,
}

impl<H: Application> Driver<H> {
    /// A loop that has not begun. `began` is the shards' common epoch.
    pub(super) fn new(
        sockets: Sockets,
        shard: Shard,
        host: H,
        link: Link,
        orders: Arc<Orders>,
        settings: &Settings,
        began: Instant,
    ) -> Self {
        let waker = Waker::from(Arc::clone(link.doorbell()));
        Self {
            sockets,
            shard,
            host,
            link,
            reports: orders.reports(),
            measured: 0,
            pressure: Pressure::None,
            orders,
            waker,
            began,
            stop: Stop::new(settings.drain, settings.drain_spread),
            spin: Spin::new(settings.spin),
            refusals: Refusals::new(settings.log.refusals_interval),
            completions: Vec::new(),
            handled: 0,
            entrance: None,
            replaced: 0,
            again: true,
            mesh_left: false,
            passes: 0,
            last: Time::from_micros(u64::try_from(began.elapsed().as_micros()).expect("584,000 years")),
            tick: settings.tick,
        }
    }

    /// The same in the place of a shard that has died, the `replaced`-th time: it joins the others before it listens.
    pub(super) fn in_place(mut self, listeners: Vec<Socket>, doors: Arc<[Door]>, replaced: u32) -> Self {
        let now = self.now();
        self.shard.begin_anew();
        for peer in self.link.others() {
            self.shard.handle_peer_joined(now, peer);
        }
        self.entrance = Some((listeners, doors));
        self.replaced = replaced;
        self
    }

    /// The shard has died of a panic: its connections end, and the application hears of it.
    pub(super) fn abandon(mut self) {
        let told = fence(|| self.shard.abandon(&mut self.host));
        if let Err(panic) = told {
            tracing::error!(
                shard = self.shard.id().0,
                text = panic.text,
                "the application was not told of all connections"
            );
        }
        self.sockets.turn_away(&self.completions[self.handled..]);
    }

    /// One pass.
    pub(super) fn pass(&mut self) -> io::Result<Pass> {
        self.enter()?;
        let rung = self.link.doorbell().answer();
        let now = self.now();
        self.passes += 1;
        self.again = false;
        self.shard.begin_turn(now);
        self.look_at_the_clock(now);
        let ticked = self.handle_completions(now)?;
        if rung {
            self.handle_notices(now);
        }
        if rung || self.mesh_left {
            self.handle_mesh(now);
        }
        if rung || ticked {
            self.handle_orders(now)?;
        }
        if !self.shard.is_joining() {
            self.run_tasks(now);
        }
        self.shard.settle(now, &mut self.host);
        if self.entrance.is_some() && !self.shard.is_joining() {
            self.listen()?;
        }
        let flushed = self.post_batches();
        self.transmit()?;
        self.apply_events()?;
        let step = match self.stop.lame_until() {
            Some(_) => self.stop.waddle(now, self.is_deserted(), self.link.others().count() + 1, &self.orders),
            None => self.stop.next(now, flushed, self.shard.is_drained(), &mut self.link),
        };
        match step {
            Step::Wait => {}
            Step::Silence => {
                self.fall_silent(now)?;
                self.again = true;
            }
            Step::Part => {
                self.shard.handle_shutdown(now);
                self.again = true;
            }
            Step::Done => return Ok(Pass::Done),
        }
        self.plan(now)?;
        Ok(match (ticked, self.host.has_tasks()) {
            (true, _) => Pass::Visit,
            (false, true) => Pass::Rest,
            (false, false) => Pass::Next,
        })
    }

    /// A loop that has not come around for long has not heard its clients: their time is not counted.
    fn look_at_the_clock(&mut self, now: Time) {
        let since = now.since(std::mem::replace(&mut self.last, now));
        if since > self.tick + STANDSTILL {
            let (shard, lost_ms) = (self.link.shard().0, since.as_millis());
            tracing::warn!(shard, lost_ms, "the shard stood still: its clients have so much longer");
            self.shard.handle_standstill(since);
        }
    }

    /// Submits, and sleeps if there is nothing to do; before that it looks for a while if it was told to.
    fn enter(&mut self) -> io::Result<()> {
        let idle = !self.again && !self.shard.has_work() && !self.sockets.has_work();
        let spins = idle && self.spin.is_on() && !self.stop.has_begun();
        if spins && self.spin.look(&mut self.sockets, self.link.doorbell())? {
            return Ok(());
        }
        let sleeps = idle && self.link.doorbell().sleep();
        self.sockets.enter(sleeps)
    }

    /// Everything that the kernel has to say. Nothing is sent before the last of it: a send that failed may stand behind
    /// a receive of the same connection.
    fn handle_completions(&mut self, now: Time) -> io::Result<bool> {
        self.completions.clear();
        self.handled = 0;
        self.sockets.drain(&mut self.completions)?;
        let mut ticked = false;
        while let Some(completion) = self.completions.get(self.handled).copied() {
            self.handled += 1;
            match self.sockets.interpret(completion, now)? {
                Happened::Received(connection, bytes, buffer) => {
                    self.shard.handle_receive(now, connection, bytes, &mut self.host);
                    self.sockets.recycle(buffer);
                }
                Happened::Accepted(descriptor, address, door) => match self.shard.handle_accept(now, address, door) {
                    Some(connection) => self.sockets.open(connection, descriptor, door)?,
                    None => self.sockets.refuse(descriptor)?,
                },
                Happened::Ended(connection) => self.shard.handle_end(now, connection, &mut self.host),
                Happened::SendFailed(token, sent) => self.shard.handle_send_failed(now, token, sent, &mut self.host),
                Happened::Sent(connection, sent) => self.shard.handle_sent(now, connection, sent, &mut self.host),
                Happened::Tick => ticked = true,
                Happened::Alarm | Happened::Nothing => {}
            }
        }
        self.sockets.finish_completions()?;
        if ticked {
            self.look_at_the_memory();
            self.shard.handle_tick(now, &mut self.host);
            self.tell_refusals(now);
            if self.host.is_watched() {
                self.host.post_counters(self.counters());
            }
            self.orders.beat(self.link.shard());
        }
        Ok(ticked)
    }

    fn tell_refusals(&mut self, now: Time) {
        if !self.refusals.is_due(now) {
            return;
        }
        let counters = report::refusals(&self.shard, self.sockets.metrics(), self.host.refused());
        if let Some(line) = self.refusals.look(now, &counters) {
            tracing::info!(shard = self.shard.id().0, "clients were refused or ended:{line}");
        }
    }

    /// While there is far too little, what was freed is given back at each tick: who else has to end depends on it.
    fn look_at_the_memory(&mut self) {
        let measured = self.orders.pressure(&mut self.measured);
        if let Some(pressure) = measured {
            self.pressure = pressure;
            self.shard.handle_pressure(pressure);
            self.host.handle_pressure(pressure);
        }
        if self.pressure == Pressure::Over || (self.pressure == Pressure::Full && measured.is_some()) {
            memory::give_back();
        }
    }

    /// Other shards have died, or have begun in the place of others.
    fn handle_notices(&mut self, now: Time) {
        for notice in self.link.notices() {
            match notice {
                Notice::Lost(peer) => {
                    while let Some(batch) = self.link.receive(peer) {
                        self.shard.handle_batch(now, peer, &batch);
                    }
                    self.link.lose(peer);
                    self.shard.handle_peer_lost(now, peer, &mut self.host);
                }
                Notice::Joined(peer, lanes) => {
                    self.link.join(peer, lanes);
                    self.shard.handle_peer_joined(now, peer);
                }
            }
            self.again = true;
        }
    }

    /// Lets clients in, who have waited in the kernel's queue.
    fn listen(&mut self) -> io::Result<()> {
        let Some((listeners, doors)) = self.entrance.take().filter(|_| !self.stop.has_begun()) else { return Ok(()) };
        tracing::info!(shard = self.shard.id().0, "the shard is replaced");
        self.sockets.listen(listeners, &doors)
    }

    fn handle_mesh(&mut self, now: Time) {
        self.mesh_left = false;
        for from in self.link.others() {
            let mut batches = 0;
            while let Some(batch) = self.link.receive(from) {
                self.shard.handle_batch(now, from, &batch);
                batches += 1;
                if batches == BATCHES_PER_PASS {
                    self.mesh_left = true;
                    break;
                }
            }
            if batches > 0 {
                self.link.received(from);
            }
        }
    }

    fn handle_orders(&mut self, now: Time) -> io::Result<()> {
        if self.orders.is_stopping() && self.stop.begin(now, self.orders.is_handed_over()) {
            self.host.leave();
            if self.orders.is_handed_over() {
                self.sockets.stop_listening()?;
            }
            match self.stop.lame_until() {
                Some(until) => self.shard.handle_lame_duck(now, until),
                None => self.fall_silent(now)?,
            }
        }
        let reports = self.orders.reports();
        if reports != self.reports {
            self.reports = reports;
            tracing::info!("{}", self.report());
        }
        Ok(())
    }

    /// Whether everybody has left. Who hands over has stopped accepting, and whom the kernel had accepted by then is still
    /// to come and to be served.
    fn is_deserted(&self) -> bool {
        self.shard.is_deserted() && !(self.orders.is_handed_over() && self.sockets.is_accepting())
    }

    /// Clients are not heard any more.
    fn fall_silent(&mut self, now: Time) -> io::Result<()> {
        self.sockets.stop_listening()?;
        self.shard.handle_stop(now);
        Ok(())
    }

    fn run_tasks(&mut self, now: Time) {
        self.host.run_tasks(now, &self.waker);
        for _ in 0..COMMANDS_PER_PASS {
            let Some(command) = self.host.poll_command() else { return };
            self.shard.command(now, command, &mut self.host);
        }
        self.again = true;
    }

    /// Whether everything for every peer is on its way.
    fn post_batches(&mut self) -> bool {
        let mut flushed = true;
        for to in self.link.others() {
            flushed &= self.post_batches_to(to);
        }
        self.link.ring();
        flushed
    }

    fn post_batches_to(&mut self, to: ShardId) -> bool {
        while self.link.has_room(to) {
            let Some(batch) = self.shard.poll_batch(to) else { return true };
            if let Err(batch) = self.post(to, batch) {
                self.shard.return_batch(to, batch);
            }
        }
        // The peer rings when it has made room.
        false
    }

    fn post(&mut self, to: ShardId, batch: Batch) -> Result<(), Batch> {
        // After our FIN there is nobody left here for whom an answer would matter.
        if self.stop.has_finished() { Ok(()) } else { self.link.send(to, batch) }
    }

    fn transmit(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.shard.poll_transmit() {
            // SAFETY: the shard keeps the turn's bytes until the second turn from now, and the next pass enters before
            // it begins the next one; a connection's own bytes it keeps until we report that send.
            let sent =
                unsafe { self.sockets.send(transmit.connection, transmit.mode, transmit.token, transmit.bytes) }?;
            debug_assert!(sent, "the shard sends to connections that exist");
        }
        Ok(())
    }

    fn apply_events(&mut self) -> io::Result<()> {
        while let Some(event) = self.shard.poll_event() {
            match event {
                Event::PauseReceive(connection) => self.sockets.pause(connection)?,
                Event::ResumeReceive(connection) => self.sockets.resume(connection)?,
                Event::Shutdown(connection) => self.sockets.shutdown(connection)?,
                Event::Abort(connection) => self.sockets.abort(connection)?,
                Event::Close(connection) => self.sockets.close(connection)?,
            }
        }
        Ok(())
    }

    /// Until when the next pass may sleep.
    fn plan(&mut self, now: Time) -> io::Result<()> {
        self.again |= self.mesh_left;
        if let Some(at) = self.host.next_wake() {
            if at <= now {
                self.again = true;
            } else {
                self.sockets.set_alarm(now, at)?;
            }
        }
        Ok(())
    }

    /// The counters in one line.
    pub(super) fn report(&self) -> String {
        report::line(self.shard.id(), &self.counters())
    }

    fn counters(&self) -> Counters {
        let counts = Counts {
            passes: self.passes,
            spins: self.spin.spins,
            spin_hits: self.spin.hits,
            replaced: self.replaced.into(),
        };
        let application = (&*self.host.counters(), self.host.refused());
        report::counters(counts, &self.shard, self.sockets.metrics(), self.link.metrics(), application)
    }

    /// Whether connections were broken off because the time to stop was over.
    pub(super) fn was_cut_short(&self) -> bool {
        self.stop.was_cut_short()
    }

    fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.began.elapsed().as_micros()).expect("584,000 years"))
    }
}

/// Between two passes, beyond the tick: much longer than a busy machine keeps a thread waiting, and a twentieth of the
/// patience that clients have by default (`--ping-timeout 20s`).
const STANDSTILL: Duration = Duration::from_secs(1);
/// Batches taken from one peer before the others have their turn: a full lane of the default size.
const BATCHES_PER_PASS: u32 = 64;
/// Commands taken from the application before the sockets have their turn: some milliseconds of publications.
const COMMANDS_PER_PASS: u32 = 16_384;
