//! Sessions: what the tabs of one browser share, on whichever shards their connections are. Each has a home shard, which
//! orders its writes; every other shard with a connection of it holds a copy.

mod attach;
mod cached;
mod check;
mod copy;
mod home;
mod id;
mod limits;
mod message;
mod operation;
mod record;
mod restore;
mod store;
mod sweep;
mod table;
mod values;
mod work;

pub(crate) use attach::{Attached, Waiting};
pub(crate) use copy::NO_SLOT;
pub use copy::{Receipt, Session, WriteToken};
pub use id::{NoSessionId, SessionId};
pub use limits::SessionLimits;
pub use message::{OpenError, SessionMessage, SessionMessageKind};
pub use operation::{Operation, WriteError, Written};
pub use record::{Record, Stored};
pub(crate) use restore::Restore;
pub use store::{SessionConfig, StoreFailed, StoreRequest};
pub use table::Sessions;
pub(crate) use work::SessionWork;
