//! Unmodified clients of five npm generations and PyPI's against the real server on two shards. The scenario itself is
//! in `scenario.js` and `run.py`; this file starts a server, runs them, and compares what they report with what they
//! were asked, so that no step can be left out unseen.

mod crowd;
mod further;
mod socketio;

use std::process::Command;
use std::time::Duration;

use harness::script::{Script, installed, local};
use harness::server::Server;

/// What every client goes through.
const STEPS: [&str; 9] =
    ["connect", "square", "echo", "unknownAction", "acrossShards", "ordered", "unsubscribe", "payloads", "reconnect"];

/// Heartbeats quick enough that several time-outs pass within seconds.
const QUICK_HEARTBEAT: [&str; 4] = ["--ping-interval", "1s", "--ping-timeout", "3s"];

/// The scripts give each step 30 s (`idle` 60 s): all of them together stay below this.
const SCENARIO_LIMIT: Duration = Duration::from_secs(240);

#[test]
fn npm_client_20_is_served() {
    scenario(Client::Npm(20), &["batch", "asked", "idle"]);
}

#[test]
fn npm_client_16_is_served() {
    scenario(Client::Npm(16), &["batch", "asked", "idle"]);
}

#[test]
fn npm_client_14_is_served() {
    scenario(Client::Npm(14), &["batchOfSubscriptions", "asked", "idle"]);
}

#[test]
fn npm_client_5_is_served() {
    scenario(Client::Npm(5), &["asked", "idle"]);
}

#[test]
fn npm_client_2_is_served() {
    scenario(Client::Npm(2), &["asked", "idle"]);
}

#[test]
fn pypi_client_is_served() {
    scenario(Client::PyPi, &["idle"]);
}

/// All generations idle at once on one server for longer than the time-out that each was told, with no flag to help.
#[test]
fn every_client_outlives_the_default_time_outs() {
    all_at_once(&["idleDefault"]);
}

/// What every npm client's user sees of tokens.
const LOGINS: [&str; 7] = ["login", "switchLogin", "comeBack", "expire", "badToken", "badTokenAtHandshake", "modules"];

#[test]
fn npm_client_20_logs_in() {
    logins(20, &["waitForAuth"]);
}

#[test]
fn npm_client_14_logs_in() {
    logins(14, &["waitForAuth"]);
}

#[test]
fn npm_client_2_logs_in() {
    logins(2, &[]);
}

/// What clients of streams see of people.
const PEOPLE: [&str; 4] = ["hundredTabs", "userEvents", "rooms", "privateChannels"];

#[test]
fn npm_client_20_meets_people() {
    people(20);
}

#[test]
fn npm_client_16_meets_people() {
    people(16);
}

fn people(version: u32) {
    let server = Server::start(&QUICK_HEARTBEAT);
    Client::Npm(version).start(&server, &PEOPLE).expect_every_step(SCENARIO_LIMIT, &server);
}

fn logins(version: u32, further: &[&str]) {
    let server = Server::start(&QUICK_HEARTBEAT);
    Client::Npm(version).start(&server, &[&LOGINS, further].concat()).expect_every_step(SCENARIO_LIMIT, &server);
}

/// Different generations meet in one channel: what one publishes, all others receive.
#[test]
fn clients_of_all_generations_share_a_channel() {
    all_at_once(&["meet"]);
}

fn scenario(client: Client, further: &[&str]) {
    let server = Server::start(&QUICK_HEARTBEAT);
    client.start(&server, &[&STEPS, further].concat()).expect_every_step(SCENARIO_LIMIT, &server);
}

fn all_at_once(steps: &[&str]) {
    let server = Server::start(&[]);
    for script in Client::ALL.map(|client| client.start(&server, steps)) {
        script.expect_every_step(SCENARIO_LIMIT, &server);
    }
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

    fn start(self, server: &Server, steps: &[&str]) -> Script {
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
        Script::start(format!("{self:?}"), command, steps)
    }
}
