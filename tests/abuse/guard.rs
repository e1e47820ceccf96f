//! What every test of this target checks before and after its abuse.

use harness::member::Member;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use harness::websocket::{Received, WebSocket};
use serde_json::json;

/// A line on refusals whenever there is one to write.
pub(crate) const TELL: &str = "--log-refusals=1ms";

/// What memory may grow by where little is sent: 2 shards of 4 MiB receive buffers that had not been touched before, and
/// as much again of the allocator's slack.
pub(crate) const SLACK_BYTES: u64 = 16 << 20;

/// What it may grow by where a shard is flooded: one pass takes up to 4 MiB of receive buffers, whose answers lie in the
/// arenas of this turn and the one before, which grow by doubling: 4 + 2 × 8 MiB for each of 2 shards, and as much again
/// for held input, outboxes and the allocator's slack. Six floods in a row were seen to level off at 46 MiB.
pub(crate) const FLOOD_BYTES: u64 = 80 << 20;

/// Starts a server, lets `abuse` at it, and sees that it has done no harm: others are served, descriptors are back, memory
/// is bounded, nothing has panicked. What it tells of, it tells at once.
pub(crate) fn survives(flags: &[&str], growth_bytes_max: u64, abuse: impl FnOnce(&Server)) {
    let server = Server::start(&[flags, &[TELL]].concat());
    assert_served(&server);
    let descriptors = server.descriptors();
    let resident = server.resident_bytes();
    abuse(&server);
    assert_served(&server);
    server.wait_for_descriptors(descriptors, PATIENCE);
    let growth = server.resident_bytes().saturating_sub(resident);
    assert!(growth <= growth_bytes_max, "memory grew by {growth} bytes, more than {growth_bytes_max}");
    // What has no descriptor any more may still be a connection of a shard's, or a name in its tables.
    for gauge in ["connections", "channels"] {
        wait::until(format_args!("there are no {gauge}"), PATIENCE, || (server.count(gauge) == 0).then_some(()));
    }
    server.assert_no_panic();
}

/// Healthy clients on both shards are served: calls, a publication from either to the other, the raw echo.
pub(crate) fn assert_served(server: &Server) {
    let (mut near, mut far) = Member::pair(server.address());
    for (subscriber, publisher) in [(1, 0), (0, 1)] {
        let members = [&mut near, &mut far];
        members[subscriber].subscribe("healthy");
        assert_eq!(members[publisher].call("app.square", &json!(25)), Ok(json!(625)));
        members[publisher].publish("healthy", &json!({ "to": subscriber }));
        assert_eq!(members[subscriber].publication(), ("healthy".to_owned(), json!({ "to": subscriber })));
        members[subscriber].unsubscribe("healthy");
    }
    let mut echo = WebSocket::connect(server.address(), "/echo");
    // 100 KB: several receive buffers.
    let payload = vec![0xA5; 100_000];
    echo.send_binary(&payload);
    assert!(echo.receive() == Received::Binary(payload), "a healthy client gets its own bytes back");
}
