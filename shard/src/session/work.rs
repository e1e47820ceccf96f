//! What sessions leave to be done when the turn settles: where the host can be called, and after everything that the
//! turn has brought, so that all of a turn's writes to one session are one save.

use std::collections::{BTreeMap, VecDeque};

use super::copy::{NO_SLOT, Session};
use super::{OpenError, StoreRequest, WriteError, WriteToken, Written};
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, Ticket, Time};

#[derive(Debug, Default)]
pub(crate) struct SessionWork {
    pub(crate) completions: VecDeque<Completion>,
    pub(crate) requests: VecDeque<StoreRequest>,
    /// Slots of sessions that the store is behind with.
    pub(crate) unsaved: Vec<u32>,
    /// Counts the openings at other shards.
    pub(crate) openings: u32,
    pub(crate) sweep_cursor: usize,
    /// Openings that turned out to be of a copy that was there, under another id: its slot. Few, and not for long.
    pub(crate) merged: BTreeMap<u32, u32>,
    /// The Unix time of the epoch, in milliseconds.
    pub(crate) epoch: u64,
}

#[derive(Debug)]
pub(crate) enum Completion {
    /// The session that a connection waits for is there, or is not to be had.
    Opened { connection: ConnectionId, ticket: Ticket, outcome: Result<Session, OpenError> },
    /// A write of this shard's application is acknowledged.
    Written { token: WriteToken, outcome: Result<Written, WriteError> },
    /// The home has told everything that it knew.
    Read { ticket: u64 },
    /// The session is over, and so are its connections.
    Ended(Session),
}

impl SessionWork {
    fn is_empty(&self) -> bool {
        self.completions.is_empty() && self.requests.is_empty() && self.unsaved.is_empty()
    }
}

/// What a connection is told whose session was ended. Below 4500: clients come back, and get a new one.
const ENDED: Disconnect = Disconnect::new(4401, "the session has ended");

impl Shard {
    /// Does what is left to be done.
    #[inline]
    pub(crate) fn finish_sessions<H: Host>(&mut self, now: Time, host: &mut H) {
        if !self.session_work.is_empty() {
            self.finish_session_work(now, host);
        }
    }

    fn finish_session_work<H: Host>(&mut self, now: Time, host: &mut H) {
        while !self.session_work.is_empty() {
            while let Some(completion) = self.session_work.completions.pop_front() {
                match completion {
                    Completion::Opened { connection, ticket, outcome } => {
                        self.session_opened(now, connection, ticket, outcome, host);
                    }
                    Completion::Written { token, outcome } => host.session_written(token, outcome),
                    Completion::Read { ticket } => self.session_read(now, ticket),
                    Completion::Ended(session) => self.end_connections(now, &session, host),
                }
                self.drain_commands(now, host);
            }
            for slot in std::mem::take(&mut self.session_work.unsaved) {
                if let Some(session) = self.sessions.find(slot) {
                    self.save(&session);
                }
            }
            while let Some(request) = self.session_work.requests.pop_front() {
                host.store(request);
            }
        }
    }

    fn end_connections<H: Host>(&mut self, now: Time, session: &Session, host: &mut H) {
        let connections: Vec<_> = session.state().connections().collect();
        for slot in connections {
            let Some(connection) = self.connections.get(slot) else { continue };
            let id = connection.id(slot);
            self.close(now, id, &ENDED, host);
        }
    }

    /// A connection leaves its session.
    pub(crate) fn detach_session(&mut self, id: ConnectionId) {
        let Some(connection) = self.connection_mut(id) else { return };
        let slot = std::mem::replace(&mut connection.session, NO_SLOT);
        if let Some(session) = self.sessions.find(slot) {
            let now = super::copy::seconds(session.now());
            let mut state = session.state();
            state.detach(id.slot);
            state.touched = state.touched.max(now);
            state.cool();
        }
    }
}
