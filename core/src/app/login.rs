//! Ways to log in: named modules of the application, behind the two actions `auth.login` and `auth.logout`. A module
//! judges what the client shows; the token that follows from it is made here, the same for all modules.

use std::collections::HashMap;
use std::rc::Rc;

use codec::message::RawJson;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shard::Reply;

use super::call::{Call, FromCall, Occasion, Site};
use super::endpoint::{Action, Endpoint, Module};
use super::error::{Error, Result};
use super::handler::{Handler, Step};
use super::peer::Peer;
use super::reply::Answer;
use super::tasks::LocalFuture;

/// What a login module says about its caller.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[must_use]
pub struct Login {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Value>,
}

impl Login {
    /// The caller is this user.
    pub fn success(user_id: impl Into<String>) -> Self {
        Self { success: true, user_id: Some(user_id.into()), info: None }
    }

    /// The caller has not shown who it is.
    pub fn failure() -> Self {
        Self::default()
    }

    /// Whom the caller has shown to be.
    pub(super) fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// Adds what the client is told beside it, on success or failure.
    ///
    /// # Panics
    /// When the value cannot be JSON (a map whose keys are not strings).
    pub fn info(mut self, info: impl Serialize) -> Self {
        self.info = Some(serde_json::to_value(info).expect("what a login tells is JSON"));
        self
    }
}

/// What a login module returns: a [`Login`], or a [`Result`] of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that a login module can return",
    note = "login modules return `Login`, or `Result<Login>`"
)]
pub trait IntoLogin {
    /// What it says.
    ///
    /// # Errors
    /// The module's, which is the answer to the client.
    fn into_login(self) -> Result<Login>;
}

impl IntoLogin for Login {
    fn into_login(self) -> Result<Login> {
        Ok(self)
    }
}

impl IntoLogin for Result<Login> {
    fn into_login(self) -> Result<Login> {
        self
    }
}

/// The modules of an application, by name.
#[derive(Default)]
pub(super) struct Modules {
    modules: HashMap<Rc<str>, Box<dyn Module>, foldhash::fast::RandomState>,
}

impl Modules {
    /// Adds one.
    pub(super) fn add<Marker: 'static, H>(&mut self, name: &str, module: H)
    where
        H: Handler<Marker, Output: IntoLogin>,
    {
        assert!(!name.is_empty(), "an authentication module has a name");
        let module = Box::new(Endpoint::<H, Marker, Login>::new(module));
        assert!(self.modules.insert(name.into(), module).is_none(), "authentication module {name:?} is there twice");
    }

    /// The actions that make them callable; none without modules.
    pub(super) fn actions(modules: &Rc<Self>) -> Vec<(&'static str, Box<dyn Action>)> {
        if modules.modules.is_empty() {
            return Vec::new();
        }
        vec![(LOGIN, Box::new(LogIn(Rc::clone(modules)))), ("auth.logout", Box::new(Logout))]
    }

    /// Whether there is one of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.modules.contains_key(name)
    }

    /// Asks the module of that name, if there is one. The call has its params.
    pub(super) fn ask(&self, name: &str, call: &Call<'_>) -> Option<Asked> {
        self.modules.get(name).map(|module| module.call(call))
    }
}

/// How far a module's judgement has come.
pub(super) type Asked = Step<Result<Login>, LocalFuture<Result<Login>>>;

/// The action that asks the modules.
pub(super) const LOGIN: &str = "auth.login";

/// What a client sends to log in.
#[derive(Deserialize)]
struct Request<'a> {
    module: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Lets the caller log in, by the module that it names.
struct LogIn(Rc<Modules>);

impl Action for LogIn {
    fn call(&self, call: &Call<'_>, reply: &mut Reply) -> Option<LocalFuture<Reply>> {
        match self.ask(call) {
            Ok((Step::Done(login), finish)) => finish.answer(login, &mut Answer::new(reply)),
            Ok((Step::Later(login), finish)) => {
                return Some(Box::pin(async move {
                    let mut reply = Reply::default();
                    finish.answer(login.await, &mut Answer::new(&mut reply));
                    reply
                }));
            }
            Err(error) => Answer::new(reply).set_error(&error),
        }
        None
    }

    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String> {
        for (name, module) in &self.0.modules {
            module.check(site).map_err(|reason| format!("in its module {name:?} {reason}"))?;
        }
        Ok(())
    }
}

impl LogIn {
    fn ask(&self, call: &Call<'_>) -> Result<(Asked, Finish)> {
        let text = call.data.unwrap_or(RawJson::NULL).as_str();
        let request: Request<'_> = serde_json::from_str(text)
            .map_err(|_| Error::invalid_arguments("a login is {\"module\":\"name\",\"params\":…}"))?;
        let Some((name, module)) = self.0.modules.get_key_value(request.module.as_str()) else {
            return Err(Error::not_found("there is no such authentication module"));
        };
        let finish = Finish { peer: Peer::from_call(call)?, module: Rc::clone(name) };
        let params = request.params.map(|params| RawJson::from_validated(params.get()));
        Ok((module.call(&Call { data: params, ..*call }), finish))
    }
}

/// Makes a login's answer.
struct Finish {
    peer: Peer,
    module: Rc<str>,
}

impl Finish {
    /// The token goes first: who reads the answer is logged in.
    fn answer(&self, login: Result<Login>, answer: &mut Answer<'_>) {
        let outcome = login.and_then(|login| {
            if let Some(user_id) = &login.user_id {
                self.peer.set_auth_token(json!({ "user_id": user_id, "module": &*self.module }), None)?;
            }
            Ok(login)
        });
        if !matches!(&outcome, Ok(login) if login.success)
            && let Err(error) = self.peer.login_failed()
        {
            tracing::warn!(%error, "a failed login is not counted");
        }
        match outcome {
            Ok(login) => answer.set_value(&login),
            Err(error) => answer.set_error(&error),
        }
    }
}

/// Takes the caller's token away, whoever it is.
struct Logout;

impl Action for Logout {
    fn call(&self, call: &Call<'_>, reply: &mut Reply) -> Option<LocalFuture<Reply>> {
        match Peer::from_call(call).and_then(|peer| peer.remove_auth_token()) {
            Ok(()) => reply.set_empty(),
            Err(error) => Answer::new(reply).set_error(&error),
        }
        None
    }

    fn check(&self, site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("Peer", &[Occasion::Action])
    }
}
