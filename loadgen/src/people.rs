//! What only `presence` measures: when others hear of a user's coming and going, and how many are online. Parts of
//! workers and seconds add up. Never reads a clock.

use hdrhistogram::Histogram;

use crate::record::histogram;

/// Measurements of people.
#[derive(Clone, Debug)]
pub(crate) struct People {
    /// From the intended time of a visit to the event at the room's watcher.
    pub(crate) join_heard: Histogram<u64>,
    /// From the goodbye to the event at the room's watcher.
    pub(crate) leave_heard: Histogram<u64>,
    /// Users that left inside the recorded window.
    pub(crate) left_in_window: u64,
    /// Events that reached the other members of the rooms, whom nobody checks.
    pub(crate) bystanders: u64,
    /// The most users that the server said were online at once.
    pub(crate) online_max: u64,
    /// How many it said were online before the plan began, and in its latest answer.
    pub(crate) online: Option<[u64; 2]>,
}

impl Default for People {
    fn default() -> Self {
        Self {
            join_heard: histogram(),
            leave_heard: histogram(),
            left_in_window: 0,
            bystanders: 0,
            online_max: 0,
            online: None,
        }
    }
}

impl People {
    /// Adds another part, a later one if it is the same worker's: only one worker asks who is online.
    pub(crate) fn add(&mut self, other: &Self) {
        self.join_heard.add(&other.join_heard).expect("all histograms have the same bounds");
        self.leave_heard.add(&other.leave_heard).expect("all histograms have the same bounds");
        self.left_in_window += other.left_in_window;
        self.bystanders += other.bystanders;
        self.online_max = self.online_max.max(other.online_max);
        self.online = other.online.or(self.online);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_answer_and_the_highest_one_stay() {
        let mut sum = People::default();
        for (online_max, online) in [(5, Some([0, 5])), (3, Some([0, 2])), (0, None)] {
            let mut part = People { online_max, online, left_in_window: 1, ..People::default() };
            part.join_heard.record(10).expect("in bounds");
            sum.add(&part);
        }
        assert_eq!((sum.online_max, sum.online, sum.left_in_window, sum.join_heard.len()), (5, Some([0, 2]), 3, 3));
    }
}
