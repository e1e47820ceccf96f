//! Payloads: printable text of an exact size, the same for the same seed, and fixed-width hexadecimal numbers in it.
//! Never contains a character that JSON would escape.

/// Text of that many bytes. Not one letter repeated: a server or a network that compresses should have to work.
pub(crate) fn filler(bytes: usize, seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = fastrand::Rng::with_seed(seed);
    (0..bytes).map(|_| char::from(LETTERS[random.usize(..LETTERS.len())])).collect()
}

/// Appends the low `digits` hexadecimal digits of a number.
pub(crate) fn write_hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for digit in (0..digits).rev() {
        out.push(DIGITS[(number >> (4 * digit)) as usize & 15]);
    }
}

/// Reads hexadecimal digits as `write_hex` writes them.
pub(crate) fn read_hex(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for &digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(value);
    }
    Some(number)
}

/// Reads decimal digits at the start; gives the number and how many digits it has.
pub(crate) fn read_decimal(bytes: &[u8]) -> Option<(u64, usize)> {
    // Nineteen digits always fit.
    let digits = bytes.iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
    let number = bytes[..digits].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    (digits > 0).then_some((number, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_have_the_size_asked_for_and_depend_on_the_seed() {
        assert_eq!(filler(1_000, 7).len(), 1_000);
        assert_eq!(filler(100, 7), filler(100, 7));
        assert_ne!(filler(100, 7), filler(100, 8));
        assert!(filler(1_000, 1).bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'));
    }

    #[test]
    fn numbers_survive() {
        for number in [0, 1, 0xdead_beef, u64::MAX] {
            let mut out = Vec::new();
            write_hex(&mut out, number, 16);
            assert_eq!((read_hex(&out), out.len()), (Some(number), 16));
        }
        assert_eq!(read_hex(b"00g0"), None);
        assert_eq!(read_decimal(b"123,x"), Some((123, 3)));
        assert_eq!(read_decimal(b"x"), None);
    }
}
