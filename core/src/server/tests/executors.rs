//! Real executors, one per shard, without a main thread's signals: how they start, fail and end.

use std::net::{Ipv4Addr, SocketAddr};

use shard::ShardId;

use super::client::Client;
use super::host::Echo;
use crate::config::Settings;
use crate::server::StartError;
use crate::server::entrance::Entrance;
use crate::server::executor::Executors;
use crate::server::placement::Placement;

fn settings() -> Settings {
    Settings { listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], ..Settings::default() }
}

fn placement(shards: usize) -> Placement {
    Placement { cpus: vec![0; shards], pinned: false }
}

#[test]
fn executors_serve_as_soon_as_they_are_started_and_end_when_told() {
    let entrance = Entrance::open(&settings(), 3, Vec::new()).expect("a free port");
    let address = entrance.listeners.addresses[0];
    let mut executors = Executors::start(&settings(), &placement(3), entrance, |_| Echo, || {}).expect("three shards");
    let mut clients: Vec<_> = (0..30).map(|_| Client::connect(address)).collect();
    clients.iter_mut().for_each(|client| client.echo(b"hello"));
    assert!(executors.tend());
    assert_eq!(executors.ended(), 0);
    executors.control.report();
    executors.control.stop();
    clients.into_iter().for_each(|client| client.expect_close(1001));
    executors.join().expect("nothing has failed");
}

#[test]
fn an_application_that_cannot_start_is_quoted() {
    let application = |shard: ShardId| {
        assert_eq!(shard.0, 0, "there is no such action");
        Echo
    };
    let entrance = Entrance::open(&settings(), 2, Vec::new()).expect("a free port");
    let error =
        Executors::start(&settings(), &placement(2), entrance, application, || {}).expect_err("shard 1 refuses");
    let StartError::Executor { shard: 1, message } = &error else { panic!("{error}") };
    assert!(message.contains("there is no such action"), "{message}");
}
