//! Instructions per operation of the hottest paths, counted by callgrind: a change of 1 % shows on the noisiest machine.
//! Each path is counted twice, N and 2N iterations long; the difference is the path without its preparation. It never
//! reads a clock, and says nothing about time: caches, branches and the kernel are not in these figures.
//!
//! ```text
//! cargo run --release -p socketshard-bench --bin instructions               the counts, beside the baseline's
//! cargo run --release -p socketshard-bench --bin instructions -- --check    fails where one is more than 2 % above it
//! cargo run --release -p socketshard-bench --bin instructions -- --update   makes these counts the baseline
//! ```
//! callgrind hides AVX-512, so that the wider paths of the JSON and UTF-8 validators are never counted.

mod baseline;
mod count;

use std::path::PathBuf;
use std::process::ExitCode;

use bench::cases::{CASES, Case};
use clap::Parser;

use baseline::{Baseline, Verdict};

/// Counts instructions per operation of the hottest paths under callgrind.
#[derive(Debug, Parser)]
#[command(name = "instructions")]
struct Args {
    /// Fail if a count is more than 2 % above the baseline
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Write the counts into the baseline
    #[arg(long)]
    update: bool,
    /// Count only these
    #[arg(value_parser = case, value_name = "CASE")]
    cases: Vec<&'static Case>,
    /// The baseline
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json"))]
    baseline: PathBuf,
    /// Run the one case so many iterations long, without counting: what callgrind runs
    #[arg(long, value_name = "ITERATIONS", hide = true, conflicts_with_all = ["check", "update"])]
    run: Option<u64>,
}

fn case(name: &str) -> Result<&'static Case, String> {
    let names = || CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
    CASES.iter().find(|case| case.name == name).ok_or_else(|| format!("there are: {}", names()))
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(iterations) = args.run {
        count::work(&args.cases, iterations);
        return ExitCode::SUCCESS;
    }
    match report(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(4),
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Counts, prints, and judges; whether the counts pass.
fn report(args: &Args) -> Result<bool, String> {
    let cases = if args.cases.is_empty() { CASES.iter().collect() } else { args.cases.clone() };
    let tools = count::tools()?;
    let mut baseline = match Baseline::read(&args.baseline) {
        Ok(baseline) => baseline,
        Err(_) if args.update && !args.baseline.exists() => Baseline::default(),
        Err(problem) if args.check || args.update => return Err(problem),
        Err(problem) => {
            eprintln!("instructions: {problem}");
            Baseline::default()
        }
    };
    println!("{:>12} {:>10} {:>8}  operation ({tools})", "instructions", "baseline", "change");
    let mut slower = Vec::new();
    for case in cases {
        let found = count::per_operation(case)?;
        let known = baseline.instructions.get(case.name).copied();
        let change = known.map_or(String::new(), |known| format!("{:+.2} %", (found / known - 1.0) * 100.0));
        let known_text = known.map_or_else(|| "-".to_owned(), |known| format!("{known:.1}"));
        println!("{found:>12.1} {known_text:>10} {change:>8}  {}: {}", case.name, case.operation);
        match baseline::judge(found, known) {
            Verdict::Slower => slower.push(format!("{} takes {found:.1} instructions, {change} more", case.name)),
            Verdict::Unknown if args.check => slower.push(format!("{} has no baseline: --update makes one", case.name)),
            Verdict::Faster | Verdict::Same | Verdict::Unknown => {}
        }
        baseline.instructions.insert(case.name.to_owned(), (found * 10.0).round() / 10.0);
    }
    if args.update {
        baseline.tools.clone_from(&tools);
        baseline.write(&args.baseline)?;
        println!("the baseline has these counts now");
        return Ok(true);
    }
    if !slower.is_empty() && baseline.tools != tools {
        println!("the baseline was counted with {}", baseline.tools);
    }
    if args.check && !slower.is_empty() {
        println!("above the baseline by more than 2 %: {}", slower.join("; "));
        println!("find the cause, or accept it with --update and say why in the commit");
        return Ok(false);
    }
    Ok(true)
}
