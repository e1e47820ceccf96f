//! Receive buffers: too few of them, and none lost, whoever closes when.

use super::client::{self, Client, payload};
use super::running::Running;
use crate::config::{RingSettings, Settings};

fn few_buffers() -> Settings {
    let ring = RingSettings { entries: 64, receive_buffers: 2, receive_buffer_bytes: 512, direct_descriptors: 0 };
    Settings { ring, ..Settings::default() }
}

#[test]
fn many_connections_share_two_small_buffers() {
    let running = Running::start(1, &few_buffers(), |_| {});
    let mut clients: Vec<_> = (0..64).map(|_| Client::connect(running.address)).collect();
    for round in 0..4 {
        clients.iter_mut().enumerate().for_each(|(index, client)| client.send(&payload(index * round, 6000)));
        clients.iter_mut().enumerate().for_each(|(index, client)| client.expect(&payload(index * round, 6000)));
    }
    drop(clients);
    let report = running.stop_one();
    assert!(report.count("buffers_exhausted") > 0, "the test must run out of buffers: {report:?}");
    assert_eq!(report.count("messages"), 256, "{report:?}");
    assert_eq!(report.count("closed"), 64, "{report:?}");
}

#[test]
fn buffers_of_connections_that_are_gone_come_back() {
    let running = Running::start(1, &few_buffers(), |_| {});
    for round in 0..300 {
        let mut client = Client::connect(running.address);
        // More than both buffers hold, on the way when the connection breaks.
        client.send(&payload(round, 3000));
        if round % 2 == 0 { client.reset() } else { drop(client) }
    }
    let mut last = Client::connect(running.address);
    last.echo(&payload(0, 5000));
    drop(last);
    let report = running.stop_one();
    assert_eq!((report.count("accepted"), report.count("closed")), (301, 301), "{report:?}");
}

#[test]
fn slots_are_used_again_without_mixing_up_their_users() {
    let running = Running::start(1, &Settings::default(), |_| {});
    client::come_and_go(running.address);
    let report = running.stop_one();
    assert_eq!((report.count("accepted"), report.count("closed")), (600, 600), "{report:?}");
    assert_eq!(report.count("protocol_errors"), 0, "{report:?}");
}
