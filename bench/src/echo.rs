//! The smallest application that a shard can have: `app.echo` gives its argument back and everything is allowed. What
//! remains is the shard's own cost.

use codec::http::response;
use codec::message::RawJson;
use shard::{
    Caller, Command, Disconnect, Host, Invocation, Invoked, Peer, RawMessage, RawReplies, Reply, Request, Responded,
    Route, Ticket, Verdict,
};

/// `app.echo` gives its argument back; everything is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Host for Echo {
    fn secret(&mut self) -> [u8; 16] {
        [0; 16]
    }

    fn route(&mut self, path: &str) -> Option<Route> {
        Some(if path == "/echo" { Route::Raw(0) } else { Route::SocketCluster })
    }

    fn request(&mut self, _: Ticket, _: Peer, request: Request<'_>, out: &mut Vec<u8>) -> Responded {
        response::write(out, 200, &[], b"", request.keep_alive);
        Responded::Ready
    }

    fn connect(&mut self, _: Ticket, _: Caller<'_>, _: Route) -> Verdict {
        Verdict::Allow
    }

    fn disconnect(&mut self, _: Caller<'_>, _: &Disconnect) {}

    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked {
        if invocation.action != "app.echo" {
            return Invoked::Unknown;
        }
        if let Some(data) = invocation.data {
            reply.set_data(data.as_str());
        }
        Invoked::Ready
    }

    fn subscribe(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn publish(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn message(&mut self, _: Caller<'_>, _: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        replies.send(message);
    }

    fn poll_command(&mut self) -> Option<Command> {
        None
    }

    fn congested(&mut self, _: bool) {}

    fn cancel(&mut self, _: Ticket) {}
}
