//! SocketShard: a realtime application server, thread-per-core and shared-nothing, on io_uring.
//!
//! An application is a set of actions and hooks in an [`App`](prelude); [`Server`] reads the command line and runs one
//! copy of it on each CPU. This crate is the outer wall: sockets, executors, the application's API, the command line.
//! What the bytes mean is `codec`'s business and what follows from them is `shard`'s; neither is repeated here.

mod app;
mod auth;
pub mod cli;
mod config;
mod demo;
mod doctor;
mod mesh;
mod net;
mod observe;
pub mod prelude;
mod server;
mod session;
mod tls;

pub use app::{
    AckShape, Acknowledged, ActionName, Answer, App, AppLimits, Args, Auth, Call, Channel, Channels, Deauthenticated,
    Disconnected, Error, Files, FilesError, FilesOptions, FromCall, Handler, IntoLogin, IntoReply, IntoVerdict, Login,
    Message, Names, Occasion, OnlineUsers, Page, Peer, PeerId, Publish, RawArgs, RawSender, RawSocket, Recipients,
    Request, Result, Session, SessionChannels, SessionWrite, Site, Spawner, State, UserId, UserPage, Users, spawn,
};
pub use cli::Server;
pub use config::{
    AdminSettings, AllowedOrigin, ApplicationSettings, AuthSettings, ChannelPolicy, CompressionLimits, HttpSettings,
    KeyFile, Limits, LogFormat, LogLevel, LogSettings, OriginSettings, Rate, RateLimits, RingSettings, SeatLimits,
    Secret, SessionLimits, SessionSettings, Settings, SlowConsumer, SupervisionSettings, TlsSettings, WebSocketLimits,
};

/// Where sessions are kept beyond the memory of a process.
pub mod store {
    pub use crate::session::{LoadDone, SaveDone, SessionSave, SessionStore, StoreError};
    pub use shard::SessionId;
}

/// The shard's clock, for actions and tasks to wait by.
pub mod time {
    pub use crate::app::{Elapsed, Sleep, sleep, timeout};
}

/// One shard's application without a server around it: for the project's own benches, and no part of the API.
#[doc(hidden)]
#[must_use]
pub fn host(app: App, shard: shard::ShardId) -> impl shard::Host {
    let common = app::Common::new(&config::Settings::default()).expect("the default settings name no key files");
    app::ShardHost::new(app, shard, common)
}

/// Has the shard on which it is called die as of a bug in its state machine, which no action can do otherwise: for the
/// project's own measurements of what follows, and no part of the API.
#[doc(hidden)]
pub fn break_shard() -> ! {
    app::fence::breach()
}

/// The README, whose example has to compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
