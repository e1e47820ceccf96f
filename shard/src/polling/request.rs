//! A request of long-polling, where it comes in: judged, and handed to the shard that its session lives on.

use codec::engineio::{Refusal, Version, read_form};
use codec::http::request::Head;
use codec::http::response;

use super::{Octets, PollContext, PollMessage, Polled, Poller, Posted, SessionKey};
use crate::bearer::token_of;
use crate::connection::{Connection, pause};
use crate::engineio::{EngineOpening, parameter};
use crate::heartbeat::stamp;
use crate::pending::Work;
use crate::requests::Next;
use crate::session::{Attached, Waiting};
use crate::shard::Shard;
use crate::turn::Arena;
use crate::{ConnectionId, Envelope, Host, Request, Route, SessionId, Time};

impl Shard {
    /// Answers a request to a path of Engine.IO that is no upgrade, now or when there is something to tell.
    pub(crate) fn poll<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        route: Route,
        request: Request<'_>,
        host: &mut H,
    ) -> Next {
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        let peer = connection.peer(id.slot);
        let head = request.head;
        self.metrics.polls += 1;
        let is_admitted = host.admits_origin(peer, head);
        let context = PollContext {
            origin: head.header("origin").filter(|_| is_admitted).map(Into::into),
            callback: parameter(head, "j").map(Into::into),
            keep_alive: request.keep_alive,
            key: None,
        };
        if head.method == "OPTIONS" {
            return self.answer_preflight(now, id, &context, head.header("access-control-request-headers"), host);
        }
        let judged = if is_admitted { judge(&request, self.lanes.len()) } else { Err(Refusal::Forbidden) };
        self.wait_for_poll(now, id, context);
        match judged {
            Err(refusal) => self.poll_answered(now, id, &Polled::Refused(refusal), host),
            Ok(Wanted::Session(opening)) => self.open_session_for(now, id, route, opening, &request, host),
            Ok(Wanted::Known(key, posted)) => {
                if let Some(context) = self.polls.get_mut(&id) {
                    context.key = Some(key);
                }
                let session = self.session_named(id, head, host);
                if key.shard == self.id {
                    let poller = Poller { shard: self.id, connection: id };
                    self.handle_poll(now, poller, &key, session, posted.as_ref(), host);
                } else if !self.peers.contains(key.shard) {
                    // It went with the shard that it lived on. A successor may serve before it is known here that it does.
                    self.poll_answered(now, id, &Polled::Refused(Refusal::SessionUnknown), host);
                } else {
                    self.metrics.polls_carried += 1;
                    let message = PollMessage::Request { connection: id, key, session, posted };
                    self.send_to_peer(key.shard, Envelope::Poll(&message));
                }
            }
        }
        Next::Request
    }

    /// The session that a request's cookie names.
    pub(crate) fn session_named<H: Host>(
        &mut self,
        id: ConnectionId,
        head: &Head<'_>,
        host: &mut H,
    ) -> Option<SessionId> {
        head.header("cookie")?;
        let connection = self.connections.live(id)?;
        host.session(connection.peer(id.slot), head)
    }

    /// From here on the connection waits; it is still read, so that its end is seen.
    fn wait_for_poll(&mut self, now: Time, id: ConnectionId, context: PollContext) {
        // By then there was a ping, or the session is over: its own end comes first.
        let patience = self.timing.engine + self.timing.handshake;
        let Some(connection) = self.connections.live(id) else { return };
        connection.pauses |= pause::POLL;
        connection.deadline = stamp(now) + patience;
        self.due[id.slot as usize] = connection.deadline;
        self.polls.insert(id, context);
    }

    fn open_session_for<H: Host>(
        &mut self,
        now: Time,
        requester: ConnectionId,
        route: Route,
        opening: EngineOpening,
        request: &Request<'_>,
        host: &mut H,
    ) {
        let reads_text = ["b64", "j"].iter().any(|name| parameter(request.head, name).is_some());
        let octets = match route {
            _ if opening.version != Version::V3 || reads_text => Octets::Never,
            Route::SocketStream | Route::Services | Route::SocketCluster => Octets::Always,
            _ => Octets::WhereNeeded,
        };
        let secret = host.secret();
        let cookie = self.session_named(requester, request.head, host);
        let Some(id) = self.open_polled(now, requester, opening.version, octets, secret) else {
            return self.poll_answered(now, requester, &Polled::Busy, host);
        };
        if let Some(polling) = self.connections.live(id).and_then(Connection::polling_mut) {
            polling.bound_to = cookie;
        }
        let token = if matches!(route, Route::EngineIo(_)) { token_of(request.head).map(Into::into) } else { None };
        let engine = Some(opening);
        let waiting = Waiting { accept: None, route, dialect: None, engine, agreement: None, token, stream: None };
        let ticket = self.pending.ticket();
        match self.attach_session(id, ticket, request.head, host) {
            Attached::Ready(cookie) => {
                self.seat_polled(now, id, waiting, cookie, host);
            }
            Attached::Waiting => self.await_verdict(now, ticket, id, None, Work::Session(Box::new(waiting))),
            Attached::Refused => self.refuse_session(now, id, host),
        }
    }

    /// A browser asks before it lets a page of another origin ask.
    fn answer_preflight<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        context: &PollContext,
        wanted: Option<&str>,
        host: &mut H,
    ) -> Next {
        let mut headers = context.headers();
        headers.push(("Access-Control-Allow-Methods", "GET, POST, OPTIONS"));
        headers.extend(wanted.map(|wanted| ("Access-Control-Allow-Headers", wanted)));
        headers.push(("Access-Control-Max-Age", "600"));
        let start = self.turn.end(Arena::Direct);
        response::write(&mut self.turn.direct, 204, &headers, b"", context.keep_alive);
        self.queue_direct(id, start);
        self.request_answered(now, id, context.keep_alive, host)
    }
}

/// What a request is for.
enum Wanted {
    Session(EngineOpening),
    Known(SessionKey, Option<Posted>),
}

fn judge(request: &Request<'_>, shards: usize) -> Result<Wanted, Refusal> {
    let head = request.head;
    match parameter(head, "transport") {
        Some("polling") => {}
        Some("websocket") => return Err(Refusal::BadRequest),
        _ => return Err(Refusal::TransportUnknown),
    }
    let version = Version::from_query(parameter(head, "EIO")).ok_or(Refusal::UnsupportedVersion)?;
    let Some(id) = parameter(head, "sid") else {
        if head.method != "GET" {
            return Err(Refusal::BadHandshakeMethod);
        }
        let token = parameter(head, "token").filter(|_| version == Version::V3).map(Into::into);
        return Ok(Wanted::Session(EngineOpening { version, token, upgrades: None }));
    };
    let key = SessionKey::parse(id, shards).ok_or(Refusal::SessionUnknown)?;
    match head.method {
        "GET" => Ok(Wanted::Known(key, None)),
        "POST" => {
            let is_octets =
                head.header("content-type").is_some_and(|kind| kind.starts_with("application/octet-stream"));
            let body = if parameter(head, "j").is_some() {
                let form = std::str::from_utf8(request.body).ok().and_then(read_form);
                form.ok_or(Refusal::BadRequest)?.into_bytes()
            } else {
                request.body.to_vec()
            };
            Ok(Wanted::Known(key, Some(Posted { body, is_octets })))
        }
        _ => Err(Refusal::BadRequest),
    }
}
