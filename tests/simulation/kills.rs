//! A connection killed at any step of a run: whoever is gone is gone from every list. A failure prints its number, which
//! stands for a seed and a step, and the command that replays it.

use harness::simulation::{Report, run_with_kill};

use crate::{first_fresh_seed, number, run_all};

/// Runs whose connections are killed, one after the other.
const SEEDS: u64 = 12;

/// Steps of each at which that is done: evenly spread, beginning somewhere else in each.
const KILLS: u64 = 40;

#[test]
fn a_connection_killed_at_any_step_leaves_no_ghost() {
    if let Some(index) = number("SOCKETSHARD_KILL") {
        println!("{:#?}", kill(index, true));
        return;
    }
    let first = first_fresh_seed();
    let index = |index| if index < SEEDS * KILLS / 2 { index } else { first + index };
    let kill = |index: u64| kill(index, false);
    let reports = run_all(SEEDS * KILLS, index, &kill, "SOCKETSHARD_KILL", "a_connection_killed");
    let changed: u64 = reports.iter().map(|report| report.online_changes).sum();
    assert!(changed > 1_000, "{changed} users come and gone");
}

/// One run of a seed, with one kill.
fn kill(index: u64, is_verbose: bool) -> Report {
    let (seed, turn) = (index / KILLS, index % KILLS);
    let steps = run_with_kill(seed, None, false).storm_happenings;
    assert!(steps > 100, "seed {seed} has {steps} steps only");
    let step = turn * steps / KILLS + seed % (steps / KILLS + 1) + 1;
    run_with_kill(seed, Some(step), is_verbose)
}
