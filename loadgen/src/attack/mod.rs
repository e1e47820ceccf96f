//! `attack`: the catalogue of what hostile clients do, against a server of one's own. Each row is a promise, each case one
//! input with what the server should do. Meanwhile a bystander, a well-behaved client, says whether anybody noticed.
//!
//! ```text
//! args -> run -> stage                 which doors the server has, how long it may take
//!          |  -> rows/*  -> case       what is sent, what is wanted
//!          |        |
//!          |     wire, socket, member  bytes, frames, packets: blocking, one connection at a time, nothing without end
//!          -> bystander, report
//! ```
//!
//! Never measures: what it sends is bounded in count, bytes and time, and never leaves loopback unless told so.

mod args;
mod bystander;
mod case;
mod mark;
mod member;
mod report;
mod rows;
mod run;
mod socket;
mod stage;
mod watch;
mod wire;

pub(crate) use run::main;
