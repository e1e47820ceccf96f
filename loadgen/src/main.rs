//! SocketShard's load generator: it plays clients against a server and says what it measured, and how far that can be
//! believed. It never measures with a clock that the server can slow down: what is asked when is planned beforehand.
//!
//! `soak` plays the scenarios again and again, as processes of their own, and watches the server.
//!
//! ```text
//! args -> settings -> run -> crew -> worker -> scenario      what to do: typed, decided, conducted, played
//!                      |               |
//!                   server, process   net, client            the server, its costs; sockets and protocol
//!                      |               |
//!                   report <- record <- plan, flight, sequence
//! ```
//! `attack` is another trade under the same roof: hostile clients, and no measurement.

mod args;
mod attack;
mod client;
mod crew;
mod flight;
mod machine;
mod net;
mod people;
mod plan;
mod polling;
mod process;
mod record;
mod report;
mod run;
mod scenario;
mod sequence;
mod server;
mod settings;
mod shared;
mod soak;
mod socketio;
#[cfg(test)]
mod tests;
mod threshold;
mod units;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

/// A generator allocates little while it measures, but ten thousand connections at a time while it ramps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit codes; the help text lists them.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const THRESHOLD: u8 = 4;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    // Another trade than measuring, with a command line of its own.
    if std::env::args_os().nth(1).is_some_and(|word| word == "attack") {
        return attack::main(std::env::args_os().skip(1));
    }
    if std::env::args_os().nth(1).is_some_and(|word| word == "soak") {
        return soak::main(std::env::args_os().skip(1));
    }
    let settings = match settings::decide(args::Args::parse()) {
        Ok(settings) => settings,
        Err(problem) => return complain(&problem, USAGE),
    };
    machine::block_signals();
    let facts = machine::facts();
    let json = settings.args.json.clone();
    let summary = match run::run(settings) {
        Ok(summary) => summary,
        Err(problem) => return complain(&problem, FAILED),
    };
    let table = report::table(&summary);
    let is_json_printed = json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    // A reader that went away (`| head`) is no failure of the run.
    let _ = if is_json_printed {
        std::io::stderr().write_all(table.as_bytes())
    } else {
        std::io::stdout().write_all(table.as_bytes())
    };
    if let Some(path) = json {
        let value = report::json(&summary, &facts);
        let text = format!("{value:#}\n");
        let written =
            if is_json_printed { std::io::stdout().write_all(text.as_bytes()) } else { std::fs::write(&path, text) };
        if let Err(error) = written {
            return complain(&format!("cannot write {}: {error}", path.display()), FAILED);
        }
    }
    ExitCode::from(exit_code(&summary))
}

fn exit_code(summary: &report::Summary) -> u8 {
    if summary.was_interrupted {
        INTERRUPTED
    } else if summary.verdicts().iter().any(|verdict| !verdict.passed) {
        THRESHOLD
    } else if !summary.has_measured() {
        FAILED
    } else {
        0
    }
}

fn complain(problem: &str, code: u8) -> ExitCode {
    eprintln!("socketshard-loadgen: {problem}");
    ExitCode::from(code)
}
