//! How much one peer, and all of them, may take.

use clap::Args;

use crate::config::{count, size};

/// The group "Limits".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitFlags {
    /// Open connections per shard
    ///
    /// Range: 1 to 16M; more are closed at once. The kernel's limit of open files must allow as many. Lower it to what
    /// the memory holds.
    #[arg(
        long, visible_alias = "max-conns", value_name = "COUNT",
        env = "SOCKETSHARD_MAX_CONNECTIONS", default_value = "1M",
        value_parser = count::within::<usize>(1..=16_000_000),
    )]
    pub(super) max_connections: usize,

    /// Resident memory of the process above which nobody is let in (0: no guard)
    ///
    /// Range: 0 to 65536GiB. Above nine eighths of it those who have the most waiting are ended, too. Set it to three quarters
    /// of what the machine or the container has for the server, so that the kernel does not end all of it at once.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MEMORY_MAX", default_value = "0",
        value_parser = size::within::<u64>(0..=(64 << 40)),
    )]
    pub(super) memory_max: u64,

    /// Connections from one address (0: no limit)
    ///
    /// Range: 0 to 16M, over all shards; more are answered with 429. Of IPv6 the first 64 bits of the address count. Set
    /// it where clients come directly: behind a proxy all of them come from the proxy's address, and people behind one
    /// router share theirs.
    #[arg(
        long, visible_alias = "max-conns-per-ip", value_name = "COUNT",
        env = "SOCKETSHARD_MAX_CONNECTIONS_PER_ADDRESS", default_value = "0",
        value_parser = count::within::<u32>(0..=16_000_000),
    )]
    pub(super) max_connections_per_address: u32,

    /// WebSockets of one session (0: no limit)
    ///
    /// Range: 0 to 16M, over all shards; more are answered with 429. Set it to the number of tabs that a person may have
    /// open. A client without cookies has a session for each connection.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_CONNECTIONS_PER_SESSION", default_value = "0",
        value_parser = count::within::<u32>(0..=16_000_000),
    )]
    pub(super) max_connections_per_session: u32,

    /// WebSockets of one user (0: no limit)
    ///
    /// Range: 0 to 16M, over all shards; one more is closed with 4429 when it has logged in. Set it to the number of devices
    /// and tabs that a person may have open.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_CONNECTIONS_PER_USER", default_value = "0",
        value_parser = count::within::<u32>(0..=16_000_000),
    )]
    pub(super) max_connections_per_user: u32,

    /// Bytes of one message from a client
    ///
    /// Range: 1KiB to 64MiB; a longer one ends the connection with 1009. Raise it together with --outbox-bytes-max when
    /// clients send large documents; every client may make the server hold this much.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_MESSAGE", default_value = "128KiB",
        value_parser = size::within::<usize>((1 << 10)..=(64 << 20)),
    )]
    pub(super) max_message: usize,

    /// Fragments of one message
    ///
    /// Range: 1 to 1M; more end the connection. Change it only for a client that streams in tiny pieces.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_FRAGMENTS", default_value = "1024",
        value_parser = count::within::<u32>(1..=1_000_000),
    )]
    pub(super) max_fragments: u32,

    /// Bytes of an HTTP request head
    ///
    /// Range: 1KiB to 1MiB; a longer one is answered with 431. Raise it when a proxy adds long headers.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_HEAD", default_value = "16KiB",
        value_parser = size::within::<usize>((1 << 10)..=(1 << 20)),
    )]
    pub(super) max_head: usize,

    /// Bytes of an HTTP request's body
    ///
    /// Range: 1KiB to 64MiB; a longer one is answered with 413. Raise it when clients upload documents to actions; every
    /// client may make the server hold this much.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_BODY", default_value = "1MiB",
        value_parser = size::within::<usize>((1 << 10)..=(64 << 20)),
    )]
    pub(super) max_body: usize,

    /// Channels one connection may be subscribed to
    ///
    /// Range: 1 to 1M; a subscription beyond is refused with an error. Raise it for pages that watch many things.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_SUBSCRIPTIONS", default_value = "1k",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) max_subscriptions: usize,

    /// Subscriptions from one address on one shard (0: no limit)
    ///
    /// Range: 0 to 16M, of all its connections; one more is refused with an error. Each shard counts for itself. Of IPv6 the
    /// first 64 bits of the address count. Set it where clients come directly, as --max-connections-per-address.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_SUBSCRIPTIONS_PER_ADDRESS", default_value = "0",
        value_parser = count::within::<u32>(0..=16_000_000),
    )]
    pub(super) max_subscriptions_per_address: u32,

    /// Subscriptions of one user on one shard (0: no limit)
    ///
    /// Range: 0 to 16M, of all its connections; one more is refused with an error. Each shard counts for itself. Set it to
    /// what a page subscribes to, times the tabs and devices that a person may have open.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_SUBSCRIPTIONS_PER_USER", default_value = "0",
        value_parser = count::within::<u32>(0..=16_000_000),
    )]
    pub(super) max_subscriptions_per_user: u32,

    /// Channels with subscribers on one shard
    ///
    /// Range: 1 to 16M; a subscription to one more is refused with an error. Lower it to bound memory where clients
    /// choose the channels' names.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_CHANNELS", default_value = "1M",
        value_parser = count::within::<usize>(1..=16_000_000),
    )]
    pub(super) max_channels: usize,

    /// Unanswered calls of one connection
    ///
    /// Range: 1 to 10k; more are answered with an error. Raise it for a client that is itself a server.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_CALLS", default_value = "100",
        value_parser = count::within::<usize>(1..=10_000),
    )]
    pub(super) max_calls: usize,

    /// Events of the server that one connection has to answer
    ///
    /// Range: 1 to 10k; the application is refused more with a busy error. Raise it for a client that is itself a server.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_CLIENT_CALLS", default_value = "100",
        value_parser = count::within::<usize>(1..=10_000),
    )]
    pub(super) max_client_calls: usize,

    /// Packets in one message from a client
    ///
    /// Range: 1 to 100k; a message of more is not looked at. Raise it for a client that batches more than that.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_BATCH", default_value = "1k",
        value_parser = count::within::<usize>(1..=100_000),
    )]
    pub(super) max_batch: usize,

    /// Levels of nesting in a client's JSON
    ///
    /// Range: 4 to 1k; what is nested deeper is not looked at. Raise it only if the application's own data is that
    /// deep: many programs that read JSON use a stack.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_DEPTH", default_value = "64",
        value_parser = count::within::<usize>(4..=1_000),
    )]
    pub(super) max_depth: usize,

    /// Bytes of a channel's name
    ///
    /// Range: 16 to 64KiB. Raise it when names are built from long keys; each name is kept on every shard that has
    /// subscribers.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_CHANNEL_NAME", default_value = "255",
        value_parser = size::within::<usize>(16..=(64 << 10)),
    )]
    pub(super) max_channel_name: usize,

    /// Bytes of an action's name
    ///
    /// Range: 16 to 64KiB. Raise it only for an application whose own names are longer.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_ACTION_NAME", default_value = "255",
        value_parser = size::within::<usize>(16..=(64 << 10)),
    )]
    pub(super) max_action_name: usize,

    /// Bytes of the id with which a client numbers its calls
    ///
    /// Range: 24 to 1KiB. Raise it for a client of your own with long ids.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_CALL_ID", default_value = "64",
        value_parser = size::within::<usize>(24..=(1 << 10)),
    )]
    pub(super) max_call_id: usize,
}
