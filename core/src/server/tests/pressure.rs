//! More than the sockets hold: short sends, paused receives, full queues of the ring.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::client::{Client, payload};
use super::running::Running;
use crate::config::Settings;

const MESSAGES: usize = 16;
const BYTES: usize = 60_000;

/// Sends all messages at once and begins to read only when the server must have filled its socket.
fn talk_late(mut client: Client, seed: usize) {
    let written = AtomicUsize::new(0);
    let mut writer = Client { stream: client.stream.try_clone().expect("a descriptor") };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for message in 0..MESSAGES {
                writer.send(&payload(seed + message, BYTES));
                written.fetch_add(1, Ordering::Release);
            }
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        while written.load(Ordering::Acquire) < MESSAGES / 4 {
            assert!(Instant::now() < deadline, "the server does not read");
            std::thread::yield_now();
        }
        for message in 0..MESSAGES {
            client.expect(&payload(seed + message, BYTES));
        }
    });
}

#[test]
fn large_pipelined_echoes_survive_tiny_send_buffers_and_a_late_reader() {
    let running = Running::start(1, &Settings::default(), |listener| {
        listener.set_send_buffer_size(4096).expect("an option");
    });
    let address = running.address;
    std::thread::scope(|scope| {
        for client in 0..6 {
            scope.spawn(move || talk_late(Client::connect_narrow(address), client));
        }
    });
    let report = running.stop_one();
    assert_eq!(report.count("messages"), 6 * MESSAGES as u64, "{report:?}");
    assert!(report.count("sends_short") > 0, "the test must make sends go short: {report:?}");
    assert!(report.count("pauses") > 0, "the test must make receives pause: {report:?}");
    assert_eq!(report.count("closed"), report.count("accepted"), "{report:?}");
}

#[test]
fn queues_that_are_too_short_for_a_pass_lose_nothing() {
    let mut settings = Settings::default();
    settings.ring.entries = 4;
    settings.ring.receive_buffers = 64;
    let running = Running::start(1, &settings, |_| {});
    let mut clients: Vec<_> = (0..200).map(|_| Client::connect(running.address)).collect();
    for round in 0..5 {
        clients.iter_mut().enumerate().for_each(|(index, client)| client.send(&payload(index + round, 300)));
        clients.iter_mut().enumerate().for_each(|(index, client)| client.expect(&payload(index + round, 300)));
    }
    running.begin_stop();
    clients.into_iter().for_each(|client| client.expect_close(1001));
    let report = running.stop_one();
    assert!(report.count("submission_overflows") > 0, "the test must overflow the queue: {report:?}");
    assert_eq!(report.count("closed"), 200, "{report:?}");
}

#[test]
fn a_reader_that_never_reads_disturbs_nobody() {
    let running = Running::start(1, &Settings::default(), |listener| {
        listener.set_send_buffer_size(4096).expect("an option");
    });
    let mut stuck = Client::connect_narrow(running.address);
    stuck.stream.set_nonblocking(true).expect("an option");
    let mut healthy = Client::connect(running.address);
    let mut frame = Vec::new();
    codec::websocket::encode::masked_frame(&mut frame, codec::websocket::Opcode::Binary, [0; 4], &payload(1, BYTES));
    // As much as goes, and then as much again whenever there is room: the server must have stopped to read by then.
    for round in 0..200 {
        while std::io::Write::write(&mut stuck.stream, &frame).is_ok() {}
        healthy.echo(&payload(round, 1000));
    }
    drop(stuck);
    healthy.echo(b"still here");
    drop(healthy);
    let report = running.stop_one();
    assert!(report.count("pauses") > 0, "{report:?}");
    assert_eq!(report.count("closed"), 2, "{report:?}");
}
