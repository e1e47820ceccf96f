//! The sockets of one shard, on one io_uring of its own: accept, receive into provided buffers, one send per dirty
//! connection and pass, with TLS where a listener has it. [`Sockets`] is the boundary: a driver on another mechanism replaces what is behind it.
//!
//! Beside TLS records it never parses a byte, never decides what a connection may do, never blocks except in [`Sockets::enter`], and
//! holds nothing for an idle connection but its descriptor and flags.

mod doorbell;
mod inherited;
mod listener;
mod offload;
mod operation;
mod peer_name;
mod receive;
mod ring;
mod secure;
mod send;
mod sockets;
mod table;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use doorbell::Doorbell;
pub(crate) use inherited::{InheritError, Inherited, SUPERVISOR, name_of};
pub(crate) use listener::{ListenError, Listeners, duplicate};
pub(crate) use operation::Completion;
pub(crate) use ring::Ring;
pub(crate) use sockets::{Happened, SocketMetrics, Sockets};
pub(crate) use table::Descriptor;
pub(crate) use tls::kernel::suites as kernel_tls_suites;
