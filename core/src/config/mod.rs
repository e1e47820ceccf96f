//! What can be set, and how it is written: the settings, their units, their flags, their checks.

mod address;
mod admin;
mod check;
mod consumers;
pub(crate) mod count;
pub(crate) mod cpus;
pub(crate) mod duration;
mod environment;
mod flags;
mod key_file;
mod listing;
mod origin;
mod quantity;
mod secret;
pub(crate) mod session;
mod settings;
pub(crate) mod size;
mod tls;

pub use admin::AdminSettings;
pub(crate) use check::violations;
pub use codec::websocket::Limits as WebSocketLimits;
pub use consumers::ChannelPolicy;
pub(crate) use environment::mistaken_variables;
pub(crate) use flags::Flags;
pub use key_file::KeyFile;
pub(crate) use listing::rows;
pub use origin::AllowedOrigin;
pub(crate) use quantity::QuantityError;
pub use secret::Secret;
pub use session::SessionSettings;
pub use settings::{
    ApplicationSettings, AuthSettings, HttpSettings, LogFormat, LogLevel, LogSettings, OriginSettings, RingSettings,
    Settings, SupervisionSettings,
};
pub use shard::{CompressionLimits, Limits, Rate, RateLimits, SeatLimits, SessionLimits, SlowConsumer};
pub use tls::TlsSettings;
