//! The client's side of SocketCluster: what a client sends, and what it makes of what it gets. The load generator and
//! the tests speak through it. It never keeps state: counting call ids and answering pings is the caller's.

mod decode;
mod encode;

pub use decode::{Decoder, ServerMessage, ServerMessages};
pub use encode::{authenticate, disconnect, handshake, invoke, publish, remove_auth_token, reply, reply_error};
pub use encode::{subscribe, subscribe_plain, unsubscribe};
