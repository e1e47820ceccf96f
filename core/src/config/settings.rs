//! The settings of a server, complete and in machine units. It holds values only: parsing them is the flags' business,
//! judging them together is `check`'s, and nothing in here reads the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use shard::Limits;

use super::session::SessionSettings;
use super::{AdminSettings, AllowedOrigin, ChannelPolicy, KeyFile, Secret, TlsSettings};
use crate::app::{AckShape, AppLimits, FilesOptions};

/// Everything a server can be told before it starts. Each field has a flag; `Default` is the flags' defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to accept connections; never empty. Every shard listens on every one of them.
    pub listen: Vec<SocketAddr>,
    /// TLS: where it is spoken, and what with.
    pub tls: TlsSettings,
    /// Listeners for operators and backends.
    pub admin: AdminSettings,
    /// How many shards to run. `None`: one per CPU of `cpus`.
    pub shards: Option<usize>,
    /// The CPUs to run on. `None`: every CPU this process may use.
    pub cpus: Option<Vec<usize>>,
    /// Whether each shard's thread is bound to its CPU.
    pub pin: bool,
    /// Connections the kernel may hold for one listener before they are accepted.
    pub backlog: u32,
    /// How long a client's network may acknowledge nothing. `None`: as long as the longest of the time-outs that look for
    /// lost clients.
    pub ack_timeout: Option<Duration>,
    /// The limits of each shard.
    pub limits: Limits,
    /// Channels whose slow consumers are treated otherwise than `limits` say; the first that matches counts.
    pub channel_policies: Vec<ChannelPolicy>,
    /// What replaces the limits that the application states itself.
    pub application: ApplicationSettings,
    /// How sessions are given out and kept.
    pub sessions: SessionSettings,
    /// The keys of tokens.
    pub auth: AuthSettings,
    /// Which pages may connect.
    pub origins: OriginSettings,
    /// What is served by plain HTTP.
    pub http: HttpSettings,
    /// The size of each shard's io_uring and of its receive buffers.
    pub ring: RingSettings,
    /// Bytes of the process's resident memory above which nobody is let in; zero: whatever it is.
    pub memory_max: u64,
    /// Batches that may be under way from one shard to another before the sender keeps them.
    pub lane_capacity: usize,
    /// Between two sweeps of deadlines and heartbeats, and between two visits to glommio's reactor.
    pub tick: Duration,
    /// How long a shard looks for work before it sleeps. Zero: not at all.
    pub spin: Duration,
    /// From the first signal to the end of the process at the latest.
    pub drain: Duration,
    /// The part of `drain` over which connections are told to leave while everybody is still served.
    pub drain_spread: Duration,
    /// Shards that may die within a minute and are replaced; one more ends the server.
    pub shard_restarts: u32,
    /// Who starts the server again when it dies.
    pub supervision: SupervisionSettings,
    /// What the application calls itself in the logs.
    pub app_name: String,
    /// What is logged and how.
    pub log: LogSettings,
}

/// The operator's word on the application's own limits ([`AppLimits`](crate::AppLimits)). `None`: as the application
/// has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplicationSettings {
    /// In the place of `AppLimits::commands_max`.
    pub commands_max: Option<usize>,
    /// In the place of `AppLimits::command_bytes_max`.
    pub command_bytes_max: Option<usize>,
    /// In the place of `AppLimits::tasks_max`.
    pub tasks_max: Option<usize>,
    /// In the place of `AppLimits::timers_max`.
    pub timers_max: Option<usize>,
    /// In the place of `AppLimits::recipients_max`.
    pub recipients_max: Option<usize>,
    /// In the place of `AppLimits::client_call_timeout`.
    pub client_call_timeout: Option<Duration>,
    /// In the place of [`App::ack_shape`](crate::App::ack_shape).
    pub ack_shape: Option<AckShape>,
    /// In the place of [`App::channel_events`](crate::App::channel_events).
    pub has_channel_events: Option<bool>,
}

/// How tokens are signed and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSettings {
    /// A secret for HS256. It excludes `key_files`.
    pub key: Option<Secret>,
    /// Keys: the first that can sign does, all verify. With neither these nor `key`, a random one is made.
    pub key_files: Vec<KeyFile>,
    /// How long a token is good when the application does not say.
    pub token_lifetime: Duration,
    /// Bytes of a token; a longer one is refused unread.
    pub token_bytes_max: usize,
    /// The claim of a token that names its user.
    pub user_claim: String,
}

/// Which pages may connect, beside those of the server's own origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginSettings {
    /// Further origins.
    pub allowed: Vec<AllowedOrigin>,
    /// Whether clients must say where they come from.
    pub required: bool,
}

/// What is served by plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Whether actions can be called by HTTP.
    pub api_enabled: bool,
    /// What the paths of actions begin with: a slash, and none at its end.
    pub api_prefix: String,
    /// The login module that is asked about names and passwords (Basic authentication).
    pub api_basic: String,
    /// Whether event streams are served.
    pub events_enabled: bool,
    /// Where they are asked for.
    pub events_path: String,
    /// A directory whose files are served.
    pub files: Option<PathBuf>,
    /// How they are.
    pub files_options: FilesOptions,
}

/// The sizes of one shard's io_uring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSettings {
    /// Submission queue entries, a power of two; the completion queue has four times as many.
    pub entries: u32,
    /// Receive buffers, a power of two: no fewer than the sockets that are ready at once in one pass.
    pub receive_buffers: u16,
    /// Bytes of one receive buffer.
    pub receive_buffer_bytes: u32,
    /// Places of a table of its own in which each ring keeps its connections instead of among the process's file
    /// descriptors; 0: none.
    pub direct_descriptors: u32,
}

/// Whether a parent process looks after the server, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupervisionSettings {
    /// Whether there is one.
    pub is_on: bool,
    /// Between a death and the next start, the first time; doubled with each in a row, up to a hundred times as long.
    pub restart_delay: Duration,
    /// Deaths in a row after which it gives up.
    pub restarts_max: u32,
    /// How long it may give no sign of life; zero: for ever.
    pub hang_timeout: Duration,
}

/// What is logged and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// The shape of a line.
    pub format: LogFormat,
    /// Lines a second, of all shards together; the rest is dropped and counted.
    pub lines_per_second_max: u32,
    /// Between two lines on what a shard has refused; zero for none.
    pub refusals_interval: Duration,
}

/// Severity, with the numbers 0 to 4 that SocketStream used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// 0: nothing.
    Off,
    /// 1: what failed.
    Error,
    /// 2: what will fail if it goes on.
    Warn,
    /// 3: starts, stops, and what an operator acts on.
    Info,
    /// 4: what a developer of the application asks.
    Debug,
    /// Only by name: what a developer of the server asks.
    Trace,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for machines.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)],
            tls: TlsSettings::default(),
            admin: AdminSettings::default(),
            shards: None,
            cpus: None,
            pin: true,
            backlog: 4096,
            ack_timeout: None,
            limits: Limits::default(),
            memory_max: 0,
            channel_policies: Vec::new(),
            application: ApplicationSettings::default(),
            sessions: SessionSettings::default(),
            auth: AuthSettings::default(),
            origins: OriginSettings::default(),
            http: HttpSettings::default(),
            ring: RingSettings::default(),
            lane_capacity: 64,
            tick: Duration::from_millis(50),
            spin: Duration::ZERO,
            drain: Duration::from_secs(10),
            drain_spread: Duration::ZERO,
            shard_restarts: 5,
            supervision: SupervisionSettings::default(),
            app_name: "socketshard".to_owned(),
            log: LogSettings::default(),
        }
    }
}

impl Settings {
    /// How long a client's network may acknowledge nothing.
    pub(crate) fn ack_patience(&self) -> Duration {
        let Limits { ping_timeout, send_timeout, engine, .. } = &self.limits;
        let longest = (*ping_timeout).max(*send_timeout).max(engine.ping_interval + engine.ping_timeout);
        self.ack_timeout.unwrap_or(longest)
    }
}

impl ApplicationSettings {
    /// The application's limits with these in their place. No `..` in here: a limit of the application without a
    /// setting does not compile.
    pub(crate) fn over(self, limits: AppLimits) -> AppLimits {
        let AppLimits { commands_max, command_bytes_max, tasks_max, timers_max, recipients_max, client_call_timeout } =
            limits;
        AppLimits {
            commands_max: self.commands_max.unwrap_or(commands_max),
            command_bytes_max: self.command_bytes_max.unwrap_or(command_bytes_max),
            tasks_max: self.tasks_max.unwrap_or(tasks_max),
            timers_max: self.timers_max.unwrap_or(timers_max),
            recipients_max: self.recipients_max.unwrap_or(recipients_max),
            client_call_timeout: self.client_call_timeout.unwrap_or(client_call_timeout),
        }
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        // A day is the reference's `authDefaultExpiry`. 8 KiB is what browsers and proxies grant a whole header.
        Self {
            key: None,
            key_files: Vec::new(),
            token_lifetime: Duration::from_secs(86_400),
            token_bytes_max: 8 << 10,
            user_claim: "user_id".to_owned(),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            api_enabled: true,
            api_prefix: "/api".to_owned(),
            api_basic: "basic".to_owned(),
            events_enabled: true,
            events_path: "/sse".to_owned(),
            files: None,
            files_options: FilesOptions::default(),
        }
    }
}

impl Default for RingSettings {
    fn default() -> Self {
        // 128 × 32 KiB = 4 MiB per shard: more buffers than sockets that are ready in one pass, each large enough that
        // a 16-message burst of 1 KiB is one receive.
        Self { entries: 4096, receive_buffers: 128, receive_buffer_bytes: 32 << 10, direct_descriptors: 0 }
    }
}

impl Default for SupervisionSettings {
    fn default() -> Self {
        // 100 ms, doubled up to 10 s: ten deaths in a row take three quarters of a minute.
        // As long as a watchdog of systemd's units has usually: longer than any pass or any machine's hiccup.
        let hang_timeout = Duration::from_secs(30);
        Self { is_on: false, restart_delay: Duration::from_millis(100), restarts_max: 10, hang_timeout }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        // 1,000 lines of 200 bytes are 17 GB a day: what a log collector still bears, for a day.
        // A line of each shard a minute is read by people as well.
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
            lines_per_second_max: 1_000,
            refusals_interval: Duration::from_secs(60),
        }
    }
}

/// The port of the seeds.
pub(crate) const PORT: u16 = 8000;
