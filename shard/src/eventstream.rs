//! Event streams (SSE): an HTTP response that does not end, to which publications and events are written. Its connection
//! is one like all others, with a session, hooks, a user, subscriptions and limits; only that nothing is received on it.
//!
//! The response begins when every subscription that the request has asked for is established; until then it can still be
//! an error. What is said to the connection meanwhile, the response's head first, lies in a mailbox.
//!
//! ```text
//! GET ── origin ── handshake hook ── session ── token ── connect hook ── subscribe hooks ── interest ──> 200, events
//!          403         its own         503        401        its own         its own
//! ```

use codec::eventstream;
use codec::http::query::parameters;
use codec::http::request::Head;
use codec::http::response;
use codec::json::{JsonLimits, NESTING_MAX, Scanner, write_string};
use codec::message::{CallId, RawJson};
use codec::socketcluster::encode::{error_object, write_decimal};
use codec::socketcluster::errors::WireError;

use crate::bearer::token_of;
use crate::connection::{Connection, Protocol, State};
use crate::heartbeat::stamp;
use crate::outbox::Outbox;
use crate::requests::Next;
use crate::session::Waiting;
use crate::shard::Shard;
use crate::turn::{Arena, Chain};
use crate::{ConnectionId, Disconnect, Host, Reader, Request, Route, Time};

/// What a request for a stream asks for, until its response begins.
#[derive(Debug)]
pub(crate) struct StreamOpening {
    channels: Vec<Box<str>>,
    /// Subscriptions that are not established yet.
    missing: usize,
    token: Option<Box<str>>,
    reader: Reader,
    cookie: Option<Box<str>>,
}

/// The call of its subscriptions: nobody reads it.
const CALL: CallId<'static> = CallId::new(RawJson::NULL);

impl Shard {
    /// Answers a request for a stream of events.
    pub(crate) fn open_stream<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        request: Request<'_>,
        host: &mut H,
    ) -> Next {
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        let head = request.head;
        let reader = host.reader(connection.peer(id.slot), head);
        if matches!(head.method, "OPTIONS" | "HEAD") && reader != Reader::Foreign {
            let start = self.turn.end(Arena::Direct);
            write_description(&mut self.turn.direct, &reader, head, request.keep_alive);
            self.queue_direct(id, start);
            return self.request_answered(now, id, request.keep_alive && head.method == "OPTIONS", host);
        }
        let asked = match (head.method, &reader) {
            (_, Reader::Foreign) => {
                self.metrics.origins_refused += 1;
                Err((403, "UnauthorizedError", "pages of this origin may not listen here"))
            }
            ("GET", _) => self.read_opening(head, reader.clone()),
            _ => Err((405, "MethodError", "streams are asked for by GET")),
        };
        let opening = match asked {
            Ok(opening) => opening,
            Err((status, name, message)) => {
                let mut error = Vec::new();
                error_object(&mut error, name, message, &[]);
                self.refuse_opening(now, id, (status, &error), &reader, host);
                return Next::Nothing;
            }
        };
        if let Some(next) = self.ask_to_upgrade(now, id, head, host) {
            return next;
        }
        let waiting = Waiting {
            accept: None,
            route: Route::EventStream,
            dialect: None,
            engine: None,
            agreement: None,
            token: None,
            stream: Some(Box::new(opening)),
        };
        self.enter_session(now, id, waiting, head, host)
    }

    /// What a request asks for. A channel for each parameter `channel`: names may have commas.
    fn read_opening(
        &self,
        head: &Head<'_>,
        reader: Reader,
    ) -> Result<StreamOpening, (u16, &'static str, &'static str)> {
        let (names, most) = (self.limits.socketcluster.names, self.limits.subscriptions_per_connection_max);
        let mut token = token_of(head).map(Into::into);
        let mut channels = Vec::new();
        for parameter in parameters(head.query.unwrap_or_default()) {
            let (name, value) = parameter.map_err(|_| (400, "InvalidArgumentsError", "malformed percent-encoding"))?;
            match &*name {
                "channel" if names.check_channel(&value).is_err() => {
                    return Err((400, "InvalidArgumentsError", "no channel can have this name"));
                }
                "channel" if channels.len() >= most => {
                    return Err((400, "InvalidArgumentsError", "so many channels are too many for one connection"));
                }
                "channel" => channels.push(value.into()),
                "token" if token.is_none() => token = Some(value.into()),
                _ => {}
            }
        }
        Ok(StreamOpening { missing: channels.len(), channels, token, reader, cookie: None })
    }

    /// The connection has its session: on with its token and the hooks.
    pub(crate) fn begin_stream<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        opening: &StreamOpening,
        cookie: Option<Box<str>>,
        host: &mut H,
    ) -> Next {
        let deadline = stamp(now) + self.timing.handshake;
        let Some(connection) = self.connections.live(id) else { return Next::Nothing };
        connection.state = State::Handshake;
        connection.protocol = Protocol::EventStream;
        connection.deadline = deadline;
        self.due[id.slot as usize] = deadline;
        let &StreamOpening { ref channels, missing, ref reader, .. } = opening;
        let (channels, reader) = (channels.clone(), reader.clone());
        self.streams.insert(id, StreamOpening { channels, missing, token: None, reader, cookie });
        self.handshake(now, id, CALL, opening.token.as_deref(), host);
        Next::Frames
    }

    /// The connection is let in: what it is told from here on waits behind the head, until it is subscribed.
    pub(crate) fn stream_admitted<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) {
        let Some(opening) = self.streams.get_mut(&id) else { return };
        let channels = std::mem::take(&mut opening.channels);
        let mut headers = vec![("Content-Type", "text/event-stream")];
        headers.extend(HEADERS);
        headers.extend(opening.reader.headers());
        headers.extend(opening.cookie.as_deref().map(|cookie| ("Set-Cookie", cookie)));
        let start = self.turn.end(Arena::Direct);
        response::write_endless_head(&mut self.turn.direct, &headers);
        // Some come back sooner than others, so that those of a server that has gone do not all come at once.
        let spread = u32::from(self.public_id(id)[0]) % RETRY_STEPS;
        let wait = self.limits.stream_retry;
        eventstream::retry(&mut self.turn.direct, wait + wait * spread / RETRY_STEPS);
        self.queue_direct(id, start);
        if let Some(connection) = self.connections.live(id) {
            connection.outbox = Some(Box::new(Outbox::mailbox()));
        }
        self.metrics.streams_opened += 1;
        self.start_heartbeat(now, id);
        self.admit(id);
        if channels.is_empty() {
            return self.release_stream(id);
        }
        for channel in channels {
            if !self.streams.contains_key(&id) {
                return; // It was refused, or has gone.
            }
            self.handle_subscribe(now, id, &channel, None, Some(CALL), host);
        }
    }

    /// What has become of one of its subscriptions.
    pub(crate) fn stream_answered(&mut self, id: ConnectionId, outcome: Result<(), RawJson<'_>>) {
        let Some(opening) = self.streams.get_mut(&id) else { return };
        match outcome {
            Ok(()) => {
                opening.missing -= 1;
                if opening.missing == 0 {
                    self.release_stream(id);
                }
            }
            Err(error) => self.refuse_stream(id, None, error.as_str()),
        }
    }

    /// The response begins: all that lies in the mailbox goes out, and whatever follows.
    fn release_stream(&mut self, id: ConnectionId) {
        self.streams.remove(&id);
        let Some(connection) = self.connections.live(id) else { return };
        match connection.outbox.as_mut() {
            Some(outbox) if !outbox.is_empty() => {
                outbox.open_mailbox();
                self.turn.urgent.push(id.slot);
            }
            _ => connection.outbox = None,
        }
    }

    /// The response is an error, with that status or its own. Whatever was written to the mailbox is forgotten.
    pub(crate) fn refuse_stream(&mut self, id: ConnectionId, status: Option<u16>, error: &str) {
        let Some(opening) = self.streams.remove(&id) else { return };
        self.metrics.upgrades_refused += 1;
        let Some(connection) = self.connections.live(id) else { return };
        connection.outbox = None;
        connection.chain = Chain::EMPTY;
        // From here on nobody says anything to it, no heartbeat either.
        connection.protocol = Protocol::Http;
        connection.deadline = u32::MAX;
        self.due[id.slot as usize] = u32::MAX;
        self.unsubscribe_all(id);
        let status = status.unwrap_or_else(|| status_of(error));
        self.write(id, |out| write_refusal(out, status, error.as_bytes(), &opening.reader));
        self.close_later(id, Disconnect::new(1008, "refused"));
    }

    fn refuse_opening<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        (status, error): (u16, &[u8]),
        reader: &Reader,
        host: &mut H,
    ) {
        self.metrics.protocol_errors += 1;
        self.write(id, |out| write_refusal(out, status, error, reader));
        self.close(now, id, &Disconnect::new(1008, "refused"), host);
    }

    /// Something of the server's own, or of the application's, for one connection.
    pub(crate) fn stream_emit(&mut self, id: ConnectionId, name: &str, data: Option<RawJson<'_>>) {
        if self.connections.live(id).is_some_and(|connection| connection.state == State::Open) {
            self.write(id, |out| eventstream::event(out, name, data));
        }
    }

    /// Its end is ours: the last event says why, unless the bytes before it were dropped.
    pub(crate) fn stream_farewell(&mut self, id: ConnectionId, disconnect: &Disconnect) {
        let Disconnect { code, reason } = disconnect;
        if self.streams.contains_key(&id) {
            let (status, name) = match code {
                1002 => (400, "InvalidArgumentsError"),
                _ => (503, "UnavailableError"),
            };
            let mut error = Vec::new();
            WireError::Custom { name, message: reason }.write(&mut error);
            let error = String::from_utf8(error).expect("error objects are text");
            return self.refuse_stream(id, Some(status), &error);
        }
        if *code == SLOW_CONSUMER || self.speaks(id) != Some(Protocol::EventStream) {
            return;
        }
        let mut data = b"{\"code\":".to_vec();
        write_decimal(&mut data, u64::from(*code));
        data.extend_from_slice(b",\"reason\":");
        write_string(&mut data, reason);
        data.push(b'}');
        let data = String::from_utf8(data).expect("JSON strings are text");
        self.write(id, |out| eventstream::event(out, "#disconnect", Some(RawJson::from_validated(&data))));
    }
}

impl Connection {
    /// Whether nothing is received on it.
    pub(crate) fn only_listens(&self) -> bool {
        self.protocol == Protocol::EventStream
    }
}

impl Reader {
    /// What lets a page read the response.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let (origin, is_named) = match self {
            Self::Foreign | Self::Own => (None, false),
            Self::Page { origin, is_named } => (Some(&**origin), *is_named),
        };
        let named = if is_named { &NAMED[..] } else { &[] };
        origin.map(|origin| ("Access-Control-Allow-Origin", origin)).into_iter().chain(named.iter().copied())
    }
}

/// The status of an error: its own `statusCode`, or that of its name.
fn status_of(error: &str) -> u16 {
    let own = member(error, "\"statusCode\"").and_then(|status| status.parse().ok());
    own.filter(|own| (400..600).contains(own)).unwrap_or_else(|| match member(error, "\"name\"") {
        Some("\"UnauthenticatedError\"" | "\"AuthTokenExpiredError\"") => 401,
        Some("\"RateLimitError\"" | "\"TooManyLoginsError\"") => 429,
        Some("\"InternalError\"") => 500,
        Some("\"BusyError\"") => 503,
        Some("\"TimeoutError\"") => 504,
        _ => 403,
    })
}

/// A member of an object, as it is written there.
fn member<'a>(object: &'a str, wanted: &str) -> Option<&'a str> {
    let mut scanner = Scanner::new(object, JsonLimits { depth_max: NESTING_MAX }).ok()?;
    let reader = scanner.clone();
    let mut found = None;
    let read = scanner.object(|scanner, key| {
        let value = scanner.value()?;
        if reader.raw(key.span).as_str() == wanted {
            found = Some(reader.raw(value.span).as_str());
        }
        Ok(())
    });
    read.ok().and(found)
}

fn write_refusal(out: &mut Vec<u8>, status: u16, error: &[u8], reader: &Reader) {
    let mut headers = vec![("Content-Type", "application/json; charset=utf-8")];
    headers.extend(HEADERS);
    headers.extend(reader.headers());
    match status {
        401 => headers.push(("WWW-Authenticate", "Bearer")),
        405 => headers.push(("Allow", METHODS)),
        429 | 503 => headers.push(("Retry-After", "1")),
        _ => {}
    }
    response::write(out, status, &headers, error, false);
}

/// The answer to a request that only wants to know what there is.
fn write_description(out: &mut Vec<u8>, reader: &Reader, head: &Head<'_>, keep_alive: bool) {
    let mut headers: Vec<_> = HEADERS.into_iter().chain(reader.headers()).collect();
    if head.method == "HEAD" {
        headers.push(("Content-Type", "text/event-stream"));
        return response::write_endless_head(out, &headers);
    }
    headers.push(("Allow", METHODS));
    if matches!(reader, Reader::Page { .. }) {
        headers.push(("Access-Control-Allow-Methods", METHODS));
        headers.push(("Access-Control-Allow-Headers", "authorization, cache-control, last-event-id"));
        headers.push(("Access-Control-Max-Age", "600"));
    }
    response::write(out, 204, &headers, b"", keep_alive);
}

const METHODS: &str = "GET, HEAD, OPTIONS";

/// The last tells nginx not to collect the stream until its buffer is full.
const HEADERS: [(&str, &str); 3] =
    [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("X-Accel-Buffering", "no")];
const NAMED: [(&str, &str); 2] = [("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin")];

/// A page waits between once and twice as long as is set, by steps of a sixteenth.
const RETRY_STEPS: u32 = 16;

/// The code of those who do not read: what lay before their last word is gone.
const SLOW_CONSUMER: u16 = 1013;

#[cfg(test)]
mod tests;
