//! The server under load: its address, a first conversation with it, or its process when we start it ourselves.

mod address;
mod probe;
mod spawn;

pub(crate) use address::Address;
pub(crate) use probe::probe;
pub(crate) use spawn::Spawned;
