//! From a command line to what is to be done: settings to start with, a text to print, or an error to end with. It
//! reads the names of environment variables and does no other I/O, so that all of it can be tested as a function.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

use super::arguments::{self, Arguments, Command, DoctorFormat};
use super::{exit, tuning, version};
use crate::config::{self, Settings};

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// Run the server.
    Start(Box<Settings>),
    /// Print this about these settings, if their keys can be read.
    Check(Box<Settings>, String),
    /// Look at the machine for a server with these settings.
    Examine(Box<Settings>, DoctorFormat),
    /// Print this and end well.
    Print(String),
    /// Print this to standard error and end with the code.
    Refuse(String, u8),
}

/// Reads a command line, the program's name first; `variables` are the names of the environment's variables.
pub(super) fn read(line: impl IntoIterator<Item = OsString>, variables: impl Iterator<Item = OsString>) -> Request {
    let line = arguments::with_command(line);
    match matches(&line).and_then(|(arguments, matches)| request(arguments, &matches, variables)) {
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

fn request(
    arguments: Arguments,
    matches: &ArgMatches,
    variables: impl Iterator<Item = OsString>,
) -> Result<Request, clap::Error> {
    let mut format = None;
    let (flags, check) = match arguments.command {
        Command::Version => return Ok(Request::Print(format!("socketshard {}\n", version::text()))),
        Command::Start(start) if start.help_tuning => return Ok(Request::Print(tuning::text())),
        Command::Start(start) => (start.flags, start.check),
        Command::Check(check) => (check.flags, true),
        Command::Doctor(doctor) => {
            format = Some(doctor.format);
            (doctor.flags, false)
        }
    };
    let settings = flags
        .settings(matches)
        .map_err(|conflict| arguments::command().error(ErrorKind::ArgumentConflict, conflict))?;
    Ok(match mistaken(variables).or_else(|| objection(&settings)) {
        Some(message) => Request::Refuse(message, exit::CONFIG),
        None if check => {
            let text = listing(&settings, matches);
            Request::Check(Box::new(settings), text)
        }
        None => match format {
            Some(format) => Request::Examine(Box::new(settings), format),
            None => Request::Start(Box::new(settings)),
        },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(line: &str, variables: &[&str]) -> Request {
        read(line.split(' ').map(OsString::from), variables.iter().map(OsString::from))
    }

    fn refused(line: &str) -> (String, u8) {
        match read_with(line, &[]) {
            Request::Refuse(message, code) => (message, code),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn printed(line: &str) -> String {
        match read_with(line, &[]) {
            Request::Print(text) | Request::Check(_, text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_wrong_flag_or_command_names_the_nearest_right_one() {
        for (line, meant) in [
            ("socketshard start --prot 1", "'--port'"),
            ("socketshard --prot 1", "'--port'"),
            ("socketshard start --ping-intervall 1s", "'--ping-interval'"),
            ("socketshard start --max-con 1", "'--max-conn"),
            ("socketshard strat", "'start'"),
            ("socketshard start --slow-consumer clos", "'close'"),
        ] {
            let (message, code) = refused(line);
            assert_eq!(code, exit::USAGE, "{line}");
            assert!(message.contains(meant), "{line}: {message}");
        }
    }

    #[test]
    fn a_wrong_value_names_the_flag_and_what_it_takes() {
        for (line, words) in [
            ("socketshard start --ping-interval 30", "the unit is missing"),
            ("socketshard start --ping-interval 0s", "between 100ms and 1h"),
            ("socketshard start --max-message 1M", "unknown unit 'M'"),
            ("socketshard start -p 65536", "between 0 and 65535"),
            ("socketshard start -w 0", "or auto"),
            ("socketshard start --cpus 3-1", "runs backwards"),
            ("socketshard start -l ::1", "in brackets"),
        ] {
            let (message, code) = refused(line);
            assert_eq!(code, exit::USAGE, "{line}");
            assert!(message.contains(words), "{line}: {message}");
            assert!(!message.contains("environment"), "{line}: {message}");
        }
    }

    #[test]
    fn settings_that_do_not_fit_end_with_their_own_code() {
        let (message, code) = refused("socketshard start --ping-timeout 5s --receive-buffers 100");
        assert_eq!(code, exit::CONFIG);
        assert!(message.starts_with("error: 2 settings do not fit"), "{message}");
        assert_eq!(refused("socketshard check --ping-timeout 5s").1, exit::CONFIG);
    }

    #[test]
    fn listen_and_port_exclude_each_other() {
        let (message, code) = refused("socketshard start -l 127.0.0.1:1 -p 2");
        assert_eq!(code, exit::USAGE);
        assert!(message.contains("'--listen' cannot be used with '--port'"), "{message}");
        assert_eq!(refused("socketshard start -l 127.0.0.1:1 --host ::1").1, exit::USAGE);
    }

    #[test]
    fn a_misspelt_variable_stops_the_start() {
        let request = read_with("socketshard start", &["SOCKETSHARD_PROT"]);
        let Request::Refuse(message, exit::CONFIG) = request else { panic!("{request:?}") };
        assert!(message.contains("SOCKETSHARD_PORT is"), "{message}");
        assert!(matches!(read_with("socketshard start", &["SOCKETSHARD_BIN"]), Request::Start(_)));
        assert!(matches!(read_with("socketshard check", &["SOCKETSHARD_PROT"]), Request::Refuse(_, exit::CONFIG)));
        assert!(matches!(read_with("socketshard version", &["SOCKETSHARD_PROT"]), Request::Print(_)));
    }

    #[test]
    fn every_way_to_say_a_command_is_understood() {
        for line in ["socketshard", "socketshard start", "socketshard serve", "socketshard run", "socketshard -p 9"] {
            assert!(matches!(read_with(line, &[]), Request::Start(_)), "{line}");
        }
        for line in ["socketshard check -w 2", "socketshard -t -w 2", "socketshard start --check -w 2"] {
            let text = printed(line);
            assert!(text.ends_with("the settings are good\n"), "{text}");
            let shards = text.lines().find(|line| line.starts_with("--shards ")).expect("a row for the shards");
            assert!(shards.contains(" 2 ") && shards.ends_with("(command line)"), "{shards}");
        }
        assert_eq!(printed("socketshard version"), printed("socketshard -V"));
        assert!(printed("socketshard --version").starts_with("socketshard 0."));
    }

    #[test]
    fn the_help_is_grouped_and_ends_with_examples_and_exit_codes() {
        let help = printed("socketshard start --help");
        let mut rest = help.as_str();
        for heading in [
            "Listen:",
            "TLS:",
            "Shards & CPU:",
            "Limits:",
            "Rates of one client:",
            "Time-outs:",
            "Socket.IO:",
            "Slow consumers:",
            "Compression:",
            "Between shards:",
            "HTTP:",
            "Application:",
            "Socket ring:",
            "Stopping:",
            "Supervision:",
            "Logging:",
            "Examples:",
            "Units:",
            "Environment:",
            "Exit codes:",
        ] {
            let at = rest.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading} comes in its place"));
            rest = &rest[at..];
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "the help fits into 100 columns");
        let short = printed("socketshard start -h");
        assert!(short.len() < help.len() / 2 && short.contains("--max-message"));
    }
}
