//! Rooms that show who is in them, and channels that the server subscribes a session to.

use harness::member::Member;
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use serde_json::{Value, json};

use crate::{call, cookie, log_in, logged_in, tabs};

fn presence(event: &str, user: &str) -> (String, Value) {
    ("presence".to_owned(), json!({ "channel": "room.1", "event": event, "user": user }))
}

#[test]
fn a_room_tells_who_comes_and_goes() {
    let server = Server::start(&[]);
    let (mut watch, mut alice) = Member::pair(server.address());
    watch.subscribe("room.1");
    log_in(&mut alice, "alice");
    alice.subscribe("room.1");
    assert_eq!(watch.event(), presence("join", "alice"));
    assert_eq!(alice.event(), presence("join", "alice"), "its own as well");
    let (mut second, mut bob) = logged_in(server.address(), "alice", "bob");
    second.subscribe("room.1");
    bob.subscribe("room.1");
    assert_eq!(watch.event(), presence("join", "bob"), "alice was there already");
    let members = call(&mut watch, "room.members", &json!("room.1"));
    assert_eq!(members, json!({ "users": ["alice", "bob"], "next": null }));
    alice.unsubscribe("room.1");
    drop(bob);
    assert_eq!(watch.event(), presence("leave", "bob"), "alice is still there");
    log_in(&mut second, "carol");
    let events = [watch.event(), watch.event()];
    assert_eq!(events, [presence("leave", "alice"), presence("join", "carol")]);
    drop(second);
    assert_eq!(watch.event(), presence("leave", "carol"));
    assert_eq!(call(&mut watch, "room.members", &json!("room.1")), json!({ "users": [], "next": null }));
}

#[test]
fn the_server_subscribes_all_tabs_and_those_that_come_back() {
    let server = Server::start(&[]);
    let cookie = cookie(server.address());
    let mut tabs = tabs(server.address(), &cookie, 3);
    let mut publisher = Member::connect(server.address());
    call(&mut tabs[0], "session.subscribe", &json!(["private.a", "private.b"]));
    for (round, channel) in ["private.a", "private.b"].into_iter().enumerate() {
        publisher.publish(channel, &json!(round));
        for tab in &mut tabs {
            assert_eq!(tab.publication(), (channel.to_owned(), json!(round)));
        }
    }
    assert_eq!(call(&mut tabs[5], "session.channels", &Value::Null), json!(["private.a", "private.b"]));
    // All leave; the session lives, and so do its subscriptions, on whichever shard it comes back.
    tabs.clear();
    let mut tabs = crate::tabs(server.address(), &cookie, 2);
    for (number, tab) in tabs.iter_mut().enumerate() {
        wait::until("the subscription is re-made", PATIENCE, || {
            publisher.publish("private.a", &json!(number));
            call(tab, "users.me", &Value::Null);
            tab.kept_publication()
        });
    }
    call(&mut tabs[0], "session.unsubscribe", &json!("private.a"));
    assert_eq!(call(&mut tabs[0], "session.channels", &Value::Null), json!(["private.b"]));
    for tab in &mut tabs[1..] {
        let kicked = std::iter::from_fn(|| Some(tab.packet())).find(|packet| packet["event"] == json!("#kickOut"));
        assert_eq!(kicked.expect("a packet")["data"]["channel"], json!("private.a"));
        assert_eq!(call(tab, "session.channels", &Value::Null), json!(["private.b"]));
    }
}

#[test]
fn values_and_channels_of_the_server_are_not_the_applications() {
    let server = Server::start(&[]);
    let mut tab = Member::with_cookie(server.address(), &cookie(server.address()));
    call(&mut tab, "session.login", &json!("alice"));
    call(&mut tab, "session.subscribe", &json!("private"));
    assert_eq!(call(&mut tab, "session.all", &Value::Null), json!({}));
    for key in ["#user", "#channel:other", "#"] {
        assert!(tab.call("session.set", &json!([key, "mallory"])).is_err(), "{key}");
    }
    assert_eq!(call(&mut tab, "users.me", &Value::Null), json!("alice"));
}
