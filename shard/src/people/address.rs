//! Saying something to people: to every connection of an audience, on every shard, once.

use codec::message::RawJson;

use super::audience::{Act, Audience};
use crate::channel::Channel;
use crate::connection::State;
use crate::form::{Form, Push};
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Envelope, SessionId, ShardId};

/// A connection of an audience, and how it is told: as its subscription says, or as itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reached {
    slot: u32,
    form: Option<Form>,
}

impl Shard {
    /// Does something to every connection of an audience but one of this shard, here now and elsewhere by this turn's
    /// batches.
    pub(crate) fn address(&mut self, audience: Audience, names: &str, act: Act<&str>, except: Option<ConnectionId>) {
        self.metrics.addresses += 1;
        match audience {
            Audience::Channels => {
                for channel in names.split(Audience::SEPARATOR) {
                    let Some(slot) = self.channels.find(channel) else { continue };
                    let wanted_by = self.channels.channel(slot).wanted_by;
                    for peer in wanted_by.iter() {
                        self.send_to_peer(peer, Envelope::Addressed { audience, names: channel, act });
                    }
                    self.reach(audience, channel, act, except);
                }
            }
            Audience::AnyChannel => {
                for peer in self.peers.iter() {
                    let wanted = self.channels_among(names, |channel| channel.wanted_by.contains(peer));
                    if !wanted.is_empty() {
                        self.send_to_peer(peer, Envelope::Addressed { audience, names: &wanted, act });
                    }
                }
                self.reach(audience, names, act, except);
            }
            Audience::Users | Audience::Sessions | Audience::Connections | Audience::Everyone => {
                for peer in self.peers.iter() {
                    self.send_to_peer(peer, Envelope::Addressed { audience, names, act });
                }
                self.reach(audience, names, act, except);
            }
        }
    }

    /// Those of the channels named that are known here and of which that is so, as they were named.
    fn channels_among(&self, names: &str, is_so: impl Fn(&Channel) -> bool) -> String {
        let mut among = String::new();
        for name in names.split(Audience::SEPARATOR) {
            if self.channels.find(name).is_some_and(|slot| is_so(self.channels.channel(slot))) {
                if !among.is_empty() {
                    among.push(Audience::SEPARATOR);
                }
                among.push_str(name);
            }
        }
        among
    }

    /// A peer has addressed somebody.
    pub(crate) fn handle_addressed(&mut self, from: ShardId, audience: Audience, names: &str, act: Act<&str>) {
        if !matches!(audience, Audience::Channels | Audience::AnyChannel) {
            return self.reach(audience, names, act, None);
        }
        // As with publications: what comes before the acknowledgement belongs to an earlier interest.
        let heard = self.channels_among(names, |channel| channel.interest.hears(from));
        if !heard.is_empty() {
            self.reach(audience, &heard, act, None);
        }
    }

    /// The connections of this shard.
    pub(super) fn reach(&mut self, audience: Audience, names: &str, act: Act<&str>, except: Option<ConnectionId>) {
        let mut reached = std::mem::take(&mut self.people.reached);
        self.find_audience(audience, names, &mut reached);
        if let Some(except) = except.filter(|except| self.connections.live(*except).is_some()) {
            reached.retain(|known| known.slot != except.slot);
        }
        match act {
            Act::Event { event, data, is_volatile } => {
                let push = Push::Event { event, data: data.map(RawJson::from_validated), audience, names };
                self.send_push(&reached, push, is_volatile);
            }
            Act::Disconnect { code, reason } => {
                for Reached { slot, .. } in &reached {
                    let id = self.connections[*slot].id(*slot);
                    let disconnect = Disconnect { code, reason: reason.to_owned().into() };
                    self.people.closing.push((id, disconnect));
                }
            }
            Act::KickOut { channel, message } => {
                for Reached { slot, .. } in &reached {
                    let id = self.connections[*slot].id(*slot);
                    self.kick_out(id, channel, message);
                }
            }
        }
        reached.clear();
        self.people.reached = reached;
    }

    fn find_audience(&self, audience: Audience, names: &str, reached: &mut Vec<Reached>) {
        let as_itself = |slot| Reached { slot, form: None };
        match audience {
            Audience::Users => {
                for slot in names.split(Audience::SEPARATOR).filter_map(|name| self.users.find(name)) {
                    let connections: &[u32] = self.users.get(slot).map_or(&[], |user| &user.connections);
                    reached.extend(connections.iter().copied().map(as_itself));
                }
            }
            Audience::Sessions => {
                for id in names.split(Audience::SEPARATOR).filter_map(|name| name.parse::<SessionId>().ok()) {
                    if let Some(session) = self.sessions.by_id(id) {
                        reached.extend(session.state().connections().map(as_itself));
                    }
                }
            }
            Audience::Channels | Audience::AnyChannel => {
                for slot in names.split(Audience::SEPARATOR).filter_map(|name| self.channels.find(name)) {
                    let subscribers = self.channels.channel(slot).subscribers.iter();
                    reached.extend(subscribers.map(|known| Reached { slot: known.slot, form: Some(known.form()) }));
                }
                if audience == Audience::AnyChannel {
                    reached.sort_unstable();
                    reached.dedup();
                }
            }
            Audience::Connections => {
                let mut ids: Vec<_> = names.split(Audience::SEPARATOR).map(str::as_bytes).collect();
                ids.sort_unstable();
                let all = self.connections.iter().map(|(slot, known)| (slot, self.public_id(known.id(slot))));
                reached
                    .extend(all.filter(|(_, id)| ids.binary_search(&&id[..]).is_ok()).map(|(slot, _)| as_itself(slot)));
            }
            Audience::Everyone => reached.extend(self.connections.iter().map(|(slot, _)| as_itself(slot))),
        }
        reached.retain(|known| self.connections[known.slot].state == State::Open);
    }

    /// Written once for each form in use, pointed to by many connections.
    fn send_push(&mut self, reached: &[Reached], push: Push<'_>, is_volatile: bool) {
        self.written.clear();
        for Reached { slot, form } in reached {
            let connection = &self.connections[*slot];
            if !connection.protocol.has_events() {
                continue; // It has no events.
            }
            let form = form.unwrap_or_else(|| connection.form());
            if is_volatile && !connection.is_ready() {
                self.metrics.volatile_dropped += 1;
                continue;
            }
            let written = self.written(form, push);
            self.queue_shared(*slot, written.start, written.end);
            self.metrics.deliveries += 1;
        }
    }
}
