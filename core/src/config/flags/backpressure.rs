//! What happens where messages come in faster than they go out: to slow consumers, and between shards.

use clap::Args;

use crate::config::consumers::{self, Consumers};
use crate::config::{count, size};

/// The group "Slow consumers".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Slow consumers")]
pub(super) struct ConsumerFlags {
    /// What happens to subscribers that do not keep up (repeatable)
    ///
    /// Written POLICY for all channels, CHANNEL=POLICY or PREFIX*=POLICY for some; the first that matches counts, and
    /// before what the application says. close: who has --outbox-bytes-max queued is disconnected with 1013, and may
    /// reconnect and start afresh. The others keep the connection, and drop what has not begun to leave: drop-newest what
    /// comes while --outbox-high-water-mark waits, drop-oldest what has waited longest, conflate all but the latest of
    /// each channel. Choose conflate for prices and positions, drop-oldest for news, close where nothing may be missing.
    #[arg(
        long, value_name = "POLICY", env = "SOCKETSHARD_SLOW_CONSUMER", default_value = "close", value_delimiter = ',',
        value_parser = consumers::parse,
    )]
    pub(super) slow_consumer: Vec<Consumers>,

    /// Sends of one pass to connections that only hear publications
    ///
    /// Range: 1 to 1M. The subscribers of a huge channel are sent to over several passes, so that others are answered
    /// in between. Raise it where throughput of huge channels matters more than the latency of everybody else.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_SENDS_PER_PASS", default_value = "256",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) sends_per_pass: usize,

    /// Bytes queued for a connection above which the server stops reading from it
    ///
    /// Range: 1KiB to 1GiB, at most --outbox-bytes-max. Publications that --slow-consumer may drop wait up to it as well.
    /// Raise it for clients that call much and read in bursts.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_OUTBOX_HIGH_WATER_MARK", default_value = "256KiB",
        value_parser = size::within::<usize>((1 << 10)..=(1 << 30)),
    )]
    pub(super) outbox_high_water_mark: usize,

    /// Bytes queued for a connection at which it counts as a slow consumer
    ///
    /// Range: 2KiB to 1GiB, at least twice --max-message. Raise it for bursts of publications to clients on slow
    /// networks; every connection may make the server hold this much.
    #[arg(
        long, visible_alias = "out-buffer", value_name = "SIZE",
        env = "SOCKETSHARD_OUTBOX_BYTES_MAX", default_value = "1MiB",
        value_parser = size::within::<usize>((2 << 10)..=(1 << 30)),
    )]
    pub(super) outbox_bytes_max: usize,
}

/// The group "Between shards".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Between shards")]
pub(super) struct LaneFlags {
    /// Batches under way from one shard to another
    ///
    /// Range: 1 to 65536, rounded up to a power of two. One batch carries everything a shard has for a peer in one
    /// pass, so a small number is enough; more only adds memory.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_LANE_CAPACITY", default_value = "64",
        value_parser = count::within::<usize>(1..=65_536),
    )]
    pub(super) lane_capacity: usize,

    /// Bytes queued for another shard above which its publishers are not read
    ///
    /// Range: 4KiB to 1GiB. Nothing is lost between shards: a publisher waits instead. Raise it for bursts of large
    /// publications.
    #[arg(
        long, visible_alias = "lane-bytes-max", value_name = "SIZE",
        env = "SOCKETSHARD_LANE_HIGH_WATER_MARK", default_value = "8MiB",
        value_parser = size::within::<usize>((4 << 10)..=(1 << 30)),
    )]
    pub(super) lane_high_water_mark: usize,
}
