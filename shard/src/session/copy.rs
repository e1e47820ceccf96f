//! One session on one shard: the home's own, or a cached copy. Reading it is a search through a short list and a count of
//! one more reader, with no lock and no allocation; writing is seen by this shard at once and leaves when the shard looks
//! after the call.
//!
//! A cached copy is what the home has ordered so far (`base`), and on top of it this shard's own writes that the home has
//! not ordered yet. Only while there are such is `base` kept apart from what is read.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use super::operation::{apply, resolve};
use super::values::Values;
use super::{Operation, Record, SessionId, SessionLimits, WriteError, Written};
use crate::people::Change;
use crate::{ConnectionId, ShardId, ShardSet, Ticket};

/// A session, as the application of one shard sees it. A handle: while one is kept, this shard keeps its copy.
#[derive(Clone)]
pub struct Session(Rc<Shared>);

struct Shared {
    context: Rc<Context>,
    state: RefCell<State>,
}

/// What all sessions of a shard share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) limits: SessionLimits,
    /// Writes are saved somewhere.
    pub(crate) has_store: bool,
    pub(crate) shards: usize,
    /// The turn's time, in milliseconds of Unix time.
    pub(crate) now: Cell<u64>,
    tokens: Cell<u64>,
    /// Sessions with something to send.
    pub(crate) dirty: RefCell<Vec<u32>>,
    /// What has changed of what sessions say about their connections.
    pub(crate) changes: RefCell<VecDeque<(u32, Change)>>,
}

impl Context {
    pub(crate) fn new(limits: SessionLimits, shards: usize, has_store: bool) -> Self {
        let (dirty, changes) = (RefCell::default(), RefCell::default());
        Self { limits, has_store, shards, now: Cell::new(0), tokens: Cell::new(0), dirty, changes }
    }

    /// Notes what a write changes of what a session says about its connections.
    fn note(&self, slot: u32, operation: &Operation) {
        if let Some(change) = Change::of(operation) {
            self.changes.borrow_mut().push_back((slot, change));
        }
    }

    fn token(&self) -> WriteToken {
        self.tokens.set(self.tokens.get() + 1);
        WriteToken(self.tokens.get())
    }
}

/// Names one write on its shard; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriteToken(pub u64);

/// A write that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What [`Host::session_written`](crate::Host::session_written) will name it by, unless it is done already.
    pub token: WriteToken,
    /// Nobody has to be waited for: this is the acknowledgement.
    pub written: Option<Written>,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The home, or the store, has been asked.
    Opening,
    /// It can be used.
    Ready,
    /// It cannot any more.
    Ended,
}

pub(crate) struct State {
    pub(crate) id: SessionId,
    pub(crate) stage: Stage,
    pub(crate) is_home: bool,
    is_dirty: bool,
    /// How many writes the home has ordered, as far as is known here.
    pub(crate) version: u64,
    /// Milliseconds of Unix time.
    pub(crate) created_at: u64,
    /// When it was last in use, in seconds of Unix time.
    pub(crate) touched: u32,
    /// Seconds that it lives unused; zero: the limit's.
    pub(crate) lifetime: u32,
    pub(crate) slot: u32,
    /// The connection that was here first; [`NO_SLOT`] for none. Further ones are in `cold`.
    first: u32,
    pub(crate) view: Values,
    pub(crate) cold: Option<Box<Cold>>,
}

/// What a session needs only while something is going on.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    /// Connections of this shard beside the first.
    others: Vec<u32>,
    /// Who waits for the opening.
    pub(crate) waiting: Vec<Opener>,
    pub(crate) cached: Cached,
    pub(crate) home: Home,
}

/// A copy's dealings with the home.
#[derive(Debug, Default)]
pub(crate) struct Cached {
    /// Which of the shard's openings has made it.
    pub(crate) number: u32,
    /// A later opening, under another id, that turned out to be of this copy and is not answered yet.
    pub(crate) asked: Option<u32>,
    /// What the home has ordered, where that is not what is read.
    base: Option<Values>,
    /// Own writes that the home has not ordered, as far as is known here.
    pending: VecDeque<(WriteToken, Operation)>,
    /// The last of them that was sent.
    sent: Option<WriteToken>,
    /// Own writes that are not acknowledged, in order.
    pub(crate) unacknowledged: VecDeque<WriteToken>,
    /// The home has died, and its successor has not said what there is: nothing is sent meanwhile.
    pub(crate) is_orphan: bool,
    /// Ids that it had before, the newest last.
    pub(crate) former: Vec<SessionId>,
}

/// The home's dealings with everybody.
#[derive(Debug, Default)]
pub(crate) struct Home {
    /// Shards with a copy, and the opening that gave it.
    pub(crate) holders: Vec<(ShardId, u32)>,
    /// Writes that are not acknowledged, in order.
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Own writes, with their versions, that the holders and the table have not heard of.
    pub(crate) unsent: VecDeque<(u64, Operation)>,
    /// The version that is being saved.
    pub(crate) saving: Option<u64>,
    /// The last version that was given to the store is not this one, or could not be saved.
    pub(crate) is_unsaved: bool,
    /// Ids that it had before, which the store does not know to be worth nothing.
    pub(crate) retires: Vec<SessionId>,
    /// How many of those the save under way tells it of.
    pub(crate) retiring: usize,
}

/// Who has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Local(WriteToken),
    Peer(ShardId, u64),
    /// Nobody waits: the home itself.
    Home,
}

#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) version: u64,
    pub(crate) writer: Writer,
    pub(crate) waiting: ShardSet,
    pub(crate) number: Option<i64>,
    /// Whether the store has it; `None`: it has not answered.
    pub(crate) is_durable: Option<bool>,
}

/// Who waits for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opener {
    Connection(ConnectionId, Ticket),
    Peer(ShardId, u32),
}

/// No connection.
pub(crate) const NO_SLOT: u32 = u32::MAX;

impl Session {
    pub(crate) fn new(context: &Rc<Context>, id: SessionId, is_home: bool, slot: u32) -> Self {
        let now = context.now.get();
        let state = State {
            id,
            stage: Stage::Opening,
            is_home,
            is_dirty: false,
            version: 0,
            created_at: now,
            touched: seconds(now),
            lifetime: 0,
            slot,
            first: NO_SLOT,
            view: Values::default(),
            cold: None,
        };
        Self(Rc::new(Shared { context: Rc::clone(context), state: RefCell::new(state) }))
    }

    /// The id, which is not secret: a cookie is more than it.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.state.borrow().id
    }

    /// When it was made, in milliseconds of Unix time.
    #[must_use]
    pub fn created_at(&self) -> u64 {
        self.0.state.borrow().created_at
    }

    /// Whether it has ended: nothing can be read or written any more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0.state.borrow().stage == Stage::Ended
    }

    /// Whether it can be read and written.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.state.borrow().stage == Stage::Ready
    }

    /// How many ordered writes this shard knows of.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.state.borrow().version
    }

    /// The JSON text of a value, shared with the copy it comes from.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Rc<str>> {
        let now = self.0.context.now.get();
        self.0.state.borrow().view.get(key, now).map(|value| Rc::clone(&value.text))
    }

    /// Names and JSON texts of all values, in the order in which they were first set.
    #[must_use]
    pub fn all(&self) -> Vec<(Rc<str>, Rc<str>)> {
        let now = self.0.context.now.get();
        let state = self.0.state.borrow();
        let present = state.view.all().iter().filter(|value| !value.is_over(now));
        present.map(|value| (Rc::clone(&value.key), Rc::clone(&value.text))).collect()
    }

    /// The time that ends of values are counted in: milliseconds of Unix time, of this turn.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.context.now.get()
    }

    /// Writes. Whoever reads on this shard sees it from here on; the acknowledgement means that every connection of the
    /// session does.
    ///
    /// # Errors
    /// When it cannot be done, as far as is known here; a refusal by the home comes with the acknowledgement.
    pub fn write(&self, operation: Operation) -> Result<Receipt, WriteError> {
        let context = &self.0.context;
        let mut state = self.0.state.borrow_mut();
        if state.stage != Stage::Ready {
            return Err(WriteError::Ended);
        }
        let token = context.token();
        let written = if state.is_home {
            state.write_home(token, operation, context)?
        } else {
            state.write_cached(token, operation, context)?;
            None
        };
        let has_work = state.cold.as_ref().is_some_and(|cold| !cold.home.unsent.is_empty() || cold.home.is_unsaved);
        if (has_work || !state.is_home) && !std::mem::replace(&mut state.is_dirty, true) {
            context.dirty.borrow_mut().push(state.slot);
        }
        Ok(Receipt { token, written })
    }

    /// The application holds a handle, beside the table's and the caller's own.
    pub(crate) fn is_held(&self) -> bool {
        Rc::strong_count(&self.0) > 2
    }

    pub(crate) fn state(&self) -> std::cell::RefMut<'_, State> {
        self.0.state.borrow_mut()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(state) = self.0.state.try_borrow() else { return formatter.write_str("Session") };
        let mut shown = formatter.debug_struct("Session");
        shown.field("id", &state.id).field("version", &state.version).field("stage", &state.stage);
        shown.field("is_held", &self.is_held()).field("is_dirty", &state.is_dirty).field("cold", &state.cold).finish()
    }
}

impl State {
    fn write_home(
        &mut self,
        token: WriteToken,
        operation: Operation,
        context: &Context,
    ) -> Result<Option<Written>, WriteError> {
        let under_way = self.cold.as_ref().map_or(0, |cold| cold.home.in_flight.len() + cold.home.unsent.len());
        if under_way >= context.limits.writes_max {
            return Err(WriteError::Busy);
        }
        let (operation, written) = self.order(operation, Writer::Local(token), context)?;
        if self.has_holders() || operation.concerns_table() {
            let version = self.version;
            self.cold_mut().home.unsent.push_back((version, operation));
        }
        Ok(written)
    }

    fn write_cached(&mut self, token: WriteToken, operation: Operation, context: &Context) -> Result<(), WriteError> {
        let cold = self.cold.get_or_insert_default();
        if cold.cached.unacknowledged.len() >= context.limits.writes_max {
            return Err(WriteError::Busy);
        }
        let (local, _) = resolve(operation.clone(), &self.view, context.now.get(), &context.limits)?;
        let base = &self.view;
        cold.cached.base.get_or_insert_with(|| base.clone());
        cold.cached.pending.push_back((token, operation));
        cold.cached.unacknowledged.push_back(token);
        apply(&local, &mut self.view);
        context.note(self.slot, &local);
        Ok(())
    }

    /// The home orders a write: it is decided, applied, and waits for the holders and the store. The answer is complete
    /// when there is nobody to wait for.
    pub(crate) fn order(
        &mut self,
        operation: Operation,
        writer: Writer,
        context: &Context,
    ) -> Result<(Operation, Option<Written>), WriteError> {
        if self.stage != Stage::Ready {
            return Err(WriteError::Ended);
        }
        if let Operation::Rotate { to } = &operation
            && (to.home(context.shards) != self.id.home(context.shards) || *to == self.id)
        {
            // Made up by somebody who cannot count.
            return Err(WriteError::Ended);
        }
        let now = context.now.get();
        let (operation, number) = resolve(operation, &self.view, now, &context.limits)?;
        apply(&operation, &mut self.view);
        context.note(self.slot, &operation);
        match operation {
            Operation::Lifetime { seconds } => self.lifetime = seconds,
            Operation::End => self.stage = Stage::Ended,
            _ => {}
        }
        self.version += 1;
        self.touched = seconds(now);
        let mut waiting = ShardSet::EMPTY;
        for (holder, _) in self.cold.iter().flat_map(|cold| &cold.home.holders) {
            if !matches!(writer, Writer::Peer(peer, _) if peer == *holder) {
                waiting.insert(*holder);
            }
        }
        let version = self.version;
        let is_durable = if context.has_store { None } else { Some(false) };
        // What concerns the table is acknowledged when the table has it: an own write of the home is published later.
        let is_followed = !(operation.concerns_table() && matches!(writer, Writer::Local(_)));
        let is_done = waiting.is_empty() && !context.has_store && is_followed;
        let is_queued = self.cold.as_ref().is_some_and(|cold| !cold.home.in_flight.is_empty());
        if is_done && !is_queued {
            return Ok((operation, Some(Written { number, is_durable: false })));
        }
        let home = &mut self.cold_mut().home;
        home.is_unsaved |= context.has_store;
        home.in_flight.push_back(InFlight { version, writer, waiting, number, is_durable });
        Ok((operation, None))
    }

    /// A copy learns what the home has ordered.
    pub(crate) fn update(&mut self, version: u64, operation: &Operation, token: Option<u64>, context: &Context) {
        assert_eq!(version, self.version + 1, "the home's writes come in order, and all of them");
        self.version = version;
        context.note(self.slot, operation);
        if let Operation::Lifetime { seconds } = operation {
            self.lifetime = *seconds;
        }
        let cached = self.cold.as_mut().map(|cold| &mut cold.cached);
        let Some((cached, base)) = cached.and_then(|cached| cached.base.take().map(|base| (cached, base))) else {
            return apply(operation, &mut self.view);
        };
        let mut base = base;
        apply(operation, &mut base);
        let is_next = token.is_some() && cached.pending.front().map(|(known, _)| known.0) == token;
        if is_next {
            cached.pending.pop_front();
        }
        cached.base = Some(base);
        // Our next write is what it was expected to be: what is read stays as it is.
        if !is_next || cached.pending.is_empty() {
            self.replay(context);
        }
    }

    /// The home has refused a write of ours.
    pub(crate) fn refused(&mut self, token: u64, context: &Context) {
        if let Some(cold) = &mut self.cold {
            if let Some((_, operation)) = cold.cached.pending.iter().find(|(known, _)| known.0 == token) {
                context.note(self.slot, operation);
            }
            cold.cached.pending.retain(|(known, _)| known.0 != token);
        }
        self.replay(context);
    }

    /// What is read: the base, and the own writes on top of it.
    fn replay(&mut self, context: &Context) {
        let Some(cold) = &mut self.cold else { return };
        let cached = &mut cold.cached;
        let Some(base) = cached.base.take() else { return };
        self.view = base;
        if cached.pending.is_empty() {
            return;
        }
        cached.base = Some(self.view.clone());
        for (_, operation) in &cached.pending {
            // What cannot be done on top of the others' writes is what the home will refuse.
            if let Ok((operation, _)) = resolve(operation.clone(), &self.view, context.now.get(), &context.limits) {
                apply(&operation, &mut self.view);
            }
        }
    }

    /// The home has died. Nobody knows what has become of the writes that were sent to it and not acknowledged: they are
    /// taken back, and returned.
    pub(crate) fn orphan(&mut self, context: &Context) -> Vec<WriteToken> {
        let slot = self.slot;
        let cached = &mut self.cold_mut().cached;
        cached.is_orphan = true;
        cached.asked = None;
        let sent = cached.sent;
        let is_sent = |token: &WriteToken| sent.is_some_and(|sent| *token <= sent);
        // Both are in the order of their tokens.
        let lost = cached.unacknowledged.partition_point(is_sent);
        let lost = cached.unacknowledged.drain(..lost).collect();
        let unordered = cached.pending.partition_point(|(token, _)| is_sent(token));
        for (_, operation) in cached.pending.drain(..unordered) {
            context.note(slot, &operation);
        }
        self.replay(context);
        lost
    }

    /// As the last home had ordered it, as far as is known here.
    pub(crate) fn ordered(&self) -> Record {
        let base = self.cold.as_ref().and_then(|cold| cold.cached.base.as_ref());
        self.record_of(base.unwrap_or(&self.view))
    }

    /// The home is there again, and has this; own writes that nobody has ordered stay on top of it.
    pub(crate) fn restore(&mut self, record: &Record, context: &Context) {
        self.note_all(context);
        let stage = self.stage;
        self.load(record);
        self.stage = stage;
        let cached = &mut self.cold_mut().cached;
        cached.is_orphan = false;
        cached.base = Some(record.values());
        self.replay(context);
        self.note_all(context);
    }

    /// There is nothing left of it. Returns the own writes that nobody has ordered.
    pub(crate) fn end_orphan(&mut self) -> VecDeque<WriteToken> {
        let cached = &mut self.cold_mut().cached;
        cached.is_orphan = false;
        cached.base = None;
        cached.pending.clear();
        let unacknowledged = std::mem::take(&mut cached.unacknowledged);
        self.view = Values::default();
        unacknowledged
    }

    /// Whatever a session says about its connections may have changed.
    fn note_all(&self, context: &Context) {
        for value in self.view.all().iter().filter(|value| value.key.starts_with('#')) {
            context.note(self.slot, &Operation::Remove { key: (&*value.key).into() });
        }
    }

    /// The session is about to get another id.
    pub(crate) fn remember_id(&mut self) {
        let id = self.id;
        let former = &mut self.cold_mut().cached.former;
        if former.len() == FORMER_MAX {
            former.remove(0);
        }
        former.push(id);
    }

    /// The session as it was sent or stored.
    pub(crate) fn load(&mut self, record: &Record) {
        self.stage = Stage::Ready;
        self.version = record.version;
        self.created_at = record.created_at;
        self.touched = record.touched;
        self.lifetime = record.lifetime;
        self.view = record.values();
    }

    /// The home's session, to be sent or stored.
    pub(crate) fn record(&self) -> Record {
        debug_assert!(self.is_home, "a copy is never copied");
        self.record_of(&self.view)
    }

    fn record_of(&self, values: &Values) -> Record {
        let value = |value: &super::values::Value| ((&*value.key).into(), (&*value.text).into(), value.expires);
        Record {
            version: self.version,
            created_at: self.created_at,
            touched: self.touched,
            lifetime: self.lifetime,
            values: values.all().iter().map(value).collect(),
        }
    }

    /// Own writes that were not sent yet.
    pub(crate) fn take_unsent(&mut self) -> Vec<(WriteToken, Operation)> {
        self.is_dirty = false;
        let Some(cold) = &mut self.cold else { return Vec::new() };
        let cached = &mut cold.cached;
        if cached.is_orphan {
            return Vec::new();
        }
        let from = cached.pending.partition_point(|(token, _)| cached.sent.is_some_and(|sent| *token <= sent));
        cached.sent = cached.pending.back().map(|(token, _)| *token).or(cached.sent);
        cached.pending.iter().skip(from).cloned().collect()
    }

    /// Takes the first of the writes that everybody has and the store has answered. What was not published yet nobody has.
    pub(crate) fn take_done(&mut self) -> Option<InFlight> {
        let home = &mut self.cold.as_mut()?.home;
        let published = home.unsent.front().map_or(self.version, |(version, _)| version - 1);
        let is_done =
            |entry: &mut InFlight| entry.waiting.is_empty() && entry.is_durable.is_some() && entry.version <= published;
        home.in_flight.pop_front_if(is_done)
    }

    pub(crate) fn take_unsent_home(&mut self) -> VecDeque<(u64, Operation)> {
        self.is_dirty = false;
        self.cold.as_mut().map(|cold| std::mem::take(&mut cold.home.unsent)).unwrap_or_default()
    }

    pub(crate) fn attach(&mut self, connection: u32) {
        if self.first == NO_SLOT {
            self.first = connection;
        } else {
            self.cold_mut().others.push(connection);
        }
    }

    pub(crate) fn detach(&mut self, connection: u32) {
        let other = self.cold.as_mut().and_then(|cold| {
            let at = cold.others.iter().position(|known| *known == connection);
            if let Some(at) = at {
                cold.others.swap_remove(at);
                return Some(connection);
            }
            cold.others.pop()
        });
        match other {
            Some(other) if other == connection => {}
            // It was the first; another takes its place.
            Some(other) => self.first = other,
            None => self.first = NO_SLOT,
        }
    }

    /// Slots of this shard's connections.
    pub(crate) fn connections(&self) -> impl Iterator<Item = u32> {
        let first = (self.first != NO_SLOT).then_some(self.first);
        first.into_iter().chain(self.cold.iter().flat_map(|cold| cold.others.iter().copied()))
    }

    pub(crate) fn has_connections(&self) -> bool {
        self.first != NO_SLOT
    }

    pub(crate) fn has_holders(&self) -> bool {
        self.cold.as_ref().is_some_and(|cold| !cold.home.holders.is_empty())
    }

    pub(crate) fn cold_mut(&mut self) -> &mut Cold {
        self.cold.get_or_insert_default()
    }

    /// Gives back what is not needed any more. A copy keeps the number of its opening.
    pub(crate) fn cool(&mut self) {
        if self.is_home && self.cold.as_ref().is_some_and(|cold| cold.is_idle()) {
            self.cold = None;
        }
    }

    /// Nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_dirty && self.cold.as_ref().is_none_or(|cold| cold.is_quiet())
    }
}

impl Cold {
    /// Nothing is under way, and nobody has a copy.
    fn is_quiet(&self) -> bool {
        let home = &self.home;
        let is_quiet = home.holders.is_empty() && home.in_flight.is_empty() && home.unsent.is_empty();
        is_quiet
            && home.saving.is_none()
            && !home.is_unsaved
            && self.waiting.is_empty()
            && self.cached.pending.is_empty()
            && self.cached.unacknowledged.is_empty()
            && !self.cached.is_orphan
            && self.cached.asked.is_none()
    }

    fn is_idle(&self) -> bool {
        self.is_quiet() && self.others.is_empty()
    }
}

/// Ids that a copy remembers: what a home has given up and not every holder heard of when it died. A login and a logout
/// make two.
const FORMER_MAX: usize = 8;

pub(crate) fn seconds(millis: u64) -> u32 {
    u32::try_from(millis / 1_000).unwrap_or(u32::MAX)
}

const _: () = assert!(size_of::<Shared>() + 16 <= 112, "a million of them");
