//! The mesh: one bounded lane from each shard to each other, batches of envelopes in it, doorbells beside it.
//!
//! It never waits and never loses: a full lane gives the batch back to its shard, which keeps it in front of what
//! follows, and the receiver rings the sender's bell when there is room. No shard ever waits for a lane while it could
//! empty its own, which is why the mesh cannot lock up, whatever the capacity.

mod lane;
mod link;

pub(crate) use link::{Link, Metrics, mesh};
