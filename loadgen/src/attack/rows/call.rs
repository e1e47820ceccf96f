//! A39: calls without waiting for answers.

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use serde_json::json;

use super::super::case::{Case, Door, Seen, Wanted};
use super::super::member::Member;

/// Calls in one message, and how many of those: 20,000 together.
const BATCH: usize = 500;
const BATCHES: usize = 40;

/// The names of the errors among the answers to so many calls; each is answered once.
fn replies(member: &mut Member, count: usize) -> io::Result<Result<Vec<String>, Seen>> {
    let end = Instant::now() + member.socket().wire().patience();
    let (mut answered, mut errors) = (HashSet::new(), Vec::new());
    while answered.len() < count {
        let packet = match member.packet(end.saturating_duration_since(Instant::now()))? {
            Ok(packet) => packet,
            Err(Seen::Nothing) => return Ok(Err(Seen::Wrong(format!("{} of {count} were answered", answered.len())))),
            Err(seen) => return Ok(Err(seen)),
        };
        let Some(call) = packet["rid"].as_str() else { continue };
        if !answered.insert(call.to_owned()) {
            return Ok(Err(Seen::Wrong(format!("{call} was answered twice"))));
        }
        errors.extend(packet["error"]["name"].as_str().map(str::to_owned));
    }
    Ok(Ok(errors))
}

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
                let replies = replies(&mut member, last + 1)?;
                Ok(match replies {
                    Ok(errors) if errors.is_empty() => member.served()?,
                    Ok(errors) => Seen::Wrong(format!("{} were not answered as they should be", errors.len())),
                    Err(seen) => seen,
                })
            },
        ),
        Case::new("A39", "half as many again as may wait", Door::SocketCluster, Wanted::Served, |stage| {
            let mut member = Member::open(stage)?;
            let count = stage.max_calls() * 3 / 2;
            // It asks all shards, so that none is answered before the last has come.
            let calls = (0..count).map(|cid| json!({ "event": "users.online", "cid": format!("c{cid}") }));
            member.socket().text(&serde_json::Value::from_iter(calls).to_string())?;
            let errors = match replies(&mut member, count)? {
                Ok(errors) => errors,
                Err(seen) => return Ok(seen),
            };
            let busy = errors.iter().filter(|name| *name == "TooManyCallsError").count();
            let is_exact = busy == errors.len() && busy == count - stage.max_calls();
            Ok(if is_exact {
                member.served()?
            } else {
                Seen::Wrong(format!("{busy} too many of {} errors", errors.len()))
            })
        }),
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
