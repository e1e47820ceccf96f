//! Looking before sleeping: the same service, with the looks counted, and none while stopping.

use std::time::Duration;

use super::client::{Client, payload};
use super::running::Running;
use crate::config::Settings;

fn spinning(spin: Duration) -> Settings {
    Settings { spin, ..Settings::default() }
}

#[test]
fn a_shard_that_looks_serves_and_stops_like_one_that_sleeps() {
    let running = Running::start(2, &spinning(Duration::from_micros(200)), |_| {});
    let mut clients: Vec<_> = (0..16).map(|_| Client::connect(running.address)).collect();
    for round in 0..20 {
        clients.iter_mut().enumerate().for_each(|(index, client)| client.echo(&payload(index * round, 3000)));
    }
    drop(clients);
    let reports = running.stop();
    assert_eq!(reports.iter().map(|report| report.count("messages")).sum::<u64>(), 320, "{reports:?}");
    assert_eq!(reports.iter().map(|report| report.count("closed")).sum::<u64>(), 16, "{reports:?}");
    for report in &reports {
        assert!(report.count("spins") > 0, "{report:?}");
        assert!(report.count("spin_hits") <= report.count("spins"), "{report:?}");
    }
    // A message that finds its shard awake is a hit: out of 320 that wait for each other some do.
    assert!(reports.iter().any(|report| report.count("spin_hits") > 0), "{reports:?}");
}

#[test]
fn nobody_looks_who_was_not_told_to() {
    let running = Running::start(1, &spinning(Duration::ZERO), |_| {});
    Client::connect(running.address).echo(&payload(1, 100));
    let report = running.stop_one();
    assert_eq!((report.count("spins"), report.count("spin_hits")), (0, 0), "{report:?}");
}

#[test]
fn a_shard_that_stops_sleeps_at_once() {
    let mut settings = Settings { tick: Duration::from_millis(1), ..spinning(Duration::from_micros(100)) };
    settings.limits.close_timeout = Duration::from_millis(300);
    let running = Running::start(1, &settings, |_| {});
    // It does not answer the close: the shard is idle for 300 ms, but for some hundred ticks.
    let mut stubborn = Client::connect(running.address);
    stubborn.echo(&payload(1, 100));
    let report = running.stop_one();
    drop(stubborn);
    // Before the stop, a pass without a look is one that had something to do: a handful.
    assert!(report.count("passes") > report.count("spins") + 20, "{report:?}");
}
