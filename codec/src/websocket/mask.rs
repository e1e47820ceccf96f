#![allow(unsafe_code)] // what was just seen to be ASCII is text without being read again
//! The XOR mask of client frames (RFC 6455 section 5.3).

/// Masks or unmasks in place: byte `i` with byte `i mod 4` of the key. Eight bytes a step, which compilers turn into
/// vector code.
#[inline]
pub fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    let narrow = u32::from_ne_bytes(key);
    let wide = u64::from(narrow) | u64::from(narrow) << 32;
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    let (halves, rest) = rest.as_chunks_mut::<4>();
    for half in halves {
        *half = (u32::from_ne_bytes(*half) ^ narrow).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(key) {
        *byte ^= mask;
    }
}

/// As [`unmask`], for what may be text: it is, if all of it is ASCII. The bytes are in registers anyway, and a second look
/// at them would cost a small message a twentieth of its way through the server.
#[inline]
pub(super) fn unmask_ascii(bytes: &mut [u8], key: [u8; 4]) -> Result<&str, &[u8]> {
    let narrow = u32::from_ne_bytes(key);
    let wide = u64::from(narrow) | u64::from(narrow) << 32;
    let mut seen = 0;
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        let plain = u64::from_ne_bytes(*chunk) ^ wide;
        seen |= plain;
        *chunk = plain.to_ne_bytes();
    }
    let (halves, rest) = rest.as_chunks_mut::<4>();
    for half in halves {
        let plain = u32::from_ne_bytes(*half) ^ narrow;
        seen |= u64::from(plain);
        *half = plain.to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(key) {
        *byte ^= mask;
        seen |= u64::from(*byte);
    }
    if seen & 0x8080_8080_8080_8080 != 0 {
        return Err(bytes);
    }
    // SAFETY: chunks, halves and the rest are all of `bytes`, and `seen` has every bit that is set in any of them now:
    // no byte is above 0x7F, and ASCII is UTF-8.
    Ok(unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// The key for a piece that begins `offset` bytes into the payload.
pub(super) const fn rotate(key: [u8; 4], offset: usize) -> [u8; 4] {
    let at = offset % 4;
    [key[at], key[(at + 1) % 4], key[(at + 2) % 4], key[(at + 3) % 4]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_meets_its_byte_of_the_key() {
        let key = [0x11, 0x82, 0xf3, 0x04];
        for length in 0..70 {
            let plain: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut masked = plain.clone();
            unmask(&mut masked, key);
            let expected: Vec<u8> = plain.iter().enumerate().map(|(index, byte)| byte ^ key[index % 4]).collect();
            assert_eq!(masked, expected, "{length}");
        }
    }

    #[test]
    fn what_is_not_ascii_is_seen_wherever_it_stands() {
        let key = [0x91, 0x02, 0xf3, 0x64];
        for length in 0..70 {
            let plain: Vec<u8> = (0..length).map(|index| index as u8).collect();
            for place in (0..length).map(Some).chain([None]) {
                let mut expected = plain.clone();
                place.into_iter().for_each(|place: usize| expected[place] |= 0x80);
                let mut masked = expected.clone();
                unmask(&mut masked, key);
                let seen = unmask_ascii(&mut masked, key);
                assert_eq!(seen.is_ok(), place.is_none(), "{place:?} of {length}");
                assert_eq!(seen.map_or_else(<[u8]>::to_vec, |text| text.as_bytes().to_vec()), expected);
                assert_eq!(masked, expected);
            }
        }
    }

    #[test]
    fn pieces_are_masked_as_the_whole() {
        let key = [1, 2, 3, 4];
        let mut whole = [7; 40];
        unmask(&mut whole, key);
        for cut in 0..40 {
            let mut pieces = [7; 40];
            unmask(&mut pieces[..cut], key);
            unmask(&mut pieces[cut..], rotate(key, cut));
            assert_eq!(pieces, whole, "{cut}");
        }
    }
}
