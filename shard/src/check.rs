//! The invariants of a shard, spelt out. Costly: the simulation calls this after every step, nothing else does.

use crate::ConnectionId;
use crate::connection::{State, ending};
use crate::sending::room;
use crate::shard::Shard;

impl Shard {
    /// Panics if the shard contradicts itself.
    pub fn check(&self) {
        for (slot, channel) in self.channels.iter() {
            let name = &channel.name;
            assert!(self.channels.find(name) == Some(slot), "channel {name} is not found under its name");
            assert!(!channel.subscribers.is_empty() || !channel.wanted_by.is_empty(), "channel {name} is left behind");
            let has_interest = channel.interest.generation.is_some();
            assert_eq!(has_interest, !channel.subscribers.is_empty(), "interest of {name} against its subscribers");
            assert!(!channel.wanted_by.contains(self.id), "channel {name} is wanted by ourselves");
            assert!(
                !channel.interest.is_complete(self.peers) || channel.interest.waits_for_nothing(),
                "subscribers of {name} wait for a complete interest"
            );
            for (index, subscriber) in channel.subscribers.iter().enumerate() {
                let connection = self.connections.get(subscriber.slot).expect("a subscriber is connected");
                let back = connection.subscriptions.get(subscriber.index()).expect("it knows its subscription");
                assert_eq!((back.channel, back.index as usize), (slot, index), "subscription and subscriber disagree");
            }
        }
        for (slot, connection) in self.connections.iter() {
            for subscription in &connection.subscriptions {
                let channel = self.channels.channel(subscription.channel);
                assert_eq!(channel.subscribers[subscription.index as usize].slot, slot);
            }
            if connection.state == State::Closing {
                assert!(connection.subscriptions.is_empty() && connection.held.is_none() && connection.pauses == 0);
                assert!(!connection.admitted, "a connection that left is owed no disconnect");
                assert!(connection.identity.is_none(), "a connection that left is nobody");
            } else {
                let gone = ending::END_RECEIVED | ending::BROKEN | ending::SHUT_DOWN;
                assert!(connection.endings & gone == 0 || connection.is_waiting(), "a connection ends by leaving");
            }
            if let Some(outbox) = &connection.outbox {
                outbox.check(room(&self.limits, connection));
            }
            let has_chain = !connection.chain.is_empty();
            let is_listed = self.turn.waiting.contains(&slot) || self.turn.urgent.contains(&slot);
            assert!(!has_chain || is_listed, "bytes that nobody would send");
            assert!(self.due[slot as usize] != u32::MAX, "every connection has a deadline");
        }
        self.check_sessions();
        self.check_people();
    }
    /// The bytes of the connection's owned send in flight: what a simulated kernel reads, to see that they stay where
    /// they are.
    #[must_use]
    pub fn flying(&self, id: ConnectionId) -> Option<&[u8]> {
        let connection = self.connections.get(id.slot).filter(|known| known.generation == id.generation)?;
        connection.outbox.as_ref().filter(|outbox| outbox.in_flight()).map(|outbox| outbox.flying())
    }
}
