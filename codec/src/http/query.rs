//! Queries as forms and pages write them: `name=value` between `&`, percent-encoded, a plus for a blank. Strict: what is
//! no encoding of text is an error, never a guess.

use std::borrow::Cow;

/// An escape that is none, or bytes that are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedQuery;

/// The names and values of a query, in their order. A name without `=` has an empty value; nothing between two `&` is
/// nothing.
pub fn parameters(query: &str) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), MalformedQuery>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name, true)?, decode(value, true)?))
    })
}

/// Percent-decodes; in forms a plus is a blank.
///
/// # Errors
/// [`MalformedQuery`].
pub fn decode(text: &str, is_form: bool) -> Result<Cow<'_, str>, MalformedQuery> {
    let is_plain = |byte: u8| byte != b'%' && !(is_form && byte == b'+');
    if text.bytes().all(is_plain) {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or(MalformedQuery);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).expect("two digits of four bits each")
            }
            b'+' if is_form => b' ',
            byte => byte,
        });
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| MalformedQuery)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_in_their_order() {
        let read: Result<Vec<_>, _> = parameters("a=1&&b&a=%C3%A4+b%26%3D&=x=y&c%5B%5D=").collect();
        let expected = [("a", "1"), ("b", ""), ("a", "ä b&="), ("", "x=y"), ("c[]", "")]
            .map(|(name, value)| (name.into(), value.into()));
        assert_eq!(read.expect("well encoded"), expected);
        assert_eq!(parameters("").count(), 0);
    }

    #[test]
    fn malformed_escapes_are_refused() {
        for text in ["%", "%2", "%zz", "%ff", "%+1", "%c3%28"] {
            assert_eq!(decode(text, true), Err(MalformedQuery), "{text}");
        }
        assert_eq!(decode("a+b%20c", false).expect("well encoded"), "a+b c");
    }
}
