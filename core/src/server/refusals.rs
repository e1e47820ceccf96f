//! One line for all that a shard has refused or ended for its clients' doing, however many they were: what operators
//! want to be told without being flooded. It counts nothing itself.

use std::fmt::Write;
use std::time::Duration;

use shard::Time;

use crate::observe::board::Counters;

/// What was told last.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Between two lines; none are written where it is zero.
    interval: Duration,
    due: Time,
    told: [u64; NAMES.len()],
}

impl Refusals {
    pub(super) const fn new(interval: Duration) -> Self {
        Self { interval, due: Time::ZERO, told: [0; NAMES.len()] }
    }

    /// Whether a line may be written now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        !self.interval.is_zero() && now >= self.due
    }

    /// What there is to tell, where a line may be written.
    pub(super) fn look(&mut self, now: Time, counters: &Counters) -> Option<String> {
        let mut line = String::new();
        for (name, told) in NAMES.iter().zip(&mut self.told) {
            let count = counters.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
            if count > *told {
                write!(line, " {name}={}", count - *told).expect("writing to a string");
                *told = count;
            }
        }
        if line.is_empty() {
            return None;
        }
        self.due = now + self.interval;
        Some(line)
    }
}

/// The counters of what no client does that plays by the rules and keeps to its limits. That one goes without a goodbye
/// (`timeouts`) happens to honest ones as well, but not all at once.
const NAMES: [&str; 24] = [
    "refused",
    "seats_refused",
    "messages_unknown",
    "protocol_errors",
    "bodies_refused",
    "requests_refused",
    "polls_refused",
    "calls_busy",
    "client_calls_busy",
    "calls_refused",
    "clients_ignored",
    "requests_limited",
    "subscriptions_refused",
    "timeouts",
    "tokens_refused",
    "cookies_refused",
    "upgrades_refused",
    "logins_failed",
    "logins_refused",
    "origins_refused",
    "slow_consumers",
    "sessions_refused",
    "tls_failures",
    "admin_refused",
];

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    fn look(refusals: &mut Refusals, seconds: u64, errors: u64, messages: u64) -> Option<String> {
        let counters = vec![("messages", messages), ("protocol_errors", errors), ("timeouts", errors / 10)];
        let now = Time::from_micros(seconds * 1_000_000);
        if refusals.is_due(now) { refusals.look(now, &counters) } else { None }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_together() {
        let mut refusals = Refusals::new(INTERVAL);
        assert_eq!(look(&mut refusals, 1, 0, 5), None, "who plays by the rules is not mentioned");
        assert_eq!(look(&mut refusals, 2, 1, 5).as_deref(), Some(" protocol_errors=1"));
        for second in 3..62 {
            assert_eq!(look(&mut refusals, second, second, 5), None);
        }
        assert_eq!(look(&mut refusals, 62, 62, 5).as_deref(), Some(" protocol_errors=61 timeouts=6"));
        assert_eq!(look(&mut refusals, 200, 62, 9), None, "nothing was refused since");
    }

    #[test]
    fn an_interval_of_nothing_tells_nothing() {
        assert_eq!(look(&mut Refusals::new(Duration::ZERO), 1, 5, 5), None);
    }
}
