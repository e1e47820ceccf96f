//! Events to users, sessions, channels and everybody: each connection concerned has each once, wherever it is.

use harness::member::Member;
use harness::server::Server;
use harness::websocket::Received;
use serde_json::{Value, json};

use crate::{call, cookie, log_in, logged_in, tabs};

/// Says so many numbered events, and asks each member for them: all of them once, in order, and nothing else.
fn hear_all(from: &mut Member, action: &str, to: &Value, members: &mut [Member]) {
    for number in 0..20 {
        call(from, action, &json!({ "to": to, "event": "numbered", "data": number }));
    }
    call(from, "publish.broadcast", &json!({ "event": "over" }));
    for member in members {
        for number in 0..20 {
            assert_eq!(member.event(), ("numbered".to_owned(), json!(number)), "{action}");
        }
        assert_eq!(member.event(), ("over".to_owned(), Value::Null), "{action}");
    }
}

#[test]
fn a_user_hears_on_every_connection_and_nobody_else_does() {
    let server = Server::start(&[]);
    let (near, far) = logged_in(server.address(), "alice", "alice");
    let (mut bob, carol) = logged_in(server.address(), "bob", "carol");
    let mut alices = [near, far];
    hear_all(&mut bob, "publish.user", &json!("alice"), &mut alices);
    assert_eq!(bob.event().0, "over", "and nothing before it");
    let [near, far] = alices;
    let mut both = [near, far, carol];
    let mut stranger = Member::connect(server.address());
    assert_eq!(both[2].event().0, "over");
    hear_all(&mut stranger, "publish.user", &json!(["carol", "alice", "nobody", "alice"]), &mut both);
    for refused in [json!({ "to": "a\nb", "event": "e" }), json!({ "to": "alice", "event": "#publish" })] {
        assert!(stranger.call("publish.user", &refused).is_err(), "{refused}");
    }
}

#[test]
fn every_one_of_a_hundred_tabs_hears_what_its_session_is_told() {
    let server = Server::start(&["--max-connections-per-session", "0"]);
    let mut tabs = tabs(server.address(), &cookie(server.address()), 50);
    let mut last = tabs.pop().expect("a hundred");
    hear_all(&mut last, "publish.session", &Value::Null, &mut tabs);
    assert_eq!(last.kept_events().len(), 21, "itself as well");
}

#[test]
fn subscribers_hear_events_of_their_channels() {
    let server = Server::start(&[]);
    let (mut near, mut far) = Member::pair(server.address());
    near.subscribe("one");
    far.subscribe("two");
    let mut stranger = Member::connect(server.address());
    hear_all(&mut stranger, "publish.channel", &json!(["one", "two", "three"]), &mut [near, far]);
    assert_eq!(stranger.event().0, "over");
}

#[test]
fn a_user_has_no_more_connections_than_the_limit_allows() {
    let server = Server::start(&["--max-connections-per-user", "2"]);
    let (mut near, mut far) = logged_in(server.address(), "alice", "alice");
    for _ in 0..4 {
        let mut third = Member::connect(server.address());
        third.start_call("app.login", &json!({ "user": "alice" }));
        let mut socket = third.into_socket();
        let end = std::iter::from_fn(|| Some(socket.receive())).find(|received| !matches!(received, Received::Text(_)));
        assert!(matches!(end, Some(Received::Close(Some((4429, _))))), "not the close frame: {end:?}");
    }
    call(&mut far, "app.logout", &Value::Null);
    let mut third = Member::connect(server.address());
    log_in(&mut third, "alice");
    for member in [&mut near, &mut third] {
        assert_eq!(call(member, "users.me", &Value::Null), json!("alice"));
    }
}

#[test]
fn all_connections_of_a_user_are_closed_with_the_code() {
    let server = Server::start(&[]);
    let (mut near, far) = logged_in(server.address(), "alice", "alice");
    let mut bob = Member::connect(server.address());
    log_in(&mut bob, "bob");
    near.start_call("users.leave", &Value::Null);
    for member in [near, far] {
        let mut socket = member.into_socket();
        let end = std::iter::from_fn(|| Some(socket.receive())).find(|received| !matches!(received, Received::Text(_)));
        let Some(Received::Close(Some((code, reason)))) = end else { panic!("not a close frame: {end:?}") };
        assert_eq!((code, reason.as_str()), (4500, "asked for by users.leave"));
    }
    assert_eq!(call(&mut bob, "users.me", &Value::Null), json!("bob"));
}
