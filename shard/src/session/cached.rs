//! A shard that holds a copy: it asks the home for it, sends the home its own writes, learns of everybody's, and gives
//! the copy back.

use super::copy::{Opener, Session, Stage};
use super::home::Opening;
use super::work::Completion;
use super::{
    OpenError, Operation, Record, SessionId, SessionMessage, SessionMessageKind, WriteError, WriteToken, Written,
};
use crate::shard::Shard;
use crate::{Envelope, ShardId};

impl Shard {
    /// Opens a session whose home is elsewhere.
    pub(crate) fn open_copy(&mut self, id: SessionId, opener: Opener) -> Opening {
        if let Some(session) = self.sessions.by_id(id) {
            return Opening::join(session, opener);
        }
        let Some(session) = self.sessions.insert(id, false) else {
            self.metrics.sessions_refused += 1;
            return Opening::Refused(OpenError::Full);
        };
        self.metrics.sessions_copied += 1;
        self.session_work.openings = self.session_work.openings.wrapping_add(1);
        let number = self.session_work.openings;
        {
            let mut state = session.state();
            let cold = state.cold_mut();
            cold.cached.number = number;
            cold.waiting.push(opener);
        }
        self.ask_home(id, SessionMessageKind::Open { number });
        Opening::Waiting
    }

    /// The home has answered.
    pub(crate) fn copy_opened(&mut self, id: SessionId, number: u32, outcome: &Result<Box<Record>, OpenError>) {
        if let Some(slot) = self.session_work.merged.remove(&number) {
            return self.copy_confirmed(slot, number, outcome.is_ok());
        }
        let Some(session) = self.sessions.by_id(id) else { return };
        {
            let state = session.state();
            let is_asked = state.cold.as_ref().is_some_and(|cold| cold.cached.number == number);
            if state.is_home || state.stage != Stage::Opening || !is_asked {
                // It was given up meanwhile, which the home hears behind its opening.
                return;
            }
        }
        match outcome {
            Ok(record) => {
                session.state().load(record);
                self.admit_openers(&session);
            }
            Err(error) => self.refuse_openers(&session, *error),
        }
    }

    /// An opening that turned out to be of a copy that is there is answered: by it we are a holder now, or still by the
    /// one before.
    fn copy_confirmed(&self, slot: u32, number: u32, is_granted: bool) {
        let session = self.sessions.find(slot).expect("a copy is not given back while an answer is to come");
        let mut state = session.state();
        let cached = &mut state.cold_mut().cached;
        if is_granted {
            cached.number = number;
        }
        if cached.asked == Some(number) {
            cached.asked = None;
        }
    }

    /// The home has ordered a write.
    pub(crate) fn copy_updated(
        &mut self,
        from: ShardId,
        id: SessionId,
        version: u64,
        operation: &Operation,
        token: Option<u64>,
    ) {
        let Some(session) = self.sessions.by_id(id) else { return };
        let context = self.sessions.context().clone();
        {
            let mut state = session.state();
            if state.is_home || state.stage != Stage::Ready {
                // Of a copy that was given back meanwhile.
                return;
            }
            state.update(version, operation, token, &context);
            if *operation == Operation::End {
                state.stage = Stage::Ended;
            }
        }
        if token.is_none() {
            self.send_session(from, id, SessionMessageKind::Received { version });
        }
        match operation {
            Operation::Rotate { to } => self.rename_copy(&session, *to),
            Operation::End => self.session_work.completions.push_back(Completion::Ended(session)),
            _ => {}
        }
    }

    /// Asks the home of a session; one that has died has a successor, which is asked when it answers.
    pub(crate) fn ask_home(&mut self, id: SessionId, kind: SessionMessageKind) {
        let home = id.home(self.lanes.len());
        self.ask_peer(home, Envelope::Session(&SessionMessage { session: id, kind }));
    }

    /// The session has another id. Whoever has asked for it under that id meanwhile gets this copy; the home's answer to
    /// that is still to come, and says by which opening we are a holder.
    fn rename_copy(&mut self, session: &Session, to: SessionId) {
        let asked = self.sessions.by_id(to);
        if let Some(asked) = &asked {
            self.sessions.remove(asked);
            let (number, waiting) = {
                let mut state = asked.state();
                let cold = state.cold_mut();
                (cold.cached.number, std::mem::take(&mut cold.waiting))
            };
            let mut state = session.state();
            let cold = state.cold_mut();
            cold.cached.asked = Some(number);
            cold.waiting.extend(waiting);
            self.session_work.merged.insert(number, state.slot);
        }
        session.state().remember_id();
        self.sessions.rename(session, to);
        if asked.is_some() {
            self.admit_openers(session);
        }
    }

    /// A write of ours is acknowledged, or refused.
    pub(crate) fn copy_written(&mut self, id: SessionId, token: u64, outcome: Result<Written, WriteError>) {
        let context = self.sessions.context().clone();
        if let Some(session) = self.sessions.by_id(id) {
            let mut state = session.state();
            if outcome.is_err() {
                state.refused(token, &context);
            }
            let cached = &mut state.cold_mut().cached;
            cached.unacknowledged.retain(|known| known.0 != token);
        }
        let token = WriteToken(token);
        self.session_work.completions.push_back(Completion::Written { token, outcome });
    }

    /// Sends the home what the application has written.
    pub(crate) fn flush_copy(&mut self, session: &Session) {
        let (id, unsent) = {
            let mut state = session.state();
            (state.id, state.take_unsent())
        };
        for (WriteToken(token), operation) in unsent {
            self.send_session(id.home(self.lanes.len()), id, SessionMessageKind::Write { token, operation });
        }
    }

    /// Gives a copy back.
    pub(crate) fn release_copy(&mut self, session: &Session) {
        let (id, number) = {
            let state = session.state();
            (state.id, state.cold.as_ref().map_or(0, |cold| cold.cached.number))
        };
        self.sessions.remove(session);
        self.send_session(id.home(self.lanes.len()), id, SessionMessageKind::Release { number });
    }
}
