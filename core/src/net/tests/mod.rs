#![allow(unsafe_code)] // sends take bytes that the test keeps
//! The sockets against the kernel, one operation at a time: as descriptors of the process and, where that makes a
//! difference, in a table of the ring.

mod offload;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shard::{ConnectionId, Door, Mode, Time};

use super::operation::{Operation, of_connection};
use super::{Completion, Descriptor, Doorbell, Happened, Listeners, Sockets};
use crate::config::RingSettings;

const CONNECTION: ConnectionId = ConnectionId { slot: 2, generation: 9 };
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

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
    address: SocketAddr,
    doorbell: Arc<Doorbell>,
    completions: Vec<Completion>,
    accepted: VecDeque<(Descriptor, SocketAddr)>,
    door: Door,
    now: Time,
}

impl Rig {
    /// A tick that no test lives to see: whatever wakes the ring is what the test is about.
    const NO_TICK: Duration = Duration::from_secs(600);

    fn new() -> Self {
        Self::with(0, Self::NO_TICK, ANY)
    }

    /// One of each kind.
    fn both() -> [Self; 2] {
        [Self::new(), Self::with(4, Self::NO_TICK, ANY)]
    }

    fn with(direct_descriptors: u32, tick: Duration, listen: SocketAddr) -> Self {
        Self::at(Door::Plain, direct_descriptors, tick, listen)
    }

    fn at(door: Door, direct_descriptors: u32, tick: Duration, listen: SocketAddr) -> Self {
        let settings = RingSettings { entries: 8, receive_buffers: 2, receive_buffer_bytes: 64, direct_descriptors };
        let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
        let mut sockets = Sockets::new(&settings, Arc::clone(&doorbell), tick).expect("a ring");
        let mut listeners = Listeners::bind(&[listen], 1, 16).expect("a free port");
        sockets.listen(listeners.by_shard.remove(0), &[door]).expect("a ring");
        sockets.enter(false).expect("a ring");
        let address = listeners.addresses[0];
        Self { sockets, address, doorbell, completions: Vec::new(), accepted: VecDeque::new(), door, now: Time::ZERO }
    }

    /// Another end, not accepted yet.
    fn connect(&self) -> TcpStream {
        let peer = TcpStream::connect(self.address).expect("a connection");
        peer.set_read_timeout(Some(Duration::from_secs(30))).expect("an option");
        peer
    }

    /// A connection with a receive armed, and its other end.
    fn open(&mut self, connection: ConnectionId) -> TcpStream {
        let peer = self.connect();
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.accepted.is_empty() {
            assert!(Instant::now() < deadline, "nobody is accepted");
            assert_eq!(self.pass(true), [], "something happens to somebody else");
        }
        let (descriptor, address) = self.accepted.pop_front().expect("just seen");
        assert_eq!(address, peer.local_addr().expect("connected"));
        self.sockets.open(connection, descriptor, self.door).expect("a ring");
        peer
    }

    fn pass(&mut self, wait: bool) -> Vec<Seen> {
        self.sockets.enter(wait).expect("a ring");
        self.sockets.drain(&mut self.completions).expect("a ring");
        let mut seen = Vec::new();
        for completion in self.completions.drain(..) {
            match self.sockets.interpret(completion, self.now).expect("a ring") {
                Happened::Received(connection, bytes, buffer) => {
                    seen.push(Seen::Received(connection, bytes.to_vec()));
                    self.sockets.recycle(buffer);
                }
                Happened::Ended(connection) => seen.push(Seen::Ended(connection)),
                Happened::SendFailed(token, sent) => seen.push(Seen::SendFailed(token, sent)),
                Happened::Sent(connection, sent) => seen.push(Seen::Sent(connection, sent)),
                Happened::Alarm => seen.push(Seen::Alarm),
                Happened::Nothing | Happened::Tick => {}
                Happened::Accepted(descriptor, address, _) => self.accepted.push_back((descriptor, address)),
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
    for mut rig in Rig::both() {
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
    for mut rig in Rig::both() {
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
}

#[test]
fn a_send_that_does_not_fit_says_how_far_it_got_and_an_owned_one_waits() {
    for mut rig in Rig::both() {
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
}

#[test]
fn an_abort_ends_the_send_in_flight_and_the_receive() {
    for mut rig in Rig::both() {
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
    for mut rig in Rig::both() {
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
}

#[test]
fn the_end_of_our_stream_reaches_the_peer_and_theirs_still_reaches_us() {
    for mut rig in Rig::both() {
        let mut peer = rig.open(CONNECTION);
        rig.sockets.shutdown(CONNECTION).expect("a ring");
        assert_eq!(rig.pass(false), []);
        assert_eq!(peer.read(&mut [0; 8]).expect("an orderly end"), 0);
        peer.write_all(b"one more").expect("a connection");
        assert_eq!(rig.received(8), b"one more");
        drop(peer);
        assert_eq!(rig.next(), [Seen::Ended(CONNECTION)]);
    }
}

#[test]
fn without_a_descriptor_to_spare_a_place_is_shut_down_all_the_same() {
    let mut rig = Rig::with(1, Rig::NO_TICK, ANY);
    let mut peer = rig.open(CONNECTION);
    let refused = Completion::new(of_connection(Operation::Shutdown, CONNECTION), -libc::EMFILE, 0);
    assert!(matches!(rig.sockets.interpret(refused, Time::ZERO), Ok(Happened::Nothing)));
    assert_eq!(rig.pass(false), []);
    assert_eq!(peer.read(&mut [0; 8]).expect("an orderly end"), 0);
    // For a connection that is gone there is nothing to do.
    rig.sockets.close(CONNECTION).expect("a ring");
    let refused = Completion::new(of_connection(Operation::Abort, CONNECTION), -libc::EMFILE, 0);
    assert!(matches!(rig.sockets.interpret(refused, Time::ZERO), Ok(Happened::Nothing)));
}

#[test]
fn places_of_a_table_are_used_again() {
    let mut rig = Rig::with(2, Rig::NO_TICK, ANY);
    for generation in 0..20 {
        let connection = ConnectionId { slot: generation % 3, generation };
        let mut peer = rig.open(connection);
        peer.write_all(b"here").expect("a connection");
        assert_eq!(rig.next(), [Seen::Received(connection, b"here".to_vec())]);
        // Half of them are refused: nobody has opened them.
        rig.sockets.close(connection).expect("a ring");
        let _refused = rig.connect();
        while rig.accepted.is_empty() {
            assert_eq!(rig.pass(true), []);
        }
        let (descriptor, _) = rig.accepted.pop_front().expect("just seen");
        rig.sockets.refuse(descriptor).expect("a ring");
    }
    assert_eq!(rig.sockets.metrics().accepts_failed, 0);
}

#[test]
fn a_full_table_turns_away_who_comes_and_serves_again_when_there_is_room() {
    let mut rig = Rig::with(1, Duration::from_millis(1), ANY);
    let _first = rig.open(CONNECTION);
    let mut second = rig.connect();
    while rig.sockets.metrics().accepts_failed == 0 {
        assert_eq!(rig.pass(true), []);
    }
    match second.read(&mut [0; 8]) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    rig.sockets.close(CONNECTION).expect("a ring");
    // The next tick finds that it is time to try again.
    rig.now = Time::from_micros(1_000_000);
    let next = ConnectionId { generation: CONNECTION.generation + 1, ..CONNECTION };
    let mut third = rig.open(next);
    third.write_all(b"served").expect("a connection");
    assert_eq!(rig.next(), [Seen::Received(next, b"served".to_vec())]);
}

#[test]
fn a_peer_of_the_other_family_has_its_address_too() {
    for direct_descriptors in [0, 2] {
        let mut rig = Rig::with(direct_descriptors, Rig::NO_TICK, SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
        let mut peer = rig.open(CONNECTION);
        peer.write_all(b"six").expect("a connection");
        assert_eq!(rig.received(3), b"six");
    }
}

#[test]
fn a_table_that_the_kernel_does_not_allow_is_an_error_that_says_why() {
    let settings =
        RingSettings { entries: 8, receive_buffers: 2, receive_buffer_bytes: 64, direct_descriptors: u32::MAX };
    let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
    let error = Sockets::new(&settings, doorbell, Rig::NO_TICK).expect_err("nobody may open four billion files");
    assert!(error.to_string().contains("ulimit -n"), "{error}");
}
