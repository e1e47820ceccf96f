//! RFC 8259 as two tables: what is JSON, and what is not. Each text is also tried inside an array, inside an object and
//! behind whitespace, and the table is checked against serde_json, so that it cannot be wrong itself.

use super::*;

/// The text itself, and in all the places where a value may stand.
fn in_all_places(text: &str) -> Vec<String> {
    let mut places = vec![text.to_owned()];
    for (before, after) in
        [("[", "]"), ("[0,", "]"), ("[", " , 0]"), (r#"{"k":"#, "}"), (r#"{"k" : "#, r#" ,"l":0}"#), (" \t\r\n", "\n")]
    {
        places.push(format!("{before}{text}{after}"));
    }
    // Farther from the end than a word and a chunk, so that every way of comparing is taken.
    places.push(format!("[{text},\"{}\"]", "x".repeat(80)));
    places.push(format!("{{\"{}\":{text}}}", "x".repeat(80)));
    places
}

fn serde_accepts(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

#[test]
fn what_is_json_is_accepted_everywhere() {
    for text in JSON {
        for text in in_all_places(text) {
            assert!(accepts(&text), "{text:?}");
            assert!(serde_accepts(&text), "the table is wrong: {text:?}");
        }
    }
    assert!(accepts(&format!("[{}]", "9".repeat(300))), "JavaScript reads any digits as a double");
    assert!(accepts(&format!("0.{}", "3".repeat(10_000))));
    assert!(accepts(&format!("0.{}1e350", "0".repeat(400))), "a small number, strangely written");
}

#[test]
fn what_is_not_json_is_refused_everywhere() {
    for text in NOT_JSON {
        for text in in_all_places(text) {
            assert!(!accepts(&text), "{text:?}");
            assert!(!serde_accepts(&text), "the table is wrong: {text:?}");
        }
    }
}

/// These would be something else inside a container.
#[test]
fn what_is_not_json_by_itself_is_refused() {
    for text in ["", " ", "1,2", "1]", "[1],", "{},", "null,", "1 2", "{} {}", "[] []", "[]]", "{}}", "]", "}"] {
        assert!(!accepts(text), "{text:?}");
        assert!(!serde_accepts(text), "the table is wrong: {text:?}");
    }
}

#[test]
fn no_beginning_of_a_container_is_json() {
    let text = r##"{"event":"#publish","data":{"channel":"n\u00e9\"ws","data":[1.5e-3,true,null,"0123456789012345678"]},"cid":1}"##;
    assert!(accepts(text));
    for length in 0..text.len() {
        assert!(!accepts(&text[..length]), "{length}");
    }
}

#[test]
fn every_byte_that_may_not_stand_in_a_string_is_refused_there() {
    for length in [0, 1, 7, 8, 15, 16, 17, 40, 47, 48, 49, 100] {
        let filling = "x".repeat(length);
        for byte in 0..0x80_u8 {
            let text = format!("\"{filling}{}yz\"", char::from(byte));
            assert_eq!(accepts(&text), byte >= 0x20 && byte != b'"' && byte != b'\\', "{text:?}");
        }
    }
}

#[test]
fn every_escape_is_one_of_the_nine() {
    for byte in 0..0x80_u8 {
        let letter = char::from(byte);
        assert_eq!(accepts(&format!("\"\\{letter}\"")), "\"\\/bfnrt".contains(letter), "{letter:?}");
        for place in 0..4 {
            let mut digits = *b"a0F9";
            digits[place] = byte;
            let digits = String::from_utf8(digits.to_vec()).expect("ASCII");
            assert_eq!(accepts(&format!("\"\\u{digits}\"")), letter.is_ascii_hexdigit(), "{digits:?}");
        }
    }
}

#[test]
fn a_number_beyond_a_double_is_refused() {
    for text in ["1e400", "-1e400", "1e309", "1.8e308", "-1.8E+308", "10e308", "1e999999999999999999999"] {
        for text in in_all_places(text) {
            assert!(!accepts(&text), "{text}");
        }
    }
    for text in ["1.7976931348623157e308", "1e308", "1e-400", "1e+0000000000000000001", "0e999999999999", "0.001e310"] {
        for text in in_all_places(text) {
            assert!(accepts(&text), "{text}");
        }
    }
    assert!(!accepts(&"9".repeat(400)));
    assert!(accepts(&format!("{}e99", "9".repeat(200))));
    assert!(accepts(&"9".repeat(308)));
    assert!(!accepts(&"9".repeat(309)), "1e309 written out");
    assert!(accepts(&format!("{}.5", "1".repeat(309))));
}

#[test]
fn half_a_surrogate_pair_reads_as_the_replacement_character_and_is_forwarded_as_it_came() {
    for (text, expected) in [
        (r#""\ud800""#, "\u{FFFD}"),
        (r#""\uDFFFx""#, "\u{FFFD}x"),
        (r#""a\ud83d\ud83d\ude00b""#, "a\u{FFFD}\u{1F600}b"),
        (r#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"),
        (r#""\ud83d\n""#, "\u{FFFD}\n"),
        (r#""\\ud83d\ud83d""#, "\\ud83d\u{FFFD}"),
        (r#""\ud83d\u0041""#, "\u{FFFD}A"),
    ] {
        let raw = scan(text, 64).expect("JavaScript accepts it").span.raw(text);
        assert_eq!(unescape(raw).as_deref(), Some(expected), "{text}");
        assert_eq!(raw.as_str(), text);
    }
    for text in [r#""\ud83"#, r#""\ud83d"#, r#""\ud83d\""#, r#"["\ud83d\u12"]"#, r#"\ud83d"#, r#"["\ud83d",]"#] {
        assert!(!accepts(text), "{text}");
    }
}

/// Packed by hand: one text a line would be 60 lines.
#[rustfmt::skip]
const JSON: &[&str] = &[
    "null", "true", "false", "0", "-0", "7", "-7", "10", "0.1", "-0.0e-0", "0e1", "0E+1", "1E5", "1e-999", "1.5e+03",
    "0e999999999999", "123456789012345680000", "-123456789012345680000", "9007199254740993", "1.000000000000000000005",
    "\"\"", "\"a\"", "\"\u{7F}\"", "\"\u{80}\"", "\"\u{85}\u{2028}\u{2029}\"", "\"\u{FEFF}\"", "\"\u{10FFFF}\u{1F600}\"",
    "\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"", "\"/\"", "\"'\"", "\"\\u0000\"", "\"\\uD83D\\uDE00\"", "\"\\ud83d\"", "\"\\\\u0\"",
    "\"[1,{\"", "\"// x\"", "[]", "{}", "[[]]", "[{}]", "[ ]", "{ }", "[\t\r\n ]", "[1,2]", "[ 1 , 2 ]", "[[],[]]", "[null,1,\"1\",{}]",
    "{\"\":{\"\":[]}}", "{\"a\":1,\"a\":2}", "{\"a\":{},\"b\":[]}", "{\"__proto__\":{\"toString\":1}}", "{\"\\u0061\\n\":0}",
    "{\"a\" : 1 , \"b\" :\t2 }", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
];

/// Each breaks the grammar in a way of its own, and in a way that nothing around it can mend.
#[rustfmt::skip]
const NOT_JSON: &[&str] = &[
    "{", "[", "{]", "[}", "[1}", "{\"a\":1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1,,\"b\":2}", "{,\"a\":1}", "[1,]", "[,1]", "[,]", "[1,,2]",
    "{,}", "[1 2]", "{\"a\" 1}", "{\"a\"::1}", "{\"a\",1}", "{\"a\":1:2}", "[1:2]", "[\"a\":1]", "{a:1}", "{'a':1}", "{1:2}", "{null:1}", "{[]:1}",
    "{\"a\":1 \"b\":2}", "{\"a\":1,2}", "{\"a\":1,\"b\"}", "{\"a\n\":1}", "{\"\\q\":1}", "[\"a\"\"b\"]", "[[]1]", "[1[]]", "[{}{}]", "[null true]",
    "\"", "\"a", "a\"", "\"a\"b", "\"\\\"", "\"\\x\"", "\"\\U0041\"", "\"\\\u{0}\"", "\"\\é\"", "\"\\u\"", "\"\\u1\"", "\"\\u12\"", "\"\\u123\"",
    "\"\\u12G4\"", "\"\\u-123\"", "\"\\u+123\"", "\"\\u 123\"", "\"\\ud83d\\u\"", "\"\\'\"", "'a'", "`a`", "\"\n\"", "\"\t\"", "\"\r\"", "\"\u{0}\"", "\"\u{1F}\"",
    "\"a\tb\"", "\"0123456789abcdef\u{1F}0123456789abcdef\"", "nul", "nulll", "NULL", "Null", "tru", "truee", "True", "fals", "falsee", "nan", "NaN", "-NaN",
    "Infinity", "-Infinity", "inf", "undefined", "-", "--1", "+1", "+", "01", "-01", "00", "-00", "0123", "0_0", "1_000", "1.", "-1.", ".5", "-.5", "1.e3", ".e1",
    "1..2", "1.2.3", "1e", "1e+", "1E-", "1ee2", "1e+-2", "1e5.5", "1e1e1", "1-", "1+2", "1.5e", "-e1", "0x10", "0b1", "0o7", "1f", "1L", "1a", "１", "٣", "²",
    "// c\n1", "/**/1", "1/**/", "#", "#1", "\u{FEFF}1", "1\u{FEFF}", "\u{A0}1", "\u{85}1", "\u{2028}1", "\u{B}1", "\u{C}1", "\u{0}1", "1\u{0}", "\u{0}", "\u{1}", "\u{7F}",
    "{\"a\":undefined}", "{\u{A0}}", "[\u{0}]", "[1\u{B}]", "[1\u{C}]", "x{}", "{}x", "[]x", "nullx", "(1)", "<1>", "=1", "!", "$", "@", "\\u0031", "\\", "é", "*", "&", "...",
];
