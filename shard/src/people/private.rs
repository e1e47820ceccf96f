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
    #[inline]
    pub(crate) fn settle_sessions(&mut self) {
        if !self.sessions.context().changes.borrow().is_empty() {
            self.settle_changed_sessions();
        }
    }

    fn settle_changed_sessions(&mut self) {
        loop {
            let change = self.sessions.context().changes.borrow_mut().pop_front();
            let Some((slot, change)) = change else { return };
            let Some(session) = self.sessions.find(slot) else { continue };
            let connections: Vec<_> = session.state().connections().collect();
            for slot in connections {
                let Some(connection) = self.connections.get(slot) else { continue };
                let (id, is_admitted) = (connection.id(slot), connection.admitted);
                match &change {
                    Change::User => self.settle_session_user(id),
                    Change::Channel(channel) if is_admitted => self.settle_channel(id, &session, channel),
                    Change::Channel(_) => {}
                }
            }
        }
    }

    fn settle_channel(&mut self, id: ConnectionId, session: &Session, channel: &str) {
        if session.has_channel(channel) {
            self.join_private(id, channel);
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
            self.join_private(id, &channel);
        }
    }

    /// Raw routes have no channels: nothing could be said on them of a publication.
    fn join_private(&mut self, id: ConnectionId, channel: &str) {
        if self.connections.live(id).is_some_and(|connection| connection.protocol.has_events()) {
            self.join(id, channel);
        }
    }

    /// Whether the server itself has subscribed a connection's session to a channel: nobody has to be asked then.
    pub(crate) fn is_private_subscriber(&mut self, id: ConnectionId, channel: &str) -> bool {
        let Some(connection) = self.connections.live(id) else { return false };
        self.sessions.find(connection.session).is_some_and(|session| session.has_channel(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Client, World};
    use crate::{Limits, SessionConfig, SessionId, Sessions};

    /// One shard, its sessions, and the connections of one of them: a client with channels, and a raw one.
    fn world() -> (World, Sessions, [Client; 2]) {
        let mut world = World::new(1, Limits::default());
        let sessions = world.shards[0].open_sessions(SessionConfig { has_store: false, epoch: 1_000_000 });
        let id = SessionId::new([3; 16]).to_string();
        let clients =
            ["/socketcluster/", "/raw"].map(|path| world.upgrade_with(0, "10.0.0.1", path, &[("Cookie", id.as_str())]));
        world.send(clients[0], r##"{"event":"#handshake","data":{},"cid":1}"##);
        clients.iter().for_each(|client| drop(world.heard(*client)));
        (world, sessions, clients)
    }

    fn write(world: &mut World, sessions: &Sessions, client: Client, operation: Operation) {
        let id = world.shards[0].session_of(client.id).expect("it has a session");
        let session = sessions.all().into_iter().find(|session| session.id() == id).expect("it is there");
        session.write(operation).expect("there is room");
        world.wait(std::time::Duration::from_millis(1));
    }

    fn set(key: &str, text: &str) -> Operation {
        Operation::Set { key: key.into(), text: text.into(), expires: 0 }
    }

    #[test]
    fn only_connections_that_have_channels_are_in_the_private_ones() {
        let (mut world, sessions, clients) = world();
        write(&mut world, &sessions, clients[0], set("#channel:news", "true"));
        let later = world.upgrade_with(0, "10.0.0.1", "/raw", &[("Cookie", &SessionId::new([3; 16]).to_string())]);
        world.heard(later);
        world.send(clients[0], r##"{"event":"#publish","data":{"channel":"news","data":1}}"##);
        assert_eq!(world.heard(clients[0]), [r##"{"event":"#publish","data":{"channel":"news","data":1}}"##]);
        for raw in [clients[1], later] {
            assert_eq!(world.heard(raw), [""; 0]);
        }
        write(&mut world, &sessions, clients[0], Operation::Remove { key: "#channel:news".into() });
        assert!(world.heard(clients[0])[0].contains("#kickOut"));
        assert_eq!(world.heard(clients[1]), [""; 0]);
    }

    #[test]
    fn a_sessions_login_ends_on_each_of_its_connections_once() {
        let (mut world, sessions, clients) = world();
        let told = |world: &mut World| {
            let told = std::mem::take(&mut world.hosts[0].told);
            told.into_iter().filter(|told| !told.starts_with("verify")).collect::<Vec<_>>()
        };
        write(&mut world, &sessions, clients[0], set(Session::USER_KEY, r#""bob""#));
        write(&mut world, &sessions, clients[0], set(Session::USER_KEY, r#""bob""#));
        assert!(told(&mut world).is_empty());
        world.send(clients[0], r##"{"event":"#authenticate","data":"good","cid":9}"##);
        assert_eq!(told(&mut world), ["Replaced bob false"], "the token names another");
        write(&mut world, &sessions, clients[0], set(Session::USER_KEY, r#""carol""#));
        assert_eq!(told(&mut world), ["Replaced bob false"], "the raw one's");
        world.send(clients[0], r##"{"event":"#removeAuthToken"}"##);
        assert_eq!(told(&mut world), ["Removed alice true"]);
        write(&mut world, &sessions, clients[0], Operation::Remove { key: Session::USER_KEY.into() });
        assert_eq!(told(&mut world), ["Taken carol false"; 2]);
    }
}
