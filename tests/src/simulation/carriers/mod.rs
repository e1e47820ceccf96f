//! Clients of Socket.IO whose transports come and go: they poll, go over to a WebSocket in the middle, lose what carries them
//! and come back to their connections, on whichever shard; several of them share an address that has few seats; and shards
//! die. Whole shards with real bytes on both sides. Clients are the reference's: whose transport fails, comes back
//! with its private id, and begins anew where it is not known.
//!
//! ```text
//! person   one client, packet by packet      oracle  who must hear what, who must be known again
//! socket   one TCP connection of a client    seats   how many may hold seats, and how many do
//! world    the clock, the passes             application  hooks, and who has made which secret
//! ```

mod application;
mod oracle;
mod person;
mod plan;
mod seats;
mod socket;
mod world;

pub use world::CarrierReport;

/// Runs one seed; with `death`, a shard dies when so many things have happened, and at times others soon after it.
/// With `is_verbose`, everything that happens is printed.
///
/// # Panics
/// When anything is wrong: the message says what.
#[must_use]
pub fn run_carriers(seed: u64, death: Option<u64>, is_verbose: bool) -> CarrierReport {
    world::World::new(seed, death, is_verbose).run()
}
