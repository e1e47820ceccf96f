//! Users: who a token is about, and who counts as online.

use std::time::Duration;

use clap::Args;

use crate::config::{count, duration};

/// The group "Users".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Users")]
pub(super) struct UserFlags {
    /// Claim of a token that names its user
    ///
    /// A text of 1 to 255 bytes without control characters, or a whole number. Change it for tokens that others sign: sub
    /// is what most of them use, username what SocketCluster's examples do. A token without it is good, and nobody's.
    #[arg(long, value_name = "NAME", env = "SOCKETSHARD_USER_CLAIM", default_value = "user_id", value_parser = claim)]
    pub(super) user_claim: String,

    /// Do not keep who is online
    ///
    /// Events to users arrive all the same; questions for who is online are answered with nobody.
    #[arg(long, env = "SOCKETSHARD_NO_USERS_ONLINE")]
    pub(super) no_users_online: bool,

    /// How often a user's connections are asked for a sign of life, at least
    ///
    /// Range: 100ms to 1h. It shortens --ping-interval for connections that are logged in, and never lengthens it.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_USER_HEARTBEAT", default_value = "30s",
        value_parser = duration::within(Duration::from_millis(100)..=Duration::from_secs(3_600)),
    )]
    pub(super) user_heartbeat: Duration,

    /// Silence after which a user counts as offline
    ///
    /// Range: 200ms to 2h, of all connections of the user; up to five seconds longer, as a sweep finds it. They stay open
    /// until --ping-timeout ends them, and the user is online again when one is heard from.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_USER_SILENCE", default_value = "60s",
        value_parser = duration::within(Duration::from_millis(200)..=Duration::from_secs(7_200)),
    )]
    pub(super) user_silence: Duration,

    /// Users in one answer to the question for who is online or in a channel
    ///
    /// Range: 1 to 100k; larger pages are cut to it. A page is put together in one pass of the loop.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_USER_PAGE", default_value = "1k",
        value_parser = count::within::<usize>(1..=100_000),
    )]
    pub(super) max_user_page: usize,
}

fn claim(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("a claim has a name") } else { Ok(text.to_owned()) }
}
