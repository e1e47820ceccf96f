//! Random texts, whole and damaged: the same verdicts as serde_json and simd-json, and the spans that serde_json finds.

use serde_json::value::RawValue;

use super::*;

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

fn check_spans(text: &str) {
    match scan(text, 64).expect("valid").kind {
        Kind::Object => {
            let expected: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(text).expect("valid");
            let seen = members(text);
            assert_eq!(seen.len(), expected.len(), "{text}");
            for (key, span) in seen {
                assert_eq!(span, expected[&key].get(), "{text}");
                check_spans(span);
            }
        }
        Kind::Array => {
            let expected: Vec<&RawValue> = serde_json::from_str(text).expect("valid");
            let expected: Vec<_> = expected.into_iter().map(RawValue::get).collect();
            let seen = elements(text);
            assert_eq!(seen, expected, "{text}");
            seen.into_iter().for_each(check_spans);
        }
        _ => assert_eq!(scan(text, 64).expect("valid").span.raw(text).as_str(), text.trim()),
    }
}

/// Whether simd-json takes it. It refuses halves of surrogate pairs, which no text here has.
fn simd_json_accepts(text: &str) -> bool {
    let mut bytes = text.as_bytes().to_vec();
    simd_json::to_tape(&mut bytes).is_ok()
}

#[test]
fn spans_of_random_texts_are_those_that_serde_json_finds() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..2_000 {
        let mut text = String::new();
        write_random(&mut random, 0, &mut text);
        assert!(accepts(&text), "{text}");
        check_spans(&text);
    }
}

#[test]
fn damaged_texts_are_judged_as_serde_json_and_simd_json_judge_them() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..20_000 {
        let mut text = String::new();
        write_random(&mut random, 2, &mut text);
        let mut text: Vec<char> = text.chars().collect();
        for _ in 0..random.usize(1..3) {
            let at = random.usize(..=text.len());
            let strange =
                ['{', '}', '[', ']', ':', ',', '"', '\\', '0', '1', '-', '.', 'e', ' ', '\n', 'u', 't', '\u{1}', 'é'];
            match random.u8(..3) {
                0 => text.insert(at, *random.choice(&strange).expect("not empty")),
                1 if at < text.len() => drop(text.remove(at)),
                _ if at < text.len() => text[at] = *random.choice(&strange).expect("not empty"),
                _ => {}
            }
        }
        let text: String = text.into_iter().collect();
        // Unlike its raw values, its built ones refuse numbers beyond a double.
        let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let accepted = accepts(&text);
        assert_eq!(accepted, is_json, "serde_json: {text:?}");
        assert_eq!(accepted, simd_json_accepts(&text), "simd-json: {text:?}");
        *if is_json { &mut good } else { &mut bad } += 1;
    }
    assert!(good > 1_000 && bad > 1_000, "{good} good, {bad} bad: the damage proves nothing");
}
