//! What a worker measures: latencies from the intended and from the real time of sending, counters, and the lag of the
//! generator itself. Handed to the main thread once a second and added up there. Never reads a clock.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::flight::Stamp;
use crate::people::People;
use crate::plan::{Nanoseconds, Window};
use crate::sequence::Tally;

/// Latencies above this are recorded as this: far beyond any deadline of a run.
const LATENCY_MAX: Nanoseconds = 600_000_000_000;
/// Three significant digits: an error of at most 0.1 %.
const DIGITS: u8 = 3;
/// Different error texts kept; later ones are counted together. Bounds what a hostile server can make us hold.
const ERROR_KINDS_MAX: usize = 16;
/// Bytes of an error text kept.
const ERROR_BYTES_MAX: usize = 160;

/// An empty histogram of latencies in nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX, DIGITS).expect("the bounds are constants that hdrhistogram accepts")
}

/// Plain counts. All of them are sums, so that the parts of workers and seconds add up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Messages sent that are recorded (calls, publications, handshakes).
    pub(crate) sent: u64,
    /// Answers or deliveries of recorded messages.
    pub(crate) received: u64,
    /// Answers or deliveries that came inside the recorded window: what rates and CPU per message are taken from.
    pub(crate) in_window: u64,
    /// Messages sent, recorded or not.
    pub(crate) all_sent: u64,
    /// Answers or deliveries, recorded or not.
    pub(crate) all_received: u64,
    /// Messages without an answer when the run ended.
    pub(crate) loss: u64,
    /// Messages of the plan that could not leave before the run ended.
    pub(crate) unsent: u64,
    /// Deliveries that the publications of the whole run should cause.
    pub(crate) expected: u64,
    /// Deliveries of the whole run, warm-up included, checked against their numbers.
    pub(crate) tally: Tally,
    /// Answers that no call waited for.
    pub(crate) unexpected: u64,
    /// Heartbeats answered.
    pub(crate) pings: u64,
    /// Connections that became ready.
    pub(crate) opened: u64,
    /// Publishers by the shard that they found themselves on.
    pub(crate) publishers: BTreeMap<u64, u64>,
    /// Connections that the server ended, by close code; 1006 when it said none.
    pub(crate) closes: BTreeMap<u16, u64>,
    /// Everything that went wrong, by its text.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Bytes of the messages received, frame headers included.
    pub(crate) bytes_in: u64,
    /// Bytes sent.
    pub(crate) bytes_out: u64,
    /// Receives that found no buffer: the generator's own shortage.
    pub(crate) buffer_shortages: u64,
    /// Sends that did not fit into the socket at once: the server reads too slowly.
    pub(crate) short_sends: u64,
}

impl Counters {
    /// Counts something that went wrong.
    pub(crate) fn error(&mut self, text: &str) {
        if let Some(count) = self.errors.get_mut(text) {
            *count += 1;
            return;
        }
        let text = if self.errors.len() >= ERROR_KINDS_MAX { "other errors" } else { text };
        let end = text.floor_char_boundary(ERROR_BYTES_MAX);
        *self.errors.entry(text[..end].to_owned()).or_default() += 1;
    }

    /// How much went wrong in all.
    pub(crate) fn errors_total(&self) -> u64 {
        self.errors.values().sum::<u64>() + self.unexpected
    }

    /// Adds another part.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { sent, received, in_window, loss, unsent, tally, unexpected, pings, opened, closes, errors, .. } =
            other;
        self.sent += sent;
        self.received += received;
        self.in_window += in_window;
        self.loss += loss;
        self.unsent += unsent;
        self.expected += other.expected;
        self.all_sent += other.all_sent;
        self.all_received += other.all_received;
        self.tally.unique += tally.unique;
        self.tally.duplicates += tally.duplicates;
        self.tally.disorder += tally.disorder;
        self.unexpected += unexpected;
        self.pings += pings;
        self.opened += opened;
        for (&code, count) in closes {
            *self.closes.entry(code).or_default() += count;
        }
        for (text, count) in errors {
            *self.errors.entry(text.clone()).or_default() += count;
        }
        for (&shard, count) in &other.publishers {
            *self.publishers.entry(shard).or_default() += count;
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.buffer_shortages += other.buffer_shortages;
        self.short_sends += other.short_sends;
    }
}

/// One worker's measurements since it last handed some over.
#[derive(Debug)]
pub(crate) struct Interval {
    /// Latency from the intended time.
    pub(crate) corrected: Histogram<u64>,
    /// Latency from the real time of sending: blind to what a stall delays.
    pub(crate) uncorrected: Histogram<u64>,
    /// The counts.
    pub(crate) counters: Counters,
    /// What only `presence` measures.
    pub(crate) people: Option<Box<People>>,
    /// How late the generator itself was at most with a message that it could have sent.
    pub(crate) lag_max: Nanoseconds,
    /// Connections that are open now; filled in by who prints it.
    pub(crate) connections: u64,
}

impl Interval {
    /// Nothing measured yet.
    pub(crate) fn new() -> Self {
        Self {
            corrected: histogram(),
            uncorrected: histogram(),
            counters: Counters::default(),
            people: None,
            lag_max: 0,
            connections: 0,
        }
    }

    /// Adds another part; `connections` is left alone, as it is no sum over time.
    pub(crate) fn add(&mut self, other: &Self) {
        self.corrected.add(&other.corrected).expect("all histograms have the same bounds");
        self.uncorrected.add(&other.uncorrected).expect("all histograms have the same bounds");
        self.counters.add(&other.counters);
        if let Some(people) = &other.people {
            self.people.get_or_insert_with(Box::default).add(people);
        }
        self.lag_max = self.lag_max.max(other.lag_max);
    }
}

/// A worker's recorder.
#[derive(Debug)]
pub(crate) struct Recorder {
    window: Window,
    interval: Interval,
}

impl Recorder {
    /// Records what the window says.
    pub(crate) fn new(window: Window) -> Self {
        Self { window, interval: Interval::new() }
    }

    /// What is recorded.
    pub(crate) const fn window(&self) -> &Window {
        &self.window
    }

    /// Fixes the window once the start is agreed on.
    pub(crate) const fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// The counts, to add to.
    pub(crate) const fn counters(&mut self) -> &mut Counters {
        &mut self.interval.counters
    }

    /// What only `presence` measures, to add to.
    pub(crate) fn people(&mut self) -> &mut People {
        self.interval.people.get_or_insert_with(Box::default)
    }

    /// A message was written.
    pub(crate) const fn departed(&mut self, stamp: Stamp) {
        self.interval.counters.all_sent += 1;
        if self.window.records(stamp.intended) {
            self.interval.counters.sent += 1;
        }
    }

    /// Its answer, or one delivery of it, came.
    #[inline]
    pub(crate) fn answered(&mut self, stamp: Stamp, now: Nanoseconds) {
        self.interval.counters.all_received += 1;
        if now >= self.window.warm && now < self.window.stop {
            self.interval.counters.in_window += 1;
        }
        if self.window.records(stamp.intended) {
            self.interval.counters.received += 1;
            self.interval.corrected.saturating_record(now.saturating_sub(stamp.intended).max(1));
            self.interval.uncorrected.saturating_record(now.saturating_sub(stamp.sent).max(1));
        }
    }

    /// The run ended before its answer came. Its age is recorded: the true latency is longer, and a histogram without
    /// it would be shorter than the truth.
    pub(crate) fn lost(&mut self, stamp: Stamp, now: Nanoseconds) {
        if self.window.records(stamp.intended) {
            self.interval.counters.loss += 1;
            self.interval.corrected.saturating_record(now.saturating_sub(stamp.intended).max(1));
        }
    }

    /// The run ended before it could be sent. Recorded like a lost one.
    pub(crate) fn unsent(&mut self, intended: Nanoseconds, now: Nanoseconds) {
        if self.window.records(intended) {
            self.interval.counters.unsent += 1;
            self.interval.corrected.saturating_record(now.saturating_sub(intended).max(1));
        }
    }

    /// The generator came that late to a message of its plan.
    pub(crate) fn lagged(&mut self, lag: Nanoseconds) {
        self.interval.lag_max = self.interval.lag_max.max(lag);
    }

    /// Hands over everything measured since the last time.
    pub(crate) fn take(&mut self) -> Interval {
        std::mem::replace(&mut self.interval, Interval::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        Recorder::new(Window { start: 0, warm: 100, stop: 200 })
    }

    #[test]
    fn warm_up_is_not_recorded_and_late_answers_are() {
        let mut recorder = recorder();
        for intended in [99, 100, 199] {
            let stamp = Stamp { intended, sent: intended };
            recorder.departed(stamp);
            recorder.answered(stamp, 250);
        }
        let interval = recorder.take();
        assert_eq!((interval.counters.sent, interval.counters.received, interval.counters.in_window), (2, 2, 0));
        assert_eq!(interval.corrected.len(), 2);
    }

    #[test]
    fn what_never_came_weighs_in_the_corrected_latency() {
        let mut recorder = recorder();
        recorder.lost(Stamp { intended: 100, sent: 120 }, 1_000_100);
        recorder.unsent(150, 1_000_150);
        recorder.unsent(200, 1_000_150);
        let interval = recorder.take();
        assert_eq!((interval.counters.loss, interval.counters.unsent), (1, 1));
        assert_eq!((interval.corrected.len(), interval.uncorrected.len()), (2, 0));
        assert!(interval.corrected.min() >= 999_000);
    }

    #[test]
    fn error_kinds_are_bounded() {
        let mut counters = Counters::default();
        for number in 0..100 {
            counters.error(&format!("error {number}{}", "é".repeat(200)));
        }
        assert_eq!(counters.errors_total(), 100);
        assert_eq!(counters.errors.len(), ERROR_KINDS_MAX + 1);
        assert!(counters.errors.keys().all(|text| text.len() <= ERROR_BYTES_MAX));
    }

    #[test]
    fn parts_add_up() {
        let mut whole = Interval::new();
        for part in 1..=3 {
            let mut recorder = recorder();
            let stamp = Stamp { intended: 150, sent: 160 };
            recorder.departed(stamp);
            recorder.answered(stamp, 150 + part * 1_000);
            recorder.counters().error("broken");
            *recorder.counters().closes.entry(1006).or_default() += part;
            whole.add(&recorder.take());
        }
        assert_eq!((whole.counters.sent, whole.counters.errors_total(), whole.corrected.len()), (3, 3, 3));
        assert_eq!(whole.counters.closes[&1006], 6);
    }
}
