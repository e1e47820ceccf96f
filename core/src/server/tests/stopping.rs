//! Stops: graceful over several shards, and bounded when somebody does not leave.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::client::{Client, payload};
use super::running::Running;
use crate::config::{RingSettings, Settings};

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

/// The order comes while the kernel accepts somebody: with direct descriptors it takes one more pass until the shard knows.
/// Whoever is not accepted any more is the next server's.
#[test]
fn whoever_comes_at_the_moment_of_a_hand_over_is_served_although_nobody_else_is_there() {
    for direct_descriptors in [0, 16] {
        let ring = RingSettings { direct_descriptors, ..RingSettings::default() };
        let settings = Settings { ring, drain: Duration::from_secs(60), ..Settings::default() };
        let served = (0..20).filter(|_| is_served_at_a_hand_over(&settings)).count();
        assert!(served > 0, "the test has to come at the moment");
    }
}

/// Whether it was the one that goes that had to serve.
fn is_served_at_a_hand_over(settings: &Settings) -> bool {
    let next = RefCell::new(Vec::new());
    let running = Running::start(2, settings, |listener| {
        next.borrow_mut().push(listener.try_clone().expect("a descriptor"));
    });
    let mut stream = TcpStream::connect(running.address).expect("the shard listens");
    running.hand_over();
    stream.set_read_timeout(Some(Duration::from_millis(10))).expect("an option");
    let cut_off = stream.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(cut_off, Err(ErrorKind::WouldBlock), "it may take its time");
    let is_left = next.take().iter().any(|listener| {
        listener.set_nonblocking(true).expect("an option");
        listener.accept().is_ok()
    });
    if !is_left {
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("an option");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it is heard");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is answered");
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    drop(stream);
    let reports = running.stop();
    assert_eq!(reports.iter().map(|report| report.count("refused")).sum::<u64>(), 0, "{reports:?}");
    !is_left
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
