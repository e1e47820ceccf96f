//! Pages of other origins that open connections in their visitors' names, and tokens that nobody has signed.

use harness::http::Http;

use crate::guard::{SLACK_BYTES, survives};
use harness::server::Server;

/// The status that an upgrade from this origin gets, and the body where it is an error.
fn upgrade(server: &Server, path: &str, origin: &str) -> (u16, String) {
    let mut http = Http::connect(server.address());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: app.example:8000\r\n{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    http.send(request.as_bytes());
    let response = http.response(false);
    (response.status, response.text().to_owned())
}

#[test]
fn pages_of_other_origins_are_kept_out_on_every_path() {
    survives(&[], SLACK_BYTES, |server| {
        for path in ["/socketcluster/", "/socketcluster", "/echo"] {
            for origin in ["http://evil.example", "http://app.example", "http://app.example:8000.evil.example", "null"]
            {
                let (status, body) = upgrade(server, path, &format!("Origin: {origin}\r\n"));
                assert_eq!(status, 403, "{path} from {origin}");
                assert!(body.contains("origin"), "{body}");
            }
            for origin in ["", "Origin: http://app.example:8000\r\n", "Origin: https://app.example:8000\r\n"] {
                assert_eq!(upgrade(server, path, origin).0, 101, "{path} from {origin}");
            }
        }
    });
}

#[test]
fn origins_that_are_listed_pass_and_those_who_say_none_may_be_refused() {
    survives(&["--allow-origin", "https://pages.example,http://localhost:3000"], SLACK_BYTES, |server| {
        let origins = [("https://pages.example", 101), ("http://localhost:3000", 101), ("http://pages.example", 403)];
        for (origin, status) in origins {
            assert_eq!(upgrade(server, "/echo", &format!("Origin: {origin}\r\n")).0, status, "{origin}");
        }
    });
    let server = Server::start(&["--require-origin"]);
    assert_eq!(upgrade(&server, "/echo", "").0, 403);
    assert_eq!(upgrade(&server, "/echo", "Origin: http://app.example:8000\r\n").0, 101);
}
