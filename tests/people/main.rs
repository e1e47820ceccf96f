//! The people behind the connections of a real server on two shards: who is online, who is in a room, what reaches users,
//! sessions and everybody, and what the server does to a session's connections.

mod channels;
mod events;
mod online;

use std::net::SocketAddr;

use harness::http::Http;
use harness::member::Member;
use serde_json::{Value, json};

/// Two connections on different shards that are logged in as these users.
fn logged_in(address: SocketAddr, near: &str, far: &str) -> (Member, Member) {
    let (mut one, mut other) = Member::pair(address);
    log_in(&mut one, near);
    log_in(&mut other, far);
    (one, other)
}

fn log_in(member: &mut Member, user: &str) {
    call(member, "app.login", &json!({ "user": user }));
}

/// The answer of a call that is not refused.
fn call(member: &mut Member, action: &str, data: &Value) -> Value {
    member.call(action, data).unwrap_or_else(|error| panic!("{action} {data}: {error}"))
}

/// The cookie of a new session.
fn cookie(address: SocketAddr) -> String {
    let page = Http::get(address, "/");
    let cookie = page.header("set-cookie").expect("the first page sets the cookie");
    cookie.split(';').next().expect("a split has a first part").to_owned()
}

/// Tabs of one browser, so many on either shard.
fn tabs(address: SocketAddr, cookie: &str, each: usize) -> Vec<Member> {
    let mut shards = [Vec::new(), Vec::new()];
    while shards.iter().any(|tabs| tabs.len() < each) {
        let mut tab = Member::with_cookie(address, cookie);
        let shard = usize::try_from(tab.shard()).expect("a small number");
        if shards[shard].len() < each {
            shards[shard].push(tab);
        }
    }
    shards.into_iter().flatten().collect()
}
