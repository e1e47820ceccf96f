//! A chat with logins, rooms and who is there. Run it with `cargo run --example chat`, with SOCKETSHARD_AUTH_KEY set if
//! logins are to outlive the server.
//!
//! ```js
//! const socket = socketClusterClient.create({ hostname: 'localhost', port: 8000 })
//! await socket.invoke('auth.login', { module: 'nickname', params: 'alice' })
//! const room = socket.subscribe('room.garden')
//! for await (const { channel, event, user } of socket.receiver('presence')) console.log(user, event, channel)
//! await socket.invoke('chat.say', { room: 'garden', text: 'hello' })
//! console.log(await socket.invoke('chat.members', 'garden'), await socket.invoke('chat.online'))
//! ```

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use socketshard::UserPage;
use socketshard::prelude::*;

/// What a client sends.
#[derive(Deserialize)]
struct Say {
    room: String,
    text: String,
}

/// What the room hears.
#[derive(Serialize)]
struct Heard<'a> {
    user: &'a str,
    text: &'a str,
}

/// Whoever has a name that nobody who is online has. A real one would ask for a password.
async fn nickname(users: Users, Args(name): Args<String>) -> Result<Login> {
    if name.is_empty() || name.len() > 30 {
        return Ok(Login::failure().info("a nickname has 1 to 30 bytes"));
    }
    if users.is_online(&name).await? {
        return Ok(Login::failure().info("somebody of that name is here"));
    }
    Ok(Login::success(name))
}

async fn say(channels: Channels, UserId(user): UserId, Args(say): Args<Say>) -> Result {
    let text = say.text.trim();
    if text.is_empty() || text.len() > 2_000 {
        return Err(Error::invalid_arguments("a message has 1 to 2,000 bytes"));
    }
    let room = format!("room.{}", say.room);
    if !channels.is_member(&room, &user).await? {
        return Err(Error::new("NotThereError", "come in before you speak"));
    }
    channels.publish(&room, Heard { user: &user, text })
}

/// A message for one user, on all their devices.
async fn whisper(publish: Publish, UserId(from): UserId, Args((to, text)): Args<(String, String)>) -> Result {
    publish.user(&to, "whisper", Heard { user: &from, text: &text })
}

async fn members(channels: Channels, Args(room): Args<String>) -> Result<UserPage> {
    channels.members(&format!("room.{room}"), None, 100).await
}

/// Everything in a room was said through the action, so names and lengths were checked.
async fn refuse_publish() -> Result {
    Err(Error::new("UseActionError", "call chat.say instead of publishing"))
}

fn main() -> ExitCode {
    Server::from_args().run(|| {
        App::new()
            .authentication("nickname", nickname)
            .action("chat.say", say)
            .action("chat.whisper", whisper)
            .action("chat.members", members)
            .action("chat.online", |users: Users| users.online())
            .require_login("chat.*")
            .presence("room.*")
            .on_subscribe("room.*", |_: UserId| {})
            .on_publish("*", refuse_publish)
            .on_online(|UserId(user): UserId| tracing::info!(user, "is here"))
            .on_offline(|UserId(user): UserId| tracing::info!(user, "has gone"))
    })
}
