//! One connection's TLS against a client of the library, in memory: every way in which bytes may come and go.

use std::io::{Read as _, Write as _};

use fastrand::Rng;
use rustls::ClientConnection;
use rustls::version::{TLS12, TLS13};

use super::{Landing, Stream, Task};
use crate::tls::testing::{client, keeper};

const WAITING_BYTES_MAX: usize = 16 << 10;
const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

struct Pair {
    stream: Stream,
    client: ClientConnection,
    /// What the server has received, in plain.
    heard: Vec<u8>,
    /// What the client has received, in plain.
    read: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Pair {
    fn new(version: &'static rustls::SupportedProtocolVersion) -> Self {
        let stream = Stream::new(1, keeper().acceptor().connection());
        Self { stream, client: client("localhost", &[version]), heard: Vec::new(), read: Vec::new(), spare: Vec::new() }
    }

    /// After its handshake.
    fn open(version: &'static rustls::SupportedProtocolVersion) -> Self {
        let mut pair = Self::new(version);
        pair.shake(usize::MAX);
        pair
    }

    fn shake(&mut self, piece: usize) {
        for _ in 0..10 {
            self.upload(piece);
            self.download();
        }
        assert!(!self.client.is_handshaking() && !self.stream.is_handshaking());
    }

    /// The client's ciphertext arrives in pieces of that size. Returns whether it is over.
    fn upload(&mut self, piece: usize) -> bool {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).expect("memory");
        }
        let mut is_over = false;
        for piece in bytes.chunks_mut(piece.min(32 << 10)) {
            is_over |= self.stream.receive(piece, &mut self.heard, WAITING_BYTES_MAX).is_over;
        }
        is_over
    }

    /// Everything that TLS itself has to say goes out.
    fn download(&mut self) {
        while let Some(task) = self.stream.next() {
            let bytes = self.stream.take_off(task).rest().to_vec();
            self.take(&bytes);
            self.stream.land(Ok(bytes.len()), &mut self.spare);
        }
    }

    /// The client takes ciphertext.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).expect("memory");
            let state = self.client.process_new_packets().expect("a good server");
            let start = self.read.len();
            self.read.resize(start + state.plaintext_bytes_to_read(), 0);
            self.client.reader().read_exact(&mut self.read[start..]).expect("it is there");
        }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        // The client's buffer takes 64 KiB at a time.
        while !bytes.is_empty() {
            let written = self.client.writer().write(bytes).expect("memory");
            bytes = &bytes[written..];
            self.upload(usize::MAX);
        }
    }
}

fn noise(random: &mut Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.u8(..)).collect()
}

#[test]
fn a_handshake_comes_in_pieces_of_any_size() {
    for version in VERSIONS {
        for piece in [1, 7, 200, usize::MAX] {
            let mut pair = Pair::new(version);
            pair.shake(piece);
            pair.client.writer().write_all(b"hello").expect("memory");
            pair.upload(piece);
            assert_eq!(pair.heard, b"hello");
            assert_eq!(pair.client.alpn_protocol(), None, "none was offered");
        }
    }
}

#[test]
fn much_is_said_both_ways_and_nothing_is_held_afterwards() {
    let mut random = Rng::with_seed(1);
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        let (asked, answered) = (noise(&mut random, 1_000_000), noise(&mut random, 200_000));
        pair.write(&asked);
        assert!(pair.heard == asked);
        let task = pair.stream.take_turn(5, &answered).expect("it is open");
        assert_eq!(task, Task::Turn { token: 5, encrypted: 200_000, length: 200_000 });
        let bytes = pair.stream.take_off(task).rest().to_vec();
        pair.take(&bytes);
        assert_eq!(pair.stream.land(Ok(bytes.len()), &mut pair.spare), Landing::Quiet);
        assert!(pair.read == answered);
        assert_eq!(pair.stream.bytes_held(), 0);
    }
}

/// The shard's side of the contract, with a kernel that takes what it likes.
#[test]
fn whatever_lands_every_byte_arrives_once_and_in_order() {
    let mut random = Rng::with_seed(2);
    for round in 0..30 {
        let mut pair = Pair::open(VERSIONS[round % 2]);
        let mut said = Vec::new();
        // What the shard still has: what was not sent, and then what came after it.
        let mut outbox: Vec<u8> = Vec::new();
        while said.len() < 3_000_000 || !outbox.is_empty() {
            let length = random.usize(1..600_000);
            let more = if said.len() < 3_000_000 { noise(&mut random, length) } else { Vec::new() };
            said.extend_from_slice(&more);
            let is_turn = outbox.is_empty();
            outbox.extend_from_slice(&more);
            let task = if is_turn {
                pair.stream.take_turn(9, &outbox).expect("it is open")
            } else {
                pair.stream.take_owned(&outbox).expect("it is open")
            };
            let mut rest = pair.stream.take_off(task).rest().to_vec();
            let sent = loop {
                let sent = if random.bool() { rest.len() } else { random.usize(..=rest.len()) };
                pair.take(&rest[..sent]);
                match (pair.stream.land(Ok(sent), &mut pair.spare), is_turn) {
                    (Landing::Again, false) => drop(rest.drain(..sent)),
                    (Landing::Quiet, true) => break outbox.len(),
                    (Landing::SendFailed(9, Ok(sent)), true) | (Landing::Sent(Ok(sent)), false) => break sent,
                    other => panic!("{other:?}"),
                }
            };
            outbox.drain(..sent);
        }
        assert!(pair.read == said, "round {round}");
        assert_eq!(pair.stream.bytes_held(), 0);
    }
}

#[test]
fn a_connection_that_breaks_tells_the_shard_what_it_waits_for() {
    let mut pair = Pair::open(&TLS13);
    let task = pair.stream.take_turn(3, b"hello").expect("it is open");
    pair.stream.take_off(task);
    assert_eq!(pair.stream.land(Err(()), &mut pair.spare), Landing::SendFailed(3, Err(())));
    assert_eq!(pair.stream.take_owned(b"hello"), None, "nothing can be said any more");

    let mut pair = Pair::open(&TLS13);
    pair.client.writer().write_all(b"a").expect("memory");
    pair.stream.say_close();
    let control = pair.stream.next().expect("a farewell");
    pair.stream.take_off(control);
    pair.stream.owe(7);
    assert_eq!(pair.stream.land(Err(()), &mut pair.spare), Landing::Sent(Err(())), "of what waited behind it");
}

#[test]
fn an_end_that_is_announced_is_told_from_one_that_is_not() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        pair.client.writer().write_all(b"last words").expect("memory");
        pair.client.send_close_notify();
        assert!(pair.upload(usize::MAX));
        assert_eq!(pair.heard, b"last words");
        assert!(pair.stream.is_over());
        // The other direction is still open.
        let task = pair.stream.take_turn(0, b"and mine").expect("it is");
        let bytes = pair.stream.take_off(task).rest().to_vec();
        pair.take(&bytes);
        pair.stream.land(Ok(bytes.len()), &mut pair.spare);
        pair.stream.say_close();
        pair.stream.say_close();
        pair.stream.shut();
        assert!(!pair.stream.is_shut(), "not before it is said");
        pair.download();
        assert!(pair.stream.is_shut() && !pair.stream.is_shut());
        assert_eq!(pair.read, b"and mine");
        assert_eq!(pair.client.reader().read(&mut [0]).expect("an announced end"), 0);
    }
}

#[test]
fn garbage_is_answered_with_an_alert_and_http_with_http() {
    let answered = |bytes: &[u8]| {
        let mut pair = Pair::new(&TLS13);
        let received = pair.stream.receive(&mut bytes.to_vec(), &mut pair.heard, WAITING_BYTES_MAX);
        assert!(received.is_over && received.has_failed && pair.heard.is_empty());
        let task = pair.stream.next().expect("an answer");
        let answer = pair.stream.take_off(task).rest().to_vec();
        // Nothing that follows is listened to.
        assert_eq!(pair.stream.receive(&mut [1, 2, 3], &mut pair.heard, WAITING_BYTES_MAX), Default::default());
        answer
    };
    assert_eq!(answered(&[0x80; 100])[..3], [21, 3, 3], "an alert");
    assert_eq!(answered(&[22, 3, 1, 0, 4, 1, 0, 0, 0])[..3], [21, 3, 3], "an alert");
    let http = String::from_utf8(answered(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).expect("text");
    let (head, body) = http.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.starts_with("HTTP/1.1 400 ") && head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{http}"
    );
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        pair.client.writer().write_all(b"hello").expect("memory");
        let mut bytes = Vec::new();
        pair.client.write_tls(&mut bytes).expect("memory");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let received = pair.stream.receive(&mut bytes, &mut pair.heard, WAITING_BYTES_MAX);
        assert!(received.has_failed && pair.heard.is_empty());
        assert_eq!(pair.stream.take_turn(0, b"hello"), None);
    }
}

#[test]
fn a_first_message_without_end_is_not_collected() {
    let mut pair = Pair::new(&TLS13);
    // A client hello that is said to be 60,000 bytes long.
    let mut message = vec![1, 0, 0xea, 0x60];
    message.resize(60_000, 0);
    let mut given = 0;
    for fragment in message.chunks(1_000) {
        let mut record = vec![22, 3, 1, 3, 232];
        record.extend_from_slice(fragment);
        given += record.len();
        if pair.stream.receive(&mut record, &mut pair.heard, WAITING_BYTES_MAX).has_failed {
            break;
        }
        assert!(given <= WAITING_BYTES_MAX);
    }
    assert!(given < WAITING_BYTES_MAX + 2_000);
    assert_eq!(pair.stream.bytes_held(), 0);
}

/// Whatever is wrong in it: the library has already seen the beginning of the message, and asks for it again.
#[test]
fn an_error_behind_the_beginning_of_a_message_ends_the_connection() {
    let record = |kind: u8, bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("a record");
        [&[kind, 3, 1][..], &length.to_be_bytes(), bytes].concat()
    };
    let begin = record(22, &[&[1, 0, 3, 232][..], &[0; 100]].concat());
    let much = [&[1, 0xff, 0xff, 0xff][..], &[0; 0x3000]].concat();
    let cases = [
        [begin.clone(), record(21, &[2, 40])].concat(),
        [begin.clone(), record(23, &[0; 40])].concat(),
        [begin.clone(), record(99, b"?")].concat(),
        [begin, record(22, &[])].concat().repeat(40),
        [record(22, &much), record(22, &much)].concat(),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        for piece in [1, 50, usize::MAX] {
            let mut pair = Pair::new(&TLS13);
            let mut bytes = bytes.clone();
            let length = bytes.len();
            let mut pieces = bytes.chunks_mut(piece.min(length));
            let has_failed =
                pieces.any(|bytes| pair.stream.receive(bytes, &mut pair.heard, WAITING_BYTES_MAX).has_failed);
            assert!(has_failed, "case {number} in pieces of {piece}");
        }
    }
}

#[test]
fn keys_are_renewed_in_the_middle_of_a_conversation() {
    let mut pair = Pair::open(&TLS13);
    for _ in 0..3 {
        pair.client.refresh_traffic_keys().expect("the version has it");
        pair.client.writer().write_all(b"again ").expect("memory");
        pair.upload(3);
        pair.download();
    }
    assert_eq!(pair.heard, b"again again again ");
}

#[test]
fn the_size_of_an_idle_connection_is_what_is_stated() {
    let bytes = size_of::<Stream>();
    assert!(bytes <= 1_400, "{bytes} bytes, and the keys beside it: see core/docs/performance.md");
}
