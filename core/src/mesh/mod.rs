//! The mesh: one bounded lane from each shard to each other, batches of envelopes in it, doorbells beside it.
//!
//! It never waits and never loses: a full lane gives the batch back to its shard, which keeps it in front of what
//! follows, and the receiver rings the sender's bell when there is room. No shard ever waits for a lane while it could
//! empty its own, which is why the mesh cannot lock up, whatever the capacity.
//!
//! It is single links, each made for the lives of two shards: when one of them dies, the other drops its end, and the
//! successor gets a new one.

mod lane;
mod link;
mod roll;

pub(crate) use link::{Link, Metrics, mesh};
pub(crate) use roll::{Notice, Roll};
