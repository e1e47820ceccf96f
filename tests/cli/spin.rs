//! A server that looks for work before it sleeps: it serves, says how often it looked, and stops.

use harness::member::Member;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use serde_json::json;

#[test]
fn a_spinning_server_serves_counts_and_stops() {
    let server = Server::start(&["--spin-us", "200"]);
    let mut member = Member::connect(server.address());
    for number in 0..50 {
        assert_eq!(member.call("app.square", &json!(number)), Ok(json!(number * number)));
    }
    server.signal(libc::SIGUSR1);
    wait::until("either shard tells how often it looked", PATIENCE, || {
        let stderr = server.stderr();
        let line = |shard: &str| stderr.lines().any(|line| line.contains(shard) && line.contains(" spins="));
        (line("shard 0: ") && line("shard 1: ")).then_some(())
    });
    server.signal(libc::SIGTERM);
    let mut socket = member.into_socket();
    assert_eq!(socket.expect_close().0, 1001);
    drop(socket);
    assert_eq!(server.into_process().wait(PATIENCE).code(), 0);
}

#[test]
fn a_server_that_was_not_told_to_does_not_spin() {
    let server = Server::start(&[]);
    server.signal(libc::SIGUSR1);
    wait::until("both shards tell their metrics", PATIENCE, || {
        let stderr = server.stderr();
        (stderr.contains("shard 0: ") && stderr.contains("shard 1: ")).then_some(())
    });
    assert!(!server.stderr().contains("spins="), "{}", server.stderr());
}
