#![allow(unsafe_code)] // entries point to memory, and descriptors come out of completions as bare numbers
//! The sockets of one shard: what the driver sees of the ring. It never knows what the bytes mean.
//!
//! Rules that keep it correct, each with a test:
//! * a connection's completions carry its generation; what is stale is dropped, but its buffer always goes back;
//! * a multishot operation may end with any completion; whether it goes on is looked at each time;
//! * receives that found no buffer are armed again after the buffers of the pass went back, no more of them at a time
//!   than there are buffers, the longest waiting first;
//! * a close cancels a receive that is armed, because that would keep the socket open behind the closed descriptor.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, TimeoutFlags, Timespec};
use shard::{ConnectionId, Door, Mode, Time};
use socket2::SockRef;

use super::operation::{Operation, of_connection, of_index};
use super::peer_name::PeerNames;
use super::receive::Buffers;
use super::table::{Table, fd};
use super::tls::{Streams, TlsMetrics};
use super::{Completion, Descriptor, Doorbell, Ring, send};
use crate::config::RingSettings;

/// The sockets. The ring stands before the buffers: it is closed before they are freed.
#[derive(Debug)]
pub(crate) struct Sockets {
    ring: Ring,
    pub(super) buffers: Buffers,
    pub(super) table: Table,
    listeners: Vec<Listener>,
    /// Accepts that the kernel has not ended yet.
    accepts: usize,
    /// When to look again at listeners that others accept from as well.
    look_again_at: Option<Time>,
    /// By listener, also after it was closed: how long its peers' addresses are, and what it leads to.
    entrances: Vec<(u32, Door)>,
    peer_names: PeerNames,
    sockets: Vec<Socket>,
    starved: VecDeque<ConnectionId>,
    doorbell: Arc<Doorbell>,
    /// When the one-shot timer is set to fire.
    alarm: Option<Time>,
    timers: Box<Timers>,
    /// None where no listener has TLS.
    pub(super) tls: Option<Box<Streams>>,
    /// TLS connections that have something to say of their own.
    pub(super) talkative: Vec<ConnectionId>,
    /// What is to be interpreted in the next pass although the kernel does not say it.
    pub(super) postponed: Vec<Completion>,
    metrics: SocketMetrics,
}

/// What a completion meant.
#[derive(Debug)]
pub(crate) enum Happened<'a> {
    /// Nothing to do.
    Nothing,
    /// Somebody connected; to be given to [`Sockets::open`] or [`Sockets::refuse`].
    Accepted(Descriptor, SocketAddr, Door),
    /// Bytes came; give the buffer back with [`Sockets::recycle`] when they are handled.
    Received(ConnectionId, &'a mut [u8], u16),
    /// The peer sends no more, or the connection broke.
    Ended(ConnectionId),
    /// A send of the turn's bytes went short or failed.
    SendFailed(u32, Result<usize, ()>),
    /// A send of a connection's own bytes is over.
    Sent(ConnectionId, Result<usize, ()>),
    /// It is time for the periodic work.
    Tick,
    /// The one-shot timer fired.
    Alarm,
}

/// What happened to a shard's sockets since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketMetrics {
    /// Receives that found no buffer: too few buffers cost a fifth more CPU and are seen nowhere else.
    pub(crate) buffers_exhausted: u64,
    /// Accepts that failed for lack of descriptors or memory.
    pub(crate) accepts_failed: u64,
    /// Connections whose peers acknowledged nothing any more.
    pub(crate) peers_silent: u64,
    /// System calls of the ring.
    pub(crate) enters: u64,
    /// Times the submission queue overflowed in the middle of a pass.
    pub(crate) submission_overflows: u64,
    /// Times the completion queue overflowed.
    pub(crate) completion_overflows: u64,
    /// What happened to TLS.
    pub(crate) tls: TlsMetrics,
}

#[derive(Debug)]
struct Listener {
    socket: socket2::Socket,
    /// Not before then: descriptors or memory ran out.
    retry_at: Option<Time>,
}

/// Everything that is held for a connection here: twelve bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    pub(super) descriptor: Descriptor,
    generation: u32,
    pub(super) flags: u8,
}

#[derive(Debug)]
struct Timers {
    tick: Timespec,
    alarm: Timespec,
}

const _: () = assert!(size_of::<Socket>() <= 16, "a million idle connections cost 16 MB here at most");

impl Sockets {
    /// Builds the ring, on the thread that will use it, and starts listening to ticks and the doorbell.
    pub(crate) fn new(settings: &RingSettings, doorbell: Arc<Doorbell>, tick: Duration) -> io::Result<Self> {
        let ring = Ring::new(settings.entries)?;
        let buffers = Buffers::new(&ring, settings.receive_buffers, settings.receive_buffer_bytes)?;
        let table = Table::new(&ring, settings.direct_descriptors)?;
        let timers = Box::new(Timers { tick: timespec(tick), alarm: Timespec::new() });
        let mut sockets = Self {
            ring,
            buffers,
            table,
            listeners: Vec::new(),
            accepts: 0,
            look_again_at: None,
            entrances: Vec::new(),
            peer_names: PeerNames::default(),
            sockets: Vec::new(),
            starved: VecDeque::new(),
            doorbell,
            alarm: None,
            timers,
            tls: None,
            talkative: Vec::new(),
            postponed: Vec::new(),
            metrics: SocketMetrics::default(),
        };
        sockets.arm_tick()?;
        sockets.arm_doorbell()?;
        Ok(sockets)
    }

    /// Accepts on these listeners, which lead to these doors, from the next [`Sockets::enter`] on.
    pub(crate) fn listen(&mut self, listeners: Vec<socket2::Socket>, doors: &[Door]) -> io::Result<()> {
        let entrance = |(listener, door): (&socket2::Socket, &Door)| Ok((listener.local_addr()?.len(), *door));
        self.entrances = listeners.iter().zip(doors).map(entrance).collect::<io::Result<_>>()?;
        self.listeners = listeners.into_iter().map(|socket| Listener { socket, retry_at: None }).collect();
        (0..self.listeners.len()).try_for_each(|listener| self.arm_accept(listener))
    }

    /// Others accept from the same sockets. Of all who wait for a connection the kernel wakes one, and if that one stops
    /// waiting in the same moment, nobody hears of it: so we look by ourselves from time to time.
    pub(crate) const fn share_listeners(&mut self) {
        self.look_again_at = Some(Time::ZERO);
    }

    /// Stops accepting and closes the listeners. What was accepted already may still be reported.
    pub(crate) fn stop_listening(&mut self) -> io::Result<()> {
        for listener in 0..self.listeners.len() {
            let accept = of_index(Operation::Accept, index(listener));
            self.push(&quiet(opcode::AsyncCancel::new(accept).build()))?;
        }
        self.listeners.clear();
        Ok(())
    }

    /// Whether somebody may still come of an accept: one that is armed, or not cancelled yet, or whose peer is being asked
    /// for.
    pub(crate) const fn is_accepting(&self) -> bool {
        self.accepts > 0 || self.peer_names.are_asked()
    }

    /// Submits what was asked and, with `wait`, sleeps until something happens.
    pub(crate) fn enter(&mut self, wait: bool) -> io::Result<()> {
        if !self.talkative.is_empty() {
            self.let_talk()?;
        }
        self.ring.enter(wait && !self.has_work())
    }

    /// Moves what has happened into `completions`, to be passed to [`Sockets::interpret`] one by one.
    pub(crate) fn drain(&mut self, completions: &mut Vec<Completion>) -> io::Result<()> {
        completions.append(&mut self.postponed);
        self.ring.drain(completions)
    }

    /// Whether [`Sockets::drain`] would find something.
    pub(crate) fn has_completions(&mut self) -> bool {
        self.ring.has_completions()
    }

    /// What one completion means. Arms again what ended and should go on.
    pub(crate) fn interpret(&mut self, completion: Completion, now: Time) -> io::Result<Happened<'_>> {
        Ok(match completion.operation() {
            Operation::Receive => return self.received(completion),
            Operation::SendTurn => Happened::SendFailed(completion.index(), completion.sent()),
            Operation::SendOwned => Happened::Sent(completion.connection(), completion.sent()),
            Operation::Accept => return self.accepted(completion, now),
            Operation::Tick => {
                if !completion.more() {
                    self.arm_tick()?;
                }
                self.retry_accepts(now)?;
                self.look_again(now)?;
                Happened::Tick
            }
            Operation::Alarm => {
                self.alarm = None;
                Happened::Alarm
            }
            Operation::Doorbell => {
                if !completion.more() {
                    self.arm_doorbell()?;
                }
                Happened::Nothing
            }
            Operation::Cancel => {
                // The receive was running at that moment and goes on: once more. If it has ended, it said so itself.
                if let Some(socket) = self.socket_mut(completion.connection()) {
                    socket.flags &= !CANCELLED;
                    if socket.flags & (PAUSED | OFFLOADING) != 0 {
                        self.cancel_receive(completion.connection())?;
                    }
                }
                Happened::Nothing
            }
            Operation::PeerName => {
                let (descriptor, listener, address) = self.peer_names.answer(completion.index(), completion.result);
                self.introduce(descriptor, listener, address)?
            }
            Operation::Shutdown | Operation::Abort | Operation::Offload | Operation::Renew => {
                self.installed(completion)?;
                Happened::Nothing
            }
            Operation::SendSecure => return self.landed(completion),
            Operation::SendOffloaded => return self.landed_offloaded(completion),
            Operation::Announce => {
                self.announced(completion.connection());
                Happened::Nothing
            }
            Operation::SecureEnd if self.socket(completion.connection()).is_some() => {
                Happened::Ended(completion.connection())
            }
            Operation::SecureEnd | Operation::Ignored => Happened::Nothing,
        })
    }

    /// Gives a receive buffer back.
    pub(crate) fn recycle(&mut self, buffer: u16) {
        self.buffers.recycle(buffer);
    }

    /// After the last completion of a pass: the kernel gets its buffers back, then those that found none try again.
    pub(crate) fn finish_completions(&mut self) -> io::Result<()> {
        self.buffers.publish();
        for _ in 0..self.buffers.count() {
            let Some(connection) = self.starved.pop_front() else { break };
            self.arm_receive(connection)?;
        }
        Ok(())
    }

    /// Takes over an accepted descriptor and starts to receive.
    pub(crate) fn open(&mut self, connection: ConnectionId, descriptor: Descriptor, door: Door) -> io::Result<()> {
        let slot = connection.slot as usize;
        if self.sockets.len() <= slot {
            self.sockets.resize(slot + 1, Socket { descriptor: Descriptor::NONE, generation: 0, flags: 0 });
        }
        let socket = &mut self.sockets[slot];
        assert_eq!(socket.descriptor, Descriptor::NONE, "the shard reuses a slot only after its close");
        *socket = Socket { descriptor, generation: connection.generation, flags: 0 };
        if door == Door::Tls {
            socket.flags |= SECURE;
            self.tls.as_mut().expect("a listener with TLS has what it takes").open(connection);
        }
        self.arm_receive(connection)
    }

    /// Sends bytes of the turn's arena; see [`send`]. `false`: there is no such connection.
    ///
    /// # Safety
    /// The bytes stay where they are until the next [`Sockets::enter`] is over, owned ones until their completion.
    pub(crate) unsafe fn send(
        &mut self,
        connection: ConnectionId,
        mode: Mode,
        token: u32,
        bytes: &[u8],
    ) -> io::Result<bool> {
        let Some(socket) = self.socket(connection) else { return Ok(false) };
        if socket.is_secure() {
            return self.send_secure(connection, mode, token, bytes).map(|()| true);
        }
        let entry = match mode {
            Mode::Turn => send::turn(socket.descriptor, bytes, token),
            Mode::Owned => send::owned(socket.descriptor, bytes, connection),
        };
        self.push(&self.table.on(entry))?;
        Ok(true)
    }

    /// Stops receiving. What the kernel took already is still reported.
    pub(crate) fn pause(&mut self, connection: ConnectionId) -> io::Result<()> {
        let Some(socket) = self.socket_mut(connection) else { return Ok(()) };
        socket.flags |= PAUSED;
        self.cancel_receive(connection)
    }

    /// Receives again. A cancellation on its way is waited for.
    pub(crate) fn resume(&mut self, connection: ConnectionId) -> io::Result<()> {
        if let Some(socket) = self.socket_mut(connection) {
            socket.flags &= !PAUSED;
        }
        self.arm_receive(connection)
    }

    /// Closes an accepted descriptor for which there is no room.
    pub(crate) fn refuse(&mut self, descriptor: Descriptor) -> io::Result<()> {
        self.push(&quiet(self.table.close(descriptor)))
    }

    /// Sends the end of our stream: the shard says so when everything before it is sent. Not by the ring, which has no
    /// other way than a thread of its own for it.
    pub(crate) fn shutdown(&mut self, connection: ConnectionId) -> io::Result<()> {
        if self.socket(connection).is_some_and(Socket::is_secure) {
            return self.shut_secure(connection);
        }
        self.reach(connection, Operation::Shutdown)
    }

    /// Breaks the connection off: sends and receives in flight end, and each is still reported.
    pub(crate) fn abort(&mut self, connection: ConnectionId) -> io::Result<()> {
        self.reach(connection, Operation::Abort)?;
        self.resume(connection)
    }

    /// Closes the descriptor; the slot is free from now on.
    pub(crate) fn close(&mut self, connection: ConnectionId) -> io::Result<()> {
        let Some(socket) = self.socket_mut(connection) else { return Ok(()) };
        if socket.is_secure() {
            self.part_secure(connection)?;
        }
        let Some(socket) = self.socket_mut(connection) else { return Ok(()) };
        let closed = std::mem::replace(socket, Socket { descriptor: Descriptor::NONE, ..*socket });
        if closed.flags & (ARMED | CANCELLED) == ARMED {
            self.push(&cancel_receive(connection))?;
        }
        self.push(&quiet(self.table.close(closed.descriptor)))
    }

    /// Sets the one-shot timer for `at`, if it is not set for an earlier time. Fires at most once per setting, and may
    /// fire early: whoever set it looks at the clock.
    pub(crate) fn set_alarm(&mut self, now: Time, at: Time) -> io::Result<()> {
        if self.alarm.is_some_and(|set| set <= at) {
            return Ok(());
        }
        self.timers.alarm = timespec(at.since(now).max(Duration::from_micros(1)));
        let timespec = &raw const self.timers.alarm;
        let user_data = of_index(Operation::Alarm, 0);
        let entry = match self.alarm.replace(at) {
            None => opcode::Timeout::new(timespec).build().user_data(user_data),
            // If it fires before the update gets there, its completion asks the driver to set it anew.
            Some(_) => quiet(opcode::TimeoutUpdate::new(user_data, timespec).build()),
        };
        self.push(&entry)
    }

    /// The shard has died: nobody more is accepted here, and those who were, and were not let in yet, go. `unheard` is what
    /// was drained and not interpreted.
    pub(crate) fn turn_away(&mut self, unheard: &[Completion]) {
        let mut rest = unheard.to_vec();
        // A ring that does not work any more has nothing to say.
        let _ = self.stop_listening().and_then(|()| self.ring.enter(false)).and_then(|()| self.drain(&mut rest));
        for completion in rest {
            if completion.operation() == Operation::Accept && completion.result >= 0 && !self.table.is_direct() {
                // SAFETY: the kernel has made this descriptor, and nobody else will ever see this completion.
                drop(unsafe { OwnedFd::from_raw_fd(completion.result) });
            }
        }
    }

    /// Whether the next [`Sockets::enter`] must not sleep.
    pub(crate) fn has_work(&self) -> bool {
        !(self.starved.is_empty() && self.postponed.is_empty())
    }

    /// The counters.
    pub(crate) fn metrics(&self) -> SocketMetrics {
        let ring = self.ring.metrics();
        SocketMetrics {
            enters: ring.enters,
            submission_overflows: ring.submission_overflows,
            completion_overflows: ring.completion_overflows,
            tls: self.tls.as_ref().map(|tls| tls.metrics()).unwrap_or_default(),
            ..self.metrics
        }
    }

    /// Does what takes a descriptor of the process: at once where there is one; a place of the ring's table becomes one for
    /// that purpose first.
    pub(super) fn reach(&mut self, connection: ConnectionId, operation: Operation) -> io::Result<()> {
        let Some(socket) = self.socket(connection) else { return Ok(()) };
        if self.table.is_direct() {
            let entry = Table::install(socket.descriptor);
            return self.push(&entry.user_data(of_connection(operation, connection)));
        }
        // SAFETY: an open slot holds an open descriptor.
        let descriptor = unsafe { BorrowedFd::borrow_raw(socket.descriptor.0) };
        self.reached(connection, operation, descriptor)
    }

    fn reached(
        &mut self,
        connection: ConnectionId,
        operation: Operation,
        descriptor: BorrowedFd<'_>,
    ) -> io::Result<()> {
        match operation {
            Operation::Offload => self.offload_by(connection, descriptor),
            Operation::Renew => self.renew_by(connection, descriptor),
            Operation::Abort => {
                shut(&SockRef::from(&descriptor), Shutdown::Both);
                Ok(())
            }
            _ => {
                shut(&SockRef::from(&descriptor), Shutdown::Write);
                Ok(())
            }
        }
    }

    /// The descriptor that something is to be done by is there, and is closed again. If the process had none left, a thread
    /// of the kernel's shuts down without one; nothing else is possible.
    fn installed(&mut self, completion: Completion) -> io::Result<()> {
        let (connection, operation) = (completion.connection(), completion.operation());
        if completion.result >= 0 {
            // SAFETY: the kernel has just made this descriptor, and this completion is the only one to name it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(completion.result) };
            return self.reached(connection, operation, descriptor.as_fd());
        }
        let Some(socket) = self.socket(connection) else { return Ok(()) };
        let how = match operation {
            Operation::Offload => return self.stay_in_user_space(connection),
            Operation::Shutdown => libc::SHUT_WR,
            _ => libc::SHUT_RDWR,
        };
        let entry = quiet(opcode::Shutdown::new(fd(socket.descriptor), how).build());
        self.push(&self.table.on(entry))
    }

    /// A new connection, if its peer is still there; it has no address otherwise.
    fn introduce(
        &mut self,
        descriptor: Descriptor,
        listener: usize,
        address: Option<SocketAddr>,
    ) -> io::Result<Happened<'static>> {
        match address {
            Some(address) => Ok(Happened::Accepted(descriptor, address, self.entrances[listener].1)),
            None => self.refuse(descriptor).map(|()| Happened::Nothing),
        }
    }

    /// Finds out who has connected: getpeername(2) where there is a descriptor for it, which costs as much as the ring's
    /// way and saves a pass.
    fn identify(&mut self, descriptor: Descriptor, listener: usize) -> io::Result<Happened<'static>> {
        if self.table.is_direct() {
            let (entry, number) = self.peer_names.ask(descriptor, listener, self.entrances[listener].0);
            self.push(&self.table.on(entry).user_data(of_index(Operation::PeerName, number)))?;
            return Ok(Happened::Nothing);
        }
        // SAFETY: accept has just made this descriptor, and nobody closes it before it is refused or opened.
        let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor.0) };
        let address = SockRef::from(&borrowed).peer_addr().ok().and_then(|address| address.as_socket());
        self.introduce(descriptor, listener, address)
    }

    fn received(&mut self, completion: Completion) -> io::Result<Happened<'_>> {
        let connection = completion.connection();
        let more = completion.more();
        let Some(socket) = self.socket_mut(connection) else {
            if let Some(buffer) = completion.buffer() {
                self.buffers.recycle(buffer);
            }
            return Ok(Happened::Nothing);
        };
        if !more {
            socket.flags &= !(ARMED | CANCELLED);
        }
        let is_secure = socket.is_secure();
        match (usize::try_from(completion.result), completion.buffer()) {
            (Ok(length), Some(buffer)) if length > 0 => {
                if is_secure {
                    return self.received_secure(connection, buffer, length);
                }
                self.arm_receive(connection)?;
                Ok(Happened::Received(connection, self.buffers.bytes(buffer, length), buffer))
            }
            (_, buffer) => {
                if let Some(buffer) = buffer {
                    self.buffers.recycle(buffer);
                }
                self.received_nothing(connection, -completion.result)
            }
        }
    }

    pub(super) fn received_nothing(&mut self, connection: ConnectionId, error: i32) -> io::Result<Happened<'static>> {
        match error {
            libc::ENOBUFS => {
                self.metrics.buffers_exhausted += 1;
                if self.metrics.buffers_exhausted.is_power_of_two() {
                    let (receives, buffers) = (self.metrics.buffers_exhausted, self.buffers.count());
                    tracing::warn!(receives, buffers, "receives have found no free buffer: raise --receive-buffers");
                }
                self.starved.push_back(connection);
            }
            // Paused, and perhaps resumed meanwhile.
            libc::ECANCELED | libc::EAGAIN | libc::EINTR => self.arm_receive(connection)?,
            // The kernel's TLS waits for a key.
            libc::EKEYEXPIRED => self.await_key(connection)?,
            _ => {
                self.metrics.peers_silent += u64::from(error == libc::ETIMEDOUT);
                if let Some(socket) = self.socket_mut(connection) {
                    socket.flags |= ENDED;
                    if socket.is_secure() {
                        self.ended_secure(connection, error);
                    }
                }
                return Ok(Happened::Ended(connection));
            }
        }
        Ok(Happened::Nothing)
    }

    fn accepted(&mut self, completion: Completion, now: Time) -> io::Result<Happened<'static>> {
        let listener = completion.index() as usize;
        let mut happened = Happened::Nothing;
        let mut exhausted = false;
        if completion.result >= 0 {
            happened = self.identify(Descriptor(completion.result), listener)?;
        } else {
            exhausted =
                !matches!(-completion.result, libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::ECANCELED);
        }
        if completion.more() {
            return Ok(happened);
        }
        self.accepts -= 1;
        if listener >= self.listeners.len() {
            return Ok(happened);
        }
        if exhausted {
            self.metrics.accepts_failed += 1;
            if self.metrics.accepts_failed.is_power_of_two() {
                let error = io::Error::from_raw_os_error(-completion.result);
                tracing::warn!(%error, failures = self.metrics.accepts_failed, "cannot accept connections");
            }
            self.listeners[listener].retry_at = Some(now + ACCEPT_RETRY);
        } else {
            self.arm_accept(listener)?;
        }
        Ok(happened)
    }

    fn retry_accepts(&mut self, now: Time) -> io::Result<()> {
        for listener in 0..self.listeners.len() {
            if self.listeners[listener].retry_at.take_if(|at| *at <= now).is_some() {
                self.arm_accept(listener)?;
            }
        }
        Ok(())
    }

    /// An accept that is cancelled is armed again, and one that is armed looks first.
    fn look_again(&mut self, now: Time) -> io::Result<()> {
        if self.look_again_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        self.look_again_at = Some(now + LOOK_AGAIN);
        for listener in 0..self.listeners.len() {
            if self.listeners[listener].retry_at.is_none() {
                let accept = of_index(Operation::Accept, index(listener));
                self.push(&quiet(opcode::AsyncCancel::new(accept).build()))?;
            }
        }
        Ok(())
    }

    /// Arms a receive, unless there is one, or none is wanted.
    pub(super) fn arm_receive(&mut self, connection: ConnectionId) -> io::Result<()> {
        let Some(socket) = self.socket_mut(connection).filter(|socket| socket.flags & (ARMED | PAUSED | ENDED) == 0)
        else {
            return Ok(());
        };
        if socket.flags & OFFLOADING != 0 {
            // Not before its turn is over: it may send meanwhile.
            self.talkative.push(connection);
            return Ok(());
        }
        socket.flags |= ARMED;
        let (descriptor, is_offloaded) = (fd(socket.descriptor), socket.is_offloaded());
        let entry = match &self.tls {
            Some(tls) if is_offloaded => opcode::RecvMsgMulti::new(descriptor, tls.room(), Buffers::GROUP).build(),
            _ => opcode::RecvMulti::new(descriptor, Buffers::GROUP).build(),
        };
        self.push(&self.table.on(entry).user_data(of_connection(Operation::Receive, connection)))
    }

    /// Tells the receive in the kernel to end, if there is one that was not told.
    pub(super) fn cancel_receive(&mut self, connection: ConnectionId) -> io::Result<()> {
        let Some(socket) = self.socket_mut(connection).filter(|socket| socket.flags & (ARMED | CANCELLED) == ARMED)
        else {
            return Ok(());
        };
        socket.flags |= CANCELLED;
        self.push(&cancel_receive(connection))
    }

    fn arm_accept(&mut self, listener: usize) -> io::Result<()> {
        self.accepts += 1;
        let entry = self.table.accept(self.listeners[listener].socket.as_raw_fd());
        self.push(&entry.user_data(of_index(Operation::Accept, index(listener))))
    }

    fn arm_tick(&mut self) -> io::Result<()> {
        let entry = opcode::Timeout::new(&raw const self.timers.tick).flags(TimeoutFlags::MULTISHOT).build();
        self.push(&entry.user_data(of_index(Operation::Tick, 0)))
    }

    fn arm_doorbell(&mut self) -> io::Result<()> {
        let events = u32::try_from(libc::POLLIN).expect("a small positive constant");
        let entry = opcode::PollAdd::new(Fd(self.doorbell.descriptor()), events).multi(true).build();
        self.push(&entry.user_data(of_index(Operation::Doorbell, 0)))
    }

    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: entries made in this file point to nothing, or to the boxed timers, which live as long as the ring;
        // those of `send` are vouched for by its caller. Those of `secure` point to flights, which neither move nor end
        // before their completion, and are dropped after the ring; those of `offload` to headers that live as long.
        unsafe { self.ring.push(entry) }
    }

    pub(super) fn socket(&self, connection: ConnectionId) -> Option<Socket> {
        let socket = self.sockets.get(connection.slot as usize)?;
        (socket.descriptor != Descriptor::NONE && socket.generation == connection.generation).then_some(*socket)
    }

    pub(super) fn socket_mut(&mut self, connection: ConnectionId) -> Option<&mut Socket> {
        let socket = self.sockets.get_mut(connection.slot as usize)?;
        (socket.descriptor != Descriptor::NONE && socket.generation == connection.generation).then_some(socket)
    }
}

impl Socket {
    pub(super) const fn is_secure(self) -> bool {
        self.flags & SECURE != 0
    }

    /// Whether the kernel speaks it.
    pub(super) const fn is_offloaded(self) -> bool {
        self.flags & OFFLOADED != 0
    }

    pub(super) const fn is(self, flags: u8) -> bool {
        self.flags & flags != 0
    }
}

impl Drop for Sockets {
    /// Whatever is still open when a shard ends is closed with it; a table goes with its ring.
    fn drop(&mut self) {
        if self.table.is_direct() {
            return;
        }
        self.turn_away(&[]);
        for socket in self.sockets.iter().filter(|socket| socket.descriptor != Descriptor::NONE) {
            // SAFETY: an open slot holds an open descriptor, and this is the end of it.
            drop(unsafe { OwnedFd::from_raw_fd(socket.descriptor.0) });
        }
    }
}

/// It only fails when the peer has reset the connection, and then its receive ends too. Who is broken off has not read for
/// too long: without a reset the kernel would keep what is unsent, megabytes of it, for minutes after the close.
fn shut(socket: &socket2::Socket, how: Shutdown) {
    if how == Shutdown::Both {
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
    let _ = socket.shutdown(how);
}

fn cancel_receive(connection: ConnectionId) -> Entry {
    let entry = opcode::AsyncCancel::new(of_connection(Operation::Receive, connection)).build();
    entry.flags(Flags::SKIP_SUCCESS).user_data(of_connection(Operation::Cancel, connection))
}

/// An operation whose result nobody waits for.
fn quiet(entry: Entry) -> Entry {
    entry.flags(Flags::SKIP_SUCCESS).user_data(of_index(Operation::Ignored, 0))
}

fn index(listener: usize) -> u32 {
    u32::try_from(listener).expect("listeners are counted by the flags that name them")
}

const fn timespec(duration: Duration) -> Timespec {
    Timespec::new().sec(duration.as_secs()).nsec(duration.subsec_nanos())
}

/// A receive is in the kernel.
pub(super) const ARMED: u8 = 1;
/// No receive is wanted.
pub(super) const PAUSED: u8 = 1 << 1;
/// The receive in the kernel was told to end.
const CANCELLED: u8 = 1 << 2;
/// The peer has ended; another receive would only say so again.
pub(super) const ENDED: u8 = 1 << 3;
/// TLS is spoken on it.
const SECURE: u8 = 1 << 4;
/// Receives come one at a time: the kernel is to take the TLS over.
pub(super) const OFFLOADING: u8 = 1 << 5;
/// Nothing is sent, because it is doing so.
pub(super) const HELD: u8 = 1 << 6;
/// It has.
pub(super) const OFFLOADED: u8 = 1 << 7;
/// How long to wait for descriptors or memory: connections end meanwhile, and 20 tries a second cost nothing.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// What somebody waits at most whose coming nobody was told of; four operations a second for each listener.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
