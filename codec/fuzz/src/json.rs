//! What must hold for any text that is scanned as JSON, with serde_json as the judge: the same texts are accepted, but
//! for the two documented differences, and every span is the value that serde_json finds.

use std::fmt;

use codec::json::{JsonError, Kind, Scanner, Value, unescape};
use codec::message::RawJson;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object in order, duplicates included, keys as source text.
struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'a> Deserialize<'a> for Pairs<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'a> Visitor<'a> for PairsVisitor {
            type Value = Pairs<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Pairs<'a>, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// Whether this is JSON by RFC 8259's grammar alone: any depth, any number, halves of surrogate pairs.
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// Scans one text and checks everything that is found in it.
pub fn check(scanner: &mut Scanner, depth_max: usize, text: &str) {
    let is_json = is_json(text);
    match scanner.scan(text) {
        Err(JsonError::TooDeep { .. }) => assert!(!is_json || depth(text) > depth_max, "not that deep"),
        Err(JsonError::Syntax { .. }) => assert!(!is_json || has_number_beyond_a_double(text), "refused valid JSON"),
        Ok(document) => {
            assert!(is_json, "accepted what is no JSON");
            assert!(depth(text) <= depth_max, "accepted {} levels", depth(text));
            check_value(document.root(), text.trim_matches([' ', '\t', '\r', '\n']));
        }
    }
}

/// The recursion is bounded by the depth that the scanner accepts.
fn check_value(value: Value<'_, '_>, expected: &str) {
    assert_eq!(value.raw().as_str(), expected);
    match value.kind() {
        Kind::Object => {
            let Pairs(pairs) = serde_json::from_str(expected).expect("serde_json sees an object, too");
            assert_eq!(value.members().count(), pairs.len());
            for ((key, member), (expected_key, expected)) in value.members().zip(pairs) {
                assert_eq!(Some(key), unescape(RawJson::from_validated(expected_key.get())).as_deref());
                check_value(member, expected.get());
            }
        }
        Kind::Array => {
            let expected: Vec<&RawValue> = serde_json::from_str(expected).expect("serde_json sees an array, too");
            assert_eq!(value.elements().len(), expected.len());
            value.elements().zip(expected).for_each(|(element, expected)| check_value(element, expected.get()));
        }
        Kind::String => {
            let text = value.as_str().expect("strings have a text");
            assert_eq!(unescape(value.raw()).as_deref(), Some(text));
            // serde_json gives no text for half a surrogate pair.
            match serde_json::from_str::<String>(expected) {
                Ok(expected) => assert_eq!(text, expected),
                Err(_) => assert!(text.contains('\u{FFFD}')),
            }
        }
        Kind::Number => {
            let number = expected.parse::<f64>().expect("Rust reads every JSON number");
            assert!(number.is_finite());
            assert_eq!(value.as_u64(), expected.parse().ok());
        }
        Kind::Boolean => assert_eq!(value.as_bool().map(|value| value.to_string()).as_deref(), Some(expected)),
        Kind::Null => assert_eq!(expected, "null"),
    }
}

/// What lies outside strings, in a text that is JSON.
fn outside_strings(text: &str) -> impl Iterator<Item = char> {
    let (mut is_inside, mut is_escaped) = (false, false);
    text.chars().filter(move |&character| {
        let was_inside = is_inside;
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_inside = !is_inside,
            _ => {}
        }
        !was_inside && !is_inside
    })
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for character in outside_strings(text) {
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn has_number_beyond_a_double(text: &str) -> bool {
    let outside: String = outside_strings(text).collect();
    let tokens = outside.split([',', ':', '[', ']', '{', '}', ' ', '\t', '\r', '\n']);
    tokens.filter_map(|token| token.parse::<f64>().ok()).any(f64::is_infinite)
}
