//! Sessions under a virtual clock: browsers with several tabs on several shards, a store that is slow, fails and is full,
//! lanes that are full, shards that die, and crashes after which only the store is left; sessions that become users' and
//! nobody's, and whose connections the server puts into channels and takes out. Whole shards with real bytes on both sides;
//! what clients say after their handshakes is only that something is to be done, and the dice decide what.

mod application;
mod death;
mod oracle;
mod plan;
mod private;
mod register;
mod store;
mod world;

pub use private::PrivateReport;
pub use store::StoreReport;
pub use world::SessionReport;

/// Runs one seed. With `is_verbose`, everything that happens is printed.
///
/// # Panics
/// When anything is wrong: the message says what.
#[must_use]
pub fn run_sessions(seed: u64, is_verbose: bool) -> SessionReport {
    world::World::new(seed, None, is_verbose).run()
}

/// Runs one seed in which a shard dies when so many things have happened, and at times others soon after it.
///
/// # Panics
/// As [`run_sessions`].
#[must_use]
pub fn run_sessions_with_death(seed: u64, death: u64, is_verbose: bool) -> SessionReport {
    world::World::new(seed, Some(death), is_verbose).run()
}
