//! The home of a session: it orders all writes, tells every holder, and acknowledges a write when all of them have it and
//! the store has answered.

use super::copy::{Opener, Session, Stage, Writer};
use super::work::Completion;
use super::{OpenError, Operation, SessionId, SessionMessage, SessionMessageKind, StoreRequest, WriteError, Written};
use crate::shard::Shard;
use crate::{Envelope, ShardId};

/// What became of an opening.
pub(crate) enum Opening {
    Ready(Session),
    Waiting,
    Refused(OpenError),
}

impl Opening {
    /// Of a session that is in the table: who comes while it is being opened waits with those before.
    pub(super) fn join(session: Session, opener: Opener) -> Self {
        let stage = session.state().stage;
        match stage {
            Stage::Ready => Self::Ready(session),
            Stage::Ended => Self::Refused(OpenError::Retired),
            Stage::Opening => {
                session.state().cold_mut().waiting.push(opener);
                Self::Waiting
            }
        }
    }
}

impl Shard {
    /// A peer has something to say about a session.
    pub(crate) fn handle_session(&mut self, from: ShardId, message: &SessionMessage) {
        let id = message.session;
        match &message.kind {
            SessionMessageKind::Open { number } => self.open_for_peer(from, id, *number),
            SessionMessageKind::Opened { number, outcome } => self.copy_opened(id, *number, outcome),
            SessionMessageKind::Release { number } => self.released(from, id, *number),
            SessionMessageKind::Write { token, operation } => self.write_for_peer(from, id, *token, operation.clone()),
            SessionMessageKind::Update { version, operation, token } => {
                self.copy_updated(from, id, *version, operation, *token);
            }
            SessionMessageKind::Received { version } => self.received(from, id, *version),
            SessionMessageKind::Written { token, outcome } => self.copy_written(id, *token, *outcome),
            SessionMessageKind::Restore { number, former, is_ended, record } => {
                self.take_restore(from, id, *number, former, *is_ended, record);
            }
            SessionMessageKind::Restored { number, to, record } => {
                self.copy_restored(id, *number, *to, record.as_deref());
            }
            SessionMessageKind::Read { ticket } => {
                let session = self.sessions.by_id(self.sessions.current_id(id));
                if let Some(session) = session {
                    self.flush_session(&session);
                }
                self.send_session(from, id, SessionMessageKind::ReadDone { ticket: *ticket });
            }
            SessionMessageKind::ReadDone { ticket } => {
                self.session_work.completions.push_back(Completion::Read { ticket: *ticket });
            }
        }
    }

    pub(crate) fn send_session(&mut self, to: ShardId, session: SessionId, kind: SessionMessageKind) {
        self.send_to_peer(to, Envelope::Session(&SessionMessage { session, kind }));
    }

    /// Opens a session whose home is here. `is_fresh`: its id was made just now, the store cannot know it.
    pub(crate) fn open_home(&mut self, id: SessionId, is_fresh: bool, opener: Opener) -> Opening {
        if self.sessions.is_retired(id) {
            return Opening::Refused(OpenError::Retired);
        }
        if let Some(session) = self.sessions.by_id(id) {
            return Opening::join(session, opener);
        }
        let Some(session) = self.sessions.insert(id, true) else {
            self.metrics.sessions_refused += 1;
            return Opening::Refused(OpenError::Full);
        };
        self.metrics.sessions_opened += 1;
        if is_fresh || !self.sessions.context().has_store {
            session.state().stage = Stage::Ready;
            return Opening::Ready(session);
        }
        session.state().cold_mut().waiting.push(opener);
        self.metrics.session_loads += 1;
        self.session_work.requests.push_back(StoreRequest::Load { session: id });
        Opening::Waiting
    }

    fn open_for_peer(&mut self, from: ShardId, id: SessionId, number: u32) {
        match self.open_home(id, false, Opener::Peer(from, number)) {
            Opening::Ready(session) => self.grant(&session, from, number),
            Opening::Waiting => {}
            Opening::Refused(error) => self.refuse_peer(from, id, number, error),
        }
    }

    /// Makes a peer a holder.
    pub(crate) fn grant(&mut self, session: &Session, to: ShardId, number: u32) {
        self.flush_session(session);
        let mut state = session.state();
        let holders = &mut state.cold_mut().home.holders;
        holders.retain(|(holder, _)| *holder != to);
        holders.push((to, number));
        let (id, record) = (state.id, Box::new(state.record()));
        drop(state);
        self.send_session(to, id, SessionMessageKind::Opened { number, outcome: Ok(record) });
    }

    pub(crate) fn refuse_peer(&mut self, to: ShardId, id: SessionId, number: u32, error: OpenError) {
        self.send_session(to, id, SessionMessageKind::Opened { number, outcome: Err(error) });
    }

    /// A peer has dropped its copy: nothing waits for it any more.
    fn released(&mut self, from: ShardId, id: SessionId, number: u32) {
        let Some(session) = self.sessions.by_id(self.sessions.current_id(id)) else { return };
        {
            let now = super::copy::seconds(session.now());
            let mut state = session.state();
            state.touched = state.touched.max(now);
            let Some(cold) = &mut state.cold else { return };
            cold.waiting.retain(|opener| *opener != Opener::Peer(from, number));
            let before = cold.home.holders.len();
            cold.home.holders.retain(|holder| *holder != (from, number));
            if cold.home.holders.len() == before {
                return;
            }
            cold.home.in_flight.iter_mut().for_each(|entry| entry.waiting.remove(from));
        }
        self.acknowledge(&session);
    }

    /// A peer has every write up to that version.
    fn received(&mut self, from: ShardId, id: SessionId, version: u64) {
        let Some(session) = self.sessions.by_id(self.sessions.current_id(id)) else { return };
        {
            let mut state = session.state();
            let Some(cold) = &mut state.cold else { return };
            let known = cold.home.in_flight.iter_mut().take_while(|entry| entry.version <= version);
            known.for_each(|entry| entry.waiting.remove(from));
        }
        self.acknowledge(&session);
    }

    fn write_for_peer(&mut self, from: ShardId, id: SessionId, token: u64, operation: Operation) {
        let Some(session) = self.sessions.by_id(self.sessions.current_id(id)) else {
            let outcome = Err(WriteError::Ended);
            return self.send_session(from, id, SessionMessageKind::Written { token, outcome });
        };
        self.flush_session(&session);
        self.write_home(&session, Writer::Peer(from, token), operation);
    }

    /// Orders a write and tells the holders of it.
    pub(crate) fn write_home(&mut self, session: &Session, writer: Writer, operation: Operation) {
        let context = self.sessions.context().clone();
        let id = session.id();
        let ordered = session.state().order(operation, writer, &context);
        let (operation, written) = match ordered {
            Ok(ordered) => ordered,
            Err(error) => return self.answer_writer(id, writer, Err(error)),
        };
        self.metrics.session_writes += 1;
        let version = session.version();
        self.publish_write(session, version, &operation, writer);
        if context.has_store {
            let slot = session.state().slot;
            self.session_work.unsaved.push(slot);
        }
        match written {
            // By the name that the writer knows when it hears of it: behind the update.
            Some(written) => self.answer_writer(session.id(), writer, Ok(written)),
            None => self.acknowledge(session),
        }
    }

    /// An ordered write takes its effect beyond the session's values.
    fn publish_write(&mut self, session: &Session, version: u64, operation: &Operation, writer: Writer) {
        self.tell_holders(session, version, operation, writer);
        let id = session.id();
        match operation {
            Operation::Rotate { to } => {
                self.metrics.sessions_rotated += 1;
                self.sessions.rename(session, *to);
                self.sessions.retire(id, Some(*to));
                if self.sessions.context().has_store {
                    session.state().cold_mut().home.retires.push(id);
                }
            }
            Operation::End => {
                self.metrics.sessions_ended += 1;
                self.sessions.retire(id, None);
                self.session_work.completions.push_back(Completion::Ended(session.clone()));
            }
            _ => {}
        }
    }

    fn tell_holders(&mut self, session: &Session, version: u64, operation: &Operation, writer: Writer) {
        let (id, holders) = {
            let state = session.state();
            let holders = state.cold.as_ref().map(|cold| cold.home.holders.clone()).unwrap_or_default();
            (state.id, holders)
        };
        for (holder, _) in holders {
            let token = match writer {
                Writer::Peer(peer, token) if peer == holder => Some(token),
                _ => None,
            };
            let operation = operation.clone();
            self.send_session(holder, id, SessionMessageKind::Update { version, operation, token });
        }
    }

    /// Acknowledges what everybody has, in order.
    pub(crate) fn acknowledge(&mut self, session: &Session) {
        loop {
            let mut state = session.state();
            let id = state.id;
            let Some(entry) = state.take_done() else {
                state.cool();
                return;
            };
            drop(state);
            let is_durable = entry.is_durable.unwrap_or(false);
            self.answer_writer(id, entry.writer, Ok(Written { number: entry.number, is_durable }));
        }
    }

    fn answer_writer(&mut self, id: SessionId, writer: Writer, outcome: Result<Written, WriteError>) {
        self.metrics.session_writes_refused += u64::from(outcome.is_err());
        match writer {
            Writer::Local(token) => {
                self.session_work.completions.push_back(Completion::Written { token, outcome });
            }
            Writer::Peer(peer, token) => {
                self.send_session(peer, id, SessionMessageKind::Written { token, outcome });
            }
            Writer::Home => {}
        }
    }

    /// Sends what the application has written.
    #[inline]
    pub(crate) fn flush_sessions(&mut self) {
        if !self.sessions.context().dirty.borrow().is_empty() {
            self.flush_dirty_sessions();
        }
    }

    fn flush_dirty_sessions(&mut self) {
        loop {
            let slot = self.sessions.context().dirty.borrow_mut().pop();
            let Some(slot) = slot else { return };
            if let Some(session) = self.sessions.find(slot) {
                self.flush_session(&session);
            }
        }
    }

    pub(crate) fn flush_session(&mut self, session: &Session) {
        if !session.state().is_home {
            return self.flush_copy(session);
        }
        let unsent = session.state().take_unsent_home();
        for (version, operation) in unsent {
            self.publish_write(session, version, &operation, Writer::Home);
        }
        let state = session.state();
        if state.cold.as_ref().is_some_and(|cold| cold.home.is_unsaved && cold.home.saving.is_none()) {
            let slot = state.slot;
            self.session_work.unsaved.push(slot);
        }
        drop(state);
        // What nobody has to be waited for, and the table had not followed yet.
        self.acknowledge(session);
    }
}
