//! The sockets of one worker: an io_uring of its own in which the worker sleeps, receives into shared buffers, and one
//! send for each connection and pass. Never knows what the bytes mean.

mod bell;
mod buffers;
mod engine;
mod ring;
mod socket;
mod tls;

pub(crate) use bell::Bell;
pub(crate) use engine::{Arrival, Carry, Engine, Line, Target, Wish};
pub(crate) use tls::Trust;
