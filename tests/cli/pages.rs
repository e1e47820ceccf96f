//! HTTP beside the WebSockets: the page, its headers, what is not there.

use harness::http::Http;
use harness::server::Server;

#[test]
fn the_page_is_served_at_the_root() {
    let server = Server::start(&[]);
    let page = Http::get(server.address(), "/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{:?}", page.headers);
    for id in ["log", "message", "send", "name", "status", "shard"] {
        assert!(page.text().contains(&format!("id=\"{id}\"")), "the page has an element #{id}");
    }
    for (name, value) in [("x-content-type-options", "nosniff"), ("content-length", &page.body.len().to_string())] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    assert!(page.header("content-security-policy").is_some(), "{:?}", page.headers);
    assert_eq!(Http::get(server.address(), "/?query=1").body, page.body);
}

#[test]
fn the_page_asks_nothing_of_other_hosts() {
    let server = Server::start(&[]);
    let page = Http::get(server.address(), "/");
    for scheme in ["http://", "https://", "src=\"//", "href=\"//"] {
        let found = page.text().lines().find(|line| line.contains(scheme) && !line.contains("www.w3.org"));
        assert_eq!(found, None, "the page is self-contained");
    }
}

#[test]
fn a_head_request_gets_the_head_alone() {
    let server = Server::start(&[]);
    let page = Http::get(server.address(), "/");
    let mut http = Http::connect(server.address());
    http.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = http.response(true);
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), page.header("content-length"));
    let health = http.response(false);
    assert_eq!((health.status, health.text().trim()), (200, "ok"), "nothing of a body came between");
}

#[test]
fn a_page_that_has_not_changed_is_not_sent_again() {
    let server = Server::start(&[]);
    let page = Http::get(server.address(), "/");
    let tag = page.header("etag").expect("the page has an ETag");
    let mut http = Http::connect(server.address());
    http.send(format!("GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n").as_bytes());
    let unchanged = http.response(true);
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some(tag)));
    http.send(b"GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"other\"\r\n\r\n");
    assert_eq!(http.response(false).body, page.body);
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_done_405() {
    let server = Server::start(&[]);
    for target in ["/nothing", "/index.html", "/../etc/passwd", "/%2e%2e/", "/echo/", "//"] {
        assert_eq!(Http::get(server.address(), target).status, 404, "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let mut http = Http::connect(server.address());
        http.send(format!("{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").as_bytes());
        let response = http.response(false);
        assert_eq!(response.status, 405, "{method}");
        assert!(response.header("allow").is_some_and(|allowed| allowed.contains("GET")), "{method}: {response:?}");
    }
}

#[test]
fn a_connection_is_kept_or_closed_as_the_client_asks() {
    let server = Server::start(&[]);
    let mut http = Http::connect(server.address());
    for _ in 0..3 {
        http.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(http.response(false).status, 200);
    }
    http.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(http.response(false).header("connection"), Some("close"));
    http.expect_end();
    // HTTP/1.0 closes unless told otherwise.
    let mut http = Http::connect(server.address());
    http.send(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(http.response(false).status, 200);
    http.expect_end();
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::start(&["--idle-timeout", "300ms"]);
    let mut http = Http::connect(server.address());
    http.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(http.response(false).status, 200);
    http.expect_end();
}
