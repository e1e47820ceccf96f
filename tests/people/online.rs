//! Who is online: by a token or by a session, with several tabs, until the last is gone.

use harness::http::Http;
use harness::member::Member;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use harness::websocket::WebSocket;
use serde_json::{Value, json};

use crate::{call, cookie, log_in, logged_in, tabs};

/// Waits until a member sees these users online, and the count of them.
fn see(member: &mut Member, users: &[&str]) {
    let expected = json!({ "count": users.len(), "users": users, "next": null });
    wait::until(format_args!("these are online: {expected}"), PATIENCE, || {
        (call(member, "users.online", &Value::Null) == expected).then_some(())
    });
}

#[test]
fn users_come_with_their_first_connection_and_go_with_their_last() {
    let server = Server::start(&[]);
    let mut watch =
        [Member::pair(server.address())].into_iter().flat_map(|(one, other)| [one, other]).collect::<Vec<_>>();
    let mut expect = |users: &[&str]| watch.iter_mut().for_each(|member| see(member, users));
    expect(&[]);
    let (alice, mut other_alice) = logged_in(server.address(), "alice", "alice");
    let mut bob = Member::connect(server.address());
    log_in(&mut bob, "bob");
    expect(&["alice", "bob"]);
    drop(alice);
    log_in(&mut other_alice, "alice");
    expect(&["alice", "bob"]);
    call(&mut bob, "app.logout", &Value::Null);
    expect(&["alice"]);
    log_in(&mut bob, "carol");
    expect(&["alice", "carol"]);
    log_in(&mut bob, "dave");
    expect(&["alice", "dave"]);
    drop((other_alice, bob));
    expect(&[]);
}

#[test]
fn many_users_are_paged_in_order_and_each_is_known() {
    let server = Server::start(&["--max-user-page", "30"]);
    let names: Vec<_> = (0..100).map(|number| format!("user {number:03}")).collect();
    let mut members: Vec<_> = names.iter().map(|_| Member::connect(server.address())).collect();
    members.iter_mut().zip(&names).for_each(|(member, name)| log_in(member, name));
    let asker = &mut members[0];
    wait::until("all are counted", PATIENCE, || {
        (call(asker, "users.online", &Value::Null)["count"] == json!(100)).then_some(())
    });
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    for length in [30, 30, 30, 10] {
        let page = call(asker, "users.online", &json!({ "after": after, "count": 50 }));
        let users = page["users"].as_array().expect("a list").clone();
        assert_eq!(users.len(), length, "no more than --max-user-page");
        seen.extend(users);
        after = page["next"].clone();
    }
    assert_eq!((after, seen), (Value::Null, names.iter().map(|name| json!(name)).collect()));
    for (user, is_online) in [("user 042", true), ("user 100", false), ("toString", false), ("", false)] {
        assert_eq!(call(asker, "users.is_online", &json!(user)), json!(is_online), "{user}");
    }
}

#[test]
fn a_session_can_have_a_user_and_a_token_names_another() {
    let server = Server::start(&[]);
    let mut tabs = tabs(server.address(), &cookie(server.address()), 2);
    let mut watch = Member::connect(server.address());
    call(&mut tabs[0], "session.login", &json!("alice"));
    for tab in &mut tabs {
        assert_eq!(call(tab, "users.me", &Value::Null), json!("alice"), "it was acknowledged");
        // What is for members is for users of sessions as well.
        assert!(call(tab, "members.greeting", &Value::Null).is_string());
    }
    see(&mut watch, &["alice"]);
    log_in(&mut tabs[1], "bob");
    see(&mut watch, &["alice", "bob"]);
    call(&mut tabs[1], "app.logout", &Value::Null);
    assert_eq!(call(&mut tabs[1], "users.me", &Value::Null), json!("alice"), "the session's again");
    see(&mut watch, &["alice"]);
    call(&mut tabs[3], "session.logout", &Value::Null);
    assert_eq!(call(&mut tabs[0], "users.me", &Value::Null), Value::Null);
    see(&mut watch, &[]);
}

#[test]
fn whoever_falls_silent_is_offline_until_it_is_heard_again() {
    let server = Server::start(&[
        "--ping-interval",
        "300ms",
        "--ping-timeout",
        "60s",
        "--user-heartbeat",
        "300ms",
        "--user-silence",
        "900ms",
    ]);
    let mut watch = Member::connect(server.address());
    let mut alice = Member::connect(server.address());
    log_in(&mut alice, "alice");
    see(&mut watch, &["alice"]);
    // Its connection is open and nobody reads from it: the pings are not answered.
    see(&mut watch, &[]);
    assert_eq!(call(&mut alice, "users.me", &Value::Null), json!("alice"), "it is still logged in");
    see(&mut watch, &["alice"]);
}

#[test]
fn nobody_is_kept_where_it_is_switched_off() {
    let server = Server::start(&["--no-users-online"]);
    let (mut alice, mut bob) = logged_in(server.address(), "alice", "bob");
    assert_eq!(call(&mut bob, "users.online", &Value::Null), json!({ "count": 0, "users": [], "next": null }));
    call(&mut bob, "publish.user", &json!({ "to": "alice", "event": "hello" }));
    assert_eq!(alice.event(), ("hello".to_owned(), Value::Null), "events arrive all the same");
}

#[test]
fn a_raw_connection_is_online_as_whom_its_token_names() {
    let server = Server::start(&[]);
    let mut watch = Member::connect(server.address());
    let mut http = Http::connect(server.address());
    let call = "POST /api/app/login HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\n{\"user\":\"alice\"}";
    http.send(call.as_bytes());
    let answer = http.response(false);
    let token = format!("Bearer {}", answer.header("auth-token").expect("the answer brings a token"));
    let open = |token: &str| WebSocket::connect_with(server.address(), "/echo", &[("Authorization", token)]);
    let mut raw = open(&token).expect("it is let in");
    see(&mut watch, &["alice"]);
    raw.send_text("hello");
    assert_eq!(raw.receive_text(), "hello");
    drop(raw);
    see(&mut watch, &[]);
    let refused = open(&format!("{token}x")).err().expect("nobody has signed that");
    assert!(format!("{refused:?}").contains("401"), "{refused:?}");
}

#[test]
fn a_user_has_so_many_subscriptions_on_a_shard() {
    let server = Server::start(&["--max-subscriptions-per-user", "2"]);
    let (mut phone, mut far) = Member::pair(server.address());
    let shard = phone.shard();
    let near = || Some(Member::connect(server.address()));
    let mut near = std::iter::from_fn(near).filter_map(|mut member| (member.shard() == shard).then_some(member));
    let (mut laptop, mut stranger) = near.next().zip(near.next()).expect("there is no end of them");
    for member in [&mut phone, &mut laptop, &mut far] {
        log_in(member, "alice");
    }
    phone.subscribe("one");
    laptop.subscribe("two");
    for member in [&mut phone, &mut laptop] {
        let refusal = member.call("#subscribe", &json!({ "channel": "three" })).expect_err("a third of one user");
        assert_eq!(refusal["name"], json!("BrokerError"));
    }
    for member in [&mut stranger, &mut far] {
        member.subscribe("three");
    }
    phone.unsubscribe("one");
    laptop.subscribe("three");
}
