//! A39: calls without waiting for answers.

use serde_json::json;

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::member::Member;

/// Calls in one message, and how many of those: 20,000 together.
const BATCH: usize = 500;
const BATCHES: usize = 40;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "A39",
            "20,000 calls before the first answer is read",
            Door::SocketCluster,
            Wanted::Served,
            |stage| {
                let mut member = Member::open(stage)?;
                let mut last = 0;
                for batch in 0..BATCHES {
                    last = (batch + 1) * BATCH - 1;
                    let calls = (batch * BATCH..=last)
                        .map(|cid| json!({ "event": "app.square", "data": 2, "cid": format!("c{cid}") }));
                    member.socket().text(&serde_json::Value::from_iter(calls).to_string())?;
                }
                // All are answered, in their order or with an error: the last one then as well.
                Ok(match member.reply_to(&json!(format!("c{last}")))? {
                    Ok(_) | Err(Seen::Refused(_)) => member.served()?,
                    Err(seen) => seen,
                })
            },
        ),
        Case::new("A39", "100 clients that call and are gone", Door::SocketCluster, Wanted::Served, |stage| {
            for _ in 0..100 {
                let mut member = Member::open(stage)?;
                for _ in 0..10 {
                    member.start("app.drop", &json!(null))?;
                }
            }
            stage.newcomer()
        }),
    ]
}
