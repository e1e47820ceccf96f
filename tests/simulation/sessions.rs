//! Sessions: see `harness::simulation::run_sessions`. A failure prints its seed and the command that replays it. A run takes
//! a tenth of a second or two, so every run of this target takes few seeds; to look for rarer things, let more run:
//! `SOCKETSHARD_FRESH_SEEDS=10000 cargo test … -- fresh_session --nocapture`, `SOCKETSHARD_DEATHS=10000 … -- sessions_survive`.

use harness::simulation::{PrivateReport, SessionReport, StoreReport, run_sessions, run_sessions_with_death};

use crate::{first_fresh_seed, number, run_all};

/// Seeds that every run takes.
const FIXED_SEEDS: u64 = 300;

/// Seeds that are new in every run, unless `SOCKETSHARD_FRESH_SEEDS` says how many.
const FRESH_SEEDS: u64 = 80;

#[test]
fn fixed_session_seeds_hold() {
    if let Some(seed) = number("SOCKETSHARD_SESSION_SEED") {
        println!("{:#?}", run_sessions(seed, true));
        return;
    }
    let reports = run_all(FIXED_SEEDS, |index| index, &run, "SOCKETSHARD_SESSION_SEED", "fixed_session");
    let sum = |count: fn(&SessionReport) -> u64| reports.iter().map(count).sum::<u64>();
    println!(
        "{} opened, {} refused, {} writes, {} acknowledged, {} durable, {} refused, {} store failures",
        sum(|report| report.opened),
        sum(|report| report.refused),
        sum(|report| report.writes),
        sum(|report| report.written),
        sum(|report| report.durable),
        sum(|report| report.writes_refused),
        sum(|report| report.store.failures),
    );
    // What never happens proves nothing.
    assert!(sum(|report| report.opened) > 5_000 && sum(|report| report.refused) > 100);
    assert!(sum(|report| report.written) > 100_000 && sum(|report| report.durable) > 10_000);
    assert!(sum(|report| report.writes_refused) > 10);
    assert!(sum(|report| report.rotations) > 1_000);
    happened(&reports, STORE, |report| report.store);
    happened(&reports, PRIVATE, |report| report.private);
}

/// What has to happen, and how often it has.
type Counts<T> = &'static [(&'static str, fn(&T) -> u64)];

const STORE: Counts<StoreReport> = &[
    ("requests that the store failed to do", |report| report.failures),
    ("saves for which there was no room", |report| report.fulls),
    ("answers that took long", |report| report.delays),
    ("sessions that were kept after they had not been", |report| report.recoveries),
];

const PRIVATE: Counts<PrivateReport> = &[
    ("publications heard in private channels", |report| report.heard),
    ("subscriptions of sessions established", |report| report.barriers),
    ("deliveries proven when all was quiet", |report| report.proven),
    ("connections told that they were taken out of a channel", |report| report.kicked),
    ("calls by users of sessions", |report| report.users_checked),
    ("logins that ended before their connections", |report| report.logins_ended),
    ("reconnects of subscribed sessions to another shard", |report| report.moves),
];

/// What never happens proves nothing.
fn happened<T>(reports: &[SessionReport], counts: Counts<T>, part: fn(&SessionReport) -> T) {
    for (what, count) in counts {
        let sum: u64 = reports.iter().map(|report| count(&part(report))).sum();
        println!("{sum} {what}");
        assert!(sum > 100, "{sum} {what}");
    }
}

#[test]
fn fresh_session_seeds_hold() {
    let first = first_fresh_seed();
    let count = number("SOCKETSHARD_FRESH_SEEDS").unwrap_or(FRESH_SEEDS);
    run_all(count, |index| first + index, &run, "SOCKETSHARD_SESSION_SEED", "fixed_session");
}

#[test]
fn a_session_seed_is_a_run() {
    for seed in 0..6 {
        assert_eq!(run_sessions(seed, false), run_sessions(seed, false), "seed {seed} twice");
    }
}

fn run(seed: u64) -> SessionReport {
    run_sessions(seed, false)
}

/// Runs whose shards die, one after the other, and steps of each at which that is done.
const DEATH_SEEDS: u64 = 8;
const DEATHS: u64 = 20;

#[test]
fn sessions_survive_a_shard_that_dies_at_any_step() {
    if let Some(index) = number("SOCKETSHARD_SESSION_DEATH") {
        println!("{:#?}", death(index, true));
        return;
    }
    let first = first_fresh_seed();
    let index = |index| if index < DEATH_SEEDS * DEATHS / 2 { index } else { first + index };
    let count = number("SOCKETSHARD_DEATHS").unwrap_or(DEATH_SEEDS * DEATHS);
    let run = |index| death(index, false);
    let reports = run_all(count, index, &run, "SOCKETSHARD_SESSION_DEATH", "sessions_survive");
    let sum = |count: fn(&SessionReport) -> u64| reports.iter().map(count).sum::<u64>();
    let counts = [
        sum(|report| report.deaths),
        sum(|report| report.restored),
        sum(|report| report.lost),
        sum(|report| report.durable),
    ];
    println!("{counts:?} shards dead, sessions restored, writes lost, durable");
    assert!(counts[0] >= count / 2 && counts[1..].iter().all(|count| *count > 20), "{counts:?}");
    happened(&reports, PRIVATE, |report| report.private);
    println!("{} deliveries lost with their publishers", sum(|report| report.private.lost));
}

/// One run of a seed, with a death and perhaps others after it.
fn death(index: u64, is_verbose: bool) -> SessionReport {
    let (seed, turn) = (index / DEATHS, index % DEATHS);
    let steps = run_sessions(seed, false).storm_happenings;
    let step = turn * steps / DEATHS + seed % (steps / DEATHS + 1) + 1;
    run_sessions_with_death(seed, step, is_verbose)
}
