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
            tape = tape.reset();
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
mod tests {
    use super::*;

    fn accepts(text: &str) -> bool {
        Scanner::new(JsonLimits::default()).scan(text).is_ok()
    }

    fn elements<'a>(value: Value<'_, 'a>) -> Vec<&'a str> {
        value.elements().map(|value| value.raw().as_str()).collect()
    }

    fn members<'a>(value: Value<'_, 'a>) -> Vec<(&'a str, &'a str)> {
        value.members().map(|(key, value)| (key, value.raw().as_str())).collect()
    }

    #[test]
    fn spans_are_the_source_text_without_the_whitespace_around_it() {
        let mut scanner = Scanner::new(JsonLimits::default());
        let text =
            " { \"a\" : [ 1 , { } , [ ] , \"]}\\\"\" ] ,\r\n\t\"b\":-1.50e+3 , \"c\":{\"d\":null}\n, \"e\" : \"\" } ";
        let document = scanner.scan(text).expect("valid");
        let expected =
            [("a", r#"[ 1 , { } , [ ] , "]}\"" ]"#), ("b", "-1.50e+3"), ("c", r#"{"d":null}"#), ("e", r#""""#)];
        assert_eq!(members(document.root()), expected);
        assert_eq!(document.root().raw().as_str(), text.trim());
    }

    #[test]
    fn elements_are_found_in_order_whatever_they_contain() {
        let mut scanner = Scanner::new(JsonLimits::default());
        let document = scanner.scan(r#"[[],{},[[]],{"a":{}},"",0,[1,[2,[3]],{"k":[{}]}], true ]"#).expect("valid");
        let expected = ["[]", "{}", "[[]]", r#"{"a":{}}"#, r#""""#, "0", r#"[1,[2,[3]],{"k":[{}]}]"#, "true"];
        assert_eq!(elements(document.root()), expected);
    }

    #[test]
    fn a_key_that_occurs_twice_is_given_twice() {
        let mut scanner = Scanner::new(JsonLimits::default());
        let document = scanner.scan(r#"{"a":1,"\u0061":2}"#).expect("valid");
        assert_eq!(members(document.root()), [("a", "1"), ("a", "2")]);
    }

    #[test]
    fn scalars_say_what_they_are() {
        let mut scanner = Scanner::new(JsonLimits::default());
        for (text, kind) in [
            ("null", Kind::Null),
            ("true", Kind::Boolean),
            ("false", Kind::Boolean),
            ("-0", Kind::Number),
            ("12345678901234567890123", Kind::Number),
            (r#""x""#, Kind::String),
            ("[]", Kind::Array),
            ("{}", Kind::Object),
        ] {
            let document = scanner.scan(text).expect("valid");
            let root = document.root();
            assert_eq!(root.kind(), kind, "{text}");
            assert_eq!(root.raw().as_str(), text);
            assert_eq!(root.members().count(), 0);
            assert_eq!(root.elements().count(), 0);
        }
        for (text, number) in [("0", Some(0)), ("65536", Some(65_536)), ("-1", None), ("1.0", None), ("1e3", None)] {
            assert_eq!(scanner.scan(text).expect("valid").root().as_u64(), number, "{text}");
        }
        assert_eq!(scanner.scan("true").expect("valid").root().as_bool(), Some(true));
        assert_eq!(scanner.scan(r#""\u00e4\n""#).expect("valid").root().as_str(), Some("ä\n"));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "{]",
            "[}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[,1]",
            "{,}",
            "[1 2]",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "{1:2}",
            "{\"a\":1 \"b\":2}",
            "\"",
            "\"a",
            "a\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12G4\"",
            "\"\\\"",
            "'a'",
            "nul",
            "nulll",
            "tru",
            "True",
            "NaN",
            "Infinity",
            "-",
            "+1",
            "01",
            "-01",
            "1.",
            ".5",
            "1.e3",
            "1e",
            "1e+",
            "0x10",
            "1_000",
            "1 2",
            "{} {}",
            "[]]",
            "{}x",
            "x{}",
            "null,",
            "// c\n1",
            "/**/1",
            "\u{FEFF}{}",
            "{\u{A0}}",
            "[1]\u{0}",
            "[\u{0}]",
            "[1\u{0}]",
            "[1\u{B}]",
            "[1\u{C}]",
            "\u{85}1",
            "\"\n\"",
            "\"\u{0}\"",
            "\"\u{1F}\"",
            "\"a\tb\"",
            "{\"a\":undefined}",
            "[1]/",
            "[--1]",
            "[1-]",
            "[1e5.5]",
        ] {
            assert!(!accepts(text), "{text:?}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "the list itself is wrong: {text:?}");
        }
    }

    #[test]
    fn unusual_json_is_accepted() {
        for text in [
            "-0",
            "-0.0e-0",
            "0.1",
            "1E5",
            "1e-999",
            "0e999999999999",
            "123456789012345680000",
            "-123456789012345680000",
            "\"\u{7F}\"",
            "\"\u{85}\u{2028}\"",
            "\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"",
            "\"\\u0000\"",
            "\"\\uD83D\\uDE00\"",
            "\"\u{1F600}\"",
            "\t\r\n []\t\r\n ",
            "{\"\":{\"\":[]}}",
            "{\"__proto__\":{\"toString\":1}}",
        ] {
            assert!(accepts(text), "{text:?}");
        }
        assert!(accepts(&format!("[{}]", "9".repeat(300))), "JavaScript reads any digits as a double");
        assert!(accepts(&format!("0.{}", "3".repeat(10_000))));
    }

    #[test]
    fn a_number_beyond_a_double_is_refused() {
        for text in ["1e400", "-1e400", "[1e999999999999999999999]"] {
            assert!(!accepts(text), "{text}");
        }
        assert!(!accepts(&"9".repeat(400)));
    }

    #[test]
    fn half_a_surrogate_pair_reads_as_the_replacement_character_and_is_forwarded_as_it_came() {
        let mut scanner = Scanner::new(JsonLimits::default());
        for (text, expected) in [
            (r#""\ud800""#, "\u{FFFD}"),
            (r#""\uDFFFx""#, "\u{FFFD}x"),
            (r#""a\ud83d\ud83d\ude00b""#, "a\u{FFFD}\u{1F600}b"),
            (r#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"),
            (r#""\ud83d\n""#, "\u{FFFD}\n"),
            (r#""\\ud83d\ud83d""#, "\\ud83d\u{FFFD}"),
            (r#""\ud83d\u0041""#, "\u{FFFD}A"),
        ] {
            let document = scanner.scan(text).expect("JavaScript accepts it");
            assert_eq!(document.root().as_str(), Some(expected), "{text}");
            assert_eq!(document.root().raw().as_str(), text);
        }
        for text in [r#""\ud83"#, r#""\ud83d"#, r#""\ud83d\""#, r#"["\ud83d\u12"]"#, r#"\ud83d"#, r#"["\ud83d",]"#] {
            assert!(scanner.scan(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_before_anything_is_built() {
        let mut scanner = Scanner::new(JsonLimits { depth_max: 3 });
        assert!(scanner.scan("[[[]]]").is_ok());
        assert!(scanner.scan(r#"{"a":{"a":{"a":1}}}"#).is_ok());
        assert!(scanner.scan(r#"["[[[[[[[{{{{"]"#).is_ok());
        let too_deep = Err(JsonError::TooDeep { depth_max: 3 });
        assert_eq!(scanner.scan("[[[[]]]]").map(|_| ()), too_deep);
        assert_eq!(scanner.scan(r#"{"a":{"a":{"a":{}}}}"#).map(|_| ()), too_deep);
        assert_eq!(scanner.scan(r#"[{"a":[{"a":1}]}]"#).map(|_| ()), too_deep);
    }

    #[test]
    fn a_hundred_thousand_levels_need_no_stack() {
        let judge = || {
            let mut scanner = Scanner::new(JsonLimits::default());
            let deep = "[".repeat(100_000);
            let closed = format!("{deep}{}", "]".repeat(100_000));
            let objects = r#"{"a":"#.repeat(100_000);
            for text in [&deep, &closed, &objects] {
                assert_eq!(scanner.scan(text).map(|_| ()), Err(JsonError::TooDeep { depth_max: 64 }));
            }
        };
        // The smallest stack there is: what needs a frame per level dies here after some hundred.
        let thread = std::thread::Builder::new().stack_size(16 * 1024).spawn(judge).expect("a thread starts");
        thread.join().expect("every text was refused");
    }

    #[test]
    fn a_refused_text_does_not_spoil_the_next() {
        let mut scanner = Scanner::new(JsonLimits::default());
        for bad in ["[1,2", "{\"a\":\"\\ud800\"", "\"\\q\"", "[[[\"\u{0}\"]]]"] {
            assert!(scanner.scan(bad).is_err(), "{bad:?}");
            let document = scanner.scan(r#"{"b":[1,{"c":2}]}"#).expect("valid");
            assert_eq!(members(document.root()), [("b", r#"[1,{"c":2}]"#)]);
        }
    }

    #[test]
    fn memory_returns_to_its_bound_after_an_oversized_text() {
        let mut scanner = Scanner::new(JsonLimits::default());
        let dense = format!("[{}0]", "0,".repeat(200_000));
        assert!(scanner.scan(&dense).is_ok());
        assert!(scanner.retained_bytes() > RETAINED_BYTES_MAX, "the text is large enough to matter");
        assert!(scanner.scan("{}").is_ok());
        assert!(scanner.retained_bytes() < 1_000, "{}", scanner.retained_bytes());
        // One that is refused is no exception.
        assert!(scanner.scan(&"[".repeat(1_000_000)).is_err());
        assert!(scanner.scan("{}").is_ok());
        assert!(scanner.retained_bytes() < 1_000, "{}", scanner.retained_bytes());
    }

    /// Writes a random value with random whitespace and, beside it, nothing else: serde_json is the judge.
    fn write_random(random: &mut fastrand::Rng, depth: usize, out: &mut String) {
        let space = |random: &mut fastrand::Rng, out: &mut String| {
            for _ in 0..random.usize(..3).saturating_sub(1) {
                out.push(*random.choice(&[' ', '\n', '\t', '\r']).expect("not empty"));
            }
        };
        let atoms =
            ["0", "-1.5e3", "true", "null", "\"\"", "\"a b\"", "\"\\\"]},\\\\\"", "\"é\\u00e9\"", "\"[{:,\"", "77"];
        let container = depth < 6 && random.u8(..3) > 0;
        space(random, out);
        if !container {
            out.push_str(random.choice(&atoms).expect("not empty"));
        } else {
            let object = random.bool();
            out.push(if object { '{' } else { '[' });
            let length = random.usize(..5);
            for index in 0..length {
                if object {
                    space(random, out);
                    *out += &format!("\"k{index}\"");
                    space(random, out);
                    out.push(':');
                }
                write_random(random, depth + 1, out);
                if index + 1 < length {
                    out.push(',');
                }
            }
            space(random, out);
            out.push(if object { '}' } else { ']' });
        }
        space(random, out);
    }

    fn check_against_serde(scanner: &mut Scanner, text: &str) {
        use serde_json::value::RawValue;
        let mut inner = Vec::new();
        {
            let document = scanner.scan(text).expect("valid");
            match document.root().kind() {
                Kind::Object => {
                    let expected: std::collections::BTreeMap<String, &RawValue> =
                        serde_json::from_str(text).expect("valid");
                    let seen = members(document.root());
                    assert_eq!(seen.len(), expected.len(), "{text}");
                    for (key, span) in seen {
                        assert_eq!(span, expected[key].get(), "{text}");
                        inner.push(span.to_owned());
                    }
                }
                Kind::Array => {
                    let expected: Vec<&RawValue> = serde_json::from_str(text).expect("valid");
                    let expected: Vec<_> = expected.into_iter().map(RawValue::get).collect();
                    let seen = elements(document.root());
                    assert_eq!(seen, expected, "{text}");
                    inner.extend(seen.into_iter().map(str::to_owned));
                }
                _ => assert_eq!(document.root().raw().as_str(), text.trim()),
            }
        }
        for span in inner {
            check_against_serde(scanner, &span);
        }
    }

    #[test]
    fn spans_of_random_texts_are_those_that_serde_json_finds() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut scanner = Scanner::new(JsonLimits::default());
        for _ in 0..2_000 {
            let mut text = String::new();
            write_random(&mut random, 0, &mut text);
            check_against_serde(&mut scanner, &text);
        }
    }
}
