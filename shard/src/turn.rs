//! The bytes of one turn: what is said to whom until all of it is with the kernel. Mostly that is one pass; a
//! publication to a huge channel takes several, and what is said meanwhile joins the turn.
//!
//! Two arenas: `direct` holds what is meant for one connection, `shared` the publications, each encoded once and pointed
//! to by every subscriber. A connection's bytes are a chain of chunks of either; bytes that follow each other in an arena
//! are one chunk, so pipelined replies and runs of publications cost no copy. A chain of several chunks is gathered into
//! one at the end of the turn: one connection, one send.
//!
//! Arenas may move while they grow, chunks are offsets: no address is taken before the turn is over.
//!
//! Where some publications may be dropped, the turn knows where in the shared arena each begins, so that a chain can be
//! taken apart again: once for the connections that have a backlog, never for those that keep up.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::compression::Compressors;
use crate::connection::{Connection, ending};
use crate::outbox::{Outbox, Room};
use crate::policies::Terms;
use crate::{ConnectionId, Metrics, SlowConsumer};

/// No chunk.
pub(crate) const NONE: u32 = u32::MAX;

/// A turn that holds more is sent to its end in one pass. 4 MiB: with 16 bytes for each waiting subscriber that is a
/// channel of 250,000, or half a second of publications at line rate that one pass more would only make longer.
const BYTES_MAX: usize = 4 << 20;

/// Arenas above this shrink by half after a turn that used less than a quarter of them: 1 MiB serves a thousand messages
/// of 1 KiB without growing again, and a burst's memory is given back within a few turns.
const ARENA_BYTES_KEPT: usize = 1 << 20;

/// How a transmit's bytes must be sent; see `shard::Transmit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The bytes lie in the turn's arena, valid until the second `begin_turn` from now. Send without waiting; only a
    /// short or failed send is reported, by `handle_send_failed`, in the very next pass.
    Turn,
    /// The bytes are stable until `handle_sent`, which always follows. At most one per connection.
    Owned,
}

/// One send.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// To whom.
    pub connection: ConnectionId,
    /// Names this send in `handle_send_failed`; meaningful for [`Mode::Turn`] only.
    pub token: u32,
    /// How to send it.
    pub mode: Mode,
    /// What to send.
    pub bytes: &'a [u8],
}

/// Where bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arena {
    Direct,
    Shared,
    Gathered,
}

/// A run of bytes, and the chunk after it in its connection's chain.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    arena: Arena,
    start: u32,
    end: u32,
    next: u32,
}

/// Pushes in the shared arena: one that may be dropped, or a run of those that may not.
#[derive(Clone, Debug)]
struct Pushed {
    start: u32,
    terms: Terms,
    /// The copy that all outboxes share in which it waits.
    body: Option<Rc<[u8]>>,
}

/// A connection's chain in the current turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    head: u32,
    tail: u32,
    pub(crate) bytes: u32,
}

impl Chain {
    pub(crate) const EMPTY: Self = Self { head: NONE, tail: NONE, bytes: 0 };

    pub(crate) const fn is_empty(self) -> bool {
        self.head == NONE
    }
}

/// A send of one pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Send {
    pub(crate) connection: ConnectionId,
    /// The turn that the span lies in.
    pub(crate) turn: u32,
    /// `None`: the connection's own outbox is flying.
    pub(crate) span: Option<(Arena, u32, u32)>,
    /// The chain that the span was made of.
    pub(crate) chain: Chain,
}

#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Tells two turns that follow each other apart.
    pub(crate) number: u32,
    pub(crate) direct: Vec<u8>,
    pub(crate) shared: Vec<u8>,
    gathered: Vec<u8>,
    chunks: Vec<Chunk>,
    /// What the shared arena holds, where anything may be dropped; else nothing.
    pushed: Vec<Pushed>,
    /// Slots to send to in this pass: they have something of their own to hear, or to go on with.
    pub(crate) urgent: Vec<u32>,
    /// Slots with publications only, the longest waiting first. A slot may stand here in vain, or twice.
    pub(crate) waiting: VecDeque<u32>,
}

impl Turn {
    /// The first turn of the odd numbers: of two that take turns, one has these and one the even ones.
    pub(crate) fn odd() -> Self {
        Self { number: 1, ..Self::default() }
    }

    /// Makes it an empty turn, the one after next.
    pub(crate) fn clear(&mut self) {
        self.number = self.number.wrapping_add(2);
        for arena in [&mut self.direct, &mut self.shared, &mut self.gathered] {
            if arena.capacity() > ARENA_BYTES_KEPT.max(4 * arena.len()) {
                arena.shrink_to(arena.capacity() / 2);
            }
            arena.clear();
        }
        self.chunks.clear();
        self.pushed.clear();
    }

    /// Nobody is left to send to.
    pub(crate) fn is_over(&self) -> bool {
        self.urgent.is_empty() && self.waiting.is_empty()
    }

    /// It holds so much that waiting would cost more than a long pass.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes() + self.gathered.len() + self.chunks.len() * size_of::<Chunk>() > BYTES_MAX
    }

    /// Bytes written in this turn.
    pub(crate) fn bytes(&self) -> usize {
        self.direct.len() + self.shared.len()
    }

    /// The end of an arena, where the next bytes will start.
    pub(crate) fn end(&self, arena: Arena) -> u32 {
        offset(self.arena(arena).len())
    }

    /// Queues what was written to `direct` from `start` on, if anything, for the connection in this slot.
    #[inline]
    pub(crate) fn append_direct(
        &mut self,
        connection: &mut Connection,
        slot: u32,
        start: u32,
        compressors: &mut Compressors,
    ) {
        let mut end = self.end(Arena::Direct);
        if start == end {
            return;
        }
        if connection.is_ending(ending::BROKEN | ending::COMPRESSES) {
            if connection.is_ending(ending::BROKEN) {
                return;
            }
            compressors.compress(connection, &mut self.direct, start);
            end = self.end(Arena::Direct);
        }
        if !connection.is_urgent {
            connection.is_urgent = true;
            self.urgent.push(slot);
        }
        self.append(&mut connection.chain, Arena::Direct, start, end);
    }

    /// Queues a publication for the connection in this slot.
    #[inline]
    pub(crate) fn append_shared(&mut self, connection: &mut Connection, slot: u32, start: u32, end: u32) {
        if connection.chain.is_empty() {
            self.waiting.push_back(slot);
        }
        self.append(&mut connection.chain, Arena::Shared, start, end);
    }

    /// Appends `start..` of an arena to a chain. The caller puts the slot on a list if the chain was empty.
    #[inline]
    fn append(&mut self, chain: &mut Chain, arena: Arena, start: u32, end: u32) {
        chain.bytes = chain.bytes.saturating_add(end - start);
        if let Some(tail) = self.chunks.get_mut(chain.tail as usize)
            && tail.arena == arena
            && tail.end == start
        {
            tail.end = end;
            return;
        }
        let index = offset(self.chunks.len());
        self.chunks.push(Chunk { arena, start, end, next: NONE });
        match self.chunks.get_mut(chain.tail as usize) {
            Some(tail) => tail.next = index,
            None => chain.head = index,
        }
        chain.tail = index;
    }

    /// A chain as one span, gathering it if it has several chunks.
    pub(crate) fn span(&mut self, chain: Chain) -> (Arena, u32, u32) {
        let first = self.chunks[chain.head as usize];
        if first.next == NONE {
            return (first.arena, first.start, first.end);
        }
        let start = offset(self.gathered.len());
        let mut gathered = std::mem::take(&mut self.gathered);
        self.copy(chain, &mut gathered);
        self.gathered = gathered;
        (Arena::Gathered, start, offset(self.gathered.len()))
    }

    /// Notes on which terms waits what is now written to the end of the shared arena.
    pub(crate) fn note_pushed(&mut self, terms: Terms) {
        let is_same_run = |last: &Pushed| last.terms.policy == SlowConsumer::Close;
        if terms.policy == SlowConsumer::Close && self.pushed.last().is_some_and(is_same_run) {
            return;
        }
        self.pushed.push(Pushed { start: self.end(Arena::Shared), terms, body: None });
    }

    /// Moves a chain to an outbox, but for its first `sent` bytes, each publication on its terms. What was sent in part
    /// leaves first.
    pub(crate) fn file(
        &mut self,
        chain: Chain,
        mut sent: usize,
        outbox: &mut Outbox,
        room: Room,
        metrics: &mut Metrics,
    ) {
        let mut index = chain.head;
        while let Some(chunk) = self.chunks.get(index as usize).copied() {
            index = chunk.next;
            let bytes = (chunk.end - chunk.start) as usize;
            if sent >= bytes {
                sent -= bytes;
                continue;
            }
            let cut = std::mem::take(&mut sent);
            let start = chunk.start + offset(cut);
            let rest = (chunk.arena, start, chunk.end);
            match chunk.arena {
                Arena::Shared => self.file_pushed(start, chunk.end, cut > 0, outbox, room, metrics),
                _ if cut > 0 => outbox.begin(self.bytes_of(rest)),
                _ => outbox.push_with(|queue| queue.extend_from_slice(self.bytes_of(rest))),
            }
        }
    }

    /// Moves a run of the shared arena to an outbox; what is before its start may have been sent.
    fn file_pushed(
        &mut self,
        mut start: u32,
        end: u32,
        mut is_cut: bool,
        outbox: &mut Outbox,
        room: Room,
        metrics: &mut Metrics,
    ) {
        let mut index = self.pushed.partition_point(|pushed| pushed.start <= start).saturating_sub(1);
        while start < end {
            let part_end = self.pushed.get(index + 1).map_or(end, |next| next.start.min(end));
            let part = &self.shared[start as usize..part_end as usize];
            let pushed = &mut self.pushed[index];
            if std::mem::take(&mut is_cut) && pushed.start != start {
                outbox.begin(part);
            } else if pushed.terms.policy == SlowConsumer::Close {
                outbox.push_publication(part);
            } else {
                let body = pushed.body.get_or_insert_with(|| Rc::from(part));
                outbox.offer(Rc::clone(body), pushed.terms, room, metrics);
            }
            start = part_end;
            index += 1;
        }
    }

    /// Copies a chain's bytes.
    pub(crate) fn copy(&self, chain: Chain, out: &mut Vec<u8>) {
        let mut index = chain.head;
        while let Some(chunk) = self.chunks.get(index as usize) {
            out.extend_from_slice(self.bytes_of((chunk.arena, chunk.start, chunk.end)));
            index = chunk.next;
        }
    }

    /// A span's bytes.
    pub(crate) fn bytes_of(&self, (arena, start, end): (Arena, u32, u32)) -> &[u8] {
        &self.arena(arena)[start as usize..end as usize]
    }

    const fn arena(&self, arena: Arena) -> &Vec<u8> {
        match arena {
            Arena::Direct => &self.direct,
            Arena::Shared => &self.shared,
            Arena::Gathered => &self.gathered,
        }
    }
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).expect("what one turn reads, and so what it writes, is bounded far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(turn: &mut Turn, chain: &mut Chain, text: &str) {
        let start = turn.end(Arena::Direct);
        turn.direct.extend_from_slice(text.as_bytes());
        turn.append(chain, Arena::Direct, start, turn.end(Arena::Direct));
    }

    #[test]
    fn bytes_that_follow_each_other_are_one_chunk() {
        let (mut turn, mut chain) = (Turn::default(), Chain::EMPTY);
        say(&mut turn, &mut chain, "one ");
        say(&mut turn, &mut chain, "two");
        assert_eq!(turn.chunks.len(), 1);
        let span = turn.span(chain);
        assert_eq!((span.0, turn.bytes_of(span)), (Arena::Direct, &b"one two"[..]));
        assert_eq!(chain.bytes, 7);
    }

    #[test]
    fn interleaved_chains_are_gathered_in_order() {
        let mut turn = Turn::default();
        let (mut left, mut right) = (Chain::EMPTY, Chain::EMPTY);
        turn.shared.extend_from_slice(b"NEWS");
        say(&mut turn, &mut left, "l1");
        say(&mut turn, &mut right, "r1");
        turn.append(&mut left, Arena::Shared, 0, 4);
        turn.append(&mut right, Arena::Shared, 0, 4);
        say(&mut turn, &mut left, "l2");
        for (chain, expected) in [(left, &b"l1NEWSl2"[..]), (right, &b"r1NEWS"[..])] {
            let span = turn.span(chain);
            assert_eq!((span.0, turn.bytes_of(span)), (Arena::Gathered, expected));
        }
    }
}
