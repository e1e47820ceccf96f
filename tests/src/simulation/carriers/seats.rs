//! Who may hold a seat of an address, and who surely does: sockets from their accept to their end, polled sessions until a
//! WebSocket carries them. A refusal is right where as many as there are seats may be taken; a seat that is given, where
//! surely fewer were.

use std::time::Duration;

use shard::Time;

/// What holds a seat or asks for one.
#[derive(Clone, Copy, Debug)]
struct Holder {
    address: usize,
    /// On which it is.
    shard: usize,
    asked: Time,
    /// Since when it surely has one.
    seated: Option<Time>,
    /// From here on it may have none.
    leaving: Option<Time>,
    /// From here on it has none, as soon as its home has heard so.
    left: Option<Time>,
    is_refused: bool,
}

/// All that there are, and were.
#[derive(Debug, Default)]
pub(super) struct Seats {
    /// Of one address; 0: no limit.
    pub(super) seats_max: usize,
    /// How long a home may not know what has happened.
    pub(super) word: Duration,
    holders: Vec<Holder>,
    pub(super) refused: u64,
    pub(super) seated: u64,
}

impl Seats {
    /// So many of each address; 0: no limit.
    pub(super) fn new(seats_max: usize, word: Duration) -> Self {
        Self { seats_max, word, ..Self::default() }
    }

    /// Somebody asks; the number is its name here.
    pub(super) fn ask(&mut self, now: Time, address: usize, shard: usize) -> usize {
        let holder = Holder { address, shard, asked: now, seated: None, leaving: None, left: None, is_refused: false };
        self.holders.push(holder);
        self.holders.len() - 1
    }

    /// It has got a seat: of the others that had theirs before it asked and have them still, there are not too many.
    pub(super) fn seat(&mut self, now: Time, number: usize) {
        let own = self.holders[number];
        if own.seated.is_some() || own.leaving.is_some() {
            return;
        }
        let surely = |other: &&Holder| {
            other.address == own.address
                && other.seated.is_some_and(|seated| seated <= own.asked)
                && other.leaving.is_none()
        };
        let others: Vec<_> = self.holders.iter().filter(surely).collect();
        let most = self.seats_max;
        assert!(most == 0 || others.len() < most, "{others:#?} have seats, and one more was given: {own:?}");
        self.holders[number].seated = Some(now);
        self.seated += 1;
    }

    /// It was refused: of all others that may have had a seat meanwhile there are so many that there was none.
    pub(super) fn refuse(&mut self, now: Time, number: usize, session: Option<usize>) {
        let own = self.holders[number];
        assert!(own.seated.is_none() && self.seats_max > 0, "refused a seat that it has");
        // Who opens a session may have a seat itself, but the session has none.
        let refused = session.unwrap_or(number);
        let word = self.word;
        let perhaps = |(index, other): &(usize, &Holder)| {
            *index != refused
                && other.address == own.address
                && !other.is_refused
                && other.asked <= now
                && other.left.is_none_or(|left| left + word >= own.asked)
        };
        let others = self.holders.iter().enumerate().filter(perhaps).count();
        let (most, address) = (self.seats_max, own.address);
        assert!(others >= most, "no seat for address {address} at {now:?}, but {others} of {most} are taken");
        self.holders[refused].is_refused = true;
        self.refused += 1;
    }

    /// It may go, or is gone.
    pub(super) fn begin_to_leave(&mut self, now: Time, number: usize) {
        self.holders[number].leaving.get_or_insert(now);
    }

    /// It may go from now on, and is gone from that time on.
    pub(super) fn leave(&mut self, at: Time, number: usize) {
        self.holders[number].leaving.get_or_insert(at);
        let left = self.holders[number].left.get_or_insert(at);
        *left = (*left).min(at);
    }

    /// A shard has died: what was there sits nowhere any more.
    pub(super) fn die(&mut self, now: Time, shard: usize) {
        for number in 0..self.holders.len() {
            if self.holders[number].shard == shard {
                self.leave(now, number);
            }
        }
    }
}
