//! From HTTP to a WebSocket: an upgrade is judged, the connection gets its session, a raw route lets in or refuses.

use codec::http::request::Head;
use codec::http::response;
use codec::socketcluster::Dialect;
use codec::websocket::extension::Agreement;
use codec::websocket::handshake::{self, Accept};

use crate::bearer::token_of;
use crate::connection::{Connection, Protocol, State};
use crate::engineio::EngineOpening;
use crate::pending::{Pending, Upgrade, Work};
use crate::requests::Next;
use crate::session::{Attached, Waiting};
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, Refusal, Route, Time, Verdict};

/// With what a connection begins to speak.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// None where there is no WebSocket.
    pub(crate) accept: Option<&'a Accept>,
    pub(crate) dialect: Option<Dialect>,
    pub(crate) agreement: Option<Agreement>,
    pub(crate) cookie: Option<&'a str>,
    pub(crate) engine: Option<&'a EngineOpening>,
}

impl Shard {
    /// Judges a request that asks for a WebSocket.
    pub(crate) fn upgrade<H: Host>(&mut self, now: Time, id: ConnectionId, head: &Head<'_>, host: &mut H) -> Next {
        let accept = match handshake::accept(head) {
            Ok(accept) => accept,
            Err(error) => {
                self.refuse_request(now, id, error.status(), error.headers(), &error.to_string(), host);
                return Next::Nothing;
            }
        };
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        if !host.admits_origin(connection.peer(id.slot), head) {
            self.metrics.origins_refused += 1;
            self.refuse_request(now, id, 403, &[], "pages of this origin may not connect here", host);
            return Next::Nothing;
        }
        if let Some(next) = self.ask_to_upgrade(now, id, head, host) {
            return next;
        }
        match host.route(head.path) {
            None | Some(Route::EventStream) => {
                self.refuse_request(now, id, 404, &[], "no websocket here", host);
                Next::Nothing
            }
            Some(route) => {
                let engine = match EngineOpening::of_route(route, head) {
                    Ok(engine) => engine,
                    Err(refusal) => {
                        self.refuse_request(now, id, refusal.status(), &[], refusal.message(), host);
                        return Next::Nothing;
                    }
                };
                if let Some(EngineOpening { version, upgrades: Some(sid), .. }) = &engine {
                    return match self.carrier_key(sid) {
                        Ok(key) => {
                            let bound_to = self.session_named(id, head, host);
                            self.open_carrier(id, &accept, *version, key, bound_to)
                        }
                        Err(refusal) => {
                            self.refuse_request(now, id, refusal.status(), &[], refusal.message(), host);
                            Next::Nothing
                        }
                    };
                }
                // What is kept for a client that comes back is kept as it is.
                let compresses = route != Route::SocketIo || self.recovery.is_none();
                let agreement = if compresses { self.agree_compression(head) } else { None };
                let dialect = head.query.and_then(dialect_of);
                let token = match route {
                    Route::Raw(_) | Route::EngineIo(_) => token_of(head).map(Into::into),
                    _ => None,
                };
                let waiting = Waiting { accept: Some(accept), route, dialect, engine, agreement, token, stream: None };
                self.enter_session(now, id, waiting, head, host)
            }
        }
    }

    /// Gives a connection its session, at once or when it is there, and a seat; then it begins to speak.
    pub(crate) fn enter_session<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        waiting: Waiting,
        head: &Head<'_>,
        host: &mut H,
    ) -> Next {
        let ticket = self.pending.ticket();
        match self.attach_session(id, ticket, head, host) {
            Attached::Ready(cookie) => return self.seat_session(now, id, waiting, cookie, host),
            Attached::Waiting => self.await_verdict(now, ticket, id, None, Work::Session(Box::new(waiting))),
            Attached::Refused => self.refuse_session(now, id, host),
        }
        Next::Nothing
    }

    /// The handshake hook's turn. `None`: it has nothing against the upgrade.
    pub(crate) fn ask_to_upgrade<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        head: &Head<'_>,
        host: &mut H,
    ) -> Option<Next> {
        let ticket = self.pending.ticket();
        let connection = self.connections.live(id).filter(|connection| !connection.is_greeted)?;
        match host.handshake(ticket, connection.peer(id.slot), head) {
            Verdict::Allow => {
                self.drain_commands(now, host);
                let is_open = self.connections.live(id).is_some_and(|connection| connection.state == State::Request);
                if is_open { None } else { Some(Next::Nothing) }
            }
            Verdict::Refuse(refusal) => {
                self.drain_commands(now, host);
                self.refuse_upgrade(now, id, &refusal, host);
                Some(Next::Nothing)
            }
            Verdict::Pending => {
                // Before the commands: the verdict may be among them already.
                self.await_verdict(now, ticket, id, None, Work::Greeting);
                self.drain_commands(now, host);
                Some(Next::Again)
            }
        }
    }

    /// The handshake hook has decided. What was held begins with the request.
    pub(crate) fn finish_greeting<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        verdict: Result<(), Refusal>,
        host: &mut H,
    ) {
        match verdict {
            Ok(()) => {
                if let Some(connection) = self.connections.live(id) {
                    connection.is_greeted = true;
                }
            }
            Err(refusal) => self.refuse_upgrade(now, id, &refusal, host),
        }
    }

    /// A hook does not want a WebSocket here.
    pub(crate) fn refuse_upgrade<H: Host>(&mut self, now: Time, id: ConnectionId, refusal: &Refusal, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state != State::Request {
            return;
        }
        self.metrics.upgrades_refused += 1;
        // Who is told to say who it is, is told how (RFC 9110 section 15.5.2).
        let headers = [("Content-Type", "application/json"), ("WWW-Authenticate", "Bearer")];
        let headers = if refusal.status == 401 { &headers[..] } else { &headers[..1] };
        let error = refusal.error.as_bytes();
        self.write(id, |out| response::write(out, refusal.status, headers, error, false));
        self.close(now, id, &Disconnect::new(1008, "refused"), host);
    }

    /// The connection has its session: on with what it wants to speak.
    pub(crate) fn begin_protocol<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        waiting: Waiting,
        cookie: Option<Box<str>>,
        host: &mut H,
    ) -> Next {
        let Waiting { accept, route, dialect, agreement, engine, token, stream } = waiting;
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        if connection.state != State::Request {
            return Next::Nothing;
        }
        let protocol = match route {
            Route::SocketCluster if engine.is_none() => Protocol::SocketCluster,
            Route::SocketCluster => Protocol::SocketCluster09,
            Route::SocketIo => Protocol::SocketIo,
            Route::SocketStream => Protocol::SocketStream,
            Route::Services => Protocol::Services,
            Route::EventStream => {
                let Some(opening) = stream else { return Next::Nothing };
                return self.begin_stream(now, id, &opening, cookie, host);
            }
            Route::EngineIo(route) | Route::Raw(route) => {
                let engine = engine.as_ref().map(|engine| engine.version);
                return self.upgrade_raw(now, id, Upgrade { accept, route, engine, cookie, agreement, token }, host);
            }
        };
        let entry =
            Entry { accept: accept.as_ref(), dialect, agreement, cookie: cookie.as_deref(), engine: engine.as_ref() };
        self.begin_tongue(now, id, protocol, entry, host)
    }

    pub(crate) fn accept_upgrade(
        &mut self,
        id: ConnectionId,
        accept: Option<&Accept>,
        agreement: Option<Agreement>,
        cookie: Option<&str>,
    ) {
        let Some(accept) = accept else {
            if let Some(polling) = self.connections.live(id).and_then(Connection::polling_mut) {
                polling.cookie = cookie.map(Into::into);
            }
            return;
        };
        let agreement = agreement.map(|agreement| self.settle_compression(agreement));
        let extension = agreement.map(|agreement| agreement.to_string());
        let extension = extension.as_deref().map(|extension| ("Sec-WebSocket-Extensions", extension));
        let cookie = cookie.map(|cookie| ("Set-Cookie", cookie));
        let headers = match (extension, cookie) {
            (Some(extension), Some(cookie)) => &[extension, cookie][..],
            (Some(header), None) | (None, Some(header)) => &[header],
            (None, None) => &[],
        };
        self.write(id, |out| handshake::write_response_with(out, accept, None, headers));
        if let Some(agreement) = agreement {
            self.begin_compression(id, agreement);
        }
    }

    /// There is no session for it.
    pub(crate) fn refuse_session<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state == State::Request {
            self.refuse_request(now, id, 503, &[("Retry-After", "1")], "no session can be opened now", host);
        }
    }

    /// Asks the connect hook about a raw connection.
    pub(crate) fn ask_raw<H: Host>(&mut self, now: Time, id: ConnectionId, upgrade: Upgrade, host: &mut H) -> Next {
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        let ticket = self.pending.ticket();
        let route = match upgrade.engine {
            Some(_) => Route::EngineIo(upgrade.route),
            None => Route::Raw(upgrade.route),
        };
        let verdict = match host.connect(ticket, connection.caller(id.slot, &self.users), route) {
            Verdict::Allow => Ok(()),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Pending => {
                self.await_verdict(now, ticket, id, None, Work::Upgrade(Box::new(upgrade)));
                self.drain_commands(now, host);
                let is_open = self.connections.live(id).is_some_and(|known| known.state == State::Open);
                return if is_open { Next::Frames } else { Next::Nothing };
            }
        };
        // The answer first: what the hook says to its peer needs an open connection.
        self.finish_upgrade(now, id, &upgrade, verdict, host);
        self.drain_commands(now, host);
        Next::Frames
    }

    /// The connect hook has decided about a raw connection.
    pub(crate) fn finish_upgrade<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        upgrade: &Upgrade,
        verdict: Result<(), Refusal>,
        host: &mut H,
    ) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state == State::Closing {
            return;
        }
        if let Err(refusal) = verdict {
            return self.refuse_upgrade(now, id, &refusal, host);
        }
        connection.state = State::Open;
        connection.protocol = Protocol::Raw(upgrade.route);
        self.accept_upgrade(id, upgrade.accept.as_ref(), upgrade.agreement, upgrade.cookie.as_deref());
        if let Some(version) = upgrade.engine {
            self.open_engine(id, version, upgrade.route);
        }
        self.start_heartbeat(now, id);
        self.admit(id);
    }

    /// The application decides later; the connection's further bytes wait.
    pub(crate) fn await_verdict(
        &mut self,
        now: Time,
        ticket: crate::Ticket,
        id: ConnectionId,
        call: Option<codec::message::CallId<'_>>,
        work: Work,
    ) {
        let deadline = now + self.limits.call_timeout;
        let Some(connection) = self.connections.live(id) else { return };
        connection.calls += 1;
        let call = call.map(|call| call.as_str().into());
        self.pending.insert(ticket, deadline, Pending { connection: id, call, work });
        self.pause_for_hook(id);
    }
}

/// The dialect that a client's URL fixes, for those that cannot stand the probing: `?protocolVersion=1` or `=2`.
fn dialect_of(query: &str) -> Option<Dialect> {
    query.split('&').find_map(|pair| match pair {
        "protocolVersion=1" => Some(Dialect::V1),
        "protocolVersion=2" => Some(Dialect::V2),
        _ => None,
    })
}
