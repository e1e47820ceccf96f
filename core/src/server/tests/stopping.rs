//! Stops: graceful over several shards, and bounded when somebody does not leave.

use std::time::Duration;

use super::client::{Client, payload};
use super::running::Running;
use crate::config::Settings;

#[test]
fn everybody_is_told_to_leave_and_every_shard_ends() {
    let mut settings = Settings { lane_capacity: 1, ..Settings::default() };
    settings.limits.drain_connections_per_turn = 7;
    let running = Running::start(3, &settings, |_| {});
    let mut clients: Vec<_> = (0..90).map(|_| Client::connect(running.address)).collect();
    clients.iter_mut().for_each(|client| client.echo(b"hello"));
    running.begin_stop();
    clients.into_iter().for_each(|client| client.expect_close(1001));
    let reports = running.stop();
    assert_eq!(reports.iter().map(|report| report.count("closed")).sum::<u64>(), 90, "{reports:?}");
    assert!(reports.iter().all(|report| report.count("connections") == 0), "{reports:?}");
}

#[test]
fn a_stop_ends_in_time_although_a_peer_does_not_read() {
    let settings = Settings { drain: Duration::from_millis(200), ..Settings::default() };
    let running = Running::start(2, &settings, |listener| {
        listener.set_send_buffer_size(4096).expect("an option");
    });
    let mut stuck = Client::connect_narrow(running.address);
    (0..4).for_each(|seed| stuck.send(&payload(seed, 60_000)));
    let mut first = [0];
    std::io::Read::read_exact(&mut stuck.stream, &mut first).expect("the server answers");
    let reports = running.stop();
    assert_eq!(reports.iter().map(|report| report.count("connections")).sum::<u64>(), 1, "{reports:?}");
    let mut rest = Vec::new();
    // What was in the air arrives, or a reset: in either case it ends.
    let _ = std::io::Read::read_to_end(&mut stuck.stream, &mut rest);
    assert!(rest.len() < 4 * 60_000);
    assert_eq!(reports.iter().map(|report| report.count("protocol_errors")).sum::<u64>(), 0, "{reports:?}");
}
