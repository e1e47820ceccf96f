//! How one shard stops: everybody is told to leave, then the peers are told that nothing follows, then it waits to hear
//! the same from them; all of it until a deadline. It never talks to a socket.

use std::time::Duration;

use shard::Time;

use crate::mesh::Link;

/// Where a shard's stopping has got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    drain: Duration,
    deadline: Option<Time>,
    has_finished: bool,
    was_cut_short: bool,
}

impl Stop {
    /// Not stopping; `drain` bounds it when it comes to that.
    pub(super) const fn new(drain: Duration) -> Self {
        Self { drain, deadline: None, has_finished: false, was_cut_short: false }
    }

    /// Begins to stop. `false`: it has begun before.
    pub(super) fn begin(&mut self, now: Time) -> bool {
        let first = self.deadline.is_none();
        self.deadline.get_or_insert(now + self.drain);
        first
    }

    /// Whether our peers were told that nothing follows.
    pub(super) const fn has_finished(&self) -> bool {
        self.has_finished
    }

    /// Whether the deadline came first.
    pub(super) const fn was_cut_short(&self) -> bool {
        self.was_cut_short
    }

    /// At the end of each pass: takes the next step; whether it was the last. `is_drained` says whether everybody has
    /// left and everything for the peers is on its way.
    pub(super) fn is_over(&mut self, now: Time, is_drained: impl FnOnce() -> bool, link: &mut Link) -> bool {
        let Some(deadline) = self.deadline else { return false };
        if self.has_finished || is_drained() {
            self.has_finished = true;
            link.finish();
            link.ring();
        }
        self.was_cut_short = now >= deadline && !link.is_finished();
        self.was_cut_short || self.has_finished && link.is_finished()
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
    fn a_shard_leaves_when_its_connections_and_its_peers_have() {
        let mut links = links(2);
        let (mut stop, mut other) = (Stop::new(Duration::from_secs(10)), Stop::new(Duration::from_secs(10)));
        let now = Time::from_micros(5);
        assert!(!stop.is_over(now, || true, &mut links[0]), "nobody has asked it to stop");
        assert!(stop.begin(now));
        assert!(!stop.begin(now));
        assert!(!stop.is_over(now, || false, &mut links[0]), "somebody is connected");
        assert!(!stop.has_finished());
        assert!(!stop.is_over(now, || true, &mut links[0]), "the peer may still send");
        assert!(stop.has_finished());
        assert!(other.begin(now));
        assert!(links[1].receive(shard::ShardId(0)).is_none());
        assert!(other.is_over(now, || true, &mut links[1]), "both have said that nothing follows");
        assert!(links[0].receive(shard::ShardId(1)).is_none());
        assert!(stop.is_over(now, || true, &mut links[0]));
        assert!(!stop.was_cut_short());
    }

    #[test]
    fn the_deadline_ends_a_stop_that_does_not_end_by_itself() {
        let mut links = links(2);
        let mut stop = Stop::new(Duration::from_secs(10));
        assert!(stop.begin(Time::ZERO));
        assert!(!stop.is_over(Time::from_micros(9_999_999), || false, &mut links[0]));
        assert!(stop.is_over(Time::from_micros(10_000_000), || false, &mut links[0]));
        assert!(stop.was_cut_short());
    }
}
