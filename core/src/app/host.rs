//! The application as its shard's host: every call goes in through here, fenced, with the shard's things at hand. It
//! never blocks and never does I/O; what is pending is kept by the tasks and answered by commands.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use codec::http::request::Head;
use codec::http::response;
use codec::message::RawJson;
use shard::{
    Answer, Caller, Command, Disconnect, Door, Host, Invocation, Invoked, LoginEnd, Peer, Pressure, RawMessage,
    RawReplies, Reader, Reply, Request, Responded, Route, SessionConfig, SessionId, Sessions, ShardId, SlowConsumer,
    SocketIoConfig, StoreRequest, Ticket, Time, TokenError, Unanswered, Verdict, Verified, WriteError, WriteToken,
    Written,
};

use super::admin::Desk;
use super::api::{Exchange, Reference, Standing, Way, find, reader, standing};
use super::application::{App, Entry};
use super::call::{Call, Occasion};
use super::common::Common;
use super::error::{Error, Result};
use super::fence::{self, fence};
use super::files::Shelves;
use super::hooks::{OwnedCall, tell, verdict};
use super::local::{Counters, Local, Refused};
use super::login::LOGIN;
use super::page::{Page, momentary, plain};
use super::periodic::Periodic;
use super::readiness::Readiness;
use super::redirect;
use super::request::Request as UpgradeRequest;
use super::tasks::{LocalFuture, Tasks, Work, action_panicked, request_panicked};
use crate::observe::board::Counters as Posted;

/// One shard's application and its pending work.
pub(crate) struct ShardHost {
    app: Rc<App>,
    /// What the HTTP API says of itself; none where it is off.
    reference: Option<Reference>,
    /// The operator's files.
    files: Shelves,
    /// What is offered by the admin listeners; none where there are none.
    pub(super) desk: Option<Desk>,
    pub(super) local: Rc<Local>,
    tasks: Tasks,
    /// Whether more clients may be sent here.
    readiness: Readiness,
}

impl ShardHost {
    /// The application on this shard; its start hooks run.
    ///
    /// # Panics
    /// When an action or hook takes something that is not there.
    pub(crate) fn new(mut app: App, shard: ShardId, common: Common) -> Self {
        fence::install();
        if let Err(reason) = app.complete().and_then(|()| app.check()) {
            panic!("{reason}");
        }
        let local = Local::new(shard, common, std::mem::take(&mut app.states), &app.limits);
        let periodic = std::mem::take(&mut app.periodic);
        let http = &local.common.http;
        let reference = http.api_enabled.then(|| {
            let has_basic = app.logins.has(&http.api_basic);
            Reference::of(&app, &http.api_prefix, &local.common.app_name, has_basic)
        });
        let desk = local.common.admin.is_some().then(|| Desk::new(&local.common.app_name));
        let tasks = Tasks::new(Rc::clone(&local));
        let mut files = Shelves::default();
        if let Some(own) = &local.common.files {
            files.mount("", own.clone());
        }
        let host = Self { app: Rc::new(app), reference, files, desk, tasks, local, readiness: Readiness::default() };
        host.start(periodic);
        host
    }

    /// Runs every woken task of the application: pending actions, hooks and spawned work. `waker` must ring this shard's
    /// doorbell from any thread. What they ask for comes out of [`Host::poll_command`].
    pub(crate) fn run_tasks(&mut self, now: Time, waker: &Waker) {
        let _entered = self.local.enter();
        if let Some(sessions) = self.local.sessions() {
            for answer in sessions.answers(waker) {
                self.local.commands.push_answer(answer);
            }
        }
        self.tasks.run(now, waker);
    }

    /// When `run_tasks` must be called again at the latest: the earliest end of a sleep, or a moment that is over already
    /// when work was added since the last run. Without it the doorbell tells.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        if self.tasks.has_new() { Some(self.local.now()) } else { self.local.timers.next() }
    }

    /// What the shard must know for its sessions; none where there are none.
    pub(crate) fn session_config(&self, began: Instant) -> Option<SessionConfig> {
        self.local.common.sessions.as_ref().map(|sessions| sessions.config(began))
    }

    /// What the shard must know of Socket.IO.
    pub(crate) fn socket_io(&self) -> SocketIoConfig {
        self.app.socket_io.clone()
    }

    /// The shard's sessions are there.
    pub(crate) fn open_sessions(&self, sessions: Sessions, shards: usize) {
        if let Some(service) = &self.local.common.sessions {
            self.local.open_sessions(service.local(self.local.shard, shards, sessions));
        }
    }

    /// Which channels show who is in them; none when no channel does.
    pub(crate) fn presence(&self) -> Option<impl Fn(&str) -> bool + use<>> {
        let patterns = self.app.presence.clone();
        (!patterns.is_empty()).then_some(move |channel: &str| patterns.iter().any(|pattern| pattern.matches(channel)))
    }

    /// Which channels' deliveries have to be asked about; none when no channel's.
    pub(crate) fn delivery_filter(&self) -> Option<impl Fn(&str) -> bool + use<>> {
        let patterns: Vec<_> = self.app.publish_out.patterns().cloned().collect();
        (!patterns.is_empty()).then_some(move |channel: &str| patterns.iter().any(|pattern| pattern.matches(channel)))
    }

    /// The policies of single channels for slow consumers; none when no channel has one of its own.
    pub(crate) fn slow_consumers(&self) -> Option<impl Fn(&str) -> Option<SlowConsumer> + use<>> {
        let operators = Arc::clone(&self.local.common.channel_policies);
        let own = self.app.slow_consumers.clone();
        (!operators.is_empty() || !own.is_empty()).then_some(move |channel: &str| {
            let first = operators.iter().find(|known| known.channels.matches(channel)).map(|known| known.policy);
            first.or_else(|| own.iter().find(|(pattern, _)| pattern.matches(channel)).map(|(_, policy)| *policy))
        })
    }

    /// The server is about to stop.
    pub(crate) const fn leave(&mut self) {
        self.readiness.leave();
    }

    /// The process's memory was measured.
    pub(crate) const fn handle_pressure(&mut self, pressure: Pressure) {
        self.readiness.handle_pressure(pressure);
    }

    /// Whether an action, a hook or spawned work is pending.
    pub(crate) fn has_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// What the application's side of the shard has counted since the start.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 3] {
        [
            ("panics", self.local.counters.panics.get()),
            ("commands_refused", self.local.commands.refused()),
            ("tasks_refused", self.local.counters.tasks_refused.get()),
        ]
    }

    /// What it has refused.
    pub(crate) fn refused(&self) -> Refused {
        Refused {
            requests: self.local.counters.requests_refused.get(),
            cookies: self.local.sessions().map_or(0, crate::session::LocalSessions::cookies_refused),
            admin: self.local.counters.admin_refused.get(),
        }
    }

    /// Whether there is a board to post counters on.
    pub(crate) fn is_watched(&self) -> bool {
        self.local.common.board.is_some()
    }

    /// Posts the shard's counters.
    pub(crate) fn post_counters(&self, counters: Posted) {
        if let Some(board) = &self.local.common.board {
            board.post(self.local.shard.index(), counters);
        }
    }

    fn start(&self, periodic: Vec<Periodic>) {
        let _entered = self.local.enter();
        tell(&self.local, &self.app.start, &Call::start(&self.local));
        if self.local.shard != ONCE_AT {
            return;
        }
        tell(&self.local, &self.app.server_start, &Call::start(&self.local));
        for periodic in periodic {
            let work = Box::pin(periodic.run(Rc::clone(&self.local)));
            if self.local.spawn(Work::Background { name: "periodic", work }).is_err() {
                tracing::warn!("periodic work dropped: too many pending tasks");
            }
        }
    }

    const fn call<'a>(
        &'a self,
        occasion: Occasion,
        peer: Option<Peer>,
        subject: &'a str,
        data: Option<RawJson<'a>>,
    ) -> Call<'a> {
        Call { occasion, peer, subject, data, ..Call::start(&self.local) }
    }

    const fn call_by<'a>(
        &'a self,
        occasion: Occasion,
        caller: Caller<'a>,
        subject: &'a str,
        data: Option<RawJson<'a>>,
    ) -> Call<'a> {
        Call { claims: caller.claims, user: caller.user, ..self.call(occasion, Some(caller.peer), subject, data) }
    }

    /// What stands behind the API's prefix, where an action is asked for.
    fn api_path<'a>(&self, head: &Head<'a>) -> Option<&'a str> {
        self.reference.as_ref()?;
        let path = head.path.strip_prefix(&*self.local.common.http.api_prefix)?.strip_prefix('/')?;
        (!matches!(path, "" | REFERENCE_NAME) && !self.app.pages.contains_key(head.path)).then_some(path)
    }

    fn standing(&self, peer: Peer, head: &Head<'_>) -> Standing {
        standing(&self.local.common.origins, peer.door == Door::Tls, head)
    }

    /// Calls an action.
    fn call_by_request(
        &mut self,
        ticket: Ticket,
        mut peer: Peer,
        request: Request<'_>,
        path: &str,
        response: &mut Vec<u8>,
    ) -> Responded {
        let _entered = self.local.enter();
        let head = request.head;
        let standing = self.standing(peer, head);
        let way = Way::of(head, request.keep_alive, request.cookie, self.local.common.origins.settings());
        // What a password is asked for over must keep it: TLS, or this machine.
        let is_private = peer.door == Door::Tls || peer.address.ip().to_canonical().is_loopback();
        if standing == Standing::Nobody {
            peer.session = Peer::NO_SESSION;
        }
        let exchange = match (standing, head.method) {
            (Standing::Foreign, _) => Err(Error::new("UnauthorizedError", "pages of this origin may not call actions")),
            (_, "OPTIONS") => {
                way.write_options(response, API_METHODS);
                return Responded::Ready;
            }
            (_, "GET" | "HEAD" | "POST") => {
                let takes_basic = is_private && standing == Standing::Own;
                Exchange::new(&self.app, &self.local, peer, request, path, takes_basic, &way)
            }
            _ => Err(Error::new("MethodError", "actions are called by GET or POST").with("statusCode", 405)),
        };
        match exchange {
            Ok(exchange) => self.exchange(ticket, exchange, way, response),
            Err(error) => {
                self.count_refused_request();
                way.write_error(response, &error, &[("Allow", API_METHODS)]);
                Responded::Ready
            }
        }
    }

    fn count_refused_request(&self) {
        let refused = &self.local.counters.requests_refused;
        refused.set(refused.get() + 1);
    }

    /// Answers a call at once, or makes a task of it.
    pub(super) fn exchange(
        &mut self,
        ticket: Ticket,
        exchange: Exchange,
        way: Way,
        response: &mut Vec<u8>,
    ) -> Responded {
        let action = Rc::clone(exchange.action());
        let mut answer: LocalFuture<Vec<u8>> = Box::pin(exchange.run());
        // The waker does nothing: what is pending becomes a task, which is polled again with its own.
        let polled = fence(|| answer.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        match polled {
            Ok(Poll::Ready(bytes)) => response.extend_from_slice(&bytes),
            Ok(Poll::Pending) => {
                let work = Work::Request { ticket, action, answer, way };
                if let Err(error) = self.local.admit() {
                    let Work::Request { way, .. } = &work else { unreachable!("it was just made") };
                    way.write_error(response, &error, &[]);
                    discard(work);
                    return Responded::Ready;
                }
                self.tasks.push(work);
                return Responded::Pending;
            }
            Err(panic) => {
                Counters::count(&self.local.counters.panics);
                response.extend_from_slice(&request_panicked(&action, &panic, &way));
            }
        }
        Responded::Ready
    }

    /// Answers a request for a page.
    fn respond(&mut self, peer: Peer, head: &Head<'_>, keep_alive: bool, response: &mut Vec<u8>) {
        if peer.door == Door::Redirect {
            return redirect::answer(self.local.common.https_port, head, keep_alive, response);
        }
        if let (RENEWAL_PATH, Some(ticket)) = (head.path, head.header(RENEWAL_HEADER)) {
            return self.renew(peer, ticket, head, keep_alive, response);
        }
        if head.path == READINESS_PATH && !self.app.pages.contains_key(READINESS_PATH) {
            return self.say_ready(head, keep_alive, response);
        }
        if head.path == "*" {
            // What the server can, whatever is asked for (RFC 9110 section 9.3.7).
            return response::write(response, 204, &[("Allow", "GET, HEAD, OPTIONS, POST")], b"", keep_alive);
        }
        // Whoever comes without a session is given one's cookie. It is made when it is first used.
        let sessions = self.local.sessions().filter(|sessions| sessions.of_request(peer, head).is_none());
        let cookie = sessions.map(|sessions| sessions.fresh(peer).1);
        if self.files.respond(head, keep_alive, cookie.as_deref(), response) {
            return;
        }
        if let Some(page) = self.app.pages.get(head.path).or_else(|| self.reference_page(head.path)) {
            return page.respond(head, keep_alive, cookie.as_deref(), response);
        }
        if self.app.shelves.respond(head, keep_alive, cookie.as_deref(), response) {
            return;
        }
        self.count_refused_request();
        let mut headers: Vec<_> = cookie.iter().map(|cookie| ("Set-Cookie", cookie.as_str())).collect();
        if self.route(head.path).is_some() {
            headers.extend([("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]);
            plain(response, 426, &headers, "this is a WebSocket\n", head, keep_alive);
        } else {
            plain(response, 404, &headers, "not found\n", head, keep_alive);
        }
    }

    /// Says whether more clients may be sent here.
    pub(super) fn say_ready(&self, head: &Head<'_>, keep_alive: bool, response: &mut Vec<u8>) {
        let (status, text) = self.readiness.answer();
        momentary(response, status, text, head, keep_alive);
    }

    /// What the API says of itself.
    fn reference_page(&self, path: &str) -> Option<&Page> {
        let reference = self.reference.as_ref()?;
        match path.strip_prefix(&*self.local.common.http.api_prefix)? {
            "" | "/" => Some(&reference.page),
            rest if rest.strip_prefix('/') == Some(REFERENCE_NAME) => Some(&reference.document),
            _ => None,
        }
    }

    /// Gives a client the cookie that its ticket is for. The ticket comes in a header of its own, which no page of
    /// another origin can send, so that nobody is given a session that somebody else has chosen.
    fn renew(&self, peer: Peer, ticket: &str, head: &Head<'_>, keep_alive: bool, response: &mut Vec<u8>) {
        match self.local.sessions().and_then(|sessions| sessions.redeem(peer, ticket)) {
            Some(cookie) => {
                let headers = [("Set-Cookie", cookie.as_str()), ("Cache-Control", "no-store")];
                response::write(response, 204, &headers, b"", keep_alive);
            }
            None => plain(response, 403, &[("Cache-Control", "no-store")], "no such ticket\n", head, keep_alive),
        }
    }

    /// Asks the hooks before an action. `None`: they allow it. `Some(None)`: the reply is their refusal; else it will be
    /// theirs or the action's.
    fn ask_to_invoke(&self, call: &Call<'_>, entry: &Entry, reply: &mut Reply) -> Option<Option<LocalFuture<Reply>>> {
        // No ticket: it is the call's work that waits, not the connection.
        match self.app.invoke.ask(Ticket(0), &Call { occasion: Occasion::Invoke, ..*call }) {
            Ok(None) => None,
            Ok(Some(Work::Hook { verdict, .. })) => {
                let (action, call) = (Rc::clone(&entry.action), OwnedCall::new(call));
                Some(Some(Box::pin(async move {
                    let mut reply = Reply::default();
                    match verdict.await {
                        Err(error) => reply.write_error(|out| error.write(out)),
                        Ok(()) => {
                            let answer = action.call(&call.borrow(), &mut reply);
                            if let Some(answer) = answer {
                                return answer.await;
                            }
                        }
                    }
                    reply
                })))
            }
            Ok(Some(_)) => unreachable!("hooks that wait are the work of a hook"),
            Err(error) => {
                reply.write_error(|out| error.write(out));
                Some(None)
            }
        }
    }

    /// Makes a task of what is pending.
    fn adopt(&mut self, outcome: Result<Option<Work>>) -> Verdict {
        match outcome {
            Ok(None) => Verdict::Allow,
            Ok(Some(work)) => match self.local.admit() {
                Ok(()) => {
                    self.tasks.push(work);
                    Verdict::Pending
                }
                Err(error) => {
                    discard(work);
                    verdict(Err(error))
                }
            },
            Err(error) => verdict(Err(error)),
        }
    }
}

/// Where the work is done that is done once for the whole server.
const ONCE_AT: ShardId = ShardId(0);

/// Where balancers ask whether to send more clients.
const READINESS_PATH: &str = "/readyz";

/// What an action can be asked by.
const API_METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// The API's document, behind its prefix.
const REFERENCE_NAME: &str = "openapi.json";

/// Where a page fetches the cookie of its session's new id, and the header that has the ticket.
const RENEWAL_PATH: &str = "/session";
const RENEWAL_HEADER: &str = "session-ticket";

/// Drops work that was never counted in; its destructors are the application's.
fn discard(work: Work) {
    if let Err(panic) = fence(|| drop(work)) {
        tracing::error!(panic = panic.text, "refused work panicked");
    }
}

impl Host for ShardHost {
    fn secret(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("a system that has made keys has randomness");
        bytes
    }

    fn route(&mut self, path: &str) -> Option<Route> {
        if matches!(path, "/socketcluster/" | "/socketcluster") {
            return Some(Route::SocketCluster);
        }
        if matches!(path, "/socket.io/" | "/socket.io") {
            return Some(Route::SocketIo);
        }
        if let Some((_, route)) = self.app.doors.iter().find(|(known, _)| **known == *path) {
            return Some(*route);
        }
        // A page or a route that the application has there itself is meant before this.
        let http = &self.local.common.http;
        if http.events_enabled && http.events_path == path && !self.app.has_path(path) {
            return Some(Route::EventStream);
        }
        let index = self.app.raw.iter().position(|route| *route.path == *path)?;
        let number = u16::try_from(index).expect("an application has fewer than 65,536 routes");
        Some(if self.app.raw[index].is_engine_io { Route::EngineIo(number) } else { Route::Raw(number) })
    }

    fn request(&mut self, ticket: Ticket, peer: Peer, request: Request<'_>, response: &mut Vec<u8>) -> Responded {
        if peer.door == Door::Admin {
            return self.administer(ticket, peer, request, response);
        }
        if let Some(path) = self.api_path(request.head) {
            return self.call_by_request(ticket, peer, request, path, response);
        }
        self.respond(peer, request.head, request.keep_alive, response);
        Responded::Ready
    }

    fn wants_session(&mut self, peer: Peer, head: &Head<'_>) -> bool {
        peer.door.opens_connections()
            && self.api_path(head).is_some()
            && head.method != "OPTIONS"
            && self.standing(peer, head) == Standing::Own
    }

    fn session(&mut self, peer: Peer, head: &Head<'_>) -> Option<SessionId> {
        self.local.sessions()?.of_request(peer, head)
    }

    fn new_session(&mut self, peer: Peer) -> Option<(SessionId, Box<str>)> {
        let (id, cookie) = self.local.sessions()?.fresh(peer);
        Some((id, cookie.into_boxed_str()))
    }

    fn store(&mut self, request: StoreRequest) {
        if let Some(sessions) = self.local.sessions() {
            sessions.store(request);
        }
    }

    fn session_written(&mut self, token: WriteToken, outcome: std::result::Result<Written, WriteError>) {
        if let Some(sessions) = self.local.sessions() {
            sessions.waits().finish(&token, outcome);
        }
    }

    fn client_answered(&mut self, ticket: u64, outcome: std::result::Result<Option<RawJson<'_>>, Unanswered<'_>>) {
        self.local.client_answered(ticket, outcome);
    }

    fn answered(&mut self, ticket: u64, answer: Answer) {
        self.local.answers.finish(&ticket, answer);
    }

    fn online(&mut self, users: u64) {
        self.local.online.set(users);
    }

    fn user_changed(&mut self, user: &str, is_online: bool) {
        let (hooks, occasion) =
            if is_online { (&self.app.online, Occasion::Online) } else { (&self.app.offline, Occasion::Offline) };
        if !hooks.is_empty() {
            let _entered = self.local.enter();
            tell(&self.local, hooks, &Call { user: Some(user), ..self.call(occasion, None, user, None) });
        }
    }

    fn admits_origin(&mut self, peer: Peer, head: &Head<'_>) -> bool {
        self.local.common.origins.admit(peer.door == Door::Tls, head)
    }

    fn reader(&mut self, peer: Peer, head: &Head<'_>) -> Reader {
        if self.standing(peer, head) == Standing::Foreign {
            return Reader::Foreign;
        }
        let reader = reader(head, self.local.common.origins.settings());
        reader.map_or(Reader::Own, |(origin, is_named)| Reader::Page { origin, is_named })
    }

    fn handshake(&mut self, ticket: Ticket, peer: Peer, head: &Head<'_>) -> Verdict {
        if self.app.handshake.is_empty() {
            return Verdict::Allow;
        }
        let _entered = self.local.enter();
        let request = UpgradeRequest::new(head);
        let call = Call { request: Some(&request), ..self.call(Occasion::Handshake, Some(peer), head.path, None) };
        let outcome = self.app.handshake.ask(ticket, &call);
        self.adopt(outcome)
    }

    fn verify(&mut self, token: &str) -> std::result::Result<Verified, TokenError> {
        self.local.common.authority.verify(token)
    }

    fn authenticate(&mut self, ticket: Ticket, caller: Caller<'_>) -> Verdict {
        if self.app.authenticate.is_empty() {
            return Verdict::Allow;
        }
        let _entered = self.local.enter();
        let outcome = self.app.authenticate.ask(ticket, &self.call_by(Occasion::Authenticate, caller, "", None));
        self.adopt(outcome)
    }

    fn deauthenticated(&mut self, caller: Caller<'_>, end: LoginEnd) {
        if self.app.deauthenticated.is_empty() {
            return;
        }
        let _entered = self.local.enter();
        let call = Call { login_end: Some(end), ..self.call_by(Occasion::Deauthenticated, caller, "", None) };
        tell(&self.local, &self.app.deauthenticated, &call);
    }

    fn connect(&mut self, ticket: Ticket, caller: Caller<'_>, _route: Route) -> Verdict {
        if self.app.connect.is_empty() {
            return Verdict::Allow;
        }
        let _entered = self.local.enter();
        let outcome = self.app.connect.ask(ticket, &self.call_by(Occasion::Connect, caller, "", None));
        self.adopt(outcome)
    }

    fn over_rate(&mut self, peer: Peer, id: &str) {
        tracing::warn!(address = %peer.address, id, "a client asks for more than --client-rate: it is ignored");
    }

    fn disconnect(&mut self, caller: Caller<'_>, disconnect: &Disconnect) {
        if self.app.disconnect.is_empty() {
            return;
        }
        let _entered = self.local.enter();
        let call = Call { disconnect: Some(disconnect), ..self.call_by(Occasion::Disconnect, caller, "", None) };
        tell(&self.local, &self.app.disconnect, &call);
    }

    fn tries_to_log_in(&self, head: &Head<'_>) -> bool {
        let Some(path) = self.api_path(head) else { return false };
        head.header("authorization").is_some() || find(&self.app, path).is_ok_and(|action| *action == *LOGIN)
    }

    fn is_login(&self, action: &str) -> bool {
        action == LOGIN
    }

    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked {
        let Some((name, entry)) = self.app.actions.get_key_value(invocation.action) else { return Invoked::Unknown };
        let Caller { claims, user, .. } = invocation.caller;
        if entry.requires_login && claims.is_none() && user.is_none() {
            reply.write_error(|out| Error::unauthenticated().write(out));
            return Invoked::Ready;
        }
        let _entered = self.local.enter();
        let call = self.call_by(Occasion::Action, invocation.caller, name, invocation.data);
        let asked = if self.app.invoke.is_empty() { None } else { self.ask_to_invoke(&call, entry, reply) };
        let pending = asked.unwrap_or_else(|| {
            fence(|| entry.action.call(&call, reply)).unwrap_or_else(|panic| {
                Counters::count(&self.local.counters.panics);
                action_panicked(name, &panic, reply);
                None
            })
        });
        let Some(answer) = pending else { return Invoked::Ready };
        let work = Work::Call { ticket: invocation.ticket, action: Rc::clone(name), answer };
        if self.local.admit().is_err() {
            discard(work);
            reply.write_error(|out| Error::busy().write(out));
            return Invoked::Ready;
        }
        self.tasks.push(work);
        Invoked::Pending
    }

    fn subscribe(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict {
        if self.app.subscribe.is_empty() {
            return Verdict::Allow;
        }
        let _entered = self.local.enter();
        let outcome = self.app.subscribe.ask(ticket, &self.call_by(Occasion::Subscribe, caller, channel, data));
        self.adopt(outcome)
    }

    fn publish(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict {
        if self.app.publish.is_empty() {
            return Verdict::Allow;
        }
        let _entered = self.local.enter();
        let outcome = self.app.publish.ask(ticket, &self.call_by(Occasion::Publish, caller, channel, data));
        self.adopt(outcome)
    }

    fn deliver(&mut self, subscriber: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> bool {
        let _entered = self.local.enter();
        self.app.publish_out.allow(&self.call_by(Occasion::PublishOut, subscriber, channel, data))
    }

    fn message(&mut self, caller: Caller<'_>, route: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        let _entered = self.local.enter();
        if let Some(route) = self.app.raw.get(usize::from(route)) {
            route.call(&self.local, caller, message, replies);
        }
    }

    #[inline]
    fn poll_command(&mut self) -> Option<Command> {
        self.local.commands.pop()
    }

    fn congested(&mut self, congested: bool) {
        self.local.set_congested(congested);
    }

    fn cancel(&mut self, ticket: Ticket) {
        let _entered = self.local.enter();
        self.tasks.cancel(ticket);
    }
}

/// Pending work and state may hold peers, which hold the shard's things, which hold them: they are let go by hand.
impl Drop for ShardHost {
    fn drop(&mut self) {
        let _entered = self.local.enter();
        self.tasks.clear();
        self.local.states.clear();
    }
}
