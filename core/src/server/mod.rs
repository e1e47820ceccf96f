//! Running a server: checks, placement, one executor per shard, the loop in each, signals, stopping. It never parses a
//! flag and never sees a message.

mod application;
mod checks;
mod control;
mod deaths;
mod driver;
mod entrance;
mod error;
mod executor;
mod guard;
mod memory;
mod notify;
mod placement;
mod reactor;
mod refusals;
mod report;
mod run;
mod shutdown;
mod signals;
mod spin;
mod supervisor;
#[cfg(test)]
mod tests;

pub(crate) use application::{Application, ChannelPolicies, ChannelTest};
pub(crate) use checks::ring as probe_ring;
pub(crate) use error::StartError;
pub(crate) use memory::refuse_huge_pages;
pub(crate) use placement::Placement;
pub(crate) use run::{check_keys, run};
