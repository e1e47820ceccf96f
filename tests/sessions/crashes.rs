//! A server with a store is killed in the middle of its work; what it had acknowledged as durable is there afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use harness::member::Member;
use harness::server::{Server, target_directory};
use serde_json::json;

use crate::fresh;

/// A directory of this test's own, with a key in it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = target_directory().join("session-tests").join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the target directory can be written");
        fs::write(path.join("keys"), "a key of at least thirty-two bytes\n").expect("a file");
        Self(path)
    }

    fn server(&self) -> Server {
        let (keys, store) = (self.0.join("keys"), self.store());
        let flags = ["--session-key-file", &text(&keys), "--session-store", &text(&store)];
        Server::start(&flags)
    }

    fn store(&self) -> PathBuf {
        self.0.join("store")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("test paths are text").to_owned()
}

fn kill(server: Server) {
    server.signal(libc::SIGKILL);
    let _ = server.into_process().wait(harness::wait::PATIENCE);
}

#[test]
fn a_killed_server_has_lost_no_acknowledged_write() {
    let place = Place::new("killed");
    let mut acknowledged = Vec::from_iter((0..4).map(|_| 0));
    let mut cookies = Vec::new();
    for round in 0..3 {
        let server = place.server();
        if cookies.is_empty() {
            cookies = Vec::from_iter((0..4).map(|_| fresh(server.address())));
        }
        let mut members = Vec::from_iter(cookies.iter().map(|cookie| Member::with_cookie(server.address(), cookie)));
        for (member, least) in members.iter_mut().zip(&acknowledged) {
            let all = member.call("session.all", &json!(null)).expect("the session is back");
            let sum = all["sum"].as_i64().unwrap_or(0);
            assert!(sum >= *least, "round {round}: {sum}, but {least} was acknowledged");
            assert!(member.cookie().is_none(), "the cookie is still good");
        }
        // Many calls under way on each connection; some of them answered when the server dies.
        let calls = Vec::from_iter((0..100).map(|_| {
            Vec::from_iter(members.iter_mut().map(|member| member.start_call("session.increment", &json!("sum"))))
        }));
        for calls in calls.iter().take(60) {
            for ((member, call), level) in members.iter_mut().zip(calls).zip(&mut acknowledged) {
                *level = member.answer(*call).expect("an increment").as_i64().expect("a number");
            }
        }
        kill(server);
    }
    assert!(acknowledged.iter().all(|level| *level >= 180), "{acknowledged:?}");
}

#[test]
fn a_torn_tail_is_cut_off_and_what_was_before_it_is_there() {
    let place = Place::new("torn");
    let server = place.server();
    let cookie = fresh(server.address());
    let mut member = Member::with_cookie(server.address(), &cookie);
    assert_eq!(member.call("session.set", &json!(["first", "kept"])), Ok(json!(true)), "durable");
    kill(server);
    // Rubbish behind the last write, as of a write that the crash has cut off.
    damage(&place, |bytes, end| bytes[end..end + 1_000].fill(0x5a));
    let server = place.server();
    let mut member = Member::with_cookie(server.address(), &cookie);
    assert_eq!(member.call("session.all", &json!(null)), Ok(json!({ "first": "kept" })));
    assert_eq!(member.call("session.set", &json!(["second", 2])), Ok(json!(true)), "it goes on");
    kill(server);
    // The last write itself is torn: it is gone, and nothing before it.
    damage(&place, |bytes, end| bytes[end - 4..end].fill(0));
    let server = place.server();
    let mut member = Member::with_cookie(server.address(), &cookie);
    assert_eq!(member.call("session.all", &json!(null)), Ok(json!({ "first": "kept" })));
    assert_eq!(member.call("session.set", &json!(["third", 3])), Ok(json!(true)), "it still goes on");
    kill(server);
    let server = place.server();
    let mut member = Member::with_cookie(server.address(), &cookie);
    assert_eq!(member.call("session.all", &json!(null)), Ok(json!({ "first": "kept", "third": 3 })));
}

/// Changes the journal that was written last, which is told the end of what was written.
fn damage(place: &Place, change: impl FnOnce(&mut Vec<u8>, usize)) {
    let mut journals = Vec::new();
    find(&place.store(), &mut journals);
    let written = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).expect("a file has a time");
    let journal = journals.into_iter().max_by_key(written).expect("the store has a journal");
    let mut bytes = fs::read(&journal).expect("a journal");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("something was written") + 1;
    if bytes.len() < end + 1_000 {
        bytes.resize(end + 1_000, 0);
    }
    change(&mut bytes, end);
    fs::write(&journal, bytes).expect("a journal can be written");
}

fn find(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "jnl") {
            found.push(path);
        }
    }
}
