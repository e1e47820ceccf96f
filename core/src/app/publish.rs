//! Telling people something: a user, a session, the subscribers of a channel, everybody; whatever shards they are on.

use std::borrow::Cow;
use std::rc::Rc;

use codec::name::NameLimits;
use codec::websocket::close::is_sendable;
use serde::Serialize;
use shard::{Act, Audience, Command, ConnectionId};

use super::call::{Call, FromCall};
use super::error::{Error, Result};
use super::local::Local;
use super::peer::{Peer, to_json};
use super::recipients::{Recipients, names};

/// Extracts the way to send events to people. An event has a name and a payload; a SocketCluster client gets it as a
/// transmitted event of that name, from `socket.receiver(name)`. Every connection concerned gets it once; whoever is not
/// connected misses it.
///
/// ```
/// use socketshard::prelude::*;
///
/// async fn invite(publish: Publish, Args((user, room)): Args<(String, String)>) -> Result {
///     publish.user(&user, "invitation", room)
/// }
/// # App::new().action("invite", invite);
/// ```
#[derive(Clone, Debug)]
pub struct Publish {
    local: Rc<Local>,
    /// Who does not get it.
    except: Option<ConnectionId>,
    is_volatile: bool,
}

impl Publish {
    /// The same way, but past this connection: `publish.except(&peer).rooms(…)` is what Socket.IO's servers call
    /// `socket.to(…).emit(…)`. Of several the last counts. A peer of another shard is not among those that this can name.
    #[must_use]
    pub fn except(mut self, peer: &Peer) -> Self {
        self.except = Some(peer.connection());
        self
    }

    /// The same way, but past connections that cannot be sent it at once, because something else is still queued for them
    /// (`volatile_dropped` counts).
    #[must_use]
    pub const fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }

    /// To all connections of a user, or of several.
    ///
    /// # Errors
    /// When a name is none, or there are more than `recipients_max` ([`AppLimits`](super::AppLimits)); when the event has
    /// no name or a reserved one (it begins with `#`); when the payload cannot be JSON; and when the lanes to other shards
    /// or this shard's command queue are full: nothing is sent then.
    pub fn user(&self, users: impl Recipients, event: &str, payload: impl Serialize) -> Result {
        self.event(Audience::Users, users, event, payload)
    }

    /// To all connections of a session, or of several.
    ///
    /// # Errors
    /// As [`Publish::user`].
    pub fn session(&self, sessions: impl Recipients, event: &str, payload: impl Serialize) -> Result {
        self.event(Audience::Sessions, sessions, event, payload)
    }

    /// To all subscribers of a channel, or of several: who is in two of them gets it twice.
    ///
    /// # Errors
    /// As [`Publish::user`].
    pub fn channel(&self, channels: impl Recipients, event: &str, payload: impl Serialize) -> Result {
        self.event(Audience::Channels, channels, event, payload)
    }

    /// To all subscribers of any of these channels, each once. Socket.IO's clients get it in the namespace in which they
    /// subscribed.
    ///
    /// # Errors
    /// As [`Publish::user`].
    pub fn rooms(&self, channels: impl Recipients, event: &str, payload: impl Serialize) -> Result {
        self.event(Audience::AnyChannel, channels, event, payload)
    }

    /// To everybody who is connected, logged in or not.
    ///
    /// # Errors
    /// As [`Publish::user`].
    pub fn broadcast(&self, event: &str, payload: impl Serialize) -> Result {
        let act = self.act(event, payload)?;
        self.local.address(Audience::Everyone, "".into(), act, self.except)
    }

    fn event(&self, audience: Audience, to: impl Recipients, event: &str, payload: impl Serialize) -> Result {
        let act = self.act(event, payload)?;
        match names(to, self.local.recipients_max)? {
            Some(names) => self.local.address(audience, names, act, self.except),
            None => Ok(()),
        }
    }

    fn act(&self, event: &str, payload: impl Serialize) -> Result<Act<Box<str>>> {
        check_event(event)?;
        Ok(Act::Event { event: event.into(), data: Some(to_json(&payload)?), is_volatile: self.is_volatile })
    }
}

impl FromCall for Publish {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(Self { local: Rc::clone(call.local()), except: None, is_volatile: false })
    }
}

/// Whether clients can be sent an event of this name.
pub(super) fn check_event(event: &str) -> Result {
    if let Err(error) = NameLimits::default().check_action(event) {
        return Err(Error::internal(format_args!("event {error}")));
    }
    if event.starts_with('#') {
        return Err(Error::internal("events that begin with # are the protocol's own"));
    }
    Ok(())
}

/// The act of closing connections.
pub(super) fn disconnect(code: u16, reason: impl Into<Cow<'static, str>>) -> Result<Act<Box<str>>> {
    check_code(code)?;
    Ok(Act::Disconnect { code, reason: reason.into().into() })
}

/// Whether a connection can be closed with this code.
pub(super) fn check_code(code: u16) -> Result {
    if is_sendable(code) {
        Ok(())
    } else {
        Err(Error::internal(format_args!("{code} is no close code that may be sent")))
    }
}

/// The act of ending subscriptions.
pub(super) fn kick_out(channel: &str, message: &str) -> Act<Box<str>> {
    Act::KickOut { channel: channel.into(), message: message.into() }
}

impl Local {
    /// Does something to all connections of these.
    pub(super) fn address_all(&self, audience: Audience, to: impl Recipients, act: Act<Box<str>>) -> Result {
        match names(to, self.recipients_max)? {
            Some(names) => self.address(audience, names, act, None),
            None => Ok(()),
        }
    }

    /// Does something to all connections.
    pub(super) fn address_everyone(&self, act: Act<Box<str>>) -> Result {
        self.address(Audience::Everyone, "".into(), act, None)
    }

    fn address(&self, audience: Audience, names: Box<str>, act: Act<Box<str>>, except: Option<ConnectionId>) -> Result {
        if self.is_congested() {
            return Err(Error::busy());
        }
        self.commands.push(Command::Address { audience, names, act, except })
    }
}
