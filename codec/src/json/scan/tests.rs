//! The scanner's verdicts and spans, against lists, serde_json and simd-json.

use super::*;
use crate::json::unescape;

mod differential;
mod grammar;

/// Judges a text by reading it as one value.
fn scan(text: &str, depth_max: usize) -> Result<Value, JsonError> {
    let mut scanner = Scanner::new(text, JsonLimits { depth_max })?;
    let value = scanner.value()?;
    scanner.finish().map(|()| value)
}

/// Judges a text by walking into all containers, with a stack of our own making only as deep as the limit.
fn walk(text: &str, depth_max: usize) -> Result<(), JsonError> {
    fn inside(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        match scanner.kind() {
            Some(Kind::Object) => scanner.object(|scanner, _| inside(scanner)).map(drop),
            Some(Kind::Array) => scanner.array(inside).map(drop),
            _ => scanner.value().map(drop),
        }
    }
    let mut scanner = Scanner::new(text, JsonLimits { depth_max })?;
    inside(&mut scanner)?;
    scanner.finish()
}

/// Both ways must agree.
fn verdict(text: &str, depth_max: usize) -> Result<(), JsonError> {
    let whole = scan(text, depth_max).map(drop);
    assert_eq!(walk(text, depth_max), whole, "{text:?}");
    whole
}

fn accepts(text: &str) -> bool {
    verdict(text, 64).is_ok()
}

fn elements(text: &str) -> Vec<&str> {
    let mut scanner = Scanner::new(text, JsonLimits::default()).expect("short");
    let mut spans = Vec::new();
    let whole = scanner.array(|scanner| scanner.value().map(|value| spans.push(value.span))).expect("valid");
    assert_eq!(scanner.raw(whole).as_str(), text.trim());
    scanner.finish().expect("valid");
    spans.into_iter().map(|span| span.raw(text).as_str()).collect()
}

fn members(text: &str) -> Vec<(String, &str)> {
    let mut scanner = Scanner::new(text, JsonLimits::default()).expect("short");
    let mut pairs = Vec::new();
    let whole = scanner
        .object(|scanner, key| {
            assert_eq!(key.has_escapes, scanner.raw(key.span).as_str().contains('\\'));
            pairs.push((key.span, scanner.value()?.span));
            Ok(())
        })
        .expect("valid");
    assert_eq!(scanner.raw(whole).as_str(), text.trim());
    scanner.finish().expect("valid");
    let text_of = |key: Span| unescape(key.raw(text)).expect("a string").into_owned();
    pairs.into_iter().map(|(key, value)| (text_of(key), value.raw(text).as_str())).collect()
}

fn pairs<'a>(expected: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
    expected.iter().map(|&(key, value)| (key.to_owned(), value)).collect()
}

#[test]
fn spans_are_the_source_text_without_the_whitespace_around_it() {
    let text =
        " { \"a\" : [ 1 , { } , [ ] , \"]}\\\"\" ] ,\r\n\t\"b\":-1.50e+3\r, \"c\":{\"d\":null}\n, \"e\" : \"\" } ";
    let expected = [("a", r#"[ 1 , { } , [ ] , "]}\"" ]"#), ("b", "-1.50e+3"), ("c", r#"{"d":null}"#), ("e", r#""""#)];
    assert_eq!(members(text), pairs(&expected));
    assert_eq!(scan(text, 64).expect("valid").span.raw(text).as_str(), text.trim());
}

#[test]
fn elements_are_found_in_order_whatever_they_contain() {
    let expected = ["[]", "{}", "[[]]", r#"{"a":{}}"#, r#""""#, "0", r#"[1,[2,[3]],{"k":[{}]}]"#, "true"];
    assert_eq!(elements(r#"[[],{},[[]],{"a":{}},"",0,[1,[2,[3]],{"k":[{}]}], true ]"#), expected);
    assert!(elements(" [ ] ").is_empty());
    assert!(members("{ }").is_empty());
}

#[test]
fn a_key_that_occurs_twice_is_given_twice() {
    assert_eq!(members(r#"{"a":1,"\u0061":2}"#), pairs(&[("a", "1"), ("a", "2")]));
}

#[test]
fn a_value_says_what_it_is() {
    for (text, kind) in [
        ("null", Kind::Null),
        ("true", Kind::Boolean),
        ("false", Kind::Boolean),
        ("-0", Kind::Number),
        ("12345678901234567890123", Kind::Number),
        (r#""x""#, Kind::String),
        ("[]", Kind::Array),
        ("[{}]", Kind::Array),
        ("{}", Kind::Object),
        (r#"{"a":[]}"#, Kind::Object),
    ] {
        let value = scan(text, 64).expect("valid");
        assert_eq!((value.kind, value.has_escapes), (kind, false), "{text}");
        assert_eq!(value.span.raw(text).as_str(), text);
        assert_eq!(value.span.if_string(text).is_absent(), kind != Kind::String);
    }
    for (text, has_escapes) in [(r#""\n""#, true), (r#""\\""#, true), (r#""é""#, false), (r#"["\n"]"#, false)] {
        assert_eq!(scan(text, 64).expect("valid").has_escapes, has_escapes, "{text}");
    }
    let long = format!("\"{}\\n\"", "x".repeat(200));
    assert!(scan(&long, 64).expect("valid").has_escapes);
}

#[test]
fn what_is_no_object_is_not_entered_as_one() {
    let limits = JsonLimits::default();
    for text in ["[]", "1", "\"\"", "null", "", "}"] {
        let mut scanner = Scanner::new(text, limits).expect("short");
        assert_eq!(scanner.object(|_, _| Ok(())), Err(JsonError::Syntax { at: 0 }), "{text}");
    }
    for text in ["{}", "1", "\"\"", "null", "", "]"] {
        let mut scanner = Scanner::new(text, limits).expect("short");
        assert_eq!(scanner.array(|_| Ok(())), Err(JsonError::Syntax { at: 0 }), "{text}");
    }
}

#[test]
#[should_panic(expected = "a member has one value")]
fn a_member_that_is_not_read_is_a_bug() {
    let mut scanner = Scanner::new(r#"{"a":}"#, JsonLimits::default()).expect("short");
    let _ = scanner.object(|_, _| Ok(()));
}

#[test]
#[should_panic(expected = "a member has one value")]
fn a_member_that_is_read_twice_is_a_bug() {
    let mut scanner = Scanner::new(r#"{"a":1 2}"#, JsonLimits::default()).expect("short");
    let _ = scanner.object(|scanner, _| scanner.value().and_then(|_| scanner.value()).map(drop));
}

#[test]
#[should_panic(expected = "an element is one value")]
fn an_element_that_is_not_read_is_a_bug() {
    let mut scanner = Scanner::new("[,]", JsonLimits::default()).expect("short");
    let _ = scanner.array(|_| Ok(()));
}

#[test]
#[should_panic(expected = "an element is one value")]
fn an_element_that_is_read_twice_is_a_bug() {
    let mut scanner = Scanner::new("[[1][2]]", JsonLimits::default()).expect("short");
    let pair = |scanner: &mut Scanner<'_>| scanner.array(|scanner| scanner.value().map(drop)).map(drop);
    let _ = scanner.array(|scanner| pair(scanner).and_then(|()| pair(scanner)));
}

#[test]
fn an_error_names_the_byte_where_it_was_noticed() {
    for (text, at) in [
        ("", 0),
        ("  ", 2),
        ("{\"a\":x}", 5),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{\"a\" 1}", 5),
        ("\"abc", 4),
        ("\"ab\\x\"", 3),
        ("[01]", 1),
        ("[1.]", 3),
        ("[-]", 2),
        ("nulx", 0),
        ("{}x", 2),
        ("[1e400]", 1),
    ] {
        assert_eq!(verdict(text, 64), Err(JsonError::Syntax { at }), "{text:?}");
    }
}

#[test]
fn nesting_is_bounded_before_anything_is_read() {
    assert_eq!(verdict("[[[]]]", 3), Ok(()));
    assert_eq!(verdict(r#"{"a":{"a":{"a":1}}}"#, 3), Ok(()));
    assert_eq!(verdict(r#"["[[[[[[[{{{{"]"#, 3), Ok(()));
    // What was closed does not count.
    assert_eq!(verdict(r#"[[[]],[[]],{"a":[]},[{}]]"#, 3), Ok(()));
    let too_deep = Err(JsonError::TooDeep { depth_max: 3 });
    assert_eq!(verdict("[[[[]]]]", 3), too_deep);
    assert_eq!(verdict("[[[]],[[[]]]]", 3), too_deep);
    assert_eq!(verdict(r#"{"a":{"a":{"a":{}}}}"#, 3), too_deep);
    assert_eq!(verdict(r#"[{"a":[{"a":1}]}]"#, 3), too_deep);
    // Of two faults the first counts.
    assert_eq!(verdict("[[[[", 3), too_deep);
    assert_eq!(verdict("[x[[[[", 3), Err(JsonError::Syntax { at: 1 }));
}

#[test]
fn every_depth_up_to_the_greatest_is_kept_apart() {
    for depth in [1, 2, 63, 64, 65, 127, 128, 129, 1_000, 1_023, 1_024] {
        // Each level's kind is that of another bit pattern, so that a bit that is lost closes the wrong bracket.
        let is_object = |level: usize| (level * 7 + level / 64).is_multiple_of(3);
        let opening: String = (0..depth).map(|level| if is_object(level) { r#"{"k":"# } else { "[" }).collect();
        let closing: String = (0..depth).rev().map(|level| if is_object(level) { '}' } else { ']' }).collect();
        let text = format!("{opening}1{closing}");
        assert_eq!(scan(&text, depth).map(drop), Ok(()), "{depth}");
        assert_eq!(scan(&text, depth - 1).map(drop), Err(JsonError::TooDeep { depth_max: depth - 1 }));
        for level in 0..depth {
            let mut wrong = text.clone().into_bytes();
            let at = text.len() - 1 - level;
            wrong[at] = if is_object(level) { b']' } else { b'}' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert_eq!(scan(&wrong, depth).map(drop), Err(JsonError::Syntax { at }), "{depth} {level}");
        }
    }
    let beyond = "[".repeat(NESTING_MAX + 1);
    assert_eq!(scan(&beyond, usize::MAX).map(drop), Err(JsonError::TooDeep { depth_max: NESTING_MAX }));
}

#[test]
fn a_hundred_thousand_levels_need_no_stack() {
    let judge = || {
        let deep = "[".repeat(100_000);
        let closed = format!("{deep}{}", "]".repeat(100_000));
        let objects = r#"{"a":"#.repeat(100_000);
        for text in [&deep, &closed, &objects] {
            assert_eq!(scan(text, 64).map(drop), Err(JsonError::TooDeep { depth_max: 64 }));
            assert_eq!(scan(text, usize::MAX).map(drop), Err(JsonError::TooDeep { depth_max: 1_024 }));
        }
    };
    // The smallest stack there is: what needs a frame per level dies here after some hundred.
    let thread = std::thread::Builder::new().stack_size(16 * 1024).spawn(judge).expect("a thread starts");
    thread.join().expect("every text was refused");
}
