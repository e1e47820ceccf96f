//! One call by HTTP, from its credentials to its answer: a connection that is let in, makes its call and leaves. Nothing
//! of it outlives the answer; when nobody waits for that any more, it is dropped where it stands.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use codec::json::JsonLimits;
use codec::message::RawJson;
use codec::socketcluster::Dialect;
use serde_json::json;
use shard::{Command, ConnectionId, Disconnect, Door, Reply, Request, Ticket, TokenError};

use super::arguments::{argument, decode};
use super::credentials::Credentials;
use super::way::Way;
use crate::app::application::App;
use crate::app::call::{Call, Occasion};
use crate::app::error::{Error, Result};
use crate::app::handler::Step;
use crate::app::hooks::tell;
use crate::app::local::Local;
use crate::app::tasks::Work;

/// Connections whose request is being answered, and the token that the answer is to bring.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    tokens: RefCell<HashMap<ConnectionId, Option<Box<str>>, foldhash::fast::RandomState>>,
}

impl Exchanges {
    /// Keeps a token for the answer; gives it back where none is being made.
    pub(crate) fn give(&self, connection: ConnectionId, token: Box<str>) -> std::result::Result<(), Box<str>> {
        match self.tokens.borrow_mut().get_mut(&connection) {
            Some(place) => {
                *place = Some(token);
                Ok(())
            }
            None => Err(token),
        }
    }

    /// Takes back what was to be given.
    pub(crate) fn take(&self, connection: ConnectionId) -> Option<Box<str>> {
        self.tokens.borrow_mut().get_mut(&connection).and_then(Option::take)
    }
}

/// A call by HTTP.
pub(crate) struct Exchange {
    app: Rc<App>,
    local: Rc<Local>,
    peer: shard::Peer,
    action: Rc<str>,
    data: Option<Box<str>>,
    credentials: Credentials,
    /// Names and passwords may travel here.
    takes_basic: bool,
    way: Way,
}

/// An answer that is none of the action's: an error object, and what to show to be let in.
struct Objection {
    json: Vec<u8>,
    challenge: Option<&'static str>,
    /// A hook's: 403 where the error says nothing better.
    is_refusal: bool,
}

impl From<Error> for Objection {
    fn from(error: Error) -> Self {
        let mut json = Vec::new();
        error.write(&mut json);
        Self { json, challenge: None, is_refusal: false }
    }
}

impl Exchange {
    /// The call that a request asks for. `path` is what stands behind the API's prefix.
    ///
    /// # Errors
    /// The answer, when there is nothing to call or nothing to call it with.
    pub(crate) fn new(
        app: &Rc<App>,
        local: &Rc<Local>,
        peer: shard::Peer,
        request: Request<'_>,
        path: &str,
        takes_basic: bool,
        way: &Way,
    ) -> Result<Self> {
        let action = find(app, path)?;
        let limits: JsonLimits = local.common.json;
        let data = argument(request.head, request.body, limits)?;
        // What is shown at the admin listener is its own key.
        let is_admin = peer.door == Door::Admin;
        let credentials = if is_admin { Credentials::None } else { Credentials::of(request.head)? };
        let (app, local) = (Rc::clone(app), Rc::clone(local));
        Ok(Self { app, local, peer, action, data, credentials, takes_basic, way: way.clone() })
    }

    /// The action's name.
    pub(crate) const fn action(&self) -> &Rc<str> {
        &self.action
    }

    /// Makes the call: the response.
    pub(crate) async fn run(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.local.exchanges.tokens.borrow_mut().insert(self.peer.connection, None);
        let mut visit = Visit { exchange: &self, identity: None, is_admitted: false };
        let outcome = visit.answer().await;
        let token = self.local.exchanges.take(self.peer.connection);
        drop(visit);
        let mut headers: Vec<(&str, &str)> = token.as_deref().map(|token| ("Auth-Token", token)).into_iter().collect();
        match outcome {
            Ok(reply) => match reply.outcome() {
                Ok(data) => {
                    let json = data.unwrap_or(RawJson::NULL).as_str();
                    self.way.write(&mut out, 200, &headers, json.as_bytes());
                }
                Err(error) => {
                    if error.as_str().contains("\"UnauthenticatedError\"") {
                        headers.push(("WWW-Authenticate", self.challenge()));
                    }
                    self.way.write_error_json(&mut out, error.as_str().as_bytes(), 400, &headers);
                }
            },
            Err(Objection { json, challenge, is_refusal }) => {
                headers.extend(challenge.map(|challenge| ("WWW-Authenticate", challenge)));
                self.way.write_error_json(&mut out, &json, if is_refusal { 403 } else { 400 }, &headers);
            }
        }
        out
    }

    /// Whoever shows what does not count is counted, where that is limited.
    fn count_failure(&self) {
        if let Err(error) = self.local.commands.push(Command::LoginFailed { connection: self.peer.connection }) {
            tracing::warn!(%error, "a failed login is not counted");
        }
    }

    /// What a caller is asked to show.
    fn challenge(&self) -> &'static str {
        if self.takes_basic && self.app.logins.has(&self.local.common.http.api_basic) { BASIC } else { BEARER }
    }

    /// Whose the session is that the request has named.
    fn session_user(&self) -> Option<Box<str>> {
        self.local.sessions()?.of_peer(self.peer)?.user()
    }

    fn call<'a>(&'a self, occasion: Occasion, identity: Option<&'a Identity>, subject: &'a str) -> Call<'a> {
        Call {
            local: &self.local,
            occasion,
            peer: Some(self.peer),
            claims: identity.and_then(|identity| identity.claims.as_deref()),
            user: identity.and_then(|identity| identity.user.as_deref()),
            subject,
            data: None,
            disconnect: None,
            login_end: None,
            request: None,
        }
    }
}

/// Who a caller has shown to be: by its credentials, or by its session, which has no claims.
struct Identity {
    claims: Option<Box<str>>,
    user: Option<Box<str>>,
}

/// A caller on its way through: what it has become so far, and what it is owed.
struct Visit<'a> {
    exchange: &'a Exchange,
    identity: Option<Identity>,
    /// The connect hooks let it in.
    is_admitted: bool,
}

impl Visit<'_> {
    async fn answer(&mut self) -> std::result::Result<Reply, Objection> {
        let exchange = self.exchange;
        self.identity = self.authenticate().await?;
        let asked = exchange.app.connect.ask(Ticket(0), &exchange.call(Occasion::Connect, self.identity.as_ref(), ""));
        verdict(asked).await.map_err(refused)?;
        self.is_admitted = true;
        let Some(entry) = exchange.app.actions.get(&exchange.action) else {
            return Err(unknown(&exchange.action).into());
        };
        if entry.requires_login && self.identity.is_none() {
            let challenge = Some(exchange.challenge());
            return Err(Objection { challenge, ..Error::unauthenticated().into() });
        }
        let data = exchange.data.as_deref().map(RawJson::from_validated);
        let asked = {
            let call = Call { data, ..exchange.call(Occasion::Invoke, self.identity.as_ref(), &exchange.action) };
            exchange.app.invoke.ask(Ticket(0), &call)
        };
        verdict(asked).await.map_err(refused)?;
        let mut reply = Reply::default();
        let pending = {
            let call = Call { data, ..exchange.call(Occasion::Action, self.identity.as_ref(), &exchange.action) };
            entry.action.call(&call, &mut reply)
        };
        Ok(match pending {
            Some(pending) => pending.await,
            None => reply,
        })
    }

    /// Whose the caller is.
    async fn authenticate(&self) -> std::result::Result<Option<Identity>, Objection> {
        let exchange = self.exchange;
        match &exchange.credentials {
            Credentials::None => Ok(exchange.session_user().map(|user| Identity { claims: None, user: Some(user) })),
            Credentials::Bearer(token) => {
                let verified = exchange.local.common.authority.verify(token).map_err(|error| {
                    // One that was good once, or will be, is no attempt at anything.
                    if !matches!(error, TokenError::Expired { .. } | TokenError::NotActive { .. }) {
                        exchange.count_failure();
                    }
                    let mut json = Vec::new();
                    error.write(Dialect::V2, &mut json);
                    Objection { json, challenge: Some(BAD_TOKEN), is_refusal: false }
                })?;
                let user = verified.user.or_else(|| exchange.session_user());
                let identity = Identity { claims: Some(verified.claims), user };
                let asked = {
                    let call = exchange.call(Occasion::Authenticate, Some(&identity), "");
                    exchange.app.authenticate.ask(Ticket(0), &call)
                };
                verdict(asked).await.map_err(refused)?;
                Ok(Some(identity))
            }
            Credentials::Basic(name, password) => self.log_in(name, password).await.map(Some),
        }
    }

    /// Asks the application's login module.
    async fn log_in(&self, name: &str, password: &str) -> std::result::Result<Identity, Objection> {
        let exchange = self.exchange;
        let module = &*exchange.local.common.http.api_basic;
        let bad = |why: &'static str| Objection {
            challenge: Some(exchange.challenge()),
            ..Error::new("UnauthenticatedError", why).into()
        };
        if !exchange.takes_basic {
            return Err(bad("passwords are taken over TLS only"));
        }
        let params = json!({ "username": name, "password": password }).to_string();
        let step = {
            let data = Some(RawJson::from_validated(&params));
            exchange.app.logins.ask(module, &Call { data, ..exchange.call(Occasion::Action, None, "auth.login") })
        };
        let login = match step {
            None => return Err(bad("passwords are not taken here")),
            Some(Step::Done(login)) => login,
            Some(Step::Later(login)) => login.await,
        };
        match login?.user_id() {
            Some(user_id) => {
                let claims: Box<str> = json!({ "user_id": user_id, "module": module }).to_string().into();
                Ok(Identity { user: exchange.local.common.authority.user(&claims), claims: Some(claims) })
            }
            None => {
                exchange.count_failure();
                Err(bad("invalid username or password"))
            }
        }
    }
}

/// Whatever ends a visit: the token's place is given up, and the application learns that the caller is gone.
impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let Exchange { app, local, peer, .. } = self.exchange;
        local.exchanges.tokens.borrow_mut().remove(&peer.connection);
        if self.is_admitted && !app.disconnect.is_empty() {
            let call = self.exchange.call(Occasion::Disconnect, self.identity.as_ref(), "");
            tell(local, &app.disconnect, &Call { disconnect: Some(&DONE), ..call });
        }
    }
}

/// The verdict of hooks, when all have one.
async fn verdict(asked: Result<Option<Work>>) -> Result {
    match asked? {
        None => Ok(()),
        Some(Work::Hook { verdict, .. }) => verdict.await,
        Some(_) => unreachable!("hooks are asked by hooks' work"),
    }
}

/// A hook's refusal: 403, unless its error has a status.
fn refused(error: Error) -> Objection {
    Objection { is_refusal: true, ..error.into() }
}

/// The action of a path: parts between slashes are parts between dots, `.json` may follow.
pub(crate) fn find(app: &App, path: &str) -> Result<Rc<str>> {
    let parts: Result<Vec<_>> = path.split('/').map(|part| decode(part, false)).collect();
    let name = parts.map_err(|_| Error::not_found("malformed path"))?.join(".");
    let known = app.actions.get_key_value(&*name);
    let known = known.or_else(|| app.actions.get_key_value(name.strip_suffix(".json")?));
    known.map(|(name, _)| Rc::clone(name)).ok_or_else(|| unknown(&name))
}

fn unknown(action: &str) -> Error {
    Error::new("UnknownActionError", format!("Unknown action {action}"))
}

const BASIC: &str = "Basic realm=\"Secure API\", charset=\"UTF-8\", Bearer";
const BEARER: &str = "Bearer";
const BAD_TOKEN: &str = "Bearer error=\"invalid_token\"";

/// How the call of a request ends.
const DONE: Disconnect = Disconnect::new(1000, "");
