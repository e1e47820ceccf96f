//! Who is online, who is in a room, and events to people, as any caller may ask for them here. A real application decides
//! who may say what to whom; this one has nothing to protect.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::{App, Args, Channels, Names, OnlineUsers, Peer, Publish, Result, Session, UserId, UserPage, Users};

/// Adds the actions.
pub(super) fn add(app: App) -> App {
    app.action("users.online", online)
        .action("users.is_online", is_online)
        .action("users.me", |user: Option<UserId>| user)
        .action("users.leave", leave)
        .action("publish.user", publish_user)
        .action("publish.session", publish_session)
        .action("publish.channel", publish_channel)
        .action("publish.broadcast", broadcast)
        .action("client.invoke", invoke)
        .action("rooms.join", |peer: Peer, Args(room): Args<String>| async move { peer.join(&room).await })
        .action("rooms.leave", |peer: Peer, Args(room): Args<String>| peer.leave(&room))
        .action("rooms.say", say)
        .presence("room.*")
        .action("room.members", members)
        .action("session.login", login)
        .action("session.logout", logout)
        .action("session.subscribe", subscribe)
        .action("session.unsubscribe", unsubscribe)
        .action("session.channels", |session: Session| session.channel().list())
}

/// Where a page of users begins, and how long it is.
#[derive(Deserialize)]
struct Page {
    after: Option<String>,
    count: Option<usize>,
}

async fn online(users: Users, Args(page): Args<Option<Page>>) -> Result<OnlineUsers> {
    let (after, count) = page.map_or((None, None), |page| (page.after, page.count));
    users.online_page(after.as_deref(), count.unwrap_or(100)).await
}

async fn is_online(users: Users, Args(user): Args<String>) -> Result<bool> {
    users.is_online(&user).await
}

/// Closes all connections of the caller's user.
async fn leave(users: Users, UserId(user): UserId) -> Result {
    users.disconnect(&user, LEAVE_CODE, "asked for by users.leave")
}

/// An event, and whom it is for.
#[derive(Deserialize)]
struct Event {
    to: Option<Names>,
    event: String,
    #[serde(default)]
    data: Value,
}

/// An event that the caller answers, in so many milliseconds.
#[derive(Deserialize)]
struct Question {
    event: String,
    #[serde(default)]
    data: Value,
    ms: Option<u64>,
}

async fn publish_user(publish: Publish, Args(event): Args<Event>) -> Result {
    publish.user(event.to.unwrap_or_default(), &event.event, event.data)
}

/// To the caller's own session.
async fn publish_session(publish: Publish, session: Session, Args(event): Args<Event>) -> Result {
    publish.session(session.id(), &event.event, event.data)
}

async fn publish_channel(publish: Publish, Args(event): Args<Event>) -> Result {
    publish.channel(event.to.unwrap_or_default(), &event.event, event.data)
}

/// Sends the caller an event, and answers with what it has answered.
async fn invoke(peer: Peer, Args(question): Args<Question>) -> Result<Value> {
    let timeout = Duration::from_millis(question.ms.unwrap_or(5_000));
    peer.invoke_within(timeout, &question.event, question.data).await
}

/// To everybody in any of these rooms, but not to the caller's own connection.
async fn say(publish: Publish, peer: Peer, Args(event): Args<Event>) -> Result {
    publish.except(&peer).rooms(event.to.unwrap_or_default(), &event.event, event.data)
}

async fn broadcast(publish: Publish, Args(event): Args<Event>) -> Result {
    publish.broadcast(&event.event, event.data)
}

/// Who is in a room.
async fn members(channels: Channels, Args(channel): Args<String>) -> Result<UserPage> {
    channels.members(&channel, None, 100).await
}

/// Makes the caller's session that user's; answers the ticket for its new cookie.
async fn login(session: Session, Args(user): Args<String>) -> Result<String> {
    session.set_user_id(&user).await
}

async fn logout(session: Session) -> Result<String> {
    session.logout().await
}

/// Subscribes all tabs of the caller's browser.
async fn subscribe(session: Session, Args(channels): Args<Names>) -> Result {
    session.channel().subscribe(channels).await
}

async fn unsubscribe(session: Session, Args(channels): Args<Names>) -> Result {
    session.channel().unsubscribe(channels)
}

/// Above 4500, after which clients do not come back by themselves.
const LEAVE_CODE: u16 = 4500;
