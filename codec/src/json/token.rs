//! The tokens with an inside: strings and numbers, from their first byte to their end. Words and chunks are compared at
//! once with plain integer operations, which compilers turn into vector code where that pays. It never looks before the
//! place that it is given.

/// Where the string ends whose opening quote is at `start` (behind the closing one), and whether it has escapes; or the
/// place of what may not stand in a string (RFC 8259, section 7).
#[inline]
pub(super) fn string_end(bytes: &[u8], start: usize) -> Result<(usize, bool), usize> {
    let end = plain_end(bytes, start + 1);
    if bytes.get(end) == Some(&b'"') { Ok((end + 1, false)) } else { escaped_end(bytes, end) }
}

/// As `string_end`, from the first byte that is neither plain nor a closing quote.
#[cold]
#[inline(never)]
fn escaped_end(bytes: &[u8], mut at: usize) -> Result<(usize, bool), usize> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, true)),
            Some(b'\\') => at = plain_end(bytes, at + escape_bytes(&bytes[at..]).ok_or(at)?),
            _ => return Err(at),
        }
    }
}

/// The length of the escape that stands here. Halves of surrogate pairs are as good as any (section 8.2).
fn escape_bytes(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// The first quote, backslash or control character, or the end. Keys and short names end in the first two words, so
/// those are looked at before whole chunks are.
#[inline]
fn plain_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    for _ in 0..2 {
        let Some(word) = word(bytes, at) else { return plain_end_of_rest(bytes, at) };
        let specials = specials(word);
        if specials != 0 {
            return at + first(specials);
        }
        at += 8;
    }
    plain_end_of_long(bytes, at)
}

#[inline(never)]
fn plain_end_of_long(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<CHUNK_BYTES>)
        && is_plain(chunk)
    {
        at += CHUNK_BYTES;
    }
    while let Some(word) = word(bytes, at) {
        let specials = specials(word);
        if specials != 0 {
            return at + first(specials);
        }
        at += 8;
    }
    plain_end_of_rest(bytes, at)
}

/// The last seven bytes at most.
#[inline]
fn plain_end_of_rest(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| is_plain_byte(byte)) {
        at += 1;
    }
    at
}

/// Two vectors of 16 bytes, what every 64-bit machine of today compares in two steps.
const CHUNK_BYTES: usize = 32;

/// The smallest of three differences is zero where a byte is special. Minima are single vector instructions, and a
/// whole chunk costs 33 instructions; with comparisons it was 42.
#[inline]
fn is_plain(chunk: &[u8; CHUNK_BYTES]) -> bool {
    let smallest = |&byte: &u8| (byte ^ b'"').min(byte ^ b'\\').min(byte.saturating_sub(0x1F));
    chunk.iter().map(smallest).fold(u8::MAX, u8::min) != 0
}

#[inline]
const fn is_plain_byte(byte: u8) -> bool {
    (byte >= 0x20) & (byte != b'"') & (byte != b'\\')
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;

/// The high bit of every byte up to the first one that is a quote, a backslash or below 0x20 is set there and nowhere
/// before. A borrow can only set bits behind the first, as in every subtraction; bytes from 0x80 are masked out.
#[inline]
const fn specials(word: u64) -> u64 {
    let quote = (word ^ (b'"' as u64 * ONES)).wrapping_sub(ONES);
    let backslash = (word ^ (b'\\' as u64 * ONES)).wrapping_sub(ONES);
    let control = word.wrapping_sub(0x20 * ONES);
    (quote | backslash | control) & !word & HIGH_BITS
}

#[inline]
const fn first(specials: u64) -> usize {
    (specials.trailing_zeros() / 8) as usize
}

/// Where the number ends that begins at `start` with a minus or a digit, or the place where it is none (RFC 8259,
/// section 6) or no double.
#[inline]
pub(super) fn number_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let first = start + usize::from(bytes.get(start) == Some(&b'-'));
    let mut end = digits_end(bytes, first);
    if end == first || (bytes[first] == b'0' && end > first + 1) {
        return Err(first);
    }
    let integer_digits = end - first;
    if bytes.get(end) == Some(&b'.') {
        end = some_digits_end(bytes, end + 1)?;
    }
    let mut exponent_digits = 0;
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        end = some_digits_end(bytes, exponent)?;
        exponent_digits = end - exponent;
    }
    // 200 digits and an exponent of two make less than 1e299, and a double goes to 1.7e308.
    if (integer_digits > 200 || exponent_digits > 2) && !is_finite(&bytes[start..end]) {
        return Err(start);
    }
    Ok(end)
}

#[inline]
fn some_digits_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let end = digits_end(bytes, start);
    if end == start { Err(start) } else { Ok(end) }
}

#[inline]
fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

#[cold]
fn is_finite(number: &[u8]) -> bool {
    std::str::from_utf8(number).ok().and_then(|number| number.parse::<f64>().ok()).is_some_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for length in 0..100 {
            for filling in [b' ', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xA2, 0xDC, 0xFF] {
                let mut bytes = vec![filling; length];
                assert_eq!(plain_end(&bytes, 0), length, "{filling:#x}");
                for place in 0..length {
                    for special in [b'"', b'\\', 0, 1, 0x1F] {
                        bytes[place] = special;
                        // What follows must not matter.
                        for behind in [filling, 0, b'"', 0x21] {
                            bytes[place + 1..].fill(behind);
                            assert_eq!(plain_end(&bytes, 0), place, "{length} {filling:#x} {special:#x}");
                        }
                        bytes[place..].fill(filling);
                    }
                }
            }
        }
    }

    #[test]
    fn every_byte_is_special_or_plain_in_words_as_it_is_alone() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut chunk = [b'x'; 8];
                chunk[place] = byte;
                let found = specials(u64::from_le_bytes(chunk));
                assert_eq!(found == 0, is_plain_byte(byte), "{byte:#x}");
                assert!(found == 0 || first(found) == place, "{byte:#x}");
            }
        }
    }
}
