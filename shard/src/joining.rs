//! Peers that die, and shards that take their place. A shard that has died is forgotten at once, and nothing waits for it;
//! its successor knows nothing, is told everything by everybody, and serves nobody before that.
//!
//! ```text
//!   survivor                                      successor
//!     handle_peer_lost: forgets, completes, waits
//!     handle_peer_joined                            handle_peer_joined, for each survivor
//!     Interest…, Member…, Online, Held…, Restore…
//!     Told ────────────────────────────────────────>  of all survivors: it knows what there is to know
//!     <─────────────── Restored…, Serving             it listens to clients from here on
//!     Open, Ask, Asked, Read: what waits for it  ──>
//! ```
//! Every link between two shards is made anew for each of their lives, so nothing that a dead shard has said arrives after
//! it was forgotten, and nothing that was meant for it reaches its successor.

use crate::seats::SeatMessage;
use crate::session::Restore;
use crate::shard::Shard;
use crate::{Caller, Disconnect, Envelope, Host, ShardId, ShardSet, Time};

/// What a shard has until it knows what there is to know.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    /// Peers that have not told everything.
    waits_for: ShardSet,
    /// What they have of sessions whose home is here.
    pub(crate) restores: Vec<Restore>,
}

impl Shard {
    /// This shard takes the place of one that has died: there are no peers before [`Shard::handle_peer_joined`] names them.
    /// To be called before anything else happens.
    pub fn begin_anew(&mut self) {
        assert!(self.connections.is_empty(), "before anything else");
        self.peers = ShardSet::EMPTY;
        self.serving = ShardSet::EMPTY;
        self.joining = Some(Box::default());
    }

    /// Whether it does not know yet what there is to know. Until then no client may be let in, and the application's tasks
    /// have to wait.
    #[must_use]
    pub const fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    /// There is a link to this peer, over which nothing was said before: it is told what it has to know.
    pub fn handle_peer_joined(&mut self, _now: Time, peer: ShardId) {
        debug_assert!(!self.peers.contains(peer) && peer != self.id, "one link at a time");
        self.peers.insert(peer);
        if let Some(joining) = &mut self.joining {
            joining.waits_for.insert(peer);
        }
        self.tell_interest(peer);
        self.tell_people(peer);
        self.tell_seats(peer);
        self.tell_sessions(peer);
        self.send_to_peer(peer, Envelope::Told);
        if self.joining.is_none() {
            self.send_to_peer(peer, Envelope::Serving);
        }
        // None of it is the doing of the message at hand.
        self.has_overflowed = false;
    }

    /// A peer has died. Everything that it has sent was handled before.
    pub fn handle_peer_lost<H: Host>(&mut self, now: Time, peer: ShardId, host: &mut H) {
        if !self.peers.contains(peer) {
            return;
        }
        // What it said is acted upon before it is forgotten.
        self.finish_sessions(now, host);
        self.finish_seats(now, host);
        self.serve_polls(now, host);
        self.peers.remove(peer);
        self.serving.remove(peer);
        self.lanes[peer.index()] = crate::lane::Lane::default();
        if let Some(joining) = &mut self.joining {
            joining.waits_for.remove(peer);
            joining.restores.iter_mut().for_each(|restore| restore.forget_peer(peer));
        }
        self.forget_interest(peer);
        self.forget_seats(peer);
        self.forget_sessions(peer);
        self.forget_polls(now, peer, host);
        self.forget_recoveries(now, peer, host);
        self.forget_people(peer);
        self.metrics.peers_lost += 1;
        // None of it is the doing of the message at hand.
        self.has_overflowed = false;
    }

    /// A peer has told everything.
    pub(crate) fn handle_told(&mut self, from: ShardId) {
        if let Some(joining) = &mut self.joining {
            joining.waits_for.remove(from);
        }
    }

    /// A peer answers from here on: it is asked what waits for it.
    pub(crate) fn handle_serving(&mut self, from: ShardId) {
        self.serving.insert(from);
        self.ask_sessions(from);
        self.ask_people(from);
        self.ask_seats(from);
    }

    /// Asks a peer something; one that does not serve is asked when it does.
    pub(crate) fn ask_peer(&mut self, peer: ShardId, envelope: Envelope<'_>) {
        if self.serving.contains(peer) {
            self.send_to_peer(peer, envelope);
        }
    }

    /// When everybody has told everything, it is a shard like all others.
    pub(crate) fn finish_joining<H: Host>(&mut self, now: Time, host: &mut H) {
        let Some(joining) = self.joining.take_if(|joining| joining.waits_for.is_empty()) else { return };
        self.restore_sessions(joining.restores);
        self.present_members();
        for peer in self.peers.iter() {
            self.send_to_peer(peer, Envelope::Serving);
        }
        self.ask_people(self.id);
        self.has_overflowed = false;
        self.drain_commands(now, host);
    }

    /// The shard dies of a bug: nothing is waited for any more, and the application is told of every connection that was let
    /// in, and of each once. What it asks for is not done any more; no more can be relied on than that the connections are there.
    pub fn abandon<H: Host>(&mut self, host: &mut H) {
        const LOST: Disconnect = Disconnect::new(1006, "the shard has failed");
        let slots: Vec<u32> = self.connections.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let id = self.connections[slot].id(slot);
            self.end_client_calls(id, None, host);
            for ticket in self.pending.of(id) {
                self.pending.remove(ticket);
                host.cancel(ticket);
            }
            let connection = &mut self.connections[slot];
            if std::mem::take(&mut connection.admitted) {
                let (peer, identity) = (connection.peer(slot), connection.identity.take());
                let user = self.users.name(self.connections[slot].user);
                let claims = identity.as_ref().map(|identity| &*identity.claims);
                host.disconnect(Caller { peer, claims, user }, &LOST);
            }
        }
    }

    /// Our interests; each is acknowledged like a new one.
    fn tell_interest(&mut self, peer: ShardId) {
        let known =
            self.channels.iter().filter_map(|(_, channel)| Some((channel.name.clone(), channel.interest.generation?)));
        for (channel, generation) in known.collect::<Vec<_>>() {
            self.send_to_peer(peer, Envelope::Interest { channel: &channel, generation, wanted: true });
        }
    }

    /// Nobody waits for the peer's acknowledgement, and it wants nothing.
    fn forget_interest(&mut self, peer: ShardId) {
        for slot in self.channels.iter().map(|(slot, _)| slot).collect::<Vec<_>>() {
            let channel = self.channels.channel_mut(slot);
            channel.wanted_by.remove(peer);
            let waiting = channel.interest.forget_peer(peer, self.peers);
            waiting.into_iter().for_each(|waiting| self.stop_waiting(waiting));
            self.channels.remove_if_unused(slot);
        }
    }

    fn tell_seats(&mut self, peer: ShardId) {
        for holder in self.seats_at(peer) {
            self.send_to_peer(peer, Envelope::Seat { holder: &holder, message: SeatMessage::Held });
        }
    }
}

#[cfg(test)]
mod tests;
