//! The bounds of sessions, each with its unit, default and arithmetic. Each is a flag of the server.

use std::time::Duration;

/// The limits of one shard's sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Sessions of one shard, homes and cached copies together; a connection that needs one more is refused. Default
    /// 1,000,000: 150 MB of empty ones.
    pub sessions_max: usize,
    /// Values of one session. 64: as many as a list is searched for quickly.
    pub keys_max: usize,
    /// Bytes of a value's name. 255, as of every other name here.
    pub key_bytes_max: usize,
    /// Bytes of one value's JSON. 16 KiB: a session is no database.
    pub value_bytes_max: usize,
    /// Bytes of all names and values of one session. 64 KiB: what one save and one snapshot may be.
    pub bytes_max: usize,
    /// Writes to one session from one shard that are not acknowledged; more are refused. 1,000.
    pub writes_max: usize,
    /// How long a session lives unused. 24 h.
    pub ttl: Duration,
    /// How long a shard keeps its copy after the last connection of the session is gone. 60 s: longer than a reload, a
    /// reconnect or a change of networks.
    pub cache: Duration,
    /// Whether each message asks the home first.
    pub reads_home: bool,
    /// Ids that a shard remembers not to be valid any more, for as long as a session lives. 100,000: about 5 MB; beyond,
    /// the oldest are forgotten, and their cookies open empty sessions.
    pub retired_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            sessions_max: 1_000_000,
            keys_max: 64,
            key_bytes_max: 255,
            value_bytes_max: 16 << 10,
            bytes_max: 64 << 10,
            writes_max: 1_000,
            ttl: Duration::from_secs(24 * 3600),
            cache: Duration::from_secs(60),
            reads_home: false,
            retired_max: 100_000,
        }
    }
}
