//! What shards tell each other about sessions. Each lane is first in, first out, and the protocol leans on it: a holder
//! hears of every write in the home's order, and of its own writes before they are acknowledged.
//!
//! ```text
//!   holder                                home
//!     Open(number) ──────────────────────>  loads, if it must
//!     <────────────── Opened(number, record)  from here on a holder
//!     Write(token, operation) ───────────>  decides, orders, applies: version + 1
//!     <── Update(version, operation, token?)  to every holder
//!     Received(version) ─────────────────>  from every holder but the writer
//!     <──────────── Written(token, outcome)  when all holders have it, and the store
//!     Release(number) ───────────────────>  no holder any more
//!
//!   where the home has died:
//!     Restore(number, record) ───────────>  takes the highest version of all holders
//!     <─────────── Restored(number, record)  a holder again
//! ```

use super::{Operation, Record, SessionId, WriteError, Written};

/// One message of one shard to another about one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionMessage {
    /// Which.
    pub session: SessionId,
    /// What.
    pub kind: SessionMessageKind,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionMessageKind {
    /// The sender has a connection of the session and wants a copy.
    Open {
        /// Which of the sender's openings this is; echoed, and named by the release.
        number: u32,
    },
    /// The answer: the copy, and the receiver is a holder now; or why there is none.
    Opened {
        /// Which opening.
        number: u32,
        /// The session as it is.
        outcome: Result<Box<Record>, OpenError>,
    },
    /// The sender has dropped its copy.
    Release {
        /// The opening that gave it.
        number: u32,
    },
    /// The sender wants a write ordered.
    Write {
        /// Names the write on the sender.
        token: u64,
        /// The write.
        operation: Operation,
    },
    /// The home has ordered a write.
    Update {
        /// The session's version with it; one more than before.
        version: u64,
        /// What it came to.
        operation: Operation,
        /// The receiver's own write that it was.
        token: Option<u64>,
    },
    /// The sender has every write up to this version.
    Received {
        /// The version.
        version: u64,
    },
    /// A write is done, and everybody has it; or it was refused.
    Written {
        /// Which, on the receiver.
        token: u64,
        /// How it went.
        outcome: Result<Written, WriteError>,
    },
    /// To a home that takes the place of one that has died: what the sender holds.
    Restore {
        /// The opening that gave the copy.
        number: u32,
        /// Ids that it had before, the newest last.
        former: Vec<SessionId>,
        /// The session has ended.
        is_ended: bool,
        /// As the last home had ordered it, as far as the sender has heard.
        record: Box<Record>,
    },
    /// The answer: what there is of it now, and the receiver is a holder; or nothing.
    Restored {
        /// The opening that gave the copy.
        number: u32,
        /// What it is called now.
        to: SessionId,
        /// As the home has it. None: it has ended.
        record: Option<Box<Record>>,
    },
    /// The sender wants to know of every write so far.
    Read {
        /// Echoed.
        ticket: u64,
    },
    /// Every write that was ordered when the question came has gone out before this answer.
    ReadDone {
        /// The question's.
        ticket: u64,
    },
}

/// Why a session cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Its id is not valid any more: it was rotated, or the session was ended.
    Retired,
    /// The shard has as many sessions as it may have.
    Full,
    /// The store cannot say what it holds.
    Store,
}

impl SessionMessage {
    /// Memory it stands for, against the lane's high-water mark.
    pub(crate) fn bytes(&self) -> usize {
        let text = match &self.kind {
            SessionMessageKind::Opened { outcome: Ok(record), .. }
            | SessionMessageKind::Restore { record, .. }
            | SessionMessageKind::Restored { record: Some(record), .. } => record.bytes(),
            SessionMessageKind::Write { operation, .. } | SessionMessageKind::Update { operation, .. } => {
                operation.bytes()
            }
            _ => 0,
        };
        size_of::<Self>() + text
    }
}
