//! Logins that end before their connections, as the application is told of them, behind a real shard.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::line::{Line, messages};
use crate::app::{App, Args, Auth, Deauthenticated, Disconnected, Error, Peer, Result, State, UserId};
use crate::time::sleep;

type Seen = Rc<RefCell<Vec<String>>>;

fn note(
    what: String,
) -> impl Fn(Option<Auth<Value>>, Option<UserId>, State<Seen>) -> std::future::Ready<()> + Clone + 'static {
    move |claims, user, seen| {
        let claims = claims.map_or(Value::Null, |Auth(claims)| claims["n"].clone());
        let user = user.map_or_else(|| "nobody".to_owned(), |UserId(user)| user);
        seen.borrow_mut().push(format!("{what} {user} {claims}"));
        std::future::ready(())
    }
}

/// Logs in as `[user, a number, seconds]`.
fn log_in(peer: Peer, Args((user, number, seconds)): Args<(Option<String>, u32, u64)>) -> Result {
    let claims = match user {
        Some(user) => json!({ "user_id": user, "n": number }),
        None => json!({ "n": number }),
    };
    peer.set_auth_token(claims, Duration::from_secs(seconds))
}

fn app(seen: &Seen) -> App {
    let told = |claims: Option<Auth<Value>>, user: Option<UserId>, end: Deauthenticated, seen: State<Seen>| {
        note(format!("{end:?}"))(claims, user, seen)
    };
    App::new()
        .state(Rc::clone(seen))
        .action("login", log_in)
        .action("logout", |peer: Peer| peer.remove_auth_token())
        .action("call", note("call".to_owned()))
        .on_deauthenticated(told)
        .on_disconnect(note("disconnect".to_owned()))
}

fn login(user: Option<&str>, number: u32, seconds: u64) -> String {
    json!({ "event": "login", "data": [user, number, seconds], "cid": 2 }).to_string()
}

const CALL: &str = r#"{"event":"call","cid":3}"#;

#[test]
fn every_end_of_a_login_is_told_once_with_whose_it_was() {
    let seen = Seen::default();
    let mut line = Line::shaken(app(&seen));
    line.say(&login(Some("alice"), 1, 60));
    line.say(&login(Some("alice"), 2, 60));
    assert!(seen.borrow().is_empty(), "a token that follows one of the same user ends nothing");
    line.say(&login(Some("bob"), 3, 60));
    assert_eq!(seen.take(), ["Replaced alice 2"]);
    line.say(r#"{"event":"logout","cid":2}"#);
    line.say(r#"{"event":"logout","cid":2}"#);
    assert_eq!(seen.take(), ["Taken bob 3"], "whoever is nobody stops being nobody");
    line.say(&login(None, 4, 60));
    line.say(&login(None, 5, 60));
    assert_eq!(seen.take(), ["Replaced nobody 4"], "of tokens without users each is another");
    line.say(r##"{"event":"#removeAuthToken"}"##);
    assert_eq!(seen.take(), ["Removed nobody 5"]);
    line.say(&login(Some("alice"), 6, 60));
    line.say(r##"{"event":"#authenticate","data":"abc.def.ghi","cid":9}"##);
    assert_eq!(seen.take(), ["Refused alice 6"]);
    line.say(&login(Some("alice"), 7, 60));
    line.say(r##"{"event":"#disconnect","data":{"code":1000}}"##);
    assert_eq!(seen.take(), ["disconnect alice 7"], "that is how it ended, and all that is told");
}

#[test]
fn a_token_that_is_over_is_told_before_what_comes_then() {
    let seen = Seen::default();
    let mut line = Line::shaken(app(&seen));
    line.say(&login(Some("alice"), 1, 2));
    line.pass_after(Duration::from_secs(3));
    assert!(seen.borrow().is_empty(), "nobody has looked");
    line.say(CALL);
    assert_eq!(seen.take(), ["Expired alice 1", "call nobody null"]);
}

#[test]
fn an_end_comes_before_that_of_its_connection_in_the_same_breath() {
    let seen = Seen::default();
    let leave = |peer: Peer| {
        peer.remove_auth_token()?;
        peer.disconnect(4000, "bye")
    };
    let mut line = Line::shaken(app(&seen).action("leave", leave));
    line.say(&login(Some("alice"), 1, 60));
    line.say(r#"{"event":"leave","cid":2}"#);
    assert_eq!(seen.take(), ["Taken alice 1", "disconnect nobody null"]);
}

#[test]
fn what_the_hook_itself_ends_is_not_told_again() {
    let seen = Seen::default();
    let refuse = |peer: Peer, UserId(user): UserId, seen: State<Seen>| {
        seen.borrow_mut().push(user);
        peer.set_auth_token(json!({ "user_id": "carol" }), None)?;
        peer.remove_auth_token()
    };
    let app = App::new()
        .state(Rc::clone(&seen))
        .action("login", log_in)
        .action("me", |user: Option<UserId>| user)
        .on_deauthenticated(refuse);
    let mut line = Line::shaken(app);
    line.say(&login(Some("alice"), 1, 60));
    line.say(&login(Some("bob"), 2, 60));
    assert_eq!(seen.take(), ["alice"]);
    assert_eq!(line.say(r#"{"event":"me","cid":7}"#), [r#"{"rid":7,"data":null}"#]);
    line.say(&login(Some("bob"), 3, 60));
    line.say(&login(Some("dave"), 4, 60));
    assert_eq!(seen.take(), ["bob"], "and the next is told");
}

#[test]
fn a_hook_may_wait_and_may_fail() {
    let seen = Seen::default();
    let slow = |end: Deauthenticated, seen: State<Seen>| async move {
        sleep(Duration::from_millis(5)).await;
        seen.borrow_mut().push(format!("{end:?}"));
        Err::<(), _>(Error::unauthorized())
    };
    let app = App::new()
        .state(Rc::clone(&seen))
        .action("login", log_in)
        .action("logout", |peer: Peer| peer.remove_auth_token())
        .on_deauthenticated(slow);
    let mut line = Line::shaken(app);
    line.say(&login(Some("alice"), 1, 60));
    assert_eq!(line.say(r#"{"event":"logout","cid":3}"#).len(), 2, "nobody waits for it");
    assert!(messages(line.pass_after(Duration::from_millis(5))).is_empty());
    assert_eq!(seen.take(), ["Taken"]);
}

#[test]
#[should_panic(expected = "on_deauthenticated hook takes Disconnected")]
fn what_is_not_there_is_not_taken() {
    let _ = Line::shaken(App::new().on_deauthenticated(|_: Disconnected| {}));
}
