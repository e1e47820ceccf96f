//! Lists of arguments, as protocols have them whose calls and events are functions' calls: `emit(name, a, b)`.

use crate::json::{JsonError, JsonLimits, Kind, Scanner};
use crate::message::RawJson;

/// A list of JSON values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// Their source text, with the commas between them.
    pub text: &'a str,
    /// How many there are.
    pub count: usize,
}

impl<'a> Arguments<'a> {
    /// The elements of a JSON array; `None` where the value is none.
    ///
    /// # Errors
    /// The array nests too deep.
    pub fn of_array(array: RawJson<'a>, limits: JsonLimits) -> Result<Option<Self>, JsonError> {
        let mut scanner = Scanner::new(array.as_str(), limits)?;
        if scanner.kind() != Some(Kind::Array) {
            return Ok(None);
        }
        let mut count = 0;
        scanner.array(|scanner| {
            count += 1;
            scanner.value().map(drop)
        })?;
        let inside = array.as_str().strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default();
        Ok(Some(Self { text: inside.trim_matches([' ', '\t', '\n', '\r']), count }))
    }

    /// The arguments as an action takes them: none, the one as it is, or an array of several, written into `scratch`.
    pub fn data<'b>(self, scratch: &'b mut String) -> Option<RawJson<'b>>
    where
        'a: 'b,
    {
        match self.count {
            0 => None,
            1 => Some(RawJson::from_validated(self.text)),
            _ => {
                scratch.clear();
                scratch.push('[');
                scratch.push_str(self.text);
                scratch.push(']');
                Some(RawJson::from_validated(scratch))
            }
        }
    }

    /// Each argument's source text.
    pub fn iter(self, limits: JsonLimits) -> impl Iterator<Item = RawJson<'a>> {
        let mut rest = self.text;
        std::iter::from_fn(move || {
            let mut scanner = Scanner::new(rest, limits).ok()?;
            let value = scanner.value().ok()?;
            let raw = scanner.raw(value.span);
            let end = raw.as_str().as_ptr().addr() - rest.as_ptr().addr() + raw.as_str().len();
            rest = rest[end..].trim_start().strip_prefix(',').unwrap_or_default();
            Some(raw)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Arguments<'_>>, JsonError> {
        Arguments::of_array(RawJson::from_validated(text), JsonLimits { depth_max: 2 })
    }

    #[test]
    fn the_elements_of_an_array_are_arguments() {
        assert_eq!(of("[]"), Ok(Some(Arguments::default())));
        assert_eq!(of("[ ]"), Ok(Some(Arguments::default())));
        let several = Arguments { text: "1 , [2,3]", count: 2 };
        assert_eq!(of("[ 1 , [2,3] ]"), Ok(Some(several)));
        let each: Vec<_> = several.iter(JsonLimits::default()).map(RawJson::as_str).collect();
        assert_eq!(each, ["1", "[2,3]"]);
        assert_eq!(several.data(&mut String::new()).map(RawJson::as_str), Some("[1 , [2,3]]"));
    }

    #[test]
    fn what_is_no_array_has_none() {
        assert_eq!(of("{}"), Ok(None));
        assert_eq!(of("5"), Ok(None));
        assert!(of("[[[]]]").is_err());
    }
}
