//! Clients that ask for more than one person would: too often, or over too many connections at once. Those beside them do not
//! notice; the operator does.

use harness::member::{Member, PATH};
use harness::server::Server;
use harness::wait::{self, PATIENCE};
use harness::websocket::{ConnectError, Received, WebSocket};
use serde_json::json;

use crate::guard::{SLACK_BYTES, TELL, survives};

/// So many calls in one message, so that they arrive at one moment.
fn calls(count: usize) -> String {
    json!(Vec::from_iter((1..=count).map(|cid| json!({ "event": "app.echo", "data": cid, "cid": cid })))).to_string()
}

#[test]
fn a_client_over_the_rate_is_ignored_and_named_in_the_log() {
    let server = Server::start(&["--client-rate", "15", TELL]);
    let (mut near, mut far) = Member::pair(server.address());
    let mut loud = Member::connect(server.address());
    loud.socket().send_text(&calls(20));
    (1..=15).for_each(|cid| assert_eq!(loud.answer(cid), Ok(json!(cid))));
    let is_named = || server.stderr().contains("asks for more than --client-rate").then_some(());
    wait::until("the log names the client", PATIENCE, is_named);
    loud.socket().send_text(&calls(20));
    for member in [&mut near, &mut far] {
        assert_eq!(member.call("app.square", &json!(5)), Ok(json!(25)));
    }
    loud.socket().send_text(r##"{"event":"#disconnect","data":{"code":4001}}"##);
    assert!(matches!(loud.into_socket().expect_close(), (4001, _)), "nothing comes before the end");
    server.expect_told("clients_ignored");
    let lines = server.stderr().lines().filter(|line| line.contains("--client-rate")).count();
    assert_eq!(lines, 1, "{}", server.stderr());
    let mut back = Member::connect(server.address());
    assert_eq!(back.call("app.echo", &json!("back")), Ok(json!("back")));
}

#[test]
fn a_call_over_the_rate_gets_an_error_and_later_ones_are_served() {
    let server = Server::start(&["--call-rate", "20", "--call-burst", "5", TELL]);
    let mut member = Member::connect(server.address());
    member.socket().send_text(&calls(6));
    (1..=5).for_each(|cid| assert_eq!(member.answer(cid), Ok(json!(cid))));
    let error = member.answer(6).expect_err("the sixth");
    assert_eq!(error["name"], json!("RateLimitError"), "{error}");
    server.expect_told("requests_limited");
    assert!(error["retryAfterMs"].as_u64().is_some_and(|wait| (1..=50).contains(&wait)), "{error}");
    wait::until("a call is served again", PATIENCE, || member.call("app.echo", &json!(1)).ok());
    let mut other = Member::connect(server.address());
    other.subscribe("news");
    other.publish("news", &json!(1));
}

#[test]
fn an_address_has_so_many_connections_and_gets_a_clear_answer_beyond() {
    // Who looks whether all is well before and after has three.
    survives(&["--max-connections-per-address", "4"], SLACK_BYTES, |server| {
        let mut members = Vec::from_iter((0..4).map(|_| Member::connect(server.address())));
        // Whichever shard they come to.
        for _ in 0..8 {
            let status = match WebSocket::try_connect(server.address(), PATH) {
                Err(ConnectError::Response(error)) => error.to_string(),
                Err(error) => panic!("not an answer: {error}"),
                Ok(_) => panic!("one too many was let in"),
            };
            assert!(status.contains("429"), "{status}");
        }
        for member in &mut members {
            assert_eq!(member.call("app.square", &json!(3)), Ok(json!(9)));
        }
        drop(members.pop());
        let back = || WebSocket::try_connect(server.address(), PATH).ok();
        drop(wait::until("the place is free", PATIENCE, back));
        server.expect_told("seats_refused");
        assert!(server.count("seats_refused") >= 8);
        drop(members);
        // They leave one after the other.
        let room = || Vec::from_iter((0..4).map(|_| WebSocket::try_connect(server.address(), PATH).ok()));
        wait::until("all places are free", PATIENCE, || room().iter().all(Option::is_some).then_some(()));
    });
}

#[test]
fn a_raw_client_over_the_rate_is_sent_away() {
    let server = Server::start(&["--call-rate", "3"]);
    let mut echo = WebSocket::connect(server.address(), "/echo");
    let mut heard = 0;
    let (code, reason) = loop {
        echo.send_text("again");
        match echo.receive() {
            Received::Text(_) => heard += 1,
            Received::Close(Some(close)) => break close,
            other => panic!("an echo or a close, not {other:?}"),
        }
    };
    assert_eq!((code, reason.as_str()), (1008, "too many messages"));
    assert!(heard >= 3, "{heard}");
}
