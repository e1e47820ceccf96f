//! Joining and leaving channels, and the interest that follows from it.
//!
//! A subscription is entered at once, so that a client that subscribes and publishes in one breath hears itself. It is
//! acknowledged when every peer has recorded the interest: from then on no accepted publication passes it by.

use codec::message::{CallId, RawJson};
use codec::socketcluster::errors::WireError;
use codec::socketio::is_reserved;

use crate::channel::{Channels, Subscriber, Subscription};
use crate::connection::{Connection, Protocol, State};
use crate::form::Form;
use crate::interest::Waiting;
use crate::invoking::Unanswered;
use crate::pending::Work;
use crate::people::Answer;
use crate::shard::Shard;
use crate::{ConnectionId, Envelope, Host, Refusal, ShardId, Time, Verdict};

impl Shard {
    /// A client wants to subscribe.
    pub(crate) fn handle_subscribe<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        channel: &str,
        data: Option<RawJson<'_>>,
        call: Option<CallId<'_>>,
        host: &mut H,
    ) {
        if self.is_private_subscriber(id, channel) {
            return self.finish_subscribe(id, channel, call, Ok(()));
        }
        let Some(connection) = self.connections.live(id) else { return };
        let ticket = self.pending.ticket();
        let verdict = match host.subscribe(ticket, connection.caller(id.slot, &self.users), channel, data) {
            Verdict::Allow => Ok(()),
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Pending => {
                // Before the commands: the verdict may be among them already.
                self.await_verdict(now, ticket, id, call, Work::Subscribe { channel: channel.into() });
                return self.drain_commands(now, host);
            }
        };
        self.drain_commands(now, host);
        self.finish_subscribe(id, channel, call, verdict);
    }

    /// The subscribe hook has decided.
    pub(crate) fn finish_subscribe(
        &mut self,
        id: ConnectionId,
        channel: &str,
        call: Option<CallId<'_>>,
        verdict: Result<(), Refusal>,
    ) {
        let Some(connection) = self.connections.live(id) else { return };
        if connection.state != State::Open {
            return;
        }
        if let Err(refusal) = verdict {
            if let Some(call) = call {
                self.answer(id, call, Err(RawJson::from_validated(&refusal.error)));
            }
            return;
        }
        let Some(slot) = self.join(id, channel) else { return self.refuse_subscription(id, channel, call) };
        let Some(call) = call else { return };
        let interest = &mut self.channels.channel_mut(slot).interest;
        if interest.is_complete(self.peers) {
            self.answer(id, call, Ok(None));
        } else {
            interest.wait(Waiting::Call { connection: id, call: call.as_str().into() });
        }
    }

    /// Enters a subscription, once; `None` when a limit forbids it.
    pub(crate) fn join(&mut self, id: ConnectionId, channel: &str) -> Option<u32> {
        let (subscriptions_max, channels_max) =
            (self.limits.subscriptions_per_connection_max, self.limits.channels_max);
        let known = self.channels.find(channel);
        let connection = self.connections.live(id)?;
        let form = connection.form();
        if let Some(slot) = known
            && place_of(connection, &self.channels, slot, form).is_some()
        {
            return Some(slot);
        }
        let (held, address, user) = (connection.subscriptions.len(), connection.address, connection.user);
        let is_full = held >= subscriptions_max || self.channels.subscribed() >= channels_max;
        if is_full || self.quota_reached(address, user).is_some() {
            self.metrics.subscriptions_refused += 1;
            return None;
        }
        let slot = self.channels.find_or_insert(channel);
        let (place, is_first) = self.channels.join(slot, Subscriber::new(id.slot, held, form));
        let connection = self.connections.live(id)?;
        if connection.subscriptions.capacity() == 0 {
            connection.subscriptions.reserve_exact(1); // Many have just one.
        }
        connection.subscriptions.push(Subscription { channel: slot, index: place });
        if let Some(quotas) = &mut self.quotas {
            quotas.take(address);
        }
        if is_first {
            if (self.people.shows_members)(channel) {
                self.channels.channel_mut(slot).members = Some(Box::default());
            }
            self.next_interest += 1;
            let generation = self.next_interest;
            self.channels.channel_mut(slot).interest.begin(generation);
            for peer in self.peers.iter() {
                self.send_to_peer(peer, Envelope::Interest { channel, generation, wanted: true });
            }
        }
        if let Some(known) = self.users.get_mut(user) {
            known.subscriptions += 1;
            self.enter_channel(slot, user);
        }
        Some(slot)
    }

    /// The application subscribes a connection. What follows is as for any subscription, but the client is not told.
    pub(crate) fn join_by_command(&mut self, id: ConnectionId, channel: &str) -> Result<(), Unanswered<'static>> {
        let known = self.connections.live(id).filter(|known| known.state == State::Open);
        let is_possible = match known.ok_or(Unanswered::Ended)?.protocol {
            Protocol::SocketCluster => true,
            // Its publications would be events that the client takes for its own.
            Protocol::SocketIo => !is_reserved(channel),
            _ => false,
        };
        if !is_possible {
            return Err(Unanswered::Unsupported);
        }
        self.join(id, channel).map(drop).ok_or(Unanswered::Busy)
    }

    fn refuse_subscription(&mut self, id: ConnectionId, channel: &str, call: Option<CallId<'_>>) {
        let connection = self.public_id(id);
        let subscriptions_max = self.limits.subscriptions_per_connection_max as u64;
        let Some(known) = self.connections.live(id) else { return };
        let (held, address, user) = (known.subscriptions.len(), known.address, known.user);
        let connection = std::str::from_utf8(&connection).expect("public ids are ASCII");
        if held as u64 >= subscriptions_max {
            self.refuse(id, call, &WireError::SubscriptionLimit { channel, connection, subscriptions_max });
        } else {
            let error = self.quota_reached(address, user).unwrap_or(WireError::Busy);
            self.refuse(id, call, &error);
        }
    }

    /// A client wants to unsubscribe. Nothing of the channel is queued for it after the answer.
    pub(crate) fn handle_unsubscribe(&mut self, id: ConnectionId, channel: &str, call: Option<CallId<'_>>) {
        if self.unsubscribe(id, channel) {
            if let Some(call) = call {
                self.answer(id, call, Ok(None));
            }
            return;
        }
        let connection = self.public_id(id);
        let connection = std::str::from_utf8(&connection).expect("public ids are ASCII");
        self.refuse(id, call, &WireError::NotSubscribed { channel, connection });
    }

    /// Ends one subscription; whether there was one.
    pub(crate) fn unsubscribe(&mut self, id: ConnectionId, channel: &str) -> bool {
        let Some(slot) = self.channels.find(channel) else { return false };
        let Some(connection) = self.connections.live(id) else { return false };
        let Some(index) = place_of(connection, &self.channels, slot, connection.form()) else { return false };
        self.remove_subscription(id, index);
        true
    }

    /// Ends a connection's subscriptions to one channel from our side, in whatever forms they are told.
    pub(crate) fn kick_out(&mut self, id: ConnectionId, channel: &str, message: &str) {
        if self.take_out(id, channel) {
            self.say_kicked_out(id, channel, message);
        }
    }

    /// The same, and the client is not told; whether there were any.
    pub(crate) fn take_out(&mut self, id: ConnectionId, channel: &str) -> bool {
        let mut has_ended = false;
        while let Some(slot) = self.channels.find(channel)
            && let Some(connection) = self.connections.live(id)
            && let Some(index) = connection.subscriptions.iter().position(|known| known.channel == slot)
        {
            self.remove_subscription(id, index);
            has_ended = true;
        }
        has_ended
    }

    /// Ends all subscriptions of a connection that are told in this form.
    pub(crate) fn unsubscribe_form(&mut self, id: ConnectionId, form: Form) {
        let Some(connection) = self.connections.live(id) else { return };
        for index in (0..connection.subscriptions.len()).rev() {
            let subscription = self.connections[id.slot].subscriptions[index];
            if self.channels.channel(subscription.channel).subscribers[subscription.index as usize].form() == form {
                self.remove_subscription(id, index);
            }
        }
    }

    /// Who has asked for a connection's subscriptions is not there any more to be answered. They stay.
    pub(crate) fn forget_subscribe_calls(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.live(id) else { return };
        for subscription in &connection.subscriptions {
            self.channels.channel_mut(subscription.channel).interest.forget(id, false);
        }
    }

    /// Ends all subscriptions of a connection that leaves.
    pub(crate) fn unsubscribe_all(&mut self, id: ConnectionId) {
        while let Some(last) = self.connections.live(id).and_then(|known| known.subscriptions.len().checked_sub(1)) {
            self.remove_subscription(id, last);
        }
        if let Some(connection) = self.connections.live(id) {
            connection.subscriptions = Vec::new();
        }
    }

    fn remove_subscription(&mut self, id: ConnectionId, index: usize) {
        let connection = &mut self.connections[id.slot];
        let (user, address) = (connection.user, connection.address);
        let subscriptions = &mut connection.subscriptions;
        let removed = subscriptions.swap_remove(index);
        if let Some(moved) = subscriptions.get(index).copied() {
            let members = &mut self.channels.channel_mut(moved.channel).subscribers;
            members[moved.index as usize].set_index(index);
        }
        if let Some(quotas) = &mut self.quotas {
            quotas.give_back(address);
        }
        if let Some(known) = self.users.get_mut(user) {
            known.subscriptions -= 1;
            self.exit_channel(removed.channel, user);
        }
        let (moved, is_last) = self.channels.leave(removed.channel, removed.index);
        if let Some(moved) = moved {
            self.connections[moved.slot].subscriptions[moved.index()].index = removed.index;
        }
        let channel = self.channels.channel_mut(removed.channel);
        let forgotten = channel.interest.forget(id, is_last);
        let (name, ended) = (channel.name.clone(), if is_last { channel.interest.end() } else { None });
        // It was subscribed, if only until now.
        forgotten.into_iter().for_each(|waiting| self.stop_waiting(waiting));
        if !is_last {
            return;
        }
        self.channels.channel_mut(removed.channel).members = None;
        if let Some(generation) = ended {
            for peer in self.peers.iter() {
                self.send_to_peer(peer, Envelope::Interest { channel: &name, generation, wanted: false });
            }
        }
        self.channels.remove_if_unused(removed.channel);
    }

    /// A peer wants a channel's publications, or does not want them any more.
    pub(crate) fn handle_interest(&mut self, from: ShardId, channel: &str, generation: u64, wanted: bool) {
        if wanted {
            let slot = self.channels.find_or_insert(channel);
            self.channels.channel_mut(slot).wanted_by.insert(from);
            self.send_to_peer(from, Envelope::InterestAcknowledged { channel, generation });
        } else if let Some(slot) = self.channels.find(channel) {
            self.channels.channel_mut(slot).wanted_by.remove(from);
            self.channels.remove_if_unused(slot);
        }
    }

    /// A peer will send us everything it accepts from now on. The last one completes the subscribe barrier.
    pub(crate) fn handle_interest_acknowledged(&mut self, from: ShardId, channel: &str, generation: u64) {
        let Some(slot) = self.channels.find(channel) else { return };
        let waiting = self.channels.channel_mut(slot).interest.acknowledge(from, generation, self.peers);
        waiting.into_iter().for_each(|waiting| self.stop_waiting(waiting));
    }

    /// Whoever has waited for an interest hears that it is established.
    pub(crate) fn stop_waiting(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::Call { connection, call } => {
                self.answer(connection, CallId::new(RawJson::from_validated(&call)), Ok(None));
            }
            Waiting::Peer { shard, ticket } => self.tell(shard, ticket, Answer::Settled),
        }
    }

    /// Whether a shard has to wait until our interest in a channel is established. Then it is answered.
    pub(crate) fn waits_for_interest(&mut self, channel: &str, shard: ShardId, ticket: u64) -> bool {
        let Some(slot) = self.channels.find(channel) else { return false };
        let interest = &mut self.channels.channel_mut(slot).interest;
        let waits = interest.generation.is_some() && !interest.is_complete(self.peers);
        if waits {
            interest.wait(Waiting::Peer { shard, ticket });
        }
        waits
    }
}

/// Where a connection's list has the channel, told in this form.
fn place_of(connection: &Connection, channels: &Channels, slot: u32, form: Form) -> Option<usize> {
    let is_told_so = |index: u32| channels.channel(slot).subscribers[index as usize].form() == form;
    connection.subscriptions.iter().position(|known| known.channel == slot && is_told_so(known.index))
}
