//! A shard that dies at any step of a run is replaced: its clients are cut off, the others' are owed everything as before. A
//! failure prints its number, which stands for a seed and a step, and the command that replays it. To look for rarer things,
//! let `SOCKETSHARD_DEATHS=10000` shards die.

use harness::simulation::{Report, run_with_death, run_with_kill};

use crate::{first_fresh_seed, number, run_all};

/// Runs whose shards die, one after the other.
const SEEDS: u64 = 12;

/// Steps of each at which that is done: evenly spread, beginning somewhere else in each.
const DEATHS: u64 = 20;

#[test]
fn a_shard_that_dies_at_any_step_is_replaced() {
    if let Some(index) = number("SOCKETSHARD_DEATH") {
        println!("{:#?}", death(index, true));
        return;
    }
    let first = first_fresh_seed();
    let index = |index| if index < SEEDS * DEATHS / 2 { index } else { first + index };
    let death = |index: u64| death(index, false);
    let count = number("SOCKETSHARD_DEATHS").unwrap_or(SEEDS * DEATHS);
    let reports = run_all(count, index, &death, "SOCKETSHARD_DEATH", "a_shard_that_dies");
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    let counts = [
        sum(|report| report.deaths),
        sum(|report| report.deliveries),
        sum(|report| report.presences),
        sum(|report| report.answers),
    ];
    println!("{counts:?} shards dead, deliveries, joins and leaves heard, answers");
    assert!(counts[0] >= count && counts[1..].iter().all(|count| *count > 200), "{counts:?}");
}

/// One run of a seed, with a death and perhaps others after it.
fn death(index: u64, is_verbose: bool) -> Report {
    let (seed, turn) = (index / DEATHS, index % DEATHS);
    let steps = run_with_kill(seed, None, false).storm_happenings;
    assert!(steps > 100, "seed {seed} has {steps} steps only");
    let step = turn * steps / DEATHS + seed % (steps / DEATHS + 1) + 1;
    run_with_death(seed, step, is_verbose)
}
