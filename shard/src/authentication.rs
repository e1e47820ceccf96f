//! Who a connection has shown to be: tokens that clients present, tokens that the application gives and takes, and the
//! end of their time. Signatures are the host's business; here are order, dialects and expiry.
//!
//! ```text
//!             good token in #handshake or #authenticate, Command::SetToken
//!   nobody ------------------------------------------------------------------> somebody, until its time is over
//!      ^   <------------------------------------------------------------------
//!             bad token, #removeAuthToken, Command::RemoveToken, a message after the expiry
//! ```

use codec::message::{CallId, RawJson};
use codec::socketcluster::errors::WireError;
use codec::socketcluster::{Dialect, encode as socketcluster};

use crate::connection::{Connection, Heartbeat, Protocol, State};
use crate::logins::too_many;
use crate::pending::Work;
use crate::people::Users;
use crate::shard::Shard;
use crate::{Caller, ConnectionId, Host, LoginEnd, Refusal, Route, Ticket, Time, TokenError, Verdict, Verified};

/// Kept of an authenticated connection, and of no other: 32 bytes and the claims' text.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The token's claims, a JSON object.
    pub(crate) claims: Box<str>,
    pub(crate) user: Option<Box<str>>,
    expires: Option<Time>,
}

impl Identity {
    fn new(now: Time, verified: Verified) -> Box<Self> {
        let Verified { claims, user, lifetime } = verified;
        Box::new(Self { claims, user, expires: lifetime.map(|lifetime| now + lifetime) })
    }

    pub(crate) fn is_over(&self, now: Time) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Why the token of a handshake did not count.
#[derive(Debug)]
pub(crate) enum Objection {
    /// It is not good.
    Token(TokenError),
    /// The application does not want it: its error.
    Hook(Box<str>),
}

impl Objection {
    /// Whether the client is told to throw the token away.
    const fn is_bad(&self) -> bool {
        match self {
            Self::Token(error) => error.is_bad(),
            Self::Hook(_) => false,
        }
    }

    /// The status of a request that cannot go on without it.
    const fn status(&self) -> Option<u16> {
        match self {
            Self::Token(_) => Some(401),
            Self::Hook(_) => None,
        }
    }

    fn json(self, dialect: Dialect) -> Box<str> {
        match self {
            Self::Token(error) => {
                let mut json = Vec::new();
                error.write(dialect, &mut json);
                String::from_utf8(json).expect("error objects are text").into()
            }
            Self::Hook(error) => error,
        }
    }
}

impl Connection {
    /// The connection as the application sees it.
    pub(crate) fn caller<'a>(&'a self, slot: u32, users: &'a Users) -> Caller<'a> {
        let claims = self.identity.as_ref().map(|identity| &*identity.claims);
        Caller { peer: self.peer(slot), claims, user: users.name(self.user) }
    }

    /// The dialect to say things in that differ: the newest until the client has shown its own.
    const fn answer_dialect(&self) -> Dialect {
        match self.heartbeat {
            Heartbeat::Locked(dialect) => dialect,
            Heartbeat::Probing(_) => Dialect::V2,
        }
    }
}

impl Shard {
    /// A handshake: its token first, then whether the connection may come in at all.
    pub(crate) fn handshake<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        call: CallId<'_>,
        token: Option<&str>,
        host: &mut H,
    ) {
        let examined = token.map(|token| self.examine(now, id, token, host));
        let objection = match examined {
            None | Some(Examined::Good) => None,
            Some(Examined::Bad(error)) => Some(Objection::Token(error)),
            Some(Examined::Refused(refusal)) => Some(Objection::Hook(refusal.error)),
            Some(Examined::Gone) => return,
            Some(Examined::Asked(ticket, identity)) => {
                self.await_verdict(now, ticket, id, Some(call), Work::Authenticate { identity, is_handshake: true });
                return self.drain_commands(now, host);
            }
        };
        self.ask_to_connect(now, id, call, objection, host);
    }

    /// `#authenticate`.
    pub(crate) fn handle_authenticate<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        call: Option<CallId<'_>>,
        token: Result<Option<&str>, TokenError>,
        host: &mut H,
    ) {
        let token = token.and_then(|token| token.ok_or(TokenError::Missing));
        let examined = match token {
            Ok(token) => self.examine(now, id, token, host),
            Err(error) => {
                self.metrics.tokens_refused += 1;
                Examined::Bad(error)
            }
        };
        if let Examined::Asked(ticket, identity) = examined {
            self.await_verdict(now, ticket, id, call, Work::Authenticate { identity, is_handshake: false });
            return self.drain_commands(now, host);
        }
        self.answer_token(id, call, examined);
    }

    /// Verifies a token and asks the application about it; afterwards the connection is what it has shown to be.
    pub(crate) fn examine<H: Host>(&mut self, now: Time, id: ConnectionId, token: &str, host: &mut H) -> Examined {
        if let Some(wait) = self.login_wait(now, id) {
            self.token_refused(id);
            return Examined::Refused(too_many(wait));
        }
        let verified = match host.verify(token) {
            Ok(verified) => verified,
            Err(error) => {
                self.metrics.tokens_refused += 1;
                self.note_bad_token(now, id, error);
                return Examined::Bad(error);
            }
        };
        let identity = Identity::new(now, verified);
        let ticket = self.pending.ticket();
        let Some(connection) = self.connections.live(id) else { return Examined::Gone };
        let peer = connection.peer(id.slot);
        let caller = Caller { peer, claims: Some(&identity.claims), user: identity.user.as_deref() };
        match host.authenticate(ticket, caller) {
            Verdict::Allow => {
                self.authenticated(id, identity);
                self.drain_commands(now, host);
                Examined::Good
            }
            Verdict::Refuse(refusal) => {
                self.token_refused(id);
                self.drain_commands(now, host);
                Examined::Refused(refusal)
            }
            // Before the commands it is to be waited for: the verdict may be among them already.
            Verdict::Pending => Examined::Asked(ticket, identity),
        }
    }

    /// The authenticate hook has decided; whether the connection waits for nothing more.
    pub(crate) fn finish_authenticate<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        call: Option<CallId<'_>>,
        work: (Box<Identity>, bool),
        verdict: Result<(), Refusal>,
        host: &mut H,
    ) -> bool {
        let (identity, is_handshake) = work;
        let examined = match verdict {
            Ok(()) if identity.is_over(now) => {
                self.token_refused(id);
                Examined::Refused(expired())
            }
            Ok(()) => {
                self.authenticated(id, identity);
                Examined::Good
            }
            Err(refusal) => {
                self.token_refused(id);
                Examined::Refused(refusal)
            }
        };
        if !is_handshake {
            self.answer_token(id, call, examined);
            return true;
        }
        let Some(call) = call else { return true };
        let objection = match examined {
            Examined::Refused(refusal) => Some(Objection::Hook(refusal.error)),
            _ => None,
        };
        self.ask_to_connect(now, id, call, objection, host)
    }

    pub(crate) fn authenticated(&mut self, id: ConnectionId, identity: Box<Identity>) {
        self.metrics.tokens_accepted += 1;
        self.identify(id, Some(identity), LoginEnd::Replaced);
    }

    /// Whoever shows a token that does not count is nobody, whoever it was before.
    pub(crate) fn token_refused(&mut self, id: ConnectionId) {
        self.metrics.tokens_refused += 1;
        self.identify(id, None, LoginEnd::Refused);
    }

    /// The answer to `#authenticate`.
    fn answer_token(&mut self, id: ConnectionId, call: Option<CallId<'_>>, examined: Examined) {
        let Some(connection) = self.connections.live(id) else { return };
        let dialect = connection.answer_dialect();
        let error = match examined {
            Examined::Gone | Examined::Asked(..) => return,
            Examined::Good => {
                let Some(call) = call else { return };
                return self.say(id, 80, |out| socketcluster::authenticate_reply(out, call, None));
            }
            Examined::Refused(refusal) => {
                let (Some(call), error) = (call, RawJson::from_validated(&refusal.error)) else { return };
                return self.say(id, 200, |out| socketcluster::authenticate_reply(out, call, Some(error)));
            }
            Examined::Bad(error) => error,
        };
        self.identify(id, None, LoginEnd::Refused);
        let removes_first = dialect == Dialect::V1;
        if error.is_bad() && removes_first {
            self.say(id, 30, socketcluster::remove_auth_token);
        }
        if let Some(call) = call {
            self.say(id, 300, |out| socketcluster::authenticate_refusal(out, call, dialect, error));
        }
        if error.is_bad() && !removes_first {
            self.say(id, 30, socketcluster::remove_auth_token);
        }
    }

    /// The connect hook's turn; whether the connection waits for nothing more.
    fn ask_to_connect<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        call: CallId<'_>,
        objection: Option<Objection>,
        host: &mut H,
    ) -> bool {
        let ticket = self.pending.ticket();
        let Some(connection) = self.connections.live(id) else { return true };
        if connection.protocol == Protocol::SocketIo {
            // A token that does not count keeps nobody's place open: the client may come with another.
            if let Some(objection) = objection {
                self.namespace_refused(id, &objection.json(Dialect::V2));
                return true;
            }
            if connection.state == State::Open {
                self.namespace_opened(id);
                return true; // It was let in with its first namespace.
            }
        }
        if connection.state != State::Handshake {
            return true; // The authenticate hook has thrown it out.
        }
        if connection.protocol == Protocol::EventStream
            && let Some(objection) = objection
        {
            // Whoever shows a token wants to be heard as somebody: better no stream than a stranger's.
            let status = objection.status();
            self.refuse_stream(id, status, &objection.json(Dialect::V2));
            return true;
        }
        let route = match connection.protocol {
            Protocol::EventStream => Route::EventStream,
            Protocol::SocketIo => Route::SocketIo,
            Protocol::SocketStream => Route::SocketStream,
            Protocol::Services => Route::Services,
            _ => Route::SocketCluster,
        };
        let verdict = match host.connect(ticket, connection.caller(id.slot, &self.users), route) {
            Verdict::Allow => Ok(()),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Pending => {
                self.await_verdict(now, ticket, id, Some(call), Work::Handshake { objection: objection.map(Box::new) });
                self.drain_commands(now, host);
                return false;
            }
        };
        // The answer first: what the hook says to its peer needs an open connection.
        self.finish_handshake(now, id, Some(call), objection, verdict, host);
        self.drain_commands(now, host);
        true
    }

    /// The connect hook has decided.
    pub(crate) fn finish_handshake<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        call: Option<CallId<'_>>,
        objection: Option<Objection>,
        verdict: Result<(), Refusal>,
        host: &mut H,
    ) {
        let (Some(call), Some(connection)) = (call, self.connections.live(id)) else { return };
        if connection.state != State::Handshake {
            return;
        }
        if let Err(refusal) = verdict {
            return self.refuse_handshake(now, id, call, &refusal, host);
        }
        connection.state = State::Open;
        match connection.protocol {
            Protocol::SocketCluster => {}
            Protocol::EventStream => return self.stream_admitted(now, id, host),
            _ => {
                self.tongue_let_in(id);
                self.start_heartbeat(now, id);
                return self.admit(id);
            }
        }
        // Its time may be over since the hook was asked; the client learns it like any other end of a token.
        let has_expired = connection.identity.as_ref().is_some_and(|identity| identity.is_over(now));
        if has_expired {
            self.identify(id, None, LoginEnd::Expired);
            self.metrics.tokens_expired += 1;
        }
        let Some(connection) = self.connections.live(id) else { return };
        let (is_authenticated, dialect) = (connection.identity.is_some(), connection.answer_dialect());
        let public_id = self.public_id(id);
        let public_id = std::str::from_utf8(&public_id).expect("public ids are ASCII");
        let ping_timeout = u32::try_from(self.limits.ping_timeout.as_millis()).unwrap_or(u32::MAX);
        let removes = has_expired || objection.as_ref().is_some_and(Objection::is_bad);
        if removes && dialect == Dialect::V1 {
            self.say(id, 30, socketcluster::remove_auth_token);
        }
        let error = objection.map(|objection| objection.json(dialect));
        let error = error.as_deref().map(RawJson::from_validated);
        self.say(id, 300, |out| {
            socketcluster::handshake_reply(out, call, public_id, ping_timeout, is_authenticated, error);
        });
        if removes && dialect != Dialect::V1 {
            self.say(id, 30, socketcluster::remove_auth_token);
        }
        self.start_heartbeat(now, id);
        self.admit(id);
    }

    /// The application gives a token to a connection.
    pub(crate) fn set_token(&mut self, now: Time, id: ConnectionId, token: &str, verified: Verified) {
        let Some(connection) = self.connections.live(id) else { return };
        if !connection.protocol.has_events() || connection.state == State::Closing {
            return;
        }
        let protocol = connection.protocol;
        self.identify(id, Some(Identity::new(now, verified)), LoginEnd::Replaced);
        if protocol == Protocol::SocketCluster {
            return self.spare_secret(|shard| {
                shard.say(id, 60 + token.len(), |out| socketcluster::set_auth_token(out, token, None));
            });
        }
        let mut data = b"{\"token\":".to_vec();
        codec::json::write_string(&mut data, token);
        data.push(b'}');
        let data = String::from_utf8(data).expect("a JSON string is text");
        self.spare_secret(|shard| shard.emit(id, "#setAuthToken", Some(RawJson::from_validated(&data))));
    }

    /// The application takes a connection's token away.
    pub(crate) fn remove_token(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.protocol.has_events() {
            self.identify(id, None, LoginEnd::Taken);
            self.emit(id, "#removeAuthToken", None);
        }
    }

    /// The client has thrown its token away.
    pub(crate) fn token_removed<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        self.identify(id, None, LoginEnd::Removed);
        self.drain_commands(now, host);
    }

    /// Something has come from the client: past its token's time it is nobody's.
    pub(crate) fn expire_token<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.identity.as_ref().is_some_and(|identity| identity.is_over(now)) {
            self.metrics.tokens_expired += 1;
            self.identify(id, None, LoginEnd::Expired);
            self.emit(id, "#removeAuthToken", None);
            self.drain_commands(now, host);
        }
    }
}

/// The refusal of a token whose time was over before its hook had decided.
pub(crate) fn expired() -> Refusal {
    let mut error = Vec::new();
    WireError::Custom { name: "AuthTokenExpiredError", message: "jwt expired" }.write(&mut error);
    let error = String::from_utf8(error).expect("error objects are text").into();
    Refusal { error, code: 4008, status: 403 }
}

/// What became of a token.
pub(crate) enum Examined {
    Good,
    Bad(TokenError),
    Refused(Refusal),
    /// The application decides later.
    Asked(Ticket, Box<Identity>),
    /// There is nobody left to tell.
    Gone,
}
