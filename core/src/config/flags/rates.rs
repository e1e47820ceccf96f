//! How often one client may ask for something. All of it is off by default.

use std::time::Duration;

use clap::Args;

use crate::config::{count, duration};

/// The group "Rates of one client".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Rates of one client")]
pub(super) struct RateFlags {
    /// Requests of any kind per second, above which a client is ignored (0: no limit)
    ///
    /// Range: 0 to 1M. One log line names the client and its address; what it asks for from then on is dropped, and
    /// nothing is answered. The seeds' limit is 15. Set it against floods; programs that should learn of their limit
    /// and go on are better served by --call-rate.
    #[arg(
        long, visible_alias = "rate-limit", value_name = "COUNT",
        env = "SOCKETSHARD_CLIENT_RATE", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) client_rate: u32,

    /// How long a client above --client-rate is ignored
    ///
    /// Range: 1s to 24h. Without it, until it leaves. Set it where people should be heard again without a reload: 1s
    /// drops only what was too much.
    #[arg(
        long, value_name = "TIME", env = "SOCKETSHARD_CLIENT_BAN",
        value_parser = duration::within(Duration::from_secs(1)..=Duration::from_secs(86_400)),
    )]
    pub(super) client_ban: Option<Duration>,

    /// Calls per second, above which a client gets errors (0: no limit)
    ///
    /// Range: 0 to 1M, in the long run; --call-burst is for the short. The error says when to try again. On raw routes
    /// each message is a call, and a client with too many is closed with 1008. Set it to a few times what the pages do.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_CALL_RATE", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) call_rate: u32,

    /// Calls at once after a rest (0: those of one second)
    ///
    /// Range: 0 to 1M. Raise it for pages that call much when they open and little afterwards.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_CALL_BURST", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) call_burst: u32,

    /// Publications per second, above which a client gets errors (0: no limit)
    ///
    /// Range: 0 to 1M. Each publication costs the server a send for every subscriber: set it where clients publish to
    /// channels with many.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_PUBLISH_RATE", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) publish_rate: u32,

    /// Publications at once after a rest (0: those of one second)
    ///
    /// Range: 0 to 1M. Raise it for clients that publish in bursts, such as drawings.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_PUBLISH_BURST", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) publish_burst: u32,

    /// Subscriptions per second, above which a client gets errors (0: no limit)
    ///
    /// Range: 0 to 1M; ends of subscriptions count too. A client that comes back subscribes to everything again at once: leave room for it in
    /// --subscribe-burst. Set it against clients that join and leave without end.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_SUBSCRIBE_RATE", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) subscribe_rate: u32,

    /// Subscriptions at once after a rest (0: those of one second)
    ///
    /// Range: 0 to 1M. Raise it to what the page with the most channels subscribes to.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_SUBSCRIBE_BURST", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) subscribe_burst: u32,

    /// HTTP requests per second from one address (0: no limit)
    ///
    /// Range: 0 to 1M, on each shard; above it requests get 429. Long-polling and WebSockets are not counted. Of IPv6 the first 64 bits of the address
    /// count. The answer says when to try again. Set it against floods, but not behind a proxy, where all share one address.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_HTTP_RATE", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) http_rate: u32,

    /// HTTP requests at once after a rest (0: those of one second)
    ///
    /// Range: 0 to 1M. Raise it to what a page loads when it opens, times the people behind one address.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_HTTP_BURST", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) http_burst: u32,

    /// Failed logins per minute from one address (0: no limit)
    ///
    /// Range: 0 to 1M, on each shard; above it no login is looked at. Of IPv6 the first 64 bits of the address count. Failed are auth.login without
    /// success, tokens that no key has signed, and passwords by HTTP. For the rest of the minute logins and tokens from there get an error.
    /// Set it against guessing, but not behind a proxy, where all share one address.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_LOGIN_RATE", default_value = "0",
        value_parser = count::within::<u32>(0..=1_000_000),
    )]
    pub(super) login_rate: u32,
}
