//! All flags together, and the settings they make.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use codec::json::JsonLimits;
use codec::name::NameLimits;
use codec::{socketcluster, websocket};
use shard::{
    CompressionLimits, EngineLimits, Limits, PeopleLimits, QuotaLimits, Rate, RateLimits, RecoveryLimits, SeatLimits,
    SessionLimits, SlowConsumer,
};

use super::admin::AdminFlags;
use super::application::ApplicationFlags;
use super::backpressure::{ConsumerFlags, LaneFlags};
use super::compression::CompressionFlags;
use super::engine::EngineFlags;
use super::http::HttpFlags;
use super::limits::LimitFlags;
use super::listen::ListenFlags;
use super::logging::LogFlags;
use super::placement::PlacementFlags;
use super::rates::RateFlags;
use super::ring::RingFlags;
use super::security::SecurityFlags;
use super::session::SessionFlags;
use super::stopping::StopFlags;
use super::supervision::SupervisionFlags;
use super::timeouts::TimeoutFlags;
use super::tls::{KernelTls, TlsFlags};
use super::users::UserFlags;
use crate::app::FilesOptions;
use crate::config::consumers::Consumers;
use crate::config::{
    AdminSettings, ApplicationSettings, AuthSettings, ChannelPolicy, HttpSettings, LogSettings, OriginSettings,
    RingSettings, SessionSettings, Settings, SupervisionSettings, TlsSettings,
};

/// Every flag of the server, in the order in which `--help` shows the groups.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    #[command(flatten)]
    listen: ListenFlags,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    placement: PlacementFlags,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    rates: RateFlags,
    #[command(flatten)]
    timeouts: TimeoutFlags,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    consumers: ConsumerFlags,
    #[command(flatten)]
    compression: CompressionFlags,
    #[command(flatten)]
    lanes: LaneFlags,
    #[command(flatten)]
    security: SecurityFlags,
    #[command(flatten)]
    http: HttpFlags,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    application: ApplicationFlags,
    #[command(flatten)]
    sessions: SessionFlags,
    #[command(flatten)]
    users: UserFlags,
    #[command(flatten)]
    ring: RingFlags,
    #[command(flatten)]
    stop: StopFlags,
    #[command(flatten)]
    supervision: SupervisionFlags,
    #[command(flatten)]
    log: LogFlags,
}

/// Flags that cannot be given so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagConflict {
    /// Two flags of the command line that exclude each other.
    Both(&'static str, &'static str),
    /// A secret on the command line: its flag, the flag for a file with it, and its variable.
    SecretShown(&'static str, &'static str, &'static str),
}

impl Flags {
    /// The settings these flags ask for. `matches` tells where each value came from: what is nearer wins.
    pub(crate) fn settings(&self, matches: &ArgMatches) -> Result<Settings, FlagConflict> {
        Ok(Settings {
            listen: self.listen(matches)?,
            tls: self.tls(matches)?,
            admin: self.admin(matches)?,
            shards: self.placement.shards.0,
            cpus: self.placement.cpus.clone().map(|list| list.0),
            pin: !self.placement.no_pin,
            backlog: self.listen.backlog,
            ack_timeout: self.timeouts.ack_timeout,
            limits: self.limits(),
            memory_max: self.limits.memory_max,
            channel_policies: self.channel_policies(),
            application: ApplicationSettings {
                commands_max: self.application.max_commands,
                command_bytes_max: self.application.max_command_bytes,
                tasks_max: self.application.max_tasks,
                timers_max: self.application.max_timers,
                recipients_max: self.application.max_recipients,
                client_call_timeout: self.application.client_call_timeout,
                ack_shape: self.application.ack_shape,
                has_channel_events: self.application.channel_events,
            },
            sessions: self.session_settings(),
            auth: self.auth(matches)?,
            origins: OriginSettings {
                allowed: self.security.allow_origin.clone(),
                required: self.security.require_origin,
            },
            http: HttpSettings {
                api_enabled: !self.http.no_http_api,
                api_prefix: self.http.http_api_prefix.clone(),
                api_basic: self.http.http_api_basic.clone(),
                events_enabled: !self.http.no_sse,
                events_path: self.http.sse_path.clone(),
                files: self.http.files.clone(),
                files_options: FilesOptions {
                    index: self.http.static_index.clone(),
                    max_age: self.http.static_max_age,
                    file_bytes_max: self.http.static_max_file,
                    bytes_max: self.http.static_cache,
                },
            },
            ring: RingSettings {
                entries: self.ring.ring_entries,
                receive_buffers: self.ring.receive_buffers,
                receive_buffer_bytes: self.ring.receive_buffer_bytes,
                direct_descriptors: self.ring.direct_descriptors,
            },
            lane_capacity: self.lanes.lane_capacity,
            tick: self.placement.tick,
            spin: Duration::from_micros(self.placement.spin_us),
            drain: self.stop.drain,
            drain_spread: self.stop.drain_spread,
            shard_restarts: self.stop.shard_restarts,
            supervision: SupervisionSettings {
                is_on: self.supervision.supervise,
                restart_delay: self.supervision.restart_delay,
                restarts_max: self.supervision.max_restarts,
                hang_timeout: self.supervision.hang_timeout,
            },
            app_name: self.log.app_name.clone(),
            log: LogSettings {
                level: self.log.log_level,
                format: self.log.log_format,
                lines_per_second_max: self.log.log_lines_max,
                refusals_interval: self.log.log_refusals,
            },
        })
    }

    /// `--listen` stands in the place of `--host` and `--port`, unless those were given nearer: a `--port` on the
    /// command line is stronger than a `SOCKETSHARD_LISTEN` in the environment. Who asks for TLS and for nothing else is
    /// not given a door without it.
    fn listen(&self, matches: &ArgMatches) -> Result<Vec<SocketAddr>, FlagConflict> {
        let flags = &self.listen;
        let source = |id| matches.value_source(id).unwrap_or(ValueSource::DefaultValue);
        let listen = source("listen");
        for (id, flag) in [("port", "--port"), ("host", "--host")] {
            if listen == ValueSource::CommandLine && source(id) == ValueSource::CommandLine {
                return Err(FlagConflict::Both("--listen", flag));
            }
        }
        let nearest = source("port").max(source("host"));
        if listen == ValueSource::DefaultValue
            && nearest == ValueSource::DefaultValue
            && !self.tls.tls_listen.is_empty()
        {
            return Ok(Vec::new());
        }
        if listen == ValueSource::DefaultValue || listen < nearest {
            return Ok(vec![SocketAddr::new(flags.host, flags.port)]);
        }
        Ok(flags.listen.clone())
    }

    /// A key on the command line would be everybody's.
    fn auth(&self, matches: &ArgMatches) -> Result<AuthSettings, FlagConflict> {
        let flags = &self.security;
        if matches.value_source("auth_key") == Some(ValueSource::CommandLine) {
            return Err(FlagConflict::SecretShown("--auth-key", "--auth-key-file", "SOCKETSHARD_AUTH_KEY"));
        }
        Ok(AuthSettings {
            key: flags.auth_key.clone(),
            key_files: flags.auth_key_file.clone(),
            token_lifetime: flags.token_lifetime,
            token_bytes_max: flags.max_token,
            user_claim: self.users.user_claim.clone(),
        })
    }

    fn tls(&self, matches: &ArgMatches) -> Result<TlsSettings, FlagConflict> {
        let flags = &self.tls;
        if matches.value_source("tls_key_passphrase") == Some(ValueSource::CommandLine) {
            let (file, variable) = ("--tls-key-passphrase-file", "SOCKETSHARD_TLS_KEY_PASSPHRASE");
            return Err(FlagConflict::SecretShown("--tls-key-passphrase", file, variable));
        }
        Ok(TlsSettings {
            listen: flags.tls_listen.clone(),
            redirect: flags.tls_redirect.clone(),
            redirect_port: flags.tls_redirect_port,
            certificates: flags.tls_cert.clone(),
            keys: flags.tls_key.clone(),
            key_passphrase: flags.tls_key_passphrase.clone(),
            key_passphrase_file: flags.tls_key_passphrase_file.clone(),
            self_signed: flags.tls_self_signed,
            handshake_bytes_max: flags.max_tls_handshake,
            is_kernel_used: flags.ktls == KernelTls::Auto,
        })
    }

    fn admin(&self, matches: &ArgMatches) -> Result<AdminSettings, FlagConflict> {
        let flags = &self.admin;
        if matches.value_source("admin_key") == Some(ValueSource::CommandLine) {
            return Err(FlagConflict::SecretShown("--admin-key", "--admin-key-file", "SOCKETSHARD_ADMIN_KEY"));
        }
        Ok(AdminSettings {
            listen: flags.admin_listen.clone(),
            key: flags.admin_key.clone(),
            key_file: flags.admin_key_file.clone(),
            hosts: flags.admin_host.clone(),
        })
    }

    /// No `..` in here: a limit without a flag does not compile.
    fn limits(&self) -> Limits {
        Limits {
            connections_max: self.limits.max_connections,
            head_bytes_max: self.limits.max_head,
            body_bytes_max: self.limits.max_body,
            body_timeout: self.timeouts.body_timeout,
            websocket: websocket::Limits {
                message_bytes_max: self.limits.max_message,
                fragments_max: self.limits.max_fragments,
            },
            socketcluster: socketcluster::Limits {
                json: JsonLimits { depth_max: self.limits.max_depth },
                names: NameLimits {
                    channel_name_bytes_max: self.limits.max_channel_name,
                    action_name_bytes_max: self.limits.max_action_name,
                },
                batch_messages_max: self.limits.max_batch,
                call_id_bytes_max: self.limits.max_call_id,
            },
            subscriptions_per_connection_max: self.limits.max_subscriptions,
            channels_max: self.limits.max_channels,
            calls_per_connection_max: self.limits.max_calls,
            client_calls_max: self.limits.max_client_calls,
            call_timeout: self.timeouts.call_timeout,
            stream_retry: self.http.sse_retry,
            outbox_high_water_mark: self.consumers.outbox_high_water_mark,
            outbox_bytes_max: self.consumers.outbox_bytes_max,
            slow_consumer: self.slow_consumer(),
            send_timeout: self.timeouts.send_timeout,
            handshake_timeout: self.timeouts.handshake_timeout,
            ping_interval: self.timeouts.ping_interval,
            ping_timeout: self.timeouts.ping_timeout,
            close_timeout: self.timeouts.close_timeout,
            idle_timeout: self.timeouts.idle_timeout,
            lane_high_water_mark: self.lanes.lane_high_water_mark,
            sends_per_pass: self.consumers.sends_per_pass,
            drain_connections_per_turn: self.stop.drain_batch,
            seats: SeatLimits {
                per_address: self.limits.max_connections_per_address,
                per_session: self.limits.max_connections_per_session,
                per_user: self.limits.max_connections_per_user,
            },
            quotas: QuotaLimits {
                per_address: self.limits.max_subscriptions_per_address,
                per_user: self.limits.max_subscriptions_per_user,
            },
            rates: self.rate_limits(),
            engine: EngineLimits {
                ping_interval: self.engine.engine_ping_interval,
                ping_timeout: self.engine.engine_ping_timeout,
                payload_bytes_max: self.engine.max_payload,
                payload_packets_max: self.engine.max_payload_packets,
                attachments_max: self.engine.max_attachments,
            },
            recovery: self.recovery_limits(),
            compression: self.compression_limits(),
            sessions: self.session_limits(),
            people: PeopleLimits {
                is_online_known: !self.users.no_users_online,
                heartbeat: self.users.user_heartbeat,
                silence: self.users.user_silence,
                page_max: self.users.max_user_page,
            },
        }
    }

    const fn recovery_limits(&self) -> RecoveryLimits {
        RecoveryLimits {
            window: self.engine.recovery_window,
            connections_max: self.engine.max_recovery_connections,
            packets_max: self.engine.max_recovery_packets,
            bytes_max: self.engine.max_recovery_bytes,
            total_bytes_max: self.engine.max_recovery_total,
        }
    }

    /// The policy of channels that have no other: the last one said.
    fn slow_consumer(&self) -> SlowConsumer {
        let all = self.consumers.slow_consumer.iter().rev().find_map(|consumers| match consumers {
            Consumers::All(policy) => Some(*policy),
            Consumers::Some(_) => None,
        });
        all.unwrap_or_default()
    }

    fn channel_policies(&self) -> Vec<ChannelPolicy> {
        let some = self.consumers.slow_consumer.iter().filter_map(|consumers| match consumers {
            Consumers::All(_) => None,
            Consumers::Some(policy) => Some(policy.clone()),
        });
        some.collect()
    }

    fn rate_limits(&self) -> RateLimits {
        let flags = &self.rates;
        RateLimits {
            requests_per_second: flags.client_rate,
            ban: flags.client_ban,
            calls: Rate { per_second: flags.call_rate, burst: flags.call_burst },
            publications: Rate { per_second: flags.publish_rate, burst: flags.publish_burst },
            subscriptions: Rate { per_second: flags.subscribe_rate, burst: flags.subscribe_burst },
            requests: Rate { per_second: flags.http_rate, burst: flags.http_burst },
            admin: Rate::per_second(self.admin.admin_rate),
            failed_logins_per_minute: flags.login_rate,
        }
    }

    const fn compression_limits(&self) -> CompressionLimits {
        let flags = &self.compression;
        CompressionLimits {
            is_on: flags.compress,
            contexts_max: flags.compress_contexts,
            message_bytes_min: flags.compress_threshold,
            level: flags.compress_level,
            window_bits_max: flags.compress_window,
        }
    }

    fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            sessions_max: self.sessions.max_sessions,
            keys_max: self.sessions.max_session_keys,
            key_bytes_max: self.sessions.max_session_key,
            value_bytes_max: self.sessions.max_session_value,
            bytes_max: self.sessions.max_session_bytes,
            writes_max: self.sessions.max_session_writes,
            ttl: self.sessions.session_ttl,
            cache: self.sessions.session_cache,
            reads_home: self.sessions.no_session_cache,
            retired_max: self.sessions.max_retired_sessions,
        }
    }

    fn session_settings(&self) -> SessionSettings {
        SessionSettings {
            cookie_name: self.sessions.session_cookie.clone(),
            cookie_age: self.sessions.session_cookie_age,
            cookie_secure: self.sessions.session_cookie_secure,
            key_file: self.sessions.session_key_file.clone(),
            store: self.sessions.session_store.clone(),
            store_queue: self.sessions.session_store_queue,
        }
    }
}

impl fmt::Display for FlagConflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Both(one, other) => write!(formatter, "the argument '{one}' cannot be used with '{other}'"),
            Self::SecretShown(flag, file, variable) => write!(
                formatter,
                "'{flag}' would show the secret to everybody who can list processes: write it to a file for {file}, or \
                 set {variable}",
            ),
        }
    }
}

impl std::error::Error for FlagConflict {}
