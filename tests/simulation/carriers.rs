//! Clients that poll, go over to WebSockets and come back to their connections, while shards die: see
//! `harness::simulation::run_carriers`. A failure prints its number, which stands for a seed and a step, and the command that
//! replays it. To look for rarer things: `SOCKETSHARD_CARRIERS=10000 cargo test … -- polled_upgraded`.

use harness::simulation::{CarrierReport, run_carriers};

use crate::{first_fresh_seed, number, run_all};

/// Runs whose shards die, one after the other.
const SEEDS: u64 = 24;

/// Steps of each at which that is done, evenly spread; the first run of each has no death.
const DEATHS: u64 = 10;

/// What has to happen.
type Count = fn(&CarrierReport) -> u64;

#[test]
fn polled_upgraded_and_recovered_connections_survive_a_shard_that_dies_at_any_step() {
    if let Some(index) = number("SOCKETSHARD_CARRIER") {
        println!("{:#?}", death(index, true));
        return;
    }
    let first = first_fresh_seed();
    let index = |index| if index < SEEDS * DEATHS / 2 { index } else { first + index };
    let count = number("SOCKETSHARD_CARRIERS").unwrap_or(SEEDS * DEATHS);
    let run = |index| death(index, false);
    let reports = run_all(count, index, &run, "SOCKETSHARD_CARRIER", "polled_upgraded");
    let counts: [(&str, Count); 10] = [
        ("shards dead", |report| report.deaths),
        ("connections", |report| report.connections),
        ("publications heard", |report| report.heard),
        ("polled sessions gone over to a WebSocket", |report| report.upgrades),
        ("connections recovered", |report| report.recovered),
        ("begun anew", |report| report.anew),
        ("of these, of dead shards", |report| report.orphans),
        ("requests told that their session is unknown", |report| report.unknown),
        ("seats", |report| report.seated),
        ("seats refused", |report| report.seats_refused),
    ];
    for (what, part) in counts {
        let sum: u64 = reports.iter().map(part).sum();
        println!("{sum} {what}");
        // What never happens proves nothing.
        assert!(sum > count / 20, "{sum} {what}");
    }
}

#[test]
fn a_carrier_seed_is_a_run() {
    for seed in 0..6 {
        assert_eq!(run_carriers(seed, Some(500), false), run_carriers(seed, Some(500), false), "seed {seed} twice");
    }
}

/// One run of a seed, with a death and perhaps others after it.
fn death(index: u64, is_verbose: bool) -> CarrierReport {
    let (seed, turn) = (index / DEATHS, index % DEATHS);
    let alive = run_carriers(seed, None, is_verbose && turn == 0);
    if turn == 0 {
        return alive;
    }
    let steps = alive.storm_happenings;
    assert!(steps > 100, "seed {seed} has {steps} steps only");
    run_carriers(seed, Some(turn * steps / DEATHS + seed % (steps / DEATHS + 1) + 1), is_verbose)
}
