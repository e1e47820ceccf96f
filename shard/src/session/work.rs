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
            self.save_unsaved();
            while let Some(request) = self.session_work.requests.pop_front() {
                host.store(request);
            }
        }
    }

    /// What a task has written meanwhile is published first: a save has every write up to its version, and the id that a
    /// session has by then.
    fn save_unsaved(&mut self) {
        if self.session_work.unsaved.is_empty() {
            return;
        }
        self.flush_sessions();
        for slot in std::mem::take(&mut self.session_work.unsaved) {
            if let Some(session) = self.sessions.find(slot) {
                self.save(&session);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Operation;
    use crate::{Config, Limits, SessionConfig, SessionId, ShardId};

    #[test]
    fn a_save_has_the_id_that_a_task_has_given_meanwhile_and_tells_of_the_old_one() {
        let config = Config { id: ShardId(0), shards: 1, limits: Limits::default(), seed: 1 };
        let mut shard = Shard::new(config, Time::ZERO);
        shard.open_sessions(SessionConfig { has_store: true, epoch: 0 });
        let session = shard.sessions.make_for_tests().expect("there is room");
        let (old, to) = (session.id(), SessionId::new([7; 16]));
        let set = Operation::Set { key: "a".into(), text: "1".into(), expires: 0 };
        session.write(set).expect("there is room");
        shard.flush_sessions();
        let receipt = session.write(Operation::Rotate { to }).expect("there is room");
        assert_eq!(receipt.written, None, "the table and the store have to know");
        shard.save_unsaved();
        let request = shard.session_work.requests.pop_front();
        let Some(StoreRequest::Save { session: saved, version, retires, .. }) = request else { panic!("{request:?}") };
        assert_eq!((saved, version, retires), (to, 2, vec![old]));
        assert!(shard.session_work.completions.is_empty(), "the store has not answered");
        shard.saved(to, 2, Ok(()));
        let mut tokens = shard.session_work.completions.iter().map(|completion| match completion {
            Completion::Written { token, outcome: Ok(written) } => (*token, written.is_durable),
            other => panic!("{other:?}"),
        });
        assert_eq!(tokens.next_back(), Some((receipt.token, true)));
    }
}
