//! All sessions of one shard, by slot and by id, and the ids that are not valid any more. The application has the same
//! table, to find the session of a connection; it never changes it.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use slab::Slab;

use super::copy::{Context, Session, Stage};
use super::{SessionId, SessionLimits};
use crate::ShardId;

/// The sessions of one shard.
#[derive(Clone)]
pub struct Sessions(Rc<Table>);

struct Table {
    context: Rc<Context>,
    slots: RefCell<Slab<Session>>,
    /// Slots by id: the ids are in the sessions. Five bytes each instead of the twenty-one of a map.
    index: RefCell<HashTable<u32>>,
    retired: RefCell<Retired>,
    hasher: FixedState,
}

/// Ids that were valid once.
#[derive(Debug, Default)]
struct Retired {
    /// What became of them: another id, for messages of shards that have not heard of it.
    ids: HashMap<SessionId, Option<SessionId>, FixedState>,
    /// With the time from which on they may be forgotten.
    order: VecDeque<(u64, SessionId)>,
}

impl Sessions {
    pub(crate) fn new(limits: SessionLimits, shards: usize, has_store: bool, seed: u64) -> Self {
        Self(Rc::new(Table {
            context: Rc::new(Context::new(limits, shards, has_store)),
            slots: RefCell::default(),
            index: RefCell::default(),
            retired: RefCell::default(),
            hasher: FixedState::with_seed(seed),
        }))
    }

    /// The session in a slot that a [`Peer`](crate::Peer) names.
    #[must_use]
    pub fn find(&self, slot: u32) -> Option<Session> {
        self.0.slots.borrow().get(slot as usize).cloned()
    }

    /// A session at home here that belongs to nobody, for tests and benchmarks; `None` when there is no room.
    #[must_use]
    pub fn make_for_tests(&self) -> Option<Session> {
        let shards = self.0.context.shards;
        let number = u128::try_from(self.len()).unwrap_or(0);
        let id = SessionId::with_home(number.to_le_bytes(), ShardId(0), shards);
        let session = self.insert(id, true)?;
        session.state().stage = Stage::Ready;
        Some(session)
    }

    /// The session that has this id here, for tests: cookies are looked up by connections.
    #[must_use]
    pub fn named(&self, id: SessionId) -> Option<Session> {
        self.by_id(id)
    }

    /// How many there are, homes and copies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.slots.borrow().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn context(&self) -> &Rc<Context> {
        &self.0.context
    }

    pub(crate) fn by_id(&self, id: SessionId) -> Option<Session> {
        let (index, slots) = (self.0.index.borrow(), self.0.slots.borrow());
        let slot = index.find(self.hash(id), |slot| slots[*slot as usize].id() == id)?;
        slots.get(*slot as usize).cloned()
    }

    /// A new session; `None` when there is no room.
    pub(crate) fn insert(&self, id: SessionId, is_home: bool) -> Option<Session> {
        let mut slots = self.0.slots.borrow_mut();
        if slots.len() >= self.0.context.limits.sessions_max {
            return None;
        }
        let entry = slots.vacant_entry();
        let slot = u32::try_from(entry.key()).expect("sessions are bounded far below 2^32");
        let session = Session::new(&self.0.context, id, is_home, slot);
        entry.insert(session.clone());
        drop(slots);
        self.enter(id, slot);
        Some(session)
    }

    pub(crate) fn remove(&self, session: &Session) {
        let (id, slot) = {
            let state = session.state();
            (state.id, state.slot)
        };
        self.forget(id, slot);
        self.0.slots.borrow_mut().remove(slot as usize);
    }

    /// Gives a session another id.
    pub(crate) fn rename(&self, session: &Session, to: SessionId) {
        let (id, slot) = {
            let mut state = session.state();
            (std::mem::replace(&mut state.id, to), state.slot)
        };
        self.forget(id, slot);
        self.enter(to, slot);
    }

    /// Notes that an id is not valid any more.
    pub(crate) fn retire(&self, id: SessionId, successor: Option<SessionId>) {
        let limits = &self.0.context.limits;
        let until = self.0.context.now.get().saturating_add(u64::try_from(limits.ttl.as_millis()).unwrap_or(u64::MAX));
        let mut retired = self.0.retired.borrow_mut();
        if retired.ids.insert(id, successor).is_none() {
            retired.order.push_back((until, id));
        }
        while retired.order.len() > limits.retired_max {
            retired.forget_first();
        }
    }

    pub(crate) fn is_retired(&self, id: SessionId) -> bool {
        self.0.retired.borrow().ids.contains_key(&id)
    }

    /// What a session is called now, for who may not have heard.
    pub(crate) fn current_id(&self, id: SessionId) -> SessionId {
        let retired = self.0.retired.borrow();
        let mut id = id;
        while let Some(Some(next)) = retired.ids.get(&id) {
            id = *next;
        }
        id
    }

    pub(crate) fn forget_retired(&self) {
        let now = self.0.context.now.get();
        let mut retired = self.0.retired.borrow_mut();
        while retired.order.front().is_some_and(|(until, _)| *until <= now) {
            retired.forget_first();
        }
    }

    /// One past the last slot in use.
    pub(crate) fn slots(&self) -> usize {
        self.0.slots.borrow().capacity()
    }

    /// Every session, for checks: it walks the whole table.
    #[must_use]
    pub fn all(&self) -> Vec<Session> {
        self.0.slots.borrow().iter().map(|(_, session)| session.clone()).collect()
    }

    fn enter(&self, id: SessionId, slot: u32) {
        let slots = self.0.slots.borrow();
        let mut index = self.0.index.borrow_mut();
        index.insert_unique(self.hash(id), slot, |slot| self.hash(slots[*slot as usize].id()));
    }

    fn forget(&self, id: SessionId, slot: u32) {
        if let Ok(entry) = self.0.index.borrow_mut().find_entry(self.hash(id), |known| *known == slot) {
            entry.remove();
        }
    }

    fn hash(&self, id: SessionId) -> u64 {
        self.0.hasher.hash_one(id)
    }
}

impl Retired {
    fn forget_first(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.ids.remove(&id);
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sessions").field("len", &self.len()).finish_non_exhaustive()
    }
}
