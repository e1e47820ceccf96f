//! Sessions: see `harness::simulation::run_sessions`. A failure prints its seed and the command that replays it.

use harness::simulation::{SessionReport, run_sessions, run_sessions_with_death};

use crate::{FRESH_SEEDS, first_fresh_seed, number, run_all};

/// Seeds that every run takes.
const FIXED_SEEDS: u64 = 1_500;

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
        sum(|report| report.store_failures),
    );
    // What never happens proves nothing.
    assert!(sum(|report| report.opened) > 10_000 && sum(|report| report.refused) > 100);
    assert!(sum(|report| report.written) > 100_000 && sum(|report| report.durable) > 10_000);
    assert!(sum(|report| report.store_failures) > 1_000 && sum(|report| report.writes_refused) > 10);
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
const DEATH_SEEDS: u64 = 10;
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
}

/// One run of a seed, with a death and perhaps others after it.
fn death(index: u64, is_verbose: bool) -> SessionReport {
    let (seed, turn) = (index / DEATHS, index % DEATHS);
    let steps = run_sessions(seed, false).storm_happenings;
    let step = turn * steps / DEATHS + seed % (steps / DEATHS + 1) + 1;
    run_sessions_with_death(seed, step, is_verbose)
}
