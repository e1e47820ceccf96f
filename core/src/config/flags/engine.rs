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
}
