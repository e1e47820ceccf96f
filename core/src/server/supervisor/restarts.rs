//! Whether a server that has ended is started again, and when. It knows no process and no clock.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use crate::config::SupervisionSettings;

/// The deaths in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restarts {
    settings: SupervisionSettings,
    deaths: u32,
}

/// What an end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was meant, or the next one would end the same way: this is the exit code.
    Final(u8),
    /// It was an accident.
    Death(u8),
}

impl Restarts {
    /// None yet.
    pub(super) const fn new(settings: SupervisionSettings) -> Self {
        Self { settings, deaths: 0 }
    }

    /// A server has died that had served for so long. How long to wait before the next; none: that was one too many.
    pub(super) fn died(&mut self, served: Duration) -> Option<Duration> {
        if served >= STEADY {
            self.deaths = 0;
        }
        if self.deaths >= self.settings.restarts_max {
            return None;
        }
        let delay = self.settings.restart_delay;
        let wait =
            delay.saturating_mul(1_u32.checked_shl(self.deaths).unwrap_or(u32::MAX)).min(delay * DELAY_FACTOR_MAX);
        self.deaths += 1;
        Some(wait)
    }

    /// How many there were.
    pub(super) const fn deaths(&self) -> u32 {
        self.deaths
    }
}

impl End {
    /// Of a server that nobody had asked to go.
    pub(super) fn of(status: ExitStatus) -> Self {
        let code = exit_code(status);
        if status.signal().is_none() && FINAL.contains(&code) { Self::Final(code) } else { Self::Death(code) }
    }
}

/// As a shell reports it: what a signal has ended has 128 plus its number.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// How it ended, for the log.
pub(super) fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit code {}", exit_code(status)),
    }
}

/// Ends that another start would not change: stopped as asked, once or twice; the command line, the settings; what the
/// machine does not allow; keys that cannot be read; sockets that are none.
const FINAL: &[u8] = &[0, 2, 3, 10, 11, 12, 13, 66, 69, 76, 77, 130, 143];
/// A server that has served for so long has not died of how it was started.
const STEADY: Duration = Duration::from_secs(60);
const DELAY_FACTOR_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(restarts_max: u32) -> SupervisionSettings {
        SupervisionSettings { restarts_max, ..SupervisionSettings::default() }
    }

    #[test]
    fn deaths_in_a_row_are_waited_longer_and_longer_with_and_not_without_end() {
        let mut restarts = Restarts::new(settings(10));
        let waits: Vec<_> = std::iter::from_fn(|| restarts.died(Duration::from_secs(59))).collect();
        let expected = [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000].map(Duration::from_millis);
        assert_eq!(waits, expected);
        assert_eq!(restarts.died(Duration::from_secs(60)), Some(Duration::from_millis(100)), "a new row");
        assert_eq!(Restarts::new(settings(0)).died(Duration::from_secs(60)), None);
        let mut patient = Restarts::new(settings(1_000_000));
        let last = (0..100).filter_map(|_| patient.died(Duration::ZERO)).last();
        assert_eq!(last, Some(Duration::from_secs(10)));
    }

    #[test]
    fn what_another_start_would_not_change_is_final() {
        let exited = |code: i32| End::of(ExitStatus::from_raw(code << 8));
        let killed = |signal| End::of(ExitStatus::from_raw(signal));
        for code in [0, 2, 3, 66, 143] {
            assert_eq!(exited(code), End::Final(u8::try_from(code).expect("small")));
        }
        for code in [1, 70, 71, 101] {
            assert_eq!(exited(code), End::Death(u8::try_from(code).expect("small")));
        }
        assert_eq!((killed(9), killed(6), killed(15)), (End::Death(137), End::Death(134), End::Death(143)));
        assert_eq!(describe(ExitStatus::from_raw(9)), "signal 9");
        assert_eq!(describe(ExitStatus::from_raw(70 << 8)), "exit code 70");
    }
}
