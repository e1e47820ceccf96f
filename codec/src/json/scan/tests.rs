//! The scanner's verdicts and spans, against lists and against serde_json.

use super::*;

fn accepts(text: &str) -> bool {
    Scanner::new(JsonLimits::default()).scan(text).is_ok()
}

fn elements<'a>(value: Value<'_, 'a>) -> Vec<&'a str> {
    value.elements().map(|value| value.raw().as_str()).collect()
}

fn members<'a>(value: Value<'_, 'a>) -> Vec<(&'a str, &'a str)> {
    value.members().map(|(key, value)| (key, value.raw().as_str())).collect()
}

#[test]
fn spans_are_the_source_text_without_the_whitespace_around_it() {
    let mut scanner = Scanner::new(JsonLimits::default());
    let text =
        " { \"a\" : [ 1 , { } , [ ] , \"]}\\\"\" ] ,\r\n\t\"b\":-1.50e+3\r, \"c\":{\"d\":null}\n, \"e\" : \"\" } ";
    let document = scanner.scan(text).expect("valid");
    let expected = [("a", r#"[ 1 , { } , [ ] , "]}\"" ]"#), ("b", "-1.50e+3"), ("c", r#"{"d":null}"#), ("e", r#""""#)];
    assert_eq!(members(document.root()), expected);
    assert_eq!(document.root().raw().as_str(), text.trim());
}

#[test]
fn elements_are_found_in_order_whatever_they_contain() {
    let mut scanner = Scanner::new(JsonLimits::default());
    let document = scanner.scan(r#"[[],{},[[]],{"a":{}},"",0,[1,[2,[3]],{"k":[{}]}], true ]"#).expect("valid");
    let expected = ["[]", "{}", "[[]]", r#"{"a":{}}"#, r#""""#, "0", r#"[1,[2,[3]],{"k":[{}]}]"#, "true"];
    assert_eq!(elements(document.root()), expected);
}

#[test]
fn a_key_that_occurs_twice_is_given_twice() {
    let mut scanner = Scanner::new(JsonLimits::default());
    let document = scanner.scan(r#"{"a":1,"\u0061":2}"#).expect("valid");
    assert_eq!(members(document.root()), [("a", "1"), ("a", "2")]);
}

#[test]
fn scalars_say_what_they_are() {
    let mut scanner = Scanner::new(JsonLimits::default());
    for (text, kind) in [
        ("null", Kind::Null),
        ("true", Kind::Boolean),
        ("false", Kind::Boolean),
        ("-0", Kind::Number),
        ("12345678901234567890123", Kind::Number),
        (r#""x""#, Kind::String),
        ("[]", Kind::Array),
        ("{}", Kind::Object),
    ] {
        let document = scanner.scan(text).expect("valid");
        let root = document.root();
        assert_eq!(root.kind(), kind, "{text}");
        assert_eq!(root.raw().as_str(), text);
        assert_eq!(root.members().count(), 0);
        assert_eq!(root.elements().count(), 0);
    }
    for (text, number) in [("0", Some(0)), ("65536", Some(65_536)), ("-1", None), ("1.0", None), ("1e3", None)] {
        assert_eq!(scanner.scan(text).expect("valid").root().as_u64(), number, "{text}");
    }
    assert_eq!(scanner.scan("true").expect("valid").root().as_bool(), Some(true));
    assert_eq!(scanner.scan(r#""\u00e4\n""#).expect("valid").root().as_str(), Some("ä\n"));
}

#[test]
fn what_is_not_json_is_refused() {
    for &text in NOT_JSON {
        assert!(!accepts(text), "{text:?}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "the list itself is wrong: {text:?}");
    }
}

/// Each breaks the grammar in a way of its own.
const NOT_JSON: &[&str] = &[
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "{]",
    "[}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "[1,]",
    "[,1]",
    "{,}",
    "[1 2]",
    "{\"a\" 1}",
    "{a:1}",
    "{'a':1}",
    "{1:2}",
    "{\"a\":1 \"b\":2}",
    "\"",
    "\"a",
    "a\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12G4\"",
    "\"\\\"",
    "'a'",
    "nul",
    "nulll",
    "tru",
    "True",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1.e3",
    "1e",
    "1e+",
    "0x10",
    "1_000",
    "1 2",
    "{} {}",
    "[]]",
    "{}x",
    "x{}",
    "null,",
    "// c\n1",
    "/**/1",
    "\u{FEFF}{}",
    "{\u{A0}}",
    "[1]\u{0}",
    "[\u{0}]",
    "[1\u{0}]",
    "[1\u{B}]",
    "[1\u{C}]",
    "\u{85}1",
    "\"\n\"",
    "\"\u{0}\"",
    "\"\u{1F}\"",
    "\"a\tb\"",
    "{\"a\":undefined}",
    "[1]/",
    "[--1]",
    "[1-]",
    "[1e5.5]",
];

#[test]
fn unusual_json_is_accepted() {
    for text in [
        "-0",
        "-0.0e-0",
        "0.1",
        "1E5",
        "1e-999",
        "0e999999999999",
        "123456789012345680000",
        "-123456789012345680000",
        "\"\u{7F}\"",
        "\"\u{85}\u{2028}\"",
        "\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"",
        "\"\\u0000\"",
        "\"\\uD83D\\uDE00\"",
        "\"\u{1F600}\"",
        "\t\r\n []\t\r\n ",
        "{\"\":{\"\":[]}}",
        "{\"__proto__\":{\"toString\":1}}",
    ] {
        assert!(accepts(text), "{text:?}");
    }
    assert!(accepts(&format!("[{}]", "9".repeat(300))), "JavaScript reads any digits as a double");
    assert!(accepts(&format!("0.{}", "3".repeat(10_000))));
}

#[test]
fn a_number_beyond_a_double_is_refused() {
    for text in ["1e400", "-1e400", "[1e999999999999999999999]"] {
        assert!(!accepts(text), "{text}");
    }
    assert!(!accepts(&"9".repeat(400)));
}

#[test]
fn half_a_surrogate_pair_reads_as_the_replacement_character_and_is_forwarded_as_it_came() {
    let mut scanner = Scanner::new(JsonLimits::default());
    for (text, expected) in [
        (r#""\ud800""#, "\u{FFFD}"),
        (r#""\uDFFFx""#, "\u{FFFD}x"),
        (r#""a\ud83d\ud83d\ude00b""#, "a\u{FFFD}\u{1F600}b"),
        (r#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"),
        (r#""\ud83d\n""#, "\u{FFFD}\n"),
        (r#""\\ud83d\ud83d""#, "\\ud83d\u{FFFD}"),
        (r#""\ud83d\u0041""#, "\u{FFFD}A"),
    ] {
        let document = scanner.scan(text).expect("JavaScript accepts it");
        assert_eq!(document.root().as_str(), Some(expected), "{text}");
        assert_eq!(document.root().raw().as_str(), text);
    }
    for text in [r#""\ud83"#, r#""\ud83d"#, r#""\ud83d\""#, r#"["\ud83d\u12"]"#, r#"\ud83d"#, r#"["\ud83d",]"#] {
        assert!(scanner.scan(text).is_err(), "{text}");
    }
}

#[test]
fn nesting_is_bounded_before_anything_is_built() {
    let mut scanner = Scanner::new(JsonLimits { depth_max: 3 });
    assert!(scanner.scan("[[[]]]").is_ok());
    assert!(scanner.scan(r#"{"a":{"a":{"a":1}}}"#).is_ok());
    assert!(scanner.scan(r#"["[[[[[[[{{{{"]"#).is_ok());
    let too_deep = Err(JsonError::TooDeep { depth_max: 3 });
    assert_eq!(scanner.scan("[[[[]]]]").map(|_| ()), too_deep);
    assert_eq!(scanner.scan(r#"{"a":{"a":{"a":{}}}}"#).map(|_| ()), too_deep);
    assert_eq!(scanner.scan(r#"[{"a":[{"a":1}]}]"#).map(|_| ()), too_deep);
}

#[test]
fn a_hundred_thousand_levels_need_no_stack() {
    let judge = || {
        let mut scanner = Scanner::new(JsonLimits::default());
        let deep = "[".repeat(100_000);
        let closed = format!("{deep}{}", "]".repeat(100_000));
        let objects = r#"{"a":"#.repeat(100_000);
        for text in [&deep, &closed, &objects] {
            assert_eq!(scanner.scan(text).map(|_| ()), Err(JsonError::TooDeep { depth_max: 64 }));
        }
    };
    // The smallest stack there is: what needs a frame per level dies here after some hundred.
    let thread = std::thread::Builder::new().stack_size(16 * 1024).spawn(judge).expect("a thread starts");
    thread.join().expect("every text was refused");
}

#[test]
fn a_refused_text_does_not_spoil_the_next() {
    let mut scanner = Scanner::new(JsonLimits::default());
    for bad in ["[1,2", "{\"a\":\"\\ud800\"", "\"\\q\"", "[[[\"\u{0}\"]]]"] {
        assert!(scanner.scan(bad).is_err(), "{bad:?}");
        let document = scanner.scan(r#"{"b":[1,{"c":2}]}"#).expect("valid");
        assert_eq!(members(document.root()), [("b", r#"[1,{"c":2}]"#)]);
    }
}

#[test]
fn memory_returns_to_its_bound_after_an_oversized_text() {
    let mut scanner = Scanner::new(JsonLimits::default());
    let dense = format!("[{}0]", "0,".repeat(200_000));
    assert!(scanner.scan(&dense).is_ok());
    assert!(scanner.retained_bytes() > RETAINED_BYTES_MAX, "the text is large enough to matter");
    assert!(scanner.scan("{}").is_ok());
    assert!(scanner.retained_bytes() < 1_000, "{}", scanner.retained_bytes());
    // One that is refused is no exception.
    assert!(scanner.scan(&"[".repeat(1_000_000)).is_err());
    assert!(scanner.scan("{}").is_ok());
    assert!(scanner.retained_bytes() < 1_000, "{}", scanner.retained_bytes());
}

/// Writes a random value with random whitespace in all places where it may stand.
fn write_random(random: &mut fastrand::Rng, depth: usize, out: &mut String) {
    let space = |random: &mut fastrand::Rng, out: &mut String| {
        for _ in 0..random.usize(..3).saturating_sub(1) {
            out.push(*random.choice(&[' ', '\n', '\t', '\r']).expect("not empty"));
        }
    };
    let atoms = ["0", "-1.5e3", "true", "null", "\"\"", "\"a b\"", "\"\\\"]},\\\\\"", "\"é\\u00e9\"", "\"[{:,\"", "77"];
    let container = depth < 6 && random.u8(..3) > 0;
    space(random, out);
    if !container {
        out.push_str(random.choice(&atoms).expect("not empty"));
    } else {
        let object = random.bool();
        out.push(if object { '{' } else { '[' });
        let length = random.usize(..5);
        for index in 0..length {
            if object {
                space(random, out);
                *out += &format!("\"k{index}\"");
                space(random, out);
                out.push(':');
            }
            write_random(random, depth + 1, out);
            if index + 1 < length {
                out.push(',');
            }
        }
        space(random, out);
        out.push(if object { '}' } else { ']' });
    }
    space(random, out);
}

fn check_against_serde(scanner: &mut Scanner, text: &str) {
    use serde_json::value::RawValue;
    let mut inner = Vec::new();
    {
        let document = scanner.scan(text).expect("valid");
        match document.root().kind() {
            Kind::Object => {
                let expected: std::collections::BTreeMap<String, &RawValue> =
                    serde_json::from_str(text).expect("valid");
                let seen = members(document.root());
                assert_eq!(seen.len(), expected.len(), "{text}");
                for (key, span) in seen {
                    assert_eq!(span, expected[key].get(), "{text}");
                    inner.push(span.to_owned());
                }
            }
            Kind::Array => {
                let expected: Vec<&RawValue> = serde_json::from_str(text).expect("valid");
                let expected: Vec<_> = expected.into_iter().map(RawValue::get).collect();
                let seen = elements(document.root());
                assert_eq!(seen, expected, "{text}");
                inner.extend(seen.into_iter().map(str::to_owned));
            }
            _ => assert_eq!(document.root().raw().as_str(), text.trim()),
        }
    }
    for span in inner {
        check_against_serde(scanner, &span);
    }
}

#[test]
fn spans_of_random_texts_are_those_that_serde_json_finds() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut scanner = Scanner::new(JsonLimits::default());
    for _ in 0..2_000 {
        let mut text = String::new();
        write_random(&mut random, 0, &mut text);
        check_against_serde(&mut scanner, &text);
    }
}
