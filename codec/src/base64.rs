//! Binary as text, in the alphabet with `+` and `/` (RFC 4648, section 4): written with padding, read with or without.
//! Used where a protocol has no other way; it never guesses at characters that do not belong there.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Appends the text that stands for these bytes.
pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = ENGINE.encode_slice(bytes, &mut out[start..]).expect("four characters for every three bytes fit");
    out.truncate(start + written);
}

/// Appends the bytes that a text stands for; whether it stands for any.
#[must_use]
pub fn decode(out: &mut Vec<u8>, text: &str) -> bool {
    let start = out.len();
    let is_good = ENGINE.decode_vec(text, out).is_ok();
    if !is_good {
        out.truncate(start);
    }
    is_good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_with_and_without_padding() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        for length in 0..=bytes.len() {
            let mut text = Vec::new();
            encode(&mut text, &bytes[..length]);
            let text = String::from_utf8(text).expect("base64 is text");
            for text in [text.as_str(), text.trim_end_matches('=')] {
                let mut out = b"kept".to_vec();
                assert!(decode(&mut out, text), "{text}");
                assert_eq!(&out[4..], &bytes[..length]);
            }
        }
        let mut out = b"kept".to_vec();
        for text in ["A", "AA\n", "A?==", "é", "-_-_"] {
            assert!(!decode(&mut out, text), "{text}");
        }
        assert_eq!(out, b"kept");
    }
}
