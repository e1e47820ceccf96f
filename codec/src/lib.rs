//! SocketShard's wire formats: bytes to frames to messages, and back.
//!
//! This crate never does I/O, never reads a clock, draws no random numbers, and keeps nothing per connection beyond a
//! frame or message that is still incomplete. Every parser is incremental where its input arrives in pieces, bounded by
//! limits passed in, and fuzzed (`codec/fuzz`).

pub mod arguments;
pub mod base64;
pub mod engineio;
pub mod eventstream;
pub mod http;
pub mod json;
pub mod message;
pub mod name;
pub mod socketcluster;
pub mod socketio;
pub mod socketstream;
pub mod websocket;
