//! JSON strings: written as `JSON.stringify` writes them, read as `JSON.parse` reads them. It never judges what the
//! text says and allocates only for a string that has escapes.

use std::borrow::Cow;

use crate::message::RawJson;

/// Appends `text` as a JSON string, quotes included, with the same escapes that `JSON.stringify` chooses.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// The inside of a JSON string, so that one string can be written in several pieces.
pub(crate) fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    while let Some(distance) = bytes[written..].iter().position(|&byte| ESCAPES[usize::from(byte)] != PLAIN) {
        let at = written + distance;
        out.extend_from_slice(&bytes[written..at]);
        let byte = bytes[at];
        match ESCAPES[usize::from(byte)] {
            HEXADECIMAL => {
                let digits = [HEX_DIGITS[usize::from(byte >> 4)], HEX_DIGITS[usize::from(byte & 15)]];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        written = at + 1;
    }
    out.extend_from_slice(&bytes[written..]);
}

/// The text that a JSON string stands for, or `None` for another kind of value. Half a surrogate pair (a lone
/// `\uD83D`, which JavaScript strings can hold and UTF-8 cannot) reads as U+FFFD.
#[must_use]
pub fn unescape(raw: RawJson<'_>) -> Option<Cow<'_, str>> {
    let inside = raw.as_str().strip_prefix('"')?.strip_suffix('"')?;
    let Some(first) = inside.find('\\') else {
        return Some(Cow::Borrowed(inside));
    };
    let mut text = String::with_capacity(inside.len());
    text.push_str(&inside[..first]);
    unescape_onto(&mut text, &inside[first..])?;
    Some(Cow::Owned(text))
}

/// Appends what the inside of a JSON string stands for; `None` where an escape is none.
pub(crate) fn unescape_onto(text: &mut String, inside: &str) -> Option<()> {
    let plain = inside.find('\\').unwrap_or(inside.len());
    text.push_str(&inside[..plain]);
    let mut rest = &inside[plain..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let letter = escape.chars().next()?;
        rest = &escape[letter.len_utf8()..];
        match letter {
            '"' | '\\' | '/' => text.push(letter),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{C}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => rest = unescape_unit(rest, text)?,
            _ => return None,
        }
        let plain = rest.find('\\').unwrap_or(rest.len());
        text.push_str(&rest[..plain]);
        rest = &rest[plain..];
    }
    Some(())
}

/// Reads the digits after `\u`, and the second half of the pair where they are the first half of one; gives the rest.
fn unescape_unit<'a>(digits: &'a str, text: &mut String) -> Option<&'a str> {
    let unit = four_digits(digits.as_bytes())?;
    let rest = &digits[4..];
    if is_high_surrogate(unit)
        && let Some(second) = rest.strip_prefix("\\u")
        && let Some(low) = four_digits(second.as_bytes())
        && is_low_surrogate(low)
    {
        let code = 0x1_0000 + ((u32::from(unit) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
        text.push(char::from_u32(code).expect("a whole surrogate pair is a character (RFC 8259, section 7)"));
        return Some(&second[4..]);
    }
    text.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
    Some(rest)
}

fn four_digits(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..4)?;
    digits.iter().try_fold(0, |unit: u16, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some((unit << 4) | u16::try_from(digit).expect("a hexadecimal digit is below 16"))
    })
}

const fn is_high_surrogate(unit: u16) -> bool {
    matches!(unit, 0xD800..=0xDBFF)
}

const fn is_low_surrogate(unit: u16) -> bool {
    matches!(unit, 0xDC00..=0xDFFF)
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Marks of the table below: written as it is; written as `\u00xx`; every other entry is the letter after `\`.
const PLAIN: u8 = 0;
const HEXADECIMAL: u8 = b'u';

const ESCAPES: [u8; 256] = {
    let mut table = [PLAIN; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = HEXADECIMAL;
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).expect("JSON is text")
    }

    fn read(json: &str) -> Option<String> {
        unescape(RawJson::from_validated(json)).map(Cow::into_owned)
    }

    #[test]
    fn strings_are_escaped_as_javascript_does() {
        assert_eq!(written("plain é 🚀 \u{2028} \u{7F} /"), "\"plain é 🚀 \u{2028} \u{7F} /\"");
        assert_eq!(written("\"\\\u{8}\u{C}\n\r\t"), r#""\"\\\b\f\n\r\t""#);
        assert_eq!(written("\u{0}\u{1}\u{B}\u{1F}"), r#""\u0000\u0001\u000b\u001f""#);
        assert_eq!(written(""), "\"\"");
        assert_eq!(written("a\"b\"c"), r#""a\"b\"c""#);
    }

    #[test]
    fn every_character_survives_being_written_and_read() {
        let all: String = (0..0x3100).chain(0xFFF0..0x1_0010).filter_map(char::from_u32).collect();
        let json = written(&all);
        assert_eq!(json, serde_json::to_string(&all).expect("serialises"), "serde_json escapes as JavaScript does");
        assert_eq!(read(&json).as_deref(), Some(all.as_str()));
    }

    #[test]
    fn a_string_without_escapes_is_borrowed() {
        assert!(matches!(unescape(RawJson::from_validated("\"news é\"")), Some(Cow::Borrowed("news é"))));
        assert!(matches!(unescape(RawJson::from_validated("\"\"")), Some(Cow::Borrowed(""))));
    }

    #[test]
    fn escapes_are_read_as_javascript_does() {
        assert_eq!(read(r#""\"\\\/\b\f\n\r\tA""#).as_deref(), Some("\"\\/\u{8}\u{C}\n\r\tA"));
        assert_eq!(read(r#""\uD83D\uDE80 \ud83d\ude80""#).as_deref(), Some("🚀 🚀"));
        assert_eq!(read(r#""\ud83d x \ud83d\ud83d\ude80 \ude80""#).as_deref(), Some("\u{FFFD} x \u{FFFD}🚀 \u{FFFD}"));
    }

    #[test]
    fn what_is_no_string_is_not_read() {
        for json in ["null", "1", "[]", "{}", "true", "\"", "", "\"\\\"", r#""\u12""#, r#""\x""#, r#""\u00é0""#] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
