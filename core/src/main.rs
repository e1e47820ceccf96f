//! The socketshard binary.
fn main() {}
