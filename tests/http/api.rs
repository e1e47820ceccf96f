//! Actions by HTTP: the ways to give an argument, to show who one is, and to share a session with the tabs of a browser.

use std::process::Command;

use harness::http::Http;
use harness::member::Member;
use harness::server::{Server, start_command};
use serde_json::{Value, json};

use crate::curl::{Answer, curl};

fn call(server: &Server, path: &str, arguments: &[&str]) -> Answer {
    let url = format!("http://{}{path}", server.address());
    curl(&[&[url.as_str()], arguments].concat())
}

fn value(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[test]
fn arguments_come_behind_the_question_mark_or_in_the_body() {
    let server = Server::start(&[]);
    let square = call(&server, "/api/app/square?25", &[]);
    assert_eq!((square.status(), &*square.body), (200, "625"));
    assert_eq!(square.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(call(&server, "/api/app/square.json?5", &[]).body, "25");
    assert_eq!(call(&server, "/api/app/square", &["-d", "2.5"]).body, "6.25");
    assert_eq!(value(&call(&server, "/api/app/echo?a=1&b=two%20words", &[])), json!({ "a": "1", "b": "two words" }));
    let chunked =
        ["-H", "Transfer-Encoding: chunked", "-H", "Content-Type: application/json", "-d", r#"{"a":[1,"ä😀"]}"#];
    assert_eq!(value(&call(&server, "/api/app/echo", &chunked)), json!({ "a": [1, "ä😀"] }));
    let head = call(&server, "/api/app/square?25", &["--head"]);
    assert_eq!((head.status(), head.header("content-length"), &*head.body), (200, Some("3"), ""));
}

#[test]
fn a_body_of_a_megabyte_arrives_with_and_without_a_word() {
    let server = Server::start(&["--max-body", "2MiB"]);
    let text = format!("\"{}\"", "x".repeat(1 << 20));
    let directory = std::env::temp_dir().join(format!("socketshard-http-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for the body");
    let file = directory.join("body.json");
    std::fs::write(&file, &text).expect("the body can be written");
    let data = format!("@{}", file.display());
    for expect in ["Expect: 100-continue", "Expect:"] {
        let answer = call(&server, "/api/app/echo", &["--data-binary", &data, "-H", expect]);
        assert!(answer.status() == 200 && answer.body == text, "{expect}: {}", answer.head);
    }
    let large = format!("\"{}\"", "x".repeat(3 << 20));
    std::fs::write(&file, large).expect("the body can be written");
    let answer = call(&server, "/api/app/echo", &["--data-binary", &data, "-H", "Expect: 100-continue"]);
    assert_eq!(answer.status(), 413);
    std::fs::remove_dir_all(&directory).expect("it was made here");
}

#[test]
fn errors_have_their_statuses() {
    let server = Server::start(&[]);
    for (path, arguments, status, name) in [
        ("/api/app/nothing", &[][..], 404, "UnknownActionError"),
        ("/api/app/square?x", &[], 400, "InvalidArgumentsError"),
        ("/api/app/square", &["-d", "{"], 400, "InvalidArgumentsError"),
        ("/api/members/greeting", &[], 401, "UnauthenticatedError"),
        ("/api/app/square?1", &["-H", "Origin: http://evil.example"], 403, "UnauthorizedError"),
        ("/api/app/square?1", &["-H", "Sec-Fetch-Site: cross-site"], 403, "UnauthorizedError"),
        ("/api/app/square?1", &["-X", "DELETE"], 405, "MethodError"),
        ("/api/app/square?1", &["-H", "Authorization: Bearer a.b.c"], 401, "AuthTokenInvalidError"),
    ] {
        let answer = call(&server, path, arguments);
        assert_eq!((answer.status(), value(&answer)["name"].as_str()), (status, Some(name)), "{path} {arguments:?}");
    }
    assert_eq!(call(&server, "/api", &[]).status(), 200);
    let off = Server::start(&["--no-http-api"]);
    assert_eq!(call(&off, "/api/app/square?25", &[]).status(), 404);
    let other = Server::start(&["--http-api-prefix", "/rpc/v1"]);
    assert_eq!(call(&other, "/rpc/v1/app/square?25", &[]).body, "625");
}

/// Rates are each shard's own.
fn one_shard(flags: &[&str]) -> Server {
    let mut command = start_command();
    command.args(["--shards", "1"]).args(flags);
    Server::from_command(command)
}

#[test]
fn who_asks_or_guesses_too_much_gets_429() {
    let server = one_shard(&["--http-rate", "1", "--http-burst", "5", "--log-refusals=1ms"]);
    let mut http = Http::connect(server.address());
    http.send("GET /api/app/square?25 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20).as_bytes());
    let statuses: Vec<_> = (0..20).map(|_| http.response(false).status).collect();
    assert!(statuses[..5].iter().all(|status| *status == 200) && statuses.contains(&429), "{statuses:?}");
    server.expect_told("requests_limited");
    server.assert_no_panic();
    let server = one_shard(&["--login-rate", "3", "--log-refusals=1ms"]);
    for password in ["a", "b", "c"] {
        let wrong = format!("alice:{password}");
        assert_eq!(call(&server, "/api/members/greeting", &["-u", &wrong]).status(), 401);
    }
    for (path, arguments) in [
        ("/api/members/greeting", &["-u", "alice:guest"][..]),
        ("/api/members/greeting", &["-H", "Authorization: Bearer a.b.c"]),
        ("/api/auth/log%69n", &["-d", r#"{"module":"guest","params":{"name":"x"}}"#]),
    ] {
        let answer = call(&server, path, arguments);
        assert_eq!((answer.status(), value(&answer)["name"].as_str()), (429, Some("TooManyLoginsError")), "{path}");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(call(&server, "/api/app/square?25", &[]).status(), 200);
    ["logins_failed", "logins_refused"].iter().for_each(|counter| server.expect_told(counter));
    server.assert_no_panic();
}

#[test]
fn callers_show_a_token_or_a_password() {
    let server = Server::start(&[]);
    let login = call(&server, "/api/auth/login", &["-d", r#"{"module":"guest","params":{"name":"bob"}}"#]);
    assert_eq!(value(&login)["success"], true);
    let token = format!("Authorization: Bearer {}", login.header("auth-token").expect("the answer brings a token"));
    assert_eq!(value(&call(&server, "/api/members/greeting", &["-H", &token])), "hello, bob");
    assert_eq!(value(&call(&server, "/api/members/greeting", &["-u", "alice:guest"])), "hello, alice");
    let wrong = call(&server, "/api/members/greeting", &["-u", "alice:wrong"]);
    assert_eq!(wrong.status(), 401);
    assert!(
        wrong.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic realm=\"Secure API\""))
    );
}

#[test]
fn a_request_has_the_session_of_its_cookie_on_whichever_shard() {
    let server = Server::start(&[]);
    let first = call(&server, "/api/session/set", &["-d", r#"["color","blue"]"#]);
    let cookie = first.header("set-cookie").expect("the first answer gives a session").to_owned();
    let cookie = cookie.split(';').next().expect("a cookie has a value");
    let header = format!("Cookie: {cookie}");
    // Every request is a connection of its own, and so lands on either shard.
    for count in 1..=20 {
        let answer = call(&server, "/api/session/increment?%22n%22", &["-H", &header]);
        assert_eq!((&*answer.body, answer.header("set-cookie")), (&*count.to_string(), None));
    }
    let mut tab = Member::with_cookie(server.address(), cookie);
    assert_eq!(tab.call("session.all", &Value::Null), Ok(json!({ "color": "blue", "n": 20 })));
    // The session's user is the request's, until it logs out.
    let ticket = tab.call("session.login", &json!("alice")).expect("a ticket");
    let ticket = format!("Session-Ticket: {}", ticket.as_str().expect("a text"));
    let renewed = call(&server, "/session", &["-H", &ticket]);
    let renewed = renewed.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("the new cookie");
    let renewed = format!("Cookie: {renewed}");
    for _ in 0..8 {
        assert_eq!(value(&call(&server, "/api/members/greeting", &["-H", &renewed])), "hello, alice");
        assert_eq!(
            call(&server, "/api/members/greeting", &["-H", &header]).status(),
            401,
            "the old cookie is worthless"
        );
    }
    tab.call("session.logout", &Value::Null).expect("a ticket");
    assert_eq!(call(&server, "/api/members/greeting", &["-H", &renewed]).status(), 401);
    let other = call(&server, "/api/session/all", &[]);
    assert_eq!((&*other.body, other.header("set-cookie").is_some()), ("{}", true));
    // What a page of another origin makes a browser visit over plain HTTP is nobody's.
    let visit = call(&server, "/api/session/all", &["-H", &header, "-H", "Accept: text/html"]);
    assert_eq!((visit.status(), value(&visit)["name"].as_str()), (403, Some("NoSessionError")));
}

#[test]
fn a_connection_of_a_proxy_carries_everybodys_requests() {
    let server = Server::start(&[]);
    let url = |path: &str| format!("http://{}{path}", server.address());
    // One curl, one connection: somebody with a cookie, then somebody without.
    let first = call(&server, "/api/session/set", &["-d", r#"["name","alice"]"#]);
    let cookie = first.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned();
    let output = Command::new("curl")
        .args([
            "-s",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            &url("/api/session/all"),
            "-H",
            &format!("Cookie: {cookie}"),
        ])
        .args(["--next", "-s", "--noproxy", "*", "-w", "|%{num_connects}", &url("/api/session/all")])
        .output()
        .expect("curl is installed");
    assert_eq!(String::from_utf8_lossy(&output.stdout), r#"{"name":"alice"}{}|0"#);
}
