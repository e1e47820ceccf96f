//! The seeded simulation: N shards (1, 2, 5), simulated clients, mesh and network, and an oracle; see
//! `harness::simulation`. Every run of this target takes the same fixed seeds and some that nobody has seen before.
//!
//! A failure prints its seed and the command that replays it with a trace of everything that happened:
//! `SOCKETSHARD_SEED=… cargo test -p socketshard-tests --test simulation -- fixed --nocapture`. To look for rarer things,
//! let more fresh seeds run: `SOCKETSHARD_FRESH_SEEDS=100000 cargo test … -- fresh --nocapture`.

use std::hash::{BuildHasher, RandomState};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use harness::simulation::{Report, run};

mod carriers;
mod deaths;
mod kills;
mod sessions;
mod silence;

/// Seeds that every run takes.
const FIXED_SEEDS: u64 = 1_000;

/// Seeds that are new in every run, unless `SOCKETSHARD_FRESH_SEEDS` says how many.
const FRESH_SEEDS: u64 = 400;

/// After so many failures the rest would only repeat them.
const FAILURES_MAX: usize = 5;

#[test]
fn fixed_seeds_hold() {
    if let Some(seed) = number("SOCKETSHARD_SEED") {
        println!("{:#?}", run(seed, true));
        return;
    }
    let reports = run_all(FIXED_SEEDS, |index| index, &|seed| run(seed, false), "SOCKETSHARD_SEED", "fixed_seeds");
    let busiest = reports.iter().map(|report| report.happenings).max().unwrap_or(0);
    println!("{} runs, at most {busiest} happenings in one", reports.len());
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    println!(
        "{} clients, {} publications, {} deliveries, {} short sends, {} pauses, {} slow consumers, {} congested turns",
        sum(|report| report.clients as u64),
        sum(|report| report.publications),
        sum(|report| report.deliveries),
        sum(|report| report.sends_short),
        sum(|report| report.pauses),
        sum(|report| report.slow_consumers),
        sum(|report| report.congested_turns),
    );
    // What never happens proves nothing.
    for shards in [1, 2, 5] {
        let deliveries: u64 =
            reports.iter().filter(|report| report.shards == shards).map(|report| report.deliveries).sum();
        assert!(deliveries > 10_000, "{deliveries} deliveries with {shards} shards");
    }
    assert!(sum(|report| report.sends_short) > 1_000 && sum(|report| report.pauses) > 1_000);
    let tokens = [
        sum(|report| report.tokens_accepted),
        sum(|report| report.tokens_refused),
        sum(|report| report.tokens_expired),
    ];
    println!("{tokens:?} tokens accepted, refused, expired");
    assert!(tokens.iter().all(|count| *count > 1_000), "{tokens:?} tokens accepted, refused, expired");
    let ended = sum(|report| report.logins_ended);
    println!("{ended} logins ended before their connections");
    assert!(ended > tokens[2], "{ended} logins ended before their connections");
    assert!(sum(|report| report.slow_consumers) > 100 && sum(|report| report.congested_turns) > 100);
    let compressed = [sum(|report| report.compressions), sum(|report| report.messages_compressed)];
    println!("{compressed:?} connections that compress, messages compressed");
    assert!(compressed.iter().all(|count| *count > 1_000), "{compressed:?} compress, are compressed");
    let dropped = [0, 1, 2].map(|policy| reports.iter().map(|report| report.dropped[policy]).sum::<u64>());
    let kept = sum(|report| report.kept_latest);
    println!("{dropped:?} newest and oldest dropped, conflated; {kept} slow consumers that had to have the latest");
    assert!(dropped.iter().all(|count| *count > 1_000) && kept > 100, "{dropped:?} dropped, {kept} kept the latest");
    let people = [
        sum(|report| report.addressed),
        sum(|report| report.presences),
        sum(|report| report.online_changes),
        sum(|report| report.answers),
    ];
    let naps = sum(|report| report.naps);
    println!("{people:?} events said, joins and leaves heard, users come and gone, answers; {naps} users asleep");
    assert!(people.iter().all(|count| *count > 5_000), "{people:?} events said, joins heard, users come, answers");
}

#[test]
fn fresh_seeds_hold() {
    let (first, count) = (first_fresh_seed(), number("SOCKETSHARD_FRESH_SEEDS").unwrap_or(FRESH_SEEDS));
    run_all(count, |index| first + index, &|seed| run(seed, false), "SOCKETSHARD_SEED", "fixed_seeds");
}

/// The system's randomness, by the one door to it that the standard library has.
fn first_fresh_seed() -> u64 {
    RandomState::new().hash_one("a seed") >> 8
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..6 {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed} twice");
    }
    assert_ne!(run(0, false).hash, run(3, false).hash, "two seeds");
}

/// Runs seeds on every CPU; panics with those that fail, and how to replay them.
fn run_all<T: Send>(
    count: u64,
    seed: impl Fn(u64) -> u64 + Sync,
    run: &(impl Fn(u64) -> T + Sync + std::panic::RefUnwindSafe),
    variable: &str,
    test: &str,
) -> Vec<T> {
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let reports = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || lock(&failures).len() >= FAILURES_MAX {
                return;
            }
            let seed = seed(index);
            match panic::catch_unwind(|| run(seed)) {
                Ok(report) => lock(&reports).push(report),
                Err(cause) => lock(&failures).push(describe(seed, cause.as_ref(), variable, test)),
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failures.is_empty(), "the simulation fails:\n{}", failures.join("\n"));
    reports.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn describe(seed: u64, cause: &(dyn std::any::Any + Send), variable: &str, test: &str) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
    let shards = [1, 2, 5][usize::try_from(seed % 3).expect("below three")];
    format!(
        "seed {seed}, {shards} shards: {text}\n  replay: {variable}={seed} cargo test -p socketshard-tests --test \
         simulation -- {test} --nocapture"
    )
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
