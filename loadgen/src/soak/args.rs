//! The command line of a soak.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::units::{parse_count, parse_duration, parse_rate};

const AFTER_HELP: &str = "\
Each round plays at once: calls (SocketCluster, Socket.IO by WebSocket and by long-polling), writes to sessions, fan-outs that
count losses and disorder (SocketCluster and Socket.IO), users who log in, join rooms and leave by closing, connections that come and go, and subscribers that never read. After each
round the server rests, and its memory and descriptors are read. What was written to a session stays for the server's
--session-ttl: give it a short one, or what grows is that.

Examples:
  socketshard-loadgen soak --spawn -d 1h --thresholds 'loss==0,errors==0,memory_slope<1MiB,descriptors<=0' -- --session-ttl 60s
  socketshard-loadgen soak --target ws://127.0.0.1:8000 --server-pid 4711 --duration 10m --json soak.json

Exit codes: 0 done, 1 failed, 2 usage, 4 a threshold does not hold, 130 interrupted.";

/// What is typed.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "socketshard-loadgen soak",
    about = "Mixed load for hours: does the server grow, lose, or fall behind?"
)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Server to load: ws://host:port, on loopback
    #[arg(long, value_name = "URL", conflicts_with = "spawn")]
    pub(super) target: Option<String>,
    /// Start our server for the run (default: the `socketshard` beside this program); its arguments follow `--`
    #[arg(long, value_name = "PATH", num_args = 0..=1)]
    pub(super) spawn: Option<Option<PathBuf>>,
    /// Process whose memory and descriptors are read, for a server that we did not start
    #[arg(long, value_name = "PID", conflicts_with = "spawn")]
    pub(super) server_pid: Option<u32>,

    /// How long to begin rounds
    #[arg(short, long, value_parser = parse_duration, default_value = "10m")]
    pub(super) duration: Duration,
    /// How long the loads of a round are measured
    #[arg(long, value_parser = parse_duration, default_value = "10s")]
    pub(super) interval: Duration,
    /// What rounds must have ended before their readings count for the slope [default: a quarter of --duration]
    #[arg(long, value_parser = parse_duration)]
    pub(super) warmup: Option<Duration>,
    /// Connections that call, a third of them by each protocol; and half as many subscribers and users
    #[arg(short, long, value_parser = parse_count, default_value = "100")]
    pub(super) connections: u64,
    /// Calls per second; a tenth as many publications, users and new connections
    #[arg(short = 'R', long, value_parser = parse_rate, default_value = "1k/s")]
    pub(super) rate: f64,
    /// Subscribers that never read
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(super) slow_readers: u16,

    /// Conditions for exit code 0: loss, duplicates, disorder, errors, unsent of all rounds; p50 … max of the calls of the
    /// worst round; memory_slope (bytes an hour), descriptor_slope (an hour), descriptors (more at the end than after the warm-up)
    #[arg(long, value_name = "LIST")]
    pub(super) thresholds: Option<String>,
    /// Write the result as JSON to a file, or to stdout with `-` (the table then goes to stderr)
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// No line for each round
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Arguments of the server that we start
    #[arg(last = true, value_name = "SERVER ARGS")]
    pub(super) server_args: Vec<String>,
}

impl Args {
    pub(super) fn warmup(&self) -> Duration {
        self.warmup.unwrap_or(self.duration / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_quarter_is_warm_up_unless_said_otherwise() {
        let parse = |line: &str| Args::try_parse_from(line.split(' ')).expect("it is one");
        assert_eq!(parse("soak --spawn -d 8m").warmup(), Duration::from_secs(120));
        assert_eq!(parse("soak --spawn -d 8m --warmup 1s -- --shards 2").warmup(), Duration::from_secs(1));
    }
}
