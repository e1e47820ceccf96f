//! A login: who has the password gets a token, and with it the actions under `notes.` and a channel of its own. Run it
//! with `cargo run --example login`, with SOCKETSHARD_AUTH_KEY set if logins are to outlive the server.
//!
//! ```js
//! const socket = socketClusterClient.create({ hostname: 'localhost', port: 8000 })
//! await socket.invoke('auth.login', { module: 'password', params: { name: 'alice', password: 'sesame' } })
//! await socket.invoke('notes.add', 'buy milk')
//! for await (const note of socket.subscribe('notes.alice')) console.log(note)
//! ```

use std::process::ExitCode;

use serde::Deserialize;
use socketshard::prelude::*;

/// What the tokens of the login modules say.
#[derive(Deserialize)]
struct User {
    user_id: String,
}

#[derive(Deserialize)]
struct Password {
    name: String,
    password: String,
}

/// A real one would ask a database, and compare hashes.
async fn password(Args(given): Args<Password>) -> Login {
    if given.password == "sesame" { Login::success(given.name) } else { Login::failure().info("wrong password") }
}

async fn add(Auth(user): Auth<User>, channels: Channels, Args(note): Args<String>) -> Result {
    channels.publish(&format!("notes.{}", user.user_id), note)
}

/// Everybody reads their own notes only.
async fn own(Auth(user): Auth<User>, Channel(channel): Channel) -> Result {
    if channel == format!("notes.{}", user.user_id) { Ok(()) } else { Err(Error::unauthorized()) }
}

fn main() -> ExitCode {
    Server::from_args().run(|| {
        App::new()
            .authentication("password", password)
            .action("notes.add", add)
            .require_login("notes.*")
            .on_subscribe("notes.*", own)
            .on_publish("notes.*", || Err(Error::unauthorized()))
    })
}
