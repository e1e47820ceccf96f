//! The shape of the command line, for clap.

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use super::{exit, version};
use crate::config::Flags;

/// A realtime application server: thread-per-core, shared-nothing, on io_uring
#[derive(Parser, Debug)]
#[command(name = "socketshard", max_term_width = 100, propagate_version = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What can be asked for.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Start the server (also what happens without a command)
    #[command(visible_aliases = ["serve", "run"])]
    Start(StartArguments),
    /// Check the settings and print them, without starting
    Check(CheckArguments),
    /// Check this machine for a server with these settings, and say what to change and what to expect
    Doctor(DoctorArguments),
    /// Print the version
    Version,
}

/// The arguments of `start`.
#[derive(Args, Debug)]
pub(super) struct StartArguments {
    /// Only check the settings and print them
    ///
    /// The same as the command check. Use it before restarting a server with changed settings.
    #[arg(short = 't', long)]
    pub(super) check: bool,

    /// Say what each flag trades that measurement showed to matter
    ///
    /// The knobs of speed and latency, each with its default, its unit, what was measured and when to change it.
    #[arg(long)]
    pub(super) help_tuning: bool,

    #[command(flatten)]
    pub(super) flags: Flags,
}

/// The arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) flags: Flags,
}

/// The arguments of `doctor`.
#[derive(Args, Debug)]
pub(super) struct DoctorArguments {
    /// The shape of what it prints
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = DoctorFormat::Text)]
    pub(super) format: DoctorFormat,

    #[command(flatten)]
    pub(super) flags: Flags,
}

/// How `doctor` prints what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DoctorFormat {
    /// For people.
    Text,
    /// One JSON object, for scripts.
    Json,
}

/// The command for clap, with the texts that are put together at run time.
pub(super) fn command() -> clap::Command {
    let codes = format!("Exit codes:\n{}", exit::text());
    let long = format!("{EXAMPLES}\n{UNITS}\n{codes}");
    // Named by one rule in the text below instead of once per flag.
    let hide = |argument: clap::Arg| argument.hide_env(true);
    Arguments::command()
        .version(version::text())
        .after_help("Every flag of the server: socketshard start --help")
        .after_long_help(format!("Every flag of the server: socketshard start --help\n\n{EXAMPLES}\n{codes}"))
        .mut_subcommand("start", |start| start.mut_args(hide).after_help(SHORT).after_long_help(long.clone()))
        .mut_subcommand("doctor", |doctor| {
            doctor.mut_args(hide).after_help(SHORT).after_long_help(format!("{DOCTOR}\n{UNITS}\n{codes}"))
        })
        .mut_subcommand("check", |check| check.mut_args(hide).after_help(SHORT).after_long_help(long.clone()))
}

/// Puts `start` in front of flags that stand alone: `chat --port 9000` means `chat start --port 9000`.
pub(super) fn with_command(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let bare = match arguments.get(1).map(|first| first.to_string_lossy()) {
        None => true,
        Some(first) => first.starts_with('-') && !matches!(&*first, "-h" | "--help" | "-V" | "--version"),
    };
    if bare {
        if arguments.is_empty() {
            arguments.push("socketshard".into());
        }
        arguments.insert(1, "start".into());
    }
    arguments
}

const SHORT: &str = "\
Units, ranges, when to change what, variables, examples and exit codes: --help
What to tune for speed: socketshard start --help-tuning";

const EXAMPLES: &str = "\
Examples:
  socketshard start
      the demo application on port 8000, with a shard on every CPU
  socketshard start -l 127.0.0.1:9000 -w 2 --cpus 2,3
      behind a proxy: two shards on two chosen CPUs
  SOCKETSHARD_PORT=80 socketshard start --drain 30s --log-format json
      the environment sets what the command line does not
  socketshard check --ping-timeout 5s
      says what is wrong with that, and ends with 3
  socketshard doctor --shards 8 --max-connections 100k
      says what this machine lacks for that, and ends with 1 if it is something that matters
  socketshard start --help-tuning
      says which flags matter to speed, and what was measured
";

const DOCTOR: &str = "\
It reads /proc and /sys, builds a small io_uring, changes nothing and needs no privilege. Give it the
flags that the server will have. It ends with 1 if there is a problem, else with 0.
";

const UNITS: &str = "\
Units:
  TIME   500ms, 30s, 2m, 1h
  SIZE   4096, 128KiB, 1MiB, 1MB (bytes)
  COUNT  100, 10k, 1M

Environment:
  Each flag has a variable: --max-message is SOCKETSHARD_MAX_MESSAGE, --no-pin is
  SOCKETSHARD_NO_PIN=true. The command line wins over it, and it over the default.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        command().debug_assert();
    }

    #[test]
    fn start_is_understood_where_only_flags_are_given() {
        assert_eq!(with_command(words("chat")), words("chat start"));
        assert_eq!(with_command(words("chat --port 1")), words("chat start --port 1"));
        assert_eq!(with_command(words("chat -t")), words("chat start -t"));
        assert_eq!(with_command(Vec::new()), words("socketshard start"));
        for line in ["chat start -p 1", "chat --help", "chat -h", "chat -V", "chat --version", "chat strat"] {
            assert_eq!(with_command(words(line)), words(line));
        }
    }
}
