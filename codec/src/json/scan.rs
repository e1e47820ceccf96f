//! One pass over a JSON text that judges it while its reader walks through it: the reader enters the containers that it
//! knows, asks for every other value whole, and gets its span. It never recurses, allocates, copies or builds a value.
//! What was read counts only when `finish` has found the end: until then any text may turn out to be none.

use super::error::{JsonError, JsonLimits, NESTING_MAX};
use super::{skip, token};
use crate::message::RawJson;

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

/// Where a value lies in its text, without the whitespace around it. The default is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// One value, found whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it lies.
    pub span: Span,
    /// It is a string with escapes in it.
    pub has_escapes: bool,
}

/// Walks through one text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Containers around the place.
    depth: usize,
    depth_max: usize,
    /// Values read in the container around the place.
    values: usize,
}

impl<'a> Scanner<'a> {
    /// Begins before the text's one value.
    ///
    /// # Errors
    /// The text has 2 GiB or more, which no message has: places are kept in 31 bits.
    #[inline]
    pub fn new(text: &'a str, limits: JsonLimits) -> Result<Self, JsonError> {
        if text.len() >= 1 << 31 {
            return Err(JsonError::Syntax { at: 0 });
        }
        Ok(Self { text, at: 0, depth: 0, depth_max: limits.depth_max.min(NESTING_MAX), values: 0 })
    }

    /// The source text of a value that was found.
    #[must_use]
    pub fn raw(&self, span: Span) -> RawJson<'a> {
        span.raw(self.text)
    }

    /// What the next value is, to judge by its first byte; none where no value begins with it.
    #[inline]
    pub fn kind(&mut self) -> Option<Kind> {
        Some(match self.next() {
            b'"' => Kind::String,
            b'-' | b'0'..=b'9' => Kind::Number,
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b't' | b'f' => Kind::Boolean,
            b'n' => Kind::Null,
            _ => return None,
        })
    }

    /// Reads the next value whole, whatever it is.
    ///
    /// # Errors
    /// The text is refused.
    #[inline]
    pub fn value(&mut self) -> Result<Value, JsonError> {
        let Some(kind) = self.kind() else { return Err(self.unexpected()) };
        self.values += 1;
        if kind == Kind::String {
            return self.string();
        }
        let (bytes, start) = (self.text.as_bytes(), self.at);
        match skip::value_end(bytes, start, self.depth_max - self.depth) {
            Ok(end) => self.at = end,
            Err(at) => return Err(self.refused(at)),
        }
        Ok(Value { kind, span: self.span(start), has_escapes: false })
    }

    /// Enters the next value, an object, and gives each member's key to `member`, which reads the value.
    ///
    /// # Errors
    /// The text is refused, or the value is no object.
    ///
    /// # Panics
    /// `member` has read no value, or more than one, without an error.
    #[inline]
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Value) -> Result<(), JsonError>,
    ) -> Result<Span, JsonError> {
        let (start, outside) = self.enter(b'{')?;
        if self.next() != b'}' {
            loop {
                let key = self.key()?;
                self.values = 0;
                member(self, key)?;
                assert!(self.values == 1, "a member has one value");
                match self.next() {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return Err(self.unexpected()),
                }
            }
        }
        Ok(self.leave(start, outside))
    }

    /// Enters the next value, an array, and lets `element` read each element.
    ///
    /// # Errors
    /// The text is refused, or the value is no array.
    ///
    /// # Panics
    /// `element` has read no value, or more than one, without an error.
    #[inline]
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), JsonError>) -> Result<Span, JsonError> {
        let (start, outside) = self.enter(b'[')?;
        if self.next() != b']' {
            loop {
                self.values = 0;
                element(self)?;
                assert!(self.values == 1, "an element is one value");
                match self.next() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(self.unexpected()),
                }
            }
        }
        Ok(self.leave(start, outside))
    }

    /// Makes sure that nothing but whitespace is left.
    ///
    /// # Errors
    /// Something is left.
    #[inline]
    pub fn finish(mut self) -> Result<(), JsonError> {
        self.next();
        if self.at == self.text.len() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Reads these very bytes, if they come next.
    #[inline]
    pub(crate) fn take<const BYTES: usize>(&mut self, expected: &[u8; BYTES]) -> bool {
        let is_next = self.rest().first_chunk() == Some(expected);
        self.at += if is_next { BYTES } else { 0 };
        is_next
    }

    /// Reads a string without escapes, if one comes next.
    #[inline]
    pub(crate) fn take_plain_string(&mut self) -> Option<Span> {
        let (bytes, start) = (self.text.as_bytes(), self.at);
        if bytes.get(start) != Some(&b'"') {
            return None;
        }
        let end = token::plain_end(bytes, start + 1);
        if bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some(self.span(start))
    }

    /// Reads a number, if one comes next.
    #[inline]
    pub(crate) fn take_number(&mut self) -> Option<Span> {
        let start = self.at;
        self.at = token::count_end(self.text.as_bytes(), start).ok()?;
        Some(self.span(start))
    }

    /// Whether so many more containers may be entered here.
    #[inline]
    pub(crate) const fn allows(&self, levels: usize) -> bool {
        self.depth_max - self.depth >= levels
    }

    /// Reads a value that begins here, without whitespace before it, inside of so many more containers, which are
    /// allowed.
    #[inline]
    pub(crate) fn take_value(&mut self, levels: usize) -> Option<Span> {
        let start = self.at;
        self.at = skip::value_end(self.text.as_bytes(), start, self.depth_max - self.depth - levels).ok()?;
        Some(self.span(start))
    }

    /// Goes on where `other`, which has read one value from here by `take`, has stopped.
    #[inline]
    pub(crate) fn resume(&mut self, other: &Self) {
        self.at = other.at;
        self.values += 1;
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no whitespace, without reading it; 0, which stands nowhere, at the end.
    #[inline]
    fn next(&mut self) -> u8 {
        self.at = skip::past_whitespace(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Reads an opening bracket. Gives its place and how many values were read outside of it.
    #[inline]
    fn enter(&mut self, bracket: u8) -> Result<(usize, usize), JsonError> {
        if self.next() != bracket {
            return Err(self.unexpected());
        }
        if self.depth == self.depth_max {
            return Err(JsonError::TooDeep { depth_max: self.depth_max });
        }
        self.depth += 1;
        self.at += 1;
        Ok((self.at - 1, self.values))
    }

    /// Reads a closing bracket.
    #[inline]
    fn leave(&mut self, start: usize, outside: usize) -> Span {
        self.depth -= 1;
        self.at += 1;
        self.values = outside + 1;
        self.span(start)
    }

    /// A member's key and the colon behind it.
    #[inline]
    fn key(&mut self) -> Result<Value, JsonError> {
        if self.next() != b'"' {
            return Err(self.unexpected());
        }
        let key = self.string()?;
        if self.next() != b':' {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(key)
    }

    #[inline]
    fn string(&mut self) -> Result<Value, JsonError> {
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let plain = token::plain_end(bytes, start + 1);
        let has_escapes = bytes.get(plain) != Some(&b'"');
        self.at = plain + 1;
        if has_escapes {
            match token::escaped_end(bytes, plain) {
                Ok(end) => self.at = end,
                Err(at) => return Err(self.refused(at)),
            }
        }
        Ok(Value { kind: Kind::String, span: self.span(start), has_escapes })
    }

    /// Where it is.
    #[inline]
    pub(crate) const fn place(&self) -> usize {
        self.at
    }

    /// From `start` to the place.
    #[inline]
    pub(crate) fn span(&self, start: usize) -> Span {
        Span { start: narrow(start), end: narrow(self.at) }
    }

    #[cold]
    fn unexpected(&self) -> JsonError {
        JsonError::Syntax { at: self.at }
    }

    #[cold]
    fn refused(&self, at: usize) -> JsonError {
        if at == skip::TOO_DEEP { JsonError::TooDeep { depth_max: self.depth_max } } else { JsonError::Syntax { at } }
    }
}

impl Span {
    /// Whether this is no place: no value ends where its text begins.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.end == 0
    }

    /// The source text of the value, given the text that it was found in.
    #[inline]
    pub(crate) fn raw(self, text: &str) -> RawJson<'_> {
        RawJson::from_validated(&text[self.start as usize..self.end as usize])
    }

    /// The same place if a string stands there, otherwise none.
    pub(crate) fn if_string(self, text: &str) -> Self {
        if !self.is_absent() && text.as_bytes()[self.start as usize] == b'"' { self } else { Self::default() }
    }

    /// What stands between the quotes of a string.
    #[inline]
    pub(crate) fn inside(self, text: &str) -> &str {
        &text[self.start as usize + 1..self.end as usize - 1]
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "`new` refuses texts that are longer")]
const fn narrow(place: usize) -> u32 {
    place as u32
}

#[cfg(test)]
mod tests;
