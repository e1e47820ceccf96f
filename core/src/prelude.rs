//! What an application's source begins with: `use socketshard::prelude::*;`. Names only; everything in it is documented
//! where it lives.

pub use std::process::ExitCode;

pub use crate::app::{
    ActionName, App, Args, Auth, Channel, Channels, Deauthenticated, Disconnected, Error, IntoReply, Login, Message,
    Page, Peer, Publish, RawArgs, RawSender, RawSocket, Request, Result, Session, Spawner, State, UserId, Users, spawn,
};
pub use crate::cli::Server;
pub use shard::SlowConsumer;
