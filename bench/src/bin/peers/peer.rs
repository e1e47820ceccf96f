//! Who takes part: ours and the peers, what each speaks, and the command that starts it. A peer that cannot be had says
//! why.

use std::path::Path;
use std::process::Command;

use crate::dialect::Dialect;
use crate::workshop::{Workshop, output};
use crate::{node, rust, uwebsockets};

/// A server under comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Ours,
    UWebSockets,
    FastWebSockets,
    Tungstenite,
    TungsteniteDefaults,
    SocketIoxide,
    Ws,
    SocketIo,
    SocketCluster,
    Nats,
}

/// A peer that is ready to be started.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The program and its arguments.
    program: std::path::PathBuf,
    arguments: Vec<String>,
    /// What exactly it is.
    pub(crate) version: String,
}

impl Ready {
    /// A program with arguments.
    pub(crate) fn new(program: impl AsRef<Path>, arguments: &[&str], version: impl Into<String>) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { program: program.as_ref().to_owned(), arguments, version: version.into() }
    }

    /// The command, with further arguments.
    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(more);
        command
    }
}

impl Peer {
    /// Everyone, in the order of the tables.
    pub(crate) const ALL: [Self; 10] = [
        Self::Ours,
        Self::UWebSockets,
        Self::FastWebSockets,
        Self::Tungstenite,
        Self::TungsteniteDefaults,
        Self::SocketIoxide,
        Self::Ws,
        Self::SocketIo,
        Self::SocketCluster,
        Self::Nats,
    ];

    /// The name, in tables and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "socketshard",
            Self::UWebSockets => "uwebsockets",
            Self::FastWebSockets => "fastwebsockets",
            Self::Tungstenite => "tungstenite",
            Self::TungsteniteDefaults => "tungstenite-defaults",
            Self::SocketIoxide => "socketioxide",
            Self::Ws => "ws",
            Self::SocketIo => "socket.io",
            Self::SocketCluster => "socketcluster",
            Self::Nats => "nats",
        }
    }

    /// The peer of that name; `ours` is one of ours.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        let name = if name == "ours" { Self::Ours.name() } else { name };
        Self::ALL.into_iter().find(|peer| peer.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("'{name}' is none of ours, {names}")
        })
    }

    /// What it speaks, in the order of the tables.
    pub(crate) const fn dialects(self) -> &'static [Dialect] {
        match self {
            Self::Ours => &[Dialect::SocketCluster, Dialect::Raw],
            Self::UWebSockets => &[Dialect::Raw, Dialect::SocketCluster],
            Self::FastWebSockets | Self::Tungstenite | Self::TungsteniteDefaults | Self::Ws => &[Dialect::Raw],
            Self::SocketIoxide | Self::SocketIo => &[Dialect::SocketIo],
            Self::SocketCluster => &[Dialect::SocketCluster],
            Self::Nats => &[],
        }
    }

    /// Whether it runs on Node, whose compiler needs a longer warm-up.
    pub(crate) const fn is_node(self) -> bool {
        matches!(self, Self::Ws | Self::SocketIo | Self::SocketCluster)
    }

    /// Builds or finds it; else the reason why it cannot take part.
    pub(crate) fn prepare(self, workshop: &Workshop) -> Result<Ready, String> {
        match self {
            Self::Ours => ours(workshop),
            Self::UWebSockets => {
                let (program, version) = uwebsockets::prepare(workshop)?;
                Ok(Ready::new(program, &[], version))
            }
            Self::FastWebSockets => rust::prepare(workshop, "fastwebsockets", &[]),
            Self::Tungstenite => rust::prepare(workshop, "tungstenite", &["--read-buffer-bytes", "4096"]),
            Self::TungsteniteDefaults => rust::prepare(workshop, "tungstenite", &[]),
            Self::SocketIoxide => rust::prepare(workshop, "socketioxide", &[]),
            Self::Ws => node::prepare(workshop, "ws"),
            Self::SocketIo => node::prepare(workshop, "socket.io"),
            Self::SocketCluster => node::prepare(workshop, "socketcluster-server"),
            Self::Nats => Err("not driven: it speaks a protocol of its own, which the generator does not".to_owned()),
        }
    }
}

fn ours(workshop: &Workshop) -> Result<Ready, String> {
    let program = workshop.program("socketshard");
    workshop.has(&program)?;
    let version = output(Command::new(&program).arg("--version"))?;
    let commit = workshop.commit().map_or_else(|| "commit unknown".to_owned(), |commit| format!("commit {commit}"));
    let version = format!("{}, {commit}", version.trim().trim_start_matches("socketshard "));
    Ok(Ready::new(program, &["start", "--listen", "127.0.0.1:0", "--log-level", "warn"], version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again_and_no_other() {
        for peer in Peer::ALL {
            assert_eq!(Peer::parse(peer.name()), Ok(peer));
        }
        assert_eq!(Peer::parse("ours"), Ok(Peer::Ours));
        assert!(Peer::parse("apache").expect_err("not one of them").contains("uwebsockets"));
    }
}
