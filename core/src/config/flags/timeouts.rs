//! How long the server waits for what.

use std::time::Duration;

use clap::Args;

use crate::config::duration;

/// The group "Time-outs".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Time-outs")]
pub(super) struct TimeoutFlags {
    /// Between pings to a client
    ///
    /// Range: 100ms to 1h. Lower it where proxies cut silent connections sooner; raise it to let phones sleep.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_PING_INTERVAL", default_value = "8s",
        value_parser = duration::within(millis(100)..=hours(1)),
    )]
    pub(super) ping_interval: Duration,

    /// Silence after which a client counts as gone
    ///
    /// Range: 200ms to 2h, and more than --ping-interval. Lower it to notice lost clients sooner; raise it for bad
    /// networks.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_PING_TIMEOUT", default_value = "20s",
        value_parser = duration::within(millis(200)..=hours(2)),
    )]
    pub(super) ping_timeout: Duration,

    /// From accepting a connection to the end of its handshakes
    ///
    /// Range: 100ms to 10m. Lower it against peers that connect and wait; raise it for very slow networks.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_HANDSHAKE_TIMEOUT", default_value = "10s",
        value_parser = duration::within(millis(100)..=minutes(10)),
    )]
    pub(super) handshake_timeout: Duration,

    /// From the end of an HTTP request's head to the end of its body
    ///
    /// Range: 100ms to 1h; then it is answered with 408. Raise it together with --max-body for slow networks.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_BODY_TIMEOUT", default_value = "30s",
        value_parser = duration::within(millis(100)..=hours(1)),
    )]
    pub(super) body_timeout: Duration,

    /// How long an action may take before its caller gets an error
    ///
    /// Range: 10ms to 1h. Clients give up by themselves after 10s as a rule; raise both for slow actions.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_CALL_TIMEOUT", default_value = "10s",
        value_parser = duration::within(millis(10)..=hours(1)),
    )]
    pub(super) call_timeout: Duration,

    /// How long a client may read nothing of what it was sent
    ///
    /// Range: 100ms to 1h; then the connection is ended. Raise it for clients that pause for long.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_SEND_TIMEOUT", default_value = "30s",
        value_parser = duration::within(millis(100)..=hours(1)),
    )]
    pub(super) send_timeout: Duration,

    /// How long a client's network may acknowledge nothing of what it was sent
    ///
    /// Range: 100ms to 24h; then the kernel ends the connection. This finds clients that only listen and have gone without
    /// a word, as event streams do. By default the longest of --ping-timeout, --send-timeout and Engine.IO's interval and
    /// time-out together, so that no client is given up earlier than by these.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_ACK_TIMEOUT", value_parser = duration::within(millis(100)..=hours(24)),
    )]
    pub(super) ack_timeout: Option<Duration>,

    /// From the server's closing word to the end of the connection
    ///
    /// Range: 10ms to 10m. Raise it when clients on slow networks miss the reason of a close.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_CLOSE_TIMEOUT", default_value = "5s",
        value_parser = duration::within(millis(10)..=minutes(10)),
    )]
    pub(super) close_timeout: Duration,

    /// How long an HTTP connection may stay open without a request
    ///
    /// Range: 100ms to 24h. Keep it above the proxy's own keep-alive time, or the proxy sees resets.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_IDLE_TIMEOUT", default_value = "60s",
        value_parser = duration::within(millis(100)..=hours(24)),
    )]
    pub(super) idle_timeout: Duration,
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}
