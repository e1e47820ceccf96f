//! Who something is said to, and what: borrowed where it travels, owned where the application asks for it.

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All connections of these users.
    Users,
    /// All connections of these sessions.
    Sessions,
    /// All subscribers of these channels, once for each that they are in.
    Channels,
    /// All subscribers of any of these channels, once.
    AnyChannel,
    /// The connections with these public ids. Each shard looks at all that it has: for what is rare.
    Connections,
    /// Everybody; names nobody.
    Everyone,
}

impl Audience {
    /// What stands between two names: no name has a control character.
    pub const SEPARATOR: char = '\n';
}

/// What is done to each connection of an audience, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<Text> {
    /// It is sent an event.
    Event {
        /// The event's name.
        event: Text,
        /// Its payload, valid JSON.
        data: Option<Text>,
        /// It is dropped for connections that cannot be sent it at once.
        is_volatile: bool,
    },
    /// It is closed.
    Disconnect {
        /// Close code.
        code: u16,
        /// Reason, at most 123 bytes reach the wire.
        reason: Text,
    },
    /// Its subscription to a channel is ended.
    KickOut {
        /// Which channel.
        channel: Text,
        /// What the client is told.
        message: Text,
    },
}

impl Act<Box<str>> {
    /// The same, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> Act<&str> {
        match self {
            Self::Event { event, data, is_volatile } => {
                Act::Event { event, data: data.as_deref(), is_volatile: *is_volatile }
            }
            Self::Disconnect { code, reason } => Act::Disconnect { code: *code, reason },
            Self::KickOut { channel, message } => Act::KickOut { channel, message },
        }
    }

    /// Bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Event { event, data, .. } => event.len() + data.as_ref().map_or(0, |data| data.len()),
            Self::Disconnect { reason, .. } => reason.len(),
            Self::KickOut { channel, message } => channel.len() + message.len(),
        }
    }
}
