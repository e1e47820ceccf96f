//! Every bound of a shard, with its unit, default and arithmetic. Each is a flag of the server; none is a constant in
//! the logic.

use std::time::Duration;

use codec::{socketcluster, websocket};

use crate::engineio::EngineLimits;
use crate::people::PeopleLimits;
use crate::session::SessionLimits;
use crate::{CompressionLimits, QuotaLimits, RateLimits, RecoveryLimits, SeatLimits};

/// What happens to a channel's publications for a subscriber that has not read what it was sent before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowConsumer {
    /// They are queued until `outbox_bytes_max`, then the subscriber is disconnected with 1013.
    #[default]
    Close,
    /// They wait up to the high-water mark; new ones are dropped until it has caught up.
    DropNewest,
    /// They wait up to the high-water mark; a new one has the oldest dropped.
    DropOldest,
    /// Only the latest of each channel waits.
    Conflate,
}

/// The limits of one shard.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections of this shard; more are closed at once. Default 1,000,000: about 1 GB of ours.
    pub connections_max: usize,
    /// Bytes of an HTTP request head. 16 KiB: what Node and nginx accept.
    pub head_bytes_max: usize,
    /// Bytes of an HTTP request's body; a longer one is answered with 413. 1 MiB: eight of the largest messages.
    pub body_bytes_max: usize,
    /// From the end of a request's head to the end of its body. 30 s: 1 MiB at 35 kB/s.
    pub body_timeout: Duration,
    /// Bytes of one WebSocket message and how many fragments it may have.
    pub websocket: websocket::Limits,
    /// Depth of JSON, length of names, size of batches.
    pub socketcluster: socketcluster::Limits,
    /// Subscriptions of one connection. 1,000: SocketCluster's `socketChannelLimit`.
    pub subscriptions_per_connection_max: usize,
    /// Channels with local subscribers on this shard. 1,000,000: about 200 MB of table.
    pub channels_max: usize,
    /// Pending calls of one connection; more are answered with `busy`. 100: a page that has more waits on itself.
    pub calls_per_connection_max: usize,
    /// Events of the server to one connection that it has not answered yet; more are refused. 100, as in the other
    /// direction.
    pub client_calls_max: usize,
    /// How long an action may take before its caller gets a time-out. 10 s: the clients' `ackTimeout`.
    pub call_timeout: Duration,
    /// How long a page is told to wait before it asks for its event stream again; each waits up to twice as long.
    /// 2 s: reconnecting clients of other protocols wait about as long.
    pub stream_retry: Duration,
    /// Queued bytes of one connection above which its socket is not read, and above which publications that may be
    /// dropped do not wait. 256 KiB: two messages of the largest size.
    pub outbox_high_water_mark: usize,
    /// Queued bytes of one connection at which it counts as a slow consumer. 1 MiB.
    pub outbox_bytes_max: usize,
    /// What happens to publications, unless their channel has another policy.
    pub slow_consumer: SlowConsumer,
    /// How long the head of an outbox may stay unsent: 30 s without progress ends the connection.
    pub send_timeout: Duration,
    /// From accept to the end of the protocol's handshake. 10 s: SocketCluster's `handshakeTimeout`.
    pub handshake_timeout: Duration,
    /// Between pings. 8 s: SocketCluster's `pingInterval`.
    pub ping_interval: Duration,
    /// Silence after which a peer counts as gone. 20 s: SocketCluster's `pingTimeout`.
    pub ping_timeout: Duration,
    /// From our close frame to the end of the TCP connection. 5 s.
    pub close_timeout: Duration,
    /// An HTTP connection without a request. 60 s, longer than the usual proxy's.
    pub idle_timeout: Duration,
    /// Bytes queued for one peer shard above which publishers to it are not read. 8 MiB: some milliseconds of mesh.
    pub lane_high_water_mark: usize,
    /// Sends of one pass to connections that only hear publications; the others wait for the next one. 256: at
    /// 4 to 6 us of kernel time each, as measured, 1.0 to 1.5 ms that other clients wait for a huge channel.
    pub sends_per_pass: usize,
    /// Connections told to leave per pass at shutdown. 1,000: about a millisecond of sends.
    pub drain_connections_per_turn: usize,
    /// How many connections those may have who share something. No limits.
    pub seats: SeatLimits,
    /// How many subscriptions those may have on one shard who share something. No limits.
    pub quotas: QuotaLimits,
    /// How often single clients may ask for something. No limits.
    pub rates: RateLimits,
    /// Those of Engine.IO and Socket.IO.
    pub engine: EngineLimits,
    /// Those of connections that wait for their clients.
    pub recovery: RecoveryLimits,
    /// Those of compression.
    pub compression: CompressionLimits,
    /// Those of sessions.
    pub sessions: SessionLimits,
    /// Those of people.
    pub people: PeopleLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000_000,
            head_bytes_max: 16 << 10,
            body_bytes_max: 1 << 20,
            body_timeout: Duration::from_secs(30),
            websocket: websocket::Limits::default(),
            socketcluster: socketcluster::Limits::default(),
            subscriptions_per_connection_max: 1_000,
            channels_max: 1_000_000,
            calls_per_connection_max: 100,
            client_calls_max: 100,
            call_timeout: Duration::from_secs(10),
            stream_retry: Duration::from_secs(2),
            outbox_high_water_mark: 256 << 10,
            outbox_bytes_max: 1 << 20,
            slow_consumer: SlowConsumer::Close,
            send_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(8),
            ping_timeout: Duration::from_secs(20),
            close_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            lane_high_water_mark: 8 << 20,
            sends_per_pass: 256,
            drain_connections_per_turn: 1_000,
            seats: SeatLimits::default(),
            quotas: QuotaLimits::default(),
            rates: RateLimits::default(),
            engine: EngineLimits::default(),
            recovery: RecoveryLimits::default(),
            compression: CompressionLimits::default(),
            sessions: SessionLimits::default(),
            people: PeopleLimits::default(),
        }
    }
}
