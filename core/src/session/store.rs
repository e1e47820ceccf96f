//! What keeps sessions beyond the memory of this process. A store may be slow, fail or be full: sessions go on in memory
//! then, and writes are acknowledged as what they are, not durable.

use std::fmt;
use std::sync::Arc;

use shard::{Command, SessionId, StoreFailed};

use super::port::Port;

/// A store of sessions, shared by all shards. Nothing here may block: what takes time is done elsewhere, and the answer
/// given to the `done` that came with the request, from any thread. Requests of one shard are to be done in their order, and
/// those of the shard that takes its place after them.
pub trait SessionStore: Send + Sync + 'static {
    /// Finds the bytes that were saved last under this id.
    fn load(&self, session: SessionId, done: LoadDone);

    /// Keeps a session: all of the save, or nothing of it.
    fn save(&self, save: SessionSave, done: SaveDone);

    /// Forgets a session.
    fn remove(&self, session: SessionId);

    /// Another process of this server is about to open the same store: does what was asked for, and gives it free. What is
    /// asked from now on fails.
    fn let_go(&self) {}

    /// That other process has come to nothing: the store is ours again.
    fn take_back(&self) {}

    /// The server stops: does what was asked for, and returns when it is done.
    fn close(&self) {}
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSave {
    /// Under which id.
    pub session: SessionId,
    /// How many writes the session has seen: what is saved later under the same id has more.
    pub version: u64,
    /// When it may be forgotten, in milliseconds of Unix time.
    pub expires: u64,
    /// The session.
    pub bytes: Vec<u8>,
    /// Further ids, and what is to be kept under each of them, as long.
    pub further: Vec<(SessionId, Vec<u8>)>,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Too much is waiting to be done.
    Full,
    /// It is closed.
    Closed,
    /// Something went wrong.
    Failed(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => formatter.write_str("too much is waiting for it"),
            Self::Closed => formatter.write_str("it is closed"),
            Self::Failed(what) => formatter.write_str(what),
        }
    }
}

impl std::error::Error for StoreError {}

/// Takes the answer to a load. Dropped without one, the load has failed.
#[derive(Debug)]
pub struct LoadDone {
    pub(super) port: Arc<Port>,
    pub(super) session: Option<SessionId>,
}

/// Takes the answer to a save. Dropped without one, the save has failed.
#[derive(Debug)]
pub struct SaveDone {
    pub(super) port: Arc<Port>,
    pub(super) save: Option<(SessionId, u64)>,
}

impl LoadDone {
    /// Gives the answer: the bytes, or that there are none.
    pub fn finish(mut self, outcome: Result<Option<Vec<u8>>, StoreError>) {
        self.answer(outcome);
    }

    fn answer(&mut self, outcome: Result<Option<Vec<u8>>, StoreError>) {
        let Some(session) = self.session.take() else { return };
        let outcome = outcome.map_err(|error| self.port.failed("loading", &error));
        self.port.post(Command::SessionLoaded { session, outcome });
    }
}

impl SaveDone {
    /// Gives the answer: it is kept for good, or it is not.
    pub fn finish(mut self, outcome: Result<(), StoreError>) {
        self.answer(outcome);
    }

    fn answer(&mut self, outcome: Result<(), StoreError>) {
        let Some((session, version)) = self.save.take() else { return };
        let outcome = match outcome {
            Ok(()) => {
                self.port.worked();
                Ok(())
            }
            Err(error) => Err::<(), StoreFailed>(self.port.failed("saving", &error)),
        };
        self.port.post(Command::SessionSaved { session, version, outcome });
    }
}

impl Drop for LoadDone {
    fn drop(&mut self) {
        self.answer(Err(StoreError::Closed));
    }
}

impl Drop for SaveDone {
    fn drop(&mut self) {
        self.answer(Err(StoreError::Closed));
    }
}
