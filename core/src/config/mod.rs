//! What can be set, and how it is written: the settings, their units, their flags, their checks.

mod address;
mod check;
pub(crate) mod count;
pub(crate) mod cpus;
pub(crate) mod duration;
mod environment;
mod flags;
mod listing;
mod quantity;
mod settings;
pub(crate) mod size;

pub(crate) use check::violations;
pub use codec::websocket::Limits as WebSocketLimits;
pub(crate) use environment::mistaken_variables;
pub(crate) use flags::Flags;
pub(crate) use listing::rows;
pub(crate) use quantity::QuantityError;
pub use settings::{ApplicationSettings, LogFormat, LogLevel, LogSettings, RingSettings, Settings};
pub use shard::{Limits, SlowConsumer};
