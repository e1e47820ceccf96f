//! Publishing from the server's side, and the channel that a hook is about.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use codec::name::NameLimits;
use serde::Serialize;
use shard::{Answer, Command, Question};

use super::args::RawArgs;
use super::call::{Call, FromCall, Occasion, Site};
use super::error::{Error, Result};
use super::local::Local;
use super::peer::{Peer, to_json};
use super::users::UserPage;

/// Extracts the way to publish to channels, on all shards.
#[derive(Clone, Debug)]
pub struct Channels {
    local: Rc<Local>,
}

impl Channels {
    /// Publishes a value to the channel's subscribers, whatever shard they are on.
    ///
    /// # Errors
    /// When the lanes to other shards or this shard's command queue are full (the publication is not sent then; see
    /// [`Channels::ready`]), when the name is none that a channel can have, or when the value cannot be JSON.
    pub fn publish(&self, channel: &str, data: impl Serialize) -> Result {
        let data = Some(to_json(&data)?);
        self.push(channel, data)
    }

    /// Publishes JSON text as it is, or a publication without data.
    ///
    /// # Errors
    /// As [`Channels::publish`].
    pub fn publish_raw(&self, channel: &str, data: &RawArgs) -> Result {
        self.push(channel, data.as_str().map(Into::into))
    }

    /// Waits until other shards can take more. What publishes much of its own accord awaits this in between: clients that
    /// publish are slowed down by the server, the application's own tasks can only be refused.
    pub async fn ready(&self) {
        poll_fn(|task| {
            if self.local.is_congested() {
                self.local.stall(task.waker());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Ends a connection's subscription; the client is told the message.
    ///
    /// # Errors
    /// When the shard's command queue is full.
    pub fn kick_out(&self, peer: &Peer, channel: &str, message: &str) -> Result {
        let connection = peer.connection();
        let (channel, message) = (channel.into(), message.into());
        self.local.commands.push(Command::KickOut { connection, channel, message })
    }

    /// The users in a channel that shows its members ([`App::presence`](super::App::presence)), in the order of their
    /// names, as [`Users::page`](super::Users::page) has those who are online.
    ///
    /// # Errors
    /// When the shard's command queue is full.
    pub async fn members(&self, channel: &str, after: Option<&str>, count: usize) -> Result<UserPage> {
        self.local.page(Some(channel), after, count).await
    }

    /// Whether a user is in a channel that shows its members.
    ///
    /// # Errors
    /// As [`Channels::members`].
    pub async fn is_member(&self, channel: &str, user: &str) -> Result<bool> {
        self.local.is_member(Some(channel), user).await
    }

    /// How many users are in a channel that shows its members.
    ///
    /// # Errors
    /// As [`Channels::members`].
    pub async fn member_count(&self, channel: &str) -> Result<u64> {
        match self.local.ask(Question::Count { channel: channel.into() }).await? {
            Answer::Count(count) => Ok(count),
            other => Err(Error::internal(format_args!("no answer to that: {other:?}"))),
        }
    }

    fn push(&self, channel: &str, data: Option<Box<str>>) -> Result {
        if let Err(error) = NameLimits::default().check_channel(channel) {
            return Err(Error::invalid_arguments(format!("channel {error}")));
        }
        if self.local.is_congested() {
            return Err(Error::busy());
        }
        self.local.commands.push(Command::Publish { channel: channel.into(), data })
    }
}

impl FromCall for Channels {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(Self { local: Rc::clone(call.local()) })
    }
}

/// Extracts the name of the channel that a client wants to subscribe or publish to, or is about to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel(pub String);

impl FromCall for Channel {
    fn from_call(call: &Call<'_>) -> Result<Self> {
        Ok(Self(call.subject.to_owned()))
    }

    fn check(site: &Site<'_>) -> std::result::Result<(), String> {
        site.expect("Channel", &[Occasion::Subscribe, Occasion::Publish, Occasion::PublishOut])
    }
}
