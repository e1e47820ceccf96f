//! Raw WebSocket routes: an application's own protocol on whole messages. Handlers are synchronous and answer in place,
//! so that an echo is a copy into the turn's arena and nothing else; what comes later goes by a [`RawSender`].

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use shard::{Command, RawMessage, RawReplies};

use super::error::Result;
use super::fence::fence;
use super::identity::read_claims;
use super::local::{Counters, Local};
use super::peer::Peer;
use super::reply::IntoVerdict;
use super::session::Session;

pub use shard::RawMessage as Message;

/// The connection that a raw message came from, for the length of the handler's call.
#[derive(Debug)]
pub struct RawSocket<'a, 'r> {
    caller: shard::Caller<'a>,
    local: &'a Rc<Local>,
    replies: &'a mut RawReplies<'r>,
}

impl RawSocket<'_, '_> {
    /// Sends a message back.
    pub fn send(&mut self, message: Message<'_>) {
        self.replies.send(message);
    }

    /// Ends the connection; see [`Peer::disconnect`].
    ///
    /// # Errors
    /// As [`Peer::disconnect`].
    pub fn disconnect(&self, code: u16, reason: impl Into<Cow<'static, str>>) -> Result {
        self.peer().disconnect(code, reason)
    }

    /// A handle to the connection that outlives the call.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer::new(self.caller.peer, self.local)
    }

    /// The connection's session.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        Session::of_peer(self.caller.peer, self.local)
    }

    /// Whose it is: the user's whom its token names, or else its session's.
    #[must_use]
    pub const fn user_id(&self) -> Option<&str> {
        self.caller.user
    }

    /// The claims of the token that its request has shown (`Authorization: Bearer`), while that counts.
    ///
    /// # Errors
    /// A `ClaimsError`, when they are not a `T`.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.caller.claims.map(read_claims).transpose()
    }

    /// A way to send to the connection that outlives the call.
    #[must_use]
    pub fn sender(&self) -> RawSender {
        RawSender { peer: self.peer(), local: Rc::clone(self.local) }
    }
}

/// Sends messages to one raw connection from anywhere on its shard; does nothing any more when that is gone.
#[derive(Clone)]
pub struct RawSender {
    peer: Peer,
    local: Rc<Local>,
}

impl RawSender {
    /// Queues one message.
    ///
    /// # Errors
    /// When the shard's command queue is full.
    pub fn send(&self, message: Message<'_>) -> Result {
        let payload = match message {
            RawMessage::Text(text) => Ok(text.into()),
            RawMessage::Binary(bytes) => Err(bytes.into()),
        };
        self.local.commands.push(Command::Send { connection: self.peer.connection(), payload })
    }

    /// The connection.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl fmt::Debug for RawSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RawSender").field(&self.peer).finish()
    }
}

/// One route's handler, its return type forgotten.
pub(crate) type RawHandler = Box<dyn Fn(&mut RawSocket<'_, '_>, Message<'_>) -> Result>;

/// A raw route.
pub(crate) struct RawRoute {
    pub(crate) path: Box<str>,
    /// Its messages come in Engine.IO's packets.
    pub(crate) is_engine_io: bool,
    pub(crate) handler: RawHandler,
}

impl RawRoute {
    /// A route with a handler of whatever return type.
    pub(crate) fn new<R: IntoVerdict>(
        path: &str,
        is_engine_io: bool,
        handler: impl Fn(&mut RawSocket<'_, '_>, Message<'_>) -> R + 'static,
    ) -> Self {
        Self {
            path: path.into(),
            is_engine_io,
            handler: Box::new(move |socket, message| handler(socket, message).into_verdict()),
        }
    }

    /// Gives the handler a message. An error ends the connection with the error's close code, or with 1008 where it has
    /// none; a panic with 1011.
    pub(crate) fn call(
        &self,
        local: &Rc<Local>,
        caller: shard::Caller<'_>,
        message: Message<'_>,
        replies: &mut RawReplies<'_>,
    ) {
        let outcome = fence(|| (self.handler)(&mut RawSocket { caller, local, replies }, message));
        let (code, reason) = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => (error.code().unwrap_or(POLICY), Cow::Owned(error.message().to_owned())),
            Err(panic) => {
                Counters::count(&local.counters.panics);
                tracing::error!(path = &*self.path, panic = panic.text, "raw route panicked");
                (INTERNAL, Cow::Borrowed("internal error"))
            }
        };
        let disconnect = shard::Disconnect { code, reason };
        local.commands.push_answer(Command::Disconnect { connection: caller.peer.connection, disconnect });
    }
}

/// RFC 6455 section 7.4.1: the message violates the application's policy.
const POLICY: u16 = 1008;
/// The same: an unexpected condition on our side.
const INTERNAL: u16 = 1011;
