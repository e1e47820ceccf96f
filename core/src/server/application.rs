//! What the loop asks of an application beyond the shard's own trait: to run its tasks. It never knows how they are kept.

use std::task::Waker;
use std::time::Instant;

use crate::app::Refused;
use crate::observe::board::Counters;
use shard::{Host, Pressure, SessionConfig, Sessions, SlowConsumer, SocketIoConfig, Time};

/// Tells channels that are to be treated apart from others.
pub(crate) type ChannelTest = Box<dyn Fn(&str) -> bool>;

/// Tells what happens to publications of channels that have a policy of their own.
pub(crate) type ChannelPolicies = Box<dyn Fn(&str) -> Option<SlowConsumer>>;

/// An application on one shard, as the loop sees it.
pub(crate) trait Application: Host {
    /// Runs every woken task. `waker` rings this shard's doorbell, from any thread.
    fn run_tasks(&mut self, now: Time, waker: &Waker);

    /// When `run_tasks` must be called again at the latest, rung or not. A time that is over: in the next pass.
    fn next_wake(&self) -> Option<Time>;

    /// What the shard must know for its sessions, if there are to be any. `began` is the shards' common epoch.
    fn session_config(&self, _began: Instant) -> Option<SessionConfig> {
        None
    }

    /// What the application says about Socket.IO.
    fn socket_io(&self) -> SocketIoConfig {
        SocketIoConfig::default()
    }

    /// The shard's sessions are there; of how many shards this is one.
    fn open_sessions(&mut self, _sessions: Sessions, _shards: usize) {}

    /// Which channels show who is in them; none when no channel does.
    fn presence(&self) -> Option<ChannelTest> {
        None
    }

    /// Which channels' deliveries the application has to be asked about; none when no channel's.
    fn delivery_filter(&self) -> Option<ChannelTest> {
        None
    }

    /// The policies of single channels for slow consumers; none when no channel has one of its own.
    fn slow_consumers(&self) -> Option<ChannelPolicies> {
        None
    }

    /// The server is about to stop: whoever asks is told that it takes no more work.
    fn leave(&mut self) {}

    /// Of the process's memory: while there is too little, newcomers are turned away, and whoever asks is told.
    fn handle_pressure(&mut self, _pressure: Pressure) {}

    /// Whether any task is pending. Only then are glommio's own tasks looked after between two ticks: a pass of its
    /// executor costs as much as a message.
    fn has_tasks(&self) -> bool {
        false
    }

    /// Whether anybody may read what the shard counts while it runs.
    fn is_watched(&self) -> bool {
        false
    }

    /// What the shard has counted, its own counters included; several times a second where it is watched.
    fn post_counters(&self, _counters: Counters) {}

    /// Counters of its own for the report.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// What it has refused itself.
    fn refused(&self) -> Refused {
        Refused::default()
    }
}
