//! The hooks that stand before everything else: about the request for a WebSocket, and about each call of an action.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use codec::websocket::{Opcode, encode};

use super::line::{Line, messages, request};
use super::{Outcome, World, answers, common, data};
use crate::app::{ActionName, App, Args, Auth, Channel, Error, Peer, Request, Result, Session, State};
use crate::time::sleep;

type Seen = Rc<RefCell<Vec<String>>>;

fn status(answer: &[u8]) -> &str {
    let line = answer.split(|byte| *byte == b'\r').next().expect("a split has a first part");
    std::str::from_utf8(line).expect("a status line is text")
}

fn guarded() -> App {
    fn guard(request: Request, peer: Peer, seen: State<Seen>) -> Result {
        let key = request.header("X-KEY");
        seen.borrow_mut().push(format!("{} {:?} {:?} {}", request.path(), request.query(), key, peer.address()));
        match key {
            Some("sesame") => Ok(()),
            Some(_) => Err(Error::new("KeyError", "not this one").status(401)),
            None => Err(Error::unauthorized()),
        }
    }
    App::new().state(Seen::default()).on_handshake(guard).websocket("/raw", |socket, message| socket.send(message))
}

#[test]
fn a_handshake_hook_sees_the_request_and_may_refuse_it_with_a_status() {
    for path in ["/socketcluster/?a=b", "/raw?a=b", "/nowhere?a=b"] {
        let mut line = Line::accepted(guarded(), common());
        let answer = line.exchange(request(path, &[("x-key", "open")]));
        assert_eq!(status(&answer), "HTTP/1.1 401 Unauthorized", "{path}");
        assert!(answer.ends_with(br#"{"message":"not this one","name":"KeyError"}"#), "{path}");
        let mut line = Line::accepted(guarded(), common());
        assert_eq!(status(&line.exchange(request(path, &[]))), "HTTP/1.1 403 Forbidden", "{path}");
    }
    let seen = Seen::default();
    let app = App::new().state(Rc::clone(&seen)).on_handshake(|request: Request, seen: State<Seen>| {
        seen.borrow_mut().push(format!("{} {:?} {:?}", request.path(), request.query(), request.header("X-Key")));
    });
    let mut line = Line::accepted(app, common());
    let answer = line.exchange(request("/socketcluster/?a=b", &[("x-key", "sesame")]));
    assert_eq!(status(&answer), "HTTP/1.1 101 Switching Protocols");
    assert_eq!(seen.take(), [r#"/socketcluster/ Some("a=b") Some("sesame")"#]);
}

#[test]
fn pages_are_not_asked_about() {
    let mut line = Line::accepted(guarded().page("/", "text/plain", "hello"), common());
    assert_eq!(status(&line.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec())), "HTTP/1.1 200 OK");
}

#[test]
fn a_handshake_hook_may_wait_and_what_follows_the_request_waits_with_it() {
    async fn slow(request: Request) -> Result {
        sleep(Duration::from_millis(5)).await;
        if request.query() == Some("in") { Ok(()) } else { Err(Error::unauthorized().status(401)) }
    }
    let app = || App::new().on_handshake(slow).websocket("/raw", |socket, message| socket.send(message));
    let mut line = Line::accepted(app(), common());
    let mut bytes = request("/raw?in", &[]);
    encode::masked_frame(&mut bytes, Opcode::Text, [1; 4], b"early");
    assert!(line.exchange(bytes).is_empty());
    assert!(line.say("later").is_empty());
    let answer = line.pass_after(Duration::from_millis(5));
    assert_eq!(status(&answer), "HTTP/1.1 101 Switching Protocols");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    assert_eq!(messages(answer[end..].to_vec()), ["early", "later"]);
    assert_eq!(line.say("more"), ["more"]);

    let mut line = Line::accepted(app(), common());
    assert!(line.exchange(request("/raw?out", &[])).is_empty());
    assert_eq!(status(&line.pass_after(Duration::from_millis(5))), "HTTP/1.1 401 Unauthorized");
}

#[test]
#[should_panic(expected = "on_handshake hook takes Session")]
fn there_is_no_session_before_the_handshake() {
    let _ = World::new(App::new().on_handshake(|_: Session| {}));
}

#[test]
fn an_invoke_hook_is_asked_before_actions_that_match() {
    fn check(ActionName(name): ActionName, Args(word): Args<Option<String>>, seen: State<Seen>) -> Result {
        seen.borrow_mut().push(name);
        if word.as_deref() == Some("sesame") { Ok(()) } else { Err(Error::new("WordError", "no").with("tries", 1)) }
    }
    let seen = Seen::default();
    let app = App::new()
        .state(Rc::clone(&seen))
        .action("admin.open", |Args(word): Args<String>| word)
        .action("chat.say", || "said")
        .on_invoke("admin.*", check);
    let mut world = World::new(app);
    assert_eq!(world.call("admin.open", Some(r#""sesame""#)), data(r#""sesame""#));
    let refused = Outcome::Error(r#"{"message":"no","name":"WordError","tries":1}"#.to_owned());
    assert_eq!(world.call("admin.open", Some(r#""melon""#)), refused);
    assert_eq!(world.call("chat.say", None), data(r#""said""#));
    assert_eq!(world.call("admin.shut", None), Outcome::Unknown);
    assert_eq!(seen.take(), ["admin.open", "admin.open"]);
}

#[test]
fn an_action_behind_a_pending_hook_runs_when_it_has_allowed() {
    async fn slow(Args(number): Args<u32>) -> Result {
        sleep(Duration::from_millis(5)).await;
        if number < 10 { Ok(()) } else { Err(Error::new("SizeError", "too large")) }
    }
    async fn double(Args(number): Args<u32>, seen: State<Seen>) -> u32 {
        seen.borrow_mut().push(format!("double {number}"));
        sleep(Duration::from_millis(5)).await;
        2 * number
    }
    let seen = Seen::default();
    let app = App::new()
        .state(Rc::clone(&seen))
        .action("double", double)
        .action("whole", |Args(number): Args<u32>| number)
        .on_invoke("*", slow);
    let mut world = World::new(app);
    let [Outcome::Pending(first), Outcome::Pending(second), Outcome::Pending(third)] =
        [("double", "4"), ("double", "40"), ("whole", "7")].map(|(action, number)| world.call(action, Some(number)))
    else {
        panic!("all wait for the hook");
    };
    assert!(world.run().is_empty() && seen.borrow().is_empty());
    let commands = world.run_after(Duration::from_millis(5));
    let refused = Outcome::Error(r#"{"message":"too large","name":"SizeError"}"#.to_owned());
    let mut told = answers(commands);
    told.sort_by_key(|(ticket, _)| *ticket);
    assert_eq!(told, [(second, refused), (third, data("7"))]);
    assert_eq!(seen.take(), ["double 4"]);
    assert_eq!(answers(world.run_after(Duration::from_millis(5))), [(first, data("8"))]);
}

#[test]
fn a_panicking_invoke_hook_fails_the_call_and_the_action_is_not_run() {
    let app = App::new().action("a", || -> u8 { unreachable!("the hook panics") }).on_invoke("a", || -> () {
        panic!("as asked");
    });
    let mut world = World::new(app);
    let internal = Outcome::Error(r#"{"message":"internal error","name":"InternalError"}"#.to_owned());
    assert_eq!(world.call("a", None), internal);
    assert_eq!(world.host.counters()[0], ("panics", 1));
}

#[test]
fn an_invoke_hook_knows_who_calls() {
    let app = App::new().action("a", || 1).on_invoke("a", |auth: Option<Auth<serde_json::Value>>| match auth {
        Some(Auth(claims)) if claims["user_id"] == "ann" => Ok(()),
        _ => Err(Error::unauthenticated()),
    });
    let mut world = World::new(app);
    assert!(matches!(world.call("a", None), Outcome::Error(error) if error.contains("UnauthenticatedError")));
}

#[test]
fn a_publish_out_hook_decides_for_each_copy() {
    fn even(Channel(channel): Channel, Args(number): Args<u32>, peer: Peer, seen: State<Seen>) -> Result {
        seen.borrow_mut().push(format!("{channel} {number} {}", peer.address().port()));
        if number % 2 == 0 { Ok(()) } else { Err(Error::unauthorized()) }
    }
    let seen = Seen::default();
    let mut line = Line::shaken(App::new().state(Rc::clone(&seen)).on_publish_out("even.*", even));
    for channel in ["even.a", "all"] {
        line.say(&format!(r##"{{"event":"#subscribe","data":{{"channel":"{channel}"}},"cid":2}}"##));
        line.say(&format!(r##"{{"event":"#publish","data":{{"channel":"{channel}","data":1}}}}"##));
    }
    let publish = r##"{"event":"#publish","data":{"channel":"even.a","data":2},"cid":3}"##;
    let heard = r##"{"event":"#publish","data":{"channel":"even.a","data":2}}"##;
    assert_eq!(line.say(publish), [heard, r#"{"rid":3}"#], "its own publication before the acknowledgement");
    assert_eq!(seen.take(), ["even.a 1 4000", "even.a 2 4000"], "other channels are not asked about");
}

#[test]
fn a_publish_out_hook_that_waits_or_panics_delivers_nothing() {
    async fn waits() {
        sleep(Duration::from_millis(1)).await;
    }
    async fn ready() {}
    let app = App::new().on_publish_out("waits", waits).on_publish_out("panics", || -> () { panic!("as asked") });
    let mut line = Line::shaken(app.on_publish_out("ready", ready));
    for channel in ["waits", "panics", "ready"] {
        line.say(&format!(r##"{{"event":"#subscribe","data":{{"channel":"{channel}"}},"cid":2}}"##));
        let seen = line.say(&format!(r##"{{"event":"#publish","data":{{"channel":"{channel}","data":1}}}}"##));
        assert_eq!(seen.len(), usize::from(channel == "ready"), "{channel}");
    }
}
