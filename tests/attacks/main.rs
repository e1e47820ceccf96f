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
const FLAGS: [&str; 15] = [
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
    "--admin-listen=127.0.0.1:0",
    // A line at each tick that has something to tell, so that each row has its own.
    "--log-refusals=1ms",
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
    let (admin, pid) = (server.admin_address().to_string(), server.pid().to_string());
    let flags = ["--quick", "--json", "--tls-address", &tls, "--admin", &admin, "--server-pid", &pid];
    let exit = Process::run(attack(server.address(), &flags), tool::LIMIT);
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

/// Whether each row has kept its bounds is the tool's to judge; here it is seen that it has looked.
#[test]
fn every_row_is_counted_bounded_and_gives_its_descriptors_back() {
    for row in AFTERMATH.result["rows"].as_array().expect("rows") {
        for input in ["what is counted", "memory at its height", "descriptors afterwards"] {
            let case = row["cases"].as_array().and_then(|cases| cases.iter().find(|case| case["input"] == input));
            assert_eq!(case.map(|case| &case["verdict"]), Some(&"ok".into()), "{input}: {row}");
        }
        let has_cpu = row["cases"].as_array().is_some_and(|cases| cases.iter().any(|case| case["input"] == "CPU time"));
        assert_eq!(has_cpu, row["row"] == "A6", "what is judged by its time: {row}");
    }
}

#[test]
fn every_row_that_is_refused_is_told_in_the_log() {
    for row in AFTERMATH.result["rows"].as_array().expect("rows") {
        let name = row["row"].as_str().expect("a name");
        let stamp = |field: &str| stamp(row["trace"][field].as_u64().expect("a time"));
        let span = stamp("began_ms")..=stamp("ended_ms");
        let told = AFTERMATH.stderr.lines().filter(|line| line.contains(REFUSALS));
        let found = told.filter(|line| line.get(..23).is_some_and(|stamp| span.contains(&stamp.to_owned())));
        assert!(found.count() > 0 || SERVED.contains(&name), "{name} left no line between {span:?}");
    }
}

/// What the line on refusals has.
const REFUSALS: &str = "clients were refused or ended:";

/// Rows that are served within their limits, or end by themselves: there is nothing to tell.
const SERVED: [&str; 6] = ["A3", "A6", "A26", "A36", "A45", "A53"];

/// Milliseconds of Unix time as the log writes them.
fn stamp(millis: u64) -> String {
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    // Years that begin in March end with the day that only some have.
    let since = days + 719_468;
    let (era, day) = (since / 146_097, since % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{year}-{month:02}-{date:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}", rest % 1_000)
}

#[test]
fn times_are_written_as_the_log_writes_them() {
    assert_eq!(stamp(0), "1970-01-01T00:00:00.000");
    assert_eq!(stamp(951_827_696_789), "2000-02-29T12:34:56.789");
    assert_eq!(stamp(1_798_761_599_999), "2026-12-31T23:59:59.999");
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
    let told = stderr.lines().filter(|line| line.contains(REFUSALS)).count();
    assert!((1..400).contains(&told), "{told} lines on refusals, of two shards");
    // At the level that is the default nothing of all this is worth a line of its own, but for what ends a slow consumer.
    let is_other = |line: &&str| !["DEBUG", "TRACE", REFUSALS].iter().any(|word| line.contains(word));
    let loud = Vec::from_iter(stderr.lines().filter(is_other));
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
