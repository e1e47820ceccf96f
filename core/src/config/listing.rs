//! Settings written out as flags, one row each, so that `check` can show what a server would run with. Every value
//! reads back through its flag.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use codec::json::JsonLimits;
use codec::name::NameLimits;
use codec::{socketcluster, websocket};
use shard::{
    CompressionLimits, EngineLimits, Limits, PeopleLimits, QuotaLimits, Rate, RateLimits, RecoveryLimits, SeatLimits,
    SlowConsumer,
};

use crate::app::{AckShape, FilesOptions};

use super::{
    AdminSettings, ApplicationSettings, AuthSettings, ChannelPolicy, HttpSettings, LogFormat, LogLevel, LogSettings,
    OriginSettings, RingSettings, SessionLimits, SessionSettings, Settings, SupervisionSettings, TlsSettings,
    consumers, count, cpus, duration, size,
};

/// The name of each flag (without its dashes) and the value these settings give it. No `..` in here: a setting without
/// a row does not compile.
pub(crate) fn rows(settings: &Settings) -> Vec<(&'static str, String)> {
    let Settings {
        listen,
        tls,
        admin,
        shards,
        cpus,
        pin,
        backlog,
        ack_timeout,
        limits,
        memory_max,
        channel_policies,
        application,
        sessions,
        auth,
        origins,
        http,
        ring: RingSettings { entries, receive_buffers, receive_buffer_bytes, direct_descriptors },
        lane_capacity,
        tick,
        spin,
        drain,
        drain_spread,
        shard_restarts,
        supervision,
        app_name,
        log,
    } = settings;
    let OriginSettings { allowed, required } = origins;
    let mut rows = listen_rows(listen, *backlog, *ack_timeout);
    rows.extend([
        ("shards", shards.map_or_else(|| "auto".to_owned(), |shards| shards.to_string())),
        ("cpus", cpus.as_deref().map_or_else(|| "all allowed".to_owned(), cpus::format)),
        ("no-pin", (!pin).to_string()),
        ("tick", duration::format(*tick)),
        ("spin-us", count::format(spin.as_micros() as u64)),
    ]);
    tls_rows(tls, &mut rows);
    limit_rows(limits, *memory_max, &mut rows);
    rows.push(("slow-consumer", policies(limits.slow_consumer, channel_policies)));
    engine_rows(&limits.engine, &mut rows);
    recovery_rows(&limits.recovery, &mut rows);
    compression_rows(&limits.compression, &mut rows);
    people_rows(&limits.people, &mut rows);
    share_rows(&limits.seats, &limits.quotas, &limits.rates, &mut rows);
    session_rows(sessions, &limits.sessions, &mut rows);
    http_rows(http, limits, &mut rows);
    admin_rows(admin, &mut rows);
    application_rows(application, &mut rows);
    rows.push(("lane-capacity", lane_capacity.to_string()));
    auth_rows(auth, &mut rows);
    rows.extend([
        ("allow-origin", if allowed.is_empty() { "the server's own".to_owned() } else { list(allowed) }),
        ("require-origin", required.to_string()),
        ("ring-entries", entries.to_string()),
        ("receive-buffers", receive_buffers.to_string()),
        ("receive-buffer-bytes", size::format(u64::from(*receive_buffer_bytes))),
        ("direct-descriptors", count::format(u64::from(*direct_descriptors))),
        ("drain", duration::format(*drain)),
        ("drain-spread", duration::format(*drain_spread)),
        ("shard-restarts", count::format(u64::from(*shard_restarts))),
        ("app-name", app_name.clone()),
    ]);
    supervision_rows(supervision, &mut rows);
    log_rows(log, &mut rows);
    rows
}

fn listen_rows(listen: &[SocketAddr], backlog: u32, ack_timeout: Option<Duration>) -> Vec<(&'static str, String)> {
    vec![
        ("listen", if listen.is_empty() { "none".to_owned() } else { list(listen) }),
        ("backlog", backlog.to_string()),
        ("ack-timeout", ack_timeout.map_or_else(|| "the longest of the others".to_owned(), duration::format)),
    ]
}

fn auth_rows(auth: &AuthSettings, rows: &mut Vec<(&'static str, String)>) {
    rows.extend([
        ("auth-key-file", keys(auth)),
        ("token-lifetime", duration::format(auth.token_lifetime)),
        ("max-token", size::format(auth.token_bytes_max as u64)),
        ("user-claim", auth.user_claim.clone()),
    ]);
}

fn log_rows(settings: &LogSettings, rows: &mut Vec<(&'static str, String)>) {
    let LogSettings { level, format, lines_per_second_max, refusals_interval } = settings;
    rows.extend([
        ("log-level", level_name(*level).to_owned()),
        ("log-format", format_name(*format).to_owned()),
        ("log-lines-max", count::format(u64::from(*lines_per_second_max))),
        ("log-refusals", duration::format(*refusals_interval)),
    ]);
}

fn supervision_rows(settings: &SupervisionSettings, rows: &mut Vec<(&'static str, String)>) {
    let SupervisionSettings { is_on, restart_delay, restarts_max, hang_timeout } = settings;
    rows.extend([
        ("supervise", is_on.to_string()),
        ("restart-delay", duration::format(*restart_delay)),
        ("max-restarts", count::format(u64::from(*restarts_max))),
        ("hang-timeout", duration::format(*hang_timeout)),
    ]);
}

fn http_rows(http: &HttpSettings, limits: &Limits, rows: &mut Vec<(&'static str, String)>) {
    let HttpSettings { api_enabled, api_prefix, api_basic, events_enabled, events_path, files, files_options } = http;
    let FilesOptions { index, max_age, file_bytes_max, bytes_max } = files_options;
    rows.extend([
        ("no-http-api", (!api_enabled).to_string()),
        ("http-api-prefix", api_prefix.clone()),
        ("http-api-basic", api_basic.clone()),
        ("no-sse", (!events_enabled).to_string()),
        ("sse-path", events_path.clone()),
        ("sse-retry", duration::format(limits.stream_retry)),
        ("static", files.as_ref().map_or_else(|| "none".to_owned(), |files| files.display().to_string())),
        ("static-index", index.clone()),
        ("static-max-age", duration::format(*max_age)),
        ("static-cache", size::format(*bytes_max)),
        ("static-max-file", size::format(*file_bytes_max)),
    ]);
}

fn admin_rows(admin: &AdminSettings, rows: &mut Vec<(&'static str, String)>) {
    let AdminSettings { listen, key, key_file, hosts } = admin;
    let none = || "none".to_owned();
    let file = match (key, key_file) {
        (Some(_), _) => "(SOCKETSHARD_ADMIN_KEY)".to_owned(),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => none(),
    };
    rows.extend([
        ("admin-listen", if listen.is_empty() { none() } else { list(listen) }),
        ("admin-key-file", file),
        ("admin-host", if hosts.is_empty() { none() } else { hosts.join(",") }),
    ]);
}

fn application_rows(settings: &ApplicationSettings, rows: &mut Vec<(&'static str, String)>) {
    let ApplicationSettings {
        commands_max,
        command_bytes_max,
        tasks_max,
        timers_max,
        recipients_max,
        client_call_timeout,
        ack_shape,
        has_channel_events,
    } = settings;
    let own = |value: &Option<usize>, format: fn(u64) -> String| {
        value.map_or_else(|| AS_APPLICATION.to_owned(), |value| format(value as u64))
    };
    rows.extend([
        ("max-tasks", own(tasks_max, count::format)),
        ("max-timers", own(timers_max, count::format)),
        ("max-commands", own(commands_max, count::format)),
        ("max-recipients", own(recipients_max, count::format)),
        ("client-call-timeout", client_call_timeout.map_or_else(|| AS_APPLICATION.to_owned(), duration::format)),
        ("max-command-bytes", own(command_bytes_max, size::format)),
        ("ack-shape", ack_shape.map_or(AS_APPLICATION, shape_name).to_owned()),
        ("channel-events", has_channel_events.map_or(AS_APPLICATION, |on| if on { "on" } else { "off" }).to_owned()),
    ]);
}

const AS_APPLICATION: &str = "as the application has it";

fn policies(default: SlowConsumer, some: &[ChannelPolicy]) -> String {
    let default = consumers::name(default).to_owned();
    std::iter::once(default).chain(some.iter().map(ToString::to_string)).collect::<Vec<_>>().join(",")
}

const fn shape_name(shape: AckShape) -> &'static str {
    match shape {
        AckShape::ErrorFirst => "error-first",
        AckShape::Single => "single",
    }
}

/// Where the keys of tokens come from, never what they are.
fn keys(auth: &AuthSettings) -> String {
    let AuthSettings { key, key_files, token_lifetime: _, token_bytes_max: _, user_claim: _ } = auth;
    match (key, key_files.is_empty()) {
        (Some(_), _) => "(SOCKETSHARD_AUTH_KEY)".to_owned(),
        (None, true) => "a random key".to_owned(),
        (None, false) => list(key_files),
    }
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn tls_rows(tls: &TlsSettings, rows: &mut Vec<(&'static str, String)>) {
    let TlsSettings {
        listen,
        redirect,
        redirect_port,
        certificates,
        keys,
        key_passphrase,
        key_passphrase_file,
        self_signed,
        handshake_bytes_max,
        is_kernel_used,
    } = tls;
    let none = || "none".to_owned();
    let addresses = |listen: &[SocketAddr]| if listen.is_empty() { none() } else { list(listen) };
    let files = |paths: &[PathBuf]| match paths {
        [] => none(),
        paths => paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(","),
    };
    let passphrase = match (key_passphrase, key_passphrase_file) {
        (Some(_), _) => "(SOCKETSHARD_TLS_KEY_PASSPHRASE)".to_owned(),
        (None, Some(path)) => path.display().to_string(),
        (None, None) => none(),
    };
    rows.extend([
        ("tls-listen", addresses(listen)),
        ("tls-cert", files(certificates)),
        ("tls-key", files(keys)),
        ("tls-key-passphrase-file", passphrase),
        ("tls-self-signed", self_signed.to_string()),
        ("tls-redirect", addresses(redirect)),
        ("tls-redirect-port", redirect_port.map_or_else(|| "that of --tls-listen".to_owned(), |port| port.to_string())),
        ("max-tls-handshake", size::format(*handshake_bytes_max as u64)),
        ("ktls", if *is_kernel_used { "auto" } else { "off" }.to_owned()),
    ]);
}

fn limit_rows(limits: &Limits, memory_max: u64, rows: &mut Vec<(&'static str, String)>) {
    let Limits {
        connections_max,
        head_bytes_max,
        websocket: websocket::Limits { message_bytes_max, fragments_max },
        socketcluster:
            socketcluster::Limits {
                json: JsonLimits { depth_max },
                names: NameLimits { channel_name_bytes_max, action_name_bytes_max },
                batch_messages_max,
                call_id_bytes_max,
            },
        subscriptions_per_connection_max,
        channels_max,
        calls_per_connection_max,
        client_calls_max,
        stream_retry: _, // in `http_rows`
        outbox_high_water_mark,
        outbox_bytes_max,
        slow_consumer: _, // in `policies`
        body_bytes_max,
        lane_high_water_mark,
        sends_per_pass,
        drain_connections_per_turn,
        ping_interval: _,     // in `time_rows`
        ping_timeout: _,      // in `time_rows`
        handshake_timeout: _, // in `time_rows`
        body_timeout: _,      // in `time_rows`
        call_timeout: _,      // in `time_rows`
        send_timeout: _,      // in `time_rows`
        close_timeout: _,     // in `time_rows`
        idle_timeout: _,      // in `time_rows`
        seats: _,             // in `share_rows`
        quotas: _,            // in `share_rows`
        rates: _,             // in `share_rows`
        compression: _,       // in `compression_rows`
        engine: _,            // in `engine_rows`
        recovery: _,          // in `recovery_rows`
        sessions: _,          // in `session_rows`
        people: _,            // in `people_rows`
    } = limits;
    let count = |value: &usize| count::format(*value as u64);
    let size = |value: &usize| size::format(*value as u64);
    rows.extend([
        ("max-connections", count(connections_max)),
        ("memory-max", size::format(memory_max)),
        ("max-message", size(message_bytes_max)),
        ("max-fragments", count::format(u64::from(*fragments_max))),
        ("max-head", size(head_bytes_max)),
        ("max-body", size(body_bytes_max)),
        ("max-subscriptions", count(subscriptions_per_connection_max)),
        ("max-channels", count(channels_max)),
        ("max-calls", count(calls_per_connection_max)),
        ("max-client-calls", count(client_calls_max)),
        ("max-batch", count(batch_messages_max)),
        ("max-depth", count(depth_max)),
        ("max-channel-name", size(channel_name_bytes_max)),
        ("max-action-name", size(action_name_bytes_max)),
        ("max-call-id", size(call_id_bytes_max)),
        ("sends-per-pass", count(sends_per_pass)),
        ("outbox-high-water-mark", size(outbox_high_water_mark)),
        ("outbox-bytes-max", size(outbox_bytes_max)),
        ("lane-high-water-mark", size(lane_high_water_mark)),
        ("drain-batch", count(drain_connections_per_turn)),
    ]);
    time_rows(limits, rows);
}

fn time_rows(limits: &Limits, rows: &mut Vec<(&'static str, String)>) {
    rows.extend([
        ("ping-interval", duration::format(limits.ping_interval)),
        ("ping-timeout", duration::format(limits.ping_timeout)),
        ("handshake-timeout", duration::format(limits.handshake_timeout)),
        ("body-timeout", duration::format(limits.body_timeout)),
        ("call-timeout", duration::format(limits.call_timeout)),
        ("send-timeout", duration::format(limits.send_timeout)),
        ("close-timeout", duration::format(limits.close_timeout)),
        ("idle-timeout", duration::format(limits.idle_timeout)),
    ]);
}

fn engine_rows(limits: &EngineLimits, rows: &mut Vec<(&'static str, String)>) {
    let EngineLimits { ping_interval, ping_timeout, payload_bytes_max, payload_packets_max, attachments_max } = limits;
    rows.extend([
        ("engine-ping-interval", duration::format(*ping_interval)),
        ("engine-ping-timeout", duration::format(*ping_timeout)),
        ("max-payload", size::format(*payload_bytes_max as u64)),
        ("max-payload-packets", count::format(*payload_packets_max as u64)),
        ("max-attachments", count::format(*attachments_max as u64)),
    ]);
}

fn recovery_rows(limits: &RecoveryLimits, rows: &mut Vec<(&'static str, String)>) {
    let RecoveryLimits { window, connections_max, packets_max, bytes_max, total_bytes_max } = limits;
    rows.extend([
        ("recovery-window", duration::format(*window)),
        ("max-recovery-connections", count::format(*connections_max as u64)),
        ("max-recovery-packets", count::format(*packets_max as u64)),
        ("max-recovery-bytes", size::format(*bytes_max as u64)),
        ("max-recovery-total", size::format(*total_bytes_max as u64)),
    ]);
}

fn people_rows(limits: &PeopleLimits, rows: &mut Vec<(&'static str, String)>) {
    let PeopleLimits { is_online_known, heartbeat, silence, page_max } = limits;
    rows.extend([
        ("no-users-online", (!is_online_known).to_string()),
        ("user-heartbeat", duration::format(*heartbeat)),
        ("user-silence", duration::format(*silence)),
        ("max-user-page", count::format(*page_max as u64)),
    ]);
}

fn share_rows(seats: &SeatLimits, quotas: &QuotaLimits, rates: &RateLimits, rows: &mut Vec<(&'static str, String)>) {
    let SeatLimits { per_address, per_session, per_user } = seats;
    let RateLimits {
        requests_per_second,
        ban,
        calls,
        publications,
        subscriptions,
        requests,
        admin,
        failed_logins_per_minute,
    } = rates;
    rows.extend([
        ("max-connections-per-address", count::format(u64::from(*per_address))),
        ("max-connections-per-session", count::format(u64::from(*per_session))),
        ("max-connections-per-user", count::format(u64::from(*per_user))),
        ("max-subscriptions-per-address", count::format(u64::from(quotas.per_address))),
        ("max-subscriptions-per-user", count::format(u64::from(quotas.per_user))),
        ("login-rate", count::format(u64::from(*failed_logins_per_minute))),
        ("admin-rate", count::format(u64::from(admin.per_second))),
        ("client-rate", count::format(u64::from(*requests_per_second))),
        ("client-ban", ban.map_or_else(|| "until it leaves".to_owned(), duration::format)),
    ]);
    for (rate_flag, burst_flag, Rate { per_second, burst }) in [
        ("call-rate", "call-burst", calls),
        ("publish-rate", "publish-burst", publications),
        ("subscribe-rate", "subscribe-burst", subscriptions),
        ("http-rate", "http-burst", requests),
    ] {
        rows.push((rate_flag, count::format(u64::from(*per_second))));
        rows.push((burst_flag, count::format(u64::from(*burst))));
    }
}

fn compression_rows(limits: &CompressionLimits, rows: &mut Vec<(&'static str, String)>) {
    let CompressionLimits { is_on, contexts_max, message_bytes_min, level, window_bits_max } = limits;
    rows.extend([
        ("compress", is_on.to_string()),
        ("compress-threshold", size::format(*message_bytes_min as u64)),
        ("compress-level", level.to_string()),
        ("compress-window", window_bits_max.to_string()),
        ("compress-contexts", count::format(*contexts_max as u64)),
    ]);
}

fn session_rows(settings: &SessionSettings, limits: &SessionLimits, rows: &mut Vec<(&'static str, String)>) {
    let SessionSettings { cookie_name, cookie_age, cookie_secure, key_file, store, store_queue } = settings;
    let SessionLimits {
        sessions_max,
        keys_max,
        key_bytes_max,
        value_bytes_max,
        bytes_max,
        writes_max,
        ttl,
        cache,
        reads_home,
        retired_max,
    } = limits;
    let count = |value: &usize| count::format(*value as u64);
    let size = |value: &usize| size::format(*value as u64);
    let path =
        |path: &Option<PathBuf>| path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    rows.extend([
        ("session-cookie", cookie_name.clone()),
        ("session-cookie-age", duration::format(*cookie_age)),
        ("session-cookie-secure", cookie_secure.to_string()),
        ("session-key-file", path(key_file)),
        ("session-store", path(store)),
        ("session-store-queue", count(store_queue)),
        ("session-ttl", duration::format(*ttl)),
        ("session-cache", duration::format(*cache)),
        ("no-session-cache", reads_home.to_string()),
        ("max-sessions", count(sessions_max)),
        ("max-session-keys", count(keys_max)),
        ("max-session-key", size(key_bytes_max)),
        ("max-session-value", size(value_bytes_max)),
        ("max-session-bytes", size(bytes_max)),
        ("max-session-writes", count(writes_max)),
        ("max-retired-sessions", count(retired_max)),
    ]);
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Off => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

fn format_name(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}
