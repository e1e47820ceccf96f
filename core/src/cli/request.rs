//! From a command line to what is to be done: settings to start with, a text to print, or an error to end with. It reads
//! the names of environment variables and does no other I/O, so that all of it can be tested as a function.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

use super::arguments::{self, Arguments, Command};
use super::{exit, version};
use crate::config::{self, Settings};

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// Run the server.
    Start(Box<Settings>),
    /// Print this and end well.
    Print(String),
    /// Print this to standard error and end with the code.
    Refuse(String, u8),
}

/// Reads a command line, the program's name first; `variables` are the names of the environment's variables.
pub(super) fn read(line: impl IntoIterator<Item = OsString>, variables: impl Iterator<Item = OsString>) -> Request {
    let line = arguments::with_command(line);
    match matches(&line).and_then(|(arguments, matches)| request(arguments, &matches)) {
        Ok(Request::Start(settings)) => match mistaken(variables) {
            Some(message) => Request::Refuse(message, exit::CONFIG),
            None => Request::Start(settings),
        },
        Ok(request) => request,
        Err(error) if error.use_stderr() => Request::Refuse(explain(&error, &line), exit::USAGE),
        Err(error) => Request::Print(error.render().to_string()),
    }
}

/// What `settings` break, as one message.
pub(super) fn objection(settings: &Settings) -> Option<String> {
    let violations = config::violations(settings);
    let count = match violations.len() {
        0 => return None,
        1 => "a setting does not fit".to_owned(),
        several => format!("{several} settings do not fit"),
    };
    let lines: String = violations.iter().map(|violation| format!("  {violation}\n")).collect();
    Some(format!("error: {count}\n{lines}"))
}

fn matches(line: &[OsString]) -> Result<(Arguments, ArgMatches), clap::Error> {
    let mut matches = arguments::command().try_get_matches_from(line)?;
    let arguments = Arguments::from_arg_matches_mut(&mut matches.clone())?;
    let matches = matches.remove_subcommand().map_or(matches, |(_, matches)| matches);
    Ok((arguments, matches))
}

fn request(arguments: Arguments, matches: &ArgMatches) -> Result<Request, clap::Error> {
    let (flags, check) = match arguments.command {
        Command::Version => return Ok(Request::Print(format!("socketshard {}\n", version::text()))),
        Command::Start(start) => (start.flags, start.check),
        Command::Check(check) => (check.flags, true),
    };
    let settings = flags
        .settings(matches)
        .map_err(|conflict| arguments::command().error(ErrorKind::ArgumentConflict, conflict))?;
    Ok(match objection(&settings) {
        Some(message) => Request::Refuse(message, exit::CONFIG),
        None if check => Request::Print(listing(&settings, matches)),
        None => Request::Start(Box::new(settings)),
    })
}

/// The settings, one flag a line, with where each value came from.
fn listing(settings: &Settings, matches: &ArgMatches) -> String {
    let rows = config::rows(settings);
    let width = rows.iter().map(|(flag, _)| flag.len()).max().unwrap_or(0);
    let line = |(flag, value): &(&str, String)| {
        let ids: &[&str] = if *flag == "listen" { &["listen", "host", "port"] } else { &[flag] };
        let sources = ids.iter().filter_map(|id| matches.value_source(&id.replace('-', "_")));
        let origin = match sources.max() {
            Some(ValueSource::CommandLine) => "command line",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        };
        format!("--{flag:width$}  {value:<20}  ({origin})\n")
    };
    let lines: String = rows.iter().map(line).collect();
    format!("{lines}the settings are good\n")
}

fn mistaken(variables: impl Iterator<Item = OsString>) -> Option<String> {
    let command = arguments::command();
    let start = command.find_subcommand("start").expect("the command line has a start");
    let known: Vec<_> = start.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    let mistaken = config::mistaken_variables(variables, &known);
    let line = |(name, meant): &(String, &str)| format!("  {name} is no variable of this server: {meant} is\n");
    let lines: String = mistaken.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("error: misspelt environment variables\n{lines}"))
}

/// Clap's message; and if the value that it complains of is not on the command line, where it came from.
fn explain(error: &clap::Error, line: &[OsString]) -> String {
    let mut message = error.render().to_string();
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return message;
    };
    let long = argument.split([' ', '=']).next().unwrap_or(argument);
    let command = arguments::command();
    let start = command.find_subcommand("start").expect("the command line has a start");
    let flag = start.get_arguments().find(|candidate| Some(candidate.get_id().as_str()) == id(long).as_deref());
    let Some(variable) = flag.and_then(|flag| flag.get_env()?.to_str()) else {
        return message;
    };
    let short = flag.and_then(clap::Arg::get_short).map(|short| format!("-{short}"));
    let given = line.iter().any(|word| {
        let word = word.to_string_lossy();
        word.starts_with(long) || short.as_ref().is_some_and(|short| word.starts_with(short.as_str()))
    });
    if !given && error.kind() != ErrorKind::UnknownArgument {
        message.push_str(&format!("\nThe value comes from the environment variable {variable}.\n"));
    }
    message
}

fn id(long: &str) -> Option<String> {
    long.strip_prefix("--").map(|name| name.replace('-', "_"))
}
