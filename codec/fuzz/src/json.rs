//! What must hold for any text that is scanned as JSON, with serde_json and simd-json as the judges: the same texts are
//! accepted, but for the documented differences, and every span is the value that serde_json finds.

use std::fmt;

use codec::json::{JsonError, JsonLimits, Kind, Scanner, Span, Value, unescape};
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

/// What simd-json says, asked only where it knows: it takes no halves of surrogate pairs, and judges the range of a
/// number with an exponent in its own way.
fn simd_json_accepts(text: &str) -> Option<bool> {
    let mut bytes = text.as_bytes().to_vec();
    let mut buffers = simd_json::Buffers::with_max_depth(bytes.len(), 1_024);
    let mut tape = simd_json::Tape(Vec::new());
    match simd_json::fill_tape(&mut bytes, &mut buffers, &mut tape) {
        Ok(()) => Some(true),
        Err(error) => match error.error() {
            simd_json::ErrorType::InvalidUnicodeCodepoint
            | simd_json::ErrorType::InvalidUtf8
            | simd_json::ErrorType::InvalidNumber
            | simd_json::ErrorType::DepthLimitExceeded => None,
            _ => Some(false),
        },
    }
}

fn scan(text: &str, limits: JsonLimits) -> Result<Value, JsonError> {
    let mut scanner = Scanner::new(text, limits)?;
    let value = scanner.value()?;
    scanner.finish().map(|()| value)
}

/// Enters every container. The recursion is bounded by the depth limit.
fn walk(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    match scanner.kind() {
        Some(Kind::Object) => scanner.object(|scanner, _| walk(scanner)).map(drop),
        Some(Kind::Array) => scanner.array(walk).map(drop),
        _ => scanner.value().map(drop),
    }
}

/// Scans one text and checks everything that is found in it.
pub fn check(limits: JsonLimits, text: &str) {
    let is_json = is_json(text);
    let verdict = scan(text, limits);
    match verdict {
        Err(JsonError::TooDeep { .. }) => assert!(!is_json || depth(text) > limits.depth_max, "not that deep"),
        Err(JsonError::Syntax { at }) => {
            assert!(!is_json || has_number_beyond_a_double(text), "refused valid JSON");
            assert!(at <= text.len());
            assert!(is_json || simd_json_accepts(text) != Some(true), "simd-json accepts it");
        }
        Ok(value) => {
            assert!(is_json, "accepted what is no JSON");
            assert!(simd_json_accepts(text) != Some(false), "simd-json refuses it");
            assert!(depth(text) <= limits.depth_max, "accepted {} levels", depth(text));
            check_value(value, text, text.trim_matches([' ', '\t', '\r', '\n']), limits);
        }
    }
    // Walking into everything judges as asking for the whole does.
    let walked = Scanner::new(text, limits).and_then(|mut scanner| {
        walk(&mut scanner)?;
        scanner.finish()
    });
    assert_eq!(walked, verdict.map(drop));
}

/// A value that was found in `text`, and what serde_json found in its place.
fn check_value(value: Value, text: &str, expected: &str, limits: JsonLimits) {
    let mut scanner = Scanner::new(text, limits).expect("short");
    let raw = scanner.raw(value.span);
    assert_eq!(raw.as_str(), expected);
    assert_eq!(value.has_escapes, value.kind == Kind::String && expected.contains('\\'));
    scanner = Scanner::new(expected, limits).expect("short");
    assert_eq!(scanner.kind(), Some(value.kind));
    let raw_of = |span: Span| Scanner::new(expected, limits).expect("short").raw(span);
    match value.kind {
        Kind::Object => {
            let Pairs(pairs) = serde_json::from_str(expected).expect("serde_json sees an object, too");
            let mut found = Vec::new();
            let whole = scanner.object(|scanner, key| scanner.value().map(|value| found.push((key, value))));
            assert_eq!(raw_of(whole.expect("scanned before")).as_str(), expected);
            assert_eq!(found.len(), pairs.len());
            for ((key, member), (expected_key, inner)) in found.into_iter().zip(pairs) {
                let expected_key = unescape(RawJson::from_validated(expected_key.get()));
                assert!(expected_key.is_some());
                assert_eq!(unescape(raw_of(key.span)), expected_key);
                check_value(member, expected, inner.get(), limits);
            }
        }
        Kind::Array => {
            let elements: Vec<&RawValue> = serde_json::from_str(expected).expect("serde_json sees an array, too");
            let mut found = Vec::new();
            let whole = scanner.array(|scanner| scanner.value().map(|value| found.push(value)));
            assert_eq!(raw_of(whole.expect("scanned before")).as_str(), expected);
            assert_eq!(found.len(), elements.len());
            found
                .into_iter()
                .zip(elements)
                .for_each(|(value, inner)| check_value(value, expected, inner.get(), limits));
        }
        Kind::String => {
            let text = unescape(raw).expect("strings have a text");
            // serde_json gives no text for half a surrogate pair.
            match serde_json::from_str::<String>(expected) {
                Ok(expected) => assert_eq!(text, expected),
                Err(_) => assert!(text.contains('\u{FFFD}')),
            }
        }
        Kind::Number => {
            assert!(expected.parse::<f64>().expect("Rust reads every JSON number").is_finite());
        }
        Kind::Boolean => assert!(matches!(expected, "true" | "false")),
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
