//! WebSocket (RFC 6455), server and client direction: the handshake, frames to messages and back, and permessage-deflate
//! (RFC 7692) for who asks for it. No connection holds memory here unless a message is incomplete or a context is kept.

pub mod close;
pub mod decode;
pub mod deflate;
pub mod encode;
pub mod error;
pub mod extension;
pub mod handshake;
mod header;
pub mod inflate;
mod mask;
mod partial;

pub use decode::{Decoder, Limits, Message, Messages};
pub use error::WebSocketError;
pub use header::{Opcode, Role};
pub use mask::unmask;
