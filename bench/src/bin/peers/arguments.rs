//! The command line of the comparison.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::peer::Peer;
use crate::scenario::Scenario;

const AFTER_HELP: &str = "\
Each run starts its server anew, pinned to --server-cpu; the generator has --cpu. In a round every server of a scenario \
has its turn, so that only figures of one round are divided. --only leaves out peers, --scenario scenarios; with --add \
a stored comparison is completed in pieces. Needs the registries (cargo, npm) the first time, gcc, g++ and node; what \
cannot be built is named as missing.

Scenarios: call-64-p1, call-64-p16, call-1k-p16, fanout-64-w1, fanout-64-w16, handshake, ping-pong, open-15k, idle,
cross-shard.
Peers: ours, uwebsockets, fastwebsockets, tungstenite, tungstenite-defaults, socketioxide, ws, socket.io, socketcluster.";

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(name = "peers", about = "Compares our server with its peers, round by round", after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Only these peers
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = Peer::parse)]
    pub(crate) only: Vec<Peer>,
    /// Only these scenarios
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = Scenario::parse)]
    pub(crate) scenario: Vec<Scenario>,
    /// Rounds in which every server has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,
    /// How long each run measures
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// How long it runs before
    #[arg(long, default_value = "700ms", value_parser = duration)]
    pub(crate) warmup: Duration,
    /// The same for peers on Node, whose compiler needs longer
    #[arg(long, default_value = "1800ms", value_parser = duration)]
    pub(crate) node_warmup: Duration,
    /// CPU of the servers
    #[arg(long, default_value_t = 0)]
    pub(crate) server_cpu: usize,
    /// CPU of the generator
    #[arg(long, default_value_t = 1)]
    pub(crate) cpu: usize,
    /// Store the result, after every round
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Keep the scenarios of the stored result that are not measured now
    #[arg(long, requires = "json")]
    pub(crate) add: bool,
    /// Measure nothing: print the stored result
    #[arg(long, requires = "json", conflicts_with = "add")]
    pub(crate) show: bool,
    /// Print Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Build everything and measure nothing
    #[arg(long)]
    pub(crate) build_only: bool,
    /// Build nothing: use what is there
    #[arg(long, conflicts_with = "build_only")]
    pub(crate) no_build: bool,
}

impl Arguments {
    /// The scenarios that are asked for.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        if self.scenario.is_empty() { Scenario::ALL.into() } else { self.scenario.clone() }
    }

    /// Whether a peer is asked for.
    pub(crate) fn asks_for(&self, peer: Peer) -> bool {
        self.only.is_empty() || self.only.contains(&peer)
    }
}

/// `2s`, `1.5s`, `200ms`: above zero and at most an hour.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.trim().parse::<f64>().ok().map(|number| number * scale);
    let seconds = seconds.filter(|seconds| (0.001..=3_600.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("'{text}' is not a duration of 1ms to 3600s (like 2s, 200ms)"))?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, String> {
        let words = std::iter::once("peers").chain(line.split_whitespace());
        Arguments::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_consistent_and_its_help_names_everything() {
        Arguments::command().debug_assert();
        for scenario in Scenario::ALL {
            assert!(AFTER_HELP.contains(scenario.name), "{}", scenario.name);
        }
        for peer in Peer::ALL.into_iter().filter(|&peer| peer != Peer::Ours && peer != Peer::Nats) {
            assert!(AFTER_HELP.contains(peer.name()), "{}", peer.name());
        }
    }

    #[test]
    fn lists_select() {
        let arguments = parse("--only ours,uwebsockets --scenario idle,handshake --duration 200ms").expect("valid");
        assert!(arguments.asks_for(Peer::Ours) && !arguments.asks_for(Peer::Ws));
        assert_eq!(arguments.scenarios().len(), 2);
        assert_eq!(arguments.duration, Duration::from_millis(200));
        assert_eq!(parse("").expect("valid").scenarios().len(), Scenario::ALL.len());
    }

    #[test]
    fn mistakes_are_refused() {
        for (line, word) in [
            ("--only nginx", "nginx"),
            ("--scenario storm", "storm"),
            ("--rounds 0", "rounds"),
            ("--duration 0s", "duration"),
            ("--duration 5x", "5x"),
            ("--add", "--json"),
            ("--build-only --no-build", "--no-build"),
        ] {
            assert!(parse(line).expect_err(line).contains(word), "{line}");
        }
    }
}
