//! What an application's author touches: [`App`], the extractors that actions and hooks take, what they return, and the
//! clock they sleep by. Below that, how one shard runs an application: in place where it can, as tasks where it must,
//! each call behind a fence. Nothing in here knows sockets, glommio or another shard.

mod application;
mod args;
mod bell;
mod call;
mod channels;
mod commands;
mod common;
mod disconnected;
mod endpoint;
mod error;
mod fence;
mod handler;
mod hooks;
mod host;
mod identity;
mod limits;
mod local;
mod login;
mod page;
mod peer;
mod periodic;
mod private;
mod publish;
mod raw;
mod recipients;
mod redirect;
mod reply;
mod session;
mod spawn;
mod state;
mod tasks;
#[cfg(test)]
mod tests;
mod timer;
mod users;
mod waits;

pub use application::App;
pub use args::{Args, RawArgs};
pub use call::{Call, FromCall, Occasion, Site};
pub use channels::{Channel, Channels};
pub use codec::socketio::encode::AnswerShape as AckShape;
pub(crate) use common::Common;
pub use disconnected::Disconnected;
pub use error::{Error, Result};
pub use handler::Handler;
pub(crate) use host::ShardHost;
pub use identity::Auth;
pub use limits::AppLimits;
pub use login::{IntoLogin, Login};
pub use page::Page;
pub use peer::{Peer, PeerId};
pub use private::SessionChannels;
pub use publish::Publish;
pub use raw::{Message, RawSender, RawSocket};
pub use recipients::Recipients;
pub use reply::{Answer, IntoReply, IntoVerdict};
pub use session::{Acknowledged, Session, SessionWrite};
pub use spawn::{Spawner, spawn};
pub use state::State;
pub use timer::{Elapsed, Sleep, sleep, timeout};
pub use users::{UserId, UserPage, Users};
pub(crate) use waits::Waits;
