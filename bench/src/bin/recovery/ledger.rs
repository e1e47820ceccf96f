//! What the clients of one server write down: when they lost it, when they were back, what they heard, and the longest time
//! that each shard said nothing to anybody.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shared by all clients of one server.
#[derive(Debug)]
pub(crate) struct Ledger {
    epoch: Instant,
    pub(crate) is_over: AtomicBool,
    /// Clients that are served now, by shard.
    pub(crate) served: Vec<AtomicU64>,
    /// Of those, who has heard a publication of each channel since they came.
    pub(crate) hearing: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) deliveries: AtomicU64,
    /// Sessions that were found with less in them than was acknowledged.
    pub(crate) writes_lost: AtomicU64,
    /// Sessions that were not found: another one was begun.
    pub(crate) sessions_lost: AtomicU64,
    /// Connections that the kernel refused.
    pub(crate) refused: AtomicU64,
    /// Of connections that were opened, but not answered or not to the end.
    pub(crate) retries: AtomicU64,
    silences: Vec<Silence>,
    returns: Mutex<Vec<Return>>,
}

/// How long a shard has said nothing.
#[derive(Debug, Default)]
struct Silence {
    last: AtomicU64,
    longest: AtomicU64,
}

/// One client's coming back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Return {
    /// Where it was served before.
    pub(crate) from: usize,
    /// Who serves it now.
    pub(crate) to: usize,
    /// When the new connection was answered for the first time.
    pub(crate) answered: Instant,
    /// When it had its session, its subscription and an answer to a call.
    pub(crate) back: Instant,
    /// When it had heard a publication of each channel.
    pub(crate) hearing: Instant,
}

impl Ledger {
    /// An empty one for that many shards.
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            epoch: Instant::now(),
            is_over: AtomicBool::new(false),
            served: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            hearing: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
            writes_lost: AtomicU64::new(0),
            sessions_lost: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            silences: (0..shards).map(|_| Silence::default()).collect(),
            returns: Mutex::new(Vec::new()),
        }
    }

    /// A shard has answered somebody.
    pub(crate) fn note_answer(&self, shard: usize) {
        let now = self.micros();
        let silence = &self.silences[shard];
        let last = silence.last.swap(now, Ordering::Relaxed);
        silence.longest.fetch_max(now.saturating_sub(last), Ordering::Relaxed);
    }

    /// Measures silences from now on.
    pub(crate) fn begin_silences(&self) {
        let now = self.micros();
        for silence in &self.silences {
            silence.last.store(now, Ordering::Relaxed);
            silence.longest.store(0, Ordering::Relaxed);
        }
    }

    /// The longest silence of a shard, the one that may go on included.
    pub(crate) fn silence(&self, shard: usize) -> Duration {
        let silence = &self.silences[shard];
        let now = self.micros().saturating_sub(silence.last.load(Ordering::Relaxed));
        Duration::from_micros(silence.longest.load(Ordering::Relaxed).max(now))
    }

    /// A client is back.
    pub(crate) fn note_return(&self, one: Return) {
        self.returns.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }

    /// Everybody who has come back so far.
    pub(crate) fn returns(&self) -> Vec<Return> {
        self.returns.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).expect("584,000 years")
    }
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_the_longest_time_between_two_answers_of_one_shard() {
        let ledger = Ledger::new(2);
        ledger.begin_silences();
        std::thread::sleep(Duration::from_millis(20));
        ledger.note_answer(0);
        ledger.note_answer(0);
        assert!(ledger.silence(0) >= Duration::from_millis(20));
        assert!(ledger.silence(1) >= Duration::from_millis(20), "one that goes on counts");
        ledger.begin_silences();
        ledger.note_answer(0);
        assert!(ledger.silence(0) < Duration::from_millis(20));
    }
}
