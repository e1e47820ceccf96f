//! What the server tells its operator.

pub(crate) mod log;
mod throttle;
