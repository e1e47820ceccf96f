//! What every shard has counted, where each can read it: a shard writes its own on every tick, and whoever is asked by an
//! operator reads all. A lock for each shard, which nobody but such a reader ever waits for.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counters of all shards by their names.
#[derive(Debug)]
pub(crate) struct Board {
    shards: Box<[Mutex<Counters>]>,
}

/// Names and values, in the order in which they are shown.
pub(crate) type Counters = Vec<(&'static str, u64)>;

impl Board {
    /// A board for that many shards, which have counted nothing.
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Mutex::default()).collect() }
    }

    /// A shard's counters are these now.
    pub(crate) fn post(&self, shard: usize, counters: Counters) {
        if let Some(place) = self.shards.get(shard) {
            *lock(place) = counters;
        }
    }

    /// What each shard has posted last.
    pub(crate) fn read(&self) -> Vec<Counters> {
        self.shards.iter().map(|place| lock(place).clone()).collect()
    }
}

fn lock(place: &Mutex<Counters>) -> MutexGuard<'_, Counters> {
    // Only ever replaced as a whole.
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_has_its_own_counters() {
        let board = Board::new(2);
        board.post(1, vec![("calls", 3)]);
        board.post(1, vec![("calls", 4)]);
        board.post(7, vec![("calls", 5)]);
        assert_eq!(board.read(), [vec![], vec![("calls", 4)]]);
    }
}
