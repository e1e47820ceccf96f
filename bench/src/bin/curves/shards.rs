//! The curve over shards: throughput where the machine has a CPU for every shard and at least one for the generator;
//! and what the mesh adds to a publication, measured without sockets, for the model of larger machines.

use std::hint::black_box;
use std::time::Instant;

use bench::{World, cases};
use shard::{Batch, Envelope};

use crate::Args;
use crate::curve::{Point, Spread};
use crate::facts;
use crate::plan::{Job, folder, words};
use crate::process::Programs;

/// The runs for those numbers of shards that this machine can hold; the others are refused aloud.
pub(crate) fn jobs(args: &Args) -> Result<Vec<Job>, String> {
    let cpus = facts::cpus();
    let mut jobs = Vec::new();
    for &shards in &args.shards {
        if let Some(refusal) = refusal(shards, cpus) {
            eprintln!("shards: {refusal}");
            continue;
        }
        let programs = Programs {
            folder: folder(args)?,
            server_cpus: (0..shards).collect(),
            generator_cpus: (shards..cpus).collect(),
        };
        let time = format!("--duration {}s --warmup 0.5s", args.seconds);
        let connections = 200 * shards;
        for (line, load) in [
            ("calls, P=16", format!("rpc --closed-loop --pipeline 16 -c {connections} {time}")),
            (
                "deliveries across, W=16",
                format!("fanout --closed-loop --pipeline 16 --publishers {shards} --subscribers 1000 {time}"),
            ),
        ] {
            let (arguments, x) = (words(&load), shards as u64);
            jobs.push(Job { line: line.to_owned(), x, crowd: 0, arguments, programs: programs.clone() });
        }
    }
    if jobs.is_empty() {
        return Err(format!("none of these numbers of shards fits this machine's {cpus} CPUs"));
    }
    Ok(jobs)
}

/// Why so many shards cannot be measured on so many CPUs.
fn refusal(shards: usize, cpus: usize) -> Option<String> {
    (shards == 0 || shards >= cpus).then(|| {
        format!(
            "{shards} shards need {} CPUs, one for each and one for the generator; this machine has {cpus}",
            shards + 1
        )
    })
}

/// Envelopes of one measured batch.
const ENVELOPES: u32 = 32;
/// Batches of one measurement: some milliseconds.
const BATCHES: u32 = 2_000;

/// Microseconds of the mesh for one publication: on the shard that sends it to a peer, and on a peer with one subscriber.
pub(crate) fn mesh(rounds: u16) -> Vec<Point> {
    let envelope = Envelope::Publication { channel: "lobby", data: Some(cases::argument().as_str()) };
    let filled = || {
        let mut batch = Batch::default();
        (0..ENVELOPES).for_each(|_| batch.push(black_box(envelope)));
        batch
    };
    let mut world = World::new(0, 2);
    world.subscriber(&["lobby"]);
    let mut acknowledged = Batch::default();
    acknowledged.push(Envelope::InterestAcknowledged { channel: "lobby", generation: 1 });
    world.batch(1, &acknowledged);
    let batch = filled();
    assert!(world.batch(1, &batch) > 0, "the publications are delivered");
    vec![
        point("mesh: push", rounds, || drop(black_box(filled()))),
        point("mesh: receive, encode, deliver to one", rounds, || {
            black_box(world.batch(1, &batch));
        }),
    ]
}

fn point(line: &str, rounds: u16, mut batch: impl FnMut()) -> Point {
    let micros = Spread::of((0..rounds).map(|_| {
        let begin = Instant::now();
        (0..BATCHES).for_each(|_| batch());
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(BATCHES * ENVELOPES)
    }));
    Point { line: line.to_owned(), x: 1.0, cpu_us: micros, ..Point::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_that_do_not_fit_are_refused_with_the_numbers() {
        assert_eq!(refusal(1, 2), None);
        assert_eq!(refusal(12, 16), None);
        let said = refusal(4, 2).expect("it does not fit");
        assert!(said.contains("4 shards need 5 CPUs") && said.contains("has 2"), "{said}");
        assert!(refusal(2, 2).is_some() && refusal(0, 2).is_some());
    }
}
