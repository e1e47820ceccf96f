//! When the cookie is set, how, and what a bad one is worth.

use harness::http::Http;
use harness::member::Member;
use harness::server::Server;
use serde_json::json;

use crate::{fresh, pair};

#[test]
fn the_first_page_sets_a_cookie_that_scripts_cannot_read_and_the_second_does_not() {
    let server = Server::start(&["--session-cookie", "sid", "--session-cookie-age", "2h"]);
    let first = Http::get(server.address(), "/");
    let cookie = first.header("set-cookie").expect("a cookie").to_owned();
    assert!(
        cookie.starts_with("sid=") && cookie.ends_with("; Path=/; Max-Age=7200; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    assert_eq!(first.header("cache-control"), Some("private, no-cache"), "no cache may give it to others");
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: x=y; {}\r\n\r\n", pair(&cookie));
    let mut http = Http::connect(server.address());
    http.send(request.as_bytes());
    let second = http.response(false);
    assert_eq!((second.header("set-cookie"), second.header("cache-control")), (None, Some("no-cache")));
}

#[test]
fn an_upgrade_without_a_cookie_sets_one_and_with_one_does_not() {
    let server = Server::start(&[]);
    let mut first = Member::connect(server.address());
    let cookie = pair(first.cookie().expect("the upgrade sets the cookie"));
    assert_eq!(first.call("session.set", &json!(["a", 1])), Ok(json!(false)));
    let mut second = Member::with_cookie(server.address(), &cookie);
    assert_eq!(second.cookie(), None);
    assert_eq!(second.call("session.all", &json!(null)), Ok(json!({ "a": 1 })));
    let mut stranger = Member::connect(server.address());
    assert_eq!(stranger.call("session.all", &json!(null)), Ok(json!({})));
}

#[test]
fn a_forged_cookie_is_replaced() {
    let server = Server::start(&[]);
    let other = Server::start(&[]);
    for bad in [fresh(other.address()), "session=AAAAAAAAAAAAAAAAAAAAAA.AAAA".to_owned(), "session=".to_owned()] {
        let member = Member::with_cookie(server.address(), &bad);
        assert!(member.cookie().is_some_and(|cookie| pair(cookie) != bad), "{bad}");
    }
}

#[test]
fn over_tls_the_cookie_is_for_this_host_alone() {
    let server = Server::start(&["--session-cookie-secure"]);
    let page = Http::get(server.address(), "/");
    let cookie = page.header("set-cookie").expect("a cookie");
    assert!(cookie.starts_with("__Host-session=") && cookie.ends_with("; Secure"), "{cookie}");
}
