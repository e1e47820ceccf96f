//! What the server tells its operator.

pub(crate) mod board;
pub(crate) mod log;
mod throttle;
