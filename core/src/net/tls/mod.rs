//! TLS between the ring and the shard: ciphertext received becomes the plaintext that the shard is given, what the shard
//! transmits becomes ciphertext in memory of its own. It never decides about a connection and never touches the ring;
//! `net/secure.rs` does what it asks for.
//!
//! The shard's contract holds as it does without TLS: at most one send of a connection is in the air, a turn's send that
//! goes short is reported in the next pass and what was not sent stays in the shard's outbox, where it is counted, bounded
//! and timed. What TLS itself has to say (handshakes, tickets, alerts) travels with the next send or alone.
//!
//! Where the kernel has a TLS of its own, a connection is given to it after its handshake: then there is an [`Offloaded`]
//! in the place of a [`Stream`], and plaintext goes through the sockets.

mod flight;
pub(super) mod kernel;
mod offloaded;
mod stream;
mod streams;
#[cfg(test)]
mod tests;

pub(super) use flight::{Flight, Landing, Task};
pub(super) use offloaded::Offloaded;
pub(super) use stream::{Offloading, Stream};
pub(crate) use streams::TlsMetrics;
pub(super) use streams::{Parting, Streams};
