//! Pages: what a request is answered with, by what it asks.

use codec::http::headers::HeaderStorage;
use codec::http::{request, response};
use shard::{Host, Request, Responded, Ticket};

use super::{World, peer};
use crate::app::{App, Page};

/// A response, taken apart.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn world() -> World {
    World::new(
        App::new()
            .page("/", "text/html; charset=utf-8", "<p>hello")
            .page("/other", "text/plain", "hello?")
            .serve("/healthz", Page::new("text/plain", "ok").header("cache-control", "no-store"))
            .websocket("/raw", |_, _| ()),
    )
}

fn ask(world: &mut World, head: &str) -> Answer {
    let text = format!("{head}\r\nHost: a\r\n\r\n");
    let mut storage = HeaderStorage::new();
    let (head, _) = request::parse(text.as_bytes(), &mut storage, 16 << 10).expect("it is a head").expect("all of it");
    let mut out = Vec::new();
    let request = Request { head: &head, body: b"", keep_alive: head.keep_alive(), cookie: None };
    let responded = world.host.request(Ticket(1), peer(), request, &mut out);
    assert_eq!(responded, Responded::Ready);
    let mut storage = HeaderStorage::new();
    let (answer, length) =
        response::parse(&out, &mut storage, 16 << 10).expect("it is a response").expect("the whole head");
    let headers = answer.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let body = String::from_utf8(out[length..].to_vec()).expect("text");
    Answer { status: answer.status, headers, body }
}

#[test]
fn a_page_is_served_with_its_type_its_validator_and_no_sniffing() {
    let answer = ask(&mut world(), "GET /?from=here HTTP/1.1");
    assert_eq!((answer.status, &*answer.body), (200, "<p>hello"));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("content-length"), Some("8"));
    assert_eq!(answer.header("connection"), Some("keep-alive"));
}

#[test]
fn head_is_get_without_the_body() {
    let (get, head) = (ask(&mut world(), "GET / HTTP/1.1"), ask(&mut world(), "HEAD / HTTP/1.1"));
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.headers, get.headers);
    let missing = ask(&mut world(), "HEAD /missing HTTP/1.1");
    assert_eq!((missing.status, &*missing.body), (404, ""));
}

#[test]
fn who_has_the_page_already_gets_304_and_no_body() {
    let mut world = world();
    let etag = ask(&mut world, "GET / HTTP/1.1").header("etag").expect("it has one").to_owned();
    for known in [&*etag, "*", &format!("\"x\", W/{etag}")] {
        let answer = ask(&mut world, &format!("GET / HTTP/1.1\r\nIf-None-Match: {known}"));
        assert_eq!((answer.status, &*answer.body), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), Some(&*etag));
    }
    let other = ask(&mut world, "GET /other HTTP/1.1").header("etag").expect("it has one").to_owned();
    assert_ne!(other, etag, "a validator stands for the bytes");
    let answer = ask(&mut world, &format!("GET / HTTP/1.1\r\nIf-None-Match: {other}"));
    assert_eq!((answer.status, &*answer.body), (200, "<p>hello"));
}

#[test]
fn a_page_may_have_headers_of_its_own_in_place_of_ours() {
    let answer = ask(&mut world(), "GET /healthz HTTP/1.1");
    assert_eq!((answer.status, &*answer.body), (200, "ok"));
    let caching = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cache-control"));
    assert_eq!(caching.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["no-store"]);
}

#[test]
fn everything_else_is_an_error_that_says_which() {
    let mut world = world();
    assert_eq!(ask(&mut world, "GET /nothing HTTP/1.1").status, 404);
    assert_eq!(ask(&mut world, "GET // HTTP/1.1").status, 404);
    assert_eq!(ask(&mut world, "GET /../etc/passwd HTTP/1.1").status, 404);
    for path in ["/", "/healthz", "/readyz"] {
        for (method, status) in [("DELETE", 405), ("POST", 405), ("OPTIONS", 204)] {
            let answer = ask(&mut world, &format!("{method} {path} HTTP/1.1"));
            assert_eq!(
                (answer.status, answer.header("allow")),
                (status, Some("GET, HEAD, OPTIONS")),
                "{method} {path}"
            );
        }
    }
    for path in ["/raw", "/socketcluster/", "/socketcluster"] {
        let answer = ask(&mut world, &format!("GET {path} HTTP/1.1"));
        assert_eq!((answer.status, answer.header("upgrade")), (426, Some("websocket")), "{path}");
    }
}

#[test]
#[should_panic(expected = "page \"/\" is there twice")]
fn one_path_twice_stops_the_start() {
    let _ = App::new().page("/", "text/plain", "").page("/", "text/plain", "");
}

#[test]
#[should_panic(expected = "path \"page\" does not begin with /")]
fn a_path_that_no_request_has_stops_the_start() {
    let _ = App::new().page("page", "text/plain", "");
}
