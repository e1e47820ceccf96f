//! One value of any kind, judged and skipped: from its first byte to its end. Everything goes through registers, by a loop
//! with a bit for each level; it never recurses and keeps nothing of what it has seen.

use super::error::NESTING_MAX;
use super::token::{number_end, string_end, word_end};

/// Stands for the place of the fault where the text nests deeper than allowed.
pub(super) const TOO_DEEP: usize = usize::MAX;

/// Where the value ends whose first byte is at `start`, or the place of what is no JSON; `levels_max` containers may be
/// open inside of it, itself included.
#[inline]
pub(super) fn value_end(bytes: &[u8], start: usize, levels_max: usize) -> Result<usize, usize> {
    match bytes.get(start) {
        Some(b'"') => string_end(bytes, start),
        Some(b'-' | b'0'..=b'9') => number_end(bytes, start),
        Some(b'[' | b'{') => container_end(bytes, start, levels_max),
        _ => word_end(bytes, start),
    }
}

/// As `value_end`, of an array or object.
#[inline]
pub(super) fn container_end(bytes: &[u8], start: usize, levels_max: usize) -> Result<usize, usize> {
    if levels_max <= 64 { shallow_end(bytes, start, levels_max) } else { deep_end(bytes, start, levels_max) }
}

/// With the levels in one register.
#[inline(never)]
fn shallow_end(bytes: &[u8], start: usize, levels_max: usize) -> Result<usize, usize> {
    end(bytes, start, levels_max, 0_u64)
}

#[cold]
#[inline(never)]
fn deep_end(bytes: &[u8], start: usize, levels_max: usize) -> Result<usize, usize> {
    end(bytes, start, levels_max, [0_u64; NESTING_MAX / 64])
}

#[inline]
fn end<L: Levels>(bytes: &[u8], start: usize, levels_max: usize, mut levels: L) -> Result<usize, usize> {
    let (mut at, mut depth, mut is_object) = (start, 0, false);
    loop {
        at = past_whitespace(bytes, at);
        match bytes.get(at) {
            Some(b'"') => at = string_end(bytes, at)?,
            Some(b'-' | b'0'..=b'9') => at = number_end(bytes, at)?,
            Some(&opening @ (b'[' | b'{')) => {
                if depth == levels_max {
                    return Err(TOO_DEEP);
                }
                is_object = opening == b'{';
                levels.set(depth, is_object);
                depth += 1;
                at = past_whitespace(bytes, at + 1);
                if bytes.get(at) != Some(&closing(is_object)) {
                    if is_object {
                        at = key_end(bytes, at)?;
                    }
                    continue;
                }
            }
            _ => at = word_end(bytes, at)?,
        }
        loop {
            at = past_whitespace(bytes, at);
            match bytes.get(at) {
                Some(b',') => break,
                Some(&byte) if byte == closing(is_object) => {}
                _ => return Err(at),
            }
            at += 1;
            depth -= 1;
            if depth == 0 {
                return Ok(at);
            }
            is_object = levels.is_object(depth - 1);
        }
        at += 1;
        if is_object {
            at = key_end(bytes, past_whitespace(bytes, at))?;
        }
    }
}

/// Where a member's key ends, the colon behind it included.
#[inline]
fn key_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    if bytes.get(start) != Some(&b'"') {
        return Err(start);
    }
    let colon = past_whitespace(bytes, string_end(bytes, start)?);
    if bytes.get(colon) == Some(&b':') { Ok(colon + 1) } else { Err(colon) }
}

/// The next byte that is no whitespace (RFC 8259, section 2), or the end.
#[inline]
pub(super) fn past_whitespace(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at).is_some_and(|&byte| byte > b' ') { at } else { past_some_whitespace(bytes, at) }
}

#[inline(never)]
fn past_some_whitespace(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

#[inline]
const fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

/// Which of the open containers are objects, from the outermost.
trait Levels {
    fn set(&mut self, level: usize, is_object: bool);
    fn is_object(&self, level: usize) -> bool;
}

impl Levels for u64 {
    #[inline]
    fn set(&mut self, level: usize, is_object: bool) {
        *self = *self & !(1 << (level % 64)) | Self::from(is_object) << (level % 64);
    }

    #[inline]
    fn is_object(&self, level: usize) -> bool {
        self >> (level % 64) & 1 == 1
    }
}

impl Levels for [u64; NESTING_MAX / 64] {
    fn set(&mut self, level: usize, is_object: bool) {
        self[level / 64].set(level, is_object);
    }

    fn is_object(&self, level: usize) -> bool {
        self[level / 64].is_object(level)
    }
}
