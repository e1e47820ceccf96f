//! Engine.IO and Socket.IO: how often their clients are asked, and how much they may say at once.

use std::time::Duration;

use clap::Args;

use crate::config::{count, duration, size};

/// The group "Socket.IO".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Socket.IO")]
pub(super) struct EngineFlags {
    /// Between pings of Engine.IO
    ///
    /// Range: 100ms to 1h. Its clients are told, and do not take --ping-interval's word. Lower it where proxies cut
    /// silent connections sooner.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_ENGINE_PING_INTERVAL", default_value = "25s",
        value_parser = duration::within(Duration::from_millis(100)..=Duration::from_secs(3_600)),
    )]
    pub(super) engine_ping_interval: Duration,

    /// How long a client of Engine.IO may take to answer a ping
    ///
    /// Range: 100ms to 1h. Raise it for bad networks.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_ENGINE_PING_TIMEOUT", default_value = "20s",
        value_parser = duration::within(Duration::from_millis(100)..=Duration::from_secs(3_600)),
    )]
    pub(super) engine_ping_timeout: Duration,

    /// Bytes of one message of an Engine.IO client, or of one payload of long-polling
    ///
    /// Range: 1KiB to 64MiB. Where --max-message is more, that counts. These clients may have twice as much queued,
    /// whatever --outbox-bytes-max says. Lower it where nobody sends documents: every client may make the server hold
    /// this much.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_PAYLOAD", default_value = "2MiB",
        value_parser = size::within::<usize>((1 << 10)..=(64 << 20)),
    )]
    pub(super) max_payload: usize,

    /// Packets in one answer of long-polling
    ///
    /// Range: 1 to 10k; what is more waits for the next request. Stock Python clients take 16. Raise it where all clients
    /// take more.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_PAYLOAD_PACKETS", default_value = "16",
        value_parser = count::within::<usize>(1..=10_000),
    )]
    pub(super) max_payload_packets: usize,

    /// Binary attachments of one Socket.IO packet
    ///
    /// Range: 1 to 1k; more end the connection. Raise it together with the clients' own limit.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_ATTACHMENTS", default_value = "10",
        value_parser = count::within::<usize>(1..=1_000),
    )]
    pub(super) max_attachments: usize,

    /// How long a lost Socket.IO connection waits for its client (0: not at all)
    ///
    /// Range: 0s to 1h. The client comes back with its id, its rooms and its login, and hears what it has missed. Every event
    /// to clients of Socket.IO 3 and later then has a number as its last argument, which handlers see.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_RECOVERY_WINDOW", default_value = "0s",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(3_600)),
    )]
    pub(super) recovery_window: Duration,

    /// Lost connections of one shard that wait
    ///
    /// Range: 1 to 1M; one more ends the one that has waited longest. Raise it where whole networks come and go.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_RECOVERY_CONNECTIONS", default_value = "10k",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) max_recovery_connections: usize,

    /// Events kept for one connection that could come back
    ///
    /// Range: 1 to 1M; older ones are lost, and who needs one begins anew. Kept until the client has answered a ping.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_RECOVERY_PACKETS", default_value = "1k",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) max_recovery_packets: usize,

    /// Bytes of those events
    ///
    /// Range: 1KiB to 64MiB; as with their number.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_RECOVERY_BYTES", default_value = "256KiB",
        value_parser = size::within::<usize>((1 << 10)..=(64 << 20)),
    )]
    pub(super) max_recovery_bytes: usize,

    /// Bytes of the events kept for all connections of one shard
    ///
    /// Range: 1KiB to 64GiB; a publication counts for each of its receivers, though it is kept once. Raise it with the number
    /// of clients.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_RECOVERY_TOTAL", default_value = "64MiB",
        value_parser = size::within::<usize>((1 << 10)..=(64 << 30)),
    )]
    pub(super) max_recovery_total: usize,
}
