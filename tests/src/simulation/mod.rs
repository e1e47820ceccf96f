//! N shards in one thread under a virtual clock: simulated sockets, mesh, clients and application, and an oracle that
//! knows who must have received what. It never touches a real socket, clock or thread: a seed is a run.
//!
//! ```text
//! plan     what the seed decides beforehand      world    the clock and what happens next
//! station  one shard, its sockets                pass     one pass of its driver
//! network  one connection's two directions       mesh     the lanes between shards
//! death    shards that die, and their successors, in any world; dying: in this one
//! actor    one client                            stream   what the server says to it, decoded
//! application  hooks, actions, commands          oracle   what is right: record (of a client),
//!                                                         ledger (of publications), subscription,
//!                                                         login, people
//! compression  what is offered and agreed to
//! ```

mod actor;
mod application;
mod carriers;
mod compression;
mod death;
mod dying;
mod ledger;
mod login;
mod mesh;
mod network;
mod oracle;
mod pass;
mod people;
mod plan;
mod record;
mod sessions;
mod station;
mod stream;
mod subscription;
mod trace;
mod world;

pub use carriers::{CarrierReport, run_carriers};
use death::Kill;
pub use sessions::{PrivateReport, SessionReport, StoreReport, run_sessions, run_sessions_with_death};
pub use world::Report;

/// Runs one seed. With `is_verbose`, everything that happens is printed.
///
/// # Panics
/// When anything is wrong: the message says what.
#[must_use]
pub fn run(seed: u64, is_verbose: bool) -> Report {
    world::World::new(seed, plan::Plan::new(seed), Kill::Nothing, is_verbose).run()
}

/// Runs a seed with a short storm, in which the connection of one client is reset when so many things have happened.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_with_kill(seed: u64, kill: Option<u64>, is_verbose: bool) -> Report {
    let kill = kill.map_or(Kill::Nothing, Kill::Connection);
    world::World::new(seed, plan::Plan::brief(seed), kill, is_verbose).run()
}

/// Runs a seed with few clients that fall silent for long.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_drowsily(seed: u64, is_verbose: bool) -> Report {
    world::World::new(seed, plan::Plan::drowsy(seed), Kill::Nothing, is_verbose).run()
}

/// The same as [`run_with_kill`], but that a shard dies then, and at times others soon after it.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_with_death(seed: u64, death: u64, is_verbose: bool) -> Report {
    world::World::new(seed, plan::Plan::brief(seed), Kill::Shard(death), is_verbose).run()
}
