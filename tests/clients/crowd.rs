//! One client of every kind in one channel, on two shards: each publishes a hundred numbered messages, and each hears all
//! of everybody's in their order. Who they are, and the comparison, is in `crowd.js`.

use std::process::Command;
use std::time::Duration;

use harness::script::{Script, installed, local};
use harness::server::Server;

const STEPS: [&str; 1] = ["crowd"];

/// The script gives each of its two waits 30 s.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn every_kind_of_client_hears_every_other_in_order() {
    installed("clients/node_modules/socketstream-0.3/package.json");
    let server = Server::start(&[]);
    let mut command = Command::new("node");
    command.arg(local("clients/crowd.js")).arg(server.address().port().to_string());
    command.arg(installed(".cache/python/bin/python")).args(STEPS);
    Script::start("crowd", command, &STEPS).expect_every_step(LIMIT, &server);
}
