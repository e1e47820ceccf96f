//! The test harness: real server processes, strict clients, and what both need from the system. It never skips: what
//! cannot be set up panics with the way to mend it.

pub mod http;
pub mod member;
pub mod process;
pub mod script;
pub mod server;
pub mod simulation;
pub mod system;
pub mod tls;
pub mod wait;
pub mod websocket;
