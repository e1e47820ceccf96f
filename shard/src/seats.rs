//! How many connections one address, one session or one user may have, over all shards. Each such holder has a home shard by its
//! name, which gives out its seats and takes them back; whoever wants one asks there, and waits as for a hook, but that a
//! connection that has become a user's goes on meanwhile. Nothing of it exists unless a limit is set. It counts, and never knows who the holders are.
//!
//! ```text
//!   shard of the connection          home of the holder
//!   accepted, or upgrading ──Asked──▶ a seat is free?
//!   goes on, or is refused ◀─Given── yes, one less
//!                          ◀─Denied─ no
//!   gone ────────────────────Left───▶ one more
//! ```

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

use codec::http::response;
use foldhash::fast::FixedState;

use crate::connection::{Connection, State};
use crate::pending::{Pending, Work};
use crate::requests::Next;
use crate::session::Waiting;
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Envelope, Host, SessionId, ShardId, Ticket, Time};

/// How many connections those may have who share something. Zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeatLimits {
    /// Connections from one address; of IPv6 the first 64 bits count, which one customer has.
    pub per_address: u32,
    /// WebSockets of one session.
    pub per_session: u32,
    /// WebSockets of one user; the one too many is closed with 4429.
    pub per_user: u32,
}

impl SeatLimits {
    const fn is_on(&self) -> bool {
        self.per_address != 0 || self.per_session != 0 || self.per_user != 0
    }

    /// The first character of a holder's name says what it is.
    fn of(&self, holder: &str) -> u32 {
        match holder.chars().next() {
            Some(SESSION) => self.per_session,
            Some(USER) => self.per_user,
            _ => self.per_address,
        }
    }
}

/// What a shard says to a holder's home, or hears from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatMessage {
    /// A connection wants a seat.
    Asked(Ticket),
    /// It has one.
    Given(Ticket),
    /// There is none.
    Denied(Ticket),
    /// A connection is gone that had one.
    Left,
    /// A connection has one, which a home that has died had given.
    Held,
}

/// One shard's part: the seats of the holders whose home it is, and whose seats its own connections have.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    /// As a home: how many are taken, by shard. No more holders than there are connections on all shards.
    taken: HashMap<Box<str>, Vec<(ShardId, u32)>, FixedState>,
    /// By slot: whose seats a connection has.
    held: Vec<Vec<Box<str>>>,
    /// Connections that have become a user's, and have not heard from its home.
    wanted: HashMap<Ticket, ConnectionId, FixedState>,
    /// Verdicts to act upon when the turn settles, where the host can be called.
    verdicts: VecDeque<(Ticket, Box<str>, bool)>,
}

impl Seats {
    /// None, if no limit is set.
    pub(crate) fn new(limits: SeatLimits) -> Option<Box<Self>> {
        limits.is_on().then(Box::default)
    }

    fn take(&mut self, from: ShardId, holder: &str, seats_max: u32) -> bool {
        let taken = self.taken.get(holder).map_or(0, |taken| taken.iter().map(|(_, count)| count).sum());
        // A limit is at least one.
        let has_room = taken < seats_max;
        if has_room {
            self.count(from, holder);
        }
        has_room
    }

    /// A shard has one more.
    fn count(&mut self, from: ShardId, holder: &str) {
        let Some(taken) = self.taken.get_mut(holder) else {
            self.taken.insert(holder.into(), vec![(from, 1)]);
            return;
        };
        match taken.iter_mut().find(|(shard, _)| *shard == from) {
            Some((_, count)) => *count += 1,
            None => taken.push((from, 1)),
        }
    }

    fn give_back(&mut self, from: ShardId, holder: &str) {
        let Some(taken) = self.taken.get_mut(holder) else { return };
        let Some(at) = taken.iter().position(|(shard, _)| *shard == from) else { return };
        taken[at].1 -= 1;
        if taken[at].1 == 0 {
            taken.swap_remove(at);
        }
        if taken.is_empty() {
            self.taken.remove(holder);
        }
    }

    /// A shard has died, and its connections with it.
    fn forget_shard(&mut self, gone: ShardId) {
        self.taken.retain(|_, taken| {
            taken.retain(|(shard, _)| *shard != gone);
            !taken.is_empty()
        });
    }

    fn hold(&mut self, slot: u32, holder: Box<str>) {
        let slot = slot as usize;
        if self.held.len() <= slot {
            self.held.resize_with(slot + 1, Vec::new);
        }
        self.held[slot].push(holder);
    }
}

impl Shard {
    /// A connection was accepted: is there a seat for its address? It is not heard before that is known.
    pub(crate) fn seat_address(&mut self, now: Time, id: ConnectionId, address: IpAddr) {
        if self.limits.seats.per_address == 0 {
            return;
        }
        let holder = address_holder(address);
        let home = home_of(&holder, self.lanes.len());
        match self.ask_seat(id, &holder, home) {
            Ok(true) => {}
            Ok(false) => {
                // The application cannot be called here: it is refused when the turn settles.
                let ticket = self.pending.ticket();
                self.await_verdict(now, ticket, id, None, Work::Seat(None));
                self.seats_mut().verdicts.push_back((ticket, holder, false));
            }
            Err(ticket) => self.await_verdict(now, ticket, id, None, Work::Seat(None)),
        }
    }

    /// A connection has its session: is there a seat for one more of that session?
    pub(crate) fn seat_session<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        waiting: Waiting,
        cookie: Option<Box<str>>,
        host: &mut H,
    ) -> Next {
        let session = if self.limits.seats.per_session == 0 { None } else { self.session_of(id) };
        let Some(session) = session else { return self.begin_protocol(now, id, waiting, cookie, host) };
        let holder = session_holder(session);
        match self.ask_seat(id, &holder, session.home(self.lanes.len())) {
            Ok(true) => return self.begin_protocol(now, id, waiting, cookie, host),
            Ok(false) => self.refuse_seat(now, id, &holder, host),
            Err(ticket) => {
                let work = Work::Seat(Some(Box::new((waiting, cookie))));
                self.await_verdict(now, ticket, id, None, work);
            }
        }
        Next::Nothing
    }

    /// A connection without a socket has its session. Its requests come on sockets that have seats, but not always the same:
    /// it has seats of its own.
    pub(crate) fn seat_polled<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        waiting: Waiting,
        cookie: Option<Box<str>>,
        host: &mut H,
    ) -> Next {
        let address = self.connections.live(id).map(|connection| connection.address.ip());
        let Some(address) = address.filter(|_| self.limits.seats.per_address != 0) else {
            return self.seat_session(now, id, waiting, cookie, host);
        };
        let holder = address_holder(address);
        match self.ask_seat(id, &holder, home_of(&holder, self.lanes.len())) {
            Ok(true) => return self.seat_session(now, id, waiting, cookie, host),
            Ok(false) => self.refuse_seat(now, id, &holder, host),
            Err(ticket) => {
                let work = Work::Seat(Some(Box::new((waiting, cookie))));
                self.await_verdict(now, ticket, id, None, work);
            }
        }
        Next::Nothing
    }

    /// A WebSocket carries it now, which has a seat of its address.
    pub(crate) fn leave_address_seat(&mut self, slot: u32) {
        let Some(held) = self.seats.as_mut().and_then(|seats| seats.held.get_mut(slot as usize)) else { return };
        if let Some(at) = held.iter().position(|holder| holder.starts_with(ADDRESS)) {
            let holder = held.swap_remove(at);
            self.leave_seat(&holder);
        }
    }

    /// A connection is a user's from now on: is there a seat? It goes on meanwhile, and is closed if there is none.
    pub(crate) fn seat_user(&mut self, id: ConnectionId, user: &str) {
        if self.limits.seats.per_user == 0 {
            return;
        }
        let holder = user_holder(user);
        let home = home_of(&holder, self.lanes.len());
        match self.ask_seat(id, &holder, home) {
            Ok(true) => {}
            Ok(false) => self.close_seatless(id),
            Err(ticket) => drop(self.seats_mut().wanted.insert(ticket, id)),
        }
    }

    /// A connection is a user's no more.
    pub(crate) fn unseat_user(&mut self, slot: u32, user: &str) {
        if self.limits.seats.per_user == 0 {
            return;
        }
        let holder = user_holder(user);
        let Some(held) = self.seats_mut().held.get_mut(slot as usize) else { return };
        if let Some(at) = held.iter().position(|held| *held == holder) {
            held.swap_remove(at);
            self.leave_seat(&holder);
        }
    }

    /// The home of a user has answered.
    fn seat_wanted(&mut self, id: ConnectionId, holder: Box<str>, is_given: bool) {
        let user = self.connections.live(id).map(|connection| connection.user);
        let is_theirs = user.and_then(|user| self.users.name(user)).is_some_and(|user| *user_holder(user) == *holder);
        // Whoever was this user's twice meanwhile has asked twice.
        let has_one =
            is_theirs && self.seats_mut().held.get(id.slot as usize).is_some_and(|held| held.contains(&holder));
        match (is_theirs && !has_one, is_given) {
            (true, true) => self.seats_mut().hold(id.slot, holder),
            (true, false) => self.close_seatless(id),
            (false, true) => self.leave_seat(&holder),
            (false, false) => {}
        }
    }

    fn close_seatless(&mut self, id: ConnectionId) {
        self.metrics.seats_refused += 1;
        self.close_later(id, Disconnect::new(4429, "too many connections of this user"));
    }

    /// Whether there is a seat. `Err`: the home was asked, and will answer to this ticket.
    fn ask_seat(&mut self, id: ConnectionId, holder: &str, home: ShardId) -> Result<bool, Ticket> {
        if home != self.id {
            let ticket = self.pending.ticket();
            self.ask_peer(home, Envelope::Seat { holder, message: SeatMessage::Asked(ticket) });
            return Err(ticket);
        }
        let (own, seats_max) = (self.id, self.limits.seats.of(holder));
        let seats = self.seats_mut();
        if !seats.take(own, holder, seats_max) {
            return Ok(false);
        }
        seats.hold(id.slot, holder.into());
        Ok(true)
    }

    /// What a peer says about a seat.
    pub(crate) fn handle_seat(&mut self, from: ShardId, holder: &str, message: SeatMessage) {
        let seats_max = self.limits.seats.of(holder);
        let Some(seats) = &mut self.seats else { return };
        match message {
            SeatMessage::Asked(ticket) => {
                let message = if seats.take(from, holder, seats_max) {
                    SeatMessage::Given(ticket)
                } else {
                    SeatMessage::Denied(ticket)
                };
                self.send_to_peer(from, Envelope::Seat { holder, message });
            }
            SeatMessage::Given(ticket) => seats.verdicts.push_back((ticket, holder.into(), true)),
            SeatMessage::Denied(ticket) => seats.verdicts.push_back((ticket, holder.into(), false)),
            SeatMessage::Left => seats.give_back(from, holder),
            SeatMessage::Held => seats.count(from, holder),
        }
    }

    /// Acts upon what the homes have said.
    pub(crate) fn finish_seats<H: Host>(&mut self, now: Time, host: &mut H) {
        while let Some((ticket, holder, is_given)) = self.seats.as_mut().and_then(|seats| seats.verdicts.pop_front()) {
            if let Some(id) = self.seats_mut().wanted.remove(&ticket) {
                self.seat_wanted(id, holder, is_given);
                continue;
            }
            let Some(Pending { connection: id, work, .. }) = self.take_pending(ticket) else {
                // Whoever asked has left, or has lost patience.
                if is_given {
                    self.leave_seat(&holder);
                }
                continue;
            };
            let Work::Seat(waiting) = work else { unreachable!("tickets are never used again") };
            if !is_given {
                self.refuse_seat(now, id, &holder, host);
                continue;
            }
            let is_of_address = holder.starts_with(ADDRESS);
            self.seats_mut().hold(id.slot, holder);
            self.resume_after_hook(id);
            if let Some(waiting) = waiting {
                let (waiting, cookie) = *waiting;
                if is_of_address {
                    self.seat_session(now, id, waiting, cookie, host);
                } else {
                    self.begin_protocol(now, id, waiting, cookie, host);
                }
                self.drain_commands(now, host);
            }
        }
    }

    /// There is no seat: the client is told so, whatever it has said or not.
    fn refuse_seat<H: Host>(&mut self, now: Time, id: ConnectionId, holder: &str, host: &mut H) {
        self.metrics.seats_refused += 1;
        let what = if holder.starts_with(SESSION) { "of this session" } else { "from this address" };
        self.answer_seatless(now, id, 429, &format!("too many connections {what}"), host);
    }

    /// The home has not answered in time.
    pub(crate) fn seat_timed_out<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        self.answer_seatless(now, id, 503, "the server is busy", host);
    }

    fn answer_seatless<H: Host>(&mut self, now: Time, id: ConnectionId, status: u16, why: &str, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state == State::Request {
            // Where there is no socket, it is the request that is refused.
            let id = if connection.is_polled() { self.refuse_polled(now, id, host) } else { Some(id) };
            let Some(id) = id else { return };
            self.write(id, |out| response::write(out, status, &[("Retry-After", "1")], why.as_bytes(), false));
            self.close(now, id, &Disconnect::new(1013, "too many connections"), host);
        }
    }

    /// The transport is gone, and its connection waits for another, which has seats of its own.
    pub(crate) fn leave_seats_of_transport(&mut self, slot: u32) {
        let Some(held) = self.seats.as_mut().and_then(|seats| seats.held.get_mut(slot as usize)) else { return };
        let (kept, left) = std::mem::take(held).into_iter().partition(|holder| holder.starts_with(USER));
        *held = kept;
        let left: Vec<Box<str>> = left;
        left.iter().for_each(|holder| self.leave_seat(holder));
    }

    /// The connection is gone.
    pub(crate) fn leave_seats(&mut self, slot: u32) {
        let Some(held) = self.seats.as_mut().and_then(|seats| seats.held.get_mut(slot as usize)) else { return };
        for holder in std::mem::take(held) {
            self.leave_seat(&holder);
        }
    }

    fn leave_seat(&mut self, holder: &str) {
        let (own, home) = (self.id, self.home_of_holder(holder));
        if home == own {
            self.seats_mut().give_back(own, holder);
        } else {
            self.send_to_peer(home, Envelope::Seat { holder, message: SeatMessage::Left });
        }
    }

    fn home_of_holder(&self, holder: &str) -> ShardId {
        let session = holder.strip_prefix(SESSION).and_then(|id| id.parse::<SessionId>().ok());
        match session {
            Some(session) => session.home(self.lanes.len()),
            None => home_of(holder, self.lanes.len()),
        }
    }

    /// Whose seats this shard's connections have that were given by that home, one by one.
    pub(crate) fn seats_at(&self, home: ShardId) -> Vec<Box<str>> {
        let held = self.seats.iter().flat_map(|seats| seats.held.iter().flatten());
        held.filter(|holder| self.home_of_holder(holder) == home).cloned().collect()
    }

    /// A peer has died: its connections sit nowhere any more.
    pub(crate) fn forget_seats(&mut self, peer: ShardId) {
        if let Some(seats) = &mut self.seats {
            seats.forget_shard(peer);
        }
    }

    /// A home answers again, or for the first time: whoever waits for it asks.
    pub(crate) fn ask_seats(&mut self, home: ShardId) {
        let Some(seats) = &self.seats else { return };
        let users = seats.wanted.iter().filter_map(|(ticket, id)| {
            let user = self
                .users
                .name(self.connections.get(id.slot).filter(|known| known.generation == id.generation)?.user)?;
            Some((*ticket, user_holder(user)))
        });
        let others = self.pending.iter().filter_map(|(ticket, pending)| {
            let id = pending.connection;
            let holder = match &pending.work {
                Work::Seat(None) => address_holder(self.connections.get(id.slot)?.address.ip()),
                // Of a polled session the address comes first, as with a socket; that has been given where it is held.
                Work::Seat(Some(_)) if self.is_polled_seatless(id) => {
                    address_holder(self.connections.get(id.slot)?.address.ip())
                }
                Work::Seat(Some(_)) => session_holder(self.session_of(id)?),
                _ => return None,
            };
            Some((ticket, holder))
        });
        let mut asked: Vec<_> = users.chain(others).filter(|(_, holder)| self.home_of_holder(holder) == home).collect();
        asked.sort_unstable();
        for (ticket, holder) in asked {
            self.send_to_peer(home, Envelope::Seat { holder: &holder, message: SeatMessage::Asked(ticket) });
        }
    }

    fn is_polled_seatless(&self, id: ConnectionId) -> bool {
        let held = self.seats.as_ref().and_then(|seats| seats.held.get(id.slot as usize));
        self.limits.seats.per_address != 0
            && self.connections.get(id.slot).is_some_and(Connection::is_polled)
            && !held.is_some_and(|held| held.iter().any(|holder| holder.starts_with(ADDRESS)))
    }

    fn seats_mut(&mut self) -> &mut Seats {
        self.seats.as_mut().expect("only asked for where a limit is set")
    }
}

/// A connection that waits for a seat of its session, and what it is to be given then.
pub(crate) type SeatWaiting = Option<Box<(Waiting, Option<Box<str>>)>>;

/// What one customer has: an address of IPv4, the first 64 bits of one of IPv6.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & NETWORK).into(),
        address => address,
    }
}

fn address_holder(address: IpAddr) -> Box<str> {
    let mut holder = String::new();
    write!(holder, "{ADDRESS}{}", network_of(address)).expect("writing to a string");
    holder.into()
}

fn user_holder(user: &str) -> Box<str> {
    format!("{USER}{user}").into()
}

fn session_holder(session: SessionId) -> Box<str> {
    format!("{SESSION}{session}").into()
}

/// The same on every shard.
fn home_of(holder: &str, shards: usize) -> ShardId {
    let hash = FixedState::with_seed(0).hash_one(holder);
    let index = (u128::from(hash) * shards as u128) >> 64;
    ShardId(u8::try_from(index).expect("below the number of shards, which is at most 128"))
}

const ADDRESS: char = 'a';
const SESSION: char = 's';
const USER: char = 'u';

/// The first 64 bits of an IPv6 address: the smallest network that customers are given (RFC 6177).
const NETWORK: u128 = !0 << 64;

#[cfg(test)]
mod tests;
