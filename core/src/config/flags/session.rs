//! Sessions: their cookie, their keys, their store, how long they live and how much they may hold.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::{count, duration, session, size};

/// The group "Sessions".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sessions")]
pub(super) struct SessionFlags {
    /// Name of the session cookie
    ///
    /// Letters, digits and most punctuation. Change it where several servers share one host name.
    #[arg(
        long, value_name = "NAME", env = "SOCKETSHARD_SESSION_COOKIE", default_value = "session",
        value_parser = session::cookie_name,
    )]
    pub(super) session_cookie: String,

    /// How long a browser keeps the session cookie
    ///
    /// Range: 1s to 9600h. Keep it longer than --session-ttl, which decides how long what is behind it lives.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_SESSION_COOKIE_AGE", default_value = "720h",
        value_parser = duration::within(Duration::from_secs(1)..=Duration::from_secs(9_600 * 3_600)),
    )]
    pub(super) session_cookie_age: Duration,

    /// Set the session cookie for TLS only
    ///
    /// The cookie is `Secure` and its name begins with `__Host-`, so that no neighbouring domain can set it. Give it to
    /// servers behind a proxy that ends TLS; where TLS ends here (--tls-listen) the cookie always is so.
    #[arg(long, env = "SOCKETSHARD_SESSION_COOKIE_SECURE")]
    pub(super) session_cookie_secure: bool,

    /// File with the keys that sign session cookies
    ///
    /// One key of at least 32 characters in each line: the first signs, all are believed, so that keys can be changed.
    /// Without it a random key is made at every start, and cookies of before it are worth nothing.
    #[arg(long, value_name = "FILE", env = "SOCKETSHARD_SESSION_KEY_FILE")]
    pub(super) session_key_file: Option<PathBuf>,

    /// Directory that sessions are kept in
    ///
    /// What is acknowledged as durable is on the disk and survives a crash. Without it sessions live in memory. Needs
    /// --session-key-file to be of use after a restart.
    #[arg(long, value_name = "DIRECTORY", env = "SOCKETSHARD_SESSION_STORE")]
    pub(super) session_store: Option<PathBuf>,

    /// Loads and saves that may wait for the session store
    ///
    /// Range: 1 to 1M; beyond it writes are acknowledged as not durable. One save may hold --max-session-bytes.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_SESSION_STORE_QUEUE", default_value = "10k",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) session_store_queue: usize,

    /// How long a session lives unused
    ///
    /// Range: 1s to 9600h. Unused means: no connection is open and nothing is written; up to a twenty-fourth longer, as
    /// use is noted coarsely. The application may give single sessions another time.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_SESSION_TTL", default_value = "24h",
        value_parser = duration::within(Duration::from_secs(1)..=Duration::from_secs(9_600 * 3_600)),
    )]
    pub(super) session_ttl: Duration,

    /// How long a shard keeps its copy of a session without connections
    ///
    /// Range: 0s to 24h. Keep it longer than a page takes to reload or a client to reconnect.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_SESSION_CACHE", default_value = "60s",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(86_400)),
    )]
    pub(super) session_cache: Duration,

    /// Ask a session's home shard before every message
    ///
    /// Each message then sees every write that was made anywhere before it came, acknowledged or not, at the price of a
    /// round trip between shards for connections whose session is at home elsewhere.
    #[arg(long, env = "SOCKETSHARD_NO_SESSION_CACHE")]
    pub(super) no_session_cache: bool,

    /// Sessions on one shard
    ///
    /// Range: 1 to 16M; a connection that needs one more is answered with 503. An empty one takes about 150 bytes.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_SESSIONS", default_value = "1M",
        value_parser = count::within::<usize>(1..=16_000_000),
    )]
    pub(super) max_sessions: usize,

    /// Values in one session
    ///
    /// Range: 1 to 10k; one more is refused with an error. They are searched one by one: raise it only for applications
    /// that need it.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_SESSION_KEYS", default_value = "64",
        value_parser = count::within::<usize>(1..=10_000),
    )]
    pub(super) max_session_keys: usize,

    /// Bytes of the name of a value in a session
    ///
    /// Range: 1 to 64KiB; a longer one is refused with an error.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_SESSION_KEY", default_value = "255",
        value_parser = size::within::<usize>(1..=(64 << 10)),
    )]
    pub(super) max_session_key: usize,

    /// Bytes of one value in a session
    ///
    /// Range: 1 to 16MiB; a longer one is refused with an error. Raise it together with --max-session-bytes.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_SESSION_VALUE", default_value = "16KiB",
        value_parser = size::within::<usize>(1..=(16 << 20)),
    )]
    pub(super) max_session_value: usize,

    /// Bytes of all values in one session
    ///
    /// Range: 1 to 16MiB; more are refused with an error. Every save writes as much.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_MAX_SESSION_BYTES", default_value = "64KiB",
        value_parser = size::within::<usize>(1..=(16 << 20)),
    )]
    pub(super) max_session_bytes: usize,

    /// Writes to one session that one shard may have under way
    ///
    /// Range: 1 to 1M; more are refused with a busy error.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_SESSION_WRITES", default_value = "1k",
        value_parser = count::within::<usize>(1..=1_000_000),
    )]
    pub(super) max_session_writes: usize,

    /// Invalid session ids that one shard remembers
    ///
    /// Range: 1 to 16M. Ids of sessions that were ended or given another id; when one is forgotten too early, its cookie
    /// opens an empty session instead of being replaced.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_MAX_RETIRED_SESSIONS", default_value = "100k",
        value_parser = count::within::<usize>(1..=16_000_000),
    )]
    pub(super) max_retired_sessions: usize,
}
