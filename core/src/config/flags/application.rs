//! How much the application may have under way. It states its own limits in its code; these flags are the operator's
//! last word on them.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::app::AckShape;
use crate::config::{count, duration, size};

/// The group "Application".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Application")]
pub(super) struct ApplicationFlags {
    /// Unfinished actions, hooks and spawned tasks of one shard
    ///
    /// Range: 1 to 16M; calls beyond are answered with a busy error. In the place of the application's own limit (100k
    /// if it states none). Lower it to bound memory, raise it for very many slow actions.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_TASKS",
        value_parser = count::within::<usize>(1..=16_000_000),
    )]
    pub(super) max_tasks: Option<usize>,

    /// Sleeps under way on one shard
    ///
    /// Range: 1 to 16M; one more fails the task that asks for it. In the place of the application's own limit (1M if it
    /// states none). Raise it together with --max-tasks.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_TIMERS",
        value_parser = count::within::<usize>(1..=16_000_000),
    )]
    pub(super) max_timers: Option<usize>,

    /// Publications and other commands the application may queue in one go
    ///
    /// Range: 1 to 16M; more are refused with a busy error. In the place of the application's own limit (65536 if it
    /// states none). Raise it for actions that publish to very many channels at once.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_COMMANDS",
        value_parser = count::within::<usize>(1..=16_000_000),
    )]
    pub(super) max_commands: Option<usize>,

    /// Users, sessions or channels that one event may be addressed to
    ///
    /// Range: 1 to 1M; more are refused with an error. In the place of the application's own limit (10k if it states
    /// none). Each name travels to every shard.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_RECIPIENTS",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) max_recipients: Option<usize>,

    /// How long a client may take to answer an event of the server
    ///
    /// Range: 100ms to 1h, where the action does not say otherwise. In the place of the application's own limit (10s if it
    /// states none).
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_CLIENT_CALL_TIMEOUT",
        value_parser = duration::within(Duration::from_millis(100)..=Duration::from_secs(3_600)),
    )]
    pub(super) client_call_timeout: Option<Duration>,

    /// Bytes of those commands
    ///
    /// Range: 4KiB to 16GiB; more are refused with a busy error. In the place of the application's own limit (64MiB if it
    /// states none). Raise it together with --max-commands.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_COMMAND_BYTES",
        value_parser = size::within::<usize>((4 << 10)..=(16 << 30)),
    )]
    pub(super) max_command_bytes: Option<usize>,

    /// The arguments of a Socket.IO acknowledgement
    ///
    /// In the place of the application's own word: `single` (the result, or {"error":...}) if it has none, as emitWithAck
    /// and Python's call want it. `error-first` is null or an error, then the result.
    #[arg(long, value_name = "SHAPE", env = "SOCKETSHARD_ACK_SHAPE", value_parser = ack_shapes())]
    pub(super) ack_shape: Option<AckShape>,

    /// Whether Socket.IO's clients join, leave and publish to channels by events
    ///
    /// In the place of the application's own word, `off` if it has none. The events are `subscribe`, `unsubscribe` and
    /// `publish`; the application's hooks are asked as for any client.
    #[arg(long, value_name = "SWITCH", env = "SOCKETSHARD_CHANNEL_EVENTS", value_parser = switch())]
    pub(super) channel_events: Option<bool>,
}

fn ack_shapes() -> impl TypedValueParser<Value = AckShape> {
    PossibleValuesParser::new(["error-first", "single"])
        .map(|name| if name == "single" { AckShape::Single } else { AckShape::ErrorFirst })
}

fn switch() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|name| name == "on")
}
