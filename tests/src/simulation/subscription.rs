//! What one client must, may and must not receive of one channel. Knows what the client sent and what the server said,
//! in the order of its stream; nothing of the shard's own state.
//!
//! * Nothing arrives unless a subscription may stand: after the answer to an unsubscribe, only if the client has asked
//!   again.
//! * Of each publisher: in order of acceptance, none twice, and from the first one on without a gap.
//! * Everything arrives that was accepted after the subscription was acknowledged and that had reached the
//!   subscriber's shard before the client asked to leave (or was kicked out).

use std::collections::{BTreeMap, VecDeque};

use super::ledger::Ledger;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Subscribe,
    /// With what was owed until then: accepted after the first moment, with the shard before the second.
    Unsubscribe {
        owed: Option<(u64, u64)>,
    },
}

/// Asked for, and not yet known to be done.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Counts the client's packets: they are processed in this order.
    index: u64,
    has_call: bool,
    operation: Operation,
    has_failed: bool,
    /// The server would not enter it: the client is not subscribed.
    is_refused: bool,
}

/// How far a publisher has been heard.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    last: Option<usize>,
    /// The next one must follow at once.
    is_gapless: bool,
}

pub(super) struct Subscription {
    shard: usize,
    channel: usize,
    asked: VecDeque<Asked>,
    /// After everything that is known to be done.
    is_subscribed: bool,
    /// Since when every publication is owed.
    acknowledged: Option<u64>,
    /// When the application asked to kick this client out.
    kicks: VecDeque<u64>,
    /// Of these one that must be told, if the client has not left by itself.
    sure_kick: Option<u64>,
    cursors: BTreeMap<u64, Cursor>,
    pub(super) received: u64,
    /// By user: whether the last that was heard is that it has come.
    pub(super) presence: BTreeMap<String, bool>,
}

impl Subscription {
    pub(super) fn new(shard: usize, channel: usize) -> Self {
        Self {
            shard,
            channel,
            asked: VecDeque::new(),
            is_subscribed: false,
            acknowledged: None,
            kicks: VecDeque::new(),
            cursors: BTreeMap::new(),
            received: 0,
            sure_kick: None,
            presence: BTreeMap::new(),
        }
    }

    pub(super) fn subscribe(&mut self, index: u64, has_call: bool) {
        self.asked.push_back(Asked::new(index, has_call, Operation::Subscribe));
    }

    pub(super) fn unsubscribe(&mut self, index: u64, has_call: bool, moment: u64) {
        let owed = self.acknowledged.take().map(|since| (since, moment));
        self.sure_kick = None;
        let operation = Operation::Unsubscribe { owed };
        self.asked.push_back(Asked::new(index, has_call, operation));
    }

    /// The application has refused a subscribe; perhaps nobody will be told.
    pub(super) fn refused(&mut self, index: u64) {
        self.asked.iter_mut().filter(|asked| asked.index == index).for_each(|asked| asked.has_failed = true);
    }

    /// A subscribe was answered with a limit: there is no subscription, not even an earlier one.
    pub(super) fn found_no_room(&mut self, index: u64) {
        self.asked.iter_mut().filter(|asked| asked.index == index).for_each(|asked| asked.is_refused = true);
    }

    /// The answer to a subscribe. On success, everything accepted from now on is owed, unless the client has left since.
    pub(super) fn subscribe_answered(&mut self, index: u64, succeeded: bool, moment: u64) {
        if !succeeded {
            return self.refused(index);
        }
        let has_left = self
            .asked
            .iter()
            .any(|asked| asked.index > index && matches!(asked.operation, Operation::Unsubscribe { .. }));
        if !has_left {
            self.acknowledged.get_or_insert(moment);
        }
    }

    /// Everything up to that packet was processed before what the stream says next.
    pub(super) fn processed(&mut self, index: u64, ledger: &Ledger, is_lossy: bool) {
        while let Some(asked) = self.asked.pop_front_if(|asked| asked.index <= index) {
            match asked.operation {
                Operation::Subscribe if asked.is_refused => self.is_subscribed = false,
                Operation::Subscribe => self.is_subscribed |= !asked.has_failed,
                Operation::Unsubscribe { owed } => {
                    if let Some((since, until)) = owed.filter(|_| !is_lossy) {
                        self.settle(ledger, since, until);
                    }
                    self.is_subscribed = false;
                    self.forget_gaplessness();
                }
            }
        }
    }

    /// The application asks to kick the client out; `is_sure`: this concerns it beyond doubt.
    pub(super) fn kick(&mut self, moment: u64, is_sure: bool) {
        if !self.may_receive() {
            return;
        }
        if is_sure && self.acknowledged.is_some() && self.kicks.is_empty() {
            self.sure_kick = Some(moment);
        }
        self.kicks.push_back(moment);
    }

    /// Somebody has come to the channel, or has gone: in turns, for each.
    pub(super) fn hear_presence(&mut self, user: &str, is_here: bool, is_lossy: bool) {
        assert!(self.may_receive(), "told of {user} after the unsubscribe was acknowledged");
        let before = self.presence.insert(user.to_owned(), is_here);
        let may_repeat = is_lossy || self.asked.iter().any(|asked| asked.is_unmarked());
        assert!(may_repeat || before != Some(is_here), "told twice that {user} is in {}: {is_here}", self.channel);
    }

    /// The home of the channel has died: who is in it is told anew.
    pub(super) fn hear_reset(&mut self, users: &[&str]) {
        assert!(self.may_receive(), "told of nobody after the unsubscribe was acknowledged");
        self.presence = users.iter().map(|user| ((*user).to_owned(), false)).collect();
    }

    /// Whether everything is owed that was accepted at that moment.
    pub(super) fn is_owed(&self, accepted: u64) -> bool {
        self.kicks.is_empty() && self.acknowledged.is_some_and(|since| since < accepted)
    }

    pub(super) const fn is_subscribed(&self) -> bool {
        self.is_subscribed
    }

    /// The client is told that it was kicked out.
    pub(super) fn kicked_out(&mut self, ledger: &Ledger, is_lossy: bool) {
        assert!(self.may_receive(), "kicked out of a channel that it has left");
        let moment = self.kicks.pop_front().expect("kicked out, but nobody asked for it");
        self.sure_kick = None;
        if let Some(since) = self.acknowledged.take().filter(|_| !is_lossy) {
            self.settle(ledger, since, moment);
        }
        // An unsubscribe that the client sent before it knew: what came after the kick was not owed to it.
        for index in 0..self.asked.len() {
            if let Operation::Unsubscribe { owed } = &mut self.asked[index].operation
                && let Some((since, until)) = owed.take()
                && !is_lossy
            {
                self.settle(ledger, since, until.min(moment));
            }
        }
        self.is_subscribed = false;
        self.forget_gaplessness();
    }

    /// A publication arrives.
    pub(super) fn receive(&mut self, ledger: &Ledger, publisher: u64, number: u64, is_lossy: bool) {
        assert!(self.may_receive(), "{publisher}#{number} arrives after the unsubscribe was acknowledged");
        let position = ledger.position(self.channel, publisher, number);
        let position = position.unwrap_or_else(|| panic!("{publisher}#{number} arrives but was not accepted here"));
        // An unsubscribe that is not answered leaves no mark in the stream: a gap may be its doing.
        let may_skip = is_lossy || self.asked.iter().any(|asked| asked.is_unmarked());
        let cursor = self.cursors.entry(publisher).or_default();
        assert!(cursor.last.is_none_or(|last| last < position), "{publisher}#{number} arrives again, or late");
        let next = cursor.last.map_or(0, |last| last + 1);
        if !may_skip {
            let skipped = &ledger.entries(self.channel, publisher)[next..position];
            let since = if cursor.is_gapless { Some(0) } else { self.acknowledged };
            let lost = since
                .and_then(|since| skipped.iter().find(|entry| entry.accepted > since && !entry.is_lost_to(self.shard)));
            assert!(lost.is_none(), "{publisher}#{number} arrives, but one before it is lost: {lost:?}");
        }
        *cursor = Cursor { last: Some(position), is_gapless: true };
        self.received += 1;
    }

    /// Whether the client's own publication must have arrived by now; for the answer to it.
    pub(super) fn owes_own(&self, ledger: &Ledger, publisher: u64, position: usize) -> bool {
        let entry = &ledger.entries(self.channel, publisher)[position];
        let has_it = self.cursors.get(&publisher).is_some_and(|cursor| cursor.last >= Some(position));
        self.kicks.is_empty() && self.acknowledged.is_some_and(|since| entry.accepted > since) && !has_it
    }

    /// The end of a run, all is quiet: what is still owed is lost.
    pub(super) fn finish(&self, ledger: &Ledger) {
        if let Some(since) = self.acknowledged {
            assert!(self.sure_kick.is_none(), "never kicked out of {}", self.channel);
            self.settle(ledger, since, u64::MAX);
        }
    }

    /// The same where only the latest is kept: of what is owed, the one that reached the subscriber's shard last.
    pub(super) fn finish_with_latest(&self, ledger: &Ledger) {
        let Some(since) = self.acknowledged else { return };
        let all = ledger.publishers(self.channel).flat_map(|publisher| {
            let entries = ledger.entries(self.channel, publisher).iter().enumerate();
            entries.map(move |(position, entry)| (entry.reached_at(self.shard), publisher, position, entry))
        });
        let Some((_, publisher, position, latest)) = all.max_by_key(|(moment, ..)| *moment) else { return };
        let has_it = self.cursors.get(&publisher).is_some_and(|cursor| cursor.last >= Some(position));
        let channel = self.channel;
        assert!(
            latest.accepted <= since || has_it,
            "the latest on channel {channel}, of {publisher}, is lost: {latest:?}"
        );
    }

    /// Everything owed must be here: of each publisher the next one must not be.
    fn settle(&self, ledger: &Ledger, since: u64, until: u64) {
        for publisher in ledger.publishers(self.channel) {
            let next = self.cursors.get(&publisher).and_then(|cursor| cursor.last).map_or(0, |last| last + 1);
            let rest = &ledger.entries(self.channel, publisher)[next..];
            let lost = rest.iter().find(|entry| {
                let is_in_time = if until == u64::MAX { true } else { entry.has_reached(self.shard, until) };
                entry.accepted > since && is_in_time && !entry.is_lost_to(self.shard)
            });
            assert!(lost.is_none(), "of publisher {publisher} on channel {} is lost: {lost:?}", self.channel);
        }
    }

    pub(super) fn may_receive(&self) -> bool {
        self.is_subscribed
            || self.asked.iter().any(|asked| asked.operation == Operation::Subscribe && !asked.has_failed)
    }

    fn forget_gaplessness(&mut self) {
        self.presence.clear();
        self.cursors.values_mut().for_each(|cursor| cursor.is_gapless = false);
    }
}

impl Asked {
    const fn new(index: u64, has_call: bool, operation: Operation) -> Self {
        Self { index, has_call, operation, has_failed: false, is_refused: false }
    }

    fn is_unmarked(&self) -> bool {
        !self.has_call && matches!(self.operation, Operation::Unsubscribe { .. })
    }
}
