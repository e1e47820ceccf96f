//! Unmodified clients of Socket.IO and Engine.IO, of every protocol that is spoken, against the real server on two
//! shards, and beside a client of SocketCluster in one channel. The scenarios are in `socketio.js`,
//! `engineio.js` and `python_socketio.py`.

use std::process::Command;
use std::time::Duration;

use harness::script::{Script, installed, local};
use harness::server::Server;

const STEPS: [&str; 13] = [
    "connect",
    "square",
    "binary",
    "payloads",
    "ordered",
    "channels",
    "namespaces",
    "login",
    "asked",
    "rooms",
    "idle",
    "reconnect",
    "meet",
];

/// What a client's user writes who has read no documentation but the client's.
const STOCK: [&str; 1] = ["stock"];

/// Quick enough that several time-outs pass within seconds.
const QUICK_HEARTBEAT: [&str; 4] = ["--engine-ping-interval", "1s", "--engine-ping-timeout", "1s"];

/// The other shape of acknowledgements than the default.
const ERROR_FIRST: [&str; 2] = ["--ack-shape", "error-first"];

/// The scripts give each wait 20 s: all of them together stay below this.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn socketio_client_4_is_served_by_websocket() {
    run("socketio.js", 4, "websocket", &STEPS);
}

#[test]
fn socketio_client_3_is_served_by_websocket() {
    run("socketio.js", 3, "websocket", &STEPS);
}

#[test]
fn socketio_client_2_is_served_by_websocket() {
    run("socketio.js", 2, "websocket", &STEPS);
}

#[test]
fn socketio_client_4_is_served_by_polling() {
    run("socketio.js", 4, "polling", &STEPS);
}

#[test]
fn socketio_client_3_is_served_by_polling() {
    run("socketio.js", 3, "polling", &STEPS);
}

#[test]
fn socketio_client_2_is_served_by_polling() {
    run("socketio.js", 2, "polling", &STEPS);
}

#[test]
fn socketio_client_4_goes_over_to_a_websocket() {
    run("socketio.js", 4, "polling,websocket", &STEPS);
}

#[test]
fn socketio_client_3_goes_over_to_a_websocket() {
    run("socketio.js", 3, "polling,websocket", &["square", "binary", "payloads", "asked", "meet"]);
}

#[test]
fn socketio_client_2_goes_over_to_a_websocket() {
    run("socketio.js", 2, "polling,websocket", &STEPS);
}

#[test]
fn acknowledgements_are_what_stock_clients_expect() {
    for version in [4, 3, 2] {
        start("socketio.js", version, "websocket", &STOCK, &Server::start(&[]));
    }
    start_python("polling", &STOCK, &Server::start(&[]));
}

#[test]
fn a_lost_connection_is_recovered_on_whatever_shard_its_client_comes_back_to() {
    let flags = [&ERROR_FIRST[..], &["--recovery-window", "30s"]].concat();
    for transports in ["websocket", "polling", "polling,websocket"] {
        start("socketio.js", 4, transports, &["recovered", "meet"], &Server::start(&flags));
    }
}

#[test]
fn engineio_clients_go_over_to_a_websocket() {
    for version in [6, 3] {
        run("engineio.js", version, "polling,websocket", &["echo", "idle"]);
    }
}

#[test]
fn engineio_clients_are_served_by_polling() {
    for version in [6, 3] {
        run("engineio.js", version, "polling", &["echo", "idle", "unknownVersion"]);
    }
}

#[test]
fn engineio_clients_are_served_by_websocket() {
    for version in [6, 3] {
        run("engineio.js", version, "websocket", &["echo", "idle"]);
    }
}

#[test]
fn python_socketio_is_served_by_every_transport() {
    let steps = ["square", "asked", "payloads", "channels", "idle"];
    for transports in ["websocket", "polling", "polling,websocket"] {
        let server = Server::start(&[&QUICK_HEARTBEAT[..], &ERROR_FIRST].concat());
        start_python(transports, &steps, &server);
    }
}

fn start_python(transports: &str, steps: &[&str], server: &Server) {
    let mut command = Command::new(installed(".cache/python/bin/python"));
    command.arg(local("clients/python_socketio.py")).arg(transports);
    command.arg(server.address().port().to_string()).args(steps);
    Script::start(format!("python-socketio {transports}"), command, steps).expect_every_step(LIMIT, server);
}

fn run(script: &str, version: u32, transports: &str, steps: &[&str]) {
    let server = Server::start(&[&QUICK_HEARTBEAT[..], &ERROR_FIRST].concat());
    start(script, version, transports, steps, &server);
}

fn start(script: &str, version: u32, transports: &str, steps: &[&str], server: &Server) {
    installed("clients/node_modules/socket.io-client-4/package.json");
    let mut command = Command::new("node");
    command.arg(local(&format!("clients/{script}"))).arg(version.to_string()).arg(transports);
    command.arg(server.address().port().to_string()).args(steps);
    Script::start(format!("{script} {version} {transports}"), command, steps).expect_every_step(LIMIT, server);
}
