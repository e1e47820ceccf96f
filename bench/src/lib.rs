//! What the benchmarks share: shards without sockets, applications for them, and the hottest paths as repeatable cases.
//! It never reads a clock and draws no randomness, so that two runs of one case execute the same instructions.

mod application;
pub mod cases;
mod echo;
mod world;

pub use application::application;
pub use echo::Echo;
pub use world::{World, frame};
