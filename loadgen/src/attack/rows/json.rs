//! A30 to A32: JSON that has no bottom, stands at the edges of its grammar, or means something to JavaScript.

use std::io;

use serde_json::{Value, json};

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::member::Member;
use super::super::stage::Stage;

/// Levels of nesting: far more than a parser that recurses can stand, and within a message of 128 KiB.
const LEVELS: usize = 60_000;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, open, close) in [("arrays", "[", "]"), ("objects", r#"{"":"#, "}")] {
        let levels = LEVELS.min(120_000 / (open.len() + close.len() + 1));
        let deep = format!("{}1{}", open.repeat(levels), close.repeat(levels));
        cases.push(ignored("A30", format!("{levels} {what} in each other"), deep.clone()));
        cases.push(ignored("A30", format!("{levels} {what} that do not end"), open.repeat(levels)));
        cases.push(ignored("A30", format!("{levels} {what} as data"), call(&deep)));
        cases.push(ignored("A30", format!("{levels} {what} published"), publish(&deep)));
    }
    cases.extend(
        [
            ("an end that is missing", r#"{"event":"app.echo","data":[1,2"#),
            ("something behind the end", r#"{"event":"app.echo","data":1,"cid":"x"} true"#),
            ("two texts", "{}{}"),
            ("a byte-order mark", "\u{feff}{\"event\":\"app.echo\",\"data\":1,\"cid\":\"x\"}"),
            ("single quotes", "{'event':'app.echo'}"),
            ("a comment", "/* */{}"),
            ("a comma too many", r#"{"event":"app.echo","data":[1,],"cid":"x"}"#),
            ("a NUL in a string", "{\"event\":\"app.echo\",\"data\":\"\u{0}\",\"cid\":\"x\"}"),
            ("a line feed in a string", "{\"event\":\"app.echo\",\"data\":\"\n\",\"cid\":\"x\"}"),
            ("a number that begins with zero", r#"{"event":"app.echo","data":01,"cid":"x"}"#),
            ("NaN", r#"{"event":"app.echo","data":NaN,"cid":"x"}"#),
            ("Infinity", r#"{"event":"app.echo","data":-Infinity,"cid":"x"}"#),
            ("an escape of nobody's", r#"{"event":"app.echo","data":"\x41","cid":"x"}"#),
        ]
        .map(|(input, text)| ignored("A31", input, text)),
    );
    cases.push(repeated_keys());
    cases.extend([
        harmless("a number of 100,000 digits", || "7".repeat(100_000)),
        harmless("1e999999", || "1e999999".to_owned()),
        harmless("-1e-999999", || "-1e-999999".to_owned()),
        harmless("half of a surrogate pair, escaped", || r#""\ud800""#.to_owned()),
        harmless("the same key twice, in data", || r#"{"a":1,"a":2}"#.to_owned()),
    ]);
    let keys = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "__defineGetter__"];
    cases.extend(keys.map(|key| {
        Case::new("A32", format!("{key} as a key"), Door::SocketCluster, Wanted::Served, move |stage| {
            let data = json!({ key: { "polluted": true }, "list": [{ key: 1 }] });
            echoed(stage, &data)
        })
    }));
    cases.extend(keys.map(|key| {
        Case::new("A32", format!("{key} as an event"), Door::SocketCluster, Wanted::Error, move |stage| {
            let mut member = Member::open(stage)?;
            Ok(match member.call(key, &json!(1))? {
                Ok(data) => Seen::Wrong(format!("answered {data}")),
                Err(seen @ Seen::Refused(_)) if member.served()? == Seen::Served => seen,
                Err(seen) => seen,
            })
        })
    }));
    cases
}

fn call(data: &str) -> String {
    format!(r#"{{"event":"app.echo","data":{data},"cid":"x"}}"#)
}

fn publish(data: &str) -> String {
    format!(r##"{{"event":"#publish","data":{{"channel":"attack.deep","data":{data}}},"cid":"x"}}"##)
}

/// A text that is no packet: nothing happens, and the connection goes on.
fn ignored(row: &'static str, input: impl Into<String>, text: impl Into<String>) -> Case {
    let text = text.into();
    Case::new(row, input, Door::SocketCluster, Wanted::Served, move |stage| {
        let mut member = Member::open(stage)?;
        member.socket().text(&text)?;
        // The square is asked for behind it: an answer to "x" would come first.
        let square = member.start("app.square", &json!(25))?;
        loop {
            match member.packet(stage.patience())? {
                Ok(packet) if packet["rid"] == "x" => return Ok(Seen::Wrong(format!("acted upon: {packet}"))),
                Ok(packet) if packet["rid"] == json!(square) => return Ok(Seen::Served),
                Ok(_) => {}
                Err(seen) => return Ok(seen),
            }
        }
    })
}

/// Data that has a meaning, if an odd one: it comes back as it was or is refused, and the connection goes on.
fn harmless(input: &str, data: impl Fn() -> String + 'static) -> Case {
    Case::new("A31", input, Door::SocketCluster, Wanted::Served, move |stage| {
        let mut member = Member::open(stage)?;
        member.socket().text(&call(&data()))?;
        // Not decoded: a value that not every parser takes would not be the server's fault.
        member.served_over()
    })
}

/// Which of two keys counts is a matter between two parsers: a packet with both is none.
fn repeated_keys() -> Case {
    let text = r#"{"event":"app.echo","data":1,"data":2,"cid":"x"}"#;
    Case::new("A31", "the same key twice, in a packet", Door::SocketCluster, Wanted::Served, move |stage| {
        let mut member = Member::open(stage)?;
        member.socket().text(text)?;
        member.served_over()
    })
}

fn echoed(stage: &Stage, data: &Value) -> io::Result<Seen> {
    let mut member = Member::open(stage)?;
    Ok(match member.call("app.echo", data)? {
        Ok(echo) if echo == *data => member.served()?,
        Ok(echo) => Seen::Wrong(format!("came back as {echo}")),
        Err(seen) => seen,
    })
}
