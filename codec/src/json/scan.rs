//! Validates a JSON text and finds where its values lie. simd-json judges the whole text on a scratch copy, which it
//! rewrites (escapes are resolved in place); the offsets that its first stage found then give every value's span in the
//! original. It never recurses, never builds a value and never lets a byte through that simd-json did not accept.

use std::fmt;

use simd_json::{Buffers, ErrorType, Node, StaticNode, Tape};

use super::string::replace_lone_surrogates;
use crate::message::RawJson;

/// What a text may demand of a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Deepest nesting of arrays and objects.
    pub depth_max: usize,
}

impl Default for JsonLimits {
    /// 64 levels: ten times what a message of ours needs, and below what any consumer's recursive parser stands.
    fn default() -> Self {
        Self { depth_max: 64 }
    }
}

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// It is not JSON (RFC 8259), or it has a number beyond the range of a double.
    Syntax {
        /// The byte at which that was noticed, 0 where it is not known.
        at: usize,
    },
    /// It nests deeper than the limit.
    TooDeep {
        /// The limit that it exceeds.
        depth_max: usize,
    },
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { at } => write!(formatter, "invalid JSON near byte {at}"),
            Self::TooDeep { depth_max } => write!(formatter, "JSON nested deeper than {depth_max} levels"),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reusable memory for scanning, one per shard. Nothing in it outlives a message.
pub struct Scanner {
    limits: JsonLimits,
    /// The copy that simd-json rewrites.
    scratch: Vec<u8>,
    /// A second copy for the rare text with lone surrogates; empty otherwise.
    repaired: Vec<u8>,
    buffers: Buffers,
    /// The emptied tape between two texts, kept for its allocation.
    tape: Tape<'static>,
}

impl fmt::Debug for Scanner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scanner").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Scanner {
    /// A scanner that has not allocated for any text yet.
    #[must_use]
    pub fn new(limits: JsonLimits) -> Self {
        Self {
            limits,
            scratch: Vec::new(),
            repaired: Vec::new(),
            buffers: Buffers::with_max_depth(0, limits.depth_max),
            tape: Tape(Vec::new()),
        }
    }

    /// Validates `text` as one JSON value, with whitespace around it allowed and nothing else.
    ///
    /// # Errors
    /// The text is not JSON, or nests too deep. The cost is linear in its length in any case, and no stack is used.
    pub fn scan<'a>(&'a mut self, text: &'a str) -> Result<Document<'a>, JsonError> {
        self.shrink();
        self.scratch.clear();
        self.scratch.extend_from_slice(text.as_bytes());
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let mut outcome = simd_json::fill_tape(&mut self.scratch, &mut self.buffers, &mut tape);
        if let Err(error) = &outcome
            && matches!(error.error(), ErrorType::InvalidUnicodeCodepoint | ErrorType::InvalidUtf8)
        {
            self.repaired.extend_from_slice(text.as_bytes());
            replace_lone_surrogates(&mut self.repaired);
            outcome = simd_json::fill_tape(&mut self.repaired, &mut self.buffers, &mut tape);
        }
        match outcome {
            Ok(()) => Ok(Document { text, structurals: self.buffers.structural_indexes(), tape, home: &mut self.tape }),
            Err(error) => {
                self.tape = tape.reset();
                Err(match error.error() {
                    ErrorType::DepthLimitExceeded => JsonError::TooDeep { depth_max: self.limits.depth_max },
                    _ => JsonError::Syntax { at: error.index() },
                })
            }
        }
    }

    /// Memory that the last text left behind, as far as it can be known: simd-json's own copies of the input are as
    /// long as ours, and its offsets are four bytes each.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        let copies = self.scratch.capacity() * 3 + self.repaired.capacity();
        copies + self.buffers.structural_indexes().len() * 4 + self.tape.0.capacity() * size_of::<Node<'static>>()
    }

    /// A text costs up to 31 times its length while it is looked at (three copies, 4 bytes of offset and 24 of tape for
    /// each byte, were all of them brackets), so 128 KiB cost 4 MiB; what is kept for the next one is bounded here.
    fn shrink(&mut self) {
        if self.retained_bytes() > RETAINED_BYTES_MAX {
            *self = Self::new(self.limits);
        }
        self.repaired.clear();
    }
}

/// Kept between two texts: what ordinary texts of up to some 100 KiB need, so that only bracket-dense or really large
/// ones pay for allocating anew.
const RETAINED_BYTES_MAX: usize = 1024 * 1024;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// A validated text.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    /// Offsets of each `{ } [ ] : ,` outside strings and of the first byte of each string, number and literal.
    structurals: &'a [u32],
    tape: Tape<'a>,
    home: &'a mut Tape<'static>,
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        *self.home = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
    }
}

impl<'a> Document<'a> {
    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_, 'a> {
        Value { document: self, start: Position { node: 0, structural: 0 }, after: self.end() }
    }

    /// Goes on through the elements of the outermost array from a place that was noted before.
    pub(crate) fn elements_from(&self, cursor: ElementCursor) -> Elements<'_, 'a> {
        Elements { document: self, parent_after: self.end(), cursor }
    }

    fn end(&self) -> Position {
        Position { node: narrow(self.tape.0.len()), structural: narrow(self.structurals.len()) }
    }

    /// Where the neighbour to the right of the value at `start` would be: on the tape behind all its nodes, among the
    /// structurals on the comma or bracket that follows it. `parent_after` is the same for the container around it and
    /// `separators` the number of commas and colons that lie between the value and the container's closing bracket.
    ///
    /// How far that is on the tape is written there; among the structurals it has to be added up from the nodes, those
    /// of the value or those that follow it in the container. The shorter side is taken, so that a large payload, which
    /// has next to nothing behind it, costs nothing.
    fn after(&self, start: Position, parent_after: Position, separators: usize) -> Position {
        let nodes = &self.tape.0;
        let node = match nodes[start.node as usize] {
            Node::String(_) | Node::Static(_) => {
                return Position { node: start.node + 1, structural: start.structural + 1 };
            }
            Node::Object { count, .. } | Node::Array { count, .. } => start.node as usize + count + 1,
        };
        let parent_after_node = parent_after.node as usize;
        let structural = if parent_after_node - node < node - start.node as usize {
            let behind = own_structurals(&nodes[node..parent_after_node]) + separators;
            parent_after.structural as usize - 1 - behind
        } else {
            start.structural as usize + own_structurals(&nodes[start.node as usize..node])
        };
        Position { node: narrow(node), structural: narrow(structural) }
    }

    fn offset(&self, structural: u32) -> usize {
        self.structurals.get(structural as usize).map_or(self.text.len(), |&offset| offset as usize)
    }
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("simd-json refuses texts of 4 GiB, and no text has more structurals than bytes")
}

/// How many structurals these nodes have of their own: the first byte of each, and for a container the closing bracket,
/// the commas between its elements and the colons of its members.
fn own_structurals(nodes: &[Node<'_>]) -> usize {
    let own = |node: &Node<'_>| match *node {
        Node::String(_) | Node::Static(_) => 1,
        Node::Object { len: 0, .. } | Node::Array { len: 0, .. } => 2,
        Node::Object { len, .. } => 2 * len + 1,
        Node::Array { len, .. } => len + 1,
    };
    nodes.iter().map(own).sum()
}

/// The same place on the tape and among the structurals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    node: u32,
    structural: u32,
}

/// One value of a document.
#[derive(Clone, Copy, Debug)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    start: Position,
    /// Its neighbour on the tape; among the structurals the comma or bracket behind it.
    after: Position,
}

impl<'d, 'a> Value<'d, 'a> {
    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.node() {
            Node::String(_) => Kind::String,
            Node::Object { .. } => Kind::Object,
            Node::Array { .. } => Kind::Array,
            Node::Static(StaticNode::Null) => Kind::Null,
            Node::Static(StaticNode::Bool(_)) => Kind::Boolean,
            Node::Static(_) => Kind::Number,
        }
    }

    /// The text of a string, escapes resolved.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self.node() {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is a non-negative integer as written (no sign, fraction or exponent).
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        match self.node() {
            Node::Static(StaticNode::U64(number)) => Some(number),
            _ => None,
        }
    }

    /// The value of `true` or `false`.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Static(StaticNode::Bool(value)) => Some(value),
            _ => None,
        }
    }

    /// The source text, byte for byte, without the whitespace around it.
    #[must_use]
    pub fn raw(self) -> RawJson<'a> {
        let text = self.document.text;
        let start = self.document.offset(self.start.structural);
        let mut end = self.document.offset(self.after.structural);
        // Every value has a byte that is no whitespace, so the loop ends inside it.
        while matches!(text.as_bytes()[end - 1], b' ' | b'\t' | b'\n' | b'\r') {
            end -= 1;
        }
        RawJson::from_validated(&text[start..end])
    }

    /// The members of an object in order, duplicates included; none for another kind.
    #[must_use]
    pub fn members(self) -> Members<'d, 'a> {
        let remaining = match self.node() {
            Node::Object { len, .. } => len,
            _ => 0,
        };
        Members { document: self.document, next: self.first_inside(), parent_after: self.after, remaining }
    }

    /// The elements of an array in order; none for another kind.
    #[must_use]
    pub fn elements(self) -> Elements<'d, 'a> {
        let remaining = match self.node() {
            Node::Array { len, .. } => len,
            _ => 0,
        };
        let cursor = ElementCursor { next: self.first_inside(), remaining };
        Elements { document: self.document, parent_after: self.after, cursor }
    }

    /// Where the first thing in a container that has one lies.
    const fn first_inside(self) -> Position {
        Position { node: self.start.node + 1, structural: self.start.structural + 1 }
    }

    /// Where the next thing in the same container lies, if there is one.
    const fn next_sibling(self) -> Position {
        Position { node: self.after.node, structural: self.after.structural + 1 }
    }

    fn node(self) -> Node<'a> {
        self.document.tape.0[self.start.node as usize]
    }
}

/// Iterates over an object's members.
#[derive(Clone, Debug)]
pub struct Members<'d, 'a> {
    document: &'d Document<'a>,
    next: Position,
    parent_after: Position,
    remaining: usize,
}

impl<'d, 'a> Iterator for Members<'d, 'a> {
    type Item = (&'a str, Value<'d, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let Node::String(key) = self.document.tape.0[self.next.node as usize] else {
            unreachable!("simd-json accepts only strings as keys");
        };
        // On the tape the value follows its key, among the structurals a colon lies between them; each member that
        // follows has a comma and a colon.
        let start = Position { node: self.next.node + 1, structural: self.next.structural + 2 };
        let after = self.document.after(start, self.parent_after, 2 * self.remaining);
        let value = Value { document: self.document, start, after };
        self.next = value.next_sibling();
        Some((key, value))
    }
}

/// Iterates over an array's elements.
#[derive(Clone, Debug)]
pub struct Elements<'d, 'a> {
    document: &'d Document<'a>,
    parent_after: Position,
    cursor: ElementCursor,
}

/// Where an iteration over elements stands, for those who keep it beside the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ElementCursor {
    next: Position,
    remaining: usize,
}

impl Elements<'_, '_> {
    pub(crate) const fn cursor(&self) -> ElementCursor {
        self.cursor
    }
}

impl<'d, 'a> Iterator for Elements<'d, 'a> {
    type Item = Value<'d, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.remaining = self.cursor.remaining.checked_sub(1)?;
        let start = self.cursor.next;
        // Each element that follows has a comma.
        let after = self.document.after(start, self.parent_after, self.cursor.remaining);
        let value = Value { document: self.document, start, after };
        self.cursor.next = value.next_sibling();
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.cursor.remaining, Some(self.cursor.remaining))
    }
}

impl ExactSizeIterator for Elements<'_, '_> {}

#[cfg(test)]
mod tests;
