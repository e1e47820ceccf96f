//! A33 and A34: names that clients choose.

use serde_json::{Value, json};

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::member::{Member, seen};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let actions = [
        ("a name with two dots", "..".to_owned()),
        ("a path", "../app.square".to_owned()),
        ("a name that ends in a dot", "app.square.".to_owned()),
        ("a namespace", "app".to_owned()),
        ("a name in capitals", "APP.SQUARE".to_owned()),
        ("a blank before the name", " app.square".to_owned()),
        ("an asterisk", "*".to_owned()),
        ("session", "session".to_owned()),
        ("200 dots", ".".repeat(200)),
        ("an event of the server's", "#setAuthToken".to_owned()),
    ];
    cases.extend(actions.map(|(input, name)| refused("A33", input, move || (name.clone(), json!(2)))));
    // Too long to be a name: the packet is none.
    cases.push(Case::new("A33", "10,000 dots", Door::SocketCluster, Wanted::Served, |stage| {
        let mut member = Member::open(stage)?;
        member.start(&".".repeat(10_000), &json!(1))?;
        member.served()
    }));
    let channels = [
        ("no name", String::new()),
        ("10,000 bytes", "a".repeat(10_000)),
        ("a line feed", "line\nfeed".to_owned()),
        ("a NUL", "nul\0".to_owned()),
        ("a delete character", "delete\u{7f}".to_owned()),
        ("an escape for a terminal", "\u{1b}[31mred".to_owned()),
    ];
    for (input, name) in channels {
        let other = name.clone();
        cases.push(refused("A34", input, move || ("#subscribe".to_owned(), json!({ "channel": name }))));
        let input = format!("{input}, published to");
        cases.push(refused("A34", &input, move || ("#publish".to_owned(), json!({ "channel": other, "data": 1 }))));
    }
    let shapes = [json!(null), json!(7), json!([]), json!({}), json!({ "channel": [] }), json!({ "channel": {} })];
    cases.extend(shapes.map(|data| {
        let input = format!("{data} as a channel");
        refused("A34", &input, move || ("#subscribe".to_owned(), data.clone()))
    }));
    cases.extend(["*", "attack.*", "attack.>", "#", "$SYS", "\u{202e}moor", "attack.r\u{43e}om"].map(no_pattern));
    cases
}

/// A call that gets an error, after which the connection goes on.
fn refused(row: &'static str, input: &str, call: impl Fn() -> (String, Value) + 'static) -> Case {
    Case::new(row, input, Door::SocketCluster, Wanted::Error, move |stage| {
        let mut member = Member::open(stage)?;
        let (event, data) = call();
        let seen = seen(member.call(&event, &data)?);
        let is_alive = member.served()? == Seen::Served;
        Ok(if is_alive { seen } else { Seen::Wrong(format!("{seen}, and then nothing more")) })
    })
}

/// A name that could be a pattern, a reserved one, or the likeness of another is a name like all others: who is subscribed to
/// it hears what is published to it, and nothing of `attack.room`.
fn no_pattern(name: &'static str) -> Case {
    Case::new("A34", format!("{} for attack.room", plain(name)), Door::SocketCluster, Wanted::Served, move |stage| {
        let mut member = Member::open(stage)?;
        if let Err(seen) = member.call("#subscribe", &json!({ "channel": name }))? {
            return Ok(seen);
        }
        for channel in ["attack.room", name] {
            if let Err(seen) = member.call("#publish", &json!({ "channel": channel, "data": channel }))? {
                return Ok(seen);
            }
        }
        // A publisher that is subscribed has its own publication before the answer.
        let heard = member.take_publications();
        let is_alone = heard == [json!({ "channel": name, "data": name })];
        Ok(if is_alone { Seen::Served } else { Seen::Wrong(format!("heard {heard:?}")) })
    })
}

/// What is not ASCII would be mistaken for what it is not.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}
