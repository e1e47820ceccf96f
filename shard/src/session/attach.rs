//! How a connection comes to its session: at its upgrade, by the cookie, before anything is answered. What has to be
//! asked for is waited for like a hook, and as long.

use codec::http::request::Head;
use codec::socketcluster::Dialect;
use codec::websocket::extension::Agreement;
use codec::websocket::handshake::Accept;

use super::copy::{NO_SLOT, Opener, Session, Stage};
use super::home::Opening;
use super::{OpenError, SessionId, SessionMessageKind};
use crate::connection::State;
use crate::engineio::EngineOpening;
use crate::eventstream::StreamOpening;
use crate::pending::Work;
use crate::shard::Shard;
use crate::{ConnectionId, Host, Route, Ticket, Time};

/// An upgrade that waits for its session.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// None where there is no WebSocket.
    pub(crate) accept: Option<Accept>,
    pub(crate) route: Route,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) engine: Option<EngineOpening>,
    pub(crate) agreement: Option<Agreement>,
    pub(crate) stream: Option<Box<StreamOpening>>,
    /// The token that the request shows, of a raw route.
    pub(crate) token: Option<Box<str>>,
}

/// Whether a connection has its session.
pub(crate) enum Attached {
    /// It has, or there are none here; the cookie is to be set.
    Ready(Option<Box<str>>),
    Waiting,
    /// There is no room for one more.
    Refused,
}

impl Shard {
    /// Gives a connection the session that its request names, or a new one.
    pub(crate) fn attach_session<H: Host>(
        &mut self,
        id: ConnectionId,
        ticket: Ticket,
        head: &Head<'_>,
        host: &mut H,
    ) -> Attached {
        let Some(connection) = self.connections.live(id) else { return Attached::Refused };
        let Some(session) = host.session(connection.peer(id.slot), head) else { return self.attach_new(id, host) };
        let opener = Opener::Connection(id, ticket);
        let opening = if session.home(self.lanes.len()) == self.id {
            self.open_home(session, false, opener)
        } else {
            self.open_copy(session, opener)
        };
        self.attach(id, opening, host)
    }

    fn attach<H: Host>(&mut self, id: ConnectionId, opening: Opening, host: &mut H) -> Attached {
        match opening {
            Opening::Ready(session) => {
                self.link(id, &session);
                Attached::Ready(None)
            }
            Opening::Waiting => Attached::Waiting,
            Opening::Refused(OpenError::Retired) => self.attach_new(id, host),
            Opening::Refused(OpenError::Full) => Attached::Refused,
            Opening::Refused(OpenError::Store) => match self.attach_new(id, host) {
                // One for as long as it lasts: with the old cookie, what the store has is found again later.
                Attached::Ready(_) => Attached::Ready(None),
                other => other,
            },
        }
    }

    fn attach_new<H: Host>(&mut self, id: ConnectionId, host: &mut H) -> Attached {
        let Some(connection) = self.connections.live(id) else { return Attached::Refused };
        let Some((session, cookie)) = host.new_session(connection.peer(id.slot)) else { return Attached::Ready(None) };
        debug_assert_eq!(session.home(self.lanes.len()), self.id, "a new session begins at home");
        match self.open_home(session, true, Opener::Connection(id, Ticket(0))) {
            Opening::Ready(session) => {
                self.link(id, &session);
                Attached::Ready(Some(cookie))
            }
            Opening::Waiting | Opening::Refused(_) => Attached::Refused,
        }
    }

    fn link(&mut self, id: ConnectionId, session: &Session) {
        let Some(connection) = self.connections.live(id) else { return };
        {
            let mut state = session.state();
            connection.session = state.slot;
            state.attach(id.slot);
        }
        self.settle_user(id);
    }

    /// The session that a connection waits for is there, or is not to be had.
    pub(crate) fn session_opened<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        ticket: Ticket,
        outcome: Result<Session, OpenError>,
        host: &mut H,
    ) {
        // Whoever has left or lost patience has nothing pending.
        let Some(pending) = self.take_pending(ticket) else { return };
        self.resume_after_hook(id);
        let opening = match outcome {
            Ok(session) => Opening::Ready(session),
            Err(error) => Opening::Refused(error),
        };
        match (self.attach(id, opening, host), pending.work) {
            (Attached::Ready(cookie), Work::Session(waiting)) => {
                if self.connections.live(id).is_some_and(|connection| connection.is_polled()) {
                    self.seat_polled(now, id, *waiting, cookie, host);
                } else {
                    self.seat_session(now, id, *waiting, cookie, host);
                }
            }
            (Attached::Ready(cookie), Work::RequestSession(parked)) => {
                self.ask_parked(now, id, &parked, cookie.as_deref(), host);
            }
            (Attached::Ready(_), _) => unreachable!("tickets are never used again"),
            (Attached::Waiting | Attached::Refused, _) => self.refuse_session(now, id, host),
        }
    }

    /// A request that had a session is answered. What was made for it and never written to is gone at once: its cookie
    /// brings the same session back, and clients that keep no cookies leave nothing behind.
    pub(crate) fn leave_request_session(&mut self, id: ConnectionId) {
        let slot = self.connections.live(id).map_or(NO_SLOT, |connection| connection.session);
        let Some(session) = self.sessions.find(slot) else { return };
        self.detach_session(id);
        let is_blank = {
            let (is_held, state) = (session.is_held(), session.state());
            let is_used = is_held || state.has_connections() || state.has_holders() || !state.is_idle();
            state.is_home && state.version == 0 && state.stage == Stage::Ready && !is_used
        };
        if is_blank {
            self.sessions.remove(&session);
        }
    }

    /// Asks the home whether it knows more, if the limits say that every message does. What was received waits.
    pub(crate) fn reads_home(&mut self, now: Time, id: ConnectionId) -> bool {
        if !self.limits.sessions.reads_home {
            return false;
        }
        let Some(connection) = self.connections.live(id) else { return false };
        if connection.state != State::Open {
            return false;
        }
        if let Some(held) = &mut connection.held
            && std::mem::take(&mut held.is_fresh)
        {
            return false;
        }
        let Some(session) = self.sessions.find(connection.session) else { return false };
        let home = {
            let state = session.state();
            if state.is_home {
                return false;
            }
            state.id.home(self.lanes.len())
        };
        connection.held_mut().is_late = false;
        let ticket = self.pending.ticket();
        self.await_verdict(now, ticket, id, None, Work::Read);
        self.metrics.session_reads += 1;
        debug_assert_eq!(home, session.id().home(self.lanes.len()));
        self.ask_home(session.id(), SessionMessageKind::Read { ticket: ticket.0 });
        true
    }

    /// The home has said everything that it knew when it was asked.
    pub(crate) fn session_read(&mut self, now: Time, ticket: u64) {
        let Some(pending) = self.take_pending(Ticket(ticket)) else { return };
        let id = pending.connection;
        let Some(connection) = self.connections.live(id) else { return };
        let held = connection.held_mut();
        // What came while the question was under way is not covered by its answer.
        held.is_fresh = !std::mem::take(&mut held.is_late);
        let is_fresh = held.is_fresh;
        if is_fresh || !self.reads_home(now, id) {
            self.resume_after_hook(id);
        }
    }

    /// The session of a connection, for tests and for the application's host.
    #[must_use]
    pub fn session_of(&self, id: ConnectionId) -> Option<SessionId> {
        let connection = self.connections.get(id.slot).filter(|known| known.generation == id.generation)?;
        self.sessions.find(connection.session).map(|session| session.id())
    }
}
