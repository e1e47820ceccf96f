//! One room, and a page for each client library from which to talk in it: SocketCluster, Socket.IO 4, 3 and 2,
//! SocketStream, EventSource with fetch, SocketShard's own client, and a bare WebSocket. Run it with
//! `cargo run --example clients` and open `/`, which shows them all side by side.
//!
//! The libraries are not ours to hand out: they are served from where npm has put them, which is
//! `tests/clients/node_modules` after `npm ci` there, or the directory that CLIENT_LIBRARIES names.

mod libraries;

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use socketshard::prelude::*;
use socketshard::{Files, FilesOptions};

use libraries::Libraries;

/// What is said in the room: by which client, in what words.
#[derive(Deserialize, Serialize)]
struct Said {
    from: String,
    text: String,
}

impl Said {
    fn check(&self) -> Result {
        let is_fine = (1..=40).contains(&self.from.len()) && (1..=2_000).contains(&self.text.len());
        if is_fine { Ok(()) } else { Err(Error::invalid_arguments("a speaker has 1 to 40 bytes, words 1 to 2,000")) }
    }
}

/// How a page speaks that has no connection of its own: `POST /api/chat/say`.
async fn say(channels: Channels, Args(said): Args<Said>) -> Result {
    said.check()?;
    channels.publish("room", said)
}

/// Whatever library publishes, the same is asked of it.
async fn check(Args(said): Args<Said>) -> Result {
    said.check()
}

/// What the pages are, and what they load.
fn assets() -> std::result::Result<(Files, Libraries), Box<dyn std::error::Error>> {
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients/pages");
    Ok((Files::open(pages, FilesOptions::default())?, Libraries::find()?))
}

fn main() -> ExitCode {
    let (pages, libraries) = match assets() {
        Ok(found) => found,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    Server::from_args().run(move || {
        let app = App::new()
            .channel_events(true)
            .socket_stream("/engine.io/")
            .action("chat.say", say)
            .on_publish("room", check)
            .files("/", pages.clone());
        libraries.serve(app)
    })
}
