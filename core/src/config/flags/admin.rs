//! Listeners for operators and backends.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::config::{Secret, address, count};

/// The group "Admin".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Admin")]
pub(super) struct AdminFlags {
    /// Serve metrics and the server API on this address (repeatable)
    ///
    /// Written like --listen; plain HTTP. There are /metrics for Prometheus, /stats.json, /healthz, /readyz, and with a key
    /// the server API below /api. An address that other machines can reach needs a key. Set it where the server is watched,
    /// or where backends publish.
    #[arg(
        long, value_name = "HOST:PORT", env = "SOCKETSHARD_ADMIN_LISTEN", value_delimiter = ',',
        value_parser = address::parse,
    )]
    pub(super) admin_listen: Vec<SocketAddr>,

    /// The file with the key of the admin listener
    ///
    /// At least 32 characters, as `openssl rand -hex 32` makes them. Whoever shows it as Authorization: Bearer KEY may read the
    /// counters and use the server API, which is off without a key. The key may be given in SOCKETSHARD_ADMIN_KEY instead.
    #[arg(long, value_name = "FILE", env = "SOCKETSHARD_ADMIN_KEY_FILE")]
    pub(super) admin_key_file: Option<PathBuf>,

    /// The key itself: by the environment only, because everybody can list the arguments of processes
    #[arg(
        long, value_name = "KEY", env = "SOCKETSHARD_ADMIN_KEY", hide = true, hide_env_values = true,
        value_parser = secret, conflicts_with = "admin_key_file",
    )]
    pub(super) admin_key: Option<Secret>,

    /// A name by which the admin listener may be asked for (repeatable)
    ///
    /// Requests are answered whose Host is an address, localhost, or one of these: a page that has its own name lead to
    /// this machine is not. Set it where the listener has a name.
    #[arg(long, value_name = "NAME", env = "SOCKETSHARD_ADMIN_HOST", value_delimiter = ',', value_parser = host)]
    pub(super) admin_host: Vec<String>,

    /// Requests per second to the admin listener from one address (0: no limit)
    ///
    /// Range: 0 to 1M, on each shard; above it requests get 429, with or without the key, and are not looked at. Set it where a
    /// backend might run wild, or where others than backends reach the listener.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_ADMIN_RATE", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) admin_rate: u32,
}

fn secret(text: &str) -> Result<Secret, &'static str> {
    if text.is_empty() { Err("a key has characters") } else { Ok(Secret::new(text)) }
}

fn host(text: &str) -> Result<String, &'static str> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_name) { Err("a name without a port") } else { Ok(text.to_owned()) }
}
