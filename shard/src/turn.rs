//! The bytes of one turn: what is said to whom until all of it is with the kernel. Mostly that is one pass; a
//! publication to a huge channel takes several, and what is said meanwhile joins the turn.
//!
//! Two arenas: `direct` holds what is meant for one connection, `shared` the publications, each encoded once and pointed
//! to by every subscriber. A connection's bytes are a chain of chunks of either; bytes that follow each other in an arena
//! are one chunk, so pipelined replies and runs of publications cost no copy. A chain of several chunks is gathered into
//! one at the end of the turn: one connection, one send.
//!
//! Arenas may move while they grow, chunks are offsets: no address is taken before the turn is over.

use std::collections::VecDeque;

use crate::ConnectionId;
use crate::compression::Compressors;
use crate::connection::{Connection, ending};

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
}

#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Tells two turns that follow each other apart.
    pub(crate) number: u32,
    pub(crate) direct: Vec<u8>,
    pub(crate) shared: Vec<u8>,
    gathered: Vec<u8>,
    chunks: Vec<Chunk>,
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

    /// Appends `start..` of an arena to a chain. The caller puts the slot on a list if the chain was empty.
    #[inline]
    pub(crate) fn append(&mut self, chain: &mut Chain, arena: Arena, start: u32, end: u32) {
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
