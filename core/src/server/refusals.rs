//! One line for all that a shard has refused or ended for its clients' doing, however many they were: what operators
//! want to be told without being flooded. It counts nothing itself.

use std::fmt::Write;
use std::time::Duration;

use shard::Time;

use super::report::REFUSALS;

/// What was told last.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Between two lines; none are written where it is zero.
    interval: Duration,
    due: Time,
    told: [u64; REFUSALS],
}

impl Refusals {
    pub(super) const fn new(interval: Duration) -> Self {
        Self { interval, due: Time::ZERO, told: [0; REFUSALS] }
    }

    /// Whether a line may be written now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        !self.interval.is_zero() && now >= self.due
    }

    /// What there is to tell, where a line may be written. While there is nothing it allocates nothing: it is asked at
    /// every tick.
    pub(super) fn look(&mut self, now: Time, counters: &[(&'static str, u64); REFUSALS]) -> Option<String> {
        let mut line = String::new();
        for ((name, count), told) in counters.iter().zip(&mut self.told) {
            if count > told {
                write!(line, " {name}={}", count - *told).expect("writing to a string");
                *told = *count;
            }
        }
        if line.is_empty() {
            return None;
        }
        self.due = now + self.interval;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn look(refusals: &mut Refusals, seconds: u64, errors: u64) -> Option<String> {
        let mut counted = [("protocol_errors", 0); REFUSALS];
        (counted[3], counted[7]) = (("protocol_errors", errors), ("timeouts", errors / 10));
        let now = Time::from_micros(seconds * 1_000_000);
        if refusals.is_due(now) { refusals.look(now, &counted) } else { None }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_together() {
        let mut refusals = Refusals::new(INTERVAL);
        assert_eq!(look(&mut refusals, 1, 0), None, "who plays by the rules is not mentioned");
        assert_eq!(look(&mut refusals, 2, 1).as_deref(), Some(" protocol_errors=1"));
        for second in 3..62 {
            assert_eq!(look(&mut refusals, second, second), None);
        }
        assert_eq!(look(&mut refusals, 62, 62).as_deref(), Some(" protocol_errors=61 timeouts=6"));
        assert_eq!(look(&mut refusals, 200, 62), None, "nothing was refused since");
    }

    #[test]
    fn an_interval_of_nothing_tells_nothing() {
        assert_eq!(look(&mut Refusals::new(Duration::ZERO), 1, 5), None);
    }
}
