//! What a home asks of the store, and what comes back. The shard never waits for it: requests leave through the host,
//! answers come as commands.

use super::copy::{Opener, Session, Stage, seconds};
use super::work::Completion;
use super::{OpenError, Record, SessionId, Stored};
use crate::shard::Shard;

/// One request to the store. Those of one shard are to be done in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreRequest {
    /// What is there of this session? [`Command::SessionLoaded`](crate::Command::SessionLoaded) has the answer.
    Load {
        /// Which.
        session: SessionId,
    },
    /// Keep this; [`Command::SessionSaved`](crate::Command::SessionSaved) answers. All of it, or nothing.
    Save {
        /// Which.
        session: SessionId,
        /// The version that is saved.
        version: u64,
        /// When it may be forgotten, in milliseconds of Unix time.
        expires: u64,
        /// The session, as [`Stored`] writes it.
        bytes: Vec<u8>,
        /// Ids it had before, under each of which [`Stored::Retired`] is to be kept as long.
        retires: Vec<SessionId>,
    },
    /// Forget this session. Nobody waits for an answer.
    Remove {
        /// Which.
        session: SessionId,
    },
}

/// The store could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFailed;

/// What a shard must know of the world for its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionConfig {
    /// Whether sessions are saved: whether the host does something with [`StoreRequest`]s.
    pub has_store: bool,
    /// The Unix time of [`Time::ZERO`](crate::Time::ZERO), in milliseconds.
    pub epoch: u64,
}

impl Shard {
    /// Saves a session as it is now, unless a save of it is under way: that one's end brings it back.
    pub(crate) fn save(&mut self, session: &Session) {
        let context = self.sessions.context().clone();
        let mut state = session.state();
        if !context.has_store || !state.is_home || state.stage == Stage::Opening {
            return;
        }
        let lifetime = self.lifetime_millis(state.lifetime);
        let expires = context.now.get().max(u64::from(state.touched) * 1_000).saturating_add(lifetime);
        let stored = match state.stage {
            Stage::Ended => Stored::Retired,
            _ => Stored::Live(state.record()),
        };
        let (id, version) = (state.id, state.version);
        let home = &mut state.cold_mut().home;
        if home.saving.is_some() {
            return;
        }
        home.saving = Some(version);
        home.is_unsaved = false;
        home.retiring = home.retires.len();
        let retires = home.retires.clone();
        drop(state);
        self.metrics.session_saves += 1;
        let bytes = stored.encode();
        self.session_work.requests.push_back(StoreRequest::Save { session: id, version, expires, bytes, retires });
    }

    /// The store has saved a version, or could not.
    pub(crate) fn saved(&mut self, id: SessionId, version: u64, outcome: Result<(), StoreFailed>) {
        let Some(session) = self.sessions.by_id(self.sessions.current_id(id)) else { return };
        let mut state = session.state();
        let latest = state.version;
        let home = &mut state.cold_mut().home;
        if home.saving != Some(version) {
            return;
        }
        home.saving = None;
        for entry in home.in_flight.iter_mut().filter(|entry| entry.version <= version && entry.is_durable.is_none()) {
            entry.is_durable = Some(outcome.is_ok());
        }
        if outcome.is_ok() {
            home.retires.drain(..home.retiring);
        } else {
            self.metrics.session_saves_failed += 1;
            home.is_unsaved = true;
        }
        let is_behind = outcome.is_ok() && (version < latest || home.is_unsaved || !home.retires.is_empty());
        // After a failure only who has not had an answer makes it try again at once; the sweep does in any case.
        let is_asked = home.in_flight.iter().any(|entry| entry.is_durable.is_none());
        let slot = state.slot;
        drop(state);
        if is_behind || is_asked {
            self.session_work.unsaved.push(slot);
        }
        self.acknowledge(&session);
    }

    /// The store has looked for a session.
    pub(crate) fn loaded(&mut self, id: SessionId, outcome: Result<Option<Vec<u8>>, StoreFailed>) {
        let Some(session) = self.sessions.by_id(id) else { return };
        {
            let state = session.state();
            if !state.is_home || state.stage != Stage::Opening {
                return;
            }
        }
        let Ok(found) = outcome else {
            self.metrics.session_loads_failed += 1;
            return self.refuse_openers(&session, OpenError::Store);
        };
        match found.map(|bytes| Stored::decode(&bytes)) {
            Some(Some(Stored::Retired)) => {
                self.sessions.retire(id, None);
                return self.refuse_openers(&session, OpenError::Retired);
            }
            Some(Some(Stored::Live(record))) if !self.is_over(&record) => session.state().load(&record),
            Some(None) => {
                // Nothing can be made of it; the next save writes over it.
                self.metrics.session_records_bad += 1;
                session.state().stage = Stage::Ready;
            }
            Some(Some(Stored::Live(_))) | None => session.state().stage = Stage::Ready,
        }
        self.admit_openers(&session);
    }

    /// It can be used: whoever waits for it gets it.
    pub(crate) fn admit_openers(&mut self, session: &Session) {
        let waiting = session.state().cold.as_mut().map(|cold| std::mem::take(&mut cold.waiting)).unwrap_or_default();
        for opener in waiting {
            match opener {
                Opener::Peer(peer, number) => self.grant(session, peer, number),
                Opener::Connection(connection, ticket) => {
                    let outcome = Ok(session.clone());
                    self.session_work.completions.push_back(Completion::Opened { connection, ticket, outcome });
                }
            }
        }
        session.state().cool();
    }

    /// It cannot be used: whoever waits for it is told, and it is gone.
    pub(crate) fn refuse_openers(&mut self, session: &Session, error: OpenError) {
        let id = session.id();
        let waiting = session.state().cold.as_mut().map(|cold| std::mem::take(&mut cold.waiting)).unwrap_or_default();
        self.sessions.remove(session);
        for opener in waiting {
            match opener {
                Opener::Peer(peer, number) => self.refuse_peer(peer, id, number, error),
                Opener::Connection(connection, ticket) => {
                    let outcome = Err(error);
                    self.session_work.completions.push_back(Completion::Opened { connection, ticket, outcome });
                }
            }
        }
    }

    /// How long a session of that lifetime lives unused, what its coarse touching may hide included.
    pub(crate) fn lifetime_millis(&self, lifetime: u32) -> u64 {
        let limits = &self.limits.sessions;
        let ttl = if lifetime == 0 {
            u64::try_from(limits.ttl.as_millis()).unwrap_or(u64::MAX)
        } else {
            u64::from(lifetime) * 1_000
        };
        ttl.saturating_add(u64::from(super::sweep::touch_seconds(ttl)) * 1_000)
    }

    fn is_over(&self, record: &Record) -> bool {
        let now = self.sessions.context().now.get();
        let end = (u64::from(record.touched) * 1_000).saturating_add(self.lifetime_millis(record.lifetime));
        end <= now && seconds(now) > record.touched
    }
}
