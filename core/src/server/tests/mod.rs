//! The loop against the kernel: real sockets on the loopback, an application that echoes, and the situations in which
//! loops like this one go wrong. Behaviour only: nothing here measures time, every wait ends with a condition or fails at
//! its deadline.

mod client;
mod host;
mod running;

mod buffers;
mod descriptors;
mod direct;
mod ending;
mod executors;
mod meshed;
mod periodic;
mod pressure;
mod replacing;
mod sessions;
mod spinning;
mod stopping;
