#![allow(unsafe_code)] // sends take bytes that the test keeps
//! Connections on their way to the kernel's TLS, against a client of the library: whatever is said meanwhile, by whom and
//! in whatever pieces, arrives once and in order. Where the kernel has no TLS, they come back from half way.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ClientConnection, SupportedProtocolVersion};
use shard::{Door, Mode};

use super::{ANY, CONNECTION, Rig, Seen};
use crate::net::kernel_tls_suites;
use crate::tls::testing::{client, offloading};

/// Both ends of one connection.
struct Pair {
    rig: Rig,
    tls: ClientConnection,
    stream: TcpStream,
    /// The client's ciphertext that is not sent yet.
    pending: Vec<u8>,
    /// The server's plaintext that is not sent yet, and how much of its beginning is in the air as the connection's own.
    outbox: Vec<u8>,
    owned: usize,
    /// What each has received, in plain.
    heard: Vec<u8>,
    read: Vec<u8>,
    is_over: bool,
    /// The client has taken a new key.
    has_renewed: bool,
}

impl Pair {
    /// `suites`: what the server believes of the kernel.
    fn new(direct_descriptors: u32, version: &'static SupportedProtocolVersion, suites: Vec<CipherSuite>) -> Self {
        let mut rig = Rig::at(Door::Tls, direct_descriptors, Duration::from_millis(1), ANY);
        rig.sockets.offer_tls(offloading(suites).acceptor());
        let stream = rig.open(CONNECTION);
        stream.set_nonblocking(true).expect("an option");
        let tls = client("localhost", &[version]);
        let (pending, outbox, heard, read) = Default::default();
        Self { rig, tls, stream, pending, outbox, owned: 0, heard, read, is_over: false, has_renewed: false }
    }

    /// Whether the kernel has it, or never will.
    fn is_settled(&self) -> bool {
        let metrics = self.rig.sockets.metrics().tls;
        metrics.offloaded + metrics.offloads_refused == 1
    }

    /// What the client has to say becomes ciphertext, and at most so many bytes of it go out.
    fn upload(&mut self, most: usize) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.pending).expect("memory");
        }
        if self.pending.is_empty() {
            return;
        }
        match self.stream.write(&self.pending[..most.min(self.pending.len())]) {
            Ok(sent) => drop(self.pending.drain(..sent)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    /// The client takes what has come. Whether that was the announced end.
    fn download(&mut self) -> bool {
        let mut bytes = [0; 32 << 10];
        loop {
            let length = match self.stream.read(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                other => other.expect("the server is there"),
            };
            let mut unread = &bytes[..length];
            while !unread.is_empty() {
                self.tls.read_tls(&mut unread).expect("memory");
                let state = self.tls.process_new_packets().expect("a good server");
                let (start, has_closed) = (self.read.len(), state.peer_has_closed());
                self.read.resize(start + state.plaintext_bytes_to_read(), 0);
                self.tls.reader().read_exact(&mut self.read[start..]).expect("it is there");
                if has_closed {
                    return true;
                }
            }
            assert_ne!(length, 0, "the server ends without a word");
        }
    }

    /// The server says what it has to, as a shard does: by the turn while nothing waits, and what went short as its own.
    fn send(&mut self, most: usize) {
        if self.owned > 0 || self.outbox.is_empty() {
            return;
        }
        let length = most.min(self.outbox.len());
        // SAFETY: the outbox is only cut at the beginning, after the send is over, and is not appended to meanwhile.
        assert!(unsafe { self.rig.sockets.send(CONNECTION, Mode::Turn, 7, &self.outbox[..length]) }.expect("a ring"));
        self.owned = length;
        let mut went = length;
        for seen in self.pass() {
            match seen {
                Seen::SendFailed(7, Ok(sent)) => went = sent,
                other => panic!("{other:?}"),
            }
        }
        self.outbox.drain(..went);
        self.owned = length - went;
        self.own();
    }

    fn own(&mut self) {
        if self.owned > 0 {
            let bytes = &self.outbox[..self.owned];
            // SAFETY: as above.
            assert!(unsafe { self.rig.sockets.send(CONNECTION, Mode::Owned, 0, bytes) }.expect("a ring"));
        }
    }

    /// One pass; what is about turns is handed back.
    fn pass(&mut self) -> Vec<Seen> {
        let mut rest = Vec::new();
        for seen in self.rig.pass(false) {
            match seen {
                Seen::Received(CONNECTION, bytes) => self.heard.extend(bytes),
                Seen::Sent(CONNECTION, sent) => {
                    let sent = sent.expect("the client is there");
                    self.outbox.drain(..sent);
                    self.owned -= sent;
                    self.own();
                }
                Seen::Ended(CONNECTION) => self.is_over = true,
                other => rest.push(other),
            }
        }
        rest
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !done(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            self.upload(usize::MAX);
            assert_eq!(self.pass(), []);
            self.download();
        }
    }
}

/// A connection after its handshake, with the kernel if that has a TLS.
fn settled(direct_descriptors: u32) -> Pair {
    let mut pair = Pair::new(direct_descriptors, &TLS13, suites());
    pair.tls.writer().write_all(b"hello").expect("memory");
    pair.until("it is settled", |pair| pair.heard == b"hello" && pair.is_settled());
    pair
}

fn noise(random: &mut Rng, most: usize) -> Vec<u8> {
    (0..random.usize(..most)).map(|_| random.u8(..)).collect()
}

/// Everybody says something at random, in random pieces, with pauses, from the first byte of the handshake on.
fn converse(mut pair: Pair, seed: u64) -> Pair {
    let random = &mut Rng::with_seed(seed);
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..random.usize(20..200) {
        match random.u8(..8) {
            0 if !pair.tls.is_handshaking() => {
                let said = noise(random, 3000);
                pair.tls.writer().write_all(&said).expect("memory");
                asked.extend(said);
            }
            // In the same flight as the end of the handshake, from the client's side.
            1 if pair.tls.is_handshaking() && asked.is_empty() => {
                pair.tls.writer().write_all(b"early").expect("memory");
                asked.extend(b"early");
            }
            2 if pair.owned == 0 && !pair.tls.is_handshaking() && pair.heard.len() > 4 => {
                let said = noise(random, 40_000);
                pair.outbox.extend(&said);
                answered.extend(said);
                pair.send(usize::MAX);
            }
            3 => pair.rig.sockets.pause(CONNECTION).expect("a ring"),
            4 => pair.rig.sockets.resume(CONNECTION).expect("a ring"),
            // Not in TLS 1.2, and not with a kernel that has one key for a connection.
            5 if random.u8(..10) == 0 && !pair.tls.is_handshaking() && renews() => {
                pair.has_renewed |= pair.tls.refresh_traffic_keys().is_ok();
            }
            5 | 6 => pair.upload(random.usize(..800)),
            _ => drop(pair.download()),
        }
        assert_eq!(pair.pass(), []);
    }
    pair.rig.sockets.resume(CONNECTION).expect("a ring");
    pair.until("the handshake", |pair| !pair.tls.is_handshaking());
    pair.tls.writer().write_all(b"done").expect("memory");
    asked.extend(b"done");
    pair.until("everything is heard", |pair| pair.heard.len() >= asked.len());
    assert!(pair.heard == asked, "seed {seed}: what was said is heard once and in order");
    pair.until("everything is sent", |pair| pair.owned == 0 && pair.read.len() >= answered.len());
    assert!(pair.read == answered, "seed {seed}: what was answered is read once and in order");
    pair
}

/// Both ends are announced, whoever has the connection.
fn part(mut pair: Pair) {
    pair.tls.send_close_notify();
    pair.until("the end is heard", |pair| pair.is_over);
    pair.rig.sockets.shutdown(CONNECTION).expect("a ring");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !pair.download() {
        assert!(Instant::now() < deadline, "the server does not say that it ends");
        pair.pass();
    }
    pair.rig.sockets.close(CONNECTION).expect("a ring");
    pair.pass();
    let metrics = pair.rig.sockets.metrics().tls;
    assert_eq!((metrics.connections, metrics.offloaded, metrics.truncations, metrics.failures), (0, 0, 0, 0));
}

#[test]
fn nothing_is_lost_while_the_kernel_takes_over_or_refuses_to() {
    let (every, has) = (suites(), kernel_tls_suites());
    let mut all_offloaded = 0;
    for seed in 0..60 {
        // Half of the seeds in the ring's own table.
        let mut pair = converse(Pair::new(u32::from(seed % 2 == 0) * 4, &TLS13, every.clone()), seed);
        pair.until("it is decided", |pair| pair.is_settled());
        let suite = pair.tls.negotiated_cipher_suite().expect("the handshake is over").suite();
        let metrics = pair.rig.sockets.metrics().tls;
        // A new key of the client's may come too early.
        if !has.contains(&suite) || !pair.has_renewed {
            assert_eq!(metrics.offloaded == 1, has.contains(&suite), "seed {seed}");
        }
        all_offloaded += metrics.offloaded;
        part(pair);
    }
    assert!(has.is_empty() || all_offloaded > 40, "the kernel has taken over {all_offloaded}");
}

/// A key lasts for so many records. On its way to the next one nobody loses a word.
#[test]
fn keys_are_renewed_before_they_are_worn_out_and_when_the_client_does() {
    for direct_descriptors in [0, 4] {
        let mut pair = settled(direct_descriptors);
        for round in 1..5_u8 {
            if let Some(offloaded) = pair.rig.sockets.tls.as_mut().expect("it is offered").offloaded(CONNECTION) {
                offloaded.exhaust();
            }
            pair.outbox = vec![round; 1000];
            pair.send(usize::MAX);
            if pair.rig.sockets.metrics().tls.offloaded == 1 && !renews() {
                // A connection that cannot go on ends, and is counted.
                pair.until("the end", |pair| pair.is_over);
                assert_eq!(pair.rig.sockets.metrics().tls.failures, 1);
                break;
            }
            pair.until("it is read", |pair| pair.read.len() == usize::from(round) * 1000);
            pair.tls.refresh_traffic_keys().expect("it is TLS 1.3");
            pair.tls.writer().write_all(b"hello").expect("memory");
            pair.until("it is heard", |pair| pair.heard.len() == 5 + 5 * usize::from(round));
            let metrics = pair.rig.sockets.metrics().tls;
            // Ours, theirs, and ours because they ask for it, each round.
            assert_eq!(metrics.keys_renewed, metrics.offloaded * 3 * u64::from(round));
        }
    }
}

#[test]
fn a_record_that_was_tampered_with_ends_a_connection_that_the_kernel_may_have() {
    for direct_descriptors in [0, 4] {
        let mut pair = settled(direct_descriptors);
        pair.tls.writer().write_all(b"hello again").expect("memory");
        while pair.tls.wants_write() {
            pair.tls.write_tls(&mut pair.pending).expect("memory");
        }
        *pair.pending.last_mut().expect("a record") ^= 1;
        let deadline = Instant::now() + Duration::from_secs(60);
        while !pair.is_over {
            assert!(Instant::now() < deadline, "it goes on");
            pair.upload(usize::MAX);
            assert_eq!(pair.pass(), []);
        }
        assert_eq!(pair.heard, b"hello");
        let metrics = pair.rig.sockets.metrics().tls;
        assert_eq!((metrics.failures, metrics.truncations), (1, 0));
    }
}

#[test]
fn an_end_without_a_word_is_counted_whoever_has_the_connection() {
    for direct_descriptors in [0, 4] {
        let mut pair = settled(direct_descriptors);
        pair.stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        pair.until("the end is heard", |pair| pair.is_over);
        let metrics = pair.rig.sockets.metrics().tls;
        assert_eq!((metrics.failures, metrics.truncations), (0, 1));
    }
}

/// What waits for room in the socket does not keep it open.
#[test]
fn a_client_that_does_not_read_can_be_closed_before_the_end_is_announced() {
    for direct_descriptors in [0, 4] {
        let mut pair = settled(direct_descriptors);
        pair.outbox = vec![1; 16 << 20];
        pair.send(usize::MAX);
        assert!(pair.owned > 0, "it does not fit");
        pair.rig.sockets.shutdown(CONNECTION).expect("a ring");
        (0..4).for_each(|_| assert_eq!(pair.pass(), []));
        pair.rig.sockets.abort(CONNECTION).expect("a ring");
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut is_broken = false;
        while !(is_broken && pair.is_over) {
            assert!(Instant::now() < deadline, "the send goes on");
            for seen in pair.rig.pass(false) {
                match seen {
                    Seen::Sent(CONNECTION, sent) => is_broken = sent.is_err(),
                    Seen::Ended(CONNECTION) => pair.is_over = true,
                    other => panic!("{other:?}"),
                }
            }
        }
        pair.rig.sockets.close(CONNECTION).expect("a ring");
        (0..4).for_each(|_| assert_eq!(pair.pass(), []));
        let end = loop {
            match pair.stream.read(&mut [0; 4096]) {
                Ok(0) => panic!("an orderly end"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => break error,
            }
        };
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn connections_of_the_version_before_are_not_offered_to_the_kernel() {
    for seed in 0..4 {
        let pair = converse(Pair::new(0, &TLS12, suites()), seed);
        let metrics = pair.rig.sockets.metrics().tls;
        assert_eq!((metrics.offloaded, metrics.offloads_refused), (0, 0));
        part(pair);
    }
}

#[test]
fn a_connection_that_is_closed_on_its_way_leaves_nothing() {
    for direct_descriptors in [0, 4] {
        for passes in 0..8 {
            let mut pair = Pair::new(direct_descriptors, &TLS13, suites());
            pair.until("the client's handshake", |pair| !pair.tls.is_handshaking());
            pair.upload(usize::MAX);
            (0..passes).for_each(|_| drop(pair.pass()));
            pair.rig.sockets.close(CONNECTION).expect("a ring");
            (0..8).for_each(|_| assert_eq!(pair.pass(), []));
            assert_eq!(pair.rig.sockets.metrics().tls.connections, 0);
        }
    }
}

/// Whether a connection can be given more than one key for each direction: in user space always.
fn renews() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel has a name");
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    kernel_tls_suites().is_empty() || (numbers.next(), numbers.next()) >= (Some(6), Some(14))
}

fn suites() -> Vec<CipherSuite> {
    vec![
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ]
}
