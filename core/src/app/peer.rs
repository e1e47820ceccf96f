//! The connection that a call came from, and what can be done to it. It is a handle: it may be kept, cloned and used
//! from later tasks of the same shard, and does nothing any more when the connection is gone.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use shard::{Command, ConnectionId, Disconnect, ShardId};

use super::call::{Call, FromCall, Site};
use super::error::{Error, Result};
use super::local::Local;
use super::publish::{check_code, check_event};
use crate::auth::Signed;

/// Extracts the caller's connection.
#[derive(Clone)]
pub struct Peer {
    peer: shard::Peer,
    local: Rc<Local>,
}

/// What tells connections apart, within the whole server and for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId {
    shard: ShardId,
    connection: ConnectionId,
}

impl Peer {
    pub(crate) fn new(peer: shard::Peer, local: &Rc<Local>) -> Self {
        Self { peer, local: Rc::clone(local) }
    }

    /// Ends the connection with a close code and a reason, of which the wire carries 123 bytes. SocketCluster clients
    /// reconnect at once after 4000 and 4001, within some 10 to 20 seconds after most others, and not at all after 1000
    /// and from 4500 on.
    ///
    /// # Errors
    /// When the shard's command queue is full, or the code is none that may be sent.
    pub fn disconnect(&self, code: u16, reason: impl Into<Cow<'static, str>>) -> Result {
        check_code(code)?;
        let disconnect = Disconnect { code, reason: reason.into() };
        self.local.commands.push(Command::Disconnect { connection: self.peer.connection, disconnect })
    }

    /// Sends this connection an event, which a SocketCluster client sees as a transmitted event of that name.
    ///
    /// # Errors
    /// When the shard's command queue is full, when the name is empty or reserved (it begins with `#`), or when the
    /// data cannot be JSON.
    pub fn emit(&self, event: &str, data: impl Serialize) -> Result {
        self.emit_so(event, data, false)
    }

    pub(super) fn emit_so(&self, event: &str, data: impl Serialize, is_volatile: bool) -> Result {
        check_event(event)?;
        let (connection, event, data) = (self.peer.connection, event.into(), Some(to_json(&data)?));
        self.local.commands.push(Command::Emit { connection, event, data, is_volatile })
    }

    /// Gives this connection a token with these claims, a JSON object: from now on it is whom they name, and the client
    /// presents the token again when it comes back. It reaches the client before the answer of the call that set it. The
    /// claims get `iat`, and `exp` after `lifetime` or the server's `--token-lifetime`; an `exp` of their own wins. Who calls
    /// by HTTP gets it in the answer's header `Auth-Token`.
    ///
    /// # Errors
    /// When the claims are not a JSON object, when the token would be longer than `--max-token`, when the server has
    /// public keys only, or when the shard's command queue is full.
    pub fn set_auth_token(&self, claims: impl Serialize, lifetime: impl Into<Option<Duration>>) -> Result {
        let Ok(Value::Object(claims)) = serde_json::to_value(claims) else {
            return Err(Error::internal("the claims of a token are a JSON object"));
        };
        let signed = self.local.common.authority.sign(claims, lifetime.into()).map_err(Error::internal)?;
        let Signed { token, verified } = signed;
        let connection = self.peer.connection;
        match self.local.exchanges.give(connection, token) {
            Ok(()) => Ok(()),
            Err(token) => self.local.commands.push(Command::SetToken { connection, token, verified }),
        }
    }

    /// Counts a failed login of this connection against `--login-rate`. The modules of
    /// [`App::authentication`](super::App::authentication) need not call it: theirs are counted.
    ///
    /// # Errors
    /// When the shard's command queue is full.
    pub fn login_failed(&self) -> Result {
        self.local.commands.push(Command::LoginFailed { connection: self.peer.connection })
    }

    /// Takes this connection's token away, and has the client forget it.
    ///
    /// # Errors
    /// When the shard's command queue is full.
    pub fn remove_auth_token(&self) -> Result {
        self.local.exchanges.take(self.peer.connection);
        self.local.commands.push(Command::RemoveToken { connection: self.peer.connection })
    }

    /// Which connection this is.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId { shard: self.local.shard, connection: self.peer.connection }
    }

    /// Where it comes from.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.peer.address
    }

    /// The number of the shard that holds it, from zero.
    #[must_use]
    pub fn shard(&self) -> usize {
        self.local.shard.index()
    }

    pub(super) const fn local(&self) -> &Rc<Local> {
        &self.local
    }

    pub(crate) const fn connection(&self) -> ConnectionId {
        self.peer.connection
    }
}

impl FromCall for Peer {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        let peer = call.peer.ok_or_else(|| Error::internal("there is no peer here"))?;
        Ok(Self::new(peer, call.local()))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        if site.occasion.has_peer() { Ok(()) } else { site.expect("Peer", &[]) }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Peer").field("id", &self.id()).field("address", &self.address()).finish()
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.shard.0, self.connection.slot, self.connection.generation)
    }
}

/// Serialises what is to travel.
pub(crate) fn to_json(data: &impl Serialize) -> Result<Box<str>> {
    match serde_json::to_string(data) {
        Ok(json) => Ok(json.into_boxed_str()),
        Err(error) => Err(Error::internal(format_args!("not JSON: {error}"))),
    }
}
