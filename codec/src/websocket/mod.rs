//! WebSocket (RFC 6455), server and client direction: the handshake, frames to messages and back. No extension is ever
//! negotiated; no connection holds memory here unless a message is incomplete.

pub mod close;
pub mod decode;
pub mod encode;
pub mod error;
pub mod handshake;
mod header;
mod mask;
mod partial;

pub use decode::{Decoder, Limits, Message, Messages};
pub use error::WebSocketError;
pub use header::{Opcode, Role};
pub use mask::unmask;
