//! The HTTP request that asks for a WebSocket, for the handshake hook: a copy, so that the hook may wait.

use std::fmt;
use std::rc::Rc;

use codec::http::request::Head;

use super::call::{Call, FromCall, Occasion, Site};
use super::error::{Error, Result};

/// Extracts the request of an upgrade, in [`App::on_handshake`](super::App::on_handshake).
#[derive(Clone, PartialEq, Eq)]
pub struct Request(Rc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    path: Box<str>,
    query: Option<Box<str>>,
    headers: Box<[(Box<str>, Box<str>)]>,
}

impl Request {
    pub(crate) fn new(head: &Head<'_>) -> Self {
        let headers = head.headers.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self(Rc::new(Parts { path: head.path.into(), query: head.query.map(Into::into), headers }))
    }

    /// The path, as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// What follows the path after a question mark, as it was sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.0.query.as_deref()
    }

    /// The value of the first header of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// All headers, in the order received.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.headers.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl FromCall for Request {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        call.request.cloned().ok_or_else(|| Error::internal("there is no request here"))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("Request", &[Occasion::Handshake])
    }
}

/// Names of headers only: their values may be secrets.
impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers().map(|(name, _)| name).collect();
        formatter.debug_struct("Request").field("path", &self.0.path).field("headers", &names).finish_non_exhaustive()
    }
}
