//! *When* to send. An open-loop plan fixes the intended time of every message before the run starts, so that a server
//! which stalls cannot slow the questions down and hide its stall (coordinated omission). Never reads a clock: times
//! are nanoseconds since the run's epoch, passed in.
//!
//! The plan of C connections at R messages per second in total is one arithmetic sequence: message k goes out at
//! `start + k / R` on connection `k mod C`. Each connection thus sends at R / C, evenly spread over the others, and the
//! intended time of any message is computed, not stored. A connection that may not send now (its window is full) keeps
//! its place: what it owes is the difference between what is due and what it has sent.

/// Nanoseconds since the epoch of the run.
pub(crate) type Nanoseconds = u64;

/// One worker's part of an open-loop plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Between two messages of the whole run.
    step_ns: f64,
    /// Connections of the whole run that take part.
    connections: u64,
    /// This worker has the connections `offset`, `offset + stride`, …
    offset: u64,
    stride: u64,
    /// How many of them.
    local: u64,
    /// When message 0 is due.
    start: Nanoseconds,
    /// The next of this worker's messages (in the order of their times) that has not been looked at.
    cursor: u64,
}

/// A message that has become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Which of this worker's connections sends it.
    pub(crate) connection: usize,
    /// The how-many-th message of that connection it is, from 0.
    pub(crate) nth: u64,
    /// When it should leave.
    pub(crate) intended: Nanoseconds,
}

impl Schedule {
    /// The part of worker `worker` of `workers` in a plan of `rate` messages per second over `connections`.
    pub(crate) fn new(rate: f64, connections: u64, worker: u64, workers: u64) -> Self {
        assert!(rate > 0.0 && connections > 0 && worker < workers, "a plan has a rate, connections and workers");
        Self {
            step_ns: 1e9 / rate,
            connections,
            offset: worker,
            stride: workers,
            local: share(connections, worker, workers),
            start: 0,
            cursor: 0,
        }
    }

    /// Fixes the time of message 0.
    pub(crate) const fn begin(&mut self, start: Nanoseconds) {
        self.start = start;
        self.cursor = 0;
    }

    /// The next message that is due at `now` and was not given out yet.
    pub(crate) fn next_due(&mut self, now: Nanoseconds) -> Option<Due> {
        if self.local == 0 {
            return None;
        }
        let (connection, nth) = (self.cursor % self.local, self.cursor / self.local);
        let intended = self.intended(connection, nth);
        if intended > now {
            return None;
        }
        self.cursor += 1;
        Some(Due { connection: usize::try_from(connection).expect("an index"), nth, intended })
    }

    /// When the next message will be due.
    pub(crate) fn next_time(&self) -> Option<Nanoseconds> {
        (self.local > 0).then(|| self.intended(self.cursor % self.local, self.cursor / self.local))
    }

    /// When message `nth` of this worker's connection should leave.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(crate) fn intended(&self, connection: u64, nth: u64) -> Nanoseconds {
        let message = nth * self.connections + self.offset + connection * self.stride;
        // 2^53 ns is 104 days: exact to a nanosecond over any run.
        self.start + (message as f64 * self.step_ns) as u64
    }

    /// How many of this worker's messages have an intended time before `end`.
    #[cfg(test)]
    fn count_before(&self, end: Nanoseconds) -> u64 {
        let mut copy = Self { cursor: 0, ..*self };
        std::iter::from_fn(|| copy.next_due(end - 1)).fold(0, |count, _| count + 1)
    }
}

/// How many of `total` things belong to worker `worker` of `workers` when they are dealt out in turn.
pub(crate) const fn share(total: u64, worker: u64, workers: u64) -> u64 {
    total / workers + if worker < total % workers { 1 } else { 0 }
}

/// When a run is warm, when it stops sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// First moment of the plan.
    pub(crate) start: Nanoseconds,
    /// What is intended from here on is recorded.
    pub(crate) warm: Nanoseconds,
    /// Nothing is intended from here on.
    pub(crate) stop: Nanoseconds,
}

impl Window {
    /// Whether a message of that intended time is recorded.
    pub(crate) const fn records(&self, intended: Nanoseconds) -> bool {
        intended >= self.warm && intended < self.stop
    }

    /// The length of the recorded part in seconds.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn seconds(&self) -> f64 {
        self.stop.saturating_sub(self.warm) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_together_follow_one_even_plan() {
        let rate = 1_000.0; // a message each millisecond
        let mut times = Vec::new();
        for worker in 0..3 {
            let mut schedule = Schedule::new(rate, 10, worker, 3);
            schedule.begin(5_000_000);
            while let Some(due) = schedule.next_due(104_999_999) {
                times.push(due.intended);
            }
        }
        times.sort_unstable();
        let expected: Vec<u64> = (0..100).map(|k| 5_000_000 + k * 1_000_000).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn each_connection_sends_at_its_share_of_the_rate() {
        let mut schedule = Schedule::new(100.0, 4, 1, 2);
        schedule.begin(0);
        let dues: Vec<Due> = std::iter::from_fn(|| schedule.next_due(999_999_999)).collect();
        assert_eq!(dues.len(), 50);
        let first: Vec<u64> = dues.iter().filter(|due| due.connection == 0).map(|due| due.intended).collect();
        assert!(first.windows(2).all(|pair| pair[1] - pair[0] == 40_000_000), "{first:?}");
        assert_eq!(schedule.intended(0, 0), 10_000_000);
    }

    #[test]
    fn nothing_is_due_before_its_time_and_nothing_twice() {
        let mut schedule = Schedule::new(10.0, 2, 0, 1);
        schedule.begin(1_000);
        assert_eq!(schedule.next_due(999), None);
        assert_eq!(schedule.next_due(1_000), Some(Due { connection: 0, nth: 0, intended: 1_000 }));
        assert_eq!(schedule.next_due(1_000), None);
        assert_eq!(schedule.next_time(), Some(100_001_000));
        assert_eq!(schedule.count_before(1_000_001_000), 10);
    }

    #[test]
    fn a_worker_without_connections_has_nothing_due() {
        let mut schedule = Schedule::new(10.0, 1, 1, 2);
        schedule.begin(0);
        assert_eq!(schedule.next_due(u64::MAX / 4), None);
        assert_eq!(schedule.next_time(), None);
    }

    #[test]
    fn shares_add_up() {
        for total in [0, 1, 7, 200] {
            assert_eq!((0..3).map(|worker| share(total, worker, 3)).sum::<u64>(), total);
        }
    }

    #[test]
    fn the_window_leaves_out_the_warm_up_and_what_comes_after_the_stop() {
        let window = Window { start: 0, warm: 10, stop: 20 };
        assert_eq!([9, 10, 19, 20].map(|time| window.records(time)), [false, true, true, false]);
    }
}
