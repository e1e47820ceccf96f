//! JSONP, for pages that can neither ask another origin nor hear it otherwise: a response is a call of a function of the
//! page, a request is a form.

use std::borrow::Cow;

use crate::json::write_string;

/// Appends the call that hands a payload to the page; of its number only digits are taken.
pub fn write_call(out: &mut Vec<u8>, number: &str, payload: &str) {
    out.extend_from_slice(b"___eio[");
    out.extend(number.bytes().filter(u8::is_ascii_digit));
    out.extend_from_slice(b"](");
    let start = out.len();
    write_string(out, payload);
    // Two characters that JSON has in strings and JavaScript had not (ECMAScript before 2019).
    let text = std::str::from_utf8(&out[start..]).expect("a JSON string is text");
    if text.contains(['\u{2028}', '\u{2029}']) {
        let text = text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        out.truncate(start);
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b");");
}

/// The payload that a form has in its field `d`; `None`: it has none.
#[must_use]
pub fn read_form(body: &str) -> Option<String> {
    let field = body.split('&').find_map(|field| field.strip_prefix("d="))?;
    let text = percent_decoded(field)?;
    // A form's line feeds become CR LF on the way, so the page writes them as an escape, and real ones as another.
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (written, skipped) = match &rest.as_bytes()[at + 1..] {
            [b'\\', b'n', ..] => ("\\n", 3),
            [b'n', ..] => ("\n", 2),
            _ => ("\\", 1),
        };
        out.push_str(written);
        rest = &rest[at + skipped..];
    }
    out.push_str(rest);
    Some(out)
}

/// A form's text, unescaped.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_becomes_a_call_that_old_javascript_reads() {
        let mut out = Vec::new();
        write_call(&mut out, "1<script>2", "4\"\u{2028}é\n");
        assert_eq!(std::str::from_utf8(&out), Ok("___eio[12](\"4\\\"\\u2028é\\n\");"));
    }

    #[test]
    fn a_form_gives_the_payload_and_its_line_feeds() {
        assert_eq!(read_form("d=2%3A4%20a+b").as_deref(), Some("2:4 a b"));
        assert_eq!(read_form("x=1&d=4%5Cn%5C%5Cn%5Cx%E2%82%AC").as_deref(), Some("4\n\\n\\x€"));
        for body in ["", "x=1", "d=%4", "d=%zz", "d=%ff"] {
            assert_eq!(read_form(body), None, "{body}");
        }
    }
}
