//! What shards tell each other about polling: requests that came in elsewhere, and their answers.

use codec::engineio::{Encoding, Refusal};

use super::SessionKey;
use crate::recovery::Recovering;
use crate::{ConnectionId, SessionId, ShardId, Ticket};

/// The TCP connection on which a request waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Poller {
    pub(crate) shard: ShardId,
    pub(crate) connection: ConnectionId,
}

/// What a POST brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub(crate) body: Vec<u8>,
    pub(crate) is_octets: bool,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// What there was to tell.
    Payload {
        /// A payload.
        body: Vec<u8>,
        /// How it is written.
        encoding: Encoding,
        /// What the response sets.
        cookie: Option<Box<str>>,
    },
    /// What was posted is taken.
    Taken,
    /// There is no room for one more session.
    Busy,
    /// The request is not served.
    Refused(Refusal),
}

/// One message of one shard to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollMessage {
    /// To the shard of a session: a request for it.
    Request {
        /// Where it waits, on the sender.
        connection: ConnectionId,
        /// Whose it says to be.
        key: SessionKey,
        /// The session of the cookie that it has brought.
        session: Option<SessionId>,
        /// A POST's body; none for a GET.
        posted: Option<Posted>,
    },
    /// To the shard of a request: its answer.
    Answer {
        /// Where it waits, on the receiver.
        connection: ConnectionId,
        /// The answer.
        polled: Polled,
    },
    /// To the shard of a session: a WebSocket asks whether it may carry it.
    Probe {
        /// The WebSocket, on the sender.
        connection: ConnectionId,
        /// The session.
        key: SessionKey,
        /// That of its cookie.
        bound_to: Option<SessionId>,
    },
    /// To the shard of a session: from now on a WebSocket carries it.
    Switch {
        /// The WebSocket, on the sender.
        connection: ConnectionId,
        /// The session.
        key: SessionKey,
        /// That of its cookie.
        bound_to: Option<SessionId>,
    },
    /// To the shard of a session: what its carrier has heard.
    Carry {
        /// The session.
        key: SessionKey,
        /// As a client would send it.
        frames: Vec<u8>,
    },
    /// To the shard of a session: its carrier is gone.
    CarrierGone {
        /// The WebSocket, on the sender.
        connection: ConnectionId,
        /// The session.
        key: SessionKey,
        /// How it ended.
        code: u16,
    },
    /// To the shard of a carrier: what it is to send.
    Carried {
        /// The WebSocket, on the receiver.
        connection: ConnectionId,
        /// Whole frames.
        bytes: Vec<u8>,
    },
    /// To the shard of a session: what was carried is with the kernel, or next to it.
    Landed {
        /// The WebSocket, on the sender.
        connection: ConnectionId,
        /// The session.
        key: SessionKey,
        /// So much more of it.
        bytes: usize,
    },
    /// To the shard of a carrier: there is nothing to carry any more.
    CarrierEnded {
        /// The WebSocket, on the receiver.
        connection: ConnectionId,
    },
    /// To the shard of an earlier connection: its client is here.
    Recover(Box<Recovering>),
    /// To the shard of the client: what became of it.
    Recovered {
        /// The new transport, on the receiver.
        connection: ConnectionId,
        /// What it waits by.
        ticket: Ticket,
        /// What it carries from now on; none: it begins anew.
        key: Option<SessionKey>,
    },
    /// To the shard of a session: a request does not wait any more.
    Gone {
        /// Where it waited, on the sender.
        connection: ConnectionId,
        /// For whom.
        key: SessionKey,
    },
}

impl PollMessage {
    /// Memory it stands for, against the lane's high-water mark.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = match self {
            Self::Request { posted, .. } => posted.as_ref().map_or(0, |posted| posted.body.len()),
            Self::Answer { polled: Polled::Payload { body, .. }, .. } => body.len(),
            Self::Carry { frames: bytes, .. } | Self::Carried { bytes, .. } => bytes.len(),
            _ => 0,
        };
        size_of::<Self>() + bytes
    }
}
