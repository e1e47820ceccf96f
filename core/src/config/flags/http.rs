//! What is served by plain HTTP.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::{duration, size};

/// The group "HTTP".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "HTTP")]
pub(super) struct HttpFlags {
    /// Do not let actions be called by HTTP
    ///
    /// They are then called over WebSockets only, and the paths below --http-api-prefix are the application's own. Set it
    /// where nobody needs them: what is not there cannot be attacked.
    #[arg(long, env = "SOCKETSHARD_NO_HTTP_API")]
    pub(super) no_http_api: bool,

    /// What the paths of actions begin with
    ///
    /// The action app.square is called at PREFIX/app/square; PREFIX itself lists all actions. Change it where the
    /// application has pages of its own there.
    #[arg(
        long, value_name = "PATH", env = "SOCKETSHARD_HTTP_API_PREFIX", default_value = "/api", value_parser = prefix,
    )]
    pub(super) http_api_prefix: String,

    /// The login module that is asked about names and passwords sent by HTTP
    ///
    /// It gets {"username":...,"password":...}. Without a module of this name callers cannot use Basic authentication.
    /// Passwords are taken over TLS and from this machine only.
    #[arg(
        long, value_name = "MODULE", env = "SOCKETSHARD_HTTP_API_BASIC", default_value = "basic", value_parser = module,
    )]
    pub(super) http_api_basic: String,

    /// Do not serve event streams (SSE)
    ///
    /// Publications and events are then told to WebSockets and long-polling only. Set it where nobody needs them.
    #[arg(long, env = "SOCKETSHARD_NO_SSE")]
    pub(super) no_sse: bool,

    /// Where event streams are asked for
    ///
    /// PATH?channel=a&channel=b streams these channels, and what is said to the caller's user and session. A page or
    /// route of the application at this path is meant before it. Change it where a proxy expects another.
    #[arg(long, value_name = "PATH", env = "SOCKETSHARD_SSE_PATH", default_value = "/sse", value_parser = prefix)]
    pub(super) sse_path: String,

    /// How long pages wait before they ask for their event stream again
    ///
    /// Range: 100ms to 1h. Each waits up to twice as long, so that those of a server that has gone do not all come
    /// at once. Raise it where very many listen.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_SSE_RETRY", default_value = "2s",
        value_parser = duration::within(Duration::from_millis(100)..=Duration::from_secs(3_600)),
    )]
    pub(super) sse_retry: Duration,

    /// Serve the files of this directory at /
    ///
    /// All are read at the start, and again at SIGHUP; they come before the application's pages. Hidden files and links are
    /// left out. a.js.br, a.js.zst and a.js.gz are sent in the place of a.js to clients that take them. Set it for the
    /// pages that load the clients.
    #[arg(long = "static", id = "static", value_name = "DIR", env = "SOCKETSHARD_STATIC")]
    pub(super) files: Option<PathBuf>,

    /// The file that stands for its directory
    ///
    /// DIR/sub/ is answered with DIR/sub/FILE. Change it where the pages have another name.
    #[arg(long, value_name = "FILE", env = "SOCKETSHARD_STATIC_INDEX", default_value = "index.html", value_parser = index)]
    pub(super) static_index: String,

    /// How long clients may use a file of --static without asking again
    ///
    /// Range: 0s to 8760h; with 0s they ask each time whether it is still the same. Raise it where files that change get new
    /// names.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_STATIC_MAX_AGE", default_value = "0s",
        value_parser = duration::within(Duration::ZERO..=Duration::from_secs(8_760 * 3_600)),
    )]
    pub(super) static_max_age: Duration,

    /// Bytes of all files of --static together, which are kept in memory
    ///
    /// Range: 1KiB to 4GiB; more stop the start. All shards share them. Raise it for a larger site; very large ones are
    /// better served by a server in front.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_STATIC_CACHE", default_value = "64MiB",
        value_parser = size::within::<u64>((1 << 10)..=(4 << 30)),
    )]
    pub(super) static_cache: u64,

    /// Bytes of one file of --static
    ///
    /// Range: 1KiB to 16MiB; a larger one stops the start. An answer is held until its client has read it: lower it where many
    /// slow clients load large files.
    #[arg(
        long, value_name = "SIZE", env = "SOCKETSHARD_STATIC_MAX_FILE", default_value = "4MiB",
        value_parser = size::within::<u64>((1 << 10)..=(16 << 20)),
    )]
    pub(super) static_max_file: u64,
}

fn index(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.starts_with('.') || text.contains('/') {
        return Err("a file's name, without a slash");
    }
    Ok(text.to_owned())
}

fn prefix(text: &str) -> Result<String, &'static str> {
    let is_clean = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte));
    if text.len() < 2 || !text.starts_with('/') || text.ends_with('/') || text.contains("//") || !is_clean {
        return Err("a prefix is a path like /api, without a slash at its end");
    }
    Ok(text.to_owned())
}

fn module(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("a module has a name") } else { Ok(text.to_owned()) }
}
