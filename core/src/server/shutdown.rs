//! How one shard stops. It never talks to a socket.
//!
//! With `--drain-spread` it is a lame duck before that: it serves everybody, says that it is not ready for more, and tells one
//! connection after the other to leave, until the time is over or everybody has left all shards.
//!
//! Who hands over to another process stops accepting at once, as that one accepts from the same sockets, and is a lame duck
//! for half of the time if `--drain-spread` does not say how long.
//!
//! Then it hears nobody out any more, hands over what was accepted before, and tells its peers that nothing follows. When
//! all of them have said the same, everything that was acknowledged on any shard has arrived here: only then its
//! connections are told to leave. All of it until a deadline.

use std::time::Duration;

use shard::Time;

use super::control::Orders;
use crate::mesh::Link;

/// Where a shard's stopping has got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    drain: Duration,
    spread: Duration,
    /// While it is a lame duck: until when.
    lame_until: Option<Time>,
    /// Whether the others know that everybody has left.
    has_deserted: bool,
    /// When peers that do not answer are not waited for any more, and when clients are not.
    deadlines: Option<(Time, Time)>,
    has_finished: bool,
    has_parted: bool,
    was_cut_short: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    Wait,
    /// Clients are not to be heard any more; said once.
    Silence,
    /// The connections are to be told to leave; said once.
    Part,
    /// It is over.
    Done,
}

impl Stop {
    /// Not stopping; `drain` bounds it when it comes to that, and `spread` is how long it is a lame duck of that.
    pub(super) const fn new(drain: Duration, spread: Duration) -> Self {
        Self {
            drain,
            spread,
            lame_until: None,
            has_deserted: false,
            deadlines: None,
            has_finished: false,
            has_parted: false,
            was_cut_short: false,
        }
    }

    /// Begins to stop. `false`: it has begun before. Who hands over is a lame duck in any case: those whose connections
    /// were accepted at the last moment have still to be heard.
    pub(super) fn begin(&mut self, now: Time, hands_over: bool) -> bool {
        let first = self.deadlines.is_none();
        if first {
            if hands_over && self.spread.is_zero() {
                self.spread = self.drain / 2;
            }
            let rest = self.drain.saturating_sub(self.spread);
            self.deadlines = Some((now + self.spread + rest / 2, now + self.drain));
            self.lame_until = (!self.spread.is_zero()).then(|| now + self.spread);
        }
        first
    }

    /// Until when it is a lame duck, if it is one.
    pub(super) const fn lame_until(&self) -> Option<Time> {
        self.lame_until
    }

    /// At the end of each pass of a lame duck. `is_deserted` says whether everybody has left this shard, `shards` how many
    /// there are.
    pub(super) fn waddle(&mut self, now: Time, is_deserted: bool, shards: usize, orders: &Orders) -> Step {
        let Some(until) = self.lame_until else { return Step::Wait };
        if is_deserted && !self.has_deserted {
            self.has_deserted = true;
            orders.desert();
        }
        if now < until && !orders.are_deserted(shards) {
            return Step::Wait;
        }
        self.lame_until = None;
        Step::Silence
    }

    /// Whether it has begun.
    pub(super) const fn has_begun(&self) -> bool {
        self.deadlines.is_some()
    }

    /// Whether our peers were told that nothing follows.
    pub(super) const fn has_finished(&self) -> bool {
        self.has_finished
    }

    /// Whether the deadline came first.
    pub(super) const fn was_cut_short(&self) -> bool {
        self.was_cut_short
    }

    /// At the end of each pass: takes the next step. `is_flushed` says whether everything for the peers is on its way,
    /// `is_drained` whether everybody has left.
    pub(super) fn next(&mut self, now: Time, is_flushed: bool, is_drained: bool, link: &mut Link) -> Step {
        let Some((peers_deadline, deadline)) = self.deadlines else { return Step::Wait };
        if self.has_finished || is_flushed {
            self.has_finished = true;
            link.finish();
            link.ring();
        }
        let is_finished = self.has_finished && link.is_finished();
        if self.has_parted && is_finished && is_drained {
            return Step::Done;
        }
        if now >= deadline {
            self.was_cut_short = true;
            return Step::Done;
        }
        if !self.has_parted && (is_finished || now >= peers_deadline) {
            self.has_parted = true;
            return Step::Part;
        }
        Step::Wait
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mesh::mesh;
    use crate::net::Doorbell;

    fn links(count: usize) -> Vec<Link> {
        mesh((0..count).map(|_| Arc::new(Doorbell::new().expect("an eventfd"))).collect(), 1)
    }

    #[test]
    fn connections_are_told_to_leave_when_all_peers_have_finished() {
        let mut links = links(2);
        let (mut stop, mut other) =
            (Stop::new(Duration::from_secs(10), Duration::ZERO), Stop::new(Duration::from_secs(10), Duration::ZERO));
        let now = Time::from_micros(5);
        assert_eq!(stop.next(now, true, true, &mut links[0]), Step::Wait, "nobody has asked it to stop");
        assert!(stop.begin(now, false));
        assert!(!stop.begin(now, false));
        assert_eq!(stop.next(now, false, false, &mut links[0]), Step::Wait, "a batch is not handed over");
        assert!(!stop.has_finished());
        assert_eq!(stop.next(now, true, false, &mut links[0]), Step::Wait, "the peer may still send");
        assert!(stop.has_finished());
        assert!(other.begin(now, false));
        assert!(links[1].receive(shard::ShardId(0)).is_none());
        assert_eq!(other.next(now, true, false, &mut links[1]), Step::Part, "both have said that nothing follows");
        assert!(links[0].receive(shard::ShardId(1)).is_none());
        assert_eq!(stop.next(now, true, false, &mut links[0]), Step::Part);
        assert_eq!(stop.next(now, true, false, &mut links[0]), Step::Wait, "somebody is connected");
        assert_eq!(stop.next(now, true, true, &mut links[0]), Step::Done);
        assert!(!stop.was_cut_short());
    }

    #[test]
    fn neither_peers_nor_clients_are_waited_for_without_end() {
        let mut links = links(2);
        let mut stop = Stop::new(Duration::from_secs(10), Duration::ZERO);
        assert!(stop.begin(Time::ZERO, false));
        assert_eq!(stop.next(Time::from_micros(4_999_999), true, false, &mut links[0]), Step::Wait);
        assert_eq!(stop.next(Time::from_micros(5_000_000), true, false, &mut links[0]), Step::Part);
        assert_eq!(stop.next(Time::from_micros(9_999_999), true, false, &mut links[0]), Step::Wait);
        assert_eq!(stop.next(Time::from_micros(10_000_000), true, false, &mut links[0]), Step::Done);
        assert!(stop.was_cut_short());
    }

    #[test]
    fn who_hands_over_serves_for_half_of_the_time() {
        let mut stop = Stop::new(Duration::from_secs(10), Duration::ZERO);
        assert!(stop.begin(Time::ZERO, true));
        assert_eq!(stop.lame_until(), Some(Time::from_micros(5_000_000)));
        let mut stop = Stop::new(Duration::from_secs(10), Duration::from_secs(1));
        assert!(stop.begin(Time::ZERO, true));
        assert_eq!(stop.lame_until(), Some(Time::from_micros(1_000_000)));
    }

    #[test]
    fn a_lame_duck_goes_when_its_time_is_over_or_everybody_has_left_all_shards() {
        let orders = Orders::default();
        let new = || Stop::new(Duration::from_secs(10), Duration::from_secs(4));
        let (mut first, mut second) = (new(), new());
        assert!(first.begin(Time::ZERO, false) && second.begin(Time::ZERO, false));
        assert_eq!(first.lame_until(), Some(Time::from_micros(4_000_000)));
        assert_eq!(first.waddle(Time::from_micros(1), true, 2, &orders), Step::Wait, "the other has clients");
        assert_eq!(first.waddle(Time::from_micros(2), true, 2, &orders), Step::Wait, "it has said so before");
        assert_eq!(second.waddle(Time::from_micros(3), true, 2, &orders), Step::Silence);
        assert_eq!(first.waddle(Time::from_micros(4), true, 2, &orders), Step::Silence);
        assert_eq!(first.lame_until(), None);

        let (mut late, orders) = (new(), Orders::default());
        assert!(late.begin(Time::ZERO, false));
        assert_eq!(late.waddle(Time::from_micros(3_999_999), false, 1, &orders), Step::Wait);
        assert_eq!(late.waddle(Time::from_micros(4_000_000), false, 1, &orders), Step::Silence);
        // What is left of the time is for the rest.
        let mut links = links(2);
        assert_eq!(late.next(Time::from_micros(6_999_999), true, false, &mut links[0]), Step::Wait);
        assert_eq!(late.next(Time::from_micros(7_000_000), true, false, &mut links[0]), Step::Part);
    }
}
