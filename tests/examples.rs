//! The examples, run as their first lines say, on two shards: each does what it is an example of.

use harness::member::Member;
use harness::server::{Server, example_command};
use harness::wait::{self, PATIENCE};
use serde_json::{Value, json};

fn start(name: &str) -> Server {
    let mut command = example_command(name);
    command.args(["start", "--listen", "127.0.0.1:0", "--shards", "2"]);
    Server::from_command(command)
}

/// The answer of a call that is not refused.
fn call(member: &mut Member, action: &str, data: &Value) -> Value {
    member.call(action, data).unwrap_or_else(|error| panic!("{action} {data}: {error}"))
}

/// The name of the error that a call is refused with.
fn refusal(member: &mut Member, action: &str, data: &Value) -> Value {
    let answer = member.call(action, data);
    answer.expect_err(&format!("{action} {data}"))["name"].clone()
}

fn log_in(member: &mut Member, module: &str, params: &Value) {
    let answer = call(member, "auth.login", &json!({ "module": module, "params": params }));
    assert_eq!(answer["success"], json!(true), "{answer}");
}

/// Some members, on whichever shards the kernel puts them.
fn members(server: &Server, count: usize) -> Vec<Member> {
    (0..count).map(|_| Member::connect(server.address())).collect()
}

#[test]
fn people_log_in_to_the_chat_and_talk_in_rooms() {
    let server = start("chat");
    let mut all = members(&server, 8);
    let names: Vec<_> = (0..8).map(|number| format!("user {number}")).collect();
    let stranger = &mut all[0];
    assert_eq!(refusal(stranger, "chat.say", &json!({ "room": "garden", "text": "hello" })), "UnauthenticatedError");
    assert_eq!(refusal(stranger, "#subscribe", &json!({ "channel": "room.garden" })), "UnauthenticatedError");
    for (member, name) in all.iter_mut().zip(&names) {
        log_in(member, "nickname", &json!(name));
        member.subscribe("room.garden");
    }
    // Each has heard of all that came after it, and of itself.
    for (number, member) in all.iter_mut().enumerate() {
        for name in &names[number..] {
            let joined = json!({ "channel": "room.garden", "event": "join", "user": name });
            assert_eq!(member.event(), ("presence".to_owned(), joined));
        }
    }
    let taken = json!({ "module": "nickname", "params": "user 3" });
    let mut late = Member::connect(server.address());
    assert_eq!(call(&mut late, "auth.login", &taken)["success"], json!(false));
    for (number, name) in names.iter().enumerate() {
        call(&mut all[number], "chat.say", &json!({ "room": "garden", "text": format!(" hello from {name} ") }));
        for member in &mut all {
            let heard = json!({ "user": name, "text": format!("hello from {name}") });
            assert_eq!(member.publication(), ("room.garden".to_owned(), heard));
        }
    }
    assert_eq!(refusal(&mut all[0], "#publish", &json!({ "channel": "room.garden", "data": 1 })), "UseActionError");
    assert_eq!(refusal(&mut all[0], "chat.say", &json!({ "room": "attic", "text": "hello" })), "NotThereError");
    call(&mut all[0], "chat.whisper", &json!(["user 5", "psst"]));
    assert_eq!(all[5].event(), ("whisper".to_owned(), json!({ "user": "user 0", "text": "psst" })));
    let last = all.pop().expect("there are eight");
    drop(last);
    let left = json!({ "channel": "room.garden", "event": "leave", "user": "user 7" });
    for member in &mut all {
        assert_eq!(member.event(), ("presence".to_owned(), left.clone()));
    }
    let there = call(&mut all[0], "chat.members", &json!("garden"));
    assert_eq!(there, json!({ "users": names[..7], "next": null }));
    wait::until("those who are still there are counted", PATIENCE, || {
        (call(&mut all[0], "chat.online", &Value::Null) == json!(7)).then_some(())
    });
}

#[test]
fn the_ticker_tells_each_user_once_what_they_watch() {
    let server = start("ticker");
    let mut all = members(&server, 6);
    assert_eq!(refusal(&mut all[0], "ticker.watch", &json!(["ACME"])), "UnauthenticatedError");
    for (number, member) in all.iter_mut().enumerate() {
        log_in(member, "name", &json!(if number % 2 == 0 { "alice" } else { "bob" }));
    }
    assert_eq!(refusal(&mut all[0], "ticker.watch", &json!(["GOLD"])), "NotFoundError");
    call(&mut all[0], "ticker.watch", &json!(["ACME", "INIT"]));
    call(&mut all[1], "ticker.watch", &json!(["OMNI"]));
    // One clock for all shards: every connection of a user is told the same, and nothing twice.
    let mut told = Vec::new();
    for member in &mut all {
        let prices: Vec<_> = (0..3).map(|_| member.event()).collect();
        assert!(prices.iter().all(|(event, _)| event == "prices"), "{prices:?}");
        told.push(Vec::from_iter(prices.into_iter().map(|(_, prices)| prices)));
    }
    for (number, prices) in told.iter().enumerate() {
        assert_eq!(prices, &told[number % 2], "all connections of a user hear the same");
        assert!(prices.windows(2).all(|pair| pair[0] != pair[1]), "twice: {prices:?}");
        let symbols = |prices: &Value| prices.as_object().map(|prices| prices.keys().cloned().collect::<Vec<_>>());
        let watched: &[&str] = if number % 2 == 0 { &["ACME", "INIT"] } else { &["OMNI"] };
        for prices in prices {
            assert_eq!(symbols(prices).expect("an object"), watched);
        }
    }
}

#[test]
fn a_login_opens_the_notes_of_its_user_and_no_others() {
    let server = start("login");
    let mut all = members(&server, 2);
    assert_eq!(refusal(&mut all[0], "notes.add", &json!("buy milk")), "UnauthenticatedError");
    let wrong = json!({ "module": "password", "params": { "name": "alice", "password": "guess" } });
    assert_eq!(call(&mut all[0], "auth.login", &wrong)["success"], json!(false));
    for member in &mut all {
        log_in(member, "password", &json!({ "name": "alice", "password": "sesame" }));
        member.subscribe("notes.alice");
    }
    assert_eq!(refusal(&mut all[0], "#subscribe", &json!({ "channel": "notes.bob" })), "UnauthorizedError");
    call(&mut all[0], "notes.add", &json!("buy milk"));
    for member in &mut all {
        assert_eq!(member.publication(), ("notes.alice".to_owned(), json!("buy milk")));
    }
}

#[test]
fn actions_compute_refuse_and_wait() {
    let server = start("rpc");
    let mut member = Member::connect(server.address());
    assert_eq!(call(&mut member, "math.add", &json!([1, 2])), json!(3.0));
    let refused = member.call("math.divide", &json!([1, 0])).expect_err("it cannot be");
    assert_eq!((&refused["name"], &refused["dividend"]), (&json!("DivisionError"), &json!(1.0)));
    let slow = member.start_call("slow.answer", &Value::Null);
    assert_eq!(member.answer(slow), Ok(json!(42)));
}
