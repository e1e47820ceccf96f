//! The calls in flight on one connection: when each was meant to leave and when it left. Matches answers to calls, in
//! order or not. Never reads a clock, never holds more than its window.

use std::collections::VecDeque;

use crate::plan::Nanoseconds;

/// When one message was meant to leave, and when it was handed to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The time the plan says.
    pub(crate) intended: Nanoseconds,
    /// The time it was written.
    pub(crate) sent: Nanoseconds,
}

/// The stamps of the calls that wait for an answer. Calls are numbered from 0.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// From the oldest unanswered call on; `None` where a later one was answered first.
    stamps: VecDeque<Option<Stamp>>,
    /// The number of the call in front.
    first: u64,
    /// How many of `stamps` still wait.
    waiting: u32,
}

impl Flight {
    /// Whether another call may be made. A call that is never answered while others are holds at most three windows of
    /// answered ones behind it: memory stays bounded by four windows.
    pub(crate) fn has_room(&self, window: u32) -> bool {
        self.waiting < window && self.stamps.len() < 4 * window as usize
    }

    /// The number that the next call will have, which is also how many calls were made.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.stamps.len() as u64
    }

    /// How many calls wait for an answer.
    pub(crate) const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Notes a call; gives its number.
    pub(crate) fn depart(&mut self, stamp: Stamp) -> u64 {
        let number = self.next();
        self.stamps.push_back(Some(stamp));
        self.waiting += 1;
        number
    }

    /// The call of that number was answered. `None` when no such call waits: the answer is a duplicate or invented.
    pub(crate) fn arrive(&mut self, number: u64) -> Option<Stamp> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let stamp = self.stamps.get_mut(at)?.take()?;
        self.waiting -= 1;
        while let Some(None) = self.stamps.front() {
            self.stamps.pop_front();
            self.first += 1;
        }
        Some(stamp)
    }

    /// The number of the oldest call that waits.
    pub(crate) fn oldest(&self) -> Option<u64> {
        // The front always waits: `arrive` removes answered calls from there.
        (!self.stamps.is_empty()).then_some(self.first)
    }

    /// Gives up on all calls that wait.
    pub(crate) fn abandon(&mut self) -> impl Iterator<Item = Stamp> {
        self.first = self.next();
        self.waiting = 0;
        std::mem::take(&mut self.stamps).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Schedule, Window};
    use crate::record::Recorder;

    const fn at(time: u64) -> Stamp {
        Stamp { intended: time, sent: time }
    }

    #[test]
    fn answers_are_matched_in_any_order_and_only_once() {
        let mut flight = Flight::default();
        for time in 0..3 {
            assert_eq!(flight.depart(at(time)), time);
        }
        assert_eq!(flight.arrive(1), Some(at(1)));
        assert_eq!(flight.arrive(1), None);
        assert_eq!((flight.oldest(), flight.waiting(), flight.next()), (Some(0), 2, 3));
        assert_eq!(flight.arrive(0), Some(at(0)));
        assert_eq!(flight.oldest(), Some(2));
        assert_eq!(flight.arrive(7), None);
        assert_eq!(flight.abandon().collect::<Vec<_>>(), [at(2)]);
        assert_eq!((flight.oldest(), flight.next()), (None, 3));
    }

    #[test]
    fn the_window_bounds_calls_and_memory() {
        let mut flight = Flight::default();
        flight.depart(at(0));
        assert!(!flight.has_room(1) && flight.has_room(2));
        for number in 1..8 {
            assert!(flight.has_room(2), "{number}");
            flight.depart(at(number));
            flight.arrive(number);
        }
        assert!(!flight.has_room(2), "call 0 is never answered: eight stamps are four windows");
    }

    /// A server that answers in 1 ms but stalls for a whole second once. One connection, one call at a time, 100 calls
    /// per second planned over 10 s. A generator that waits for the answer before it plans the next call would see one
    /// slow call in 900; the truth is that a tenth of all calls waited, half a second on average.
    #[test]
    fn a_stalled_server_shows_its_stall_in_the_corrected_latency() {
        const MILLISECOND: u64 = 1_000_000;
        let (stall_from, stall_to) = (4_000 * MILLISECOND, 5_000 * MILLISECOND);
        let mut schedule = Schedule::new(100.0, 1, 0, 1);
        schedule.begin(0);
        let mut recorder = Recorder::new(Window { start: 0, warm: 0, stop: 10_000 * MILLISECOND });
        let mut flight = Flight::default();
        let mut answer_at = None;
        for now in (0..11_000 * MILLISECOND).step_by(MILLISECOND as usize) {
            if answer_at == Some(now) {
                let number = flight.oldest().expect("a call waits");
                recorder.answered(flight.arrive(number).expect("it waits"), now);
                answer_at = None;
            }
            let intended = schedule.intended(0, flight.next());
            if intended <= now && intended < 10_000 * MILLISECOND && flight.has_room(1) {
                flight.depart(Stamp { intended, sent: now });
                let served = if (stall_from..stall_to).contains(&now) { stall_to } else { now };
                answer_at = Some(served + MILLISECOND);
            }
        }
        let interval = recorder.take();
        assert_eq!(interval.corrected.len(), 1_000);
        let slow =
            |histogram: &hdrhistogram::Histogram<u64>| histogram.len() - histogram.count_between(0, 50 * MILLISECOND);
        assert!(slow(&interval.corrected) >= 95, "{}", slow(&interval.corrected));
        assert_eq!(slow(&interval.uncorrected), 1, "the stamps of the sending alone see one slow call");
        assert!(interval.corrected.value_at_percentile(95.0) > 500 * MILLISECOND);
        assert!(interval.uncorrected.value_at_percentile(99.0) < 2 * MILLISECOND);
    }
}
