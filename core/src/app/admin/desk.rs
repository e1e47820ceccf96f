//! Requests that come by an admin listener, from the first look at them to their answers.

use std::rc::Rc;

use codec::http::response;
use shard::{Peer, Request, Responded, Ticket};

use super::{counters, service};
use crate::app::api::{Exchange, Reference, Way};
use crate::app::application::App;
use crate::app::error::Error;
use crate::app::host::ShardHost;
use crate::app::page::{ALLOW, momentary, plain};
use crate::config::OriginSettings;

/// What one shard's admin listeners offer.
pub(in crate::app) struct Desk {
    app: Rc<App>,
    reference: Reference,
}

impl Desk {
    pub(in crate::app) fn new(title: &str) -> Self {
        let mut app = service::app();
        app.complete().expect("the server API guards nothing");
        let reference = Reference::of(&app, PREFIX, title, false);
        Self { app: Rc::new(app), reference }
    }
}

impl ShardHost {
    /// Answers a request.
    pub(in crate::app) fn administer(
        &mut self,
        ticket: Ticket,
        peer: Peer,
        request: Request<'_>,
        out: &mut Vec<u8>,
    ) -> Responded {
        let (head, keep_alive) = (request.head, request.keep_alive);
        let way = Way::of(head, keep_alive, None, &OriginSettings::default());
        let Some(access) = self.local.common.admin.clone() else {
            plain(out, 404, &[], "not found\n", head, keep_alive);
            return Responded::Ready;
        };
        if let Err(error) = access.admit(head) {
            self.refuse_admin(peer, &error);
            way.write_error(out, &error, &[]);
            return Responded::Ready;
        }
        match head.path {
            "/healthz" => {
                momentary(out, 200, "ok\n", head, keep_alive);
                return Responded::Ready;
            }
            "/readyz" => {
                self.say_ready(head, keep_alive, out);
                return Responded::Ready;
            }
            _ => {}
        }
        if let Err(error) = access.authorize(head) {
            self.refuse_admin(peer, &error);
            way.write_error(out, &error, &[("WWW-Authenticate", "Bearer")]);
            return Responded::Ready;
        }
        let counters = |write: fn(&[_], u64) -> String| {
            let board = self.local.common.board.as_ref().map(|board| board.read()).unwrap_or_default();
            write(&board, self.local.online.get())
        };
        match head.path {
            "/metrics" => write_counters(out, "text/plain; version=0.0.4", &counters(counters::prometheus), request),
            "/stats.json" => write_counters(out, "application/json", &counters(counters::json), request),
            path => return self.serve_api(ticket, peer, request, (path, access.has_key()), way, out),
        }
        Responded::Ready
    }

    fn serve_api(
        &mut self,
        ticket: Ticket,
        peer: Peer,
        request: Request<'_>,
        (path, has_key): (&str, bool),
        way: Way,
        out: &mut Vec<u8>,
    ) -> Responded {
        let error = match (path.strip_prefix(PREFIX), &self.desk) {
            (Some("" | "/"), Some(desk)) => {
                desk.reference.page.respond(request.head, request.keep_alive, None, out);
                return Responded::Ready;
            }
            (Some("/openapi.json"), Some(desk)) => {
                desk.reference.document.respond(request.head, request.keep_alive, None, out);
                return Responded::Ready;
            }
            (Some(rest), Some(desk)) if rest.starts_with('/') => {
                let exchange = match request.head.method {
                    _ if !has_key => {
                        Err(Error::new("UnauthorizedError", "the server API is open to a key only: --admin-key-file"))
                    }
                    "GET" | "HEAD" | "POST" => {
                        Exchange::new(&desk.app, &self.local, peer, request, &rest[1..], false, &way)
                    }
                    _ => Err(Error::new("MethodError", "actions are called by GET or POST").with("statusCode", 405)),
                };
                match exchange {
                    Ok(exchange) => return self.exchange(ticket, exchange, way, out),
                    Err(error) => error,
                }
            }
            _ => Error::not_found("there is nothing here"),
        };
        way.write_error(out, &error, &[("Allow", "GET, HEAD, POST")]);
        Responded::Ready
    }

    /// One line of the log, of which there are only so many a second, and a counter.
    fn refuse_admin(&self, peer: Peer, error: &Error) {
        self.local.counters.admin_refused.set(self.local.counters.admin_refused.get() + 1);
        tracing::warn!(address = %peer.address, error = error.message(), "an admin request is refused");
    }
}

fn write_counters(out: &mut Vec<u8>, kind: &str, text: &str, request: Request<'_>) {
    let Request { head, keep_alive, .. } = request;
    let headers = [("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")];
    match head.method {
        "GET" => response::write(out, 200, &headers, text.as_bytes(), keep_alive),
        "HEAD" => response::write_head(out, 200, &headers, text.len(), keep_alive),
        "OPTIONS" => response::write(out, 204, &[ALLOW], b"", keep_alive),
        _ => plain(out, 405, &[ALLOW], "method not allowed\n", head, keep_alive),
    }
}

/// What the paths of the server API begin with.
const PREFIX: &str = "/api";
