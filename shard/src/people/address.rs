//! Saying something to people: to every connection of an audience, on every shard, once.

use codec::message::RawJson;

use super::audience::{Act, Audience};
use crate::connection::{Protocol, State};
use crate::form::Push;
use crate::shard::Shard;
use crate::{Disconnect, Envelope, SessionId, ShardId};

impl Shard {
    /// Does something to every connection of an audience, here now and elsewhere by this turn's batches.
    pub(crate) fn address(&mut self, audience: Audience, names: &str, act: Act<&str>) {
        self.metrics.addresses += 1;
        if audience != Audience::Channels {
            for peer in self.peers.iter() {
                self.send_to_peer(peer, Envelope::Addressed { audience, names, act });
            }
            return self.reach(audience, names, act);
        }
        for channel in names.split(Audience::SEPARATOR) {
            let Some(slot) = self.channels.find(channel) else { continue };
            let wanted_by = self.channels.channel(slot).wanted_by;
            for peer in wanted_by.iter() {
                self.send_to_peer(peer, Envelope::Addressed { audience, names: channel, act });
            }
            self.reach(audience, channel, act);
        }
    }

    /// A peer has addressed somebody.
    pub(crate) fn handle_addressed(&mut self, from: ShardId, audience: Audience, names: &str, act: Act<&str>) {
        if audience == Audience::Channels {
            let channel = self.channels.find(names);
            // As with publications: what comes before the acknowledgement belongs to an earlier interest.
            if !channel.is_some_and(|slot| self.channels.channel(slot).interest.hears(from)) {
                return;
            }
        }
        self.reach(audience, names, act);
    }

    /// The connections of this shard.
    pub(super) fn reach(&mut self, audience: Audience, names: &str, act: Act<&str>) {
        let mut reached = std::mem::take(&mut self.people.reached);
        self.find_audience(audience, names, &mut reached);
        match act {
            Act::Event { event, data } => self.send_event(&reached, event, data.map(RawJson::from_validated)),
            Act::Disconnect { code, reason } => {
                for slot in &reached {
                    let id = self.connections[*slot].id(*slot);
                    let disconnect = Disconnect { code, reason: reason.to_owned().into() };
                    self.people.closing.push((id, disconnect));
                }
            }
            Act::KickOut { channel, message } => {
                for slot in &reached {
                    let id = self.connections[*slot].id(*slot);
                    self.kick_out(id, channel, message);
                }
            }
        }
        reached.clear();
        self.people.reached = reached;
    }

    fn find_audience(&self, audience: Audience, names: &str, reached: &mut Vec<u32>) {
        match audience {
            Audience::Users => {
                for slot in names.split(Audience::SEPARATOR).filter_map(|name| self.users.find(name)) {
                    reached.extend_from_slice(self.users.get(slot).map_or(&[], |user| &user.connections));
                }
            }
            Audience::Sessions => {
                for id in names.split(Audience::SEPARATOR).filter_map(|name| name.parse::<SessionId>().ok()) {
                    if let Some(session) = self.sessions.by_id(id) {
                        reached.extend(session.state().connections());
                    }
                }
            }
            Audience::Channels => {
                if let Some(slot) = self.channels.find(names) {
                    reached.extend(self.channels.channel(slot).subscribers.iter().map(|subscriber| subscriber.slot));
                }
            }
            Audience::Everyone => reached.extend(self.connections.iter().map(|(slot, _)| slot)),
        }
        reached.retain(|slot| self.connections[*slot].state == State::Open);
    }

    /// Written once for each form in use, pointed to by many connections.
    fn send_event(&mut self, reached: &[u32], event: &str, data: Option<RawJson<'_>>) {
        self.written.clear();
        for slot in reached {
            let connection = &self.connections[*slot];
            if !matches!(connection.protocol, Protocol::SocketCluster | Protocol::SocketIo) {
                continue; // It has no events.
            }
            let form = connection.form();
            if self.drops_for(*slot) {
                self.metrics.deliveries_dropped += 1;
                continue;
            }
            let written = self.written(form, Push::Event { event, data });
            self.queue_shared(*slot, written.start, written.end);
            self.metrics.deliveries += 1;
        }
    }
}
