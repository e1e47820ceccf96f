//! Raw routes and the demo application, behind a real shard.

use std::time::Duration;

use codec::websocket::Opcode;
use shard::{Host, Request, ShardId, Ticket};

use super::line::{Line, messages};
use crate::app::{App, Error, Message, RawSender, ShardHost};
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
