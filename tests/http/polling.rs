//! Long-polling as balancers spread it: every request of two thousand sessions on a TCP connection of its own, so that it
//! lands on either of two shards by chance, and no session is ever unknown.

use std::net::SocketAddr;

use harness::http::Http;
use harness::server::Server;

/// Sessions of one thread, all open at a time.
const SESSIONS: usize = 500;

const THREADS: usize = 4;

#[test]
fn no_request_of_two_thousand_sessions_finds_its_session_unknown() {
    let server = Server::start(&[]);
    let address = server.address();
    let threads: Vec<_> = (0..THREADS).map(|_| std::thread::spawn(move || poll(address))).collect();
    let on_first: usize = threads.into_iter().map(|thread| thread.join().expect("every answer was right")).sum();
    // Connections are spread over the shards, so requests are as well: a quarter is far beyond bad luck.
    let quarter = THREADS * SESSIONS / 4;
    assert!((quarter..=3 * quarter).contains(&on_first), "{on_first} sessions live on the first shard");
}

/// Takes sessions through all their requests; says how many live on the first shard.
fn poll(address: SocketAddr) -> usize {
    let sessions: Vec<_> = (0..SESSIONS).map(|_| open(address)).collect();
    for session in &sessions {
        post(address, session, "40");
    }
    for session in &sessions {
        let answer = get(address, session);
        assert!(answer.starts_with("40{"), "{answer}");
        post(address, session, r#"420["app.square",25]"#);
    }
    for session in &sessions {
        assert_eq!(get(address, session), "430[625]");
    }
    sessions.iter().filter(|session| is_on_first(session)).count()
}

/// An id's first byte, in base64, is the number of its shard.
fn is_on_first(session: &str) -> bool {
    let id = session.rsplit('=').next().expect("the last parameter");
    matches!(id.as_bytes(), [b'A', b'A'..=b'P', ..])
}

fn open(address: SocketAddr) -> String {
    let answer = request(address, "GET /socket.io/?EIO=4&transport=polling", "");
    let id = answer.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next());
    format!("/socket.io/?EIO=4&transport=polling&sid={}", id.unwrap_or_else(|| panic!("no id in {answer}")))
}

fn get(address: SocketAddr, session: &str) -> String {
    request(address, &format!("GET {session}"), "")
}

fn post(address: SocketAddr, session: &str, body: &str) {
    assert_eq!(request(address, &format!("POST {session}"), body), "ok");
}

fn request(address: SocketAddr, line: &str, body: &str) -> String {
    let mut http = Http::connect(address);
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    http.send(&[head.as_bytes(), body.as_bytes()].concat());
    let response = http.response(false);
    assert_eq!(response.status, 200, "{line}: {}", response.text());
    response.text().to_owned()
}
