//! What is served by plain HTTP.

use std::time::Duration;

use clap::Args;

use crate::config::duration;

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
