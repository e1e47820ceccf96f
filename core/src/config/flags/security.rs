//! Who may come in: keys of tokens, origins of pages.

use std::time::Duration;

use clap::Args;

use crate::config::{AllowedOrigin, KeyFile, Secret, duration, key_file, origin, size};

/// The group "Security".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Security")]
pub(super) struct SecurityFlags {
    /// A key that signs and verifies tokens (repeatable)
    ///
    /// Written [NAME@][ALGORITHM:]FILE. The file holds a secret (HS256, or HS384, HS512) or a key in PEM (RS256, ES256,
    /// EdDSA by its kind; a public key verifies only). The first that can sign does, all verify: to replace a key, put
    /// the new one first and keep the old one for --token-lifetime. NAME is the tokens' kid. Without a key a random one
    /// is made at each start, and logins end with the process. A secret may be given in SOCKETSHARD_AUTH_KEY instead.
    #[arg(
        long, value_name = "KEY", env = "SOCKETSHARD_AUTH_KEY_FILE", value_delimiter = ',',
        value_parser = key_file::parse,
    )]
    pub(super) auth_key_file: Vec<KeyFile>,

    /// The secret itself: by the environment only, because everybody can list the arguments of processes
    #[arg(
        long, value_name = "SECRET", env = "SOCKETSHARD_AUTH_KEY", hide = true, hide_env_values = true,
        value_parser = secret,
    )]
    pub(super) auth_key: Option<Secret>,

    /// How long tokens are good that the application gives without saying so
    ///
    /// Range: 1s to 87600h. Shorten it where a login must not outlive a working day; a client whose token ends has to
    /// log in again.
    #[arg(
        long, value_name = "DURATION", env = "SOCKETSHARD_TOKEN_LIFETIME", default_value = "24h",
        value_parser = duration::within(Duration::from_secs(1)..=Duration::from_secs(87_600 * 3_600)),
    )]
    pub(super) token_lifetime: Duration,

    /// Bytes of a token
    ///
    /// Range: 256 to 64KiB; a longer one is refused unread. Raise it when the application's claims are large; every
    /// authenticated connection holds its claims in memory.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_TOKEN", default_value = "8KiB",
        value_parser = size::within::<usize>(256..=(64 << 10)),
    )]
    pub(super) max_token: usize,

    /// Let pages of this origin connect (repeatable)
    ///
    /// Written https://app.example or http://localhost:3000, compared exactly; * lets in all. Pages of the server's own
    /// origin always may. Set it when the pages come from another server than this one.
    #[arg(
        long, visible_alias = "origins", value_name = "ORIGIN", env = "SOCKETSHARD_ALLOW_ORIGIN", value_delimiter = ',',
        value_parser = origin::parse,
    )]
    pub(super) allow_origin: Vec<AllowedOrigin>,

    /// Refuse clients that do not say which origin they come from
    ///
    /// Browsers always say it, other programs hardly ever do. Set it where only browsers have business here; it keeps
    /// honest programs out, and no attacker.
    #[arg(long, env = "SOCKETSHARD_REQUIRE_ORIGIN")]
    pub(super) require_origin: bool,
}

fn secret(text: &str) -> Result<Secret, &'static str> {
    if text.is_empty() { Err("the key is empty") } else { Ok(Secret::new(text)) }
}
