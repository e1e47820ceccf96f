//! Who looks after the server.

use std::time::Duration;

use clap::Args;

use crate::config::{count, duration};

/// The group "Supervision".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Supervision")]
pub(super) struct SupervisionFlags {
    /// Start the server again when it dies, and replace it on SIGUSR2
    ///
    /// A small parent holds the listening sockets, so that those who connect while there is no server wait instead of
    /// being refused. Use it where no service manager does this, or for deploys that refuse nobody.
    #[arg(long, env = "SOCKETSHARD_SUPERVISE")]
    pub(super) supervise: bool,

    /// How long a server that has died is waited with, the first time
    ///
    /// Range: 0s to 1m. Each death in a row doubles it, up to a hundred times as long. Raise it where a server that dies
    /// at its start hurts others.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_RESTART_DELAY", default_value = "100ms",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(60)),
    )]
    pub(super) restart_delay: Duration,

    /// Deaths in a row after which it is not started again
    ///
    /// Range: 0 to 1M. One that has served for a minute begins a new row. Raise it to be patient with a machine that has
    /// trouble of its own.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_RESTARTS", default_value = "10",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) max_restarts: u32,

    /// How long a server may give no sign of life before it is killed (0s: for ever)
    ///
    /// Range: 0s to 1h. It says three times in that time that every shard's loop goes round; an action that does not
    /// return stops one, and with it everybody on that shard. What was killed is started again. Raise it where actions compute for long, and switch it off
    /// to look at a server with a debugger.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_HANG_TIMEOUT", default_value = "30s",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(3_600)),
    )]
    pub(super) hang_timeout: Duration,
}
