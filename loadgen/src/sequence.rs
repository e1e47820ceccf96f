//! Checks what arrives against what was numbered: loss, duplicates and disorder of one stream (one publisher, one
//! channel, one subscriber). Never stores what arrived; 16 bytes a stream.

/// One stream's state. Sequence numbers start at 0 and grow by one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream {
    /// One more than the highest number seen.
    next: u32,
    /// Which of the 64 numbers below `next` were seen: bit 0 is `next - 1`.
    seen: u64,
}

/// What one arrival says about its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The number that was expected.
    InOrder,
    /// Later than expected: that many numbers in between are missing so far.
    Gap(u32),
    /// One of the missing numbers, after a later one.
    Disorder,
    /// Seen before (or so old, more than 64 numbers, that it counts as seen before).
    Duplicate,
}

impl Stream {
    /// Notes the arrival of a number.
    pub(crate) const fn arrive(&mut self, number: u32) -> Arrival {
        if number >= self.next {
            let gap = number - self.next;
            self.seen = if gap >= 63 { 1 } else { (self.seen << (gap + 1)) | 1 };
            self.next = number.saturating_add(1);
            return if gap == 0 { Arrival::InOrder } else { Arrival::Gap(gap) };
        }
        let back = self.next - 1 - number;
        if back >= 64 || self.seen & (1 << back) != 0 {
            return Arrival::Duplicate;
        }
        self.seen |= 1 << back;
        Arrival::Disorder
    }
}

/// Sums over many streams. Loss is not counted here: it is what was published to the streams less `unique`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Numbers that arrived at least once.
    pub(crate) unique: u64,
    /// Arrivals of a number that had arrived before.
    pub(crate) duplicates: u64,
    /// Arrivals after a later number.
    pub(crate) disorder: u64,
}

impl Tally {
    /// Counts one arrival; says whether it was a new number.
    pub(crate) const fn count(&mut self, arrival: Arrival) -> bool {
        match arrival {
            Arrival::InOrder | Arrival::Gap(_) => self.unique += 1,
            Arrival::Disorder => {
                self.unique += 1;
                self.disorder += 1;
            }
            Arrival::Duplicate => {
                self.duplicates += 1;
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(numbers: &[u32]) -> Tally {
        let (mut stream, mut tally) = (Stream::default(), Tally::default());
        for &number in numbers {
            tally.count(stream.arrive(number));
        }
        tally
    }

    #[test]
    fn an_unbroken_stream_is_clean() {
        let numbers: Vec<u32> = (0..1_000).collect();
        assert_eq!(tally(&numbers), Tally { unique: 1_000, duplicates: 0, disorder: 0 });
    }

    #[test]
    fn a_lost_number_is_missing_from_the_unique_ones() {
        let mut stream = Stream::default();
        assert_eq!(stream.arrive(0), Arrival::InOrder);
        assert_eq!(stream.arrive(3), Arrival::Gap(2));
        assert_eq!(tally(&[0, 3, 4]), Tally { unique: 3, duplicates: 0, disorder: 0 });
    }

    #[test]
    fn a_number_seen_twice_is_a_duplicate() {
        assert_eq!(tally(&[0, 1, 1, 2, 0]), Tally { unique: 3, duplicates: 2, disorder: 0 });
    }

    #[test]
    fn a_late_number_is_disorder_and_not_loss() {
        assert_eq!(tally(&[0, 2, 1, 3]), Tally { unique: 4, duplicates: 0, disorder: 1 });
        assert_eq!(tally(&[0, 2, 1, 1]), Tally { unique: 3, duplicates: 1, disorder: 1 });
    }

    #[test]
    fn the_memory_of_the_stream_ends_after_64_numbers() {
        let mut stream = Stream::default();
        assert_eq!(stream.arrive(64), Arrival::Gap(64));
        assert_eq!(stream.arrive(1), Arrival::Disorder);
        assert_eq!(stream.arrive(0), Arrival::Duplicate);
        assert_eq!(stream.arrive(u32::MAX), Arrival::Gap(u32::MAX - 65));
    }
}
