//! Connections in the ring's own table: the same service, and none of the process's descriptors.

use super::client::{self, Client, payload};
use super::running::Running;
use crate::config::{RingSettings, Settings};

/// Room for what the threads below hold at once, and few enough that every place has many users.
fn direct() -> Settings {
    let ring = RingSettings { direct_descriptors: 64, ..RingSettings::default() };
    Settings { ring, ..Settings::default() }
}

#[test]
fn places_are_used_again_without_mixing_up_their_users() {
    let running = Running::start(1, &direct(), |_| {});
    client::come_and_go(running.address);
    let report = running.stop_one();
    assert_eq!((report.count("accepted"), report.count("closed")), (600, 600), "{report:?}");
    assert_eq!((report.count("protocol_errors"), report.count("accepts_failed")), (0, 0), "{report:?}");
}

#[test]
fn a_stop_says_goodbye_and_ends_every_stream() {
    let running = Running::start(2, &direct(), |_| {});
    let mut clients: Vec<_> = (0..40).map(|_| Client::connect(running.address)).collect();
    clients.iter_mut().enumerate().for_each(|(index, client)| client.echo(&payload(index, 9000)));
    running.begin_stop();
    clients.into_iter().for_each(|client| client.expect_close(1001));
    let reports = running.stop();
    let closed: u64 = reports.iter().map(|report| report.count("closed")).sum();
    assert_eq!(closed, 40, "{reports:?}");
}
