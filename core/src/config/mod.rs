//! What can be set, and how it is written: the settings, their units, their flags, their checks.

mod settings;

pub use codec::websocket::Limits as WebSocketLimits;
pub use settings::{LogFormat, LogLevel, LogSettings, RingSettings, Settings};
pub use shard::{Limits, SlowConsumer};
