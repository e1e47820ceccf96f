//! Those who do not speak TLS, or not to the end: they are cut off, and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use codec::websocket::{Opcode, encode};
use harness::http::Http;
use harness::server::Server;
use harness::wait::PATIENCE;
use harness::websocket::{MASK, WebSocket};

use crate::Secure;

pub(crate) fn assert_plain_served(server: &Server) {
    assert_eq!(Http::get(server.address(), "/healthz").status, 200);
}

fn assert_served(secure: &Secure) {
    assert_plain_served(&secure.server);
    secure.echo().echo(b"healthy");
}

fn raw(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// Everything until the end, orderly or not.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}"),
    }
    bytes
}

#[test]
fn garbage_gets_an_alert_and_nobody_notices() {
    let secure = Secure::start(&[]);
    let mut witness = secure.echo();
    let descriptors = secure.server.descriptors();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..50 {
        let mut stream = raw(secure.server.tls_address());
        let mut bytes: Vec<u8> = (0..random.usize(1..3_000)).map(|_| random.u8(..)).collect();
        bytes[0] |= 0x80;
        let _ = stream.write_all(&bytes);
        let answer = rest(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(&[21, 3]), "an alert, or an end: {answer:?}");
    }
    let mut stream = raw(secure.server.tls_address());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the server reads");
    assert!(rest(&mut stream).starts_with(b"HTTP/1.1 400 "));
    witness.echo(b"healthy");
    assert_served(&secure);
    secure.server.wait_for_descriptors(descriptors, PATIENCE);
}

#[test]
fn tls_to_a_plain_port_is_refused() {
    let secure = Secure::start(&[]);
    let error = harness::tls::TlsClient::connect(secure.server.address(), "localhost", &secure.certificate);
    assert!(error.is_err());
    assert_served(&secure);
}

#[test]
fn a_handshake_that_drips_has_its_time() {
    let secure = Secure::start(&["--handshake-timeout", "1s", "--close-timeout", "1s"]);
    let descriptors = secure.server.descriptors();
    // The beginning of a client hello that is never finished.
    let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    let begin = Instant::now();
    let mut slow: Vec<_> = (0..40).map(|_| raw(secure.server.tls_address())).collect();
    let mut silent = raw(secure.server.tls_address());
    for byte in hello {
        for stream in &mut slow {
            let _ = stream.write_all(&[byte]);
        }
        secure.echo().echo(b"healthy");
    }
    for stream in &mut slow {
        let _ = rest(stream);
    }
    let _ = rest(&mut silent);
    assert!(begin.elapsed() >= Duration::from_millis(900), "not before their time");
    secure.server.wait_for_descriptors(descriptors, PATIENCE);

    // The handshake of TLS and the request together have this time.
    let mut idle = secure.connect();
    idle.send(b"GET / HTTP/1.1\r\n").expect("the server reads");
    let answer = String::from_utf8_lossy(&idle.receive().expect("an answer")).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_served(&secure);
}

#[test]
fn a_first_message_that_does_not_end_is_not_collected() {
    let secure = Secure::start(&[]);
    let mut stream = raw(secure.server.tls_address());
    let mut taken = 0;
    let mut fragment = vec![22, 3, 1, 64, 0];
    fragment.resize(5 + (64 << 8), 0);
    fragment[5..9].copy_from_slice(&[1, 0, 255, 255]);
    while taken < 10 << 20 {
        match stream.write(&fragment) {
            Ok(length) => taken += length,
            Err(_) => break,
        }
        fragment[5..9].fill(0);
    }
    let answer = rest(&mut stream);
    assert!(answer.is_empty() || answer.starts_with(&[21, 3]), "{answer:?}");
    assert_served(&secure);
}

#[test]
fn connections_that_come_and_go_in_the_middle_of_everything_leave_nothing() {
    let secure = Secure::start(&[]);
    assert_served(&secure);
    let descriptors = secure.server.descriptors();
    for round in 0..60 {
        let mut client = secure.echo();
        match round % 4 {
            0 => drop(client),
            1 => client.say_close().expect("the connection is there"),
            2 => {
                let mut frame = Vec::new();
                encode::masked_frame(&mut frame, Opcode::Binary, MASK, &[7; 100_000]);
                client.send(&frame[..50_000]).expect("the server reads");
            }
            _ => {
                client.send_frame(Opcode::Binary, &[7; 120_000]).expect("the server reads");
                let _ = client.shut();
            }
        }
    }
    secure.server.wait_for_descriptors(descriptors, PATIENCE);
    assert_served(&secure);
}

#[test]
fn a_client_that_never_reads_is_ended() {
    let secure = Secure::start(&["--send-timeout", "1s", "--close-timeout", "1s"]);
    assert_served(&secure);
    let (descriptors, resident) = (secure.server.descriptors(), secure.server.resident_bytes());
    let mut client = secure.echo();
    let mut witness = WebSocket::connect(secure.server.address(), "/echo");
    let mut taken = 0_u64;
    let payload = vec![7; 64 << 10];
    while taken < 64 << 20 && client.send_frame(Opcode::Binary, &payload).is_ok() {
        taken += payload.len() as u64;
        witness.send_text("healthy");
        assert_eq!(witness.receive_text(), "healthy");
    }
    assert!(taken < 64 << 20, "the server takes without end");
    drop(client);
    drop(witness);
    secure.server.wait_for_descriptors(descriptors, PATIENCE);
    let growth = secure.server.resident_bytes().saturating_sub(resident);
    assert!(growth < 80 << 20, "memory grew by {growth} bytes");
    assert_served(&secure);
}
