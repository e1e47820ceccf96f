//! Events that their client answers, and rooms: what an action asks of one connection and waits for.

use std::future::poll_fn;
use std::time::Duration;

use codec::message::RawJson;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shard::{Command, Question, Unanswered};

use super::error::{Error, Result};
use super::local::Local;
use super::peer::{Peer, to_json};
use super::publish::check_event;

/// What a client has answered: JSON, if anything.
pub(crate) type ClientAnswer = Result<Option<Box<str>>>;

impl Peer {
    /// Sends this connection an event and waits for its answer, for at most `--client-call-timeout`. Socket.IO's clients
    /// acknowledge: `socket.on("name", (data, ack) => ack("answer"))`. SocketCluster's answer: as a procedure since version
    /// 15, by `respond` before. Nothing is `null`, several arguments of an acknowledgement are an array, and what is binary
    /// in it is `{"base64":true,"data":…}`.
    ///
    /// ```
    /// use socketshard::prelude::*;
    ///
    /// async fn confirm(peer: Peer, Args(what): Args<String>) -> Result<bool> {
    ///     peer.invoke("areYouSure", what).await
    /// }
    /// # App::new().action("confirm", confirm);
    /// ```
    ///
    /// # Errors
    /// The error that the client answers with, which is a client's word. `TimeoutError` when it does not answer in time;
    /// `DisconnectedError` when the connection ends before, or is not open (as in the hook for connections); `BusyError` when
    /// it has `--max-client-calls` others to answer, or the shard's command queue is full; `UnsupportedError` when its
    /// protocol has no answers, and `HookError` in a hook about this very connection, whose messages wait for the hook;
    /// `InvalidAnswerError` when the answer is no `T`; and as [`Peer::emit`].
    pub async fn invoke<T: DeserializeOwned>(&self, event: &str, data: impl Serialize) -> Result<T> {
        self.invoke_within(self.local().client_call_timeout, event, data).await
    }

    /// The same, with a time of its own.
    ///
    /// # Errors
    /// As [`Peer::invoke`].
    pub async fn invoke_within<T: DeserializeOwned>(
        &self,
        timeout: Duration,
        event: &str,
        data: impl Serialize,
    ) -> Result<T> {
        check_event(event)?;
        let (event, data) = (event.into(), Some(to_json(&data)?));
        let connection = self.connection();
        let command = |ticket| Command::Invoke { connection, ticket, event, data, timeout };
        let answer = self.local().ask_client(command).await?;
        serde_json::from_str(answer.as_deref().unwrap_or("null"))
            .map_err(|error| Error::new("InvalidAnswerError", format!("the client's answer: {error}")))
    }

    /// Sends this connection an event if it can be sent at once, and drops it (`volatile_dropped` counts) where something
    /// else is still queued: for what is out of date when the next one comes.
    ///
    /// # Errors
    /// As [`Peer::emit`].
    pub fn emit_volatile(&self, event: &str, data: impl Serialize) -> Result {
        self.emit_so(event, data, true)
    }

    /// Subscribes this connection to a channel, its room: no hook is asked, and the client is not told. A Socket.IO client
    /// is in it with the namespace in which it spoke last. When this is done, nothing that any shard accepts for the channel
    /// from then on passes it by.
    ///
    /// # Errors
    /// When that is no name of a channel, or one that Socket.IO's clients keep to themselves; `BusyError` when the
    /// connection or the shard has as many subscriptions as it may; `DisconnectedError` when it is not open; and when the
    /// shard's command queue is full.
    pub async fn join(&self, channel: &str) -> Result {
        check_channel(channel)?;
        let connection = self.connection();
        self.local().ask_client(|ticket| Command::Join { connection, ticket, channel: channel.into() }).await?;
        self.local().ask(Question::Settled { channel: channel.into() }).await?;
        Ok(())
    }

    /// Ends what [`Peer::join`] has begun, or a subscription of the client's own, which is not told: see
    /// [`Channels::kick_out`](super::Channels::kick_out) for that.
    ///
    /// # Errors
    /// When the shard's command queue is full.
    pub fn leave(&self, channel: &str) -> Result {
        let (connection, channel) = (self.connection(), channel.into());
        self.local().commands.push(Command::Leave { connection, channel })
    }
}

fn check_channel(channel: &str) -> Result {
    let checked = codec::name::NameLimits::default().check_channel(channel);
    checked.map_err(|error| Error::invalid_arguments(format!("channel {error}")))
}

impl Local {
    /// Asks the shard for something that a client decides, and waits for what becomes of it.
    async fn ask_client(&self, command: impl FnOnce(u64) -> Command) -> ClientAnswer {
        let ticket = self.questions.get();
        self.questions.set(ticket + 1);
        self.commands.push(command(ticket))?;
        self.client_answers.expect(ticket);
        let _asked = Asked { local: self, ticket };
        let answer = poll_fn(|task| self.client_answers.poll(&ticket, task)).await;
        answer.unwrap_or_else(|| Err(Error::internal("an answer that was taken already")))
    }

    /// What became of it.
    pub(crate) fn client_answered(
        &self,
        ticket: u64,
        outcome: std::result::Result<Option<RawJson<'_>>, Unanswered<'_>>,
    ) {
        let answer = outcome.map(|data| data.map(|data| data.as_str().into())).map_err(error);
        self.client_answers.finish(&ticket, answer);
    }
}

/// Whoever stops waiting leaves nothing behind.
struct Asked<'a> {
    local: &'a Local,
    ticket: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.local.client_answers.forget(&self.ticket);
    }
}

fn error(unanswered: Unanswered<'_>) -> Error {
    match unanswered {
        Unanswered::Error(raw) => error_of(raw.as_str()),
        Unanswered::TimedOut => Error::new("TimeoutError", "the client has not answered in time"),
        Unanswered::Ended => Error::new("DisconnectedError", "the connection is not open"),
        Unanswered::Busy => Error::busy(),
        Unanswered::Unsupported => Error::new("UnsupportedError", "the connection's protocol cannot do this"),
        Unanswered::Hook => Error::new("HookError", "the connection is not heard before this hook has decided"),
    }
}

/// The error that a client has answered with: an object as ours are, or a text.
fn error_of(text: &str) -> Error {
    const MESSAGE: &str = "the client has answered with an error";
    match serde_json::from_str(text) {
        Ok(Value::Object(mut members)) => {
            let mut text = |name: &str, default: &str| match members.remove(name) {
                Some(Value::String(text)) => text,
                _ => default.to_owned(),
            };
            Error::new(text("name", "Error"), text("message", MESSAGE))
        }
        Ok(Value::String(message)) => Error::new("Error", message),
        _ => Error::new("Error", MESSAGE),
    }
}
