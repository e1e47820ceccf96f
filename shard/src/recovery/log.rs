//! What is kept: by connection, the last events with their offsets, as frames. A publication's frames are kept once,
//! however many wait for it.

use std::collections::VecDeque;
use std::rc::Rc;

use super::{Recovering, RecoveryLimits};
use crate::polling::SECRET_BYTES;
use crate::{ConnectionId, Metrics, ShardId};

/// What one shard keeps.
#[derive(Debug)]
pub(crate) struct Recoveries {
    limits: RecoveryLimits,
    by_slot: Vec<Option<Box<Kept>>>,
    /// The last number that was given.
    offset: u64,
    bytes: usize,
    /// The publication at hand: in which turn and where it was written.
    shared: Option<(u32, u32, Rc<[u8]>)>,
    /// Connections that wait, the longest first. Some wait no more.
    pub(super) waiting: VecDeque<ConnectionId>,
}

/// What is kept of one connection.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(super) secret: [u8; SECRET_BYTES],
    events: VecDeque<Event>,
    bytes: usize,
    spaces: Vec<Space>,
    /// Namespaces whose clients have not come back yet: a bit for each.
    pub(super) absent: u32,
    /// The last number before the ping that is not answered yet.
    marked: Option<u64>,
    /// Who wants to take it up, as soon as its socket is gone.
    pub(super) recovering: Option<Box<Recovering>>,
}

#[derive(Debug)]
struct Event {
    offset: u64,
    namespace: u8,
    frames: Rc<[u8]>,
}

/// One of Socket.IO's namespaces.
#[derive(Clone, Copy, Debug, Default)]
struct Space {
    /// The last event that is not kept any more.
    lost: u64,
    /// How often it was opened anew.
    epoch: u8,
}

impl Recoveries {
    /// `None`: nothing is kept.
    pub(crate) fn new(limits: RecoveryLimits) -> Option<Box<Self>> {
        (!limits.window.is_zero()).then(|| {
            let (by_slot, waiting) = (Vec::new(), VecDeque::new());
            Box::new(Self { limits, by_slot, offset: 0, bytes: 0, shared: None, waiting })
        })
    }

    pub(super) fn enter(&mut self, slot: u32, secret: [u8; SECRET_BYTES]) {
        let slot = slot as usize;
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, || None);
        }
        self.by_slot[slot] = Some(Box::new(Kept {
            secret,
            events: VecDeque::new(),
            bytes: 0,
            spaces: Vec::new(),
            absent: 0,
            marked: None,
            recovering: None,
        }));
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(kept) = self.by_slot.get_mut(slot as usize).and_then(Option::take) {
            self.bytes -= kept.bytes;
        }
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Kept> {
        self.by_slot.get(slot as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Kept> {
        self.by_slot.get_mut(slot as usize)?.as_deref_mut()
    }

    /// A shard has died: nobody who has come to it takes anything up.
    pub(super) fn forget_carriers(&mut self, peer: ShardId) {
        for kept in self.by_slot.iter_mut().flatten() {
            kept.recovering.take_if(|recovering| recovering.carrier.shard == peer);
        }
    }

    /// A number for one more event.
    pub(crate) const fn next_offset(&mut self) -> u64 {
        self.offset += 1;
        self.offset
    }

    /// The last number that was given.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The frames of a publication, copied once.
    pub(super) fn shared(&mut self, turn: u32, start: u32, bytes: &[u8]) -> Rc<[u8]> {
        match &self.shared {
            Some((in_turn, at, frames)) if (*in_turn, *at) == (turn, start) => Rc::clone(frames),
            _ => {
                let frames: Rc<[u8]> = bytes.into();
                self.shared = Some((turn, start, Rc::clone(&frames)));
                frames
            }
        }
    }

    /// Keeps an event; whether its namespace is there to be told now.
    pub(super) fn keep(
        &mut self,
        slot: u32,
        namespace: u8,
        offset: u64,
        frames: Rc<[u8]>,
        metrics: &mut Metrics,
    ) -> bool {
        let (limits, total) = (self.limits, self.bytes);
        let Some(kept) = self.get_mut(slot) else { return true };
        let is_there = kept.absent & 1 << namespace == 0;
        let (before, bytes) = (kept.bytes, frames.len());
        kept.events.push_back(Event { offset, namespace, frames });
        kept.bytes += bytes;
        while kept.events.len() > limits.packets_max
            || kept.bytes > limits.bytes_max
            || (total - before + kept.bytes > limits.total_bytes_max && !kept.events.is_empty())
        {
            kept.lose_first();
            metrics.recovery_events_lost += 1;
        }
        self.bytes = total - before + self.get(slot).map_or(0, |kept| kept.bytes);
        is_there
    }

    pub(super) fn mark(&mut self, slot: u32) {
        let offset = self.offset;
        if let Some(kept) = self.get_mut(slot) {
            kept.marked.get_or_insert(offset);
        }
    }

    /// What came before the marked ping has arrived, but for what was kept for namespaces that are not there.
    pub(super) fn forget_received(&mut self, slot: u32) {
        let Some(kept) = self.get_mut(slot) else { return };
        let (before, Some(marked)) = (kept.bytes, kept.marked.take()) else { return };
        let absent = kept.absent;
        kept.lose(|event| event.offset <= marked && absent & 1 << event.namespace == 0);
        let bytes = kept.bytes;
        self.bytes -= before - bytes;
    }

    /// A namespace begins anew: nothing that was kept for it is of use.
    pub(super) fn renew(&mut self, slot: u32, namespace: u8) {
        let Some(kept) = self.get_mut(slot) else { return };
        let before = kept.bytes;
        kept.lose(|event| event.namespace == namespace);
        kept.absent &= !(1 << namespace);
        let space = kept.space(namespace);
        space.epoch = space.epoch.wrapping_add(1);
        let bytes = kept.bytes;
        self.bytes -= before - bytes;
    }

    /// Whether everything after that offset is there: a client that has heard nothing has none.
    pub(super) fn has_all(&self, slot: u32, namespace: u8, offset: Option<&str>) -> Option<u64> {
        let offset = offset.map_or(Some(0), |text| text.parse().ok())?;
        let lost = self.get(slot)?.spaces.get(usize::from(namespace)).map_or(0, |space| space.lost);
        (lost..=self.offset).contains(&offset).then_some(offset)
    }
}

impl Kept {
    pub(super) fn epoch(&self, namespace: u8) -> u8 {
        self.spaces.get(usize::from(namespace)).map_or(0, |space| space.epoch)
    }

    /// Nothing is asked of the client while it is not there.
    pub(super) const fn unmark(&mut self) {
        self.marked = None;
    }

    /// Appends all events of a namespace after an offset.
    pub(super) fn write_after(&self, out: &mut Vec<u8>, namespace: u8, offset: u64) {
        let missed = self.events.iter().filter(|event| event.namespace == namespace && event.offset > offset);
        missed.for_each(|event| out.extend_from_slice(&event.frames));
    }

    fn space(&mut self, namespace: u8) -> &mut Space {
        let index = usize::from(namespace);
        if self.spaces.len() <= index {
            self.spaces.resize(index + 1, Space::default());
        }
        &mut self.spaces[index]
    }

    fn lose_first(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.frames.len();
            self.space(event.namespace).lost = event.offset;
        }
    }

    fn lose(&mut self, is_lost: impl Fn(&Event) -> bool) {
        for event in std::mem::take(&mut self.events) {
            if is_lost(&event) {
                self.bytes -= event.frames.len();
                let space = self.space(event.namespace);
                space.lost = space.lost.max(event.offset);
            } else {
                self.events.push_back(event);
            }
        }
    }
}
