#![allow(unsafe_code)] // sends take bytes that the test keeps
//! The sockets against the kernel, one operation at a time.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shard::{ConnectionId, Mode, Time};

use super::{Completion, Doorbell, Happened, Sockets};
use crate::config::RingSettings;

const CONNECTION: ConnectionId = ConnectionId { slot: 2, generation: 9 };

/// What happened, without its borrows.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Received(ConnectionId, Vec<u8>),
    Ended(ConnectionId),
    SendFailed(u32, Result<usize, ()>),
    Sent(ConnectionId, Result<usize, ()>),
    Alarm,
}

struct Rig {
    sockets: Sockets,
    doorbell: Arc<Doorbell>,
    completions: Vec<Completion>,
}

impl Rig {
    fn new() -> Self {
        let settings = RingSettings { entries: 8, receive_buffers: 2, receive_buffer_bytes: 64 };
        let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
        // A tick that no test lives to see: whatever wakes the ring is what the test is about.
        let sockets = Sockets::new(&settings, Arc::clone(&doorbell), Duration::from_secs(600)).expect("a ring");
        Self { sockets, doorbell, completions: Vec::new() }
    }

    /// A connection with a receive armed, and its other end.
    fn open(&mut self, connection: ConnectionId) -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("a connection");
        peer.set_read_timeout(Some(Duration::from_secs(30))).expect("an option");
        let accepted = listener.accept().expect("a connection").0;
        self.sockets.open(connection, OwnedFd::from(accepted)).expect("a ring");
        peer
    }

    fn pass(&mut self, wait: bool) -> Vec<Seen> {
        self.sockets.enter(wait).expect("a ring");
        self.sockets.drain(&mut self.completions).expect("a ring");
        let mut seen = Vec::new();
        for completion in self.completions.drain(..) {
            match self.sockets.interpret(completion, Time::ZERO).expect("a ring") {
                Happened::Received(connection, bytes, buffer) => {
                    seen.push(Seen::Received(connection, bytes.to_vec()));
                    self.sockets.recycle(buffer);
                }
                Happened::Ended(connection) => seen.push(Seen::Ended(connection)),
                Happened::SendFailed(token, sent) => seen.push(Seen::SendFailed(token, sent)),
                Happened::Sent(connection, sent) => seen.push(Seen::Sent(connection, sent)),
                Happened::Alarm => seen.push(Seen::Alarm),
                Happened::Nothing | Happened::Tick => {}
                Happened::Accepted(..) => panic!("nobody listens"),
            }
        }
        self.sockets.finish_completions().expect("a ring");
        seen
    }

    fn next(&mut self) -> Vec<Seen> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let seen = self.pass(true);
            if !seen.is_empty() {
                return seen;
            }
            assert!(Instant::now() < deadline, "nothing happens");
        }
    }

    fn received(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            for seen in self.next() {
                match seen {
                    Seen::Received(CONNECTION, piece) => bytes.extend(piece),
                    other => panic!("{other:?}"),
                }
            }
        }
        bytes
    }
}

#[test]
fn a_paused_connection_is_not_read_and_a_resumed_one_is() {
    let mut rig = Rig::new();
    let mut peer = rig.open(CONNECTION);
    peer.write_all(b"before").expect("a connection");
    assert_eq!(rig.received(6), b"before");
    for round in 0..3 {
        rig.sockets.pause(CONNECTION).expect("a ring");
        if round > 0 {
            // A change of mind and back before the cancellation is through.
            rig.sockets.resume(CONNECTION).expect("a ring");
            rig.sockets.pause(CONNECTION).expect("a ring");
        }
        assert_eq!(rig.pass(false), []);
        peer.write_all(b"meanwhile").expect("a connection");
        for _ in 0..50 {
            assert_eq!(rig.pass(false), [], "paused");
        }
        rig.sockets.resume(CONNECTION).expect("a ring");
        assert_eq!(rig.received(9), b"meanwhile");
    }
}

#[test]
fn a_resume_before_the_cancellation_is_through_loses_nothing() {
    let mut rig = Rig::new();
    let mut peer = rig.open(CONNECTION);
    assert_eq!(rig.pass(false), []);
    rig.sockets.pause(CONNECTION).expect("a ring");
    rig.sockets.resume(CONNECTION).expect("a ring");
    peer.write_all(&[7; 300]).expect("a connection");
    assert_eq!(rig.received(300), [7; 300]);
}

#[test]
fn a_close_reaches_the_peer_although_a_receive_was_armed() {
    let mut rig = Rig::new();
    let mut peer = rig.open(CONNECTION);
    assert_eq!(rig.pass(false), []);
    rig.sockets.close(CONNECTION).expect("a ring");
    assert_eq!(rig.pass(false), []);
    assert_eq!(peer.read(&mut [0; 8]).expect("an orderly end"), 0);
    assert_eq!(rig.pass(false), [], "the receive that was armed belongs to nobody any more");
    // The slot's next user is not disturbed by what is left of the first.
    let next = ConnectionId { generation: CONNECTION.generation + 1, ..CONNECTION };
    let mut peer = rig.open(next);
    peer.write_all(b"next").expect("a connection");
    assert_eq!(rig.next(), [Seen::Received(next, b"next".to_vec())]);
}

#[test]
fn a_send_that_does_not_fit_says_how_far_it_got_and_an_owned_one_waits() {
    let mut rig = Rig::new();
    let mut peer = rig.open(CONNECTION);
    let bytes: Vec<u8> = (0..8_u32 << 20).map(|index| u8::try_from(index % 251).expect("below 251")).collect();
    // SAFETY: the bytes outlive the rig's passes.
    assert!(unsafe { rig.sockets.send(CONNECTION, Mode::Turn, 77, &bytes) }.expect("a ring"));
    let seen = rig.next();
    let [Seen::SendFailed(77, Ok(sent))] = seen[..] else { panic!("{seen:?}") };
    assert!(sent < bytes.len());
    // SAFETY: as above.
    assert!(unsafe { rig.sockets.send(CONNECTION, Mode::Owned, 0, &bytes[sent..]) }.expect("a ring"));
    assert_eq!(rig.pass(false), [], "there is no room");
    let reader = std::thread::spawn(move || {
        let mut received = vec![0; 8 << 20];
        peer.read_exact(&mut received).expect("everything");
        (peer, received)
    });
    assert_eq!(rig.next(), [Seen::Sent(CONNECTION, Ok(bytes.len() - sent))]);
    let (peer, received) = reader.join().expect("no assertion failed");
    assert!(received == bytes, "the tail follows the head");
    drop(peer);
    assert_eq!(rig.next(), [Seen::Ended(CONNECTION)]);
}

#[test]
fn an_abort_ends_the_send_in_flight_and_the_receive() {
    let mut rig = Rig::new();
    let peer = rig.open(CONNECTION);
    let bytes = vec![1; 16 << 20];
    // SAFETY: the bytes outlive the rig's passes.
    assert!(unsafe { rig.sockets.send(CONNECTION, Mode::Owned, 0, &bytes) }.expect("a ring"));
    assert_eq!(rig.pass(false), []);
    rig.sockets.pause(CONNECTION).expect("a ring");
    assert_eq!(rig.pass(false), []);
    rig.sockets.abort(CONNECTION).expect("a ring");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(rig.next());
    }
    assert!(seen.contains(&Seen::Ended(CONNECTION)), "{seen:?}");
    assert!(seen.iter().any(|seen| matches!(seen, Seen::Sent(CONNECTION, _))), "{seen:?}");
    drop(peer);
}

#[test]
fn the_alarm_is_brought_forward_and_set_again() {
    let mut rig = Rig::new();
    let at = |micros| Time::from_micros(micros);
    rig.sockets.set_alarm(Time::ZERO, at(500_000_000)).expect("a ring");
    assert_eq!(rig.pass(false), []);
    rig.sockets.set_alarm(Time::ZERO, at(2000)).expect("a ring");
    // A later one does not put it off.
    rig.sockets.set_alarm(Time::ZERO, at(400_000_000)).expect("a ring");
    assert_eq!(rig.next(), [Seen::Alarm]);
    rig.sockets.set_alarm(at(5000), at(5001)).expect("a ring");
    assert_eq!(rig.next(), [Seen::Alarm]);
}

#[test]
fn the_doorbell_wakes_a_sleeper_each_time() {
    let mut rig = Rig::new();
    for _ in 0..50 {
        assert!(rig.doorbell.sleep());
        let doorbell = Arc::clone(&rig.doorbell);
        let ringer = std::thread::spawn(move || doorbell.ring());
        rig.sockets.enter(true).expect("a ring");
        ringer.join().expect("no assertion failed");
        assert!(rig.doorbell.answer());
        assert_eq!(rig.pass(false), []);
    }
}

#[test]
fn what_was_received_for_a_connection_that_is_gone_reaches_nobody_and_its_buffer_comes_back() {
    let mut rig = Rig::new();
    // More rounds than there are buffers: one that is lost would be missed.
    for round in 0..6 {
        let gone = ConnectionId { slot: 0, generation: round };
        let mut peer = rig.open(gone);
        peer.write_all(b"too late").expect("a connection");
        let mut completions = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while completions.is_empty() {
            assert!(Instant::now() < deadline, "a receive found no buffer");
            rig.sockets.enter(true).expect("a ring");
            rig.sockets.drain(&mut completions).expect("a ring");
        }
        rig.sockets.close(gone).expect("a ring");
        // The slot has another user by the time the completions are looked at.
        let next = ConnectionId { generation: round + 100, ..gone };
        let _peer = rig.open(next);
        for completion in completions {
            let happened = rig.sockets.interpret(completion, Time::ZERO).expect("a ring");
            assert!(matches!(happened, Happened::Nothing), "{happened:?}");
        }
        rig.sockets.finish_completions().expect("a ring");
        rig.sockets.close(next).expect("a ring");
    }
    let mut peer = rig.open(CONNECTION);
    peer.write_all(&[5; 500]).expect("a connection");
    assert_eq!(rig.received(500), [5; 500]);
}
