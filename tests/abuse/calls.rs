//! Clients that ask for more than their share: subscriptions, channels, calls. The limits answer; nothing piles up.

use harness::member::Member;
use serde_json::json;

use crate::guard::{FLOOD_BYTES, SLACK_BYTES, survives};

#[test]
fn subscriptions_beyond_the_limit_are_refused() {
    survives(&["--max-subscriptions", "10"], SLACK_BYTES, |server| {
        let mut member = Member::connect(server.address());
        for index in 0..10 {
            member.subscribe(&format!("channel-{index}"));
        }
        let error = member.call("#subscribe", &json!({ "channel": "one more" })).expect_err("the eleventh");
        assert_eq!(error["name"], json!("BrokerError"), "{error}");
        member.subscribe("channel-3");
        member.unsubscribe("channel-4");
        member.subscribe("one more");
        server.expect_told("subscriptions_refused");
    });
}

/// 400,000 names of 200 bytes, 500 at a time, on either shard: kept, they would be more than is allowed.
#[test]
fn channels_that_are_left_cost_nothing() {
    survives(&[], FLOOD_BYTES, |server| {
        let (mut near, mut far) = Member::pair(server.address());
        for round in 0..400 {
            for member in [&mut near, &mut far] {
                let names = Vec::from_iter((0..500).map(|index| format!("{}/{round}/{index}", "long".repeat(50))));
                batch(member, "#subscribe", &names);
                batch(member, "#unsubscribe", &names);
            }
        }
    });
}

/// Sends one packet for each name in one array and waits for all the answers.
fn batch(member: &mut Member, event: &str, names: &[String]) {
    let packets = Vec::from_iter(names.iter().enumerate().map(|(index, name)| {
        let data = if event == "#subscribe" { json!({ "channel": name }) } else { json!(name) };
        json!({ "event": event, "data": data, "cid": index })
    }));
    for half in packets.chunks(250) {
        member.socket().send_text(&json!(half).to_string());
    }
    for index in 0..names.len() {
        assert_eq!(member.packet(), json!({ "rid": index }));
    }
}

#[test]
fn a_thousand_clients_that_are_dropped_at_once_leave_nothing() {
    survives(&[], SLACK_BYTES, |server| {
        let mut members = Vec::from_iter((0..1_000).map(|_| Member::connect(server.address())));
        for member in &mut members {
            member.start_call("app.drop", &json!(null));
        }
        for member in members {
            member.into_socket().expect_close();
        }
    });
}

#[test]
fn calls_are_answered_in_order_however_many_are_sent_at_once() {
    survives(&[], SLACK_BYTES, |server| {
        let mut member = Member::connect(server.address());
        let calls = Vec::from_iter((0..5_000).map(|number| (number, member.start_call("app.square", &json!(number)))));
        for (number, call) in calls {
            assert_eq!(member.answer(call), Ok(json!(number * number)));
        }
    });
}
