//! Ends of connections, with and without sends in flight.

use std::io::Write;

use codec::websocket::{Opcode, encode};

use super::client::{Client, payload};
use super::running::Running;
use crate::config::Settings;

#[test]
fn a_peer_that_vanishes_with_a_send_in_flight_leaves_nothing_behind() {
    let running = Running::start(1, &Settings::default(), |listener| {
        listener.set_send_buffer_size(4096).expect("an option");
    });
    let mut frames = Vec::new();
    for seed in 0..4 {
        encode::masked_frame(&mut frames, Opcode::Binary, [9, 8, 7, 6], &payload(seed, 60_000));
    }
    for round in 0..40 {
        let mut client = Client::connect_narrow(running.address);
        client.stream.write_all(&frames).expect("the server reads");
        // Answers are on their way: the first byte of them is here, the rest cannot be.
        let mut first = [0];
        std::io::Read::read_exact(&mut client.stream, &mut first).expect("the server answers");
        if round % 2 == 0 { client.reset() } else { drop(client) }
    }
    let mut last = Client::connect(running.address);
    last.echo(b"fine");
    drop(last);
    let report = running.stop_one();
    assert_eq!((report.count("accepted"), report.count("closed")), (41, 41), "{report:?}");
    assert_eq!(report.count("protocol_errors"), 0, "{report:?}");
    assert!(report.count("sends_short") >= 20, "{report:?}");
}

#[test]
fn a_close_is_answered_and_followed_by_the_end() {
    let running = Running::start(1, &Settings::default(), |_| {});
    let mut client = Client::connect(running.address);
    let mut close = Vec::new();
    encode::masked_close(&mut close, [1, 2, 3, 4], 1000, "bye");
    client.stream.write_all(&close).expect("the server reads");
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut client.stream, &mut answer).expect("an orderly end");
    assert_eq!(answer, [0x88, 2, 0x03, 0xe8]);
    drop(client);
    let report = running.stop_one();
    assert_eq!(report.count("closed"), 1, "{report:?}");
}

#[test]
fn a_half_closed_peer_gets_the_end_too() {
    let running = Running::start(1, &Settings::default(), |_| {});
    for _ in 0..20 {
        let mut client = Client::connect(running.address);
        client.echo(b"there and back");
        client.half_close();
    }
    let report = running.stop_one();
    assert_eq!(report.count("closed"), 20, "{report:?}");
}

#[test]
fn a_storm_of_connections_is_served_to_the_last() {
    let running = Running::start(1, &Settings::default(), |_| {});
    let address = running.address;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let mut clients: Vec<_> = (0..100).map(|_| Client::connect(address)).collect();
                clients.iter_mut().enumerate().for_each(|(index, client)| client.echo(&payload(thread + index, 64)));
            });
        }
    });
    let report = running.stop_one();
    assert_eq!((report.count("messages"), report.count("closed")), (800, 800), "{report:?}");
}
