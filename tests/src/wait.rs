//! Waiting for a condition, with an end. Nothing here waits for a fixed time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long a healthy loopback exchange may take on a loaded 2-core machine. A test that needs longer says so itself.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at a condition that nothing announces, such as a process's descriptor count.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Returns the first value that `probe` finds.
///
/// # Panics
/// When it finds none within `limit`; `what` says what was waited for.
pub fn until<T>(what: impl Display, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// The time left before `end`; none once it has passed.
#[must_use]
pub fn remaining(end: Instant) -> Option<Duration> {
    end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let found = until("the third look", PATIENCE, || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "in vain: what never comes")]
    fn a_condition_that_never_holds_is_named() {
        until("what never comes", Duration::from_millis(5), || None::<()>);
    }
}
