//! How one shard stops. It never talks to a socket.
//!
//! First it hears nobody out any more, hands over what was accepted before, and tells its peers that nothing follows. When
//! all of them have said the same, everything that was acknowledged on any shard has arrived here: only then its
//! connections are told to leave. All of it until a deadline.

use std::time::Duration;

use shard::Time;

use crate::mesh::Link;

/// Where a shard's stopping has got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    drain: Duration,
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
    /// The connections are to be told to leave; said once.
    Part,
    /// It is over.
    Done,
}

impl Stop {
    /// Not stopping; `drain` bounds it when it comes to that.
    pub(super) const fn new(drain: Duration) -> Self {
        Self { drain, deadlines: None, has_finished: false, has_parted: false, was_cut_short: false }
    }

    /// Begins to stop. `false`: it has begun before.
    pub(super) fn begin(&mut self, now: Time) -> bool {
        let first = self.deadlines.is_none();
        self.deadlines.get_or_insert((now + self.drain / 2, now + self.drain));
        first
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
        let (mut stop, mut other) = (Stop::new(Duration::from_secs(10)), Stop::new(Duration::from_secs(10)));
        let now = Time::from_micros(5);
        assert_eq!(stop.next(now, true, true, &mut links[0]), Step::Wait, "nobody has asked it to stop");
        assert!(stop.begin(now));
        assert!(!stop.begin(now));
        assert_eq!(stop.next(now, false, false, &mut links[0]), Step::Wait, "a batch is not handed over");
        assert!(!stop.has_finished());
        assert_eq!(stop.next(now, true, false, &mut links[0]), Step::Wait, "the peer may still send");
        assert!(stop.has_finished());
        assert!(other.begin(now));
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
        let mut stop = Stop::new(Duration::from_secs(10));
        assert!(stop.begin(Time::ZERO));
        assert_eq!(stop.next(Time::from_micros(4_999_999), true, false, &mut links[0]), Step::Wait);
        assert_eq!(stop.next(Time::from_micros(5_000_000), true, false, &mut links[0]), Step::Part);
        assert_eq!(stop.next(Time::from_micros(9_999_999), true, false, &mut links[0]), Step::Wait);
        assert_eq!(stop.next(Time::from_micros(10_000_000), true, false, &mut links[0]), Step::Done);
        assert!(stop.was_cut_short());
    }
}
