//! The bounds of what an application may have under way on one shard, each with its unit, default and arithmetic.

use std::time::Duration;

/// Bounds of the application's own queues on one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppLimits {
    /// Publications, events and other commands waiting for the shard; more are refused with a busy error. 65,536: the
    /// queue is emptied after every call, so this is what one action may ask for before it awaits.
    pub commands_max: usize,
    /// Bytes of those. 64 MiB: the above at 1 KiB each.
    pub command_bytes_max: usize,
    /// Pending actions, hooks and spawned tasks; calls above it are answered with a busy error. 100,000: at about
    /// 1 KiB each that is 100 MB.
    pub tasks_max: usize,
    /// Sleeps under way; one more panics in the task that asks for it. 1,000,000: some for each task.
    pub timers_max: usize,
    /// Names that one event may be addressed to; more are refused with an error. 10,000: with the longest names 2.5 MB for
    /// each shard.
    pub recipients_max: usize,
    /// How long a client may take to answer an event ([`Peer::invoke`](super::Peer::invoke)). 10 s, as in the other
    /// direction.
    pub client_call_timeout: Duration,
}

impl Default for AppLimits {
    fn default() -> Self {
        Self {
            commands_max: 65_536,
            command_bytes_max: 64 << 20,
            tasks_max: 100_000,
            timers_max: 1_000_000,
            recipients_max: 10_000,
            client_call_timeout: Duration::from_secs(10),
        }
    }
}
