//! The common messages every wire protocol decodes to. Borrowed from the received bytes; never owns more than an
//! unescaped name. What a protocol cannot say is simply absent here: a new protocol adds a mapping, not a variant per quirk.

use std::borrow::Cow;

/// The source text of one JSON value, validated, byte for byte as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawJson<'a>(&'a str);

impl<'a> RawJson<'a> {
    /// JSON's `null`.
    pub const NULL: RawJson<'static> = RawJson("null");

    /// Wraps text that the caller knows to be one valid JSON value (it came out of a validating scan or a serialiser).
    #[must_use]
    pub const fn from_validated(text: &'a str) -> Self {
        Self(text)
    }

    /// The value's source text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The id by which a peer matches a reply to its call, as the JSON text it sent (a number or a string), so that the
/// reply carries the same type back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId<'a>(RawJson<'a>);

impl<'a> CallId<'a> {
    /// Wraps a JSON number or string.
    #[must_use]
    pub const fn new(raw: RawJson<'a>) -> Self {
        Self(raw)
    }

    /// The id's JSON source text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0.as_str()
    }
}

/// One protocol message from a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientMessage<'a> {
    /// Opens the session of this connection.
    Handshake {
        /// Where the answer goes; absent is a violation in strict dialects.
        call: Option<CallId<'a>>,
        /// The token the client kept from an earlier life.
        token: Option<Cow<'a, str>>,
    },
    /// Calls an action by name.
    Invoke {
        /// The action's name.
        action: Cow<'a, str>,
        /// The argument; absent differs from `null`.
        data: Option<RawJson<'a>>,
        /// Where the answer goes; absent when none is wanted.
        call: Option<CallId<'a>>,
    },
    /// Joins a channel.
    Subscribe {
        /// The channel's name.
        channel: Cow<'a, str>,
        /// What the client says to the subscribe hook.
        data: Option<RawJson<'a>>,
        /// Where the answer goes.
        call: Option<CallId<'a>>,
    },
    /// Leaves a channel.
    Unsubscribe {
        /// The channel's name.
        channel: Cow<'a, str>,
        /// Where the answer goes.
        call: Option<CallId<'a>>,
    },
    /// Publishes to a channel.
    Publish {
        /// The channel's name.
        channel: Cow<'a, str>,
        /// The payload; absent differs from `null`.
        data: Option<RawJson<'a>>,
        /// Where the answer goes.
        call: Option<CallId<'a>>,
    },
    /// Presents a token on an open connection.
    Authenticate {
        /// The token; absent when the client sent none.
        token: Option<Cow<'a, str>>,
        /// Where the answer goes.
        call: Option<CallId<'a>>,
    },
    /// The client logged itself out.
    RemoveAuthToken,
    /// Answers a call that the server made.
    Reply {
        /// The server's id of the call.
        call: CallId<'a>,
        /// `Ok(data)` or `Err(error)`.
        outcome: Result<Option<RawJson<'a>>, RawJson<'a>>,
    },
    /// Announces that the client closes, with its code and reason (SocketCluster v0 and v1).
    Disconnect {
        /// Close code.
        code: u16,
        /// Reason text.
        reason: Option<Cow<'a, str>>,
    },
    /// Answers a heartbeat, in the dialect that the client speaks.
    Pong(crate::socketcluster::Dialect),
    /// A request whose argument has the wrong shape: it is answered with an error, nothing is done.
    Malformed {
        /// Which request.
        operation: Operation,
        /// Where the error goes.
        call: Option<CallId<'a>>,
    },
    /// Nothing this protocol knows: ignored and counted.
    Unknown,
}

/// The requests that can be malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    Subscribe,
    Unsubscribe,
    Publish,
    /// The token is not a string.
    Authenticate,
    /// The action's name breaks the rules for names.
    Invoke,
    /// The arguments are no list, where they have to be one.
    Arguments,
}
