//! Calls into the application that are not answered yet, with their deadlines. All have the same time-out, so the order
//! of arrival is the order of expiry and a queue is the timer.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use codec::engineio::Version;
use codec::websocket::extension::Agreement;
use codec::websocket::handshake::Accept;
use foldhash::fast::FixedState;

use crate::authentication::{Identity, Objection};
use crate::requests::Parked;
use crate::seats::SeatWaiting;
use crate::session::Waiting;
use crate::{ConnectionId, ShardId, Ticket, Time};

#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) connection: ConnectionId,
    pub(crate) call: Option<Box<str>>,
    pub(crate) work: Work,
}

/// What to do when the answer comes.
#[derive(Debug)]
pub(crate) enum Work {
    /// Forward it to the caller of an action.
    Call {
        action: Box<str>,
    },
    /// Let a SocketCluster connection in, whatever was wrong with its token.
    Handshake {
        objection: Option<Box<Objection>>,
    },
    /// Look at a request for a WebSocket again.
    Greeting,
    /// Take a connection for whom its token names.
    Authenticate {
        identity: Box<Identity>,
        is_handshake: bool,
    },
    /// Take a raw connection that wants in for whom its token names.
    Bearer(Box<(Upgrade, Box<Identity>)>),
    /// Let a raw connection in.
    Upgrade(Box<Upgrade>),
    /// Upgrade a connection that waits for its session.
    Session(Box<Waiting>),
    /// Ask for the answer to a request that waits for its session.
    RequestSession(Box<Parked>),
    /// Go on when there is a seat: with what an accepted connection sends, or with an upgrade.
    Seat(SeatWaiting),
    /// Answer a request; the connection's next ones wait for it.
    Request {
        keep_alive: bool,
        /// It was HEAD: the answer has no body.
        is_head: bool,
    },
    /// Begin anew where an earlier connection could not be taken up.
    Recover {
        /// Where that lived.
        shard: ShardId,
        namespace: u8,
        token: Option<Box<str>>,
    },
    /// Go on with what was received, now that the session's home has been asked.
    Read,
    Subscribe {
        channel: Box<str>,
    },
    Publish {
        channel: Box<str>,
        data: Option<Box<str>>,
    },
}

/// A raw connection that wants in, the cookie that it is to be given, and what can be agreed on with it.
#[derive(Debug)]
pub(crate) struct Upgrade {
    /// None where there is no WebSocket.
    pub(crate) accept: Option<Accept>,
    pub(crate) route: u16,
    /// Engine.IO stands between.
    pub(crate) engine: Option<Version>,
    pub(crate) cookie: Option<Box<str>>,
    pub(crate) agreement: Option<Agreement>,
    /// What the request has shown, and is not judged yet.
    pub(crate) token: Option<Box<str>>,
}

#[derive(Debug)]
pub(crate) struct PendingCalls {
    next: u64,
    calls: HashMap<Ticket, Pending, FixedState>,
    /// The same tickets by connection: whoever leaves finds its own without a look at the others'.
    by_connection: BTreeSet<(ConnectionId, Ticket)>,
    deadlines: VecDeque<(Time, Ticket)>,
}

impl PendingCalls {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            next: 0,
            calls: HashMap::with_hasher(FixedState::with_seed(seed)),
            by_connection: BTreeSet::new(),
            deadlines: VecDeque::new(),
        }
    }

    /// A fresh ticket: costs nothing unless the call turns out to be pending.
    pub(crate) const fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    pub(crate) fn insert(&mut self, ticket: Ticket, deadline: Time, pending: Pending) {
        self.by_connection.insert((pending.connection, ticket));
        self.calls.insert(ticket, pending);
        self.deadlines.push_back((deadline, ticket));
    }

    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.take(ticket);
        // Answered calls leave their deadline behind; drop it as soon as it reaches the front, so that the queue is at
        // most as long as one time-out's worth of pending calls.
        while self.deadlines.front().is_some_and(|(_, ticket)| !self.calls.contains_key(ticket)) {
            self.deadlines.pop_front();
        }
        pending
    }

    /// The next call whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Time) -> Option<(Ticket, Pending)> {
        while let Some(&(deadline, ticket)) = self.deadlines.front() {
            if deadline > now {
                return None;
            }
            self.deadlines.pop_front();
            if let Some(pending) = self.take(ticket) {
                return Some((ticket, pending));
            }
        }
        None
    }

    /// All of them have that much longer.
    pub(crate) fn postpone(&mut self, by: Duration) {
        for (deadline, _) in &mut self.deadlines {
            *deadline = *deadline + by;
        }
    }

    /// Whether a ticket is not answered yet.
    pub(crate) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.calls.contains_key(&ticket)
    }

    /// The tickets of a connection that is leaving.
    pub(crate) fn of(&self, connection: ConnectionId) -> Vec<Ticket> {
        let own = (connection, Ticket(0))..=(connection, Ticket(u64::MAX));
        self.by_connection.range(own).map(|(_, ticket)| *ticket).collect()
    }

    /// All that are not answered, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &Pending)> {
        self.calls.iter().map(|(ticket, pending)| (*ticket, pending))
    }

    fn take(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.calls.remove(&ticket)?;
        self.by_connection.remove(&(pending.connection, ticket));
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_expire_in_order_and_answered_ones_do_not() {
        let mut calls = PendingCalls::new(1);
        let connection = ConnectionId { slot: 0, generation: 0 };
        let tickets: Vec<_> = (0..4u64)
            .map(|at| {
                let ticket = calls.ticket();
                calls.insert(
                    ticket,
                    Time::from_micros(at),
                    Pending { connection, call: None, work: Work::Call { action: "a".into() } },
                );
                ticket
            })
            .collect();
        assert!(calls.remove(tickets[1]).is_some());
        assert!(calls.remove(tickets[1]).is_none());
        assert_eq!(calls.of(connection), [tickets[0], tickets[2], tickets[3]]);
        let expired: Vec<_> =
            std::iter::from_fn(|| calls.expire(Time::from_micros(2))).map(|(ticket, _)| ticket).collect();
        assert_eq!(expired, [tickets[0], tickets[2]]);
        let stranger = ConnectionId { slot: 0, generation: 1 };
        assert_eq!((calls.of(connection), calls.of(stranger)), (vec![tickets[3]], vec![]));
        assert!(calls.remove(tickets[3]).is_some());
        assert!(calls.deadlines.is_empty() && calls.by_connection.is_empty());
    }
}
