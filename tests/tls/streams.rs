//! Much, little, slowly and suddenly: bytes over TLS arrive whole and in order, and ends are told from cuts.

use std::io::ErrorKind;

use codec::websocket::{Opcode, encode};
use harness::wait::{self, PATIENCE};

use crate::Secure;

fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(5);
    (0..length).map(|_| random.u8(..)).collect()
}

#[test]
fn messages_of_every_size_come_back_as_they_were() {
    let secure = Secure::start(&["--max-message", "8MiB", "--outbox-bytes-max", "32MiB"]);
    let mut client = secure.echo();
    for size in [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_536, 300_000, 1 << 20, 8_000_000] {
        client.echo(&noise(size));
    }
}

/// Both kernels' buffers fill, sends go short, the outbox takes the rest, and nothing is lost when the client reads on.
#[test]
fn a_client_that_reads_late_misses_nothing() {
    let secure =
        Secure::start(&["--max-message", "4MiB", "--outbox-bytes-max", "64MiB", "--outbox-high-water-mark", "60MiB"]);
    let mut client = secure.echo();
    let messages: Vec<_> = (0..12_u8).map(|index| vec![index; 2_000_000]).collect();
    let mut expected = Vec::new();
    for message in &messages {
        encode::frame(&mut expected, Opcode::Binary, message);
        client.send_frame(Opcode::Binary, message).expect("the server reads");
    }
    let mut received = client.receive_bytes(expected.len()).expect("everything comes");
    // Pings stand between messages.
    while received.len() > expected.len() {
        let at = received.iter().zip(&expected).position(|(left, right)| left != right).unwrap_or(expected.len());
        assert_eq!(received[at..at + 2], [0x89, 0], "only a ping may stand there");
        received.drain(at..at + 2);
        if received.len() < expected.len() {
            received.extend(client.receive_bytes(expected.len() - received.len()).expect("the rest"));
        }
    }
    assert!(received == expected, "every byte once and in order");
}

/// Connections that are no descriptors of the process end by other operations.
#[test]
fn connections_in_the_ring_s_own_table_speak_tls_too() {
    let secure = Secure::start(&["--direct-descriptors", "100"]);
    for size in [10, 120_000] {
        let mut client = secure.connect();
        client.upgrade("localhost", "/echo", &[]).expect("the route is there");
        client.echo(&noise(size));
        client.send_frame(Opcode::Close, &1000_u16.to_be_bytes()).expect("the server reads");
        assert_eq!(client.receive().expect("its close frame")[..4], [0x88, 2, 0x03, 0xe8]);
        assert_eq!(client.receive().expect("an announced end"), b"");
    }
}

#[test]
fn pipelined_requests_are_answered_in_one_connection() {
    let secure = Secure::start(&[]);
    let mut client = secure.connect();
    let requests = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
    client.send(requests.as_bytes()).expect("the server reads");
    let mut answers = Vec::new();
    while answers.windows(9).filter(|window| window == b"HTTP/1.1 ").count() < 200 {
        answers.extend(client.receive().expect("the server answers"));
    }
}

#[test]
fn an_end_is_announced_both_ways() {
    let secure = Secure::start(&[]);
    // The server's, after an answer that ends the connection.
    let mut client = secure.connect();
    let answer = client.get("localhost", "/healthz", "Connection: close\r\n").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "));
    let end = wait::until("the end", PATIENCE, || match client.receive() {
        Ok(bytes) if !bytes.is_empty() => None,
        other => Some(other),
    });
    assert_eq!(end.expect("an announced end"), b"");

    // The client's, with a request before it: it is still answered.
    let mut client = secure.connect();
    client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the server reads");
    client.say_close().expect("the connection is there");
    assert!(client.receive().expect("the answer").starts_with(b"HTTP/1.1 200 "));
    assert_eq!(client.receive().expect("an announced end"), b"");

    // One that is not announced is counted.
    let client = secure.echo();
    client.shut().expect("the connection is there");
    wait::until("the cut is counted", PATIENCE, || {
        secure.server.signal(libc::SIGUSR1);
        secure.server.stderr().contains(" tls_truncations=1").then_some(())
    });
    drop(client);
}

#[test]
fn a_stop_says_goodbye_and_announces_the_end() {
    let secure = Secure::start(&[]);
    let mut client = secure.echo();
    secure.server.signal(libc::SIGTERM);
    let close = client.receive().expect("the close frame");
    assert_eq!((close[0], &close[2..4]), (0x88, &1001_u16.to_be_bytes()[..]));
    client.send_frame(Opcode::Close, &1001_u16.to_be_bytes()).expect("the server waits for it");
    match client.receive() {
        Ok(bytes) => assert_eq!(bytes, b"", "an announced end"),
        Err(error) => assert_ne!(error.kind(), ErrorKind::UnexpectedEof, "an end without a word"),
    }
    let Secure { server, .. } = secure;
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}
