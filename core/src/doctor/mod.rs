//! `socketshard doctor`: what stands in the way of a server on this machine, what it costs, and how to change it. It only
//! reads, needs no privilege, and says of what it cannot read that it is unknown.

mod capacity;
mod container;
mod cpus;
mod diagnosis;
mod finding;
mod kernel;
mod limits;
mod machine;
mod network;
#[cfg(test)]
mod tests;

pub(crate) use diagnosis::examine;
pub(crate) use machine::Machine;
