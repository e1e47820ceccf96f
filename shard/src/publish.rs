//! Publications: accepted once, encoded once per shard and form, pointed to by every local subscriber, sent once to every peer
//! shard that wants the channel.
//!
//! Per subscriber: one chunk of 16 bytes and a place in the line of those who wait. Per publication: one copy into the turn's shared
//! arena, and one into the lane of each interested peer.

use codec::message::{CallId, RawJson};

use crate::connection::State;
use crate::form::Push;
use crate::pending::Work;
use crate::shard::Shard;
use crate::{Batch, ConnectionId, Envelope, Host, Refusal, ShardId, Time, Verdict};

impl Shard {
    /// A client wants to publish.
    pub(crate) fn handle_publish<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        channel: &str,
        data: Option<RawJson<'_>>,
        call: Option<CallId<'_>>,
        host: &mut H,
    ) {
        let Some(connection) = self.connections.live(id) else { return };
        let ticket = self.pending.ticket();
        let verdict = match host.publish(ticket, connection.caller(id.slot, &self.users), channel, data) {
            Verdict::Allow => Ok(()),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Pending => {
                // Before the commands: the verdict may be among them already.
                let work = Work::Publish { channel: channel.into(), data: data.map(|data| data.as_str().into()) };
                self.await_verdict(now, ticket, id, call, work);
                return self.drain_commands(now, host);
            }
        };
        self.drain_commands(now, host);
        self.finish_publish(now, id, channel, data, call, verdict, host);
    }

    /// The publish hook has decided. The publisher's own delivery goes out before its acknowledgement.
    #[allow(clippy::too_many_arguments, reason = "a publication and where it came from")]
    pub(crate) fn finish_publish<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        channel: &str,
        data: Option<RawJson<'_>>,
        call: Option<CallId<'_>>,
        verdict: Result<(), Refusal>,
        host: &mut H,
    ) {
        if self.connections.live(id).is_none_or(|connection| connection.state != State::Open) {
            return;
        }
        match verdict {
            Ok(()) => {
                self.publish(channel, data);
                self.deliver_filtered(now, host);
                if let Some(call) = call {
                    self.answer(id, call, Ok(None));
                }
            }
            Err(refusal) => {
                if let Some(call) = call {
                    self.answer(id, call, Err(RawJson::from_validated(&refusal.error)));
                }
            }
        }
    }

    /// Accepts a publication: to the local subscribers now, to the other shards' by this turn's batches.
    pub(crate) fn publish(&mut self, channel: &str, data: Option<RawJson<'_>>) {
        self.metrics.publications += 1;
        let Some(slot) = self.channels.find(channel) else { return };
        let wanted_by = self.channels.channel(slot).wanted_by;
        for peer in wanted_by.iter() {
            self.send_to_peer(peer, Envelope::Publication { channel, data: data.map(RawJson::as_str) });
        }
        self.deliver(slot, channel, data);
    }

    /// A publication has come to a channel.
    fn deliver(&mut self, slot: u32, channel: &str, data: Option<RawJson<'_>>) {
        if self.channels.channel(slot).is_filtered {
            self.filtered.push(channel, data);
        } else {
            self.fan_out(slot, channel, data);
        }
    }

    /// Queues an envelope for a peer; from the high-water mark on, whoever causes more is not read.
    pub(crate) fn send_to_peer(&mut self, peer: ShardId, envelope: Envelope<'_>) {
        if !self.peers.contains(peer) {
            return; // Whoever takes its place is told what it has to know.
        }
        let lane = &mut self.lanes[peer.index()];
        lane.push(envelope);
        if lane.bytes() > self.limits.lane_high_water_mark {
            self.is_congested = true;
            self.has_overflowed = true;
        }
    }

    /// What a peer shard has sent.
    pub fn handle_batch(&mut self, _now: Time, from: ShardId, batch: &Batch) {
        for envelope in batch.iter() {
            match envelope {
                Envelope::Publication { channel, data } => {
                    self.metrics.publications_from_peers += 1;
                    let Some(slot) = self.channels.find(channel) else { continue };
                    if self.channels.channel(slot).interest.hears(from) {
                        self.deliver(slot, channel, data.map(RawJson::from_validated));
                    }
                }
                Envelope::Interest { channel, generation, wanted } => {
                    self.handle_interest(from, channel, generation, wanted);
                }
                Envelope::InterestAcknowledged { channel, generation } => {
                    self.handle_interest_acknowledged(from, channel, generation);
                }
                Envelope::Seat { holder, message } => self.handle_seat(from, holder, message),
                Envelope::Session(message) => {
                    self.handle_session(from, message);
                    self.settle_sessions();
                }
                Envelope::Told => self.handle_told(from),
                Envelope::Serving => self.handle_serving(from),
                Envelope::Poll(message) => self.poll_work.push_back((from, message.clone())),
                Envelope::People(message) => self.handle_people(from, message),
                Envelope::Addressed { audience, names, act } => self.handle_addressed(from, audience, names, act),
            }
        }
    }

    /// Written once for each form in use, pointed to by many subscribers.
    fn fan_out(&mut self, slot: u32, channel: &str, data: Option<RawJson<'_>>) {
        let subscribers = std::mem::take(&mut self.channels.channel_mut(slot).subscribers);
        if !subscribers.is_empty() {
            self.written.clear();
            let push = Push::Publication { channel, data, terms: self.channels.channel(slot).terms() };
            let mut written = self.written(subscribers[0].form(), push);
            for subscriber in &subscribers {
                if subscriber.form() != written.form {
                    written = self.written(subscriber.form(), push);
                }
                self.queue_shared(subscriber.slot, written.start, written.end);
                self.metrics.deliveries += 1;
            }
        }
        self.channels.channel_mut(slot).subscribers = subscribers;
    }
}
