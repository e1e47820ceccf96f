//! The server's flags, one group of `--help` per file. They describe and parse; what they mean together is `set`'s and
//! `check`'s business.

mod admin;
mod application;
mod backpressure;
mod compression;
mod engine;
mod http;
mod limits;
mod listen;
mod logging;
mod placement;
mod rates;
mod ring;
mod security;
mod session;
mod set;
mod stopping;
mod supervision;
mod timeouts;
mod tls;
mod users;

pub(crate) use set::Flags;
