//! How long a crash is: puts load on a supervised server, breaks it, and says when it accepted again, when everybody was
//! back with session and subscriptions, whether an acknowledged write was lost, and whether the rest of the server kept on
//! answering. Three breaks: a panic in the state machine of one shard, `kill -9` of the process, and an action that never
//! returns, with `--hang-timeout 1s`.
//!
//! ```text
//! cargo run --release -p socketshard-bench --bin recovery
//! ```
//! It is its own server (`recovery start`, with the flags of `socketshard start`), because no released program has actions
//! by which shards die. Each round has a new one; the clients are threads of this process, and come back at once and all
//! together, which real clients do not.

mod application;
mod connection;
#[path = "../curves/facts.rs"]
mod facts;
mod ledger;
mod report;
mod round;
mod server;
mod visitor;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::json;

use report::Column;
use round::{Break, Plan};
use visitor::Load;

/// As the server's own program: what its shards allocate is what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Breaks a server under load and measures how long it takes until all is as before.
#[derive(Clone, Debug, Parser)]
#[command(name = "recovery")]
struct Args {
    /// Breaks of each kind
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    breaks: u16,
    /// Connections
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(4..=2_000))]
    clients: u64,
    /// Shards of the server
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=64))]
    shards: u8,
    /// Milliseconds between the turns of a client, each with a call and a session write
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    period_ms: u64,
    /// Turns of a client between two of its publications, each to two channels that everybody hears
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    publishes_every: u64,
    /// Where the figures of every round go, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Flags for the server
    #[arg(last = true)]
    flags: Vec<String>,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|first| first == "start") {
        return application::serve();
    }
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("recovery: something was lost, refused or cut off that should not have been");
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("recovery: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool, String> {
    let plan = Plan {
        shards: args.shards.into(),
        clients: args.clients,
        load: Load { period: Duration::from_millis(args.period_ms), publishes_every: args.publishes_every },
        before: Duration::from_secs(1),
        flags: args.flags.clone(),
    };
    let mut columns = [Break::Shard, Break::Process, Break::Hang].map(|what| Column { what, outcomes: Vec::new() });
    for round in 1..=args.breaks {
        for column in &mut columns {
            let outcome = plan.play(column.what).map_err(|problem| format!("round {round}: {problem}"))?;
            eprintln!("{round} of {}: {:?}: all back after {:?}", args.breaks, column.what, outcome.back);
            column.outcomes.push(outcome);
        }
    }
    let commit = facts::commit().unwrap_or_else(|| "of no repository".to_owned());
    println!("`{}`, commit {commit}, {} CPUs\n\n{}", facts::command(), facts::cpus(), report::table(&columns));
    if let Some(path) = &args.json {
        let columns: Vec<_> = columns.iter().map(Column::json).collect();
        let all =
            json!({ "machine": facts::machine(), "commit": commit, "command": facts::command(), "breaks": columns });
        let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(columns.iter().all(Column::is_good))
}
