//! How the server stops, and when it does not.

use std::time::Duration;

use clap::Args;

use crate::config::{count, duration};

/// The group "Stopping".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Stopping")]
pub(super) struct StopFlags {
    /// From the signal to stop to the end at the latest
    ///
    /// Range: 0s to 1h. Clients are told to reconnect elsewhere (1001) and given this long to read what is queued for
    /// them. Keep it below the service manager's own stop time-out.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_DRAIN", default_value = "10s",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(3600)),
    )]
    pub(super) drain: Duration,

    /// The part of --drain over which clients are told to leave one by one
    ///
    /// Range: 0s to 1h, below --drain. Meanwhile everybody is served, those who come as well, and /readyz says 503, so
    /// that a balancer sends nobody more. It ends early when everybody has left. Set it where a crowd that reconnects at
    /// once would hurt: --drain 30s --drain-spread 20s.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_DRAIN_SPREAD", default_value = "0s",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(3600)),
    )]
    pub(super) drain_spread: Duration,

    /// Shards that may fail within a minute and are replaced
    ///
    /// Range: 0 to 1k. A shard fails by a bug, in the server or in an application's code outside of its fence. Its clients
    /// lose their connections and come back, the others notice nothing. One failure more ends the server with exit code 70, so
    /// that what does not stop failing is seen. Set it to 0 where every failure shall be.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_SHARD_RESTARTS", default_value = "5",
        value_parser = count::within::<u32>(0..=1_000),
    )]
    pub(super) shard_restarts: u32,

    /// Connections told to leave per pass while stopping
    ///
    /// Range: 1 to 1M. Lower it to spread the reconnects of a large crowd over more time.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_DRAIN_BATCH", default_value = "1k",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) drain_batch: usize,
}
