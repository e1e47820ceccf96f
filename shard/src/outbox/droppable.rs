//! The publications in an outbox that may be dropped, in the order in which they wait. Each is whole, however many frames
//! it has: it leaves or is dropped, never a part of it. Their bytes are shared: of a publication that waits for many slow
//! consumers there is one copy.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use foldhash::fast::FixedState;

use crate::SlowConsumer;
use crate::policies::Terms;

/// An item takes 56 bytes beside its own, of which no publication has fewer than ten: what an outbox may hold in all is a
/// small multiple of what it may hold on the wire.
#[derive(Debug)]
struct Item {
    /// Counts up; an item that is replaced keeps it.
    number: u64,
    /// Where in the stream of the other bytes it stands.
    at: u64,
    terms: Terms,
    /// `None`: dropped.
    body: Option<Rc<[u8]>>,
}

#[derive(Debug, Default)]
pub(crate) struct Droppables {
    items: VecDeque<Item>,
    /// The number of the next one.
    next: u64,
    bytes: usize,
    /// Items that are not dropped.
    alive: usize,
    /// By their keys, the numbers of those that a newer one replaces.
    latest: HashMap<u64, u64, FixedState>,
    /// None that may go for a newer one has a lower number.
    oldest: u64,
}

/// What has become of the one that a newer one replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vacated {
    /// There was none.
    Nothing,
    /// It is gone, and its place with it.
    Gone,
    /// It is gone, and the newer one may have its place, of this number.
    Place(u64),
}

impl Droppables {
    /// Puts one at the end.
    pub(crate) fn push(&mut self, at: u64, terms: Terms, body: Rc<[u8]>) {
        let number = self.next;
        self.next += 1;
        self.count(&body);
        if terms.policy == SlowConsumer::Conflate {
            self.latest.insert(terms.key, number);
        }
        self.items.push_back(Item { number, at, terms, body: Some(body) });
        self.tidy();
    }

    /// Drops the one that the next one with this key replaces. Its place is kept if it stands behind `since`.
    pub(crate) fn vacate(&mut self, key: u64, since: u64) -> Vacated {
        let Some(number) = self.latest.get(&key).copied() else { return Vacated::Nothing };
        let index = self.index(number).expect("what is replaced still waits");
        self.drop_item(index);
        if self.items[index].at < since { Vacated::Gone } else { Vacated::Place(number) }
    }

    /// Puts one in the place of the one that it replaces.
    pub(crate) fn fill(&mut self, number: u64, body: Rc<[u8]>) {
        self.count(&body);
        let index = self.index(number).expect("places are kept until they are filled");
        let item = &mut self.items[index];
        item.body = Some(body);
        self.latest.insert(item.terms.key, number);
        self.oldest = self.oldest.min(number);
    }

    /// Drops the one that is missed least: the oldest that may go for a newer one, else the newest. Tells its policy.
    pub(crate) fn drop_one(&mut self) -> Option<SlowConsumer> {
        let from = self.items.partition_point(|item| item.number < self.oldest);
        let may_go = |item: &Item| item.body.is_some() && item.terms.policy != SlowConsumer::DropNewest;
        let oldest = (from..self.items.len()).find(|index| may_go(&self.items[*index]));
        self.oldest = oldest.map_or(self.next, |index| self.items[index].number + 1);
        let index = oldest.or_else(|| self.items.iter().rposition(|item| item.body.is_some()))?;
        self.drop_item(index);
        Some(self.items[index].terms.policy)
    }

    /// The next one: where it stands, and its length.
    pub(crate) fn front(&mut self) -> Option<(u64, usize)> {
        while self.items.pop_front_if(|item| item.body.is_none()).is_some() {}
        let item = self.items.front()?;
        Some((item.at, item.body.as_ref()?.len()))
    }

    /// Takes the next one out.
    pub(crate) fn take(&mut self) -> Option<Rc<[u8]>> {
        self.front()?;
        let body = self.items[0].body.clone();
        self.drop_item(0);
        self.items.pop_front();
        body
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Panics if the counts are not what they count.
    pub(crate) fn check(&self, bytes_max: usize) {
        let waiting = || self.items.iter().filter_map(|item| item.body.as_ref());
        assert_eq!(self.bytes, waiting().map(|body| body.len()).sum());
        assert_eq!(self.alive, waiting().count());
        assert!(self.bytes <= bytes_max || self.alive == 1, "more waits than may");
        for (key, number) in &self.latest {
            let item = &self.items[self.index(*number).expect("the latest is there")];
            assert!(item.body.is_some() && item.terms.key == *key, "the latest waits under its key");
        }
    }

    fn count(&mut self, body: &Rc<[u8]>) {
        self.bytes += body.len();
        self.alive += 1;
    }

    /// An item's bytes are gone; its place stays.
    fn drop_item(&mut self, index: usize) {
        let item = &mut self.items[index];
        let Some(body) = item.body.take() else { return };
        self.bytes -= body.len();
        self.alive -= 1;
        if self.latest.get(&item.terms.key) == Some(&item.number) {
            self.latest.remove(&item.terms.key);
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.items.binary_search_by_key(&number, |item| item.number).ok()
    }

    /// Forgets dropped ones once they are the most.
    fn tidy(&mut self) {
        if self.items.len() > 2 * self.alive + DROPPED_KEPT {
            self.items.retain(|item| item.body.is_some());
        }
    }
}

/// Dropped ones that are not worth moving the others for.
const DROPPED_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Rc<[u8]> {
        text.as_bytes().into()
    }

    fn terms(policy: SlowConsumer, key: u64) -> Terms {
        Terms { policy, key }
    }

    fn rest(mut waiting: Droppables) -> Vec<String> {
        let rest: Vec<_> =
            std::iter::from_fn(|| waiting.take().map(|body| String::from_utf8_lossy(&body).into_owned())).collect();
        assert_eq!((waiting.bytes, waiting.alive, waiting.latest.len()), (0, 0, 0));
        rest
    }

    #[test]
    fn the_oldest_goes_first_and_those_whose_newest_goes_go_last_and_backwards() {
        let mut waiting = Droppables::default();
        for (text, policy) in [
            ("a", SlowConsumer::DropNewest),
            ("b", SlowConsumer::DropOldest),
            ("c", SlowConsumer::DropNewest),
            ("d", SlowConsumer::DropOldest),
        ] {
            waiting.push(0, terms(policy, 0), body(text));
        }
        assert_eq!(waiting.drop_one(), Some(SlowConsumer::DropOldest));
        waiting.push(0, terms(SlowConsumer::DropOldest, 0), body("e"));
        assert_eq!(waiting.drop_one(), Some(SlowConsumer::DropOldest));
        assert_eq!(waiting.drop_one(), Some(SlowConsumer::DropOldest));
        assert_eq!(waiting.drop_one(), Some(SlowConsumer::DropNewest));
        assert_eq!(rest(waiting), ["a"]);
    }

    #[test]
    fn a_newer_one_has_the_place_of_the_one_it_replaces_unless_something_was_said_since() {
        let mut waiting = Droppables::default();
        waiting.push(5, terms(SlowConsumer::Conflate, 1), body("one"));
        waiting.push(5, terms(SlowConsumer::Conflate, 2), body("two"));
        assert_eq!(waiting.vacate(3, 0), Vacated::Nothing);
        let Vacated::Place(place) = waiting.vacate(1, 5) else { panic!("its place is kept") };
        assert_eq!(waiting.drop_one(), Some(SlowConsumer::Conflate), "a place is not dropped");
        waiting.fill(place, body("newer one"));
        assert_eq!(waiting.vacate(1, 6), Vacated::Gone);
        waiting.push(6, terms(SlowConsumer::Conflate, 1), body("newest one"));
        assert_eq!(waiting.front(), Some((6, 10)));
        assert_eq!(rest(waiting), ["newest one"]);
    }

    #[test]
    fn what_was_dropped_takes_no_room_however_much_it_was() {
        let mut waiting = Droppables::default();
        waiting.push(0, terms(SlowConsumer::DropNewest, 0), body("first"));
        for number in 0..10_000 {
            waiting.push(0, terms(SlowConsumer::DropOldest, 0), body(&number.to_string()));
            if number >= 3 {
                assert_eq!(waiting.drop_one(), Some(SlowConsumer::DropOldest));
            }
            assert!(waiting.items.len() < 100);
        }
        assert_eq!(rest(waiting), ["first", "9997", "9998", "9999"]);
    }
}
