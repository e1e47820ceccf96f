//! One shard with its application and its sockets, and what its driver remembers between two passes.

use std::collections::{BTreeMap, VecDeque};

use shard::{ConnectionId, Shard};

use super::application::Application;
use super::death::Tenure;

pub(super) struct Station {
    pub(super) shard: Shard,
    pub(super) application: Application,
    /// By slot: which connection has it, and whose it is.
    pub(super) ports: BTreeMap<u32, (ConnectionId, usize)>,
    /// Clients that wait for their accept.
    pub(super) accepts: VecDeque<usize>,
    /// Sends of the last turn that went short or broke: reported in the next.
    pub(super) failures: Vec<(u32, Result<usize, ()>)>,
    pub(super) is_tick_due: bool,
    pub(super) is_shutdown_due: bool,
    /// A pass is in the queue.
    pub(super) is_scheduled: bool,
    pub(super) tenure: Tenure,
    /// Connections that are gone: late completions may still name them.
    pub(super) gone: Vec<ConnectionId>,
}

/// One completion, for one shard.
#[derive(Debug)]
pub(super) enum Completion {
    Accept(usize),
    Receive(ConnectionId, usize, Vec<u8>),
    End(ConnectionId),
    Sent(ConnectionId, usize),
    Failed(u32, Result<usize, ()>),
    /// Of a connection that is gone.
    Stale(ConnectionId),
    Tick,
}

impl Station {
    pub(super) const fn new(shard: Shard, application: Application) -> Self {
        Self {
            shard,
            application,
            ports: BTreeMap::new(),
            accepts: VecDeque::new(),
            failures: Vec::new(),
            is_tick_due: false,
            is_shutdown_due: false,
            is_scheduled: false,
            tenure: Tenure::new(),
            gone: Vec::new(),
        }
    }

    /// The client behind a connection that exists.
    pub(super) fn client(&self, connection: ConnectionId) -> usize {
        let known = self.ports.get(&connection.slot).filter(|(id, _)| *id == connection);
        known.unwrap_or_else(|| panic!("{connection:?} is closed, or was never accepted")).1
    }
}
