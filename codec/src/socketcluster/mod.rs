//! The SocketCluster protocol, versions 2, 1 and 0, both directions: JSON packets in WebSocket text messages. It never
//! keeps anything per connection, and never answers by itself: what a packet means for a connection is decided above.
//!
//! One text message is a heartbeat, a packet, or an array of packets:
//!
//! ```text
//! {"event":"app.square","data":25,"cid":7}     a call; without cid no answer is wanted
//! {"rid":7,"data":625}   {"rid":7,"error":…}   its answer
//! {"event":"#publish","data":{"channel":…,"data":…}}
//! ""   "#2"   "2"                              answers to a heartbeat in the dialects v2, v1 and v0
//! ```
//!
//! Reserved are the events that begin with `#`. One that we do not know is a call like any other, as in v2 servers: the
//! application cannot have an action of that name, so that a caller who waits gets an error.

pub mod client;
mod decode;
mod dialect;
pub mod encode;
pub mod errors;
mod packet;
mod token;
pub mod v09;

pub use decode::{DecodeError, Decoder, Limits, Messages};
pub use dialect::Dialect;
pub use token::TokenError;
