//! Users whose connections are open and say nothing: offline after a while, and online again when they are heard from. A
//! failure prints its seed and the command that replays it.

use harness::simulation::{Report, run_drowsily};

use crate::{first_fresh_seed, number, run_all};

/// Seeds that every run takes, and as many that are new in each.
const SEEDS: u64 = 120;

#[test]
fn whoever_falls_silent_is_offline_until_it_is_heard_again() {
    if let Some(seed) = number("SOCKETSHARD_SILENCE_SEED") {
        println!("{:#?}", run_drowsily(seed, true));
        return;
    }
    let first = first_fresh_seed();
    let seed = |index| if index < SEEDS { index } else { first + index };
    let count = number("SOCKETSHARD_SILENCES").unwrap_or(2 * SEEDS);
    let run = |seed| run_drowsily(seed, false);
    let reports = run_all(count, seed, &run, "SOCKETSHARD_SILENCE_SEED", "whoever_falls_silent");
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    let counts = [sum(|report| report.naps), sum(|report| report.silences), sum(|report| report.online_changes)];
    println!("{counts:?} users seen offline while they were silent, silences noticed, users come and gone");
    // That one was offline is beyond doubt where no other client has ever been the same user.
    assert!(counts[0] * 100 > count && counts[1] > count && counts[2] > count, "{counts:?}");
}
