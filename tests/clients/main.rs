//! Unmodified clients of five npm generations and PyPI's against the real server on two shards. The scenario itself is
//! in `scenario.js` and `run.py`; this file starts a server, runs them, and compares what they report with what they
//! were asked, so that no step can be left out unseen.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::process::Process;
use harness::server::Server;
use serde_json::Value;

/// What every client goes through.
const STEPS: [&str; 9] =
    ["connect", "square", "echo", "unknownAction", "acrossShards", "ordered", "unsubscribe", "payloads", "reconnect"];

/// Heartbeats quick enough that several time-outs pass within seconds.
const QUICK_HEARTBEAT: [&str; 4] = ["--ping-interval", "1s", "--ping-timeout", "3s"];

/// The scripts give each step 30 s (`idle` 60 s): all of them together stay below this.
const SCENARIO_LIMIT: Duration = Duration::from_secs(240);

#[test]
fn npm_client_20_is_served() {
    scenario(Client::Npm(20), &["batch", "idle"]);
}

#[test]
fn npm_client_16_is_served() {
    scenario(Client::Npm(16), &["batch", "idle"]);
}

#[test]
fn npm_client_14_is_served() {
    scenario(Client::Npm(14), &["batchOfSubscriptions", "idle"]);
}

#[test]
fn npm_client_5_is_served() {
    scenario(Client::Npm(5), &["idle"]);
}

#[test]
fn npm_client_2_is_served() {
    scenario(Client::Npm(2), &["idle"]);
}

#[test]
fn pypi_client_is_served() {
    scenario(Client::PyPi, &["idle"]);
}

/// All generations idle at once on one server for longer than the time-out that each was told, with no flag to help.
#[test]
fn every_client_outlives_the_default_time_outs() {
    let server = Server::start(&[]);
    let runs = Client::ALL.map(|client| (client, Process::start(client.command(&server, &["idleDefault"]))));
    for (client, process) in runs {
        expect_steps(client, process, &["idleDefault"], &server);
    }
}

/// Different generations meet in one channel: what one publishes, all others receive.
#[test]
fn clients_of_all_generations_share_a_channel() {
    let server = Server::start(&[]);
    let runs = Client::ALL.map(|client| (client, Process::start(client.command(&server, &["meet"]))));
    for (client, process) in runs {
        expect_steps(client, process, &["meet"], &server);
    }
}

fn scenario(client: Client, further: &[&str]) {
    let server = Server::start(&QUICK_HEARTBEAT);
    let steps = [&STEPS, further].concat();
    let process = Process::start(client.command(&server, &steps));
    expect_steps(client, process, &steps, &server);
}

/// Waits for the script's end and checks that it reports exactly these steps, each as passed.
fn expect_steps(client: Client, process: Process, steps: &[&str], server: &Server) {
    let exit = process.wait(SCENARIO_LIMIT);
    let mut passed = Vec::new();
    for line in exit.stdout.lines() {
        let report: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not a report: {line}\n{exit}"));
        let step = report["step"].as_str().unwrap_or_else(|| panic!("a report names its step: {line}")).to_owned();
        let error = report["error"].as_str().unwrap_or("no error was reported");
        assert_eq!(report["ok"], true, "{client:?} fails at {step}:\n{error}\n{}\n{}", exit.stderr, server.stderr());
        println!("{client:?} {step}: {} ms", report["ms"]);
        passed.push(step);
    }
    assert_eq!(passed, steps, "{client:?} reports every step\n{exit}");
    assert_eq!(exit.code(), 0, "{client:?}\n{exit}");
}

/// A client that lives outside of Rust.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// socketcluster-client of that major version.
    Npm(u32),
    /// socketclusterclient for Python.
    PyPi,
}

impl Client {
    const ALL: [Self; 6] = [Self::Npm(20), Self::Npm(16), Self::Npm(14), Self::Npm(5), Self::Npm(2), Self::PyPi];

    fn command(self, server: &Server, steps: &[&str]) -> Command {
        let port = server.address().port().to_string();
        let mut command = match self {
            Self::Npm(version) => {
                installed("clients/node_modules/socketcluster-client-20/package.json");
                let mut command = Command::new("node");
                command.arg(local("clients/run.js")).arg(version.to_string());
                command
            }
            Self::PyPi => {
                let mut command = Command::new(installed(".cache/python/bin/python"));
                command.arg(local("clients/run.py"));
                command
            }
        };
        command.arg(port).args(steps);
        command
    }
}

fn local(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file that `tests/run` puts in place.
fn installed(path: &str) -> PathBuf {
    let path = local(path);
    assert!(path.exists(), "{} is missing: tests/run installs it", path.display());
    path
}
