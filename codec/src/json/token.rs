//! The tokens with an inside: strings and numbers, from their first byte to their end. Words and chunks are compared at
//! once with plain integer operations, which compilers turn into vector code where that pays. It never looks before the
//! place that it is given.

/// Where the string ends whose opening quote is at `start` (behind the closing one), or the place of what may not stand
/// in a string (RFC 8259, section 7).
#[inline]
pub(super) fn string_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let end = plain_end(bytes, start + 1);
    if bytes.get(end) == Some(&b'"') { Ok(end + 1) } else { escaped_end(bytes, end) }
}

/// As `string_end`, from the first byte that is neither plain nor a closing quote.
#[inline(never)]
pub(super) fn escaped_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
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

/// The first quote, backslash or control character, or the end. Short texts go by chunks, long ones by blocks.
#[inline]
pub(super) fn plain_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(chunk) = chunk::<CHUNK_BYTES>(bytes, at) {
        if let Some(distance) = first_special(chunk) {
            return at + distance;
        }
        at += CHUNK_BYTES;
        if at - start == BLOCK_BYTES {
            at = plain_blocks_end(bytes, at);
        }
    }
    plain_end_of_rest(bytes, at)
}

/// A place with nothing but plain bytes before it, less than a block before the first other one.
#[inline(never)]
fn plain_blocks_end(bytes: &[u8], start: usize) -> usize {
    let blocks = bytes.get(start..).unwrap_or_default().as_chunks::<BLOCK_BYTES>().0;
    start + BLOCK_BYTES * blocks.iter().take_while(|block| !has_special(block)).count()
}

/// The last bytes, too few for a chunk.
#[inline(never)]
fn plain_end_of_rest(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|&byte| is_plain_byte(byte)) {
        at += 1;
    }
    at
}

/// One vector, what every 64-bit machine of today compares in one step.
const CHUNK_BYTES: usize = 16;

/// Enough vectors that comparing them costs more than finding out whether there was something: 1 KiB took 36 ns instead
/// of 76.
const BLOCK_BYTES: usize = 4 * CHUNK_BYTES;

/// Whether there is a special byte, no matter where. Written so that compilers compare whole vectors and look at the
/// result once: no byte's verdict is kept apart.
#[inline]
fn has_special<const BYTES: usize>(bytes: &[u8; BYTES]) -> bool {
    bytes.iter().fold(false, |special, &byte| special | !is_plain_byte(byte))
}

/// Where the first special byte stands. A mask of all verdicts is the cheapest way with vectors of 16 bytes; compilers for
/// longer ones gather it byte by byte, which took five times as long as words do.
#[inline]
fn first_special(chunk: &[u8; CHUNK_BYTES]) -> Option<usize> {
    if cfg!(target_feature = "avx") { first_special_by_words(chunk) } else { first_special_by_mask(chunk) }
}

#[inline]
fn first_special_by_mask(chunk: &[u8; CHUNK_BYTES]) -> Option<usize> {
    let specials = u128::from_le_bytes(chunk.map(|byte| if is_plain_byte(byte) { 0 } else { 0xFF }));
    (specials != 0).then(|| (specials.trailing_zeros() / 8) as usize)
}

#[inline]
fn first_special_by_words(chunk: &[u8; CHUNK_BYTES]) -> Option<usize> {
    if !has_special(chunk) {
        return None;
    }
    let words = chunk.as_chunks::<8>().0;
    let places = words.iter().map(|word| specials_of_word(u64::from_le_bytes(*word)).trailing_zeros() as usize / 8);
    places.reduce(|first, second| if first < 8 { first } else { 8 + second })
}

/// Zero in every byte before the first special one, and not there. With its second bit turned over a quote is 0x20 and
/// below it stands what was below, so one comparison finds both; bytes that are not ASCII are none of them. A borrow
/// comes from a special byte and goes behind it.
#[inline]
const fn specials_of_word(word: u64) -> u64 {
    let controls_and_quotes = (word ^ (0x02 * ONES)).wrapping_sub(0x21 * ONES);
    let backslashes = (word ^ (b'\\' as u64 * ONES)).wrapping_sub(ONES);
    (controls_and_quotes | backslashes) & !word & (0x80 * ONES)
}

#[inline]
const fn is_plain_byte(byte: u8) -> bool {
    (byte >= 0x20) & (byte != b'"') & (byte != b'\\')
}

#[inline]
fn chunk<const BYTES: usize>(bytes: &[u8], at: usize) -> Option<&[u8; BYTES]> {
    bytes.get(at..)?.first_chunk()
}

/// Where `null`, `true` or `false` ends.
#[inline]
pub(super) fn word_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    match chunk(bytes, start) {
        Some(b"null" | b"true") => Ok(start + 4),
        Some(b"fals") if bytes.get(start + 4) == Some(&b'e') => Ok(start + 5),
        _ => Err(start),
    }
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

/// As `number_end`, for one that is most likely short and whole, as what counts something is.
#[inline]
pub(super) fn count_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let first = bytes.get(start).copied().unwrap_or(0);
    let mut end = start + 1;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    let goes_on = matches!(bytes.get(end), Some(b'.' | b'e' | b'E'));
    if matches!(first, b'1'..=b'9') && !goes_on && end - start <= 200 { Ok(end) } else { number_end(bytes, start) }
}

#[inline]
fn some_digits_end(bytes: &[u8], start: usize) -> Result<usize, usize> {
    let end = digits_end(bytes, start);
    if end == start { Err(start) } else { Ok(end) }
}

#[inline]
fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = chunk(bytes, at) {
        let others = no_digits(u64::from_le_bytes(*chunk));
        if others != 0 {
            return at + (others.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// Zero in every byte before the first one that is no digit, and not there. Digits are 0x30 to 0x39: they have that high
/// half, also with 6 added to them. A carry of that sum comes from no digit and goes behind it.
#[inline]
const fn no_digits(word: u64) -> u64 {
    let above = word.wrapping_add(6 * ONES);
    ((word ^ (0x30 * ONES)) | (above ^ (0x30 * ONES))) & (0xF0 * ONES)
}

/// Times a byte: that byte eight times.
const ONES: u64 = 0x0101_0101_0101_0101;

#[cold]
fn is_finite(number: &[u8]) -> bool {
    std::str::from_utf8(number).ok().and_then(|number| number.parse::<f64>().ok()).is_some_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for length in (0..100).chain([126, 130, 191, 192, 200, 270]) {
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
    fn every_byte_is_special_or_plain_in_chunks_and_blocks_as_it_is_alone() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK_BYTES {
                let mut block = [b'x'; BLOCK_BYTES];
                block[place] = byte;
                assert_eq!(has_special(&block), !is_plain_byte(byte), "{byte:#x}");
                let chunk = &block.as_chunks::<CHUNK_BYTES>().0[place / CHUNK_BYTES];
                assert_eq!(has_special(chunk), !is_plain_byte(byte), "{byte:#x}");
                let first = (!is_plain_byte(byte)).then_some(place % CHUNK_BYTES);
                assert_eq!(first_special_by_mask(chunk), first, "{byte:#x}");
                assert_eq!(first_special_by_words(chunk), first, "{byte:#x}");
            }
        }
    }

    #[test]
    fn the_first_of_two_special_bytes_counts_whatever_they_are() {
        let bytes: Vec<u8> =
            [0, 1, 0x1F, 0x20, 0x21, b'"', b'#', 0x5B, b'\\', 0x5D, 0x7F, 0x80, 0xA2, 0xDC, 0xFF].into();
        for (&first, &second) in bytes.iter().flat_map(|first| bytes.iter().map(move |second| (first, second))) {
            for place in 0..CHUNK_BYTES - 1 {
                let mut chunk = [b'x'; CHUNK_BYTES];
                chunk[place] = first;
                chunk[place + 1..].fill(second);
                let expected = chunk.iter().position(|&byte| !is_plain_byte(byte));
                assert_eq!(first_special_by_mask(&chunk), expected, "{first:#x} {second:#x}");
                assert_eq!(first_special_by_words(&chunk), expected, "{first:#x} {second:#x}");
            }
        }
    }

    #[test]
    fn digits_end_where_the_first_other_byte_stands() {
        for length in 0..24 {
            for digit in b'0'..=b'9' {
                let mut bytes = vec![digit; length];
                assert_eq!(digits_end(&bytes, 0), length);
                for place in 0..length {
                    for other in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
                        bytes[place..].fill(digit);
                        bytes[place] = other;
                        assert_eq!(digits_end(&bytes, 0), place, "{length} {other:#x}");
                        bytes[place..].fill(other);
                        assert_eq!(digits_end(&bytes, 0), place, "{length} {other:#x}");
                    }
                    bytes[place..].fill(digit);
                }
            }
        }
    }
}
