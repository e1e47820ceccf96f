//! The short way for usual packets against the general one: it is taken where it should be, and what it takes means the
//! same. A space behind the first brace changes no meaning and makes the short way step aside.

use super::super::{Decoder, Limits, client};
use super::*;

/// Whether the short way takes this packet whole.
fn is_usual(text: &str) -> bool {
    Usual::of_text(text, JsonLimits::default()).is_some()
}

/// Both ways agree on what clients and what servers mean by this packet.
#[track_caller]
fn check(text: &str, depth_max: usize) {
    let limits = Limits { json: JsonLimits { depth_max }, ..Limits::default() };
    let spaced = text.replacen('{', "{ ", 1);
    let (mut short, mut general) = (Decoder::new(limits), Decoder::new(limits));
    let alone = Decoder::new(limits);
    let alone = alone.decode_event(text);
    match (short.decode(text), general.decode(&spaced)) {
        (Ok(short), Ok(general)) => {
            let short: Vec<_> = short.collect();
            assert_eq!(short, general.collect::<Vec<_>>(), "{text}");
            assert!(alone.is_none_or(|alone| short == [alone]), "{text}");
        }
        (Err(_), Err(_)) if alone.is_some() => panic!("{text} is refused"),
        (Err(short), Err(general)) => assert_eq!(short, earlier(general, text), "{text}"),
        (short, general) => panic!("{text}: {short:?}, {general:?}"),
    }
    let (mut short, mut general) = (client::Decoder::new(limits), client::Decoder::new(limits));
    match (short.decode(text), general.decode(&spaced)) {
        (Ok(short), Ok(general)) => {
            assert_eq!(short.collect::<Vec<_>>(), general.collect::<Vec<_>>(), "{text}");
        }
        (Err(short), Err(general)) => assert_eq!(short, earlier(general, text), "{text}"),
        (short, general) => panic!("{text}: {short:?}, {general:?}"),
    }
}

/// The same error without the space.
fn earlier(error: DecodeError, text: &str) -> DecodeError {
    match error {
        DecodeError::Json(JsonError::Syntax { at }) if text.find('{').is_some_and(|brace| at > brace) => {
            DecodeError::Json(JsonError::Syntax { at: at - 1 })
        }
        error => error,
    }
}

const USUAL: &[&str] = &[
    r#"{"event":"app.echo","data":"abc","cid":123}"#,
    r#"{"event":"app.echo","data":{"channel":"x","data":[1,2.5e3,{"a":null}]},"cid":-0}"#,
    r#"{"event":"app.echo","data":"\n\u0041\"","cid":1.5}"#,
    r#"{"event":"né ws"}"#,
    r#"{"event":""}"#,
    r#"{"event":"a","cid":1}"#,
    r#"{"event":"a","data":[]}"#,
    r##"{"event":"#publish","data":{"channel":"news","data":{"x":[true]}},"cid":9}"##,
    r##"{"event":"#publish","data":{"channel":"news","data":"\\"}}"##,
    r##"{"event":"#publish","data":{"channel":""}}"##,
    r##"{"event":"#subscribe","data":{"channel":"news","data":1},"cid":2}"##,
    r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##,
];

const UNUSUAL: &[&str] = &[
    r#"{"event":"a","cid":"1"}"#,
    r#"{"event":"a","cid":1,"data":2}"#,
    r#"{"event":"a","data":1,"data":2}"#,
    r#"{"event":"a","event":"b"}"#,
    r#"{"event":"a","cid":1,"cid":null}"#,
    r#"{"event":"a\u0062"}"#,
    r#"{"event":null,"data":1}"#,
    r#"{"event":"a" }"#,
    r#"{"event":"a","data": 1}"#,
    r#"{"event":"a","data":01}"#,
    r#"{"event":"a","data":1,"cid":01}"#,
    r#"{"event":"a","data":1,"cid":}"#,
    r#"{"event":"a","data":}"#,
    r#"{"event":"a","data":1"#,
    r#"{"event":"a","data":1e999}"#,
    r#"{"event":"a"#,
    "{\"event\":\"a\u{1}\"}",
    r#"{"rid":1,"data":2}"#,
    r##"{"event":"#publish","data":{"channel":"news","data":1,"x":2}}"##,
    r##"{"event":"#publish","data":{"channel":"news","channel":"b"}}"##,
    r##"{"event":"#publish","data":{"channel":"n\u0065ws"}}"##,
    r##"{"event":"#publish","data":{"channel":5}}"##,
    r##"{"event":"#publish","cid":5}"##,
    r##"{"event":"#publish","data":{"channel":"a"},"data":null}"##,
    r##"{"event":"#subscribe","data":"news","cid":2}"##,
    r##"{"event":"#unsubscribe","data":"n\u0065ws","cid":2}"##,
    r##"{"event":"#disconnect","data":{"channel":"a","data":"\u0041"}}"##,
    r##"{"event":"#handshake","data":{"authToken":null},"cid":1}"##,
    r##"{"event":"#","data":{"channel":"a"}}"##,
];

#[test]
fn usual_packets_take_the_short_way_and_no_others() {
    for text in USUAL {
        assert!(is_usual(text), "{text}");
        // What follows a packet makes it another text.
        assert!(!is_usual(&format!("{text} ")) && !is_usual(&format!("{text}{text}")), "{text}");
        let decoder = Decoder::new(Limits::default());
        assert_eq!(decoder.decode_event(text).is_some(), !text.contains(r#""event":"""#), "{text}");
    }
    for text in UNUSUAL {
        assert!(!is_usual(text), "{text}");
    }
}

#[test]
fn both_ways_mean_the_same_at_every_depth_limit() {
    for text in USUAL.iter().chain(UNUSUAL) {
        (0..8).for_each(|depth_max| check(text, depth_max));
    }
    for depth in [60, 61, 62, 63, 64, 65] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(&format!(r#"{{"event":"a","data":{nested},"cid":1}}"#), 64);
        check(&format!(r##"{{"event":"#publish","data":{{"channel":"a","data":{nested}}}}}"##), 64);
    }
}

#[test]
fn both_ways_mean_the_same_however_packets_are_damaged() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut short, mut general) = (0, 0);
    let strange: Vec<char> = "{}[]:,\"\\0 1-.eu#é\u{1}\n".chars().collect();
    let texts: Vec<&str> = USUAL.iter().chain(UNUSUAL).copied().collect();
    for _ in 0..20_000 {
        let mut text: Vec<char> = random.choice(&texts).expect("not empty").chars().collect();
        for _ in 0..random.usize(..3) {
            // Behind the first brace, which the test's own space needs.
            let at = random.usize(1..=text.len());
            match random.u8(..4) {
                0 => text.insert(at, *random.choice(&strange).expect("not empty")),
                1 if at < text.len() => drop(text.remove(at)),
                2 if at < text.len() => text[at] = *random.choice(&strange).expect("not empty"),
                _ => {
                    let (from, to) = (random.usize(1..=at), at);
                    let piece: Vec<char> = text[from..to].to_vec();
                    text.splice(to..to, piece);
                }
            }
        }
        let text: String = text.into_iter().collect();
        check(&text, random.usize(1..6));
        *if is_usual_beginning(&text) { &mut short } else { &mut general } += 1;
    }
    assert!(short > 1_000 && general > 1_000, "{short} short, {general} general: the damage proves nothing");
}

fn is_usual_beginning(text: &str) -> bool {
    Scanner::new(text, JsonLimits::default()).is_ok_and(|mut scanner| Usual::read(&mut scanner, text).is_some())
}

#[test]
fn a_batch_mixes_both_ways() {
    let batch = format!("[{}]", USUAL.iter().chain(&[UNUSUAL[0], UNUSUAL[24]]).copied().collect::<Vec<_>>().join(","));
    let spaced = batch.replace("{\"event\"", "{ \"event\"");
    let (mut short, mut general) = (Decoder::new(Limits::default()), Decoder::new(Limits::default()));
    let short: Vec<_> = short.decode(&batch).expect("valid").collect();
    assert_eq!(short.len(), USUAL.len() + 2);
    assert_eq!(short, general.decode(&spaced).expect("valid").collect::<Vec<_>>());
}

#[test]
fn a_refused_text_does_not_spoil_the_next() {
    let mut decoder = Decoder::new(Limits::default());
    for bad in ["[1,2", r#"[{"event":"a\u0062"},"#, r#"{"event":"\q"}"#, r#"{"event":"a","data":[[["#] {
        assert!(decoder.decode(bad).is_err(), "{bad}");
        let messages: Vec<_> = decoder.decode(r#"{"event":"\u0062","cid":7}"#).expect("valid").collect();
        let mut fresh = Decoder::new(Limits::default());
        assert_eq!(messages, fresh.decode(r#"{"event":"b","cid":7}"#).expect("valid").collect::<Vec<_>>());
    }
}

#[test]
fn memory_returns_to_its_bound_after_an_oversized_text() {
    let count = 2 * RETAINED_BYTES_MAX / size_of::<Fields>();
    let fields = format!("[{}0]", "0,".repeat(count));
    let escapes =
        format!(r##"{{"event":"#publish","data":{{"channel":"\n{}"}}}}"##, "x".repeat(2 * RETAINED_BYTES_MAX));
    // Refused ones are no exception.
    let refused = [fields[..fields.len() - 1].to_owned(), format!("[{escapes},")];
    let mut decoder = Decoder::new(Limits { batch_messages_max: usize::MAX, ..Limits::default() });
    for (text, is_good) in [(&fields, true), (&escapes, true), (&refused[0], false), (&refused[1], false)] {
        assert_eq!(decoder.decode(text).is_ok(), is_good);
        assert!(decoder.retained_bytes() > RETAINED_BYTES_MAX, "the text is large enough to matter");
        assert!(decoder.decode("{}").is_ok());
        assert!(decoder.retained_bytes() < 1_000, "{}", decoder.retained_bytes());
    }
}
