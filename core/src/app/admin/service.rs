//! The server API: what a backend in any language can have the server do. Its actions are for whoever has the key, and are
//! called like those of an application.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shard::{Audience, Question};

use crate::app::call::{Call, FromCall};
use crate::app::error::{Error, Result};
use crate::app::local::Local;
use crate::app::publish::{check_code, check_event, disconnect, kick_out};
use crate::app::{App, Args, Channels, Names, OnlineUsers, Publish, RawArgs, Users};

/// The actions.
pub(super) fn app() -> App {
    App::new()
        .action("publish", publish)
        .action("event", event)
        .action("users.online", online)
        .action("users.is_online", is_online)
        .action("disconnect", end)
        .action("kick_out", kick)
        .action("channels.list", list)
        .action("channels.subscribers", subscribers)
}

/// The shard's things, for what applications cannot do.
struct Server(Rc<Local>);

impl FromCall for Server {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(Self(Rc::clone(call.local())))
    }
}

/// Something for the subscribers of a channel.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publication {
    channel: Names,
    data: Option<Box<RawValue>>,
}

/// So many publications.
#[derive(Serialize)]
struct Published {
    published: usize,
}

/// One publication, or an array of them. What is before a bad one was published: the error says how many.
async fn publish(channels: Channels, argument: RawArgs) -> Result<Published> {
    let text = argument.as_str().unwrap_or_default().trim_start();
    let malformed = |error: serde_json::Error| Error::invalid_arguments(error.to_string());
    let all: Vec<Publication> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(malformed)?
    } else {
        vec![serde_json::from_str(text).map_err(malformed)?]
    };
    let mut published = 0;
    for Publication { channel, data } in all {
        for channel in Vec::from(channel) {
            // Others may be waiting; this is no reason to refuse what can be taken a moment later.
            channels.ready().await;
            channels.publish(&channel, &data).map_err(|error| error.with("published", published))?;
            published += 1;
        }
    }
    Ok(Published { published })
}

/// To whom; exactly one of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    users: Option<Names>,
    sessions: Option<Names>,
    channels: Option<Names>,
    #[serde(default)]
    everyone: bool,
    event: String,
    data: Option<Box<RawValue>>,
}

async fn event(publish: Publish, Args(wanted): Args<Event>) -> Result {
    let Event { users, sessions, channels, everyone, event, data } = wanted;
    check_event(&event).map_err(|_| Error::invalid_arguments("no event can have this name"))?;
    match (users, sessions, channels, everyone) {
        (Some(users), None, None, false) => publish.user(users, &event, data),
        (None, Some(sessions), None, false) => publish.session(sessions, &event, data),
        (None, None, Some(channels), false) => publish.channel(channels, &event, data),
        (None, None, None, true) => publish.broadcast(&event, data),
        _ => Err(Error::invalid_arguments("an event is for users, sessions, channels or everyone: one of them")),
    }
}

/// Where a page begins, and how long it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    after: Option<String>,
    #[serde(default, deserialize_with = "count")]
    count: Option<usize>,
}

impl Page {
    fn take(page: Option<Self>) -> (Option<String>, usize) {
        let (after, count) = page.map_or((None, None), |page| (page.after, page.count));
        (after, count.unwrap_or(PAGE))
    }
}

/// Entries of a page that is not told how long to be.
const PAGE: usize = 100;

/// A number, or what a query makes of one.
fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Number(usize),
        Text(String),
    }
    match Option::<Count>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Count::Number(count)) => Ok(Some(count)),
        Some(Count::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

async fn online(users: Users, Args(page): Args<Option<Page>>) -> Result<OnlineUsers> {
    let (after, count) = Page::take(page);
    users.online_page(after.as_deref(), count).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    user: String,
}

async fn is_online(users: Users, Args(User { user }): Args<User>) -> Result<bool> {
    users.is_online(&user).await
}

/// Whose connections; none: everybody's.
fn whose(
    users: Option<Names>,
    sessions: Option<Names>,
    connections: Option<Names>,
    everyone: bool,
) -> Result<Option<(Audience, Names)>> {
    match (users, sessions, connections, everyone) {
        (Some(users), None, None, false) => Ok(Some((Audience::Users, users))),
        (None, Some(sessions), None, false) => Ok(Some((Audience::Sessions, sessions))),
        (None, None, Some(connections), false) => Ok(Some((Audience::Connections, connections))),
        (None, None, None, true) => Ok(None),
        _ => Err(Error::invalid_arguments(
            "say whose connections: users, sessions, connections or everyone, one of them",
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    users: Option<Names>,
    sessions: Option<Names>,
    connections: Option<Names>,
    #[serde(default)]
    everyone: bool,
    code: u16,
    #[serde(default)]
    reason: String,
}

async fn end(server: Server, Args(wanted): Args<End>) -> Result {
    let End { users, sessions, connections, everyone, code, reason } = wanted;
    check_code(code).map_err(|_| Error::invalid_arguments("this is no close code that may be sent"))?;
    match whose(users, sessions, connections, everyone)? {
        Some((audience, names)) => server.0.address_all(audience, names, disconnect(code, reason)?),
        None => server.0.address_everyone(disconnect(code, reason)?),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kick {
    users: Option<Names>,
    sessions: Option<Names>,
    connections: Option<Names>,
    #[serde(default)]
    everyone: bool,
    channel: String,
    #[serde(default)]
    message: String,
}

async fn kick(server: Server, Args(wanted): Args<Kick>) -> Result {
    let Kick { users, sessions, connections, everyone, channel, message } = wanted;
    // Everybody who is in the channel.
    let (audience, names) = whose(users, sessions, connections, everyone)?
        .unwrap_or_else(|| (Audience::Channels, Names::One(channel.clone())));
    server.0.address_all(audience, names, kick_out(&channel, &message))
}

#[derive(Serialize)]
struct Listed {
    channel: String,
    subscribers: u64,
}

#[derive(Serialize)]
struct ChannelPage {
    channels: Vec<Listed>,
    next: Option<String>,
}

async fn list(server: Server, Args(page): Args<Option<Page>>) -> Result<ChannelPage> {
    let (after, count) = Page::take(page);
    let question = Question::Channels { after: after.map(Into::into), count };
    match server.0.ask(question).await? {
        shard::Answer::Channels { channels, has_more } => {
            let listed = |(channel, subscribers): (Box<str>, u64)| Listed { channel: channel.into(), subscribers };
            let channels: Vec<_> = channels.into_iter().map(listed).collect();
            let next = channels.last().filter(|_| has_more).map(|last| last.channel.clone());
            Ok(ChannelPage { channels, next })
        }
        other => Err(Error::internal(format_args!("no answer to that: {other:?}"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Channel {
    channel: String,
}

async fn subscribers(server: Server, Args(Channel { channel }): Args<Channel>) -> Result<u64> {
    match server.0.ask(Question::Subscribers { channel: channel.into() }).await? {
        shard::Answer::Count(count) => Ok(count),
        other => Err(Error::internal(format_args!("no answer to that: {other:?}"))),
    }
}
