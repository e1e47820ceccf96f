//! How often something may happen: a bucket of tokens that fills at a steady rate. It is one number, and never asks a
//! clock: time is an argument.

use std::time::Duration;

use crate::Time;

/// How often something may happen, and how much of it at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// In the long run; zero is no limit.
    pub per_second: u32,
    /// At once, after a rest; zero is one second's worth.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const NONE: Self = Self { per_second: 0, burst: 0 };

    /// So many a second, and as many at once.
    #[must_use]
    pub const fn per_second(per_second: u32) -> Self {
        Self { per_second, burst: 0 }
    }

    /// Whether there is a limit.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.per_second != 0
    }

    /// Nanoseconds in which one token comes.
    fn interval(self) -> u64 {
        NANOS / u64::from(self.per_second)
    }

    /// Nanoseconds in which an empty bucket fills.
    fn span(self) -> u64 {
        let burst = if self.burst == 0 { self.per_second } else { self.burst };
        self.interval() * u64::from(burst)
    }
}

/// A bucket, by when it will be full: what is left in it follows from the time (the generic cell rate algorithm, ITU-T
/// I.371). A new one is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// In nanoseconds of the shard's time; 64 bits of them are 584 years.
    full_at: u64,
}

impl Bucket {
    /// Takes one token.
    ///
    /// # Errors
    /// How long until there is one.
    pub(crate) fn take(&mut self, now: Time, rate: Rate) -> Result<(), Duration> {
        self.peek(now, rate)?;
        self.full_at = self.full_at.max(nanos(now)) + rate.interval();
        Ok(())
    }

    /// Whether there is a token; it stays.
    ///
    /// # Errors
    /// How long until there is one.
    pub(crate) fn peek(&self, now: Time, rate: Rate) -> Result<(), Duration> {
        let missing = self.full_at.saturating_sub(nanos(now)) + rate.interval();
        match missing.checked_sub(rate.span()) {
            None | Some(0) => Ok(()),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    /// Whether it is as good as new.
    pub(crate) fn is_full(&self, now: Time) -> bool {
        self.full_at <= nanos(now)
    }
}

const fn nanos(now: Time) -> u64 {
    now.as_micros().saturating_mul(1_000)
}

const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let mut bucket = Bucket::default();
        assert!((0..3).all(|_| bucket.take(at(5_000), RATE).is_ok()));
        assert_eq!(bucket.take(at(5_000), RATE), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(at(5_060), RATE), Err(Duration::from_millis(40)), "asking costs nothing");
        assert_eq!(bucket.take(at(5_100), RATE), Ok(()));
        assert_eq!(bucket.take(at(5_100), RATE), Err(Duration::from_millis(100)));
        assert!(!bucket.is_full(at(5_399)) && bucket.is_full(at(5_400)));
        assert!((0..3).all(|_| bucket.take(at(9_000), RATE).is_ok()), "a rest fills it, and no more than fills it");
        assert!(bucket.take(at(9_000), RATE).is_err());
    }

    #[test]
    fn in_the_long_run_it_is_the_rate_exactly() {
        for rate in [Rate::per_second(1), Rate::per_second(7), Rate { per_second: 1_000_000, burst: 1 }] {
            let mut bucket = Bucket::default();
            let tries = (0..2_000_000).step_by(if rate.per_second > 10 { 1 } else { 1_000 });
            let passed = tries.filter(|micros| bucket.take(Time::from_micros(*micros), rate).is_ok()).count();
            let burst = rate.span() / rate.interval();
            let expected = 2 * u64::from(rate.per_second) + burst;
            assert!((expected - 1..=expected).contains(&(passed as u64)), "{rate:?}: {passed}");
        }
    }

    #[test]
    fn looking_takes_nothing() {
        let mut bucket = Bucket::default();
        assert!((0..9).all(|_| bucket.peek(at(0), RATE).is_ok()));
        assert!((0..3).all(|_| bucket.take(at(0), RATE).is_ok()));
        assert_eq!(bucket.peek(at(0), RATE), Err(Duration::from_millis(100)));
    }
}
