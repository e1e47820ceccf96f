//! The members of an object, one by one, for the protocols that read few of them.

use std::borrow::Cow;

use super::{JsonError, JsonLimits, Scanner, unescape};
use crate::message::RawJson;

/// Gives each member of a text's one value, an object, to `each`; of a name that is there twice both, in their order.
/// What it was given counts only when the whole text turns out to be JSON.
///
/// # Errors
/// The text is refused, or is no object.
pub fn members<'a>(
    text: &'a str,
    limits: JsonLimits,
    mut each: impl FnMut(Cow<'a, str>, RawJson<'a>),
) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(text, limits)?;
    scanner.object(|scanner, key| {
        let value = scanner.value()?;
        if let Some(name) = unescape(scanner.raw(key.span)) {
            each(name, scanner.raw(value.span));
        }
        Ok(())
    })?;
    scanner.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Option<Vec<(String, &str)>> {
        let mut list = Vec::new();
        members(text, JsonLimits { depth_max: 3 }, |name, value| list.push((name.into_owned(), value.as_str())))
            .ok()?;
        Some(list)
    }

    #[test]
    fn members_come_in_their_order() {
        let found = list(r#" {"a": 1, "\u0062":[ 2 ],"a":{}} "#).expect("an object");
        assert_eq!(found, [("a".to_owned(), "1"), ("b".to_owned(), "[ 2 ]"), ("a".to_owned(), "{}")]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "5", "[]", "{", r#"{"a":1} x"#, r#"{"a":[[[]]]}"#] {
            assert_eq!(list(text), None, "{text}");
        }
    }
}
