//! Judges settings as a whole: what single flags cannot see. It touches no socket, CPU or ring; what only the kernel
//! knows is asked by the start-up checks.

use std::fmt;
use std::time::Duration;

use super::admin::AdminOpen;
use super::tls::TlsViolation;
use super::{Settings, duration, size};

/// One rule that settings break. `Display` says which flags to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// There is no address to listen on.
    ListenEmpty,
    /// Nothing is left of the drain when everybody was told to leave.
    DrainSpread { spread: Duration, drain: Duration },
    /// An admin listener that others can reach, and nothing to show there.
    AdminOpen(AdminOpen),
    /// TLS that cannot be.
    Tls(TlsViolation),
    /// The same address is listed twice.
    ListenTwice(String),
    /// The time-out does not leave room for one ping.
    PingTimeout { interval: Duration, timeout: Duration },
    /// A user would count as offline between two signs of life.
    UserSilence { heartbeat: Duration, silence: Duration },
    /// The mark lies above the maximum.
    OutboxMark { mark: usize, most: usize },
    /// Two messages do not fit into an outbox.
    OutboxMessage { message: usize, most: usize },
    /// Not a power of two.
    PowerOfTwo { flag: &'static str, value: u64 },
    /// The buffers of one shard are larger than is sane.
    ReceiveBytes(u64),
    /// A time-out is shorter than the tick that would notice it.
    Tick { tick: Duration, flag: &'static str, timeout: Duration },
    /// A server could count as hung between two signs of life.
    HangTimeout { tick: Duration, timeout: Duration },
    /// Looking for work for longer than a tick may take.
    Spin(Duration),
    /// More shards than a set of peers can hold, or none.
    Shards(usize),
    /// An empty list of CPUs.
    CpusEmpty,
    /// The name is empty, too long, or has odd characters.
    AppName,
    /// Two sources of keys, of which either could be meant to sign.
    KeyTwice,
    /// Two keys of one name.
    KeyNameTwice(String),
    /// More keys than a token is tried with.
    KeysTooMany(usize),
    /// A number that the flag would not let through but a program can set.
    Range { flag: &'static str, value: u8, least: u8, most: u8 },
    /// A limit of zero, which no flag lets through but a program can set.
    Zero(&'static str),
}

/// Every rule that `settings` break; none is good news.
pub(crate) fn violations(settings: &Settings) -> Vec<Violation> {
    let mut found = Vec::new();
    listen(settings, &mut found);
    found.extend(settings.tls.violations().into_iter().map(Violation::Tls));
    if settings.tls.handshake_bytes_max == 0 {
        found.push(Violation::Zero("--max-tls-handshake"));
    }
    placement(settings, &mut found);
    limits(settings, &mut found);
    ticks(settings, &mut found);
    ring(settings, &mut found);
    auth(settings, &mut found);
    found
}

fn listen(settings: &Settings, found: &mut Vec<Violation>) {
    if settings.listen.is_empty() && settings.tls.listen.is_empty() {
        found.push(Violation::ListenEmpty);
    }
    found.extend(settings.admin.open_addresses().map(|address| Violation::AdminOpen(AdminOpen(address))));
    let lists = [&settings.listen, &settings.tls.listen, &settings.tls.redirect, &settings.admin.listen];
    let all: Vec<_> = lists.into_iter().flatten().collect();
    for (index, address) in all.iter().enumerate() {
        // Port 0 twice is two different ports.
        if address.port() != 0 && all[..index].contains(address) {
            found.push(Violation::ListenTwice(address.to_string()));
        }
    }
}

fn placement(settings: &Settings, found: &mut Vec<Violation>) {
    if let Some(shards) = settings.shards
        && !(1..=SHARDS_MAX).contains(&shards)
    {
        found.push(Violation::Shards(shards));
    }
    if settings.cpus.as_ref().is_some_and(Vec::is_empty) {
        found.push(Violation::CpusEmpty);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !(1..=64).contains(&settings.app_name.len()) || !settings.app_name.bytes().all(plain) {
        found.push(Violation::AppName);
    }
}

fn limits(settings: &Settings, found: &mut Vec<Violation>) {
    let limits = &settings.limits;
    if limits.ping_timeout <= limits.ping_interval {
        found.push(Violation::PingTimeout { interval: limits.ping_interval, timeout: limits.ping_timeout });
    }
    let heartbeat = limits.people.heartbeat.min(limits.ping_interval);
    if limits.people.silence <= heartbeat {
        found.push(Violation::UserSilence { heartbeat, silence: limits.people.silence });
    }
    if limits.outbox_high_water_mark > limits.outbox_bytes_max {
        found.push(Violation::OutboxMark { mark: limits.outbox_high_water_mark, most: limits.outbox_bytes_max });
    }
    // One message being sent and the next one behind it must not make a slow consumer of a client that reads.
    if limits.outbox_bytes_max < limits.websocket.message_bytes_max.saturating_mul(2) {
        let message = limits.websocket.message_bytes_max;
        found.push(Violation::OutboxMessage { message, most: limits.outbox_bytes_max });
    }
    let compression = &limits.compression;
    for (flag, value, least, most) in
        [("--compress-level", compression.level, 1, 9), ("--compress-window", compression.window_bits_max, 9, 15)]
    {
        if !(least..=most).contains(&value) {
            found.push(Violation::Range { flag, value, least, most });
        }
    }
    for (flag, value) in [
        ("--backlog", settings.backlog as usize),
        ("--log-lines-max", settings.log.lines_per_second_max as usize),
        ("--lane-capacity", settings.lane_capacity),
        ("--max-connections", limits.connections_max),
        ("--max-head", limits.head_bytes_max),
        ("--max-body", limits.body_bytes_max),
        ("--max-payload", limits.engine.payload_bytes_max),
        ("--max-payload-packets", limits.engine.payload_packets_max),
        ("--max-attachments", limits.engine.attachments_max),
        ("--max-recovery-connections", limits.recovery.connections_max),
        ("--max-recovery-packets", limits.recovery.packets_max),
        ("--max-recovery-bytes", limits.recovery.bytes_max),
        ("--max-recovery-total", limits.recovery.total_bytes_max),
        ("--max-message", limits.websocket.message_bytes_max),
        ("--max-fragments", limits.websocket.fragments_max as usize),
        ("--max-subscriptions", limits.subscriptions_per_connection_max),
        ("--max-channels", limits.channels_max),
        ("--max-calls", limits.calls_per_connection_max),
        ("--max-client-calls", limits.client_calls_max),
        ("--max-batch", limits.socketcluster.batch_messages_max),
        ("--max-depth", limits.socketcluster.json.depth_max),
        ("--max-channel-name", limits.socketcluster.names.channel_name_bytes_max),
        ("--max-action-name", limits.socketcluster.names.action_name_bytes_max),
        ("--max-call-id", limits.socketcluster.call_id_bytes_max),
        ("--lane-high-water-mark", limits.lane_high_water_mark),
        ("--outbox-high-water-mark", limits.outbox_high_water_mark),
        ("--sends-per-pass", limits.sends_per_pass),
        ("--drain-batch", limits.drain_connections_per_turn),
        ("--session-store-queue", settings.sessions.store_queue),
        ("--max-sessions", limits.sessions.sessions_max),
        ("--max-session-keys", limits.sessions.keys_max),
        ("--max-session-key", limits.sessions.key_bytes_max),
        ("--max-session-value", limits.sessions.value_bytes_max),
        ("--max-session-bytes", limits.sessions.bytes_max),
        ("--max-session-writes", limits.sessions.writes_max),
        ("--max-retired-sessions", limits.sessions.retired_max),
    ] {
        if value == 0 {
            found.push(Violation::Zero(flag));
        }
    }
}

fn ticks(settings: &Settings, found: &mut Vec<Violation>) {
    let tick = settings.tick;
    if tick.is_zero() {
        found.push(Violation::Zero("--tick"));
    }
    if settings.spin > SPIN_MAX {
        found.push(Violation::Spin(settings.spin));
    }
    if !settings.drain_spread.is_zero() && settings.drain_spread >= settings.drain {
        found.push(Violation::DrainSpread { spread: settings.drain_spread, drain: settings.drain });
    }
    let limits = &settings.limits;
    for (flag, timeout) in [
        ("--ping-interval", limits.ping_interval),
        ("--engine-ping-interval", limits.engine.ping_interval),
        ("--engine-ping-timeout", limits.engine.ping_timeout),
        ("--handshake-timeout", limits.handshake_timeout),
        ("--call-timeout", limits.call_timeout),
        ("--send-timeout", limits.send_timeout),
        ("--close-timeout", limits.close_timeout),
        ("--idle-timeout", limits.idle_timeout),
        ("--body-timeout", limits.body_timeout),
    ] {
        if timeout < tick {
            found.push(Violation::Tick { tick, flag, timeout });
        }
    }
    let timeout = settings.supervision.hang_timeout;
    if !timeout.is_zero() && timeout < tick * TICKS_PER_HANG {
        found.push(Violation::HangTimeout { tick, timeout });
    }
}

fn ring(settings: &Settings, found: &mut Vec<Violation>) {
    let ring = &settings.ring;
    for (flag, value) in
        [("--ring-entries", u64::from(ring.entries)), ("--receive-buffers", u64::from(ring.receive_buffers))]
    {
        if !value.is_power_of_two() {
            found.push(Violation::PowerOfTwo { flag, value });
        }
    }
    let bytes = u64::from(ring.receive_buffers) * u64::from(ring.receive_buffer_bytes);
    if bytes == 0 {
        found.push(Violation::Zero("--receive-buffer-bytes"));
    } else if bytes > RECEIVE_BYTES_MAX {
        found.push(Violation::ReceiveBytes(bytes));
    }
}

fn auth(settings: &Settings, found: &mut Vec<Violation>) {
    let auth = &settings.auth;
    if auth.key.is_some() && !auth.key_files.is_empty() {
        found.push(Violation::KeyTwice);
    }
    if auth.key_files.len() > KEYS_MAX {
        found.push(Violation::KeysTooMany(auth.key_files.len()));
    }
    let names: Vec<_> = auth.key_files.iter().filter_map(|file| file.name.as_deref()).collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            found.push(Violation::KeyNameTwice((*name).to_owned()));
        }
    }
    for (flag, is_zero) in
        [("--token-lifetime", auth.token_lifetime.is_zero()), ("--max-token", auth.token_bytes_max == 0)]
    {
        if is_zero {
            found.push(Violation::Zero(flag));
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size_of = |bytes: &usize| size::format(*bytes as u64);
        match self {
            Self::DrainSpread { .. }
            | Self::PingTimeout { .. }
            | Self::UserSilence { .. }
            | Self::Tick { .. }
            | Self::HangTimeout { .. } => self.fmt_times(formatter),
            Self::ListenEmpty => write!(formatter, "there is no address to listen on: give --listen or --port"),
            Self::AdminOpen(open) => open.fmt(formatter),
            Self::Tls(violation) => violation.fmt(formatter),
            Self::ListenTwice(address) => write!(formatter, "--listen {address} is given twice"),
            Self::OutboxMark { mark, most } => write!(
                formatter,
                "--outbox-high-water-mark ({}) must not be above --outbox-bytes-max ({})",
                size_of(mark),
                size_of(most)
            ),
            Self::OutboxMessage { message, most } => write!(
                formatter,
                "--outbox-bytes-max ({}) must be at least twice --max-message ({}): raise it to {} or more",
                size_of(most),
                size_of(message),
                size_of(&message.saturating_mul(2))
            ),
            Self::PowerOfTwo { flag, value } => {
                let above = value.checked_next_power_of_two().unwrap_or(*value).max(2);
                write!(formatter, "{flag} ({value}) must be a power of two, such as {above}")
            }
            Self::ReceiveBytes(bytes) => write!(
                formatter,
                "--receive-buffers times --receive-buffer-bytes is {} per shard: at most {}",
                size::format(*bytes),
                size::format(RECEIVE_BYTES_MAX)
            ),
            Self::Spin(spin) => {
                write!(formatter, "--spin-us ({}) must not be above {}", spin.as_micros(), SPIN_MAX.as_micros())
            }
            Self::Shards(shards) => write!(formatter, "--shards ({shards}) must be between 1 and {SHARDS_MAX}"),
            Self::CpusEmpty => write!(formatter, "--cpus names no CPU"),
            Self::AppName => write!(formatter, "--app-name must be 1 to 64 letters, digits, '.', '_' or '-'"),
            Self::KeyTwice => write!(
                formatter,
                "both --auth-key-file and SOCKETSHARD_AUTH_KEY are given: which key is to sign? Give one of them"
            ),
            Self::KeyNameTwice(name) => write!(formatter, "--auth-key-file names two keys {name}"),
            Self::KeysTooMany(count) => write!(formatter, "--auth-key-file is given {count} times: at most {KEYS_MAX}"),
            Self::Range { flag, value, least, most } => {
                write!(formatter, "{flag} ({value}) must be between {least} and {most}")
            }
            Self::Zero(flag) => write!(formatter, "{flag} must not be zero"),
        }
    }
}

impl Violation {
    /// Of one time against another.
    fn fmt_times(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: &Duration| duration::format(*time);
        match self {
            Self::DrainSpread { spread, drain } => {
                write!(formatter, "--drain-spread ({}) must be shorter than --drain ({})", time(spread), time(drain))
            }
            Self::PingTimeout { interval, timeout } => write!(
                formatter,
                "--ping-timeout ({}) must be longer than --ping-interval ({}), or every client is cut off",
                time(timeout),
                time(interval)
            ),
            Self::UserSilence { heartbeat, silence } => write!(
                formatter,
                "--user-silence ({}) must be longer than the time between two signs of life ({}), or users who are there \
                 count as offline",
                time(silence),
                time(heartbeat)
            ),
            Self::Tick { tick, flag, timeout } => {
                let (tick, timeout) = (time(tick), time(timeout));
                write!(
                    formatter,
                    "{flag} ({timeout}) must not be shorter than --tick ({tick}), which is how finely time is kept"
                )
            }
            Self::HangTimeout { tick, timeout } => {
                let (least, timeout) = (time(&(*tick * TICKS_PER_HANG)), time(timeout));
                write!(
                    formatter,
                    "--hang-timeout ({timeout}) must be 0s, or {least} at least: signs of life come with --tick"
                )
            }
            _ => unreachable!("the others are told where they come up"),
        }
    }
}

/// A bad token may be tried with every key, at up to a quarter of a millisecond each: 2 ms of a shard's time.
const KEYS_MAX: usize = 8;

/// The width of the set in which a shard keeps the peers that want a channel (two 64-bit words).
pub(super) const SHARDS_MAX: usize = 128;

/// Three signs of life in that time, each after a tick of every shard, and as long again for a machine that is busy.
const TICKS_PER_HANG: u32 = 20;

/// The shortest tick; the flag has the same end.
const SPIN_MAX: Duration = Duration::from_millis(1);

/// 1 GiB: 32,768 buffers of 32 KiB, the largest count at the default size.
const RECEIVE_BYTES_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(change: impl FnOnce(&mut Settings)) -> Vec<Violation> {
        let mut settings = Settings::default();
        change(&mut settings);
        violations(&settings)
    }

    #[test]
    fn the_defaults_break_no_rule() {
        assert_eq!(violations(&Settings::default()), []);
    }

    #[test]
    fn a_ping_time_out_must_exceed_the_interval() {
        let found = broken(|settings| settings.limits.ping_timeout = settings.limits.ping_interval);
        assert!(matches!(found[..], [Violation::PingTimeout { .. }]), "{found:?}");
        let text = found[0].to_string();
        assert!(text.contains("--ping-timeout (8s)") && text.contains("--ping-interval (8s)"), "{text}");
    }

    #[test]
    fn an_outbox_must_hold_two_messages_and_its_own_mark() {
        let found = broken(|settings| settings.limits.websocket.message_bytes_max = 1 << 20);
        assert!(matches!(found[..], [Violation::OutboxMessage { .. }]), "{found:?}");
        assert!(found[0].to_string().contains("raise it to 2MiB"), "{}", found[0]);
        let found = broken(|settings| settings.limits.outbox_high_water_mark = 2 << 20);
        assert!(matches!(found[..], [Violation::OutboxMark { .. }]), "{found:?}");
    }

    #[test]
    fn ring_sizes_are_powers_of_two_and_bounded() {
        let found = broken(|settings| settings.ring.receive_buffers = 100);
        assert_eq!(found, [Violation::PowerOfTwo { flag: "--receive-buffers", value: 100 }]);
        assert!(found[0].to_string().ends_with("such as 128"), "{}", found[0]);
        let found = broken(|settings| settings.ring.entries = 0);
        assert_eq!(found, [Violation::PowerOfTwo { flag: "--ring-entries", value: 0 }]);
        let found = broken(|settings| {
            settings.ring.receive_buffers = 32_768;
            settings.ring.receive_buffer_bytes = 64 << 10;
        });
        assert_eq!(found, [Violation::ReceiveBytes(2 << 30)]);
    }

    #[test]
    fn every_other_rule_is_kept_too() {
        assert_eq!(broken(|settings| settings.listen.clear()), [Violation::ListenEmpty]);
        assert_eq!(
            broken(|settings| settings.listen.push(settings.listen[0])),
            [Violation::ListenTwice("0.0.0.0:8000".to_owned())]
        );
        assert_eq!(broken(|settings| settings.shards = Some(129)), [Violation::Shards(129)]);
        assert_eq!(broken(|settings| settings.shards = Some(0)), [Violation::Shards(0)]);
        assert_eq!(broken(|settings| settings.cpus = Some(Vec::new())), [Violation::CpusEmpty]);
        assert_eq!(broken(|settings| settings.app_name = "a\nb".to_owned()), [Violation::AppName]);
        let found = broken(|settings| settings.limits.compression.window_bits_max = 8);
        assert_eq!(found, [Violation::Range { flag: "--compress-window", value: 8, least: 9, most: 15 }]);
        assert_eq!(broken(|settings| settings.limits.compression.level = 0).len(), 1);
        let long = Duration::from_micros(1001);
        assert_eq!(broken(|settings| settings.spin = long), [Violation::Spin(long)]);
        assert_eq!(broken(|settings| settings.tick = Duration::ZERO), [Violation::Zero("--tick")]);
        assert_eq!(broken(|settings| settings.limits.channels_max = 0), [Violation::Zero("--max-channels")]);
        let found = broken(|settings| settings.limits.close_timeout = Duration::from_millis(10));
        assert!(matches!(found[..], [Violation::Tick { flag: "--close-timeout", .. }]), "{found:?}");
        let hang = |timeout| broken(|settings| settings.supervision.hang_timeout = timeout);
        assert_eq!(hang(Duration::ZERO), []);
        assert!(matches!(hang(Duration::from_millis(900))[..], [Violation::HangTimeout { .. }]));
    }

    #[test]
    fn tls_has_its_certificates_and_they_have_their_use() {
        let address = || "127.0.0.1:8443".parse().expect("an address");
        let unused = broken(|settings| settings.tls.redirect.push(address()));
        assert_eq!(unused, [Violation::Tls(TlsViolation::Unused("--tls-redirect"))]);
        let tls = |change: &dyn Fn(&mut Settings)| {
            broken(|settings| {
                settings.listen.clear();
                settings.tls.listen.push(address());
                change(settings);
            })
        };
        assert_eq!(tls(&|_| ()), [Violation::Tls(TlsViolation::WithoutCertificate)]);
        assert_eq!(tls(&|settings| settings.tls.self_signed = true), []);
        let two = |settings: &mut Settings| settings.tls.certificates = vec!["a".into(), "b".into()];
        assert_eq!(tls(&two), []);
        let pairs = tls(&|settings| {
            two(settings);
            settings.tls.keys.push("a".into());
        });
        assert_eq!(pairs, [Violation::Tls(TlsViolation::Pairs { certificates: 2, keys: 1 })]);
        let twice = tls(&|settings| {
            settings.tls.self_signed = true;
            settings.tls.redirect.push(address());
        });
        assert_eq!(twice, [Violation::ListenTwice("127.0.0.1:8443".to_owned())]);
    }

    #[test]
    fn all_broken_rules_are_reported_at_once() {
        let found = broken(|settings| {
            settings.limits.ping_timeout = Duration::from_secs(1);
            settings.ring.receive_buffers = 3;
            settings.app_name = String::new();
        });
        assert_eq!(found.len(), 3, "{found:?}");
    }
}
