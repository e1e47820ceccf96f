//! The payloads of protocol 3 that have bytes in them: each packet with a byte that tells text from bytes, its length
//! in bytes as decimal digits (not their characters), 255, and the packet.

use super::payload::Item;

const TEXT: u8 = 0;
const BINARY: u8 = 1;
const END_OF_LENGTH: u8 = 255;

/// Digits of a length: more than any body of ours has bytes.
const LENGTH_DIGITS_MAX: usize = 10;

/// Appends one packet.
pub(super) fn write(out: &mut Vec<u8>, is_binary: bool, packet: &[u8]) {
    out.push(if is_binary { BINARY } else { TEXT });
    let mut divisor = 1;
    while packet.len() / divisor >= 10 {
        divisor *= 10;
    }
    while divisor > 0 {
        out.push(u8::try_from(packet.len() / divisor % 10).expect("a decimal digit"));
        divisor /= 10;
    }
    out.push(END_OF_LENGTH);
    out.extend_from_slice(packet);
}

/// The first packet, and what follows it; `None`: this is no payload.
pub(super) fn read(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let (&kind, rest) = bytes.split_first()?;
    let digits = rest.iter().take(LENGTH_DIGITS_MAX + 1).position(|&byte| byte == END_OF_LENGTH)?;
    if digits == 0 {
        return None;
    }
    let length = rest[..digits].iter().try_fold(0, |length: usize, &digit| {
        (digit < 10).then(|| length.checked_mul(10)?.checked_add(usize::from(digit))).flatten()
    })?;
    let (packet, rest) = rest[digits + 1..].split_at_checked(length)?;
    let item = match kind {
        TEXT => Item::Text(simdutf8::basic::from_utf8(packet).ok()?),
        BINARY => Item::Binary(packet),
        _ => return None,
    };
    Some((item, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_digits_of_one_byte_each() {
        let mut out = Vec::new();
        write(&mut out, false, "4two €😀".as_bytes());
        assert_eq!(&out[..4], [0, 1, 2, 255]);
        write(&mut out, true, &[4, 1, 2, 3]);
        assert_eq!(&out[16..], [1, 4, 255, 4, 1, 2, 3]);
        let (first, rest) = read(&out).expect("two packets");
        assert_eq!(first, Item::Text("4two €😀"));
        assert_eq!(read(rest), Some((Item::Binary(&[4, 1, 2, 3]), &[][..])));
        let mut out = Vec::new();
        write(&mut out, true, b"");
        assert_eq!(out, [1, 0, 255]);
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        let bodies: [&[u8]; 9] = [
            &[],
            &[0],
            &[0, 255],
            &[2, 1, 255, b'4'],
            &[0, 2, 255, b'4'],
            &[0, b'1', 255, b'4'],
            &[0, 1, 255, 0xff],
            &[0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 255],
            &[0, 1],
        ];
        for body in bodies {
            assert_eq!(read(body), None, "{body:?}");
        }
    }
}
