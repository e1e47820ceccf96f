//! Who is online, and what can be done to a user's connections.

use std::borrow::Cow;
use std::future::poll_fn;
use std::rc::Rc;

use serde::Serialize;
use shard::{Answer, Audience, Command, Question};

use super::call::{Call, FromCall, Occasion, Site};
use super::error::{Error, Result};
use super::local::Local;
use super::publish::{disconnect, kick_out};
use super::recipients::Recipients;

/// Extracts the users of the whole server. A user is online while any connection of theirs is: a connection is a user's
/// from the moment its token is accepted or its session has a user ([`Session::set_user_id`](super::Session::set_user_id)).
/// Several tabs are one user.
///
/// ```
/// use socketshard::prelude::*;
///
/// async fn who(users: Users) -> Result<Vec<String>> {
///     Ok(users.page(None, 100).await?.users)
/// }
/// # App::new().action("who", who);
/// ```
#[derive(Clone, Debug)]
pub struct Users {
    local: Rc<Local>,
}

/// Some users in the order of their names, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserPage {
    /// Who.
    pub users: Vec<String>,
    /// The name after which the next page begins; none when this was the last.
    pub next: Option<String>,
}

/// How many users are online, and some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OnlineUsers {
    /// All of them.
    pub count: u64,
    /// These.
    #[serde(flatten)]
    pub page: UserPage,
}

impl Users {
    /// How many are online: a number that is at hand. What other shards count is at most a tick of theirs old.
    #[must_use]
    pub fn online(&self) -> u64 {
        self.local.online.get()
    }

    /// Whether a user is online.
    ///
    /// # Errors
    /// When the shard's command queue is full, or the server does not keep who is online (`--no-users-online`).
    pub async fn is_online(&self, user: &str) -> Result<bool> {
        self.local.is_member(None, user).await
    }

    /// Those who are online, in the order of their names: so many at most, and no more than `--max-user-page`, after the
    /// last of the page before. Pages follow each other whatever happens between them: who was online all the time is on
    /// exactly one.
    ///
    /// # Errors
    /// As [`Users::is_online`].
    pub async fn page(&self, after: Option<&str>, count: usize) -> Result<UserPage> {
        self.local.page(None, after, count).await
    }

    /// The same with how many they are.
    ///
    /// # Errors
    /// As [`Users::is_online`].
    pub async fn online_page(&self, after: Option<&str>, count: usize) -> Result<OnlineUsers> {
        let page = self.page(after, count).await?;
        Ok(OnlineUsers { count: self.online(), page })
    }

    /// Closes all connections of a user, or of several, with a close code and a reason; see
    /// [`Peer::disconnect`](super::Peer::disconnect).
    ///
    /// # Errors
    /// When the code is none that may be sent, and as [`Publish::user`](super::Publish::user).
    pub fn disconnect(&self, users: impl Recipients, code: u16, reason: impl Into<Cow<'static, str>>) -> Result {
        self.local.address_all(Audience::Users, users, disconnect(code, reason)?)
    }

    /// Ends a subscription of all connections of a user, or of several; the clients are told the message.
    ///
    /// # Errors
    /// As [`Publish::user`](super::Publish::user).
    pub fn kick_out(&self, users: impl Recipients, channel: &str, message: &str) -> Result {
        self.local.address_all(Audience::Users, users, kick_out(channel, message))
    }
}

impl FromCall for Users {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(Self { local: Rc::clone(call.local()) })
    }
}

/// Extracts whose the caller's connection is: the user that its token names (`--user-claim`), or else its session's. Who
/// is nobody gets an `UnauthenticatedError`; `Option<UserId>` takes both. In the hooks for users who come and go it is
/// whom they are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UserId(pub String);

impl FromCall for UserId {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        call.user.map(|user| Self(user.to_owned())).ok_or_else(Error::unauthenticated)
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        if site.occasion == Occasion::Start { site.expect("UserId", &[]) } else { Ok(()) }
    }
}

impl FromCall for Option<UserId> {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(call.user.map(|user| UserId(user.to_owned())))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        UserId::check(site)
    }
}

impl Local {
    /// Whether somebody is online, or in a channel.
    pub(super) async fn is_member(&self, channel: Option<&str>, user: &str) -> Result<bool> {
        let question = Question::IsMember { channel: channel.map(Into::into), user: user.into() };
        match self.ask(question).await? {
            Answer::IsMember(is_member) => Ok(is_member),
            other => Err(Error::internal(format_args!("no answer to that: {other:?}"))),
        }
    }

    /// Some of those who are online, or in a channel.
    pub(super) async fn page(&self, channel: Option<&str>, after: Option<&str>, count: usize) -> Result<UserPage> {
        let question = Question::Members { channel: channel.map(Into::into), after: after.map(Into::into), count };
        match self.ask(question).await? {
            Answer::Members { users, has_more } => {
                let users: Vec<_> = users.into_iter().map(String::from).collect();
                let next = if has_more { users.last().cloned() } else { None };
                Ok(UserPage { users, next })
            }
            other => Err(Error::internal(format_args!("no answer to that: {other:?}"))),
        }
    }

    /// Asks the shards about people.
    pub(super) async fn ask(&self, question: Question) -> Result<Answer> {
        let ticket = self.questions.get();
        self.questions.set(ticket + 1);
        self.commands.push(Command::Ask { ticket, question })?;
        self.answers.expect(ticket);
        let _asked = Asked { local: self, ticket };
        let answer = poll_fn(|task| self.answers.poll(&ticket, task)).await;
        answer.ok_or_else(|| Error::internal("an answer that was taken already"))
    }
}

/// Whoever stops waiting leaves nothing behind.
struct Asked<'a> {
    local: &'a Local,
    ticket: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.local.answers.forget(&self.ticket);
    }
}
