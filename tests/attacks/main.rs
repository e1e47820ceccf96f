//! The attack catalogue against the real server on two shards: `socketshard-loadgen attack` plays every row that needs
//! nothing but an address, and each must be answered as `core/docs/security.md` says. Then what the tool cannot see is
//! looked at: descriptors, memory, counters and the log. And the tool itself is shown to find a bad server.

mod bad;
mod tool;

use std::sync::LazyLock;

use harness::process::Process;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use serde_json::Value;

use tool::attack;

/// Time-outs that `--quick` expects, TLS for its rows, and compression for bombs.
const FLAGS: [&str; 13] = [
    "--handshake-timeout=500ms",
    "--body-timeout=500ms",
    "--send-timeout=1s",
    "--close-timeout=500ms",
    "--idle-timeout=1s",
    "--tls-listen=127.0.0.1:0",
    "--tls-self-signed",
    "--compress",
    "--log-level=debug",
    "--log-lines-max=10k",
    "--ping-interval=2s",
    "--engine-ping-interval=1s",
    "--engine-ping-timeout=1s",
];

/// What memory may grow by: as in `tests/abuse` a flooded shard keeps arenas and receive buffers of some 40 MiB, and here the
/// compressors and decompressors of two shards come on top, 1 MiB, and some thousand sessions that are not forgotten yet.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

/// What is there for a look after the whole catalogue was played once.
struct Aftermath {
    result: Value,
    stderr: String,
    growth_bytes: u64,
}

static AFTERMATH: LazyLock<Aftermath> = LazyLock::new(|| {
    let server = Server::start(&FLAGS);
    let (descriptors, resident) = (server.descriptors(), server.resident_bytes());
    let tls = server.tls_address().to_string();
    let exit = Process::run(attack(server.address(), &["--quick", "--json", "--tls-address", &tls]), tool::LIMIT);
    assert!(!exit.stdout.is_empty(), "{exit}");
    let result = serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{exit}"));
    assert_served(&server);
    server.wait_for_descriptors(descriptors, PATIENCE);
    server.signal(libc::SIGUSR1);
    let metrics = || {
        let stderr = server.stderr();
        ["shard 0: connections=", "shard 1: connections="].iter().all(|line| stderr.contains(line)).then_some(stderr)
    };
    let stderr = wait::until("metrics", PATIENCE, metrics);
    let growth_bytes = server.resident_bytes().saturating_sub(resident);
    Aftermath { result, stderr, growth_bytes }
});

fn assert_served(server: &Server) {
    let (mut near, mut far) = harness::member::Member::pair(server.address());
    for member in [&mut near, &mut far] {
        assert_eq!(member.call("app.square", &serde_json::json!(25)), Ok(serde_json::json!(625)));
    }
}

#[test]
fn every_row_is_answered_as_the_catalogue_says() {
    let result = &AFTERMATH.result;
    let rows = result["rows"].as_array().expect("rows");
    assert!(rows.len() > 40, "{} rows were played", rows.len());
    let cases = || rows.iter().flat_map(|row| row["cases"].as_array().expect("cases"));
    let odd = Vec::from_iter(cases().filter(|case| case["verdict"] != "ok"));
    assert!(odd.is_empty(), "{odd:#?}");
    assert!(cases().count() > 300, "{} cases", cases().count());
}

#[test]
fn a_bystander_lives_through_all_of_it() {
    let bystander = &AFTERMATH.result["bystander"];
    assert_eq!(bystander["hurt"], Value::Null, "{bystander}");
    assert!(bystander["calls"].as_u64().is_some_and(|calls| calls > 100), "{bystander}");
}

#[test]
fn descriptors_and_memory_come_back() {
    // Descriptors were waited for before there was an aftermath.
    let growth = AFTERMATH.growth_bytes;
    assert!(growth <= GROWTH_BYTES_MAX, "memory grew by {growth} bytes, more than {GROWTH_BYTES_MAX}");
}

#[test]
fn every_kind_of_attack_is_counted() {
    let counters = [
        "protocol_errors",
        "timeouts",
        "origins_refused",
        "tokens_refused",
        "subscriptions_refused",
        "slow_consumers",
        "tls_failures",
        "messages_unknown",
    ];
    for counter in counters {
        let sum: u64 = AFTERMATH.stderr.lines().filter_map(|line| value(line, counter)).sum();
        assert!(sum > 0, "{counter} is not counted\n{}", metrics());
    }
}

#[test]
fn the_log_is_short_and_nobody_else_writes_in_it() {
    let stderr = &AFTERMATH.stderr;
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "an escape for a terminal: {stderr}");
    for line in stderr.lines() {
        assert!(!line.starts_with("2026-01-01"), "a forged line: {line}");
        assert!(line.len() < 2_000, "a line as long as its sender likes: {line}");
    }
    let names = ["attack.", "longlong", "%2fetc", "UNION SELECT"];
    let named = Vec::from_iter(
        metrics().lines().map(str::to_owned).filter(|line| names.iter().any(|name| line.contains(name))),
    );
    assert!(named.is_empty(), "a client's names are not among the metrics: {named:?}");
    // At the level that is the default nothing of all this is worth a line of its own, but for what ends a slow consumer.
    let loud = Vec::from_iter(stderr.lines().filter(|line| !line.contains("DEBUG") && !line.contains("TRACE")));
    assert!(loud.len() < 50, "{} lines: {loud:#?}", loud.len());
}

/// The lines of the metrics.
fn metrics() -> String {
    Vec::from_iter(AFTERMATH.stderr.lines().filter(|line| line.contains("connections="))).join("\n")
}

/// A counter's value in a line of metrics.
fn value(line: &str, counter: &str) -> Option<u64> {
    let words = line.split_whitespace().filter_map(|word| word.split_once('='));
    words.filter(|(name, _)| *name == counter).find_map(|(_, value)| value.parse().ok())
}
