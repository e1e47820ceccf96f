//! The HTTP API: every action of the application as a resource, `app.square` at `/api/app/square`. The same names,
//! arguments, guards, hooks and sessions as by WebSocket; a request is a connection that makes one call. It never lets
//! a page of another origin act with its visitor's cookies or passwords.

mod arguments;
mod credentials;
mod exchange;
mod gate;
mod reference;
mod way;

pub(crate) use exchange::{Exchange, Exchanges, find};
pub(crate) use gate::{Standing, standing};
pub(crate) use reference::Reference;
pub(crate) use way::{Way, reader};
