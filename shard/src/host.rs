//! The application as the shard sees it: one statically dispatched trait, called in place, so that an action that
//! finishes at once costs no queue, no task and no copy. What the application wants in turn is a [`Command`].

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use codec::engineio::Version;
use codec::http::request::Head;
use codec::message::RawJson;
use codec::websocket::{Opcode, encode};

pub use codec::socketcluster::TokenError;

use crate::engineio::write_message;
use crate::invoking::Unanswered;
use crate::login_end::LoginEnd;
use crate::people::{Act, Answer, Audience, Question};
use crate::session::{SessionId, StoreFailed, StoreRequest, WriteError, WriteToken, Written};
use crate::{ConnectionId, Ticket};

/// By which kind of listener a connection came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// As the bytes are, or as a proxy before us has made them.
    #[default]
    Plain,
    /// TLS that ends here: the client has said `https` or `wss`.
    Tls,
    /// Plain, and only told to come by TLS: no request of it opens anything.
    Redirect,
    /// Plain, for operators and backends: no request of it opens anything.
    Admin,
}

impl Door {
    /// Whether a request by it may become a connection: a WebSocket, a stream, long-polling.
    #[must_use]
    pub const fn opens_connections(self) -> bool {
        matches!(self, Self::Plain | Self::Tls)
    }
}

/// Who is calling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The connection, on this shard.
    pub connection: ConnectionId,
    /// How it came in.
    pub door: Door,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Where its session is in the table of [`Sessions`](crate::Sessions); [`Peer::NO_SESSION`] for none.
    pub session: u32,
}

impl Peer {
    /// The connection has no session.
    pub const NO_SESSION: u32 = crate::session::NO_SLOT;
}

/// Who is calling, and who it has shown to be.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The connection.
    pub peer: Peer,
    /// The claims of its token, a JSON object; none while it is not authenticated.
    pub claims: Option<&'a str>,
    /// Who it is, by its token or else by its session; none while that is not known.
    pub user: Option<&'a str>,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its claims, a JSON object.
    pub claims: Box<str>,
    /// Whom it is about.
    pub user: Option<Box<str>>,
    /// How long it is still good; none is for ever.
    pub lifetime: Option<Duration>,
}

/// What the path of an upgrade opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The SocketCluster protocol; 0.9 where the request names a transport of Engine.IO.
    SocketCluster,
    /// A raw WebSocket whose messages go to [`Host::message`] with this index.
    Raw(u16),
    /// Socket.IO.
    SocketIo,
    /// Engine.IO, whose messages go to [`Host::message`] with this index.
    EngineIo(u16),
    /// SocketStream 0.3 to 0.5, on Engine.IO.
    SocketStream,
    /// The realtime services of SocketStream 0.4, on Engine.IO where the request names a transport of it, else plain.
    Services,
    /// Publications and events as a response without end; no WebSocket.
    EventStream,
}

/// Who may read what a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Nobody: a page that may not has made a browser ask.
    Foreign,
    /// Whoever asks; pages of other origins are not concerned.
    Own,
    /// A page of another origin.
    Page {
        /// Its origin, or `*` for any.
        origin: Box<str>,
        /// It may read what its visitor's cookies open.
        is_named: bool,
    },
}

/// Why and with which code a connection ends. Clients decide by the code whether to come back: see `protocol.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// WebSocket close code; 1006 when the connection was lost without one.
    pub code: u16,
    /// Reason, at most 123 bytes reach the wire.
    pub reason: Cow<'static, str>,
}

impl Disconnect {
    /// A disconnect with a fixed reason.
    #[must_use]
    pub const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }
}

/// A hook's refusal: the error that the client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A JSON object with at least `name` and `message`, or a JSON string; valid JSON.
    pub error: Box<str>,
    /// For a refused connect: the close code. 4008 by default; 4500 and above tell clients not to come back.
    pub code: u16,
    /// For what is refused before it is a WebSocket: the HTTP status. 403 by default.
    pub status: u16,
}

/// A hook's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Answer with this error, do nothing.
    Refuse(Refusal),
    /// [`Command::Verdict`] with the same ticket will tell. The connection's later messages wait for it.
    Pending,
}

/// An action call.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// Its id, for [`Invoked::Pending`].
    pub ticket: Ticket,
    /// Who calls.
    pub caller: Caller<'a>,
    /// The action's name.
    pub action: &'a str,
    /// The argument.
    pub data: Option<RawJson<'a>>,
    /// Whether the caller waits for an answer.
    pub wants_reply: bool,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invoked {
    /// The [`Reply`] is filled in.
    Ready,
    /// [`Command::Reply`] will bring it.
    Pending,
    /// There is no such action.
    Unknown,
}

/// An action's answer: nothing, a JSON value or an error. The buffer is reused from call to call.
#[derive(Debug, Default)]
pub struct Reply {
    json: String,
    kind: ReplyKind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ReplyKind {
    #[default]
    Empty,
    Data,
    Error,
}

impl Reply {
    /// Makes it an answer without data.
    pub fn set_empty(&mut self) {
        self.json.clear();
        self.kind = ReplyKind::Empty;
    }

    /// Makes it an answer with data, one valid JSON value, which is copied.
    pub fn set_data(&mut self, json: &str) {
        self.json.clear();
        self.json.push_str(json);
        self.kind = ReplyKind::Data;
    }

    /// Makes it an answer with data, one valid JSON value, whose buffer is exchanged for one that was used before.
    pub const fn swap_data(&mut self, json: &mut String) {
        std::mem::swap(&mut self.json, json);
        self.kind = ReplyKind::Data;
    }

    /// Makes it an answer with data; `write` writes one valid JSON value into an empty buffer.
    pub fn write_data<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.kind = ReplyKind::Data;
        self.write(write)
    }

    /// Makes it an error; `write` writes a JSON object with `name` and `message`, or a JSON string, into an empty buffer.
    pub fn write_error<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.kind = ReplyKind::Error;
        self.write(write)
    }

    /// The one place where a buffer is looked at for being UTF-8. One that is not counts as `null`: serialisers never
    /// write one.
    fn write<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut json = std::mem::take(&mut self.json).into_bytes();
        json.clear();
        let result = write(&mut json);
        self.json = String::from_utf8(json).unwrap_or_else(|_| RawJson::NULL.as_str().to_owned());
        result
    }

    /// `Ok(data)` or `Err(error)`.
    #[inline]
    pub fn outcome(&self) -> Result<Option<RawJson<'_>>, RawJson<'_>> {
        let json = RawJson::from_validated(&self.json);
        match self.kind {
            ReplyKind::Empty => Ok(None),
            ReplyKind::Data => Ok(Some(json)),
            ReplyKind::Error => Err(json),
        }
    }
}

/// A plain HTTP request, whole.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its head.
    pub head: &'a Head<'a>,
    /// Its body, whatever its framing was.
    pub body: &'a [u8],
    /// Whether the response keeps the connection open.
    pub keep_alive: bool,
    /// The value of the `Set-Cookie` that gives the client the session which was made for this request.
    pub cookie: Option<&'a str>,
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Responded {
    /// The response is written.
    Ready,
    /// Nothing is written: [`Command::Respond`] will bring it.
    Pending,
}

/// A message on a raw WebSocket route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawMessage<'a> {
    /// Valid UTF-8.
    Text(&'a str),
    /// Anything.
    Binary(&'a [u8]),
}

/// Where a raw route's handler writes its answers: straight into the turn's arena, as frames.
#[derive(Debug)]
pub struct RawReplies<'a> {
    out: &'a mut Vec<u8>,
    framing: Framing,
}

/// What a raw route's messages are wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing but WebSocket frames.
    Plain,
    /// Packets of Engine.IO.
    Engine(Version),
}

impl<'a> RawReplies<'a> {
    pub(crate) const fn new(out: &'a mut Vec<u8>, framing: Framing) -> Self {
        Self { out, framing }
    }

    /// Queues one message to the peer.
    pub fn send(&mut self, message: RawMessage<'_>) {
        if let Framing::Engine(version) = self.framing {
            return write_message(self.out, version, message);
        }
        match message {
            RawMessage::Text(text) => encode::frame(self.out, Opcode::Text, text.as_bytes()),
            RawMessage::Binary(bytes) => encode::frame(self.out, Opcode::Binary, bytes),
        }
    }
}

/// What the application asks of its shard, from actions, hooks and tasks.
#[derive(Debug)]
pub enum Command {
    /// Answers a pending call. Unknown tickets (late, cancelled) are ignored.
    Reply {
        /// The call.
        ticket: Ticket,
        /// Its answer.
        reply: Reply,
    },
    /// Answers a pending request. Unknown tickets (late, cancelled) are ignored.
    Respond {
        /// The request.
        ticket: Ticket,
        /// Exactly one response, by `codec::http::response`, with the request's `keep_alive`.
        response: Vec<u8>,
    },
    /// Answers a pending hook.
    Verdict {
        /// The hook's call.
        ticket: Ticket,
        /// `Err` refuses.
        verdict: Result<(), Refusal>,
    },
    /// Publishes to a channel, on every shard.
    Publish {
        /// The channel.
        channel: Box<str>,
        /// The payload, valid JSON.
        data: Option<Box<str>>,
    },
    /// Sends one event to one connection whose protocol has events.
    Emit {
        /// To whom.
        connection: ConnectionId,
        /// The event's name.
        event: Box<str>,
        /// Its payload, valid JSON.
        data: Option<Box<str>>,
        /// It is dropped where the connection cannot be sent it at once.
        is_volatile: bool,
    },
    /// Sends one event to one connection, which answers it: [`Host::client_answered`] brings the answer.
    Invoke {
        /// To whom.
        connection: ConnectionId,
        /// Echoed by the answer. Never used again.
        ticket: u64,
        /// The event's name.
        event: Box<str>,
        /// Its payload, valid JSON.
        data: Option<Box<str>>,
        /// How long the answer may take.
        timeout: Duration,
    },
    /// Subscribes one connection whose protocol has channels; no hook is asked. [`Host::client_answered`] tells whether it
    /// is.
    Join {
        /// Whose.
        connection: ConnectionId,
        /// Echoed. Never used again.
        ticket: u64,
        /// To which channel.
        channel: Box<str>,
    },
    /// Ends a subscription of one connection, which is not told.
    Leave {
        /// Whose.
        connection: ConnectionId,
        /// Of which channel.
        channel: Box<str>,
    },
    /// Sends one message to one raw WebSocket connection.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// `Ok` text, `Err` binary.
        payload: Result<Box<str>, Box<[u8]>>,
    },
    /// Ends a subscription from the server's side.
    KickOut {
        /// Whose.
        connection: ConnectionId,
        /// Of which channel.
        channel: Box<str>,
        /// What the client is told.
        message: Box<str>,
    },
    /// Gives a connection whose protocol has tokens one: from now on it is whom the token names. What is answered afterwards
    /// reaches the client after the token.
    SetToken {
        /// Whose.
        connection: ConnectionId,
        /// What the client keeps.
        token: Box<str>,
        /// What it says.
        verified: Verified,
    },
    /// Takes a connection's token away.
    RemoveToken {
        /// Whose.
        connection: ConnectionId,
    },
    /// Draws the consequences of what sessions say about their connections since: whose they are, and in which channels. What
    /// is commanded before comes before that, what is commanded afterwards after it.
    SettleSessions,
    /// Brings what the store has of a session.
    SessionLoaded {
        /// Which.
        session: SessionId,
        /// Its bytes, if it has any.
        outcome: Result<Option<Vec<u8>>, StoreFailed>,
    },
    /// Says that the store has kept a session, or could not.
    SessionSaved {
        /// Which.
        session: SessionId,
        /// The version that was saved.
        version: u64,
        /// How it went.
        outcome: Result<(), StoreFailed>,
    },
    /// Does something to every connection of an audience, on every shard.
    Address {
        /// Whose connections.
        audience: Audience,
        /// Their names, with [`Audience::SEPARATOR`] between them.
        names: Box<str>,
        /// What.
        act: Act<Box<str>>,
        /// But not to this connection.
        except: Option<ConnectionId>,
    },
    /// Asks something about people; [`Host::answered`] brings the answer.
    Ask {
        /// Echoed by the answer. Never used again.
        ticket: u64,
        /// What.
        question: Question,
    },
    /// Somebody has tried to log in, and failed.
    LoginFailed {
        /// By which connection.
        connection: ConnectionId,
    },
    /// Ends a connection.
    Disconnect {
        /// Which.
        connection: ConnectionId,
        /// Code and reason.
        disconnect: Disconnect,
    },
}

/// The application, on one shard.
pub trait Host {
    /// What an upgrade of this path opens; `None` is 404.
    fn route(&mut self, path: &str) -> Option<Route>;

    /// Answers an HTTP request that is no upgrade, or any by a door that opens no connections, with exactly one response, by
    /// `codec::http::response`, or later. Requests of one connection are answered one after the other. One that is not
    /// answered in time is answered with 504.
    fn request(&mut self, ticket: Ticket, peer: Peer, request: Request<'_>, response: &mut Vec<u8>) -> Responded;

    /// Whether the page that this upgrade comes from may open a connection; `false` is 403.
    fn admits_origin(&mut self, _peer: Peer, _head: &Head<'_>) -> bool {
        true
    }

    /// Who may read the answer to this request, which is no upgrade; asked where that is a response without end.
    fn reader(&mut self, _peer: Peer, _head: &Head<'_>) -> Reader {
        Reader::Own
    }

    /// A client asks for a WebSocket or an event stream, before anything is known of it but its request. Pending: the request is shown
    /// again, and not asked about, when the verdict is there.
    fn handshake(&mut self, _ticket: Ticket, _peer: Peer, _head: &Head<'_>) -> Verdict {
        Verdict::Allow
    }

    /// Judges a token. At once: it waits for nothing, and costs the CPU some microseconds for a secret, a tenth of a
    /// millisecond or two for a public key.
    ///
    /// # Errors
    /// What is wrong with it. A host without keys believes no token.
    fn verify(&mut self, _token: &str) -> Result<Verified, TokenError> {
        Err(TokenError::Signature)
    }

    /// A client has presented a good token, with these claims: may it count? Called in the handshake before `connect`.
    fn authenticate(&mut self, _ticket: Ticket, _caller: Caller<'_>) -> Verdict {
        Verdict::Allow
    }

    /// Whether a request that is no upgrade is to have a session: the one that it names, or a new one. It has it until it
    /// is answered.
    fn wants_session(&mut self, _peer: Peer, _head: &Head<'_>) -> bool {
        false
    }

    /// The session that a request names, and proves to be its own; `None`: it names none.
    fn session(&mut self, _peer: Peer, _head: &Head<'_>) -> Option<SessionId> {
        None
    }

    /// Random bytes, by which the client of a connection without a socket is known.
    fn secret(&mut self) -> [u8; 16];

    /// Makes an id for a new session, whose home is this shard, and the value of the `Set-Cookie` that gives it to the
    /// client. `None`: there are no sessions here.
    fn new_session(&mut self, _peer: Peer) -> Option<(SessionId, Box<str>)> {
        None
    }

    /// Asks the store for something. Its answer comes as a command.
    fn store(&mut self, _request: StoreRequest) {}

    /// A write to a session is acknowledged: every connection of the session sees it; or it was refused.
    fn session_written(&mut self, _token: WriteToken, _outcome: Result<Written, WriteError>) {}

    /// What became of a [`Command::Invoke`], or of a [`Command::Join`]. Told once for each.
    fn client_answered(&mut self, _ticket: u64, _outcome: Result<Option<RawJson<'_>>, Unanswered<'_>>) {}

    /// What a [`Command::Ask`] has asked for.
    fn answered(&mut self, _ticket: u64, _answer: Answer) {}

    /// So many users are online, on all shards. Called when it has changed.
    fn online(&mut self, _users: u64) {}

    /// A user has come online, or has gone, on any shard. Called on the user's home shard, once for each change.
    fn user_changed(&mut self, _user: &str, _is_online: bool) {}

    /// A login has ended, and its connection goes on: the caller is who that was. Told once, in the order of the ends, and
    /// before what the client says next and before its disconnect. With claims a token has ended, with a user the
    /// connection is no more theirs.
    fn deauthenticated(&mut self, _caller: Caller<'_>, _end: LoginEnd) {}

    /// A connection wants in: after the handshake of its protocol, before its answer.
    fn connect(&mut self, ticket: Ticket, caller: Caller<'_>, route: Route) -> Verdict;

    /// A client asks for more than it may and is not heard any more; told once for each. `id` is how it is known outside.
    fn over_rate(&mut self, _peer: Peer, _id: &str) {}

    /// Whether a request tries to show who it is. Asked only where those that fail are limited.
    fn tries_to_log_in(&self, _head: &Head<'_>) -> bool {
        false
    }

    /// A connection that was let in is gone. Called exactly once for each.
    fn disconnect(&mut self, caller: Caller<'_>, disconnect: &Disconnect);

    /// Whether an action is a way to log in, and counts as an attempt. Asked only where those are limited.
    fn is_login(&self, _action: &str) -> bool {
        false
    }

    /// A client calls an action.
    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked;

    /// A client wants to subscribe.
    fn subscribe(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict;

    /// A client wants to publish.
    fn publish(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict;

    /// May this subscriber have this publication? Asked of the channels of [`Shard::filter_deliveries`](crate::Shard),
    /// before each copy.
    fn deliver(&mut self, _subscriber: Caller<'_>, _channel: &str, _data: Option<RawJson<'_>>) -> bool {
        true
    }

    /// A message on a raw route.
    fn message(&mut self, caller: Caller<'_>, route: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>);

    /// The next command that the application queued, in order. Drained after every call into the application, before
    /// the answer of that call is written; only a connection that is let in is told so first, so that its hook can
    /// greet it.
    fn poll_command(&mut self) -> Option<Command>;

    /// Lanes to other shards are too full (`true`, once a turn while it lasts), or have room again: what the application
    /// publishes of its own accord should wait.
    fn congested(&mut self, congested: bool);

    /// Nobody waits for this ticket any more (deadline, disconnect): drop its work.
    fn cancel(&mut self, ticket: Ticket);
}
