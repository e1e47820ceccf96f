//! The same HTTP at every kind of route: actions, event streams, files, pages, health, long-polling, the admin listener, and
//! where nothing is. What a method, a body, an expectation or a pipeline does must not depend on which it is.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use harness::http::{Http, Response};
use harness::server::Server;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// What is answered whole; an event stream is not.
const ROUTES: [&str; 7] =
    ["/api/app/square?25", "/api", "/file.txt", "/page.css", "/healthz", "/api/nothing/here", "/nowhere"];

/// A server with a file of its own, and an admin listener without a key.
struct Site {
    server: Server,
    directory: PathBuf,
}

impl Site {
    fn start(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("socketshard-doors-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).expect("a place for a file");
        fs::write(directory.join("file.txt"), "a file").expect("it can be written");
        let path = directory.display().to_string();
        let flags = ["--static", &path, "--admin-listen", "127.0.0.1:0", "--max-body", "1KiB", "--body-timeout", "1s"];
        Self { server: Server::start(&flags), directory }
    }

    /// All that answers whole: where it is asked, and for what.
    fn routes(&self) -> Vec<(SocketAddr, &'static str)> {
        let (clients, admin) = (self.server.address(), self.server.admin_address());
        let of_clients = ROUTES.into_iter().chain([POLLING]).map(|route| (clients, route));
        of_clients.chain(["/healthz", "/metrics", "/nowhere"].map(|route| (admin, route))).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn request(address: SocketAddr, method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n")
}

/// The answer to a request on a connection of its own, which must be of use afterwards.
fn ask(address: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Response {
    let mut http = Http::connect(address);
    http.send((request(address, method, target, headers) + body).as_bytes());
    let answer = http.response(method == "HEAD");
    http.send(request(address, "GET", "/healthz", "").as_bytes());
    let next = http.response(false);
    assert_eq!((next.status, next.text().trim()), (200, "ok"), "after {method} {target} {headers}: {answer:?}");
    answer
}

#[test]
fn head_is_answered_as_get_is_without_the_body() {
    let site = Site::start("head");
    for (address, route) in site.routes().into_iter().filter(|(_, route)| *route != POLLING) {
        let (get, head) = (ask(address, "GET", route, "", ""), ask(address, "HEAD", route, "", ""));
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{route}");
        for name in ["content-type", "content-length", "etag", "allow"] {
            // Counters may have grown by a digit meanwhile.
            if (route, name) != ("/metrics", "content-length") {
                assert_eq!(head.header(name), get.header(name), "{name} of {route}");
            }
        }
    }
    // A HEAD opens nothing.
    let mut http = Http::connect(site.server.address());
    http.send(request(site.server.address(), "HEAD", "/sse?channel=a", "").as_bytes());
    assert_eq!(http.endless().header("content-type"), Some("text/event-stream"));
    http.expect_end();
}

#[test]
fn options_tell_what_is_possible_and_other_methods_are_refused() {
    let site = Site::start("options");
    for (address, route) in site.routes().into_iter().chain([(site.server.address(), "/sse?channel=a")]) {
        let is_there = !route.contains("no");
        let options = ask(address, "OPTIONS", route, "", "");
        let statuses: &[u16] = if is_there { &[204] } else { &[204, 404] };
        assert!(statuses.contains(&options.status), "{route}: {options:?}");
        assert_eq!(options.status == 204, options.body.is_empty(), "{route}: {options:?}");
        if route == POLLING {
            continue; // Its words are Engine.IO's.
        }
        for method in ["DELETE", "PUT", "PATCH"] {
            let mut http = Http::connect(address);
            http.send(request(address, method, route, "").as_bytes());
            let refused = http.response(false);
            let statuses: &[u16] = if is_there { &[405] } else { &[404, 405] };
            assert!(statuses.contains(&refused.status), "{method} {route}: {refused:?}");
            assert!(refused.status != 405 || refused.header("allow").is_some(), "{method} {route}: {refused:?}");
        }
        let mut http = Http::connect(address);
        http.send(request(address, "BREW", route, "").as_bytes());
        assert_eq!(http.response(false).status, 501, "{route}");
        http.expect_end();
    }
}

#[test]
fn pipelined_requests_of_all_kinds_are_answered_in_their_order() {
    let site = Site::start("pipeline");
    for address in [site.server.address(), site.server.admin_address()] {
        let routes: Vec<_> = site.routes().into_iter().filter(|(of, _)| *of == address).collect();
        let alone: Vec<_> = routes.iter().map(|(_, route)| ask(address, "GET", route, "", "").status).collect();
        let mut http = Http::connect(address);
        let all: String = routes.iter().map(|(_, route)| request(address, "GET", route, "")).collect();
        http.send(all.repeat(5).as_bytes());
        for _ in 0..5 {
            let together: Vec<_> = routes.iter().map(|_| http.response(false).status).collect();
            assert_eq!(together, alone);
        }
        http.send(request(address, "GET", "/healthz", "Connection: close\r\n").as_bytes());
        assert_eq!(http.response(false).status, 200);
        http.expect_end();
    }
}

#[test]
fn a_body_that_nobody_wants_is_read_past_and_the_next_request_is_answered() {
    let site = Site::start("bodies");
    for (address, route) in site.routes() {
        let plain = ask(address, "GET", route, "Content-Length: 5\r\n", "GET /");
        let chunked =
            ask(address, "GET", route, "Transfer-Encoding: chunked\r\n", "5;x=y\r\nGET /\r\n0\r\nTrailer: x\r\n\r\n");
        assert_eq!(plain.status, chunked.status, "{route}");
        let empty = ask(address, "GET", route, "", "");
        // For actions a body is the argument, and this one is no JSON.
        if route != "/api/app/square?25" {
            assert_eq!(plain.status, empty.status, "{route}");
        }
    }
}

#[test]
fn who_expects_to_go_on_is_told_so_or_why_not_wherever_it_is() {
    let site = Site::start("expect");
    for (address, route) in site.routes() {
        let mut http = Http::connect(address);
        http.send(request(address, "POST", route, "Content-Length: 2\r\nExpect: 100-continue\r\n").as_bytes());
        assert_eq!(http.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n", "{route}");
        http.send(b"25");
        assert_ne!(http.response(false).status, 100, "{route}");
        let too_much = "Content-Length: 5000000\r\nExpect: 100-continue\r\n";
        let other = "Content-Length: 2\r\nExpect: 200-ok\r\n";
        for (headers, status) in [(too_much, 413), (other, 417)] {
            let mut http = Http::connect(address);
            http.send(request(address, "POST", route, headers).as_bytes());
            let refused = http.response(false);
            let payload_is_within = route == POLLING && status == 413;
            assert!(refused.status == status || payload_is_within, "{route} {headers}: {refused:?}");
            http.expect_end();
        }
    }
}

#[test]
fn a_body_that_does_not_come_ends_in_time_wherever_it_was_for() {
    let site = Site::start("slow");
    let half = |(address, route)| {
        let mut http = Http::connect(address);
        http.send((request(address, "POST", route, "Content-Length: 10\r\n") + "half").as_bytes());
        (http, route)
    };
    let waiting: Vec<_> = site.routes().into_iter().map(half).collect();
    for (mut http, route) in waiting {
        assert_eq!(http.response(false).status, 408, "{route}");
        http.expect_end();
    }
}
