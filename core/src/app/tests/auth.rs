//! Logins as a client sees them, behind a real shard: tokens before answers, what a token lets in, how it ends.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::line::Line;
use crate::app::{App, Args, Auth, Channel, Disconnected, Error, Login, Peer, Result, State};
use crate::time::sleep;

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct User {
    name: String,
}

const UNAUTHENTICATED: &str = r#"{"message":"log in first","name":"UnauthenticatedError"}"#;
const REMOVED: &str = r##"{"event":"#removeAuthToken"}"##;

async fn login(peer: Peer, Args(name): Args<String>) -> Result {
    peer.set_auth_token(User { name }, None)
}

async fn who(user: Option<Auth<User>>) -> Option<String> {
    user.map(|Auth(user)| user.name)
}

fn app() -> App {
    App::new()
        .action("login", login)
        .action("who", who)
        .action("mine", |Auth(user): Auth<User>| user.name)
        .action("logout", |peer: Peer| peer.remove_auth_token())
}

/// The token in a `#setAuthToken`, and its claims.
fn token(packet: &str) -> (String, Value) {
    let packet: Value = serde_json::from_str(packet).expect("packets are JSON");
    assert_eq!(packet["event"], "#setAuthToken");
    let token = packet["data"]["token"].as_str().expect("a token").to_owned();
    // Without a key, as clients do.
    let claims = jsonwebtoken::dangerous::insecure_decode_claims(&token).expect("it was just signed");
    (token, claims)
}

fn handshake(token: &str) -> String {
    format!(r##"{{"event":"#handshake","data":{{"authToken":"{token}"}},"cid":1}}"##)
}

fn authenticate(token: &str) -> String {
    format!(r##"{{"event":"#authenticate","data":"{token}","cid":9}}"##)
}

/// The part of a handshake's answer behind its random id.
fn status(answer: &str) -> &str {
    answer.split_once(r#""pingTimeout":20000,"#).expect("a handshake's answer").1
}

#[test]
fn a_token_reaches_the_client_before_the_answer_of_the_call_that_set_it() {
    let mut line = Line::shaken(app());
    assert_eq!(line.say(r#"{"event":"who","cid":2}"#), [r#"{"rid":2,"data":null}"#]);
    assert_eq!(line.say(r#"{"event":"mine","cid":3}"#), [format!(r#"{{"rid":3,"error":{UNAUTHENTICATED}}}"#)]);
    let seen = line.say(r#"{"event":"login","data":"alice","cid":4}"#);
    let (_, claims) = token(&seen[0]);
    assert_eq!((&claims["name"], seen[1].as_str(), seen.len()), (&"alice".into(), r#"{"rid":4}"#, 2));
    assert_eq!(claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(end, start)| end - start), Some(86_400));
    assert_eq!(line.say(r#"{"event":"mine","cid":5}"#), [r#"{"rid":5,"data":"alice"}"#]);
    let switched = line.say(r#"[{"event":"login","data":"bob","cid":6},{"event":"who","cid":7}]"#);
    assert_eq!(switched[1..], [r#"{"rid":6}"#, r#"{"rid":7,"data":"bob"}"#]);
    assert_eq!(line.say(r#"{"event":"logout","cid":8}"#), [REMOVED, r#"{"rid":8}"#]);
    assert_eq!(line.say(r#"{"event":"who","cid":9}"#), [r#"{"rid":9,"data":null}"#]);
}

#[test]
fn an_async_action_sets_the_token_before_its_answer_too() {
    async fn slow(peer: Peer) -> Result<u8> {
        sleep(Duration::from_millis(1)).await;
        peer.set_auth_token(User { name: "late".to_owned() }, None)?;
        sleep(Duration::from_millis(1)).await;
        Ok(1)
    }
    let mut line = Line::shaken(app().action("slow", slow));
    assert!(line.say(r#"{"event":"slow","cid":2}"#).is_empty());
    let seen = super::line::messages(line.pass_after(Duration::from_millis(1)));
    assert_eq!(token(&seen[0]).1["name"], "late");
    assert_eq!(line.say(r#"{"event":"who","cid":3}"#), [r#"{"rid":3,"data":"late"}"#]);
    assert_eq!(super::line::messages(line.pass_after(Duration::from_millis(1))), [r#"{"rid":2,"data":1}"#]);
}

#[test]
fn a_token_opens_the_next_connection_and_changes_this_one() {
    let app = app();
    let common = super::common();
    let mut line = Line::shaken_with(app, common.clone());
    let (good, _) = token(&line.say(r#"{"event":"login","data":"alice","cid":2}"#)[0]);
    let mut next = Line::open_with(self::app(), "/socketcluster/", common);
    let seen = next.say(&handshake(&good));
    assert_eq!((status(&seen[0]), seen.len()), (r#""isAuthenticated":true}}"#, 1));
    assert_eq!(next.say(r#"{"event":"mine","cid":2}"#), [r#"{"rid":2,"data":"alice"}"#]);
    assert!(next.say(r##"{"event":"#removeAuthToken"}"##).is_empty(), "the client says so, and that is that");
    assert_eq!(next.say(r#"{"event":"who","cid":3}"#), [r#"{"rid":3,"data":null}"#]);
    let answer = r#"{"rid":9,"data":{"isAuthenticated":true,"authError":null}}"#;
    assert_eq!(next.say(&authenticate(&good)), [answer]);
    assert_eq!(next.say(r#"{"event":"who","cid":4}"#), [r#"{"rid":4,"data":"alice"}"#]);
    let bad = next.say(&authenticate("abc.def.ghi"));
    let error = r#"{"rid":9,"error":{"message":"invalid token","name":"AuthTokenInvalidError","isBadToken":true}}"#;
    assert_eq!(bad, [error, REMOVED]);
    assert_eq!(next.say(r#"{"event":"who","cid":5}"#), [r#"{"rid":5,"data":null}"#], "whoever it was before");
}

#[test]
fn a_bad_token_in_the_handshake_is_a_soft_failure() {
    let mut line = Line::open(app(), "/socketcluster/");
    let seen = line.say(&handshake("not-a-jwt"));
    let expected = concat!(
        r#""authError":{"message":"jwt malformed","name":"AuthTokenInvalidError","isBadToken":true},"#,
        r#""isAuthenticated":false}}"#
    );
    assert_eq!((status(&seen[0]), seen[1].as_str(), seen.len()), (expected, REMOVED, 2));
    assert_eq!(line.say(r#"{"event":"who","cid":2}"#), [r#"{"rid":2,"data":null}"#], "the connection lives");
}

#[test]
fn clients_of_version_1_are_told_in_their_own_way() {
    let mut line = Line::open(app(), "/socketcluster/?protocolVersion=1");
    let seen = line.say(&handshake("not-a-jwt"));
    assert_eq!(seen[0], REMOVED);
    let error = r#"{"message":"jwt malformed","name":"AuthTokenInvalidError"}"#;
    assert_eq!(status(&seen[1]), format!(r#""authError":{error},"isAuthenticated":false}}}}"#));
    let answer = format!(r#"{{"rid":9,"error":{error},"data":{{"isAuthenticated":false,"authError":{error}}}}}"#);
    assert_eq!(line.say(&authenticate("not-a-jwt")), [REMOVED, answer.as_str()]);
    assert_eq!(line.say(r##"{"event":"#authenticate","data":"abc"}"##), [REMOVED], "without a call, no answer");
}

#[test]
fn a_message_after_the_expiry_is_nobodys() {
    async fn brief(peer: Peer) -> Result {
        peer.set_auth_token(User { name: "brief".to_owned() }, Duration::from_secs(30))
    }
    let mut line = Line::shaken(app().action("brief", brief));
    line.say(r#"{"event":"brief","cid":2}"#);
    // Heard every few seconds, or it would count as gone.
    for _ in 0..5 {
        line.pass_after(Duration::from_secs(5));
        assert!(line.say("").is_empty());
    }
    assert_eq!(line.say(r#"{"event":"who","cid":3}"#), [r#"{"rid":3,"data":"brief"}"#]);
    line.pass_after(Duration::from_secs(5));
    assert_eq!(line.say(r#"{"event":"who","cid":4}"#), [REMOVED, r#"{"rid":4,"data":null}"#]);
    line.say(r#"{"event":"brief","cid":5}"#);
    for _ in 0..6 {
        line.pass_after(Duration::from_secs(5));
        line.say(r#"{"event":"nothing"}"#);
    }
    assert_eq!(line.say(r#"{"event":"who","cid":6}"#), [r#"{"rid":6,"data":null}"#]);
}

#[test]
fn a_guarded_namespace_answers_strangers_with_an_error() {
    let secret = || "secret";
    let app = app().action("admin.a", secret).action("admin.b.c", secret).action("administer", secret);
    let mut line = Line::shaken(app.require_login("admin.*"));
    for action in ["admin.a", "admin.b.c"] {
        let call = format!(r#"{{"event":"{action}","cid":2}}"#);
        assert_eq!(line.say(&call), [format!(r#"{{"rid":2,"error":{UNAUTHENTICATED}}}"#)]);
    }
    assert_eq!(line.say(r#"{"event":"administer","cid":3}"#), [r#"{"rid":3,"data":"secret"}"#]);
    line.say(r#"{"event":"login","data":"alice","cid":4}"#);
    assert_eq!(line.say(r#"{"event":"admin.b.c","cid":5}"#), [r#"{"rid":5,"data":"secret"}"#]);
}

#[test]
#[should_panic(expected = "guards no action")]
fn a_guard_that_guards_nothing_stops_the_start() {
    let _ = Line::open(app().require_login("admim.*"), "/socketcluster/");
}

#[test]
fn the_authenticate_hook_may_refuse_a_good_token() {
    async fn banned(Auth(user): Auth<User>) -> Result {
        if user.name == "slow" {
            sleep(Duration::from_millis(5)).await;
        }
        if user.name == "alice" { Ok(()) } else { Err(Error::new("BannedError", "not you").with("until", 7)) }
    }
    let common = super::common();
    let mut line = Line::shaken_with(app(), common.clone());
    let mut sign = |name: &str| token(&line.say(&format!(r#"{{"event":"login","data":"{name}","cid":2}}"#))[0]).0;
    let (alice, bob, slow) = (sign("alice"), sign("bob"), sign("slow"));
    let open = || Line::open_with(app().on_authenticate(banned), "/socketcluster/", common.clone());
    let mut good = open();
    assert_eq!(status(&good.say(&handshake(&alice))[0]), r#""isAuthenticated":true}}"#);
    let error = r#"{"message":"not you","name":"BannedError","until":7}"#;
    assert_eq!(
        good.say(&authenticate(&bob)),
        [format!(r#"{{"rid":9,"data":{{"isAuthenticated":false,"authError":{error}}}}}"#)]
    );
    assert_eq!(good.say(r#"{"event":"who","cid":3}"#), [r#"{"rid":3,"data":null}"#]);
    let mut refused = open();
    let seen = refused.say(&handshake(&bob));
    assert_eq!(
        (status(&seen[0]), seen.len()),
        (format!(r#""authError":{error},"isAuthenticated":false}}}}"#).as_str(), 1)
    );
    let mut pending = open();
    assert!(pending.say(&handshake(&slow)).is_empty());
    assert!(pending.say(r#"{"event":"who","cid":2}"#).is_empty(), "what follows waits");
    let seen = super::line::messages(pending.pass_after(Duration::from_millis(5)));
    assert_eq!(status(&seen[0]), format!(r#""authError":{error},"isAuthenticated":false}}}}"#));
    assert_eq!(seen[1..], [r#"{"rid":2,"data":null}"#]);
}

#[test]
fn a_pending_hook_for_the_token_is_followed_by_a_pending_hook_for_the_connection() {
    async fn slow() {
        sleep(Duration::from_millis(5)).await;
    }
    let common = super::common();
    let mut line = Line::shaken_with(app(), common.clone());
    let (good, _) = token(&line.say(r#"{"event":"login","data":"alice","cid":2}"#)[0]);
    let mut next = Line::open_with(app().on_authenticate(slow).on_connect(slow), "/socketcluster/", common);
    assert!(next.say(&handshake(&good)).is_empty());
    assert!(next.say(r#"{"event":"who","cid":2}"#).is_empty());
    assert!(next.pass_after(Duration::from_millis(5)).is_empty(), "one has decided");
    assert!(next.say(r#"{"event":"who","cid":3}"#).is_empty(), "and all still waits");
    let seen = super::line::messages(next.pass_after(Duration::from_millis(5)));
    assert_eq!(status(&seen[0]), r#""isAuthenticated":true}}"#);
    assert_eq!(seen[1..], [r#"{"rid":2,"data":"alice"}"#, r#"{"rid":3,"data":"alice"}"#]);
    assert_eq!(next.say(&authenticate("abc")).len(), 2, "a bad one needs no hook");
    assert!(next.say(&authenticate(&good)).is_empty());
    let seen = super::line::messages(next.pass_after(Duration::from_millis(5)));
    assert_eq!(seen, [r#"{"rid":9,"data":{"isAuthenticated":true,"authError":null}}"#]);
}

#[test]
fn hooks_see_who_it_is() {
    type Seen = Rc<RefCell<Vec<String>>>;
    let seen = Seen::default();
    let note = |what: &'static str| {
        move |user: Option<Auth<User>>, seen: State<Seen>| {
            let user = user.map_or_else(|| "nobody".to_owned(), |Auth(user)| user.name);
            seen.borrow_mut().push(format!("{what} {user}"));
        }
    };
    let watched = || {
        let members = |Auth(_): Auth<User>, Channel(_): Channel| {};
        app()
            .state(Rc::clone(&seen))
            .on_connect(note("connect"))
            .on_subscribe("club", members)
            .on_publish("*", note("publish"))
            .on_disconnect(note("disconnect"))
            .on_disconnect(|_: Disconnected| {})
    };
    let common = super::common();
    let mut line = Line::shaken_with(watched(), common.clone());
    let refused = line.say(r##"{"event":"#subscribe","data":{"channel":"club"},"cid":2}"##);
    assert_eq!(refused, [format!(r#"{{"rid":2,"error":{UNAUTHENTICATED}}}"#)]);
    let (good, _) = token(&line.say(r#"{"event":"login","data":"alice","cid":3}"#)[0]);
    assert_eq!(line.say(r##"{"event":"#subscribe","data":{"channel":"club"},"cid":4}"##), [r#"{"rid":4}"#]);
    line.say(r##"{"event":"#publish","data":{"channel":"a"},"cid":5}"##);
    line.say(r##"{"event":"#disconnect","data":{"code":1000}}"##);
    assert_eq!(seen.take(), ["connect nobody", "publish alice", "disconnect alice"]);
    let mut next = Line::open_with(watched(), "/socketcluster/", common);
    next.say(&handshake(&good));
    assert_eq!(seen.take(), ["connect alice"]);
}

#[test]
fn claims_of_another_shape_are_told_apart_from_none() {
    let brief = |peer: Peer| peer.set_auth_token(serde_json::json!({"id": 7}), None);
    let mut line = Line::shaken(app().action("brief", brief));
    line.say(r#"{"event":"brief","cid":2}"#);
    let error = r#"{"message":"the token does not say what is needed here: log in again","name":"ClaimsError"}"#;
    for action in ["mine", "who"] {
        let call = format!(r#"{{"event":"{action}","cid":3}}"#);
        assert_eq!(line.say(&call), [format!(r#"{{"rid":3,"error":{error}}}"#)]);
    }
}

#[test]
fn modules_log_in_by_name() {
    #[derive(Deserialize)]
    struct Password {
        user: String,
        password: String,
    }
    async fn password(Args(given): Args<Password>) -> Login {
        sleep(Duration::from_millis(1)).await;
        if given.password == "sesame" { Login::success(given.user) } else { Login::failure().info("wrong") }
    }
    let closed = || -> Result<Login> { Err(Error::busy()) };
    let app = App::new()
        .authentication("password", password)
        .authentication("guest", || Login::success("guest").info([1]))
        .authentication("closed", closed)
        .action("me", |Auth(claims): Auth<Value>| claims["user_id"].clone());
    let mut line = Line::shaken(app);
    let login = |module: &str, params: &str| {
        format!(r#"{{"event":"auth.login","data":{{"module":"{module}","params":{params}}},"cid":2}}"#)
    };
    let seen = line.say(&login("guest", "null"));
    let (_, claims) = token(&seen[0]);
    assert_eq!((&claims["user_id"], &claims["module"]), (&"guest".into(), &"guest".into()));
    assert_eq!(seen[1..], [r#"{"rid":2,"data":{"success":true,"user_id":"guest","info":[1]}}"#]);
    assert!(line.say(&login("password", r#"{"user":"bob","password":"x"}"#)).is_empty());
    let seen = super::line::messages(line.pass_after(Duration::from_millis(1)));
    assert_eq!(seen, [r#"{"rid":2,"data":{"success":false,"info":"wrong"}}"#]);
    assert_eq!(line.say(r#"{"event":"me","cid":3}"#), [r#"{"rid":3,"data":"guest"}"#], "who fails stays who it was");
    line.say(&login("password", r#"{"user":"bob","password":"sesame"}"#));
    let seen = super::line::messages(line.pass_after(Duration::from_millis(1)));
    assert_eq!(token(&seen[0]).1["module"], "password");
    assert_eq!(seen[1..], [r#"{"rid":2,"data":{"success":true,"user_id":"bob"}}"#]);
    for (module, params, name) in
        [("closed", "1", "BusyError"), ("nowhere", "1", "NotFoundError"), ("password", "1", "InvalidArgumentsError")]
    {
        let seen = line.say(&login(module, params));
        assert!(seen.len() == 1 && seen[0].contains(name), "{module}: {seen:?}");
    }
    assert!(line.say(r#"{"event":"auth.login","data":"guest","cid":4}"#)[0].contains("InvalidArgumentsError"));
    assert_eq!(line.say(r#"{"event":"auth.logout","cid":5}"#), [REMOVED, r#"{"rid":5}"#]);
    assert!(line.say(r#"{"event":"me","cid":6}"#)[0].contains("UnauthenticatedError"));
}

#[test]
fn without_modules_there_is_no_login_action() {
    let mut line = Line::shaken(app());
    assert!(line.say(r#"{"event":"auth.login","cid":2}"#)[0].contains("UnknownActionError"));
}
