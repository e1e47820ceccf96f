//! The command line of `attack`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use crate::units::{parse_duration, parse_size};

const AFTER_HELP: &str = "\
Examples:
  socketshard-loadgen attack --target ws://127.0.0.1:8000
  socketshard-loadgen attack --target ws://127.0.0.1:8000 --only A5,A9 --verbose
  socketshard-loadgen attack --list

Rows that wait for a time-out wait for those of the server: say them as it was started with, or use --quick with
  socketshard start --handshake-timeout 500ms --body-timeout 500ms --send-timeout 1s --close-timeout 500ms --idle-timeout 1s

Verdicts: ok, as the catalogue wants it; other, refused in another way, which harms nobody; FAILED; none, the server has
no such door.
Exit codes: 0 nothing failed, 1 no server there, 2 usage, 4 something failed or the bystander was hurt.";

/// What was typed after `attack`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "socketshard-loadgen attack",
    version,
    about = "Does to a server what hostile clients do, and says how it took it",
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// The server: ws://host:port
    #[arg(long, value_name = "URL", required_unless_present = "list")]
    pub(crate) target: Option<String>,
    /// A port of the same server that speaks TLS: host:port
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) tls_address: Option<String>,
    /// The server's admin listener, without a key: host:port. Its counters must show each row, as ours do
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// The server's process: what memory a row took at most, and whether its descriptors came back
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Rows, like A5,A9 [default: all]
    #[arg(long, value_name = "ROWS", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Print the rows and what is sent, and do nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print every input on a line of its own, not only those that failed
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Attack a server that is not on this machine: it is mine, and who runs its network knows
    #[arg(long)]
    pub(crate) i_own_this_target: bool,

    /// Path of a WebSocket that sends every message back
    #[arg(long, value_name = "PATH", default_value = "/echo", help_heading = "Doors")]
    pub(crate) echo_path: String,
    /// Path of SocketCluster
    #[arg(long, value_name = "PATH", default_value = "/socketcluster/", help_heading = "Doors")]
    pub(crate) socketcluster_path: String,
    /// Path of Engine.IO, for long-polling
    #[arg(long, value_name = "PATH", default_value = "/socket.io/", help_heading = "Doors")]
    pub(crate) polling_path: String,
    /// A page that answers 200
    #[arg(long, value_name = "PATH", default_value = "/healthz", help_heading = "Doors")]
    pub(crate) page_path: String,
    /// An action by HTTP that answers 200
    #[arg(long, value_name = "PATH", default_value = "/api/app/square?25", help_heading = "Doors")]
    pub(crate) api_path: String,

    /// The server's time-outs are the short ones below
    #[arg(long, help_heading = "Limits of the server")]
    pub(crate) quick: bool,
    /// From a connection to the end of its handshakes [default: 10s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME", help_heading = "Limits of the server")]
    pub(crate) handshake_timeout: Option<Duration>,
    /// From a request's head to the end of its body [default: 30s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME", help_heading = "Limits of the server")]
    pub(crate) body_timeout: Option<Duration>,
    /// How long a client may read nothing [default: 30s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME", help_heading = "Limits of the server")]
    pub(crate) send_timeout: Option<Duration>,
    /// From a close frame to the end of the connection [default: 5s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME", help_heading = "Limits of the server")]
    pub(crate) close_timeout: Option<Duration>,
    /// How long a connection may stay open without a request [default: 60s]
    #[arg(long, value_parser = parse_duration, value_name = "TIME", help_heading = "Limits of the server")]
    pub(crate) idle_timeout: Option<Duration>,
    /// Bytes of one message
    #[arg(long, value_parser = parse_size, value_name = "SIZE", default_value = "128KiB", help_heading = "Limits of the server")]
    pub(crate) max_message: usize,
    /// Calls of one connection that wait for their answers
    #[arg(long, value_name = "COUNT", default_value_t = 100, help_heading = "Limits of the server")]
    pub(crate) max_calls: usize,
    /// How long to wait for any answer, and beyond any time-out
    #[arg(long, value_parser = parse_duration, value_name = "TIME", default_value = "10s")]
    pub(crate) timeout: Duration,
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
    fn a_target_is_needed_but_for_the_list() {
        assert!(Args::try_parse_from(["attack"]).is_err());
        assert!(Args::try_parse_from(["attack", "--list"]).is_ok());
        let args = Args::try_parse_from(["attack", "--target", "ws://x:1", "--only", "A5,A9"]).expect("valid");
        assert_eq!(args.only, ["A5", "A9"]);
    }
}
