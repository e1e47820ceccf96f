//! A server that lets everything through: the tool must say so, or its praise is worth nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use harness::process::Process;
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
