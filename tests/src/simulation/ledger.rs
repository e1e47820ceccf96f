//! Which publications were accepted, where and in which order, and when each reached which shard. Filled by what the
//! application saw and by what the mesh carried; never by asking a shard.

use std::collections::BTreeMap;

use super::plan::CHANNELS;

/// Publications of the application itself have this plus the shard as their publisher.
pub(super) const APPLICATION: u64 = 1_000_000;

/// Has not got there.
const NEVER: u64 = u64::MAX;

/// One accepted publication. Moments are counted by the ledger: they order everything that happens in the run.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    number: u64,
    pub(super) accepted: u64,
    reached: [u64; 5],
    origin: usize,
    /// Shards that it will never reach: it was accepted on one that has died.
    lost: [bool; 5],
}

impl Entry {
    /// Whether it went with the shard that had accepted it.
    pub(super) const fn is_lost_to(&self, shard: usize) -> bool {
        self.lost[shard]
    }

    /// Whether the shard had it before that moment.
    pub(super) fn has_reached(&self, shard: usize, moment: u64) -> bool {
        self.reached[shard] < moment
    }

    /// When it came to the shard; nothing if it has not.
    pub(super) fn reached_at(&self, shard: usize) -> Option<u64> {
        Some(self.reached[shard]).filter(|moment| *moment != NEVER)
    }
}

/// By channel and publisher, in order of acceptance.
pub(super) struct Ledger {
    moment: u64,
    channels: Vec<BTreeMap<u64, Vec<Entry>>>,
    pub(super) accepted: u64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { moment: 0, channels: CHANNELS.map(|_| BTreeMap::new()).to_vec(), accepted: 0 }
    }

    /// A moment later than all before.
    pub(super) const fn moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    pub(super) fn accept(&mut self, shard: usize, channel: usize, publisher: u64, number: u64) {
        let moment = self.moment();
        let entries = self.channels[channel].entry(publisher).or_default();
        assert!(entries.last().is_none_or(|last| last.number < number), "accepted {number} of {publisher} again");
        let mut reached = [NEVER; 5];
        reached[shard] = moment;
        entries.push(Entry { number, accepted: moment, reached, origin: shard, lost: [false; 5] });
        self.accepted += 1;
    }

    /// The mesh has brought it to a shard.
    pub(super) fn reach(&mut self, shard: usize, channel: usize, publisher: u64, number: u64) {
        let moment = self.moment();
        let position = self.position(channel, publisher, number);
        let position = position.unwrap_or_else(|| panic!("{publisher}#{number} crosses the mesh but was not accepted"));
        let entries = self.channels[channel].get_mut(&publisher).expect("it has a position");
        assert!(entries[position].reached[shard] == NEVER, "{publisher}#{number} reaches shard {shard} again");
        entries[position].reached[shard] = moment;
    }

    /// A shard has received everything that it will ever receive of one that has died. What is lost are the last ones.
    pub(super) fn lose(&mut self, dead: usize, shard: usize) {
        for entries in self.channels.iter_mut().flat_map(BTreeMap::values_mut) {
            for entry in entries.iter_mut().filter(|entry| entry.origin == dead && entry.reached[shard] == NEVER) {
                entry.lost[shard] = true;
            }
        }
    }

    /// Its place among those of its publisher in the channel.
    pub(super) fn position(&self, channel: usize, publisher: u64, number: u64) -> Option<usize> {
        self.entries(channel, publisher).binary_search_by_key(&number, |entry| entry.number).ok()
    }

    pub(super) fn entries(&self, channel: usize, publisher: u64) -> &[Entry] {
        self.channels[channel].get(&publisher).map_or(&[], Vec::as_slice)
    }

    pub(super) fn publishers(&self, channel: usize) -> impl Iterator<Item = u64> {
        self.channels[channel].keys().copied()
    }
}

/// A publication's payload: who, which, and padding.
pub(super) fn payload(publisher: u64, number: u64, padding_bytes: usize) -> String {
    format!("{{\"p\":{publisher},\"n\":{number},\"x\":\"{}\"}}", "x".repeat(padding_bytes))
}

/// Who and which, out of a payload.
pub(super) fn identity(payload: &str) -> Option<(u64, u64)> {
    let (publisher, rest) = payload.strip_prefix("{\"p\":")?.split_once(",\"n\":")?;
    let (number, padding) = rest.split_once(",\"x\":\"")?;
    let padding = padding.strip_suffix("\"}")?;
    padding.bytes().all(|byte| byte == b'x').then_some(())?;
    Some((publisher.parse().ok()?, number.parse().ok()?))
}

/// The channel of that name.
pub(super) fn channel_index(name: &str) -> usize {
    let found = CHANNELS.iter().position(|channel| *channel == name);
    found.unwrap_or_else(|| panic!("nobody has named a channel {name:?}"))
}
