//! Tabs of one browser, on both shards: they share one session, through a change of its id and to its end.

use harness::http::Http;
use harness::member::Member;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use serde_json::json;

use crate::{fresh, pair, tabs};

#[test]
fn a_write_is_in_the_other_tab_when_it_is_acknowledged() {
    let server = Server::start(&[]);
    for round in 0..20 {
        let (mut near, mut far) = tabs(server.address(), &fresh(server.address()));
        for number in 0..20 {
            let (writer, reader) =
                if (number + round) % 2 == 0 { (&mut near, &mut far) } else { (&mut far, &mut near) };
            assert_eq!(writer.call("session.set", &json!(["n", number])), Ok(json!(false)), "memory is not durable");
            assert_eq!(reader.call("session.all", &json!(null)), Ok(json!({ "n": number })));
        }
    }
}

#[test]
fn no_increment_is_lost() {
    let server = Server::start(&[]);
    let (mut near, mut far) = tabs(server.address(), &fresh(server.address()));
    let mut sums = Vec::new();
    for _ in 0..20 {
        // As many under way at a time as a connection may have.
        let start = |member: &mut Member| member.start_call("session.increment", &json!("sum"));
        let calls = Vec::from_iter((0..50).map(|_| (start(&mut near), start(&mut far))));
        for (one, other) in calls {
            for answer in [near.answer(one), far.answer(other)] {
                sums.push(answer.expect("an increment").as_i64().expect("a number"));
            }
        }
    }
    sums.sort_unstable();
    assert_eq!(sums, Vec::from_iter(1..=2_000));
}

#[test]
fn after_a_change_of_the_id_the_old_cookie_is_worth_nothing() {
    let server = Server::start(&[]);
    let old = fresh(server.address());
    let (mut near, mut far) = tabs(server.address(), &old);
    near.call("session.set", &json!(["user", "ann"])).expect("a write");
    let ticket = far.call("session.rotate", &json!(null)).expect("a ticket");
    let ticket = ticket.as_str().expect("a text").to_owned();
    // The connections go on, whoever holds the old cookie has nothing.
    assert_eq!(near.call("session.all", &json!(null)), Ok(json!({ "user": "ann" })));
    for _ in 0..8 {
        let mut thief = Member::with_cookie(server.address(), &old);
        assert_eq!(thief.call("session.all", &json!(null)), Ok(json!({})));
        assert!(thief.cookie().is_some(), "an old cookie is replaced");
    }
    let mut http = Http::connect(server.address());
    http.send(format!("GET /session HTTP/1.1\r\nHost: a\r\nSession-Ticket: {ticket}\r\n\r\n").as_bytes());
    let renewed = http.response(false);
    assert_eq!(renewed.status, 204);
    let new = pair(renewed.header("set-cookie").expect("the new cookie"));
    let (mut near, mut far) = tabs(server.address(), &new);
    assert_eq!(near.call("session.all", &json!(null)), Ok(json!({ "user": "ann" })));
    assert_eq!(far.call("session.all", &json!(null)), Ok(json!({ "user": "ann" })));
    http.send(b"GET /session HTTP/1.1\r\nHost: a\r\nSession-Ticket: made.up.x\r\n\r\n");
    assert_eq!(http.response(false).status, 403);
}

#[test]
fn the_end_of_a_session_closes_its_connections_on_both_shards() {
    let server = Server::start(&[]);
    let cookie = fresh(server.address());
    let (mut near, far) = tabs(server.address(), &cookie);
    near.call("session.set", &json!(["a", 1])).expect("a write");
    near.start_call("session.end", &json!(null));
    for member in [near, far] {
        let mut socket = member.into_socket();
        while let harness::websocket::Received::Text(_) = socket.receive() {}
    }
    let mut again = Member::with_cookie(server.address(), &cookie);
    assert!(again.cookie().is_some() && again.call("session.all", &json!(null)) == Ok(json!({})));
}

/// The far shard is kept busy, so that what the home has to say waits there while a message comes: what a shard has received
/// of its clients comes first. A copy that is not compared with the home's is behind then.
#[test]
fn without_a_cache_the_next_message_sees_a_write_that_nobody_has_acknowledged() {
    let server = Server::start(&["--no-session-cache"]);
    // A session is at home where it was made.
    let mut writer = Member::connect(server.address());
    let cookie = pair(writer.cookie().expect("the upgrade sets the cookie"));
    let home = writer.shard();
    let tab = |is_near: bool| {
        let mut tabs = (0..64).map(|_| Member::with_cookie(server.address(), &cookie));
        tabs.find_map(|mut tab| ((tab.shard() == home) == is_near).then_some(tab)).expect("64 are not all on one shard")
    };
    let (mut near, mut far, mut busy) = (tab(true), tab(false), tab(false));
    let burden = format!("[{}]", vec![r#"{"event":"app.square","data":25}"#; 1_000].join(","));
    for number in 0..60 {
        (0..4).for_each(|_| busy.socket().send_text(&burden));
        let write = writer.start_call("session.set", &json!(["n", number]));
        // The home has ordered it.
        wait::until("the home has the write", PATIENCE, || {
            (near.call("session.all", &json!(null)) == Ok(json!({ "n": number }))).then_some(())
        });
        assert_eq!(far.call("session.all", &json!(null)), Ok(json!({ "n": number })));
        assert_eq!(writer.answer(write), Ok(json!(false)));
        busy.call("app.square", &json!(1)).expect("the burden is over");
    }
}
