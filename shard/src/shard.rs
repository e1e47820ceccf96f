//! The shard: its parts, how it is made, and where the world's events enter. Control flow only; what an event means is
//! in the file of its noun.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use codec::socketcluster;
use foldhash::fast::FixedState;

use crate::channel::Channels;
use crate::compression::Compressors;
use crate::connection::{Connection, Protocol, State, ending, pause};
use crate::connections::Connections;
use crate::eventstream::StreamOpening;
use crate::filter::Filtered;
use crate::form::Written;
use crate::heartbeat::{Timing, stamp};
use crate::invoking::Invoking;
use crate::joining::Joining;
use crate::lame_duck::LameDuck;
use crate::lane::Lane;
use crate::login_end::LoginEnds;
use crate::logins::Logins;
use crate::meters::Meters;
use crate::outbox::Outbox;
use crate::pending::PendingCalls;
use crate::people::{People, Users};
use crate::polling::{PollContext, PollMessage};
use crate::pressure::Relief;
use crate::quota::Quotas;
use crate::recovery::Recoveries;
use crate::seats::Seats;
use crate::sending::room;
use crate::session::{SessionWork, Sessions};
use crate::turn::{Arena, Send, Turn};
use crate::visits::Visits;
use crate::{
    Batch, Command, ConnectionId, Disconnect, Door, Host, Limits, Metrics, Reply, SessionConfig, ShardId, ShardSet,
    SocketIoConfig, Time,
};

/// What a shard is made of.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Which shard it is.
    pub id: ShardId,
    /// How many there are, this one included; at most [`ShardId::COUNT_MAX`].
    pub shards: usize,
    /// Its bounds.
    pub limits: Limits,
    /// Keys its hashes and its connections' public ids.
    pub seed: u64,
}

/// What the driver must do to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Stop reading. What was received meanwhile is still passed to `handle_receive`.
    PauseReceive(ConnectionId),
    /// Read again.
    ResumeReceive(ConnectionId),
    /// Everything is sent: end our direction, wait for the peer's end.
    Shutdown(ConnectionId),
    /// Drop both directions; an owned send in flight ends and is reported.
    Abort(ConnectionId),
    /// The connection is gone: close the descriptor. Its slot may be used again from now on.
    Close(ConnectionId),
}

impl Event {
    const fn connection(self) -> ConnectionId {
        match self {
            Self::PauseReceive(id)
            | Self::ResumeReceive(id)
            | Self::Shutdown(id)
            | Self::Abort(id)
            | Self::Close(id) => id,
        }
    }
}

/// One CPU's share of the server; see the crate's documentation for how to drive it.
pub struct Shard {
    pub(crate) id: ShardId,
    /// The others that are there.
    pub(crate) peers: ShardSet,
    /// Those of them that answer.
    pub(crate) serving: ShardSet,
    /// Set from the beginning of a shard that takes another's place until it knows what that one knew.
    pub(crate) joining: Option<Box<Joining>>,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
    pub(crate) seed: u64,
    pub(crate) connections: Connections,
    next_generation: u32,
    /// By slot: when the sweep must look at the connection, in stamps.
    pub(crate) due: Vec<u32>,
    pub(crate) sweep_cursor: usize,
    pub(crate) channels: Channels,
    pub(crate) next_interest: u64,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) is_congested: bool,
    /// The message at hand has put more on a lane that is too full.
    pub(crate) has_overflowed: bool,
    pub(crate) pending: PendingCalls,
    pub(crate) invoking: Invoking,
    pub(crate) filtered: Filtered,
    pub(crate) logins: Option<Box<Logins>>,
    pub(crate) visits: Option<Box<Visits>>,
    /// Those by the door of operators and backends.
    pub(crate) admin_visits: Option<Box<Visits>>,
    pub(crate) meters: Option<Box<Meters>>,
    pub(crate) seats: Option<Box<Seats>>,
    pub(crate) quotas: Option<Box<Quotas>>,
    pub(crate) sessions: Sessions,
    pub(crate) session_work: SessionWork,
    pub(crate) compressors: Compressors,
    /// The push at hand, in the forms that it was written in so far.
    pub(crate) written: Vec<Written>,
    pub(crate) users: Users,
    pub(crate) login_ends: LoginEnds,
    pub(crate) people: People,
    /// Requests of long-polling that wait for their answers here, by the connections that they came on.
    pub(crate) polls: HashMap<ConnectionId, PollContext, FixedState>,
    /// Event streams whose response has not begun.
    pub(crate) streams: HashMap<ConnectionId, StreamOpening, FixedState>,
    /// What other shards say about polling, until the turn settles.
    pub(crate) poll_work: VecDeque<(ShardId, PollMessage)>,
    /// Connections without sockets that were told something.
    pub(crate) mail: Vec<ConnectionId>,
    /// What the application says about Socket.IO.
    pub(crate) socketio: SocketIoConfig,
    /// What is kept for clients that come back, if anything is.
    pub(crate) recovery: Option<Box<Recoveries>>,
    /// Boxed, since they change places with every turn.
    pub(crate) turn: Box<Turn>,
    pub(crate) last_turn: Box<Turn>,
    /// This pass's sends, and the last one's: those that went short are reported now.
    pub(crate) sends: Vec<Send>,
    last_sends: Vec<Send>,
    /// The next of `sends` to poll; `None` until they are decided.
    pub(crate) next_send: Option<usize>,
    /// The turn's time, in stamps.
    pub(crate) now: u32,
    pub(crate) events: VecDeque<Event>,
    /// Paused connections to look at when the turn settles.
    pub(crate) resumable: Vec<ConnectionId>,
    /// Connections to end when the turn settles: they were met where the application cannot be called.
    pub(crate) slow_consumers: Vec<ConnectionId>,
    /// What is done about little memory.
    pub(crate) relief: Relief,
    /// Closing connections whose last bytes are watched.
    pub(crate) lingering: Vec<ConnectionId>,
    /// Clients are not heard any more.
    pub(crate) is_stopping: bool,
    /// Set while connections are told to leave before the stop.
    pub(crate) lame_duck: Option<LameDuck>,
    /// Where the drain at shutdown has got to.
    pub(crate) drain_cursor: Option<usize>,
    pub(crate) reply: Reply,
    pub(crate) protocol: Option<Box<socketcluster::Decoder>>,
    pub(crate) metrics: Metrics,
}

impl Shard {
    /// A shard without connections.
    #[must_use]
    pub fn new(config: Config, now: Time) -> Self {
        assert!(config.shards <= ShardId::COUNT_MAX && config.id.index() < config.shards, "no such shard");
        let limits = config.limits;
        Self {
            id: config.id,
            peers: ShardSet::others(config.shards, config.id),
            serving: ShardSet::others(config.shards, config.id),
            joining: None,
            limits,
            timing: Timing::new(&limits, now),
            seed: config.seed,
            connections: Connections::default(),
            next_generation: 0,
            due: Vec::new(),
            sweep_cursor: 0,
            channels: Channels::new(config.seed, limits.slow_consumer),
            next_interest: 0,
            lanes: (0..config.shards).map(|_| Lane::default()).collect(),
            is_congested: false,
            has_overflowed: false,
            pending: PendingCalls::new(config.seed),
            invoking: Invoking::default(),
            filtered: Filtered::default(),
            logins: Logins::new(limits.rates.failed_logins_per_minute, config.seed),
            visits: Visits::new(limits.rates.requests, config.seed),
            admin_visits: Visits::new(limits.rates.admin, config.seed),
            meters: Meters::new(&limits.rates),
            seats: Seats::new(limits.seats),
            quotas: Quotas::new(limits.quotas, config.seed),
            sessions: Sessions::new(limits.sessions, config.shards, false, config.seed),
            session_work: SessionWork::default(),
            compressors: Compressors::new(limits.compression),
            written: Vec::new(),
            users: Users::new(config.seed),
            login_ends: LoginEnds::default(),
            people: People::new(config.shards),
            polls: HashMap::with_hasher(FixedState::with_seed(config.seed)),
            streams: HashMap::with_hasher(FixedState::with_seed(config.seed)),
            poll_work: VecDeque::new(),
            mail: Vec::new(),
            socketio: SocketIoConfig { namespaces: vec!["/".into()], ..SocketIoConfig::default() },
            recovery: Recoveries::new(limits.recovery),
            turn: Box::default(),
            last_turn: Box::new(Turn::odd()),
            sends: Vec::new(),
            last_sends: Vec::new(),
            next_send: None,
            now: stamp(now),
            events: VecDeque::new(),
            resumable: Vec::new(),
            slow_consumers: Vec::new(),
            relief: Relief::default(),
            lingering: Vec::new(),
            is_stopping: false,
            lame_duck: None,
            drain_cursor: None,
            reply: Reply::default(),
            protocol: Some(Box::new(socketcluster::Decoder::new(limits.socketcluster))),
            metrics: Metrics::default(),
        }
    }

    /// Sets up the sessions, before anything else happens; the table is for the application, to find them in.
    pub fn open_sessions(&mut self, config: SessionConfig) -> Sessions {
        assert!(self.sessions.is_empty(), "before anything else");
        self.sessions = Sessions::new(self.limits.sessions, self.lanes.len(), config.has_store, self.seed);
        self.session_work.epoch = config.epoch;
        self.sessions.clone()
    }

    /// Begins a pass; and a turn, by swapping the arenas, if all of the last one is with the kernel. What was sent in
    /// the last pass stays readable for one pass more.
    pub fn begin_turn(&mut self, now: Time) {
        debug_assert!(self.turn.urgent.is_empty() || self.next_send.is_some(), "a pass ends with poll_transmit");
        std::mem::swap(&mut self.sends, &mut self.last_sends);
        self.sends.clear();
        if self.turn.is_over() {
            std::mem::swap(&mut self.turn, &mut self.last_turn);
            self.turn.clear();
        }
        self.next_send = None;
        self.now = stamp(now);
        self.set_session_time(now);
    }

    /// A socket was accepted. `None`: the shard is full or stopping; close it.
    pub fn handle_accept(&mut self, now: Time, address: SocketAddr, door: Door) -> Option<ConnectionId> {
        if self.connections.len() >= self.limits.connections_max || self.is_stopping {
            self.metrics.connections_refused += 1;
            return None;
        }
        if !self.has_memory(door) {
            return None;
        }
        let (time, now, generation) = (now, stamp(now), self.next_generation());
        let deadline = now + self.timing.handshake;
        let slot = self.connections.insert(Connection::new(generation, address, door, now, deadline));
        if self.due.len() <= slot as usize {
            self.due.resize(slot as usize + 1, u32::MAX);
        }
        self.due[slot as usize] = deadline;
        self.metrics.connections_accepted += 1;
        let id = ConnectionId { slot, generation };
        if door != Door::Admin {
            self.seat_address(time, id, address.ip());
        }
        Some(id)
    }

    pub(crate) const fn next_generation(&mut self) -> u32 {
        self.next_generation = (self.next_generation + 1) & ConnectionId::GENERATION_MASK;
        self.next_generation
    }

    /// Bytes were received. They are decoded where they lie, and overwritten.
    pub fn handle_receive<H: Host>(&mut self, now: Time, connection: ConnectionId, bytes: &mut [u8], host: &mut H) {
        // A socket that its connection has outlived may still have something to report.
        if self.connections.live(connection).is_some_and(|known| !known.is_polled() && !known.is_waiting()) {
            self.receive(now, connection, bytes, host);
        }
    }

    /// As `handle_receive`, also for connections without sockets.
    pub(crate) fn receive<H: Host>(&mut self, now: Time, connection: ConnectionId, bytes: &mut [u8], host: &mut H) {
        let Some(known) = self.connection_mut(connection) else { return };
        known.last_seen = stamp(now);
        if known.pauses != 0 && known.state != State::Closing {
            let is_polling = known.pauses == pause::POLL;
            let held = known.held_mut();
            held.bytes.extend_from_slice(bytes);
            held.is_late = true;
            if is_polling {
                // Whoever asks on before the answer has come is heard after it.
                self.events.push_back(Event::PauseReceive(connection));
            }
        } else if self.reads_home(now, connection) {
            let Some(known) = self.connection_mut(connection) else { return };
            known.held_mut().bytes.extend_from_slice(bytes);
        } else {
            self.process(now, connection, bytes, host);
        }
    }

    /// The peer has ended its direction, or the connection is broken.
    pub fn handle_end<H: Host>(&mut self, now: Time, connection: ConnectionId, host: &mut H) {
        if self.connections.live(connection).is_some_and(|known| !known.is_polled() && !known.is_waiting()) {
            self.end_received(now, connection, host);
        }
    }

    /// A [`crate::Mode::Turn`] send of the last pass went short (`Ok`, how many bytes went) or broke (`Err`).
    pub fn handle_send_failed<H: Host>(&mut self, now: Time, token: u32, sent: Result<usize, ()>, host: &mut H) {
        let Some(send) = self.last_sends.get(token as usize).copied() else { return };
        let Some(span) = send.span else { return };
        let turn = if send.turn == self.turn.number { &mut self.turn } else { &mut self.last_turn };
        let Some(connection) = self.connections.live(send.connection) else { return };
        if connection.is_polled() || connection.is_waiting() {
            return; // It has outlived that socket.
        }
        let Ok(sent) = sent else { return self.break_connection(now, send.connection, &LOST, host) };
        debug_assert!(connection.outbox.is_none(), "a turn is sent directly only when nothing is queued before it");
        let outbox = if self.channels.policies.may_drop() {
            let mut outbox = Outbox::default();
            let room = room(&self.limits, connection);
            turn.file(send.chain, sent, &mut outbox, room, &mut self.metrics);
            outbox.shrink_to(room.bytes_max, &mut self.metrics);
            outbox
        } else {
            Outbox::with_rest(&turn.bytes_of(span)[sent..])
        };
        connection.outbox = Some(Box::new(outbox));
        self.turn.urgent.push(send.connection.slot);
        self.metrics.sends_short += 1;
    }

    /// A [`crate::Mode::Owned`] send is over: `Ok`, how many bytes went, or broken.
    pub fn handle_sent<H: Host>(&mut self, now: Time, id: ConnectionId, sent: Result<usize, ()>, host: &mut H) {
        let high_water_mark = self.limits.outbox_high_water_mark;
        let Some(connection) = self.connections.live(id) else { return };
        let Some(outbox) = connection.outbox.as_mut().filter(|outbox| !outbox.is_mailbox()) else { return };
        outbox.landed(sent.unwrap_or(0));
        if connection.is_waiting() {
            return self.let_socket_go(id, host);
        }
        let Some(outbox) = connection.outbox.as_mut() else { return };
        if sent.is_err() {
            return self.break_connection(now, id, &LOST, host);
        }
        if outbox.is_empty() {
            connection.outbox = None;
        } else {
            self.turn.urgent.push(id.slot);
        }
        let is_carrier = connection.protocol == Protocol::Carrier;
        if connection.pauses & pause::OUTBOX != 0 && connection.backlog_bytes() <= high_water_mark / 2 {
            self.resumable.push(id);
        }
        if connection.state == State::Closing {
            self.linger(id);
        } else if is_carrier {
            self.say_landed(id);
        }
    }

    /// The application asks for something.
    pub fn command<H: Host>(&mut self, now: Time, command: Command, host: &mut H) {
        self.apply(now, command, host);
        self.drain_commands(now, host);
    }

    /// Hear nobody out any more: what clients send from now on is ignored, nobody is let in. What was accepted before
    /// still goes where it belongs, so that peers can wait for it before `handle_shutdown`.
    pub const fn handle_stop(&mut self, _now: Time) {
        self.is_stopping = true;
    }

    /// Everybody is told to leave, in batches per turn.
    pub fn handle_shutdown(&mut self, _now: Time) {
        self.is_stopping = true;
        self.drain_cursor.get_or_insert(0);
    }

    /// The end of a turn's input: resumes what was held back, ends what is to end.
    pub fn settle<H: Host>(&mut self, now: Time, host: &mut H) {
        self.finish_joining(now, host);
        self.deliver_filtered(now, host);
        self.finish_sessions(now, host);
        self.finish_seats(now, host);
        self.serve_polls(now, host);
        self.tell_some(now, host);
        self.drain_some(now, host);
        self.resume(now, host);
        self.end_slow_consumers(now, host);
        self.watch_lingering();
        self.drain_commands(now, host);
        self.finish_sessions(now, host);
        self.finish_people(now, host);
    }

    /// Everything queued for a peer shard, in order.
    pub fn poll_batch(&mut self, to: ShardId) -> Option<Batch> {
        self.lanes[to.index()].poll()
    }

    /// The mesh had no room for this batch: it stays the first.
    pub fn return_batch(&mut self, to: ShardId, batch: Batch) {
        self.lanes[to.index()].give_back(batch);
    }

    /// What the driver must do next to a socket.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            let id = event.connection();
            // Of connections without sockets there is nothing to do, nor of those that are gone but for their last.
            let has_socket = |known: &Connection| known.generation == id.generation && !known.is_polled();
            let is_last = matches!(event, Event::Close(_));
            if is_last || self.connections.get(id.slot).is_some_and(has_socket) {
                return Some(event);
            }
        }
    }

    /// Which shard this is.
    #[must_use]
    pub const fn id(&self) -> ShardId {
        self.id
    }

    /// Connections that exist.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Channels in the table: with local subscribers, or wanted by a peer.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Sessions, homes and copies.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Its counters.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Another pass is needed now, whatever the world does.
    #[must_use]
    pub fn has_work(&self) -> bool {
        let draining = self.drain_cursor.is_some_and(|cursor| cursor < self.due.len());
        draining
            || !self.turn.waiting.is_empty()
            || !(self.filtered.is_empty() && self.login_ends.is_empty())
            || self.can_decongest()
            || !(self.mail.is_empty() && self.poll_work.is_empty())
            || !(self.resumable.is_empty() && self.lingering.is_empty() && self.slow_consumers.is_empty())
    }

    /// After `handle_shutdown`: whether everybody has left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drain_cursor.is_some() && self.connections.is_empty()
    }

    pub(crate) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.live(id)
    }

    /// Queues what `write` appends for one connection.
    #[inline]
    pub(crate) fn write(&mut self, id: ConnectionId, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.turn.end(Arena::Direct);
        write(&mut self.turn.direct);
        self.queue_direct(id, start);
    }

    pub(crate) fn queue_direct(&mut self, id: ConnectionId, start: u32) {
        if let Some(connection) = self.connections.live(id) {
            self.turn.append_direct(connection, id.slot, start, &mut self.compressors);
        }
    }

    /// Queues a publication for a subscriber.
    #[inline]
    pub(crate) fn queue_shared(&mut self, slot: u32, start: u32, end: u32) {
        let connection = &mut self.connections[slot];
        if connection.is_ending(ending::BROKEN | ending::COMPRESSES | ending::RECOVERS) {
            return self.queue_shared_unusual(slot, start, end);
        }
        self.turn.append_shared(connection, slot, start, end);
    }

    /// As `queue_shared`, for those whose messages are compressed or kept, or who are gone.
    #[inline(never)]
    fn queue_shared_unusual(&mut self, slot: u32, start: u32, end: u32) {
        if self.connections[slot].is_ending(ending::RECOVERS) && !self.keep_push(slot, start, end) {
            return;
        }
        let connection = &mut self.connections[slot];
        if connection.is_ending(ending::BROKEN) {
            return;
        }
        if connection.is_ending(ending::COMPRESSES) {
            connection.passes(self.turn.bytes_of((Arena::Shared, start, end)));
        }
        self.turn.append_shared(connection, slot, start, end);
    }
}

/// A send failed: the peer is gone.
const LOST: Disconnect = Disconnect::new(1006, "connection lost");
