//! HTTP/1.1 on a connection that is no WebSocket: requests are taken whole, one after the other, and answered in their
//! order, at once or when the application has the answer. Never two answers at a time, and never a guess where a request
//! ends: after what is malformed the connection ends.
//!
//! A head that is incomplete is kept as it came. A body that is incomplete is kept decoded, beside its head, in a box that
//! exists only as long as it arrives; one that came whole with its head is not copied.

use std::borrow::Cow;

use codec::http::body::Decoder;
use codec::http::request::{self, Body, Head};
use codec::http::{HeaderStorage, HttpError, response};
use codec::socketcluster::errors::WireError;

use crate::connection::State;
use crate::engineio::parameter;
use crate::heartbeat::stamp;
use crate::pending::{Pending, Work};
use crate::session::Attached;
use crate::shard::Shard;
use crate::turn::Arena;
use crate::{ConnectionId, Disconnect, Door, Host, Limits, Request, Responded, Route, Ticket, Time};

/// What the bytes after a request are.
pub(crate) enum Next {
    /// Another request.
    Request,
    /// Frames.
    Frames,
    /// Not wanted, or not yet.
    Nothing,
    /// Together with the request, what is to be looked at once more.
    Again,
}

/// A request whose body is not whole yet.
#[derive(Debug)]
pub(crate) struct Arriving {
    /// The head, which was good when it came.
    head: Vec<u8>,
    body: Vec<u8>,
    decoder: Decoder,
}

impl Arriving {
    /// What has come of it.
    pub(crate) fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// The bytes of a request.
#[derive(Clone, Copy)]
struct Whole<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

/// A request that waits for its session.
#[derive(Debug)]
pub(crate) struct Parked {
    head: Box<[u8]>,
    body: Box<[u8]>,
}

/// The body behind a head.
enum BodyRead<'a> {
    /// All of it, and the bytes that it took.
    Whole(Cow<'a, [u8]>, usize),
    /// More is to come.
    Arriving(Arriving),
}

impl Shard {
    /// Answers every request that is whole; keeps an incomplete one until more arrives.
    pub(crate) fn process_requests<H: Host>(&mut self, now: Time, id: ConnectionId, bytes: &mut [u8], host: &mut H) {
        let Some(connection) = self.connections.live(id) else { return };
        let Some(held) = connection.held.take() else { return self.answer_requests(now, id, bytes, 0, host) };
        if let Some(arriving) = held.arriving {
            return self.continue_body(now, id, arriving, bytes, host);
        }
        let (mut whole, scanned) = (held.bytes, held.scanned);
        whole.extend_from_slice(bytes);
        self.answer_requests(now, id, &mut whole, scanned, host);
    }

    fn answer_requests<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        bytes: &mut [u8],
        mut scanned: usize,
        host: &mut H,
    ) {
        let upgrades = self.connections.live(id).is_some_and(|connection| connection.door.opens_connections());
        let mut at = 0;
        while at < bytes.len() {
            let mut storage = HeaderStorage::new();
            let next = match request::parse_more(&bytes[at..], scanned, &mut storage, self.limits.head_bytes_max) {
                Ok(Some((head, length))) => {
                    let rest = &bytes[at + length..];
                    match read_body(&head, upgrades, &bytes[at..at + length], rest, &self.limits) {
                        Ok(BodyRead::Whole(body, used)) => {
                            let whole = Whole { head: &bytes[at..at + length], body: &body };
                            let next = self.answer_request(now, id, whole, &head, host);
                            if matches!(next, Next::Again) {
                                return self.hold_request(id, &bytes[at..]);
                            }
                            at += length + used;
                            next
                        }
                        Ok(BodyRead::Arriving(arriving)) => {
                            let wants_word = rest.is_empty() && head.expects_continue() == Ok(true);
                            return self.hold_body(now, id, arriving, wants_word);
                        }
                        Err(error) => return self.refuse_malformed(now, id, error, host),
                    }
                }
                Ok(None) => return self.hold_head(now, id, &bytes[at..]),
                Err(error) => return self.refuse_malformed(now, id, error, host),
            };
            scanned = 0;
            if !self.goes_on(id, &bytes[at..]) {
                return;
            }
            match next {
                Next::Request => {}
                Next::Nothing | Next::Again => return,
                Next::Frames => return self.process_frames(now, id, &mut bytes[at..], host),
            }
        }
    }

    /// Whether the bytes after a request may be looked at now; if they must wait, they are held.
    fn goes_on(&mut self, id: ConnectionId, rest: &[u8]) -> bool {
        if !self.must_wait(id) {
            return true;
        }
        if let Some(connection) = self.connections.live(id)
            && connection.state != State::Closing
            && !rest.is_empty()
        {
            connection.held_mut().bytes.extend_from_slice(rest);
        }
        false
    }

    /// A whole request that will be looked at again, and what follows it.
    fn hold_request(&mut self, id: ConnectionId, bytes: &[u8]) {
        if let Some(connection) = self.connections.live(id)
            && connection.state != State::Closing
        {
            connection.held_mut().bytes.extend_from_slice(bytes);
        }
    }

    /// From its first byte on a head has the handshake's time, however slowly it drips.
    fn hold_head(&mut self, now: Time, id: ConnectionId, rest: &[u8]) {
        let handshake_timeout = self.timing.handshake;
        let Some(connection) = self.connections.live(id) else { return };
        let held = connection.held_mut();
        held.bytes = rest.to_vec();
        held.scanned = rest.len();
        connection.deadline = connection.deadline.min(stamp(now) + handshake_timeout);
        self.due[id.slot as usize] = connection.deadline;
    }

    /// From the end of its head on a body has a time of its own.
    fn hold_body(&mut self, now: Time, id: ConnectionId, arriving: Arriving, wants_word: bool) {
        let body_timeout = self.timing.body;
        let Some(connection) = self.connections.live(id) else { return };
        connection.held_mut().arriving = Some(arriving);
        connection.deadline = stamp(now) + body_timeout;
        self.due[id.slot as usize] = connection.deadline;
        if wants_word {
            self.write(id, response::write_continue);
        }
    }

    fn continue_body<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        mut arriving: Arriving,
        bytes: &mut [u8],
        host: &mut H,
    ) {
        let used = match arriving.decoder.decode(bytes, &mut arriving.body) {
            Ok(used) => used,
            Err(error) => return self.refuse_malformed(now, id, error, host),
        };
        if !arriving.decoder.is_done() {
            if let Some(connection) = self.connections.live(id) {
                connection.held_mut().arriving = Some(arriving);
            }
            return;
        }
        let mut storage = HeaderStorage::new();
        let head = parse_again(&arriving.head, &mut storage);
        let whole = Whole { head: &arriving.head, body: &arriving.body };
        let next = self.answer_request(now, id, whole, &head, host);
        if !self.goes_on(id, &bytes[used..]) {
            return;
        }
        match next {
            Next::Request => self.answer_requests(now, id, &mut bytes[used..], 0, host),
            Next::Frames => self.process_frames(now, id, &mut bytes[used..], host),
            Next::Nothing | Next::Again => {}
        }
    }

    fn answer_request<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        whole: Whole<'_>,
        head: &Head<'_>,
        host: &mut H,
    ) -> Next {
        self.metrics.requests += 1;
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        if head.wants_upgrade() && connection.door.opens_connections() {
            return self.upgrade(now, id, head, host);
        }
        let (peer, door) = (connection.peer(id.slot), connection.door);
        if door.opens_connections()
            && let Some(route) = host.route(head.path).filter(|route| route.is_on_engine(head))
        {
            let request = Request {
                head,
                body: whole.body,
                keep_alive: head.keep_alive() && !self.is_told(id.slot),
                cookie: None,
            };
            return self.poll(now, id, route, request, host);
        }
        let is_counted = match door {
            Door::Admin => self.admin_visits.is_some(),
            _ => self.visits.is_some() || self.logins.is_some(),
        };
        if is_counted && let Some(next) = self.turns_away(now, id, head, host) {
            return next;
        }
        if door.opens_connections() && host.route(head.path) == Some(Route::EventStream) {
            let request = Request { head, body: whole.body, keep_alive: head.keep_alive(), cookie: None };
            return self.open_stream(now, id, request, host);
        }
        if !host.wants_session(peer, head) {
            return self.ask_host(now, id, head, whole.body, None, host);
        }
        let ticket = self.pending.ticket();
        match self.attach_session(id, ticket, head, host) {
            Attached::Ready(cookie) => self.ask_host(now, id, head, whole.body, cookie.as_deref(), host),
            Attached::Waiting => {
                let parked = Parked { head: whole.head.into(), body: whole.body.into() };
                self.await_verdict(now, ticket, id, None, Work::RequestSession(Box::new(parked)));
                Next::Request
            }
            Attached::Refused => {
                self.refuse_session(now, id, host);
                Next::Nothing
            }
        }
    }

    /// A request that has waited for its session has it.
    pub(crate) fn ask_parked<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        parked: &Parked,
        cookie: Option<&str>,
        host: &mut H,
    ) {
        let mut storage = HeaderStorage::new();
        let head = parse_again(&parked.head, &mut storage);
        self.ask_host(now, id, &head, &parked.body, cookie, host);
    }

    /// Asks the application for the answer.
    fn ask_host<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        head: &Head<'_>,
        body: &[u8],
        cookie: Option<&str>,
        host: &mut H,
    ) -> Next {
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        let peer = connection.peer(id.slot);
        let keep_alive = head.keep_alive() && !self.is_told(id.slot);
        let request = Request { head, body, keep_alive, cookie };
        let ticket = self.pending.ticket();
        let start = self.turn.end(Arena::Direct);
        match host.request(ticket, peer, request, &mut self.turn.direct) {
            Responded::Ready => {
                self.queue_direct(id, start);
                self.drain_commands(now, host);
                self.request_answered(now, id, keep_alive, host)
            }
            Responded::Pending => {
                debug_assert_eq!(start, self.turn.end(Arena::Direct), "half an answer");
                // Before the commands: the answer may be among them already.
                self.await_response(now, id, ticket, keep_alive, head.method == "HEAD");
                self.drain_commands(now, host);
                Next::Request
            }
        }
    }

    /// The answer to a request comes later; until then the connection is not read.
    pub(crate) fn await_response(
        &mut self,
        now: Time,
        id: ConnectionId,
        ticket: Ticket,
        keep_alive: bool,
        is_head: bool,
    ) {
        self.await_verdict(now, ticket, id, None, Work::Request { keep_alive, is_head });
    }

    /// The answer to a pending request.
    pub(crate) fn responded<H: Host>(&mut self, now: Time, ticket: Ticket, response: &[u8], host: &mut H) {
        let Some(Pending { connection: id, work, .. }) = self.take_pending(ticket) else { return };
        let Work::Request { keep_alive, .. } = work else { unreachable!("tickets are never used again") };
        self.respond(now, id, keep_alive, response, host);
    }

    /// Nobody has answered a request in time.
    pub(crate) fn request_unanswered<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        keep_alive: bool,
        is_head: bool,
        host: &mut H,
    ) {
        self.metrics.requests_timed_out += 1;
        let mut error = Vec::new();
        WireError::Custom { name: "TimeoutError", message: "the request was not answered in time" }.write(&mut error);
        let mut answer = Vec::new();
        let headers = [JSON, ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")];
        if is_head {
            response::write_head(&mut answer, 504, &headers, error.len(), keep_alive);
        } else {
            response::write(&mut answer, 504, &headers, &error, keep_alive);
        }
        self.respond(now, id, keep_alive, &answer, host);
    }

    fn respond<H: Host>(&mut self, now: Time, id: ConnectionId, keep_alive: bool, response: &[u8], host: &mut H) {
        if self.connections.live(id).is_none_or(|connection| connection.state != State::Request) {
            return;
        }
        self.write(id, |out| out.extend_from_slice(response));
        self.resume_after_hook(id);
        self.request_answered(now, id, keep_alive, host);
    }

    /// A request has its answer: the next one, or the end. The next one may be somebody else's, as proxies send the
    /// requests of all their clients over few connections: the session is each request's own.
    pub(crate) fn request_answered<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        keep_alive: bool,
        host: &mut H,
    ) -> Next {
        self.leave_request_session(id);
        if !keep_alive {
            self.close(now, id, &Disconnect::new(1000, ""), host);
            return Next::Nothing;
        }
        let idle_timeout = self.timing.idle;
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        if connection.state != State::Request {
            return Next::Nothing;
        }
        connection.deadline = stamp(now) + idle_timeout;
        self.due[id.slot as usize] = connection.deadline;
        Next::Request
    }

    fn refuse_malformed<H: Host>(&mut self, now: Time, id: ConnectionId, error: HttpError, host: &mut H) {
        self.metrics.bodies_refused += u64::from(error == HttpError::BodyTooLong);
        self.refuse_request(now, id, error.status(), &[], &error.to_string(), host);
    }

    /// Answers a request with an error after which the connection ends.
    pub(crate) fn refuse_request<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        status: u16,
        headers: &[(&str, &str)],
        why: &str,
        host: &mut H,
    ) {
        self.metrics.protocol_errors += 1;
        // Where there is no socket, it is the request that is refused.
        let is_polled = self.connections.live(id).is_some_and(|connection| connection.is_polled());
        let id = if is_polled { self.refuse_polled(now, id, host) } else { Some(id) };
        let Some(id) = id else { return };
        self.write(id, |out| response::write(out, status, headers, why.as_bytes(), false));
        self.close(now, id, &Disconnect::new(1002, "bad request"), host);
    }
}

/// A head that was good when it came.
fn parse_again<'a>(bytes: &'a [u8], storage: &'a mut HeaderStorage<'a>) -> Head<'a> {
    let (head, _) = request::parse(bytes, storage, bytes.len() + 1).ok().flatten().expect("it was a head before");
    head
}

/// What `rest` has of the body that `head` announces.
fn read_body<'a>(
    head: &Head<'_>,
    upgrades: bool,
    head_bytes: &[u8],
    rest: &'a [u8],
    limits: &Limits,
) -> Result<BodyRead<'a>, HttpError> {
    // Who asks for a WebSocket and announces a body is refused for it.
    if head.body() == Body::None || (upgrades && head.wants_upgrade()) {
        return Ok(BodyRead::Whole(Cow::Borrowed(&[]), 0));
    }
    head.expects_continue()?;
    let is_payload = parameter(head, "transport") == Some("polling");
    let payload_bytes_max = if is_payload { limits.engine.payload_bytes_max } else { 0 };
    let mut decoder = Decoder::new(head.body(), limits.body_bytes_max.max(payload_bytes_max))?;
    let length = usize::try_from(head.content_length()).map_err(|_| HttpError::BodyTooLong)?;
    if !head.is_chunked() && rest.len() >= length {
        return Ok(BodyRead::Whole(Cow::Borrowed(&rest[..length]), length));
    }
    let mut body = Vec::with_capacity(length.min(BODY_BYTES_RESERVED));
    let used = decoder.decode(rest, &mut body)?;
    Ok(if decoder.is_done() {
        BodyRead::Whole(Cow::Owned(body), used)
    } else {
        BodyRead::Arriving(Arriving { head: head_bytes.to_vec(), body, decoder })
    })
}

/// Room made for a body before it comes. 16 KiB, a receive buffer's worth: what a client only announces costs little.
const BODY_BYTES_RESERVED: usize = 16 << 10;

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");

#[cfg(test)]
mod tests;
