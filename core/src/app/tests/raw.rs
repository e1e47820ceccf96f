//! Raw routes and the demo application, behind a real shard.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use codec::websocket::Opcode;
use serde_json::{Value, json};
use shard::{Host, Request, ShardId, Ticket};

use super::line::{Line, messages, request};
use crate::UserId;
use crate::app::{App, Auth, Common, Deauthenticated, Error, Message, RawSender, RawSocket, ShardHost};
use crate::demo;

#[test]
fn an_echo_answers_in_place_with_the_same_opcode() {
    let mut line = Line::open(demo::app(), "/echo");
    assert_eq!(line.say("hé"), ["hé"]);
    assert_eq!(line.send(Opcode::Binary, &[0, 255]), ["Binary([0, 255])"]);
    assert_eq!(line.say(""), [""]);
}

#[test]
fn a_handler_may_keep_a_sender_and_use_it_later() {
    async fn answer(sender: RawSender) {
        crate::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(sender.send(Message::Text("later")), Ok(()));
        assert_eq!(sender.send(Message::Binary(b"\x01")), Ok(()));
    }
    let app = App::new().websocket("/slow", |socket, _| crate::spawn(answer(socket.sender())));
    let mut line = Line::open(app, "/slow");
    assert_eq!(line.say("x"), Vec::<String>::new());
    assert_eq!(messages(line.pass_after(Duration::from_millis(5))), ["later", "Binary([1])"]);
}

#[test]
fn an_error_or_a_panic_of_a_handler_ends_its_connection_with_a_code() {
    let app = || {
        App::new().websocket("/", |socket, message| {
            let Message::Text(text) = message else { return socket.disconnect(4444, "text only") };
            assert!(text != "panic", "as asked");
            let error = Error::new("WordError", "no such word");
            Err(if text == "code" { error.close_code(4321) } else { error })
        })
    };
    let end = |opcode, payload: &str| Line::open(app(), "/").send(opcode, payload.as_bytes());
    assert_eq!(end(Opcode::Text, "word"), [r#"close Some((1008, "no such word"))"#]);
    assert_eq!(end(Opcode::Text, "code"), [r#"close Some((4321, "no such word"))"#]);
    assert_eq!(end(Opcode::Text, "panic"), [r#"close Some((1011, "internal error"))"#]);
    assert_eq!(end(Opcode::Binary, ""), [r#"close Some((4444, "text only"))"#]);
}

/// A server's key, and a token of its.
fn signed(claims: Value, lifetime: Duration) -> (Common, String) {
    let common = super::common();
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    let token = common.authority.sign(claims, lifetime.into()).expect("there is a key").token;
    (common, token.into())
}

/// What a raw route's handler knows of its client.
fn who(socket: &mut RawSocket<'_, '_>, _: Message<'_>) -> crate::Result {
    let number = socket.claims::<Value>()?.map_or(Value::Null, |claims| claims["n"].clone());
    let text = format!("{:?} {number}", socket.user_id());
    socket.send(Message::Text(&text));
    Ok(())
}

fn open_by(app: App, common: Common, authorization: &str) -> (Line, String) {
    let mut line = Line::accepted(app, common);
    let answer = line.exchange(request("/who", &[("Authorization", authorization)]));
    (line, String::from_utf8(answer).expect("a head is text"))
}

#[test]
fn a_raw_connection_is_whom_the_token_of_its_request_names() {
    let (common, token) = signed(json!({ "user_id": "alice", "n": 7 }), Duration::from_secs(60));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let note = Rc::clone(&seen);
    let app = App::new()
        .websocket("/who", who)
        .on_connect(|Auth(_): Auth<Value>, UserId(_): UserId| {})
        .on_deauthenticated(move |UserId(user): UserId, end: Deauthenticated| note.borrow_mut().push((user, end)));
    let (mut line, answer) = open_by(app, common, &format!("Bearer {token}"));
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(line.say("?"), [r#"Some("alice") 7"#]);
    line.pass_after(Duration::from_secs(61));
    assert_eq!(line.say("?"), ["None null"], "its time is over");
    assert_eq!(seen.take(), [("alice".to_owned(), Deauthenticated::Expired)]);
}

#[test]
fn a_raw_connection_whose_token_does_not_count_is_refused_as_unauthenticated() {
    let app = || App::new().websocket("/who", who);
    for (authorization, name) in
        [("Bearer abc", "AuthTokenInvalidError"), ("Bearer abc.def.ghi", "AuthTokenInvalidError")]
    {
        let (_, answer) = open_by(app(), super::common(), authorization);
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains(name), "{authorization}: {answer}");
        assert!(answer.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{answer}");
    }
    let (mut line, answer) = open_by(app(), super::common(), "Basic YTpi");
    assert!(answer.starts_with("HTTP/1.1 101 "), "a password is not ours to judge: {answer}");
    assert_eq!(line.say("?"), ["None null"]);
    let (_, answer) = open_by(app().on_connect(|Auth(_): Auth<Value>| {}), super::common(), "Basic YTpi");
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("UnauthenticatedError"), "{answer}");
}

#[test]
fn the_authenticate_hook_is_asked_about_a_raw_connections_token_and_may_wait() {
    async fn slow(Auth(claims): Auth<Value>) -> crate::Result {
        crate::time::sleep(Duration::from_millis(5)).await;
        if claims["n"] == 7 { Ok(()) } else { Err(Error::new("NumberError", "not this one").status(418)) }
    }
    let app = || App::new().websocket("/who", who).on_authenticate(slow);
    let (common, token) = signed(json!({ "user_id": "alice", "n": 7 }), Duration::from_secs(60));
    let (mut line, answer) = open_by(app(), common.clone(), &format!("Bearer {token}"));
    assert_eq!(answer, "", "it waits");
    let answer = line.pass_after(Duration::from_millis(5));
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(line.say("?"), [r#"Some("alice") 7"#]);
    let (common, token) = signed(json!({ "user_id": "alice", "n": 8 }), Duration::from_secs(60));
    let (mut line, _) = open_by(app(), common, &format!("Bearer {token}"));
    let answer = line.pass_after(Duration::from_millis(5));
    assert!(answer.starts_with(b"HTTP/1.1 418 "), "{}", String::from_utf8_lossy(&answer));
    // Both hooks wait, one after the other.
    let (common, token) = signed(json!({ "n": 7 }), Duration::from_secs(60));
    let late = |_: Auth<Value>| crate::time::sleep(Duration::from_millis(5));
    let (mut line, _) = open_by(app().on_connect(late), common, &format!("Bearer {token}"));
    assert!(line.pass_after(Duration::from_millis(5)).is_empty());
    let mut passes = (0..3).map(|_| line.pass_after(Duration::from_millis(5)));
    assert!(passes.any(|answer| answer.starts_with(b"HTTP/1.1 101 ")), "the second hook has decided");
    assert_eq!(line.say("?"), ["None 7"]);
}

#[test]
fn the_demo_squares_what_is_a_number() {
    let mut line = Line::shaken(demo::app());
    let squares = [
        ("25", "625"),
        ("-3", "9"),
        ("2.5", "6.25"),
        ("4294967295", "18446744065119617025"),
        ("-9223372036854775808", "8.507059173023462e+37"),
        ("0", "0"),
    ];
    for (number, square) in squares {
        let answer = line.say(&format!(r#"{{"event":"app.square","data":{number},"cid":2}}"#));
        assert_eq!(answer, [format!(r#"{{"rid":2,"data":{square}}}"#)], "{number}");
    }
    for wrong in ["\"25\"", "null", "[25]", "1e200", "{}", "true"] {
        let answer = line.say(&format!(r#"{{"event":"app.square","data":{wrong},"cid":3}}"#));
        assert!(answer.len() == 1 && answer[0].contains(r#""name":"InvalidArgumentsError""#), "{wrong}: {answer:?}");
    }
}

#[test]
fn the_demo_echoes_arguments_as_they_came() {
    let mut line = Line::shaken(demo::app());
    assert_eq!(line.say(r#"{"event":"app.echo","data":{ "a":1.0},"cid":2}"#), [r#"{"rid":2,"data":{ "a":1.0}}"#]);
    assert_eq!(line.say(r#"{"event":"app.echo","data":null,"cid":3}"#), [r#"{"rid":3,"data":null}"#]);
    assert_eq!(line.say(r#"{"event":"app.echo","cid":4}"#), [r#"{"rid":4}"#]);
    assert_eq!(line.say(r#"{"event":"app.shard","cid":5}"#), [r#"{"rid":5,"data":0}"#]);
}

#[test]
fn the_demo_answers_app_drop_and_then_drops() {
    let mut line = Line::shaken(demo::app());
    assert_eq!(line.say(r#"{"event":"app.drop","cid":2}"#), [r#"{"rid":2}"#]);
    assert!(messages(line.pass_after(Duration::from_millis(19))).is_empty());
    let end = messages(line.pass_after(Duration::from_millis(1)));
    assert_eq!(end.last().map(String::as_str), Some(r#"close Some((4001, "asked for by app.drop"))"#), "{end:?}");
}

#[test]
fn the_demos_page_and_what_it_loads_are_there() {
    let mut host = ShardHost::new(demo::app(), ShardId(0), super::common());
    for path in ["/", "/page.css", "/page.js", "/socketshard.js", "/favicon.svg", "/healthz"] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut storage = codec::http::headers::HeaderStorage::new();
        let parsed = codec::http::request::parse(text.as_bytes(), &mut storage, 16 << 10);
        let (head, _) = parsed.expect("it is a head").expect("all of it");
        let mut out = Vec::new();
        host.request(
            Ticket(1),
            super::peer(),
            Request { head: &head, body: b"", keep_alive: true, cookie: None },
            &mut out,
        );
        let answer = String::from_utf8(out).expect("pages are text");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer}");
        assert_eq!(path == "/", answer.contains("Content-Security-Policy: default-src 'none';"), "{path}");
    }
}
