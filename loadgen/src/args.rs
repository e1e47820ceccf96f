//! The command line as it is typed. What it means for a run, with defaults and cross-checks, is `settings.rs`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::units::{CpuList, Network, parse_count, parse_cpus, parse_duration, parse_network, parse_rate, parse_size};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScenarioName {
    /// Bare WebSocket messages, sent back by the server.
    Echo,
    /// Calls of an action.
    Rpc,
    /// Publishers and subscribers on channels; loss, duplicates and disorder are counted.
    Fanout,
    /// Connections that only answer heartbeats: the server's memory for each.
    Idle,
    /// Handshakes per second.
    Connect,
    /// Users log in, join rooms that show who is in them, and leave; every join and leave is checked in its room.
    Presence,
}

/// How a user leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Leave {
    /// Unsubscribes and logs out; the connection stays for the next user.
    Logout,
    /// Closes the connection; the next user has another one.
    Disconnect,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolName {
    /// Bare WebSocket messages, for echo, connect, idle and fanout: the server echoes each, or for fanout sends each to
    /// everybody.
    Raw,
    /// SocketCluster, version 2, for everything but echo.
    Socketcluster,
    /// Socket.IO, protocol 5 over Engine.IO 4, for rpc, fanout, idle and connect. rpc: the event of --action is answered;
    /// fanout: by the events `subscribe` and `publish`, or with --broadcast `message`.
    Socketio,
    /// The same by long-polling: each connection is two, one with a GET that waits and one for POSTs.
    SocketioPolling,
}

const AFTER_HELP: &str = "\
Examples:
  socketshard-loadgen rpc --spawn --rate 20k/s --duration 10s
  socketshard-loadgen rpc --target ws://127.0.0.1:8000 --closed-loop --pipeline 16 -c 200
  socketshard-loadgen rpc --spawn --protocol socketio-polling --action app.echo -c 100 -R 1k/s
  socketshard-loadgen rpc --target wss://127.0.0.1:8443 --insecure
  socketshard-loadgen fanout --spawn --subscribers 1000 --publishers 2 --channels 1 -R 100/s --thresholds 'loss==0'
  socketshard-loadgen idle --spawn -c 20k --ramp 10k/s -d 5s --json idle.json
  socketshard-loadgen presence --spawn --users 10k -R 1k/s --stay 9s -- --shards 2
  socketshard-loadgen attack --target ws://127.0.0.1:8000    (see attack --help)
  socketshard-loadgen soak --spawn --duration 1h               (see soak --help)
  socketshard-loadgen echo --spawn --server-cpus 0 --cpus 1 -R 50k/s -- --log-level warn

Exit codes: 0 measured, 1 failed (target refused, server ended, nothing measured), 2 usage, 4 a threshold does not hold,
130 interrupted (the table so far is printed).";

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "socketshard-loadgen",
    version,
    about = "Measures SocketShard, and any server that speaks SocketCluster"
)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// What to measure
    #[arg(value_enum)]
    pub(crate) scenario: Option<ScenarioName>,
    /// The same, as a flag
    #[arg(long = "scenario", value_enum, value_name = "SCENARIO", conflicts_with = "scenario")]
    pub(crate) scenario_flag: Option<ScenarioName>,

    /// Server to measure: ws://host:port[/path], or wss:// with --ca or --insecure; http and https mean the same
    ///
    /// The default path is /echo, /fanout, /socketcluster/ or /socket.io/.
    #[arg(long, value_name = "URL", conflicts_with = "spawn", help_heading = "Target")]
    pub(crate) target: Option<String>,
    /// Start our server for the run (default: the `socketshard` beside this program); its arguments follow `--`
    #[arg(long, value_name = "PATH", num_args = 0..=1, help_heading = "Target")]
    pub(crate) spawn: Option<Option<PathBuf>>,
    /// Speak TLS with the server that we start, which makes itself a certificate
    #[arg(long, conflicts_with = "target", help_heading = "Target")]
    pub(crate) tls: bool,
    /// Certificates in PEM that may have signed the server's, or are it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["insecure", "spawn"], help_heading = "Target")]
    pub(crate) ca: Option<PathBuf>,
    /// Take whatever certificate the server shows
    #[arg(long, conflicts_with = "spawn", help_heading = "Target")]
    pub(crate) insecure: bool,
    /// What is spoken [default: raw for echo, else socketcluster]
    #[arg(long, value_enum, help_heading = "Target")]
    pub(crate) protocol: Option<ProtocolName>,
    /// Path of the WebSocket
    #[arg(long, help_heading = "Target")]
    pub(crate) path: Option<String>,
    /// Allow targets and sources outside loopback
    #[arg(long, help_heading = "Target")]
    pub(crate) allow_remote: bool,
    /// Process whose CPU and memory are read, for a server that we did not start
    #[arg(long, value_name = "PID", conflicts_with = "spawn", help_heading = "Target")]
    pub(crate) server_pid: Option<u32>,
    /// Shards of that server, to spread publishers over
    #[arg(long, value_name = "N", conflicts_with = "spawn", help_heading = "Target")]
    pub(crate) server_shards: Option<usize>,

    /// Connections [default: 200; idle 10k; connect 32 at once; fanout: publishers and subscribers;
    /// presence: one for each user, at most 10k, besides a watcher in each room]
    #[arg(short, long, value_parser = parse_count, value_name = "N", help_heading = "Load")]
    pub(crate) connections: Option<u64>,
    /// How long to measure, after the warm-up [default: 10s, with -n at most 10m]
    #[arg(short, long, value_parser = parse_duration, help_heading = "Load")]
    pub(crate) duration: Option<Duration>,
    /// Send but do not record at first [default: 1s; idle, with -n and --keep-open 0s; presence 1s and --stay]
    #[arg(long, value_parser = parse_duration, help_heading = "Load")]
    pub(crate) warmup: Option<Duration>,
    /// Open loop: messages per second in all [default: 10k/s; fanout 100/s; connect 500/s; presence 1k/s]
    #[arg(short = 'R', long, value_parser = parse_rate, conflicts_with = "closed_loop", help_heading = "Load")]
    pub(crate) rate: Option<f64>,
    /// Closed loop: each connection asks again when it was answered
    #[arg(long, help_heading = "Load")]
    pub(crate) closed_loop: bool,
    /// Messages in flight per connection (a publisher's counts as done when all subscribers have it)
    /// [default: closed loop 1, open loop at most 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096), help_heading = "Load")]
    pub(crate) pipeline: Option<u32>,
    /// Stop after so many messages
    #[arg(short = 'n', long, value_parser = parse_count, value_name = "N", help_heading = "Load")]
    pub(crate) messages: Option<u64>,
    /// Bytes of a payload (echo: of the message; else: of its JSON value)
    #[arg(short, long, value_parser = parse_size, default_value = "64", help_heading = "Load")]
    pub(crate) size: usize,
    /// Connections opened per second before the measurement
    #[arg(long, value_parser = parse_rate, default_value = "10k/s", help_heading = "Load")]
    pub(crate) ramp: f64,
    /// Seed of payloads, masks and keys
    #[arg(long, default_value_t = 1, help_heading = "Load")]
    pub(crate) seed: u64,
    /// How long to wait for a connection, its handshakes included
    #[arg(long, value_parser = parse_duration, default_value = "10s", help_heading = "Load")]
    pub(crate) connect_timeout: Duration,
    /// How long to wait for the last answers [default: 2s; presence 10s, for all users to leave]
    #[arg(long, value_parser = parse_duration, help_heading = "Load")]
    pub(crate) drain: Option<Duration>,

    /// rpc: the action to call, or the event to be acknowledged [default: app.echo; --protocol socketio echo]
    #[arg(long, help_heading = "Scenarios")]
    pub(crate) action: Option<String>,
    /// rpc: its argument as JSON (default: a string of --size, or 25 for app.square)
    #[arg(long, value_name = "JSON", help_heading = "Scenarios")]
    pub(crate) data: Option<String>,
    /// fanout: subscribers
    #[arg(long, value_parser = parse_count, value_name = "N", default_value = "100", help_heading = "Scenarios")]
    pub(crate) subscribers: u64,
    /// fanout: publishers, spread over the server's shards
    #[arg(long, value_parser = parse_count, value_name = "N", default_value = "1", help_heading = "Scenarios")]
    pub(crate) publishers: u64,
    /// fanout: channels
    #[arg(long, value_parser = parse_count, value_name = "N", default_value = "1", help_heading = "Scenarios")]
    pub(crate) channels: u64,
    /// fanout, idle: what the channels' names begin with; a number follows. Runs at the same time need different ones
    #[arg(long, value_name = "NAME", default_value = "bench/", help_heading = "Scenarios")]
    pub(crate) channel_prefix: String,
    /// fanout: channels of each subscriber
    #[arg(long, value_parser = parse_count, value_name = "N", default_value = "1", help_heading = "Scenarios")]
    pub(crate) subs_per_conn: u64,
    /// fanout, idle: the server has no channels, and sends each Socket.IO event `message` to everybody
    #[arg(long, help_heading = "Scenarios")]
    pub(crate) broadcast: bool,
    /// fanout: keep only publishers that the server says are on this shard
    #[arg(long, value_name = "SHARD", help_heading = "Scenarios")]
    pub(crate) publisher_shard: Option<u64>,
    /// fanout: the same for subscribers
    #[arg(long, value_name = "SHARD", help_heading = "Scenarios")]
    pub(crate) subscriber_shard: Option<u64>,
    /// idle: every connection subscribes to --subs-per-conn of the --channels
    #[arg(long, help_heading = "Scenarios")]
    pub(crate) subscribe: bool,
    /// presence: users, each of whom comes again and again; several of them share a connection, one after the other
    #[arg(long, value_parser = parse_count, value_name = "N", default_value = "10k", help_heading = "Scenarios")]
    pub(crate) users: u64,
    /// presence: rooms, `room.0` and on, each with a watcher [default: one for ten users, at most 1k]
    #[arg(long, value_parser = parse_count, value_name = "N", help_heading = "Scenarios")]
    pub(crate) rooms: Option<u64>,
    /// presence: how long a user stays in its room
    #[arg(long, value_parser = parse_duration, default_value = "1s", help_heading = "Scenarios")]
    pub(crate) stay: Duration,
    /// presence: how a user leaves its room
    #[arg(long, value_enum, default_value = "logout", value_name = "WAY", help_heading = "Scenarios")]
    pub(crate) leave: Leave,
    /// connect: keep the connections, up to --connections
    #[arg(long, help_heading = "Scenarios")]
    pub(crate) keep_open: bool,
    /// connect: WebSocket handshakes only, without SocketCluster's: --protocol raw
    #[arg(long, conflicts_with = "protocol", help_heading = "Scenarios")]
    pub(crate) raw: bool,

    /// Threads of the generator [default: one; with --cpus, one for each]
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Machine")]
    pub(crate) threads: Option<u16>,
    /// CPUs of the generator [default: with --spawn the upper half of the allowed ones, else not pinned]
    #[arg(long, value_parser = parse_cpus, value_name = "LIST", help_heading = "Machine")]
    pub(crate) cpus: Option<CpuList>,
    /// CPUs of the server that we start [default: the lower half of the allowed ones]
    #[arg(long, value_parser = parse_cpus, value_name = "LIST", help_heading = "Machine")]
    pub(crate) server_cpus: Option<CpuList>,
    /// Source addresses, 10,000 connections each [default: 127.1.0.0/16 for IPv4 loopback targets]
    #[arg(long, value_parser = parse_network, value_name = "NETWORK", help_heading = "Machine")]
    pub(crate) source: Option<Network>,

    /// Conditions for exit code 0: p50…p99.99, max, mean, heard_p50…heard_max (presence: until a join is heard), loss, duplicates, disorder, errors, unsent, rate, server_cpu,
    /// bytes_per_connection, like 'p99<5ms,loss==0,errors<0.01%'
    #[arg(long, value_name = "LIST", help_heading = "Output")]
    pub(crate) thresholds: Option<String>,
    /// Write the result as JSON to a file, or to stdout with `-` (the table then goes to stderr)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// No progress lines
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Arguments of the server that we start
    #[arg(last = true, value_name = "SERVER ARGS")]
    pub(crate) server_args: Vec<String>,
}

impl Args {
    /// The scenario, wherever it was written: `--spawn rpc` without another scenario means rpc.
    pub(crate) fn scenario(&mut self) -> Option<ScenarioName> {
        if let Some(scenario) = self.scenario.or(self.scenario_flag) {
            return Some(scenario);
        }
        let name = self.spawn.as_ref()?.as_ref()?.to_str()?;
        let scenario = ScenarioName::from_str(name, false).ok()?;
        self.spawn = Some(None);
        Some(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Args, String> {
        Args::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_scenario_may_stand_in_three_places() {
        for line in ["rpc --spawn", "--spawn rpc", "--spawn --scenario rpc", "--scenario=rpc --target ws://x:1"] {
            assert_eq!(parse(line).expect(line).scenario(), Some(ScenarioName::Rpc), "{line}");
        }
        let mut args = parse("rpc --spawn /bin/server -- --port 1").expect("a path");
        assert_eq!(args.scenario(), Some(ScenarioName::Rpc));
        assert_eq!(args.spawn, Some(Some(PathBuf::from("/bin/server"))));
        assert_eq!(args.server_args, ["--port", "1"]);
    }

    #[test]
    fn values_carry_units() {
        let args = parse("echo --spawn -c 10k -R 1.5k/s -d 500ms -s 1KiB --ramp 2k/s --cpus 0-1,3").expect("valid");
        assert_eq!((args.connections, args.rate, args.size), (Some(10_000), Some(1_500.0), 1_024));
        assert_eq!(args.cpus, Some(CpuList(vec![0, 1, 3])));
    }

    #[test]
    fn mistakes_are_refused_with_the_nearest_flag() {
        assert!(parse("rpc --conections 5").expect_err("misspelt").contains("--connections"));
        assert!(parse("rcp --spawn").expect_err("misspelt").contains("rpc"));
        assert!(parse("rpc --rate 5 --closed-loop").is_err());
        assert!(parse("rpc --target ws://x --spawn").is_err());
        assert!(parse("rpc --spawn --pipeline 0").is_err());
        assert!(parse("rpc --spawn --threads 0").is_err());
        assert!(parse("rpc --spawn -d 5x").expect_err("no such unit").contains("5x"));
    }
}
