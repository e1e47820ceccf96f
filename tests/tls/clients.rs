//! Unmodified clients over wss, which verify the server's certificate by what they are told to trust.

use std::process::Command;
use std::time::Duration;

use harness::script::{Script, installed, local};

use crate::Secure;

const STEPS: [&str; 8] =
    ["connect", "square", "echo", "acrossShards", "ordered", "unsubscribe", "payloads", "reconnect"];
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn npm_client_20_is_served_over_wss() {
    npm(20, &["login", "comeBack"]);
}

#[test]
fn npm_client_14_is_served_over_wss() {
    npm(14, &["login"]);
}

#[test]
fn npm_client_2_is_served_over_wss() {
    npm(2, &["login"]);
}

#[test]
fn pypi_client_is_served_over_wss() {
    let secure = Secure::start(&[]);
    let mut command = Command::new(installed(".cache/python/bin/python"));
    command.arg(local("clients/run.py")).env("WEBSOCKET_CLIENT_CA_BUNDLE", secure.certificates.certificate("server"));
    run(&secure, "PyPi", command, &STEPS);
}

fn npm(version: u32, further: &[&str]) {
    installed("clients/node_modules/socketcluster-client-20/package.json");
    let secure = Secure::start(&[]);
    let mut command = Command::new("node");
    command.arg(local("clients/run.js")).arg(version.to_string());
    command.env("NODE_EXTRA_CA_CERTS", secure.certificates.certificate("server"));
    run(&secure, &format!("npm {version}"), command, &[&STEPS, further].concat());
}

fn run(secure: &Secure, name: &str, mut command: Command, steps: &[&str]) {
    command.env("TLS", "1").arg(secure.server.tls_address().port().to_string()).args(steps);
    Script::start(name, command, steps).expect_every_step(LIMIT, &secure.server);
}
