//! Sessions of a real server: their cookie, tabs on both shards, and what is left of them after a crash.

mod cookies;
mod crashes;
mod tabs;

use std::net::SocketAddr;

use harness::http::Http;
use harness::member::Member;

/// A cookie as a browser sends it back, without its attributes.
fn pair(cookie: &str) -> String {
    cookie.split(';').next().expect("a split has a first part").to_owned()
}

/// The cookie that the first page gives.
fn fresh(address: SocketAddr) -> String {
    pair(Http::get(address, "/").header("set-cookie").expect("the first page sets the cookie"))
}

/// Two connections with one cookie, on different shards.
fn tabs(address: SocketAddr, cookie: &str) -> (Member, Member) {
    let mut near = Member::with_cookie(address, cookie);
    let home = near.shard();
    let far = (0..64).map(|_| Member::with_cookie(address, cookie));
    let far = far.into_iter().find_map(|mut far| (far.shard() != home).then_some(far));
    (near, far.expect("64 connections in a row were all on one shard"))
}
