//! Events of the server that a client answers: Socket.IO's acknowledgements, SocketCluster's answers. The application is
//! told once what became of each, whatever happens: the answer, that there was none in time, or that its connection has
//! ended. Answers that nobody waits for are ignored. Nothing of it exists for a connection that is asked nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use codec::message::{CallId, RawJson};
use codec::socketcluster::{encode as socketcluster, v09};
use codec::socketio::is_reserved;

use crate::connection::{Protocol, State, pause};
use crate::shard::Shard;
use crate::{ConnectionId, Host, Time};

/// Why an event of the server was not answered, or not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered<'a> {
    /// The client has answered with this error: an object or a string, as it says.
    Error(RawJson<'a>),
    /// It has not answered in time.
    TimedOut,
    /// The connection, or its namespace, has ended, or is not open.
    Ended,
    /// It has not answered so many others yet.
    Busy,
    /// Its protocol has no answers, or keeps this name to itself.
    Unsupported,
    /// What it says is not heard before the hook has decided that waits for it.
    Hook,
}

/// What the application asks a client.
#[derive(Debug)]
pub(crate) struct ClientCall {
    /// Echoed to the application.
    pub(crate) ticket: u64,
    pub(crate) event: Box<str>,
    pub(crate) data: Option<Box<str>>,
    pub(crate) timeout: Duration,
}

/// The events that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Invoking {
    /// The last id on the wire. One counter for the shard: an id comes again after two billion others, when nobody answers
    /// its last bearer any more.
    last: u32,
    waiting: BTreeMap<(ConnectionId, u32), Waiting>,
    deadlines: BTreeSet<(Time, ConnectionId, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: u64,
    /// Of Socket.IO's namespaces.
    namespace: u8,
    deadline: Time,
}

impl Invoking {
    /// Ids stay below 2^31: some clients keep them in 32 bits with a sign.
    const ID_MAX: u32 = i32::MAX as u32;

    fn enter(&mut self, connection: ConnectionId, waiting: Waiting) -> u32 {
        self.last = if self.last >= Self::ID_MAX { 1 } else { self.last + 1 };
        self.waiting.insert((connection, self.last), waiting);
        self.deadlines.insert((waiting.deadline, connection, self.last));
        self.last
    }

    fn take(&mut self, connection: ConnectionId, id: u32) -> Option<Waiting> {
        let waiting = self.waiting.remove(&(connection, id))?;
        self.deadlines.remove(&(waiting.deadline, connection, id));
        Some(waiting)
    }

    fn of(&self, connection: ConnectionId) -> impl Iterator<Item = (u32, Waiting)> + '_ {
        let own = (connection, 0)..=(connection, u32::MAX);
        self.waiting.range(own).map(|((_, id), waiting)| (*id, *waiting))
    }

    fn next_over(&self, now: Time) -> Option<(ConnectionId, u32)> {
        let (deadline, connection, id) = *self.deadlines.first()?;
        (deadline <= now).then_some((connection, id))
    }
}

impl Shard {
    /// The application sends an event that wants an answer.
    pub(crate) fn invoke_client<H: Host>(&mut self, now: Time, id: ConnectionId, call: &ClientCall, host: &mut H) {
        let (ticket, data) = (call.ticket, call.data.as_deref().map(RawJson::from_validated));
        let known = self.connections.live(id).filter(|known| known.state == State::Open);
        let Some(connection) = known else { return host.client_answered(ticket, Err(Unanswered::Ended)) };
        let is_possible = match connection.protocol {
            Protocol::SocketCluster => true,
            Protocol::SocketIo => !is_reserved(&call.event),
            Protocol::SocketCluster09 => !v09::is_reserved(&call.event),
            _ => false,
        };
        if !is_possible {
            return host.client_answered(ticket, Err(Unanswered::Unsupported));
        }
        if connection.pauses & pause::HOOK != 0 {
            return host.client_answered(ticket, Err(Unanswered::Hook));
        }
        if self.invoking.of(id).count() >= self.limits.client_calls_max {
            self.metrics.client_calls_busy += 1;
            return host.client_answered(ticket, Err(Unanswered::Busy));
        }
        let (protocol, namespace) =
            (connection.protocol, connection.engine.as_ref().map_or(0, |engine| engine.current));
        let wire_id = self.invoking.enter(id, Waiting { ticket, namespace, deadline: now + call.timeout });
        self.metrics.client_calls += 1;
        match protocol {
            Protocol::SocketIo => self.socketio_invoke(id, &call.event, data, wire_id),
            Protocol::SocketCluster09 => {
                self.say_text(id, 256, |out| v09::invoke_client(out, &call.event, data, u64::from(wire_id)));
            }
            _ => self.say(id, 256, |out| socketcluster::invoke(out, &call.event, data, u64::from(wire_id))),
        }
    }

    /// A client answers. What is unknown, late or answered already is ignored.
    pub(crate) fn client_answered<H: Host>(
        &mut self,
        id: ConnectionId,
        call: CallId<'_>,
        outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
        host: &mut H,
    ) {
        let waiting = call.as_str().parse().ok().and_then(|wire_id| self.invoking.take(id, wire_id));
        let Some(waiting) = waiting else { return self.metrics.client_answers_ignored += 1 };
        host.client_answered(waiting.ticket, outcome.map_err(Unanswered::Error));
    }

    /// Tells the application of all whose time is over.
    pub(crate) fn expire_client_calls<H: Host>(&mut self, now: Time, host: &mut H) {
        while let Some((connection, id)) = self.invoking.next_over(now) {
            let Some(waiting) = self.invoking.take(connection, id) else { return };
            self.metrics.client_calls_timed_out += 1;
            host.client_answered(waiting.ticket, Err(Unanswered::TimedOut));
        }
    }

    /// A connection has ended, or one of its namespaces: nobody answers there any more.
    pub(crate) fn end_client_calls<H: Host>(&mut self, id: ConnectionId, namespace: Option<u8>, host: &mut H) {
        if self.invoking.waiting.is_empty() {
            return;
        }
        let is_of = |waiting: &Waiting| namespace.is_none_or(|namespace| namespace == waiting.namespace);
        let ended: Vec<_> = self.invoking.of(id).filter(|(_, waiting)| is_of(waiting)).collect();
        for (wire_id, waiting) in ended {
            self.invoking.take(id, wire_id);
            host.client_answered(waiting.ticket, Err(Unanswered::Ended));
        }
    }
}

#[cfg(test)]
mod tests;
