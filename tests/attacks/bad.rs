//! Servers that let something through: the tool must say so, or its praise is worth nothing. One answers everything; others
//! are ours, seen through a wire that makes of what they say what a bad one would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::process::Process;
use harness::server::Server;
use serde_json::Value;

use crate::tool::{LIMIT, attack};

/// Answers 200 once for every request line that it finds in what it reads, whatever it is.
fn answer(mut stream: TcpStream) {
    let mut piece = vec![0; 64 << 10];
    // A client that has nothing more to say has its answer.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        let requests = piece[..length].windows(7).filter(|window| window == b"HTTP/1.").count();
        let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(requests);
        if stream.write_all(&answers).is_err() {
            return;
        }
    }
}

#[test]
fn a_server_that_answers_everything_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    // Ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    let exit = Process::run(attack(address, &["--only", "A13,A15", "--json", "--timeout", "2s"]), LIMIT);
    assert_eq!(exit.code(), 4, "{exit}");
    let result: Value = serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{exit}"));
    assert_eq!(result["counts"]["ok"], 0, "{exit}");
    assert!(result["counts"]["failed"].as_u64().is_some_and(|failed| failed >= 7), "{exit}");
    assert!(result["counts"]["none"].as_u64().is_some_and(|none| none > 0), "it has no WebSockets\n{exit}");
}

/// What makes a bad server of a good one, and the row that has to show it.
#[derive(Clone, Copy)]
struct Flaw {
    row: &'static str,
    /// In what clients say, and in what they are told; as long as what stands in its place.
    said: (&'static [u8], &'static [u8]),
    told: (&'static [u8], &'static [u8]),
    connections_max: usize,
}

const NONE: Flaw = Flaw { row: "", said: (b"", b""), told: (b"", b""), connections_max: 1_000 };

const FLAWS: [Flaw; 8] = [
    Flaw { row: "A10", told: (b"three", b"there"), ..NONE },
    // Pings come as pongs, which nobody answers; and the other way round.
    Flaw { row: "A26", said: (b"\x89\xfd", b"\x8a\xfd"), ..NONE },
    Flaw { row: "A26", said: (b"\x8a\xfd", b"\x89\xfd"), ..NONE },
    Flaw { row: "A39", told: (b"TooManyCallsError", b"TooManyThingsErr."), ..NONE },
    Flaw { row: "A45", told: (b"; HttpOnly", b"; HttpSome"), ..NONE },
    Flaw { row: "A53", connections_max: 250, ..NONE },
    Flaw { row: "A64", told: (b"script-src 'self'", b"script-src *     "), ..NONE },
    Flaw { row: "A64", told: (b"not found\n", b"<script />"), ..NONE },
];

/// Replaces what is whole in one piece: enough of it is.
fn pass_on(mut from: TcpStream, mut to: TcpStream, (word, other): (&[u8], &[u8])) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        let bytes = &mut piece[..length];
        let mut at = 0;
        while let Some(found) = bytes[at..].windows(word.len().max(1)).position(|window| window == word) {
            at += found;
            bytes[at..at + word.len()].copy_from_slice(other);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// A server that has this flaw and is otherwise that one.
fn flawed(server: SocketAddr, flaw: Flaw) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let open = Arc::new(AtomicUsize::new(0));
    // Ends with the process.
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            if open.fetch_add(1, Ordering::Relaxed) >= flaw.connections_max {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let upstream = TcpStream::connect(server).expect("the server accepts");
            [&client, &upstream].iter().for_each(|stream| stream.set_nodelay(true).expect("an option"));
            let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
            let (heard, answered) = ((clone(&client), clone(&upstream)), (upstream, client));
            std::thread::spawn(move || pass_on(heard.0, heard.1, flaw.said));
            let open = Arc::clone(&open);
            std::thread::spawn(move || {
                pass_on(answered.0, answered.1, flaw.told);
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    address
}

#[test]
fn a_server_that_serves_but_not_as_it_should_fails() {
    let server = Server::start(&["--close-timeout=200ms"]);
    for flaw in [Flaw { row: "A10,A26,A39,A45,A53,A64", ..NONE }].into_iter().chain(FLAWS) {
        let is_good = flaw.row.contains(',');
        let exit = Process::run(
            attack(flawed(server.address(), flaw), &["--only", flaw.row, "--json", "--close-timeout=200ms"]),
            LIMIT,
        );
        assert_eq!(exit.code(), if is_good { 0 } else { 4 }, "{}\n{exit}", flaw.row);
        let result: Value =
            serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{exit}"));
        assert_eq!(result["bystander"]["hurt"], Value::Null, "{exit}");
        assert!(is_good || result["counts"]["failed"].as_u64() > Some(0), "{}\n{exit}", flaw.row);
    }
}
