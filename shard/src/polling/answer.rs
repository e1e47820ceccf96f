//! The answer to a request of long-polling, on the shard that the request came to: as HTTP, and as its page may read it.

use codec::engineio::{Encoding, write_call};
use codec::http::response;

use super::{PollMessage, Polled, SessionKey};
use crate::connection::{State, pause};
use crate::shard::Shard;
use crate::{ConnectionId, Envelope, Host, Time};

/// What the answer to a request needs of it.
#[derive(Debug)]
pub(crate) struct PollContext {
    /// The page that asks, if it may.
    pub(crate) origin: Option<Box<str>>,
    /// The number of its callback, where the answer is a script.
    pub(crate) callback: Option<Box<str>>,
    pub(crate) keep_alive: bool,
    /// The session that it asks for.
    pub(crate) key: Option<SessionKey>,
}

impl PollContext {
    /// What lets a page of another origin read the answer, with its cookies.
    pub(crate) fn headers(&self) -> Vec<(&'static str, &str)> {
        let mut headers = Vec::with_capacity(8);
        if let Some(origin) = &self.origin {
            headers.push(("Access-Control-Allow-Origin", &**origin));
            headers.push(("Access-Control-Allow-Credentials", "true"));
            headers.push(("Vary", "Origin"));
        }
        headers
    }
}

impl Shard {
    /// The answer to a request that came in here.
    pub(crate) fn poll_answered<H: Host>(&mut self, now: Time, id: ConnectionId, polled: &Polled, host: &mut H) {
        let Some(context) = self.polls.remove(&id) else { return };
        let Some(connection) = self.connections.live(id).filter(|known| known.state == State::Request) else { return };
        connection.pauses &= !pause::POLL;
        self.resumable.push(id);
        self.write(id, |out| write_answer(out, &context, polled));
        self.request_answered(now, id, context.keep_alive, host);
    }

    /// A connection ends whose request waits: the session's shard need not wait for it.
    pub(crate) fn poller_gone(&mut self, id: ConnectionId) {
        let Some(context) = self.polls.remove(&id) else { return };
        if let Some(key) = context.key.filter(|key| key.shard != self.id) {
            let message = PollMessage::Gone { connection: id, key };
            self.send_to_peer(key.shard, Envelope::Poll(&message));
        }
    }
}

fn write_answer(out: &mut Vec<u8>, context: &PollContext, polled: &Polled) {
    let mut headers = context.headers();
    headers.push(("Cache-Control", "no-store"));
    let (status, kind, body) = match polled {
        Polled::Payload { body, encoding, cookie } => {
            headers.extend(cookie.as_deref().map(|cookie| ("Set-Cookie", cookie)));
            if let (Some(callback), Ok(text)) = (&context.callback, std::str::from_utf8(body)) {
                let mut script = Vec::with_capacity(body.len() + 32);
                write_call(&mut script, callback, text);
                headers.push(("X-Content-Type-Options", "nosniff"));
                headers.push(("Content-Type", "text/javascript; charset=UTF-8"));
                return response::write(out, 200, &headers, &script, context.keep_alive);
            }
            (200, encoding.content_type(), body.clone())
        }
        Polled::Taken => (200, "text/html", b"ok".to_vec()),
        Polled::Refused(refusal) => (refusal.status(), "application/json", refusal.body().into_bytes()),
        Polled::Busy => (503, Encoding::V4.content_type(), b"no session can be opened now".to_vec()),
    };
    headers.push(("X-Content-Type-Options", "nosniff"));
    headers.push(("Content-Type", kind));
    response::write(out, status, &headers, &body, context.keep_alive);
}
