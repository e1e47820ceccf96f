//! The table of connections: pages of slots that never move, so that the table grows without a copy (a million
//! connections would hold the loop for a tenth of a second each time a vector doubles) and gives a page back when a
//! crowd has left.

use std::ops::{Index, IndexMut};

use slab::Slab;

use crate::ConnectionId;
use crate::connection::Connection;

/// Connections of one page: 256 of them are 32 KiB, little for a server with one client and few pages for a million.
const PAGE_SLOTS: usize = 256;

#[derive(Default)]
pub(crate) struct Connections {
    pages: Vec<Slab<Connection>>,
    /// Pages with room, the one to fill next at the end.
    open: Vec<usize>,
    length: usize,
}

impl Connections {
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the connection's slot.
    pub(crate) fn insert(&mut self, connection: Connection) -> u32 {
        let page = self.open.last().copied().unwrap_or_else(|| {
            self.pages.push(Slab::new());
            self.open.push(self.pages.len() - 1);
            self.pages.len() - 1
        });
        let slots = &mut self.pages[page];
        if slots.capacity() == 0 {
            slots.reserve_exact(PAGE_SLOTS);
        }
        let slot = slots.insert(connection);
        if slots.len() == PAGE_SLOTS {
            self.open.pop();
        }
        self.length += 1;
        u32::try_from(page * PAGE_SLOTS + slot).expect("connections are bounded far below 2^32")
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Connection {
        let (page, slot) = place(slot);
        let slots = &mut self.pages[page];
        if slots.len() == PAGE_SLOTS {
            self.open.push(page);
        }
        let connection = slots.remove(slot);
        // One open page is kept for those who come next.
        if slots.is_empty() && self.open.len() > 1 {
            *slots = Slab::new();
        }
        self.length -= 1;
        connection
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Connection> {
        let (page, slot) = place(slot);
        self.pages.get(page)?.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        let (page, slot) = place(slot);
        self.pages.get_mut(page)?.get_mut(slot)
    }

    /// The connection, unless it is gone and its slot used by another.
    pub(crate) fn live(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.get_mut(id.slot).filter(|connection| connection.generation == id.generation)
    }

    /// Every connection with its slot. It walks the whole table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Connection)> {
        let numbered = |(page, slots)| Slab::iter(slots).map(move |(slot, known)| (page * PAGE_SLOTS + slot, known));
        let all = self.pages.iter().enumerate().flat_map(numbered);
        all.map(|(slot, known)| (u32::try_from(slot).expect("it was given as such"), known))
    }
}

impl Index<u32> for Connections {
    type Output = Connection;

    fn index(&self, slot: u32) -> &Connection {
        let (page, slot) = place(slot);
        &self.pages[page][slot]
    }
}

impl IndexMut<u32> for Connections {
    fn index_mut(&mut self, slot: u32) -> &mut Connection {
        let (page, slot) = place(slot);
        &mut self.pages[page][slot]
    }
}

const fn place(slot: u32) -> (usize, usize) {
    (slot as usize / PAGE_SLOTS, slot as usize % PAGE_SLOTS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Door;

    fn connection(generation: u32) -> Connection {
        Connection::new(generation, ([127, 0, 0, 1], 9).into(), Door::Plain, 0, 0)
    }

    #[test]
    fn slots_are_unique_while_they_are_used_and_used_again() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut connections, mut expected) = (Connections::default(), BTreeMap::new());
        for generation in 0..40_000 {
            let grows = generation % 10_000 < 5_000;
            if expected.is_empty() || random.bool() || (grows && random.bool()) {
                assert_eq!(expected.insert(connections.insert(connection(generation)), generation), None);
            } else {
                let slot = *random.choice(expected.keys()).expect("there is one");
                connections.remove(slot);
                expected.remove(&slot);
            }
            assert_eq!(connections.len(), expected.len());
        }
        let found: BTreeMap<_, _> = connections.iter().map(|(slot, known)| (slot, known.generation)).collect();
        assert_eq!(found, expected);
        let highest = *expected.last_key_value().expect("many").0 as usize;
        assert!(highest < 4 * expected.len().max(PAGE_SLOTS), "slots are used again");
    }

    #[test]
    fn pages_go_when_a_crowd_leaves_and_come_back() {
        let mut connections = Connections::default();
        let slots: Vec<_> = (0..10 * PAGE_SLOTS).map(|_| connections.insert(connection(1))).collect();
        let held = |connections: &Connections| connections.pages.iter().map(Slab::capacity).sum::<usize>();
        assert_eq!(held(&connections), 10 * PAGE_SLOTS, "no page has more room than it should");
        slots.iter().for_each(|slot| drop(connections.remove(*slot)));
        assert!(connections.is_empty());
        assert_eq!(held(&connections), PAGE_SLOTS);
        (0..10 * PAGE_SLOTS).for_each(|_| assert!((connections.insert(connection(2)) as usize) < 10 * PAGE_SLOTS));
        assert_eq!(held(&connections), 10 * PAGE_SLOTS);
    }

    #[test]
    fn an_id_of_an_earlier_connection_finds_nobody() {
        let mut connections = Connections::default();
        let slot = connections.insert(connection(1));
        connections.remove(slot);
        assert_eq!(connections.insert(connection(2)), slot);
        assert!(connections.live(ConnectionId { slot, generation: 1 }).is_none());
        assert!(connections.live(ConnectionId { slot, generation: 2 }).is_some());
    }
}
