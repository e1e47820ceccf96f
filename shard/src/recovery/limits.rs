//! The bounds of recovery, with their units and defaults.

use std::time::Duration;

/// Limits of what is kept for clients that come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryLimits {
    /// How long a connection waits for its client. 0: nothing is kept, no event is numbered.
    pub window: Duration,
    /// Connections of this shard that wait; one more, and the one that has waited longest ends. 10,000: a shard's worth of
    /// a network that fails, at some 500 bytes each besides their events.
    pub connections_max: usize,
    /// Events kept for one connection. 1,000: eight in a second, for two minutes.
    pub packets_max: usize,
    /// Their bytes. 256 KiB: those at 256 bytes each; it is what may be said at once to a client that comes back.
    pub bytes_max: usize,
    /// Bytes kept for all connections of this shard; a publication counts for each of its receivers. 64 MiB.
    pub total_bytes_max: usize,
}

impl Default for RecoveryLimits {
    fn default() -> Self {
        Self {
            window: Duration::ZERO,
            connections_max: 10_000,
            packets_max: 1_000,
            bytes_max: 256 << 10,
            total_bytes_max: 64 << 20,
        }
    }
}
