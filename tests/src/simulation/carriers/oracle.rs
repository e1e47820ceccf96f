//! What is right: which connections there are, what they must hear, which of them must be known again. Fed with what
//! persons send and hear and with what the application has accepted; it never asks a shard anything.

use std::collections::BTreeMap;

use codec::base64;
use shard::{ConnectionId, Time};

use super::seats::Seats;
use crate::simulation::ledger::{Ledger, channel_index, identity};
use crate::simulation::subscription::Subscription;
use crate::simulation::trace::Trace;

/// A connection as a person knows it: it outlives its transports where it can be recovered.
pub(super) struct Connection {
    /// The shard that it lives on, and which of its lives that is.
    pub(super) home: (usize, u32),
    pub(super) subscriptions: BTreeMap<usize, Subscription>,
    /// Packets that were sent: they are counted.
    pub(super) sent: u64,
    /// Calls that wait.
    pub(super) calls: BTreeMap<u64, Asked>,
    /// The number of its last publication.
    pub(super) number: u64,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Subscribe(usize),
    Unsubscribe(usize),
    Publish(usize, u64),
}

pub(super) struct Oracle {
    pub(super) now: Time,
    pub(super) trace: Trace,
    pub(super) ledger: Ledger,
    /// Which application has made a secret.
    pub(super) secrets: BTreeMap<[u8; 16], (usize, u32)>,
    pub(super) connections: Vec<Connection>,
    pub(super) seats: Seats,
    /// By shard: how many there were in its place before.
    pub(super) lives: Vec<u32>,
    pub(super) heard: u64,
    pub(super) recovered: u64,
    /// Connections that began anew though their persons have shown an id, and those of them whose shard had died.
    pub(super) anew: u64,
    pub(super) orphans: u64,
}

impl Oracle {
    pub(super) fn new(shards: usize, seats: Seats, is_verbose: bool) -> Self {
        Self {
            now: Time::ZERO,
            trace: Trace::new(is_verbose),
            ledger: Ledger::new(),
            secrets: BTreeMap::new(),
            connections: Vec::new(),
            seats,
            lives: vec![0; shards],
            heard: 0,
            recovered: 0,
            anew: 0,
            orphans: 0,
        }
    }

    pub(super) fn note(&mut self, numbers: &[u64], line: impl FnOnce() -> String) {
        self.trace.note(self.now, numbers, line);
    }

    /// Where the connection lives that an id names, by who has made its secret.
    pub(super) fn home(&self, id: &str) -> (usize, u32) {
        let bytes = bytes_of(id);
        let secret: [u8; 16] = bytes[8..24].try_into().expect("16 bytes");
        *self.secrets.get(&secret).unwrap_or_else(|| panic!("nobody has made the secret of {id}"))
    }

    /// Whether that life of that shard is over.
    pub(super) fn is_over(&self, (shard, life): (usize, u32)) -> bool {
        self.lives[shard] > life
    }

    /// Somebody was let in.
    pub(super) fn opened(&mut self, home: (usize, u32)) -> usize {
        let (subscriptions, calls) = (BTreeMap::new(), BTreeMap::new());
        self.connections.push(Connection { home, subscriptions, sent: 0, calls, number: 0 });
        self.connections.len() - 1
    }

    /// A call is sent; the number is its id.
    pub(super) fn asks(&mut self, connection: usize, asked: Asked) -> u64 {
        let moment = self.ledger.moment();
        let known = &mut self.connections[connection];
        known.sent += 1;
        let (call, shard) = (known.sent, known.home.0);
        known.calls.insert(call, asked);
        match asked {
            Asked::Subscribe(channel) => {
                let subscription = known.subscriptions.entry(channel);
                subscription.or_insert_with(|| Subscription::new(shard, channel)).subscribe(call, true);
            }
            Asked::Unsubscribe(channel) => {
                let subscription = known.subscriptions.get_mut(&channel).expect("it is subscribed");
                subscription.unsubscribe(call, true, moment);
            }
            Asked::Publish(..) => {}
        }
        call
    }

    /// A call is answered.
    pub(super) fn answered(&mut self, connection: usize, call: u64, outcome: &str) {
        let moment = self.ledger.moment();
        let known = &mut self.connections[connection];
        let asked = known.calls.remove(&call).unwrap_or_else(|| panic!("no call {call} waits"));
        assert!(outcome.starts_with("[null") || outcome == "[]", "{asked:?} is refused: {outcome}");
        match asked {
            Asked::Subscribe(channel) => {
                let subscription = known.subscriptions.get_mut(&channel).expect("it was asked for");
                subscription.subscribe_answered(call, true, moment);
            }
            Asked::Unsubscribe(_) => {}
            Asked::Publish(channel, number) => {
                let position = self.ledger.position(channel, connection as u64, number);
                assert!(position.is_some(), "{connection}#{number} is acknowledged and was not accepted");
            }
        }
        for subscription in known.subscriptions.values_mut() {
            subscription.processed(call, &self.ledger, false);
        }
    }

    /// Its transport is lost: what was under way is dropped. Nobody knows which of it was done.
    pub(super) fn transport_lost(&mut self, connection: usize) {
        let moment = self.ledger.moment();
        let known = &mut self.connections[connection];
        for asked in std::mem::take(&mut known.calls).into_values() {
            if let Asked::Subscribe(channel) | Asked::Unsubscribe(channel) = asked {
                // Nothing can be said of this channel until it was left and entered again.
                let subscription = known.subscriptions.get_mut(&channel).expect("it was asked for");
                known.sent += 1;
                subscription.unsubscribe(known.sent, false, moment);
                subscription.subscribe(known.sent, false);
            }
        }
    }

    /// A publication arrives.
    pub(super) fn publication(&mut self, connection: usize, channel: &str, data: &str) {
        let (publisher, number) = identity(data).unwrap_or_else(|| panic!("a mangled payload: {data}"));
        let channel = channel_index(channel);
        let known = &mut self.connections[connection];
        let subscription = known.subscriptions.get_mut(&channel);
        let subscription = subscription.unwrap_or_else(|| panic!("{connection} never subscribed to {channel}"));
        subscription.receive(&self.ledger, publisher, number, false);
        self.heard += 1;
    }

    /// A person that has shown its private id is answered. Whether it is what it was.
    pub(super) fn returned(&mut self, connection: usize, is_recovered: bool, is_surely_in_time: bool) {
        let home = self.connections[connection].home;
        let is_over = self.is_over(home);
        if is_recovered {
            self.recovered += 1;
            return;
        }
        assert!(is_over || !is_surely_in_time, "connection {connection} of {home:?} is not known again");
        self.anew += 1;
        self.orphans += u64::from(is_over);
    }
}

/// The connection that an id names, on its shard.
pub(super) fn named(id: &str) -> ConnectionId {
    let own = u64::from_be_bytes(*bytes_of(id).first_chunk().expect("24 bytes"));
    let generation = u32::try_from(own >> 32 & 0xff_ffff).expect("three bytes");
    ConnectionId { slot: u32::try_from(own & 0xffff_ffff).expect("four bytes"), generation }
}

fn bytes_of(id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert!(base64::decode(&mut bytes, &id[..32].replace('-', "+").replace('_', "/")), "an id is base64: {id}");
    bytes
}
