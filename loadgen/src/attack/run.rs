//! One run: survey, rows one after the other, a newcomer after each, the bystander's word at the end.

use std::process::ExitCode;

use clap::Parser as _;

use super::args::Args;
use super::bystander::Bystander;
use super::case::{Case, Outcome, Time, Verdict, Wanted};
use super::report::{self, Row};
use super::rows;
use super::stage::Stage;
use super::watch::Watch;

/// Exit codes; the help text lists them.
const NO_SERVER: u8 = 1;
const USAGE: u8 = 2;
const FAILED: u8 = 4;

/// Runs `attack` with these arguments, the program's own first.
pub(crate) fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let args = Args::parse_from(arguments);
    let cases = match chosen(&args.only) {
        Ok(cases) => cases,
        Err(problem) => return complain(&problem, USAGE),
    };
    if args.list {
        print!("{}", listed(&cases));
        return ExitCode::SUCCESS;
    }
    let target = args.target.clone().unwrap_or_default();
    let (is_json, is_verbose) = (args.json, args.verbose);
    let is_own = args.i_own_this_target;
    let watch = Watch { admin: args.admin, pid: args.server_pid };
    let stage = match Stage::survey(args) {
        Ok(stage) => stage,
        Err(problem) => {
            let is_usage = !is_own && problem.contains("--i-own-this-target") || problem.starts_with("target");
            return complain(&problem, if is_usage { USAGE } else { NO_SERVER });
        }
    };
    let bystander = match Bystander::start(&stage) {
        Ok(bystander) => bystander,
        Err(error) => return complain(&format!("{target}: {error}"), NO_SERVER),
    };
    if !is_json {
        println!("{target} has {:?}", stage.doors());
    }
    let mut played = Vec::new();
    for (name, title) in rows::TITLES {
        let cases = Vec::from_iter(cases.iter().filter(|case| case.row == *name));
        if cases.is_empty() {
            continue;
        }
        let before = match watch.can_look().then(|| watch.before()).transpose() {
            Ok(before) => before,
            Err(error) => return complain(&error.to_string(), NO_SERVER),
        };
        let mut outcomes = Vec::from_iter(cases.iter().map(|case| case.play(&stage)));
        outcomes.extend(after(name, &stage));
        let trace = match before.map(|before| watch.after(name, &before)).transpose() {
            Ok(trace) => trace,
            Err(error) => return complain(&error.to_string(), NO_SERVER),
        };
        outcomes.extend(trace.iter().flat_map(|trace| trace.outcomes(name)));
        let row = Row { name, title, outcomes, worst_wait: bystander.worst_wait(), trace };
        if !is_json {
            print!("{}", row.text(is_verbose));
        }
        played.push(row);
    }
    let fate = bystander.finish();
    if is_json {
        println!("{:#}", report::json(&target, &played, &fate));
    } else {
        print!("{}", report::conclusion(&played, &fate));
    }
    if report::has_failed(&played, &fate) { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
}

/// The cases of these rows, of all where none is named.
fn chosen(only: &[String]) -> Result<Vec<Case>, String> {
    let names = Vec::from_iter(only.iter().map(|name| name.trim().to_uppercase()));
    let unknown = names.iter().find(|name| !rows::TITLES.iter().any(|(row, _)| row == name));
    if let Some(name) = unknown {
        return Err(format!("there is no row {name}; --list shows them"));
    }
    let mut cases = rows::all();
    cases.retain(|case| names.is_empty() || names.iter().any(|name| name == case.row));
    Ok(cases)
}

/// The catalogue without a server.
fn listed(cases: &[Case]) -> String {
    let mut text = String::new();
    for (name, title) in rows::TITLES {
        let mut cases = cases.iter().filter(|case| case.row == *name).peekable();
        if cases.peek().is_some() {
            text += &format!("\n{name:<4} {title}\n");
        }
        text.extend(cases.map(|case| format!("     {:<62} {}\n", case.input, case.wanted)));
    }
    text
}

/// Whoever comes after a row must be served as if it had not been; told only where that is not so.
fn after(row: &'static str, stage: &Stage) -> Option<Outcome> {
    let newcomer = Case::new(row, "who comes next", stage.doors().first().copied()?, Wanted::Served, Stage::newcomer);
    let outcome = newcomer.within(Time::Answer).play(stage);
    (outcome.verdict != Verdict::Ok).then_some(outcome)
}

fn complain(problem: &str, code: u8) -> ExitCode {
    eprintln!("socketshard-loadgen attack: {problem}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_name() {
        let cases = chosen(&["a9".to_owned(), "A15".to_owned()]).expect("they exist");
        assert!(!cases.is_empty() && cases.iter().all(|case| ["A9", "A15"].contains(&case.row)));
        assert!(chosen(&["A99".to_owned()]).err().is_some_and(|problem| problem.contains("A99")));
    }

    #[test]
    fn every_case_is_of_a_row_with_a_title_and_every_row_has_a_case() {
        let cases = rows::all();
        for case in &cases {
            assert!(rows::TITLES.iter().any(|(row, _)| *row == case.row), "{} has no title", case.row);
        }
        for (row, _) in rows::TITLES {
            assert!(cases.iter().any(|case| case.row == *row), "{row} has no case");
        }
    }
}
