//! The clients of SocketStream and of SocketCluster 0.9 against the real server on two shards, by every transport that
//! they have. What of them is on a registry is unmodified: `streaming.js` lends the one that is made for browsers what it
//! needs of one, `services.js` stands for the part of another that is on none. The scenario is in `further.js`.

use std::process::Command;
use std::time::Duration;

use harness::script::{Script, installed, local};
use harness::server::Server;

const STEPS: [&str; 7] = ["square", "errors", "payloads", "ordered", "channels", "sessions", "idle"];

/// Quick enough that several time-outs pass within seconds.
const QUICK_HEARTBEAT: [&str; 8] =
    ["--engine-ping-interval", "1s", "--engine-ping-timeout", "1s", "--ping-interval", "1s", "--ping-timeout", "3s"];

/// The scripts give each wait 30 s: all of them together stay below this.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn socketcluster_client_09_is_served_by_every_transport() {
    run("socketcluster-0.9", &["websocket", "polling", "polling,websocket"]);
}

#[test]
fn socketstream_client_03_is_served_by_every_transport() {
    run("socketstream-0.3", &["websocket", "polling", "polling,websocket"]);
}

#[test]
fn socketstream_client_05_is_served_by_every_transport() {
    run("socketstream-0.5", &["websocket", "polling", "polling,websocket"]);
}

#[test]
fn realtime_services_are_served_by_every_transport() {
    run("services", &["plain", "websocket", "polling", "polling,websocket"]);
}

/// By all transports at once, each in a process of its own.
fn run(client: &str, transports: &[&str]) {
    installed("clients/node_modules/socketstream-0.5/package.json");
    let server = Server::start(&QUICK_HEARTBEAT);
    let start = |transports: &&str| {
        let mut command = Command::new("node");
        command.arg(local("clients/further.js")).arg(client).arg(transports);
        command.arg(server.address().port().to_string()).args(STEPS);
        Script::start(format!("{client} {transports}"), command, &STEPS)
    };
    let scripts: Vec<_> = transports.iter().map(start).collect();
    scripts.into_iter().for_each(|script| script.expect_every_step(LIMIT, &server));
}
