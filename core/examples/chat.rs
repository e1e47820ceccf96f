//! A chat whose server has a say: clients subscribe to `room.…` channels, call `chat.say`, and may not publish past it.
//! Run it with `cargo run --example chat`.

use std::cell::Cell;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use socketshard::prelude::*;

/// What a client sends.
#[derive(Deserialize)]
struct Say {
    room: String,
    name: String,
    text: String,
}

/// What the room hears.
#[derive(Serialize)]
struct Heard<'a> {
    name: &'a str,
    text: &'a str,
    /// How many messages this shard has passed on.
    number: u64,
}

/// Each shard counts for itself: what an app keeps is the shard's own, so a `Cell` is enough.
#[derive(Default)]
struct Said(Cell<u64>);

async fn say(channels: Channels, said: State<Said>, Args(say): Args<Say>) -> Result {
    let text = say.text.trim();
    if text.is_empty() || text.len() > 2_000 {
        return Err(Error::invalid_arguments("a message has 1 to 2,000 bytes"));
    }
    said.0.set(said.0.get() + 1);
    channels.publish(&format!("room.{}", say.room), Heard { name: &say.name, text, number: said.0.get() })
}

/// Everything in a room was said through the action, so names and lengths were checked.
async fn refuse_publish() -> Result {
    Err(Error::new("UseActionError", "call chat.say instead of publishing"))
}

fn main() -> ExitCode {
    Server::from_args().run(|| {
        App::new()
            .state(Said::default())
            .action("chat.say", say)
            .on_publish("room.*", refuse_publish)
            .on_disconnect(|peer: Peer, end: Disconnected| tracing::info!(?peer, end.code, "left"))
    })
}
