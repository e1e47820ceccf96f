//! Everything one CPU owns, as one deterministic state machine: connections, outboxes, the channel table, interest,
//! pending calls, limits, heartbeats.
//!
//! It never does I/O, never reads a clock (time is an argument), never draws randomness that was not seeded, never
//! awaits. That is what lets N shards run in one test thread under a virtual clock and replay from a seed.
//!
//! [`Shard`]'s methods form four families, after quinn's `Connection`:
//! * **getters** (`id`, `metrics`, `has_work`, …) change nothing;
//! * **`handle_*`**: the world enters — bytes, ends, failed sends, batches from peers, ticks;
//! * **commands**: the application acts — [`Shard::command`];
//! * **`poll_*`**: effects leave — sends, socket events, batches for peers; drain each until `None`.
//!
//! One pass of the driver, in this order (the order is part of the contract):
//! ```text
//! begin_turn(now)                        what the last pass sent stays readable one pass longer
//! handle_accept / handle_receive / handle_end / handle_send_failed / handle_sent     every completion of the pass
//! handle_batch(peer, batch)              what the mesh brought
//! handle_peer_lost / handle_peer_joined  a peer has died, once its last batch is handled; another one is in its place
//! command(...)                           what tasks of the application ask for
//! settle(now, host)                      resumes what was held back, finishes what is drained
//! poll_batch(peer) …                     to the mesh
//! poll_transmit() …                      one per connection that is due; nothing else is called until the kernel took them
//! poll_event() …                         pause, resume, shut down, abort, close
//! ```
//! A panic in here is a bug of ours and ends the shard: another one takes its place (`joining.rs`). Bad input never
//! panics, it ends one connection.

mod authentication;
mod bearer;
mod channel;
mod check;
mod closing;
mod command;
mod compression;
mod connection;
mod connections;
mod engineio;
mod envelope;
mod eventstream;
mod filter;
mod form;
mod heartbeat;
mod host;
mod id;
mod interest;
mod invoking;
mod joining;
mod lame_duck;
mod lane;
mod limits;
mod login_end;
mod logins;
mod meters;
mod metrics;
mod opening;
mod outbox;
mod pausing;
mod pending;
mod people;
mod policies;
mod polling;
mod pressure;
mod publish;
mod quota;
mod rate;
mod receiving;
mod recovery;
mod requests;
mod seats;
mod sending;
mod session;
mod shard;
mod socketcluster;
mod socketcluster_09;
mod socketio;
mod socketstream;
mod standstill;
mod subscribe;
mod time;
mod tongue;
mod turn;
mod visits;
#[cfg(test)]
mod world;

pub use compression::CompressionLimits;
pub use engineio::EngineLimits;
pub use envelope::{Batch, Envelope};
pub use host::{
    Caller, Command, Disconnect, Door, Host, Invocation, Invoked, Peer, RawMessage, RawReplies, Reader, Refusal, Reply,
    Request, Responded, Route, TokenError, Verdict, Verified,
};
pub use id::{ConnectionId, ShardId, ShardSet, Ticket};
pub use invoking::Unanswered;
pub use limits::{Limits, SlowConsumer};
pub use login_end::LoginEnd;
pub use meters::RateLimits;
pub use metrics::Metrics;
pub use people::{Act, Answer, Audience, PeopleLimits, PeopleMessage, Question};
pub use polling::PollMessage;
pub use pressure::Pressure;
pub use quota::QuotaLimits;
pub use rate::Rate;
pub use recovery::RecoveryLimits;
pub use seats::{SeatLimits, SeatMessage};
pub use session::{
    NoSessionId, OpenError, Operation, Receipt, Record, Session, SessionConfig, SessionId, SessionLimits,
    SessionMessage, SessionMessageKind, Sessions, StoreFailed, StoreRequest, Stored, WriteError, WriteToken, Written,
};
pub use shard::{Config, Event, Shard};
pub use socketio::SocketIoConfig;
pub use time::Time;
pub use turn::{Mode, Transmit};
