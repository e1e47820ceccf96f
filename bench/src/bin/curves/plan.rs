//! What each curve measures: its points as runs of the generator, each against a fresh server, in interleaved rounds.

use std::time::Instant;

use bench::World;
use shard::Time;

use crate::Args;
use crate::curve::{Curve, Name, Point, SCHEMA, Spread};
use crate::process::Programs;
use crate::reading::{Reading, join};
use crate::{facts, shards};

/// Seconds between two pings of one connection: where heartbeats are in the figure, a whole round of them must be.
const PING_INTERVAL_S: u32 = 8;

/// One point: what runs, beside how many idle connections.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) line: String,
    pub(crate) x: u64,
    pub(crate) crowd: u64,
    pub(crate) arguments: Vec<String>,
    pub(crate) programs: Programs,
}

/// Measures one curve.
pub(crate) fn measure(name: Name, args: &Args) -> Result<Curve, String> {
    let jobs = jobs(name, args)?;
    let mut readings = vec![Vec::new(); jobs.len()];
    for round in 1..=args.rounds {
        for (job, readings) in jobs.iter().zip(&mut readings) {
            let reading = run(job)?;
            let cpu = reading.cpu_us.map_or_else(String::new, |us| format!(", {us:.3} µs of CPU per message"));
            let bound = if reading.is_generator_bound { ", held back by the generator" } else { "" };
            eprintln!("{} round {round}: {} at {}{cpu}{bound}", name.text(), job.line, job.x);
            readings.push(reading);
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let mut points: Vec<_> = jobs.iter().zip(&readings).map(|(job, all)| join(&job.line, job.x as f64, all)).collect();
    match name {
        Name::Idle => points.push(sweep(args.rounds)),
        Name::Shards => points.extend(shards::mesh(args.rounds)),
        _ => {}
    }
    Ok(Curve {
        schema: SCHEMA.to_owned(),
        name,
        rounds: args.rounds,
        seconds: args.seconds,
        machine: facts::machine(),
        commit: facts::commit(),
        command: facts::command(),
        points,
    })
}

fn run(job: &Job) -> Result<Reading, String> {
    let server = job.programs.serve()?;
    let crowd = job.programs.crowd(&server, job.crowd)?;
    let result = job.programs.generate(&server, &job.arguments);
    drop(crowd);
    Reading::of(&result?).map_err(|problem| format!("{} at {}: {problem}", job.line, job.x))
}

fn jobs(name: Name, args: &Args) -> Result<Vec<Job>, String> {
    if name == Name::Shards {
        return shards::jobs(args);
    }
    let programs = lone(args)?;
    let time = format!("--duration {}s --warmup 0.5s", args.seconds);
    let job = |line: &str, x: u64, crowd: u64, arguments: &str| Job {
        line: line.to_owned(),
        x,
        crowd,
        arguments: words(arguments),
        programs: programs.clone(),
    };
    Ok(match name {
        Name::Connections => {
            let time = format!("--duration {PING_INTERVAL_S}s --warmup 2s");
            let rpc = format!("rpc --closed-loop --pipeline 1 -c 200 {time}");
            [0, 1_000, 3_000, 6_000, 12_000, 18_000].map(|count| job("calls, P=1", count, count, &rpc)).to_vec()
        }
        Name::Idle => [1_000, 5_000, 10_000, 15_000, 19_000]
            .map(|count| job("idle", count, 0, &format!("idle -c {count} --duration {PING_INTERVAL_S}s --warmup 4s")))
            .to_vec(),
        Name::Channels => [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]
            .map(|channels: u64| {
                // A thousand to each connection, wherever there are so many: what is in flight then always goes to one
                // or two connections and leaves joined, so that only the tables grow.
                let each = channels.min(1_000);
                let subscribers = channels / each;
                let shape = format!("--channels {channels} --subscribers {subscribers} --subs-per-conn {each}");
                let load = format!("fanout --closed-loop --publishers 4 --pipeline 16 {shape} {time}");
                job("publications", channels, 0, &load)
            })
            .to_vec(),
        Name::Subscribers => {
            let point = |window: u64, subscribers: u64| {
                let load = format!("fanout --closed-loop --pipeline {window} --subscribers {subscribers} {time}");
                job(&format!("W={window}"), subscribers, 0, &load)
            };
            let counts = [1, 10, 100, 1_000, 10_000];
            [1, 16].into_iter().flat_map(|window| counts.map(|count| point(window, count))).collect()
        }
        Name::Size => {
            let point = |pipeline: u64, bytes: u64| {
                let load = format!("rpc --closed-loop --pipeline {pipeline} -c 50 --size {bytes} {time}");
                job(&format!("P={pipeline}"), bytes, 0, &load)
            };
            let sizes = [16, 64, 256, 1_024, 4_096, 16_384, 65_536];
            [1, 16].into_iter().flat_map(|pipeline| sizes.map(|bytes| point(pipeline, bytes))).collect()
        }
        Name::Shards | Name::All => unreachable!("measured in its own place, or taken apart before"),
    })
}

/// One shard beside the generator.
fn lone(args: &Args) -> Result<Programs, String> {
    if args.server_cpu == args.generator_cpu {
        return Err("the server and the generator need a CPU each: --server-cpu, --generator-cpu".to_owned());
    }
    Ok(Programs { folder: folder(args)?, server_cpus: vec![args.server_cpu], generator_cpus: vec![args.generator_cpu] })
}

/// Where the programs are.
pub(crate) fn folder(args: &Args) -> Result<std::path::PathBuf, String> {
    if let Some(folder) = &args.programs {
        return Ok(folder.clone());
    }
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    Ok(own.parent().expect("a program lies in a folder").to_owned())
}

/// Arguments of the generator, as one types them.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Connections of the sweep's measurement: their stamps no longer fit the first cache.
const SWEEP_CONNECTIONS: u32 = 100_000;

/// What a look at every connection costs in which nothing is due: no client can see it, so it is measured in here.
fn sweep(rounds: u16) -> Point {
    let mut world = World::new(0, 1);
    for _ in 0..SWEEP_CONNECTIONS {
        world.connect("/socketcluster/");
    }
    // A tick looks at a quarter of the slots.
    let ticks = 400;
    let micros = Spread::of((0..rounds).map(|_| {
        let begin = Instant::now();
        for _ in 0..ticks {
            world.tick(Time::ZERO);
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(ticks / 4)
    }));
    Point { line: "sweep".to_owned(), x: f64::from(SWEEP_CONNECTIONS), cpu_us: micros, ..Point::default() }
}
