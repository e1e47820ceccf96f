//! What happened in a run: a hash of everything, and, when a run is replayed, a line for each step. It never influences
//! the run: the same seed gives the same hash whether anyone listens or not.

use shard::Time;

/// The account of one run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hash: u64,
    steps: u64,
    is_verbose: bool,
}

impl Trace {
    pub(super) const fn new(is_verbose: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, steps: 0, is_verbose }
    }

    /// Notes one step. The line is made only for a replay.
    pub(super) fn note(&mut self, now: Time, numbers: &[u64], line: impl FnOnce() -> String) {
        self.steps += 1;
        self.mix(now.as_micros());
        numbers.iter().for_each(|&number| self.mix(number));
        if self.is_verbose {
            println!("{:>9} us  {}", now.as_micros(), line());
        }
    }

    /// Notes bytes that went over a wire.
    pub(super) fn note_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    pub(super) const fn is_verbose(&self) -> bool {
        self.is_verbose
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }

    fn mix(&mut self, number: u64) {
        // FNV's prime on whole words, and a rotation so that high bits reach low ones.
        self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
}
