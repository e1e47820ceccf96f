//! The referee: our server and its peers, each alone on one CPU beside the load generator on another, in interleaved
//! rounds over all scenarios that the project has goals for. Prints and stores CPU per message, its ratio to uWebSockets
//! with the spread over the rounds, rates, latencies, bytes per idle connection, who was the bottleneck, and which goals
//! are met. A run with an error, a wrong answer or a lost message counts for nothing and is named; so is a peer that
//! cannot be had. Never compares figures of different rounds, and never leaves anything out silently.
//!
//! ```text
//! arguments -> workshop -> peer (uwebsockets, rust, node)    what is asked for; built or found
//!                 |
//!     scenario -> round -> child, measurement                one turn: server, generator, figures
//!                 |
//!     machine -> report -> goal, table                       stored, judged, printed
//! ```
//!
//! It needs a compiler for C and C++, node, and the registries the first time; its own tests need none of them. Ended by
//! a signal, it takes its children with it.

mod arguments;
mod child;
mod dialect;
mod goal;
mod machine;
mod measurement;
mod node;
mod peer;
mod report;
mod round;
mod rust;
mod scenario;
mod statistics;
mod table;
mod uwebsockets;
mod workshop;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;
use machine::Machine;
use peer::{Peer, Ready};
use report::{Attendance, Findings, Report, Row, SCHEMA, Summary};
use round::Rules;
use scenario::{Contestant, Scenario};
use table::Form;
use workshop::Workshop;

fn main() -> ExitCode {
    match referee(&Arguments::parse()) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("peers: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Does what is asked for; what is to be printed.
fn referee(arguments: &Arguments) -> Result<String, String> {
    let form = if arguments.markdown { Form::Markdown } else { Form::Text };
    if let (true, Some(file)) = (arguments.show, &arguments.json) {
        return Ok(table::render(&Report::load(file)?, form));
    }
    let older = match &arguments.json {
        Some(file) if arguments.add && file.exists() => Some(Report::load(file)?),
        _ => None,
    };
    let workshop = Workshop::find(!arguments.no_build)?;
    workshop.build_ours()?;
    let (ready, attendance) = gather(arguments, &workshop);
    if arguments.build_only {
        return Ok(attendance.iter().map(line).collect());
    }
    attendance.iter().for_each(|attendance| eprint!("{}", line(attendance)));
    let times = [arguments.duration, arguments.warmup, arguments.node_warmup];
    let rules = Rules::new(&workshop, [arguments.server_cpu, arguments.cpu], times)?;
    let mut report = Report {
        schema: SCHEMA.to_owned(),
        machine: Machine::read(&workshop),
        duration_s: arguments.duration.as_secs_f64(),
        warmup_s: arguments.warmup.as_secs_f64(),
        rounds: usize::from(arguments.rounds),
        server_cpu: arguments.server_cpu,
        generator_cpu: arguments.cpu,
        peers: attendance,
        scenarios: Vec::new(),
    };
    for scenario in arguments.scenarios() {
        report.scenarios.push(empty(&scenario, &ready, &report.machine.commit));
        let contestants: Vec<Contestant> =
            scenario.contestants().into_iter().filter(|one| ready.contains_key(&one.peer)).collect();
        for round in 0..report.rounds {
            for (at, contestant) in contestants.iter().enumerate() {
                let run = rules.play(contestant, &ready[&contestant.peer], round, scenario.is_idle());
                tell(&scenario, contestant, &run);
                report.scenarios.last_mut().expect("it was pushed").rows[at].runs.push(run);
            }
            report.scenarios.last_mut().expect("it was pushed").summarise();
            if let Some(file) = &arguments.json {
                complete(&report, older.as_ref()).store(file)?;
            }
        }
    }
    Ok(table::render(&complete(&report, older.as_ref()), form))
}

/// Builds or finds everyone who is asked for.
fn gather(arguments: &Arguments, workshop: &Workshop) -> (BTreeMap<Peer, Ready>, Vec<Attendance>) {
    let mut ready = BTreeMap::new();
    let mut attendance = Vec::new();
    for peer in Peer::ALL {
        let mut one = Attendance { name: peer.name().to_owned(), version: None, missing: None };
        if arguments.asks_for(peer) {
            match peer.prepare(workshop) {
                Ok(found) => {
                    one.version = Some(found.version.clone());
                    ready.insert(peer, found);
                }
                Err(reason) => one.missing = Some(reason),
            }
        }
        attendance.push(one);
    }
    (ready, attendance)
}

fn line(attendance: &Attendance) -> String {
    match (&attendance.missing, &attendance.version) {
        (Some(reason), _) => format!("{}: missing: {reason}\n", attendance.name),
        (None, Some(version)) => format!("{}: {version}\n", attendance.name),
        (None, None) => format!("{}: not asked for\n", attendance.name),
    }
}

/// A scenario's findings before its first round.
fn empty(scenario: &Scenario, ready: &BTreeMap<Peer, Ready>, commit: &str) -> Findings {
    let row = |contestant: Contestant| Row {
        label: contestant.label,
        peer: contestant.peer.name().to_owned(),
        arguments: contestant.load,
        runs: Vec::new(),
        summary: Summary::default(),
    };
    let contestants = scenario.contestants().into_iter().filter(|one| ready.contains_key(&one.peer));
    let rows: Vec<Row> = contestants.map(row).collect();
    Findings {
        name: scenario.name.to_owned(),
        title: scenario.title.to_owned(),
        unit: scenario.unit.to_owned(),
        commit: commit.to_owned(),
        reference: scenario.reference(),
        skipped: rows.is_empty().then(|| "nobody who takes part in it was asked for or could be had".to_owned()),
        rows,
        goals: scenario.goals(),
    }
}

/// The report with what an older one has beyond it.
fn complete(report: &Report, older: Option<&Report>) -> Report {
    let mut whole = report.clone();
    if let Some(older) = older {
        whole.adopt(older.clone());
    }
    let place = |name: &str| Scenario::ALL.iter().position(|scenario| scenario.name == name);
    whole.scenarios.sort_by_key(|findings| place(&findings.name));
    whole
}

/// One line of progress.
fn tell(scenario: &Scenario, contestant: &Contestant, run: &measurement::Measurement) {
    let figure = match (&run.problem, run.cpu_ns, run.bytes_per_connection) {
        (Some(problem), ..) => format!("does not count: {problem}"),
        (None, _, Some(bytes)) => format!("{bytes:.0} bytes per connection"),
        (None, Some(ns), None) => format!("{:.3} µs of CPU per {}", ns / 1e3, scenario.unit),
        (None, None, None) => "no figure".to_owned(),
    };
    eprintln!("{} round {}, {}: {figure}", scenario.name, run.round + 1, contestant.label);
}
