//! The users of one shard: by slot and by name, each with its connections here. It never knows who is online elsewhere.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::FixedState;
use slab::Slab;

/// Nobody.
pub(crate) const NO_USER: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: Rc<str>,
    /// Slots of its connections, those that are not let in yet included.
    pub(crate) connections: Vec<u32>,
    /// How many of them are let in.
    pub(crate) admitted: u32,
    /// How many subscriptions they have together.
    pub(crate) subscriptions: u32,
    /// Its home has been told that it is here.
    pub(crate) is_announced: bool,
}

#[derive(Debug)]
pub(crate) struct Users {
    slots: Slab<User>,
    names: HashMap<Rc<str>, u32, FixedState>,
}

impl Users {
    /// The seed keys the hash: names come from outside.
    pub(crate) fn new(seed: u64) -> Self {
        Self { slots: Slab::new(), names: HashMap::with_hasher(FixedState::with_seed(seed)) }
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&User> {
        self.slots.get(slot as usize)
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut User> {
        self.slots.get_mut(slot as usize)
    }

    /// What the user in a slot is called; none for [`NO_USER`].
    pub(crate) fn name(&self, slot: u32) -> Option<&str> {
        self.get(slot).map(|user| &*user.name)
    }

    /// Makes a connection this user's; returns the user's slot.
    pub(crate) fn attach(&mut self, name: &str, connection: u32) -> u32 {
        let slot = self.find(name).unwrap_or_else(|| {
            let name: Rc<str> = name.into();
            let user = User {
                name: Rc::clone(&name),
                connections: Vec::new(),
                admitted: 0,
                subscriptions: 0,
                is_announced: false,
            };
            let slot = u32::try_from(self.slots.insert(user)).expect("users are no more than connections");
            self.names.insert(name, slot);
            slot
        });
        let connections = &mut self.slots[slot as usize].connections;
        if connections.capacity() == 0 {
            connections.reserve_exact(1); // Many have just one.
        }
        connections.push(connection);
        slot
    }

    /// A connection is this user's no more. A user without connections is forgotten, and so is a crowd's memory.
    pub(crate) fn detach(&mut self, slot: u32, connection: u32) {
        let user = &mut self.slots[slot as usize];
        let at = user.connections.iter().position(|known| *known == connection);
        user.connections.swap_remove(at.expect("a connection is its user's"));
        if !user.connections.is_empty() {
            return;
        }
        debug_assert!(user.admitted == 0 && !user.is_announced, "nobody is left to be here");
        let user = self.slots.remove(slot as usize);
        self.names.remove(&user.name);
        if self.names.len() < self.names.capacity() / 8 {
            self.names.shrink_to(self.names.len() * 2);
            self.slots.shrink_to_fit();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// One past the last slot in use.
    pub(crate) fn slots(&self) -> usize {
        self.slots.capacity()
    }

    /// Every user with its slot, for checks and for peers that begin anew.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &User)> {
        self.slots.iter().map(|(slot, user)| (slot as u32, user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_there_as_long_as_a_connection_is() {
        let mut users = Users::new(7);
        let alice = users.attach("alice", 1);
        assert_eq!(users.attach("alice", 2), alice);
        let bob = users.attach("bob", 3);
        assert_ne!(alice, bob);
        assert_eq!((users.find("alice"), users.name(bob), users.name(NO_USER)), (Some(alice), Some("bob"), None));
        users.detach(alice, 1);
        assert_eq!(users.get(alice).map(|user| user.connections.clone()), Some(vec![2]));
        users.detach(alice, 2);
        assert_eq!((users.find("alice"), users.len()), (None, 1));
    }
}
