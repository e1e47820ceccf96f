//! What is measured: each scenario with the generator's arguments for every contestant, and the goals that hang on it.
//! Contestants of one scenario take turns within a round, so that what the machine does to one it does to all.

use crate::dialect::Dialect;
use crate::goal::{Goal, Metric};
use crate::peer::Peer;

/// Connections of the loads with calls.
const CONNECTIONS: &str = "200";
/// Subscribers of the fan-out.
const SUBSCRIBERS: &str = "1000";
/// Handshakes under way at once.
const CHURN: &str = "32";
/// The idle memory is the growth of a server that holds so many connections already by so many more: what it takes once
/// is there before.
const HELD: u64 = 2_000;
const IDLE: &str = "8000";
/// Calls per second of the open loop.
const OPEN_RATE: &str = "15k/s";
/// A call has 40 bytes around its data (five digits of id), its answer 20: a raw echo carries as many bytes in both
/// directions together when its message is 30 bytes longer.
const CALL_BYTES: usize = 30;

/// One scenario.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What is counted.
    pub(crate) unit: &'static str,
    load: Load,
    goals: &'static [Promise],
}

/// Ours, theirs, the metric, the goal, and below what it is worth landing.
type Promise = (Side, Option<Side>, Metric, f64, Option<f64>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    Calls { bytes: usize, raw_bytes: usize, connections: &'static str, pipeline: &'static str },
    Planned { bytes: usize },
    Fanout { window: &'static str },
    Handshakes,
    Idle,
    Shards,
}

/// A row that a goal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    OursCalls,
    OursRaw,
    TheirRaw,
    TheirCalls,
    OursSame,
    OursAcross,
}

/// One contestant of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) peer: Peer,
    /// What it is called in the table.
    pub(crate) label: String,
    /// Arguments of the server beside its usual ones.
    pub(crate) server: Vec<&'static str>,
    /// CPUs the server needs.
    pub(crate) server_cpus: usize,
    /// The generator's arguments.
    pub(crate) load: Vec<String>,
    /// What else is held meanwhile: a churn of handshakes first, then connections; for idle memory.
    pub(crate) held: Option<Held>,
}

/// What a server has seen and holds before the connections that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Arguments of a generator that makes the server touch everything it touches once.
    pub(crate) churn: Vec<String>,
    /// Arguments of the one that holds connections.
    pub(crate) load: Vec<String>,
    /// How many it holds.
    pub(crate) connections: u64,
}

use Side::{OursAcross, OursCalls, OursRaw, OursSame, TheirCalls, TheirRaw};

impl Side {
    fn label(self) -> String {
        match self {
            Self::OursCalls => label(Peer::Ours, Dialect::SocketCluster),
            Self::OursRaw => label(Peer::Ours, Dialect::Raw),
            Self::TheirRaw => label(Peer::UWebSockets, Dialect::Raw),
            Self::TheirCalls => label(Peer::UWebSockets, Dialect::SocketCluster),
            Self::OursSame => format!("{}, one shard", Peer::Ours.name()),
            Self::OursAcross => format!("{}, across shards", Peer::Ours.name()),
        }
    }
}

fn label(peer: Peer, dialect: Dialect) -> String {
    format!("{}, {}", peer.name(), dialect.noun())
}

const fn calls(bytes: usize, connections: &'static str, pipeline: &'static str) -> Load {
    Load::Calls { bytes, raw_bytes: bytes, connections, pipeline }
}

impl Scenario {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self {
            name: "call-64-p1",
            title: "RPC and raw echo, 64 B, 200 connections, one in flight each",
            unit: "call",
            load: calls(64, CONNECTIONS, "1"),
            goals: &[
                (OursCalls, Some(TheirRaw), Metric::Cpu, 0.97, Some(1.10)),
                (OursRaw, Some(TheirRaw), Metric::Cpu, 0.95, Some(1.05)),
            ],
        },
        Self {
            name: "call-64-p16",
            title: "RPC and raw echo, 64 B, 200 connections, 16 in flight each",
            unit: "call",
            load: calls(64, CONNECTIONS, "16"),
            goals: &[
                (OursCalls, Some(TheirCalls), Metric::Cpu, 1.00, Some(1.50)),
                (OursRaw, Some(TheirRaw), Metric::Cpu, 0.85, Some(1.05)),
            ],
        },
        Self {
            name: "call-1k-p16",
            title: "RPC of 1 KiB and raw echo of as many bytes, 200 connections, 16 in flight each",
            unit: "call",
            load: Load::Calls { bytes: 1024, raw_bytes: 1024 + CALL_BYTES, connections: CONNECTIONS, pipeline: "16" },
            goals: &[(OursCalls, Some(TheirRaw), Metric::Cpu, 0.85, Some(1.20))],
        },
        Self {
            name: "fanout-64-w1",
            title: "fan-out, 64 B, 1,000 subscribers, one publication in flight",
            unit: "delivery",
            load: Load::Fanout { window: "1" },
            goals: &[(OursCalls, Some(TheirCalls), Metric::Cpu, 0.82, Some(1.00))],
        },
        Self {
            name: "fanout-64-w16",
            title: "fan-out, 64 B, 1,000 subscribers, 16 publications in flight",
            unit: "delivery",
            load: Load::Fanout { window: "16" },
            goals: &[(OursCalls, Some(TheirCalls), Metric::Cpu, 0.90, Some(1.20))],
        },
        Self {
            name: "handshake",
            title: "handshakes (WebSocket, then the protocol's own), 32 at once, each closed at once",
            unit: "handshake",
            load: Load::Handshakes,
            goals: &[(OursCalls, Some(TheirCalls), Metric::Cpu, 0.80, Some(1.20))],
        },
        Self {
            name: "ping-pong",
            title: "one connection, one call in flight, 64 B",
            unit: "call",
            load: calls(64, "1", "1"),
            goals: &[
                (OursCalls, Some(TheirRaw), Metric::Cpu, 0.90, Some(1.10)),
                (OursCalls, Some(TheirRaw), Metric::P50, 1.00, None),
            ],
        },
        Self {
            name: "open-15k",
            title: "15,000 calls/s over 200 connections, 64 B, open loop",
            unit: "call",
            load: Load::Planned { bytes: 64 },
            goals: &[
                (OursCalls, Some(TheirRaw), Metric::Cpu, 1.00, Some(1.20)),
                (OursCalls, Some(TheirRaw), Metric::P50, 1.00, None),
                (OursCalls, Some(TheirRaw), Metric::P99, 1.00, None),
            ],
        },
        Self {
            name: "idle",
            title: "idle connections with one subscription each, growth from 2,000 to 10,000",
            unit: "connection",
            load: Load::Idle,
            goals: &[(OursCalls, None, Metric::Bytes, 512.0, Some(1_024.0))],
        },
        Self {
            name: "cross-shard",
            title: "fan-out, 64 B, 1,000 subscribers on one shard of two, one publication in flight",
            unit: "delivery",
            load: Load::Shards,
            goals: &[(OursAcross, Some(OursSame), Metric::Cpu, 1.05, Some(1.15))],
        },
    ];

    /// The scenario of that name.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scenario| scenario.name == name).ok_or_else(|| {
            let names = Self::ALL.map(|scenario| scenario.name).join(", ");
            format!("'{name}' is none of {names}")
        })
    }

    /// What the ratios of its table are taken to.
    pub(crate) fn reference(&self) -> String {
        match self.load {
            Load::Calls { .. } | Load::Planned { .. } => TheirRaw.label(),
            Load::Fanout { .. } | Load::Handshakes | Load::Idle => TheirCalls.label(),
            Load::Shards => OursSame.label(),
        }
    }

    /// Whether connections are only held.
    pub(crate) fn is_idle(&self) -> bool {
        self.load == Load::Idle
    }

    /// The goals that hang on it.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let goal = |&(ours, theirs, metric, goal, landing): &Promise| Goal {
            metric,
            ours: ours.label(),
            theirs: theirs.map(Side::label),
            goal,
            landing,
        };
        self.goals.iter().map(goal).collect()
    }

    /// Who takes part, in the order of the table.
    pub(crate) fn contestants(&self) -> Vec<Contestant> {
        if self.load == Load::Shards {
            return [(OursSame, "0"), (OursAcross, "1")].map(|(side, shard)| across(side, shard)).into();
        }
        let mut contestants = Vec::new();
        for peer in Peer::ALL {
            for &dialect in peer.dialects() {
                let Some(load) = self.load(peer, dialect) else { continue };
                let server = if peer == Peer::Ours { vec!["--shards", "1"] } else { Vec::new() };
                let held = self.is_idle().then(|| held(dialect));
                let label = label(peer, dialect);
                contestants.push(Contestant { peer, label, server, server_cpus: 1, load, held });
            }
        }
        contestants
    }

    /// The generator's arguments for one contestant; none if it has no part in the scenario.
    fn load(&self, peer: Peer, dialect: Dialect) -> Option<Vec<String>> {
        // Our server's raw route is an echo: it sends nothing to others.
        let is_lonely = peer == Peer::Ours && dialect == Dialect::Raw;
        let protocol = ["--protocol", dialect.flag()];
        let calls = if dialect == Dialect::Raw { "echo" } else { "rpc" };
        Some(match self.load {
            Load::Calls { bytes, raw_bytes, connections, pipeline } => {
                let bytes = if dialect == Dialect::Raw { raw_bytes } else { bytes }.to_string();
                let load = ["--closed-loop", "--size", &bytes, "--connections", connections, "--pipeline", pipeline];
                words(&[&[calls], &protocol, &load])
            }
            Load::Planned { bytes } => {
                let bytes = bytes.to_string();
                let load = ["--rate", OPEN_RATE, "--size", &bytes, "--connections", CONNECTIONS];
                words(&[&[calls], &protocol, &load])
            }
            Load::Fanout { .. } | Load::Idle if is_lonely => return None,
            Load::Fanout { window } => {
                let load = ["--closed-loop", "--size", "64", "--subscribers", SUBSCRIBERS, "--pipeline", window];
                words(&[&["fanout"], &protocol, channels(dialect), &load])
            }
            Load::Handshakes => handshakes(dialect),
            Load::Idle => idle(dialect, IDLE),
            Load::Shards => unreachable!("it has contestants of its own"),
        })
    }
}

fn handshakes(dialect: Dialect) -> Vec<String> {
    let path: &[&str] = if dialect == Dialect::Raw { &["--path", "/echo"] } else { &[] };
    words(&[&["connect", "--protocol", dialect.flag()], path, &["--closed-loop", "--connections", CHURN]])
}

fn idle(dialect: Dialect, connections: &str) -> Vec<String> {
    let load = ["idle", "--subscribe", "--connections", connections, "--protocol", dialect.flag()];
    words(&[&load, channels(dialect)])
}

/// Channels by events are ours alone: the others' Socket.IO servers send every message to everybody.
fn channels(dialect: Dialect) -> &'static [&'static str] {
    if dialect == Dialect::SocketIo { &["--broadcast"] } else { &[] }
}

fn held(dialect: Dialect) -> Held {
    Held { churn: handshakes(dialect), load: idle(dialect, &HELD.to_string()), connections: HELD }
}

/// Two shards, subscribers on shard 0, the publisher on that one.
fn across(side: Side, publisher: &str) -> Contestant {
    let load = ["fanout", "--closed-loop", "--size", "64", "--subscribers", SUBSCRIBERS, "--pipeline", "1"];
    let place = ["--server-shards", "2", "--subscriber-shard", "0", "--publisher-shard", publisher];
    Contestant {
        peer: Peer::Ours,
        label: side.label(),
        server: vec!["--shards", "2"],
        server_cpus: 2,
        load: words(&[&load, &place]),
        held: None,
    }
}

fn words(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_and_reference_names_a_row_of_its_table() {
        for scenario in Scenario::ALL {
            let labels: Vec<String> = scenario.contestants().into_iter().map(|contestant| contestant.label).collect();
            let mut sides = vec![scenario.reference()];
            for goal in scenario.goals() {
                sides.push(goal.ours);
                sides.extend(goal.theirs);
            }
            for side in sides {
                assert!(labels.contains(&side), "{}: {side} is not in {labels:?}", scenario.name);
            }
            let mut unique = labels.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), labels.len(), "{labels:?}");
        }
    }

    #[test]
    fn every_scenario_is_found_by_its_name() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::parse(scenario.name).expect("it exists").title, scenario.title);
        }
        assert!(Scenario::parse("storm").expect_err("there is none").contains("fanout-64-w1"));
    }

    #[test]
    fn every_peer_that_is_driven_takes_part() {
        for peer in Peer::ALL.into_iter().filter(|peer| !peer.dialects().is_empty()) {
            for name in ["call-64-p1", "fanout-64-w1", "handshake", "idle"] {
                let contestants = Scenario::parse(name).expect("it exists").contestants();
                assert!(contestants.iter().any(|contestant| contestant.peer == peer), "{name}: {}", peer.name());
            }
        }
    }
}
