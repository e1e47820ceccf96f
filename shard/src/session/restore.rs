//! Sessions whose home has died: their holders keep their copies, and the home that takes its place begins with the newest
//! of them. A write is acknowledged only when every holder has it, so none of those is lost while a holder lives; and what
//! nobody holds is in the store, or is gone.

use std::collections::BTreeMap;

use super::copy::{Opener, Session, Stage, Writer};
use super::work::Completion;
use super::{Record, SessionId, SessionMessageKind, WriteError};
use crate::ShardId;
use crate::pending::Work;
use crate::shard::Shard;

/// What a holder has told of a session.
#[derive(Debug)]
pub(crate) struct Restore {
    /// None, when it has died since.
    from: Option<ShardId>,
    id: SessionId,
    number: u32,
    former: Vec<SessionId>,
    is_ended: bool,
    record: Record,
}

impl Restore {
    pub(crate) fn forget_peer(&mut self, peer: ShardId) {
        self.from.take_if(|from| *from == peer);
    }
}

impl Shard {
    /// A peer has died: as a holder it has nothing any more, and as a home it is waited for.
    pub(crate) fn forget_sessions(&mut self, peer: ShardId) {
        for session in self.sessions.all() {
            if session.state().is_home {
                self.forget_holder(&session, peer);
            } else if session.id().home(self.lanes.len()) == peer {
                self.orphan_copy(&session);
            }
        }
    }

    fn forget_holder(&mut self, session: &Session, peer: ShardId) {
        {
            let mut state = session.state();
            let Some(cold) = &mut state.cold else { return };
            cold.waiting.retain(|opener| !matches!(opener, Opener::Peer(from, _) if *from == peer));
            cold.home.holders.retain(|(holder, _)| *holder != peer);
            for entry in &mut cold.home.in_flight {
                entry.waiting.remove(peer);
                if matches!(entry.writer, Writer::Peer(from, _) if from == peer) {
                    entry.writer = Writer::Home;
                }
            }
        }
        self.acknowledge(session);
    }

    fn orphan_copy(&mut self, session: &Session) {
        let context = self.sessions.context().clone();
        let (slot, lost) = {
            let mut state = session.state();
            if state.stage == Stage::Opening {
                return; // It is asked for again.
            }
            (state.slot, state.orphan(&context))
        };
        self.session_work.merged.retain(|_, merged| *merged != slot);
        self.metrics.session_writes_lost += lost.len() as u64;
        for token in lost {
            self.session_work.completions.push_back(Completion::Written { token, outcome: Err(WriteError::Lost) });
        }
    }

    /// Tells a home what we hold of its sessions.
    pub(crate) fn tell_sessions(&mut self, home: ShardId) {
        for session in self.sessions.all() {
            let (id, kind) = {
                let state = session.state();
                let Some(cold) = &state.cold else { continue };
                if !cold.cached.is_orphan || state.id.home(self.lanes.len()) != home {
                    continue;
                }
                let (number, former) = (cold.cached.number, cold.cached.former.clone());
                let (is_ended, record) = (state.stage == Stage::Ended, Box::new(state.ordered()));
                (state.id, SessionMessageKind::Restore { number, former, is_ended, record })
            };
            self.send_session(home, id, kind);
        }
    }

    /// A home answers from here on: it is asked for what we wait for.
    pub(crate) fn ask_sessions(&mut self, home: ShardId) {
        for session in self.sessions.all() {
            let (id, number) = {
                let state = session.state();
                let number = state.cold.as_ref().map_or(0, |cold| cold.cached.number);
                if state.is_home || state.stage != Stage::Opening || state.id.home(self.lanes.len()) != home {
                    continue;
                }
                (state.id, number)
            };
            self.send_session(home, id, SessionMessageKind::Open { number });
        }
        let reads = self.pending.iter().filter(|(_, pending)| matches!(pending.work, Work::Read));
        let reads = reads.filter_map(|(ticket, pending)| Some((ticket, self.session_of(pending.connection)?)));
        let mut reads: Vec<_> = reads.filter(|(_, id)| id.home(self.lanes.len()) == home).collect();
        reads.sort_unstable();
        for (ticket, id) in reads {
            self.send_session(home, id, SessionMessageKind::Read { ticket: ticket.0 });
        }
    }

    /// As a home: what a holder has.
    pub(crate) fn take_restore(
        &mut self,
        from: ShardId,
        id: SessionId,
        number: u32,
        former: &[SessionId],
        is_ended: bool,
        record: &Record,
    ) {
        let Some(joining) = &mut self.joining else { return };
        let (former, record) = (former.to_vec(), record.clone());
        joining.restores.push(Restore { from: Some(from), id, number, former, is_ended, record });
    }

    /// As a home that knows what everybody has: of each session the newest, under its last name.
    pub(crate) fn restore_sessions(&mut self, restores: Vec<Restore>) {
        // Not every holder has heard of a rotation.
        let mut successors: BTreeMap<SessionId, (u64, SessionId)> = BTreeMap::new();
        for restore in &restores {
            let version = restore.record.version;
            for former in &restore.former {
                let known = successors.entry(*former).or_insert((version, restore.id));
                *known = (*known).max((version, restore.id));
            }
        }
        let mut groups: BTreeMap<SessionId, Vec<Restore>> = BTreeMap::new();
        for restore in restores {
            let mut id = restore.id;
            while let Some((_, next)) = successors.get(&id) {
                id = *next;
            }
            groups.entry(id).or_default().push(restore);
        }
        for (id, group) in groups {
            self.restore_session(id, &group);
        }
    }

    fn restore_session(&mut self, id: SessionId, group: &[Restore]) {
        let newest = group.iter().max_by_key(|restore| (restore.record.version, restore.is_ended));
        let newest = newest.expect("a group has a first");
        let session = if newest.is_ended { None } else { self.sessions.insert(id, true) };
        let former: Vec<SessionId> =
            group.iter().flat_map(|restore| restore.former.iter().copied().chain([restore.id])).collect();
        for former in former {
            if former != id || newest.is_ended {
                self.sessions.retire(former, session.as_ref().map(|_| id));
            }
        }
        let holders = group.iter().filter_map(|restore| Some((restore.from?, restore)));
        let Some(session) = session else {
            for (holder, restore) in holders {
                let kind = SessionMessageKind::Restored { number: restore.number, to: id, record: None };
                self.send_session(holder, restore.id, kind);
            }
            return;
        };
        self.metrics.sessions_restored += 1;
        {
            let has_store = self.sessions.context().has_store;
            let mut state = session.state();
            state.load(&newest.record);
            let (slot, version) = (state.slot, state.version);
            let home = &mut state.cold_mut().home;
            home.holders = holders.clone().map(|(holder, restore)| (holder, restore.number)).collect();
            if has_store && version > 0 {
                // What it has saved may be older than what is known here.
                home.is_unsaved = true;
                home.retires = newest.former.clone();
                self.session_work.unsaved.push(slot);
            }
        }
        for (holder, restore) in holders {
            let record = Some(Box::new(newest.record.clone()));
            let kind = SessionMessageKind::Restored { number: restore.number, to: id, record };
            self.send_session(holder, restore.id, kind);
        }
        session.state().cool();
    }

    /// As a holder: the home is there again.
    pub(crate) fn copy_restored(&mut self, id: SessionId, number: u32, to: SessionId, record: Option<&Record>) {
        let Some(session) = self.sessions.by_id(id) else { return };
        let context = self.sessions.context().clone();
        {
            let mut state = session.state();
            let is_asked =
                state.cold.as_ref().is_some_and(|cold| cold.cached.is_orphan && cold.cached.number == number);
            if state.is_home || !is_asked {
                return;
            }
            match record {
                Some(record) => state.restore(record, &context),
                None => state.stage = Stage::Ended,
            }
        }
        if record.is_none() {
            return self.end_orphan(&session);
        }
        if to != id {
            self.rename_orphan(&session, to);
        }
        self.flush_copy(&session);
    }

    /// It has ended, or there is nothing left of it.
    fn end_orphan(&mut self, session: &Session) {
        let lost = session.state().end_orphan();
        for token in lost {
            self.session_work.completions.push_back(Completion::Written { token, outcome: Err(WriteError::Ended) });
        }
        self.session_work.completions.push_back(Completion::Ended(session.clone()));
    }

    /// As [`Shard::copy_updated`] does for a rotation; but whoever has asked for it under that id was not heard.
    fn rename_orphan(&mut self, session: &Session, to: SessionId) {
        let asked = self.sessions.by_id(to);
        if let Some(asked) = asked {
            self.sessions.remove(&asked);
            let waiting = std::mem::take(&mut asked.state().cold_mut().waiting);
            session.state().cold_mut().waiting.extend(waiting);
        }
        session.state().remember_id();
        self.sessions.rename(session, to);
        self.admit_openers(session);
    }
}
