//! By what a client shows that it is the one that was here, and what shards tell each other about it.

use crate::polling::{Poller, SECRET_BYTES, SID_BYTES, SessionKey};
use crate::{ConnectionId, ShardId, Ticket};

/// What a private id says: where the connection is that waits, a secret that only its client knows, and which namespace
/// that is, and how often it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) shard: ShardId,
    pub(crate) connection: ConnectionId,
    pub(crate) secret: [u8; SECRET_BYTES],
    pub(crate) namespace: u8,
    pub(crate) epoch: u8,
}

impl Key {
    /// The id as text.
    pub(crate) fn text(&self) -> String {
        let Self { shard, connection, secret, namespace, epoch } = *self;
        format!("{}{namespace:02x}{epoch:02x}", SessionKey { shard, connection, secret }.text())
    }

    /// What a text says; `None`: it is no id of this server.
    pub(crate) fn parse(text: &str, shards: usize) -> Option<Self> {
        let (session, rest) = text.split_at_checked(SID_BYTES)?;
        let SessionKey { shard, connection, secret } = SessionKey::parse(session, shards)?;
        let (namespace, epoch) = rest.split_at_checked(2)?;
        let byte = |text: &str| u8::from_str_radix(text, 16).ok().filter(|byte| format!("{byte:02x}") == text);
        Some(Self { shard, connection, secret, namespace: byte(namespace)?, epoch: byte(epoch)? })
    }
}

/// Who wants to take up a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovering {
    /// The new transport.
    pub(crate) carrier: Poller,
    /// What it waits by for the answer.
    pub(crate) ticket: Ticket,
    /// What it has shown.
    pub(crate) key: Key,
    /// The last that it has heard.
    pub(crate) offset: Option<String>,
}
