//! What a session says about its connections: whose they are, and which channels the server has subscribed them to. Both
//! are values of the session under names that begin with `#`, which no client and no application can write otherwise; so
//! they travel, are acknowledged, kept and loaded as all values are, and every shard draws the consequences for its own
//! connections.

use codec::json::unescape;
use codec::message::RawJson;

use crate::shard::Shard;
use crate::{ConnectionId, Operation, Session};

/// What the client is told whose session was taken out of a channel.
const TAKEN_OUT: &str = "the server has ended the subscription";

/// A value of a session that concerns its connections has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    User,
    Channel(Box<str>),
}

impl Change {
    /// What a write changes.
    pub(crate) fn of(operation: &Operation) -> Option<Self> {
        let (Operation::Set { key, .. } | Operation::Remove { key }) = operation else { return None };
        if **key == *Session::USER_KEY {
            return Some(Self::User);
        }
        key.strip_prefix(Session::CHANNEL_PREFIX).map(|channel| Self::Channel(channel.into()))
    }
}

impl Session {
    /// The name of the value that says whose a session is: a JSON string.
    pub const USER_KEY: &str = "#user";

    /// What the names of the values begin with that are private channels; the channel's name follows.
    pub const CHANNEL_PREFIX: &str = "#channel:";

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> Option<Box<str>> {
        let text = self.get(Self::USER_KEY)?;
        unescape(RawJson::from_validated(&text)).map(|user| user.into())
    }

    /// The channels that the server has subscribed it to.
    #[must_use]
    pub fn channels(&self) -> Vec<Box<str>> {
        let all = self.all();
        all.iter().filter_map(|(key, _)| key.strip_prefix(Self::CHANNEL_PREFIX)).map(Into::into).collect()
    }

    fn has_channel(&self, channel: &str) -> bool {
        let state = self.state();
        state.view.all().iter().any(|value| value.key.strip_prefix(Self::CHANNEL_PREFIX) == Some(channel))
    }
}

impl Shard {
    /// Draws the consequences of what has changed in sessions.
    pub(crate) fn settle_sessions(&mut self) {
        loop {
            let change = self.sessions.context().changes.borrow_mut().pop_front();
            let Some((slot, change)) = change else { return };
            let Some(session) = self.sessions.find(slot) else { continue };
            let connections: Vec<_> = session.state().connections().collect();
            for slot in connections {
                let Some(connection) = self.connections.get(slot) else { continue };
                let (id, is_admitted) = (connection.id(slot), connection.admitted);
                match &change {
                    Change::User => self.settle_user(id),
                    Change::Channel(channel) if is_admitted => self.settle_channel(id, &session, channel),
                    Change::Channel(_) => {}
                }
            }
        }
    }

    fn settle_channel(&mut self, id: ConnectionId, session: &Session, channel: &str) {
        if session.has_channel(channel) {
            self.join(id, channel);
        } else {
            self.kick_out(id, channel, TAKEN_OUT);
        }
    }

    /// A connection is let in: from here on it is owed one disconnect, its user is here, and it is in the channels of
    /// its session.
    pub(crate) fn admit(&mut self, id: ConnectionId) {
        self.settle_user(id);
        let Some(connection) = self.connections.live(id) else { return };
        connection.admitted = true;
        self.admit_user(id);
        let Some(connection) = self.connections.live(id) else { return };
        let Some(session) = self.sessions.find(connection.session) else { return };
        for channel in session.channels() {
            self.join(id, &channel);
        }
    }

    /// Whether the server itself has subscribed a connection's session to a channel: nobody has to be asked then.
    pub(crate) fn is_private_subscriber(&mut self, id: ConnectionId, channel: &str) -> bool {
        let Some(connection) = self.connections.live(id) else { return false };
        self.sessions.find(connection.session).is_some_and(|session| session.has_channel(channel))
    }
}
