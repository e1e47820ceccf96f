//! An application for tests: `/echo` sends every message back as it came, `/socketcluster/` allows everything.

use std::task::Waker;

use codec::message::RawJson;
use shard::{
    Caller, Command, Disconnect, Host, Invocation, Invoked, Peer, RawMessage, RawReplies, Reply, Request, Responded,
    Route, Ticket, Time, Verdict,
};

use crate::server::Application;

/// A message at which the shard panics: nothing of this application is fenced.
pub(super) const DEADLY: &[u8] = b"die";

/// The application.
#[derive(Debug, Default)]
pub(super) struct Echo;

impl Host for Echo {
    fn secret(&mut self) -> [u8; 16] {
        [0; 16]
    }

    fn route(&mut self, path: &str) -> Option<Route> {
        match path {
            "/echo" => Some(Route::Raw(0)),
            "/socketcluster/" => Some(Route::SocketCluster),
            _ => None,
        }
    }

    fn request(&mut self, _: Ticket, _: Peer, _: Request<'_>, response: &mut Vec<u8>) -> Responded {
        response.extend_from_slice(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        Responded::Ready
    }

    fn connect(&mut self, _: Ticket, _: Caller<'_>, _: Route) -> Verdict {
        Verdict::Allow
    }

    fn disconnect(&mut self, _: Caller<'_>, _: &Disconnect) {}

    fn invoke(&mut self, _: Invocation<'_>, _: &mut Reply) -> Invoked {
        Invoked::Unknown
    }

    fn subscribe(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn publish(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn message(&mut self, _: Caller<'_>, _: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        let is_deadly = matches!(message, RawMessage::Binary(bytes) if bytes == DEADLY);
        assert!(!is_deadly, "as it was told to");
        replies.send(message);
    }

    fn poll_command(&mut self) -> Option<Command> {
        None
    }

    fn congested(&mut self, _: bool) {}

    fn cancel(&mut self, _: Ticket) {}
}

impl Application for Echo {
    fn run_tasks(&mut self, _: Time, _: &Waker) {}

    fn next_wake(&self) -> Option<Time> {
        None
    }
}
