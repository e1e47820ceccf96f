//! Channels whose publications the application is asked about for each subscriber. They take a way of their own, on which
//! the host can be called; the others' way knows of it by one bit of their channel.
//!
//! What such a channel is told waits in a list until that is possible: for a client's publication at once, before its
//! acknowledgement, for the application's after its command, for a peer's when the turn settles, before any client is
//! heard again. The order of a channel's publications stays what it was.

use std::collections::VecDeque;
use std::fmt;

use codec::message::RawJson;

use crate::form::Push;
use crate::shard::Shard;
use crate::{Host, Time};

/// Tells which channels these are.
pub(crate) struct Filter(pub(crate) Box<dyn Fn(&str) -> bool>);

impl fmt::Debug for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Filter")
    }
}

/// Publications that wait for the host.
#[derive(Debug, Default)]
pub(crate) struct Filtered {
    waiting: VecDeque<(Box<str>, Option<Box<str>>)>,
    /// The host is being asked: what it publishes meanwhile waits for the next pass, or it could go on for ever.
    is_asking: bool,
}

impl Filtered {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn push(&mut self, channel: &str, data: Option<RawJson<'_>>) {
        self.waiting.push_back((channel.into(), data.map(|data| data.as_str().into())));
    }
}

impl Shard {
    /// Has the host asked about every delivery of the channels that this function tells, before anything else happens.
    pub fn filter_deliveries(&mut self, filter: impl Fn(&str) -> bool + 'static) {
        assert!(self.channels.len() == 0, "before anything else");
        self.channels.set_filter(Filter(Box::new(filter)));
    }

    /// Delivers what waits for the host.
    pub(crate) fn deliver_filtered<H: Host>(&mut self, now: Time, host: &mut H) {
        if self.filtered.is_empty() || self.filtered.is_asking {
            return;
        }
        self.filtered.is_asking = true;
        for _ in 0..self.filtered.waiting.len() {
            let Some((channel, data)) = self.filtered.waiting.pop_front() else { break };
            self.fan_out_filtered(&channel, data.as_deref().map(RawJson::from_validated), host);
        }
        self.drain_commands(now, host);
        self.filtered.is_asking = false;
    }

    /// As `fan_out`, with a question for each subscriber. Nothing that the host wants is done meanwhile, so that the list
    /// stays as it is.
    fn fan_out_filtered<H: Host>(&mut self, channel: &str, data: Option<RawJson<'_>>, host: &mut H) {
        let Some(slot) = self.channels.find(channel) else { return };
        let subscribers = std::mem::take(&mut self.channels.channel_mut(slot).subscribers);
        self.written.clear();
        let push = Push::Publication { channel, data, terms: self.channels.channel(slot).terms() };
        for subscriber in &subscribers {
            let caller = self.connections[subscriber.slot].caller(subscriber.slot, &self.users);
            if !host.deliver(caller, channel, data) {
                self.metrics.deliveries_blocked += 1;
                continue;
            }
            let written = self.written(subscriber.form(), push);
            self.queue_shared(subscriber.slot, written.start, written.end);
            self.metrics.deliveries += 1;
        }
        self.channels.channel_mut(slot).subscribers = subscribers;
    }
}

#[cfg(test)]
mod tests;
