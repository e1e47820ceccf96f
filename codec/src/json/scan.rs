//! One pass over a JSON text that judges it while its reader walks through it: the reader enters the containers that it
//! knows, asks for every other value whole, and gets its span. It never recurses, allocates, copies or builds a value.
//! What was read counts only when `finish` has found the end: until then any text may turn out to be none.

use super::error::{JsonError, JsonLimits, NESTING_MAX};
use super::token;
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
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Containers around the place.
    depth: usize,
    depth_max: usize,
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
        Ok(Self { text, at: 0, depth: 0, depth_max: limits.depth_max.min(NESTING_MAX) })
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
        match self.kind() {
            Some(Kind::String) => self.string(),
            Some(Kind::Number) => self.number(),
            Some(kind @ (Kind::Array | Kind::Object)) => {
                Ok(Value { kind, span: self.container()?, has_escapes: false })
            }
            Some(kind @ (Kind::Boolean | Kind::Null)) => Ok(Value { kind, span: self.word()?, has_escapes: false }),
            None => Err(self.unexpected()),
        }
    }

    /// Enters the next value, an object, and gives each member's key to `member`, which reads the value.
    ///
    /// # Errors
    /// The text is refused, or the value is no object.
    #[inline]
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Value) -> Result<(), JsonError>,
    ) -> Result<Span, JsonError> {
        let start = self.enter(b'{')?;
        if self.next() != b'}' {
            loop {
                let key = self.key()?;
                member(self, key)?;
                match self.next() {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return Err(self.unexpected()),
                }
            }
        }
        Ok(self.leave(start))
    }

    /// Enters the next value, an array, and lets `element` read each element.
    ///
    /// # Errors
    /// The text is refused, or the value is no array.
    #[inline]
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), JsonError>) -> Result<Span, JsonError> {
        let start = self.enter(b'[')?;
        if self.next() != b']' {
            loop {
                element(self)?;
                match self.next() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(self.unexpected()),
                }
            }
        }
        Ok(self.leave(start))
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

    /// The next byte that is no whitespace (RFC 8259, section 2), without reading it; 0, which stands nowhere, at the
    /// end.
    #[inline]
    fn next(&mut self) -> u8 {
        let byte = self.byte();
        if byte > b' ' { byte } else { self.next_behind_whitespace() }
    }

    #[inline(never)]
    fn next_behind_whitespace(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.byte()
    }

    #[inline]
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn enter(&mut self, bracket: u8) -> Result<usize, JsonError> {
        if self.next() != bracket {
            return Err(self.unexpected());
        }
        let start = self.at;
        self.descend()?;
        Ok(start)
    }

    /// Reads an opening bracket.
    #[inline]
    fn descend(&mut self) -> Result<(), JsonError> {
        if self.depth == self.depth_max {
            return Err(JsonError::TooDeep { depth_max: self.depth_max });
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Reads a closing bracket.
    #[inline]
    fn leave(&mut self, start: usize) -> Span {
        self.depth -= 1;
        self.at += 1;
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
        let start = self.at;
        let (end, has_escapes) = token::string_end(self.text.as_bytes(), start).map_err(syntax)?;
        self.at = end;
        Ok(Value { kind: Kind::String, span: self.span(start), has_escapes })
    }

    #[inline]
    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.at = token::number_end(self.text.as_bytes(), start).map_err(syntax)?;
        Ok(Value { kind: Kind::Number, span: self.span(start), has_escapes: false })
    }

    #[inline]
    fn word(&mut self) -> Result<Span, JsonError> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        match ["null", "true", "false"].into_iter().find(|word| rest.starts_with(word.as_bytes())) {
            Some(word) => self.at += word.len(),
            None => return Err(self.unexpected()),
        }
        Ok(self.span(start))
    }

    /// A container of any depth, by a loop. Of the containers around the place it keeps only which are objects.
    #[inline(never)]
    fn container(&mut self) -> Result<Span, JsonError> {
        let (start, outside) = (self.at, self.depth);
        let mut are_objects = [0; NESTING_MAX / 64];
        let mut is_object = false;
        loop {
            match self.kind() {
                Some(Kind::String) => self.string().map(drop)?,
                Some(Kind::Number) => self.number().map(drop)?,
                Some(Kind::Boolean | Kind::Null) => self.word().map(drop)?,
                Some(kind @ (Kind::Array | Kind::Object)) => {
                    self.descend()?;
                    is_object = kind == Kind::Object;
                    set_bit(&mut are_objects, self.depth - 1, is_object);
                    if self.next() != closing(is_object) {
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                    self.depth -= 1;
                    self.at += 1;
                    is_object = self.depth > outside && bit(&are_objects, self.depth - 1);
                }
                None => return Err(self.unexpected()),
            }
            while self.depth > outside && self.next() == closing(is_object) {
                self.depth -= 1;
                self.at += 1;
                is_object = self.depth > outside && bit(&are_objects, self.depth - 1);
            }
            if self.depth == outside {
                return Ok(self.span(start));
            }
            if self.next() != b',' {
                return Err(self.unexpected());
            }
            self.at += 1;
            if is_object {
                self.key()?;
            }
        }
    }

    /// From `start` to the place.
    #[inline]
    fn span(&self, start: usize) -> Span {
        Span { start: narrow(start), end: narrow(self.at) }
    }

    #[cold]
    fn unexpected(&self) -> JsonError {
        JsonError::Syntax { at: self.at }
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

#[cold]
fn syntax(at: usize) -> JsonError {
    JsonError::Syntax { at }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "`new` refuses texts that are longer")]
const fn narrow(place: usize) -> u32 {
    place as u32
}

const fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

type Bits = [u64; NESTING_MAX / 64];

#[inline]
fn set_bit(bits: &mut Bits, index: usize, is_set: bool) {
    let word = &mut bits[index / 64 % (NESTING_MAX / 64)];
    *word = *word & !(1 << (index % 64)) | u64::from(is_set) << (index % 64);
}

#[inline]
fn bit(bits: &Bits, index: usize) -> bool {
    bits[index / 64 % (NESTING_MAX / 64)] >> (index % 64) & 1 == 1
}

#[cfg(test)]
mod tests;
