//! The HTTP API: what a request calls, as whom, and how it is answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use codec::http::headers::HeaderStorage;
use codec::http::{request, response};
use serde::Deserialize;
use serde_json::{Value, json};
use shard::{Command, Door, Host, Request, Responded, Ticket};

use super::{World, peer};
use crate::app::{App, Args, Auth, Disconnected, Error, Login, Peer, RawArgs, Result, State};
use crate::time::sleep;

/// A response, taken apart.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn error(&self) -> (u16, String) {
        let error: Value = serde_json::from_str(&self.body).expect("an error is JSON");
        (self.status, error["name"].as_str().expect("an error has a name").to_owned())
    }
}

#[derive(Deserialize)]
struct User {
    user_id: String,
}

#[derive(Deserialize)]
struct Password {
    username: String,
    password: String,
}

type Seen = Rc<RefCell<Vec<String>>>;

fn app() -> App {
    async fn later(Args(number): Args<u32>) -> u32 {
        sleep(Duration::from_millis(5)).await;
        number + 1
    }
    async fn basic(Args(shown): Args<Password>) -> Login {
        sleep(Duration::from_millis(1)).await;
        if shown.password == "x:y" { Login::success(shown.username) } else { Login::failure() }
    }
    App::new()
        .action("app.echo", |argument: RawArgs| argument)
        .action("app.later", later)
        .action("app.none", || {})
        .action("app.panic", || -> u8 { panic!("no luck") })
        .action("app.teapot", || Err::<(), _>(Error::new("TeapotError", "short and stout").with("statusCode", 418)))
        .action("a <b>.c/d.export.json", || 1)
        .action("login", |peer: Peer| peer.set_auth_token(json!({ "user_id": "bob" }), None))
        .action("members.who", |Auth(user): Auth<User>| user.user_id)
        .require_login("members.*")
        .authentication("basic", basic)
}

fn ask_whole(world: &mut World, text: &str, door: Door) -> Answer {
    let mut storage = HeaderStorage::new();
    let (head, length) = request::parse(text.as_bytes(), &mut storage, 16 << 10).expect("a head").expect("all of it");
    let request = Request { head: &head, body: &text.as_bytes()[length..], keep_alive: true, cookie: None };
    let mut out = Vec::new();
    let ticket = world.ticket();
    if world.host.request(ticket, shard::Peer { door, ..peer() }, request, &mut out) == Responded::Pending {
        assert!(out.is_empty());
        out = await_response(world, ticket);
    }
    parse(&out, head.method == "HEAD")
}

fn await_response(world: &mut World, ticket: Ticket) -> Vec<u8> {
    for _ in 0..20 {
        for command in world.run_after(Duration::from_millis(1)) {
            if let Command::Respond { ticket: known, response } = command {
                assert_eq!(known, ticket);
                return response;
            }
        }
    }
    panic!("it is never answered");
}

fn parse(out: &[u8], is_head: bool) -> Answer {
    let mut storage = HeaderStorage::new();
    let (answer, length) = response::parse(out, &mut storage, 16 << 10).expect("a response").expect("a whole head");
    let body = String::from_utf8(out[length..].to_vec()).expect("answers are text");
    let expected = if is_head { 0 } else { answer.content_length.unwrap_or(0) };
    assert_eq!(body.len() as u64, expected);
    let headers = answer.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Answer { status: answer.status, headers, body }
}

fn ask(world: &mut World, line: &str, headers: &str, body: &str) -> Answer {
    ask_whole(world, &format!("{line} HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}"), Door::Plain)
}

#[test]
fn an_action_is_called_by_its_path() {
    let mut world = World::new(app());
    let answer = ask(&mut world, "GET /api/app/echo?25", "", "");
    assert_eq!((answer.status, &*answer.body), (200, "25"));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(ask(&mut world, "GET /api/app/echo.json?5", "", "").body, "5");
    assert_eq!(ask(&mut world, "GET /api/app.echo?5", "", "").body, "5");
    assert_eq!(ask(&mut world, "POST /api/app/echo", "", "{\"a\": 1 }").body, "{\"a\": 1 }");
    assert_eq!(ask(&mut world, "HEAD /api/app/echo?25", "", "").header("content-length"), Some("2"));
    assert_eq!(ask(&mut world, "GET /api/app/none", "", "").body, "null");
    assert_eq!(ask(&mut world, "GET /api/app/later?4", "", "").body, "5");
    assert_eq!(ask(&mut world, "GET /api/a%20%3Cb%3E/c%2Fd/export.json", "", "").body, "1");
    assert!(!world.host.has_tasks());
}

#[test]
fn what_goes_wrong_has_its_status() {
    let mut world = World::new(app());
    for (line, body, expected) in [
        ("GET /api/app/nothing", "", (404, "UnknownActionError")),
        ("GET /api/app", "", (404, "UnknownActionError")),
        ("GET /api/app/echo/", "", (404, "UnknownActionError")),
        ("GET /api/app/%zz", "", (404, "NotFoundError")),
        ("GET /api/app/later?x", "", (400, "InvalidArgumentsError")),
        ("POST /api/app/later", "{", (400, "InvalidArgumentsError")),
        ("GET /api/app/panic", "", (500, "ActionFailedError")),
        ("GET /api/app/teapot", "", (418, "TeapotError")),
        ("GET /api/members/who", "", (401, "UnauthenticatedError")),
        ("DELETE /api/app/echo", "", (405, "MethodError")),
    ] {
        let answer = ask(&mut world, line, "", body);
        assert_eq!(answer.error(), (expected.0, expected.1.to_owned()), "{line}");
        assert_eq!(answer.status == 401, answer.header("www-authenticate").is_some(), "{line}");
    }
    let options = ask(&mut world, "OPTIONS /api/app/echo", "", "");
    assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, OPTIONS, POST")));
}

#[test]
fn callers_log_in_by_token_or_by_password() {
    let mut world = World::new(app());
    let login = ask(&mut world, "POST /api/login", "", "");
    let token = login.header("auth-token").expect("the answer brings the token").to_owned();
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    assert_eq!(ask(&mut world, "GET /api/members/who", &bearer(&token), "").body, "\"bob\"");
    let bad = ask(&mut world, "GET /api/members/who", &bearer(&format!("{token}x")), "");
    assert_eq!(bad.error(), (401, "AuthTokenInvalidError".to_owned()));
    assert_eq!(bad.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    let basic = "Authorization: Basic YWxpY2U6eDp5\r\n"; // alice:x:y
    assert_eq!(ask(&mut world, "GET /api/members/who", basic, "").body, "\"alice\"");
    let wrong = ask(&mut world, "GET /api/members/who", "Authorization: Basic YWxpY2U6eA==\r\n", "");
    assert_eq!(wrong.error(), (401, "UnauthenticatedError".to_owned()));
    assert!(wrong.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic realm=")));
    assert!(world.commands().is_empty(), "tokens go into answers");
}

#[test]
fn passwords_are_taken_over_tls_or_from_this_machine() {
    let mut world = World::new(app());
    let text = "GET /api/members/who HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWxpY2U6eDp5\r\n\r\n";
    let mut ask = |door: Door, address: [u8; 4]| {
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 16 << 10).expect("a head").expect("all of it");
        let request = Request { head: &head, body: b"", keep_alive: true, cookie: None };
        let (mut out, ticket) = (Vec::new(), world.ticket());
        let peer = shard::Peer { door, address: (address, 9).into(), ..peer() };
        if world.host.request(ticket, peer, request, &mut out) == Responded::Pending {
            out = await_response(&mut world, ticket);
        }
        parse(&out, false).status
    };
    assert_eq!(ask(Door::Plain, [127, 0, 0, 1]), 200);
    assert_eq!(ask(Door::Plain, [10, 0, 0, 1]), 401);
    assert_eq!(ask(Door::Tls, [10, 0, 0, 1]), 200);
}

#[test]
fn hooks_are_asked_as_for_a_connection_and_told_of_its_end() {
    let seen: Seen = Rc::default();
    let app = app()
        .state(Rc::clone(&seen))
        .on_authenticate(|Auth(user): Auth<User>, seen: State<Seen>| seen.borrow_mut().push(user.user_id))
        .on_connect(|user: Option<Auth<User>>, seen: State<Seen>| -> Result {
            seen.borrow_mut().push(format!("in {}", user.is_some()));
            if user.is_some() { Ok(()) } else { Err(Error::new("MembersOnlyError", "no")) }
        })
        .on_disconnect(|end: Disconnected, seen: State<Seen>| seen.borrow_mut().push(format!("out {}", end.code)));
    let mut world = World::new(app);
    assert_eq!(ask(&mut world, "GET /api/app/echo?1", "", "").error(), (403, "MembersOnlyError".to_owned()));
    assert_eq!(ask(&mut world, "GET /api/app/echo?1", "Authorization: Basic YWxpY2U6eDp5\r\n", "").status, 200);
    assert_eq!(*seen.borrow(), ["in false", "in true", "out 1000"]);
}

#[test]
fn who_is_not_waited_for_any_more_leaves_too() {
    let seen: Seen = Rc::default();
    let app = app().state(Rc::clone(&seen)).on_disconnect(|seen: State<Seen>| seen.borrow_mut().push("out".to_owned()));
    let mut world = World::new(app);
    let mut storage = HeaderStorage::new();
    let text = b"GET /api/app/later?1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let (head, _) = request::parse(text, &mut storage, 16 << 10).expect("a head").expect("all of it");
    let request = Request { head: &head, body: b"", keep_alive: true, cookie: None };
    let (mut out, ticket) = (Vec::new(), world.ticket());
    assert_eq!(world.host.request(ticket, peer(), request, &mut out), Responded::Pending);
    world.host.cancel(ticket);
    assert_eq!(*seen.borrow(), ["out"]);
    assert!(world.run_after(Duration::from_millis(10)).is_empty());
}

#[test]
fn pages_of_other_origins_call_nothing_unless_they_are_let_in() {
    let mut world = World::new(app());
    for headers in ["Origin: http://b\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        let answer = ask(&mut world, "GET /api/app/echo?1", headers, "");
        assert_eq!(answer.error(), (403, "UnauthorizedError".to_owned()), "{headers}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(ask(&mut world, "OPTIONS /api/app/echo", headers, "").status, 403);
    }
    assert_eq!(ask(&mut world, "GET /api/app/echo?1", "Origin: http://a\r\n", "").status, 200);
    // Over plain HTTP a page visit may be anybody's idea.
    let visit = "Accept: text/html\r\nAuthorization: Basic YWxpY2U6eDp5\r\n";
    assert_eq!(ask(&mut world, "GET /api/members/who", visit, "").status, 401);
}

#[test]
fn the_api_lists_its_actions_and_escapes_their_names() {
    let mut world = World::new(app());
    for path in ["/api", "/api/"] {
        let page = ask(&mut world, &format!("GET {path}"), "", "");
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.body.contains("<td>a &lt;b&gt;.c/d.export.json</td><td><code>/api/a%20%3Cb%3E/c%2Fd/export/json"));
        assert!(page.body.contains("auth.login") && !page.body.contains("<b>"));
        assert!(page.header("content-security-policy").is_some());
    }
    let document = ask(&mut world, "GET /api/openapi.json", "", "");
    assert_eq!(document.header("content-type"), Some("application/json; charset=utf-8"));
    let document: Value = serde_json::from_str(&document.body).expect("it is JSON");
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"]["/api/members/who"]["post"]["security"], json!([{ "bearer": [] }, { "basic": [] }]));
    assert_eq!(document["paths"]["/api/app/echo"]["get"]["operationId"], "app.echo");
}
