//! The application that the binary serves when nobody gives it another: a few actions that show and test what a server
//! can do, a raw echo, and a page on which browser tabs chat. It uses the public API and nothing else, so that it is an
//! example of one; it keeps nothing and trusts nobody.

mod people;

use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::time::sleep;
use crate::{Acknowledged, App, Args, Auth, Error, Login, Page, Peer, RawArgs, Result, Session, UserId, spawn};

/// The demo application.
pub(crate) fn app() -> App {
    let html = Page::new("text/html; charset=utf-8", include_str!("page.html"));
    people::add(App::new())
        .action("app.square", square)
        .action("app.echo", echo)
        .action("app.drop", drop_caller)
        .action("app.shard", shard)
        .action("session.all", session_all)
        .action("session.set", session_set)
        .action("session.increment", session_increment)
        .action("session.rotate", session_rotate)
        .action("session.end", session_end)
        .action("app.login", login)
        .action("app.logout", |peer: Peer| peer.remove_auth_token())
        .action("app.who", |user: Option<Auth<User>>| user.map(|Auth(user)| user.user_id))
        .authentication("guest", guest)
        .authentication("basic", password)
        .action("members.greeting", |UserId(user): UserId| format!("hello, {user}"))
        .require_login("members.*")
        .on_subscribe("members.*", |_: UserId| {})
        .websocket("/echo", |socket, message| socket.send(message))
        .engine_io("/echo.io/", |socket, message| socket.send(message))
        .socket_stream("/engine.io/")
        .realtime_services("/")
        .namespace("/chat")
        .channel_events(true)
        .serve("/", html.header("Content-Security-Policy", CONTENT_POLICY).header("Referrer-Policy", "no-referrer"))
        .page("/page.css", "text/css; charset=utf-8", include_str!("page.css"))
        .page("/page.js", JAVASCRIPT, include_str!("page.js"))
        .page("/socketshard.js", JAVASCRIPT, include_str!("../../client/socketshard.js"))
        .page("/favicon.svg", "image/svg+xml", include_str!("favicon.svg"))
        .serve("/healthz", Page::new("text/plain; charset=utf-8", "ok").header("Cache-Control", "no-store"))
}

/// 25 is 625 and 2.5 is 6.25. Integers stay integers as long as 64 bits hold the square.
async fn square(Args(number): Args<Number>) -> Result<Number> {
    let unsigned = number.as_u64().and_then(|number| number.checked_mul(number)).map(Number::from);
    let signed = || number.as_i64().and_then(|number| number.checked_mul(number)).map(Number::from);
    let float = || number.as_f64().and_then(|number| Number::from_f64(number * number));
    let square = unsigned.or_else(signed).or_else(float);
    square.ok_or_else(|| Error::invalid_arguments("the square of this number is too large"))
}

/// The argument, byte for byte: absent stays absent and `null` stays `null`.
async fn echo(argument: RawArgs) -> RawArgs {
    argument
}

/// Who a caller is, in its token.
#[derive(Deserialize, Serialize)]
struct User {
    user_id: String,
}

/// What a caller says to be somebody.
#[derive(Deserialize)]
struct LoginArgs {
    user: String,
    seconds: Option<u64>,
}

/// Whoever one wants to be, for as long as one likes: this application has nothing to protect.
async fn login(peer: Peer, Args(args): Args<LoginArgs>) -> Result {
    peer.set_auth_token(User { user_id: args.user }, args.seconds.map(Duration::from_secs))
}

/// What a guest says.
#[derive(Deserialize)]
struct Guest {
    name: String,
}

/// A login module that lets in everybody who has a name.
async fn guest(Args(guest): Args<Guest>) -> Login {
    if guest.name.is_empty() { Login::failure().info("a guest has a name") } else { Login::success(guest.name) }
}

/// What a caller by HTTP says.
#[derive(Deserialize)]
struct Password {
    username: String,
    password: String,
}

/// The login module for names and passwords: everybody's password is `guest`.
async fn password(Args(shown): Args<Password>) -> Login {
    let is_good = !shown.username.is_empty() && shown.password == "guest";
    if is_good { Login::success(shown.username) } else { Login::failure() }
}

/// Disconnects the caller shortly after the answer, with a code after which clients come back at once.
async fn drop_caller(peer: Peer) -> Result {
    spawn(async move {
        sleep(DROP_DELAY).await;
        if let Err(error) = peer.disconnect(DROP_CODE, "asked for by app.drop") {
            tracing::warn!(%error, ?peer, "app.drop did not disconnect");
        }
    })
}

/// The number of the shard that the caller is connected to.
async fn shard(peer: Peer) -> usize {
    peer.shard()
}

/// Everything in the caller's session.
async fn session_all(session: Session) -> Result<Map<String, Value>> {
    let parse = |(key, text): (Rc<str>, Rc<str>)| Some((key.to_string(), serde_json::from_str(&text).ok()?));
    Ok(session.get_all().into_iter().filter_map(parse).collect())
}

/// Sets a value for all tabs of the caller's browser; answers, when all have it, whether the store has it too.
async fn session_set(session: Session, Args((key, value)): Args<(String, Value)>) -> Result<bool> {
    let Acknowledged { is_durable } = session.set(&key, &value)?.await?;
    Ok(is_durable)
}

/// Counts in the caller's session; answers the sum.
async fn session_increment(session: Session, Args(key): Args<String>) -> Result<i64> {
    session.increment(&key, 1).await
}

/// Gives the caller's session another id; answers the ticket with which its page fetches the cookie.
async fn session_rotate(session: Session) -> Result<String> {
    session.rotate().await
}

/// Ends the caller's session.
async fn session_end(session: Session) -> Result {
    session.end().map(drop)
}

/// Long enough that the answer leaves in a pass of its own.
const DROP_DELAY: Duration = Duration::from_millis(20);

/// "Pong timed out": SocketCluster's clients of every version reconnect after it without waiting.
const DROP_CODE: u16 = 4001;

/// Scripts, styles and connections of our own only, and no page may frame this one.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
