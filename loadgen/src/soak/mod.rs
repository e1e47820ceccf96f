//! `soak`: mixed load in rounds for as long as it is told, and what that does to the server: memory, descriptors, losses.
//! The load itself is played by the scenarios, each as a process of its own for each round, so that every round ends with
//! all its connections closed and the server at rest: what has grown by then, and grows with every round, is a leak.

mod args;
mod load;
mod outcome;
mod readers;
mod report;
mod trend;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser as _;

use crate::process::{CpuTime, Memory};
use crate::server::{Address, Spawned};
use args::Args;
use load::Load;
use outcome::{Outcome, Round};
use readers::SlowReaders;

/// Between two readings while a round runs.
const READING: Duration = Duration::from_millis(100);

/// How long the server may take to close what a round has left. Its sessions and lanes need less; this is for a machine
/// that is busy.
const REST: Duration = Duration::from_secs(3);

/// Runs a soak; `arguments` begin with its name.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let thresholds = match args.thresholds.as_deref().map_or(Ok(Vec::new()), crate::threshold::parse) {
        Ok(thresholds) => thresholds,
        Err(problem) => return crate::complain(&problem, crate::USAGE),
    };
    crate::machine::block_signals();
    let outcome = match soak(&args) {
        Ok(outcome) => outcome,
        Err(problem) => return crate::complain(&problem, crate::FAILED),
    };
    let verdicts: Vec<_> = thresholds.iter().map(|one| outcome.judge(one)).collect();
    let table = report::table(&outcome, &verdicts, args.quiet);
    let json = format!("{:#}\n", report::json(&args, &outcome, &verdicts));
    let is_printed = args.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    // A reader that went away is no failure of the run.
    let _ = if is_printed {
        std::io::stderr().write_all(table.as_bytes()).and_then(|()| std::io::stdout().write_all(json.as_bytes()))
    } else {
        std::io::stdout().write_all(table.as_bytes())
    };
    if let Some(path) = args.json.as_ref().filter(|_| !is_printed)
        && let Err(error) = std::fs::write(path, json)
    {
        return crate::complain(&format!("cannot write {}: {error}", path.display()), crate::FAILED);
    }
    if let Some(problem) = &outcome.failure {
        crate::complain(problem, crate::FAILED)
    } else if outcome.was_interrupted {
        ExitCode::from(crate::INTERRUPTED)
    } else if verdicts.iter().any(|verdict| !verdict.passed) {
        ExitCode::from(crate::THRESHOLD)
    } else {
        ExitCode::SUCCESS
    }
}

/// Rounds until the time is up. The last one may end a little later: no round is cut short.
fn soak(args: &Args) -> Result<Outcome, String> {
    let mut spawned = match (&args.target, &args.spawn) {
        (None, None) => return Err("name a target (--target ws://127.0.0.1:8000) or start our server (--spawn)".into()),
        (None, Some(program)) => Some(Spawned::start(program.as_deref(), &args.server_args, &[], false)?),
        (Some(_), _) => None,
    };
    let address = match (&args.target, &spawned) {
        (Some(target), _) => Address::parse(target)?,
        (None, Some(server)) => Address::of(server.address()),
        (None, None) => unreachable!("one of them was named"),
    };
    if address.is_tls {
        return Err("a soak speaks no TLS: name a ws:// target".to_owned());
    }
    if !address.socket.ip().is_loopback() {
        return Err(format!("{} is not loopback: a soak is for a server of your own machine", address.socket.ip()));
    }
    let pid = spawned.as_ref().map(Spawned::pid).or(args.server_pid);
    let mut outcome = Outcome { before: Memory::read(pid), warmup: args.warmup(), ..Outcome::default() };
    let cpu = || pid.and_then(|pid| CpuTime::read(pid, None));
    let (began, used) = (Instant::now(), cpu());
    while began.elapsed() < args.duration && !outcome.was_interrupted {
        let at = began.elapsed();
        let round = match round(args, &address, pid, &mut outcome.was_interrupted) {
            Ok(round) => Round { at, ends: began.elapsed(), ..round },
            // What hours have found is told all the same.
            Err(problem) => {
                outcome.failure = Some(problem);
                break;
            }
        };
        if !args.quiet {
            eprintln!("{}", report::line(&round));
        }
        outcome.rounds.push(round);
        if let Some(ended) = spawned.as_mut().and_then(Spawned::ended) {
            outcome.failure = Some(format!("the server ended during the soak: {ended}"));
            break;
        }
    }
    let used = used.zip(cpu()).map(|(then, now)| Duration::from_nanos(now.since(&then).total_ns));
    outcome.cpu_share = used.map(|used| used.as_secs_f64() / began.elapsed().as_secs_f64());
    if let Some(Err(problem)) = spawned.as_mut().map(Spawned::stop) {
        outcome.failure.get_or_insert(problem);
    }
    Ok(outcome)
}

/// All loads at once, then rest.
fn round(args: &Args, address: &Address, pid: Option<u32>, was_interrupted: &mut bool) -> Result<Round, String> {
    let before = Memory::read(pid);
    let readers = SlowReaders::open(address, args.slow_readers)?;
    let mut loads = load::all(args, address)?;
    let mut round = Round::default();
    while loads.iter_mut().any(Load::is_running) {
        round.peak(&Memory::read(pid));
        // Children end by themselves: a round that is interrupted is short.
        if crate::machine::wait_for_stop(READING) {
            *was_interrupted = true;
            break;
        }
    }
    if *was_interrupted {
        return Ok(round);
    }
    for load in loads {
        round.add(load.result()?);
    }
    round.slow_ended = readers.close();
    let rest = Instant::now();
    loop {
        round.end = Memory::read(pid);
        let is_at_rest = round.end.descriptors <= before.descriptors;
        if is_at_rest || rest.elapsed() > REST {
            return Ok(round);
        }
        std::thread::sleep(READING);
    }
}
