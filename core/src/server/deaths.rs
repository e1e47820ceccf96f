//! How often shards have died: often enough in a minute, and the server is to end, so that what cannot work is seen. It
//! never starts one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The shards that have died.
#[derive(Debug)]
pub(super) struct Deaths {
    per_minute_max: u32,
    /// In the last minute.
    recent: VecDeque<Instant>,
    /// By place, since the start.
    counts: Vec<u32>,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Deaths {
    /// None so far, in so many places.
    pub(super) fn new(per_minute_max: u32, shards: usize) -> Self {
        Self { per_minute_max, recent: VecDeque::new(), counts: vec![0; shards] }
    }

    /// How many there were.
    #[cfg(test)]
    pub(super) fn total(&self) -> u32 {
        self.counts.iter().sum()
    }

    /// One has died; the how-many-th in its place. `None`: it was one too many.
    pub(super) fn note(&mut self, now: Instant, shard: usize) -> Option<u32> {
        while self.recent.pop_front_if(|at| now.saturating_duration_since(*at) >= MINUTE).is_some() {}
        self.recent.push_back(now);
        self.counts[shard] += 1;
        (self.recent.len() <= self.per_minute_max as usize).then_some(self.counts[shard])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_minute_are_replaced_and_no_more() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut deaths = Deaths::new(2, 2);
        assert_eq!(deaths.note(at(0), 0), Some(1));
        assert_eq!(deaths.note(at(30), 1), Some(1));
        assert_eq!(deaths.note(at(61), 0), Some(2), "the first is long ago");
        assert_eq!(deaths.note(at(62), 0), None);
        assert_eq!(Deaths::new(0, 1).note(began, 0), None, "every failure is to be seen");
    }
}
