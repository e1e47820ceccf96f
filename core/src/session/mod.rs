//! Sessions outside of the shards: the cookie that proves one, the stores that keep them, and what a shard's application
//! needs to use them. What a session is, and who decides about it, is the shard crate's business.

mod cookie;
mod error;
mod file;
mod keys;
mod local;
mod port;
mod service;
mod store;

pub(crate) use error::SessionStartError;
pub(crate) use local::LocalSessions;
pub(crate) use service::SessionService;
pub use store::{LoadDone, SaveDone, SessionSave, SessionStore, StoreError};
