//! Whose a session is, and its private channels: what the server subscribes all connections of a session to, on whichever
//! shards they are and whenever they come back, for as long as the session lives.

use std::borrow::Cow;

use shard::{Audience, Command, Operation, Question, Session as ShardSession};

use super::error::{Error, Result};
use super::peer::to_json;
use super::publish::{disconnect, kick_out};
use super::recipients::{Recipients, names};
use super::session::{Session, SessionWrite};

impl Session {
    /// Whose it is; none while nobody has logged in to it.
    #[must_use]
    pub fn user_id(&self) -> Option<String> {
        self.inner().user().map(String::from)
    }

    /// Makes it a user's: all its connections are, except for those with a token that names another. The session gets
    /// another id, as [`Session::rotate`] does, and the ticket for its cookie is returned.
    ///
    /// # Errors
    /// When that is no name (1 to 255 bytes without control characters), and as [`Session::rotate`].
    pub async fn set_user_id(&self, user: &str) -> Result<String> {
        names(user, 1)?;
        self.write_own(Operation::Set { key: USER_KEY.into(), text: to_json(&user)?, expires: 0 })?.outcome().await?;
        self.rotate().await
    }

    /// Logs its user out, everywhere at once: it is nobody's, its private channels and its values are gone, and it has
    /// another id, for whose cookie the ticket is returned. Tokens are not the session's:
    /// [`Peer::remove_auth_token`](super::Peer::remove_auth_token) takes them.
    ///
    /// # Errors
    /// As [`Session::rotate`].
    pub async fn logout(&self) -> Result<String> {
        self.write_own(Operation::Remove { key: USER_KEY.into() })?;
        self.channel().unsubscribe(self.channel().list())?;
        self.clear()?;
        self.rotate().await
    }

    /// Writes what has consequences for its connections: what the application has said before comes before those, what it
    /// says next after them.
    fn write_own(&self, operation: Operation) -> Result<SessionWrite> {
        let written = self.write(operation)?;
        self.local().commands.push_answer(Command::SettleSessions);
        Ok(written)
    }

    /// Its private channels.
    #[must_use]
    pub fn channel(&self) -> SessionChannels {
        SessionChannels { session: self.clone() }
    }

    /// Closes all its connections with a close code and a reason; see [`Peer::disconnect`](super::Peer::disconnect). The
    /// session lives on.
    ///
    /// # Errors
    /// When the code is none that may be sent, and as [`Publish::user`](super::Publish::user).
    pub fn disconnect(&self, code: u16, reason: impl Into<Cow<'static, str>>) -> Result {
        self.local().address_all(Audience::Sessions, self.id(), disconnect(code, reason)?)
    }

    /// Ends a subscription of all its connections; the clients are told the message.
    ///
    /// # Errors
    /// As [`Publish::user`](super::Publish::user).
    pub fn kick_out(&self, channel: &str, message: &str) -> Result {
        self.local().address_all(Audience::Sessions, self.id(), kick_out(channel, message))
    }
}

/// The channels that the server has subscribed a session to. What is published to them reaches its connections as from any
/// channel; a SocketCluster client hands on publications of channels that it has subscribed to itself, for which nobody is
/// asked then, and events of [`Publish::channel`](super::Publish::channel) always.
#[derive(Clone, Debug)]
pub struct SessionChannels {
    session: Session,
}

impl SessionChannels {
    /// Subscribes all connections of the session, and those that it will have. When it returns, nothing that is published
    /// from now on, on whichever shard, passes them by.
    ///
    /// # Errors
    /// When a name is none that a channel can have, and as [`Session::set`]: each channel counts as a value.
    pub async fn subscribe(&self, channels: impl Recipients) -> Result {
        let channels = self.names(channels)?;
        for channel in &channels {
            let text = "true".into();
            self.session.write_own(Operation::Set { key: key(channel), text, expires: 0 })?.outcome().await?;
        }
        for channel in channels {
            self.session.local().ask(Question::Settled { channel: channel.into() }).await?;
        }
        Ok(())
    }

    /// Ends these subscriptions, also where clients have made them themselves: they are told.
    ///
    /// # Errors
    /// As [`Session::remove`].
    pub fn unsubscribe(&self, channels: impl Recipients) -> Result {
        for channel in self.names(channels)? {
            self.session.write_own(Operation::Remove { key: key(&channel) })?;
        }
        Ok(())
    }

    /// The channels.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        self.session.inner().channels().into_iter().map(String::from).collect()
    }

    fn names(&self, channels: impl Recipients) -> Result<Vec<String>> {
        let names = names(channels, self.session.local().recipients_max)?;
        Ok(names.iter().flat_map(|names| names.split(Audience::SEPARATOR)).map(str::to_owned).collect())
    }
}

fn key(channel: &str) -> Box<str> {
    format!("{CHANNEL_PREFIX}{channel}").into()
}

/// Whether a name is free for values of the application's.
pub(super) fn check_key(key: &str) -> Result {
    if key.starts_with('#') {
        return Err(Error::internal(format_args!("{key:?}: values whose names begin with # are the server's own")));
    }
    Ok(())
}

/// As the shard reads them.
const USER_KEY: &str = ShardSession::USER_KEY;
const CHANNEL_PREFIX: &str = ShardSession::CHANNEL_PREFIX;
