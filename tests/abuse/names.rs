//! Names that mean something to JavaScript, to JSON or to us, used where clients choose names.

use harness::member::Member;
use serde_json::{Value, json};

use crate::guard::{SLACK_BYTES, survives};

/// What every JavaScript object inherits: one of these as an event kills the reference server.
const INHERITED: [&str; 8] = [
    "toString",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "valueOf",
    "__defineGetter__",
    "isPrototypeOf",
    "toLocaleString",
];

#[test]
fn inherited_names_are_unknown_actions_like_any_other() {
    survives(&[], SLACK_BYTES, |server| {
        let mut member = Member::connect(server.address());
        for name in INHERITED.into_iter().chain(["app.nothing", "app", "app.square.", "APP.SQUARE", " app.square", "*"])
        {
            let error = member.call(name, &json!(2)).expect_err(name);
            assert!(error["name"].is_string() && error["message"].is_string(), "{name} is refused with {error}");
        }
        assert_eq!(member.call("app.square", &json!(2)), Ok(json!(4)));
    });
}

#[test]
fn inherited_names_are_channels_like_any_other() {
    survives(&[], SLACK_BYTES, |server| {
        let (mut near, mut far) = Member::pair(server.address());
        for name in INHERITED {
            near.subscribe(name);
            far.publish(name, &json!({ "in": name }));
            assert_eq!(near.publication(), (name.to_owned(), json!({ "in": name })));
            near.unsubscribe(name);
        }
    });
}

#[test]
fn unusual_channel_names_arrive_as_they_were_sent() {
    survives(&[], SLACK_BYTES, |server| {
        let (mut near, mut far) = Member::pair(server.address());
        let names = [
            "räume/日本/🙂",
            "with space",
            "quote\"back\\slash",
            "</script>",
            "a".repeat(200).leak(),
            "null",
            "0",
            "#x",
        ];
        for name in names {
            near.subscribe(name);
            far.publish(name, &json!([name]));
            assert_eq!(near.publication(), (name.to_owned(), json!([name])));
            near.unsubscribe(name);
        }
    });
}

#[test]
fn names_that_are_no_names_are_refused() {
    survives(&[], SLACK_BYTES, |server| {
        let mut member = Member::connect(server.address());
        let long = "a".repeat(10_000);
        for data in [json!(null), json!(7), json!([]), json!({}), json!({ "channel": null }), json!({ "channel": [] })]
        {
            refused(&mut member, "#subscribe", &data);
            refused(&mut member, "#publish", &data);
        }
        for name in ["", long.as_str(), "line\nfeed", "nul\u{0}"] {
            refused(&mut member, "#subscribe", &json!({ "channel": name }));
            refused(&mut member, "#publish", &json!({ "channel": name, "data": 1 }));
        }
        refused(&mut member, "#unsubscribe", &json!("never subscribed"));
    });
}

fn refused(member: &mut Member, event: &str, data: &Value) {
    let error = member.call(event, data).expect_err(&format!("{event} {data}"));
    assert!(error["name"].is_string() && error["message"].is_string(), "{event} {data} is refused with {error}");
}
