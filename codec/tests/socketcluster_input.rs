//! What clients may send, rule by rule: each test names one behaviour of the server's decoder. The golden transcripts
//! cover what real clients do; this is the rest, the strange and the hostile.

use std::borrow::Cow;

use socketshard_codec::json::{JsonError, JsonLimits};
use socketshard_codec::message::{CallId, ClientMessage, Operation, RawJson};
use socketshard_codec::name::NameLimits;
use socketshard_codec::socketcluster::{DecodeError, Decoder, Dialect, Limits};

fn id(text: &str) -> Option<CallId<'_>> {
    Some(CallId::new(RawJson::from_validated(text)))
}

fn raw(text: &str) -> Option<RawJson<'_>> {
    Some(RawJson::from_validated(text))
}

/// Asserts what one text decodes to.
#[track_caller]
fn assert_messages(text: &str, expected: &[ClientMessage<'_>]) {
    let mut decoder = Decoder::new(Limits::default());
    let messages: Vec<_> = decoder.decode(text).expect("this text is JSON").collect();
    assert_eq!(messages, expected, "{text}");
}

#[track_caller]
fn assert_unknown(text: &str) {
    assert_messages(text, &[ClientMessage::Unknown]);
}

fn invoke<'a>(action: &'a str, data: Option<RawJson<'a>>, call: Option<CallId<'a>>) -> ClientMessage<'a> {
    ClientMessage::Invoke { action: Cow::Borrowed(action), data, call }
}

#[test]
fn pongs_of_every_dialect_are_known_and_nothing_else_is_a_pong() {
    assert_messages("", &[ClientMessage::Pong(Dialect::V2)]);
    assert_messages("#2", &[ClientMessage::Pong(Dialect::V1)]);
    assert_messages("2", &[ClientMessage::Pong(Dialect::V0)]);
    for text in ["1", "3", "22", " 2", "2 ", "\"\"", "\"#2\""] {
        assert_unknown(text);
    }
    let mut decoder = Decoder::new(Limits::default());
    for text in ["#1", "#", "#2 ", " ", "##", "#22"] {
        assert!(matches!(decoder.decode(text), Err(DecodeError::Json(JsonError::Syntax { .. }))), "{text:?}");
    }
}

#[test]
fn a_call_keeps_its_argument_byte_for_byte() {
    let argument = "{ \"a\":[1.0,1e2 ,\"\\u00e9\\/\"] ,\n\"a\":2 }";
    let text = format!("{{\"event\":\"app.echo\",\"data\": {argument}\t,\"cid\":7}}");
    assert_messages(&text, &[invoke("app.echo", raw(argument), id("7"))]);
    let text = format!("{{\"cid\":7,\"event\":\"app.echo\",\"data\":\r\n{argument}\n}}");
    assert_messages(&text, &[invoke("app.echo", raw(argument), id("7"))]);
}

#[test]
fn absent_data_differs_from_null() {
    assert_messages(r#"{"event":"a","cid":1}"#, &[invoke("a", None, id("1"))]);
    assert_messages(r#"{"event":"a","data":null,"cid":1}"#, &[invoke("a", raw("null"), id("1"))]);
    let publish = |data| ClientMessage::Publish { channel: Cow::Borrowed("c"), data, call: None };
    assert_messages(r##"{"event":"#publish","data":{"channel":"c"}}"##, &[publish(None)]);
    assert_messages(r##"{"event":"#publish","data":{"channel":"c","data":null}}"##, &[publish(raw("null"))]);
    let reply = |outcome| ClientMessage::Reply { call: CallId::new(RawJson::from_validated("3")), outcome };
    assert_messages(r#"{"rid":3}"#, &[reply(Ok(None))]);
    assert_messages(r#"{"rid":3,"data":null}"#, &[reply(Ok(raw("null")))]);
    assert_messages(r#"{"rid":3,"error":null}"#, &[reply(Ok(None))]);
    assert_messages(r#"{"rid":3,"error":"x","data":1}"#, &[reply(Err(RawJson::from_validated("\"x\"")))]);
}

#[test]
fn call_ids_are_numbers_or_strings_and_come_back_as_they_were() {
    for cid in ["0", "7", "-1", "1.5", "1e3", "\"7\"", "\"\"", "\"\\u0031\"", "9007199254740993"] {
        let text = format!(r#"{{"event":"a","cid":{cid}}}"#);
        assert_messages(&text, &[invoke("a", None, id(cid))]);
        let text = format!(r#"{{"rid":{cid}}}"#);
        let call = id(cid).expect("an id");
        assert_messages(&text, &[ClientMessage::Reply { call, outcome: Ok(None) }]);
    }
    for cid in ["null", "true", "false", "[]", "[1]", "{}", "{\"a\":1}"] {
        let text = format!(r#"{{"event":"a","cid":{cid}}}"#);
        assert_messages(&text, &[invoke("a", None, None)]);
        assert_unknown(&format!(r#"{{"rid":{cid}}}"#));
    }
}

#[test]
fn a_call_whose_id_is_too_long_is_not_acted_on() {
    let longest = "9".repeat(64);
    assert_messages(&format!(r#"{{"event":"a","cid":{longest}}}"#), &[invoke("a", None, id(&longest))]);
    for cid in [format!("{longest}9"), format!("\"{}\"", "x".repeat(63))] {
        assert_unknown(&format!(r#"{{"event":"a","cid":{cid}}}"#));
        assert_unknown(&format!(r##"{{"event":"#subscribe","data":"c","cid":{cid}}}"##));
        assert_unknown(&format!(r#"{{"rid":{cid}}}"#));
    }
}

#[test]
fn whitespace_key_order_and_escapes_change_nothing() {
    let publish =
        || ClientMessage::Publish { channel: Cow::Borrowed("né ws"), data: raw(r#"{"x":[1]}"#), call: id("13") };
    for text in [
        r##"{"event":"#publish","data":{"channel":"né ws","data":{"x":[1]}},"cid":13}"##,
        r##"{"cid": 13, "data": {"channel": "né ws", "data": {"x":[1]}}, "event": "#publish"}"##,
        "\n{\n\t\"event\" : \"#publish\" ,\r\n \"data\" : { \"data\" : {\"x\":[1]} , \"channel\" : \"né ws\" } ,\n \"cid\" : 13\n}\n",
        r##"{"\u0065vent":"\u0023publish","d\u0061ta":{"chann\u0065l":"n\u00e9\u0020ws","\u0064ata":{"x":[1]}},"c\u0069d":13}"##,
        r##"{"other":{"event":"x","cid":[]},"event":"#publish","data":{"channel":"né ws","data":{"x":[1]},"z":[{}]},"cid":13,"y":0}"##,
    ] {
        assert_messages(text, &[publish()]);
    }
}

#[test]
fn of_a_repeated_key_the_last_counts() {
    assert_messages(
        r#"{"event":"a","data":1,"cid":1,"event":"b","data":{"x":2},"cid":"2"}"#,
        &[invoke("b", raw(r#"{"x":2}"#), id("\"2\""))],
    );
    // Also when its type makes the field count as absent.
    assert_messages(r#"{"event":"a","cid":1,"cid":null}"#, &[invoke("a", None, None)]);
    assert_unknown(r#"{"event":"a","event":5}"#);
    assert_messages(
        r##"{"event":"#publish","data":{"channel":"a","channel":"b","data":1,"data":2}}"##,
        &[ClientMessage::Publish { channel: Cow::Borrowed("b"), data: raw("2"), call: None }],
    );
    assert_messages(
        r##"{"event":"#handshake","data":{"authToken":"x","authToken":null},"cid":1}"##,
        &[ClientMessage::Handshake { call: id("1"), token: None }],
    );
}

#[test]
fn what_is_no_packet_is_unknown() {
    for text in [
        "123",
        "null",
        "true",
        "\"str\"",
        "{}",
        r#"{"foo":1}"#,
        r#"{"event":5,"cid":7}"#,
        r#"{"event":null}"#,
        r#"{"event":["a"]}"#,
        r#"{"event":"","data":3,"cid":7}"#,
        r#"{"data":1}"#,
        r#"{"cid":1}"#,
        r#"{"Event":"a"}"#,
        r#"{"event ":"a"}"#,
        r#"{"error":"x"}"#,
        r#"{"rid":null,"data":1}"#,
    ] {
        assert_unknown(text);
    }
}

#[test]
fn an_event_wins_over_an_answer_and_a_strange_event_does_not() {
    assert_messages(r#"{"event":"a","rid":1}"#, &[invoke("a", None, None)]);
    let reply = ClientMessage::Reply { call: CallId::new(RawJson::from_validated("1")), outcome: Ok(None) };
    assert_messages(r#"{"event":7,"rid":1}"#, &[reply]);
}

#[test]
fn broken_json_is_an_error_and_nothing_before_the_break_is_seen() {
    let mut decoder = Decoder::new(Limits::default());
    for text in [
        "hello",
        "{\"a\":",
        "{",
        "[",
        "undefined",
        "{\"event\":\"a\"}x",
        "[{\"event\":\"a\"},]",
        "{\"event\":\"a\",}",
        "[{\"event\":\"a\"}",
        "{'event':'a'}",
        "\u{FEFF}{\"event\":\"a\"}",
        "{\"event\":\"a\",\"data\":01}",
        "{\"event\":\"a\",\"data\":1}{\"event\":\"b\"}",
        "{\"event\":\"a\n\"}",
        "{\"event\":\"\\x61\"}",
        "  ",
    ] {
        assert!(matches!(decoder.decode(text), Err(DecodeError::Json(JsonError::Syntax { .. }))), "{text:?}");
    }
}

#[test]
fn nesting_is_bounded() {
    let mut decoder = Decoder::new(Limits::default());
    let nested = |depth: usize| format!(r#"{{"event":"a","data":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(decoder.decode(&nested(63)).expect("64 levels with the packet's own").count(), 1);
    let too_deep = DecodeError::Json(JsonError::TooDeep { depth_max: 64 });
    assert_eq!(decoder.decode(&nested(64)).map(Iterator::count), Err(too_deep));
    assert_eq!(decoder.decode(&nested(100_000)).map(Iterator::count), Err(too_deep));
    assert_eq!(decoder.decode("{}").expect("and it still works").count(), 1);
}

#[test]
fn a_batch_is_decoded_in_order() {
    assert_messages(
        r##" [ {"event":"#handshake","cid":1} ,{"event":"a","data":[{},[]],"cid":2}, {"event":"#subscribe","data":"c"}]"##,
        &[
            ClientMessage::Handshake { call: id("1"), token: None },
            invoke("a", raw("[{},[]]"), id("2")),
            ClientMessage::Subscribe { channel: Cow::Borrowed("c"), data: None, call: None },
        ],
    );
    assert_messages("[]", &[]);
}

#[test]
fn elements_of_a_batch_that_are_no_packets_are_unknown_each() {
    use ClientMessage::Unknown;
    assert_messages(
        r##"[1,"",{"event":"a"},"#2",null,[{"event":"b"}],{}]"##,
        &[Unknown, Unknown, invoke("a", None, None), Unknown, Unknown, Unknown, Unknown],
    );
}

#[test]
fn a_batch_has_at_most_its_limit_of_packets() {
    let mut decoder = Decoder::new(Limits { batch_messages_max: 3, ..Limits::default() });
    assert_eq!(decoder.decode("[{},{},{}]").expect("three").count(), 3);
    let refused = DecodeError::BatchTooLong { batch_messages_max: 3 };
    assert_eq!(decoder.decode("[{},{},{},{}]").map(Iterator::count), Err(refused));
    assert_eq!(
        decoder.decode("[[{},{},{},{}]]").expect("one element, no packet").collect::<Vec<_>>(),
        [ClientMessage::Unknown]
    );
}

#[test]
fn a_batch_says_how_many_messages_are_left() {
    let mut decoder = Decoder::new(Limits::default());
    let mut messages = decoder.decode("[1,2,3]").expect("JSON");
    assert_eq!(messages.len(), 3);
    messages.next();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages.by_ref().count(), 2);
    assert_eq!((messages.len(), messages.next()), (0, None));
}

#[test]
fn subscribe_takes_a_bare_name_or_an_object() {
    let subscribe = |data, call| ClientMessage::Subscribe { channel: Cow::Borrowed("c"), data, call };
    assert_messages(r##"{"event":"#subscribe","data":"c","cid":2}"##, &[subscribe(None, id("2"))]);
    assert_messages(r##"{"event":"#subscribe","data":{"channel":"c"}}"##, &[subscribe(None, None)]);
    assert_messages(
        r##"{"event":"#subscribe","data":{"waitForAuth":true,"data":{"from":7},"channel":"c","batch":true},"cid":2}"##,
        &[subscribe(raw(r#"{"from":7}"#), id("2"))],
    );
}

#[test]
fn requests_with_a_wrong_argument_are_malformed() {
    let wrong = ["", r#","data":null"#, r#","data":5"#, r#","data":[]"#, r#","data":{}"#, r#","data":{"channel":5}"#];
    for argument in wrong {
        for (event, operation) in [
            ("#subscribe", Operation::Subscribe),
            ("#unsubscribe", Operation::Unsubscribe),
            ("#publish", Operation::Publish),
        ] {
            let text = format!(r#"{{"event":"{event}"{argument},"cid":2}}"#);
            assert_messages(&text, &[ClientMessage::Malformed { operation, call: id("2") }]);
        }
    }
    let malformed = |operation| ClientMessage::Malformed { operation, call: None };
    assert_messages(r##"{"event":"#unsubscribe","data":{"channel":"c"}}"##, &[malformed(Operation::Unsubscribe)]);
    assert_messages(r##"{"event":"#publish","data":"c"}"##, &[malformed(Operation::Publish)]);
    assert_messages(r##"{"event":"#publish","data":["channel","c"]}"##, &[malformed(Operation::Publish)]);
}

#[test]
fn names_that_break_the_rules_are_malformed() {
    let long = "x".repeat(256);
    for name in ["", "a\\nb", "\\u0000", "\\u009f", &long] {
        for (event, argument, operation) in [
            ("#subscribe", format!("\"{name}\""), Operation::Subscribe),
            ("#subscribe", format!("{{\"channel\":\"{name}\"}}"), Operation::Subscribe),
            ("#unsubscribe", format!("\"{name}\""), Operation::Unsubscribe),
            ("#publish", format!("{{\"channel\":\"{name}\",\"data\":1}}"), Operation::Publish),
        ] {
            let text = format!(r#"{{"event":"{event}","data":{argument},"cid":1}}"#);
            assert_messages(&text, &[ClientMessage::Malformed { operation, call: id("1") }]);
        }
    }
    for action in ["a\\tb", "\\u007f", &long] {
        let text = format!(r#"{{"event":"{action}","cid":1}}"#);
        assert_messages(&text, &[ClientMessage::Malformed { operation: Operation::Invoke, call: id("1") }]);
    }
    assert_messages(&format!(r#"{{"event":"{}"}}"#, &long[1..]), &[invoke(&long[1..], None, None)]);
}

#[test]
fn the_names_limits_are_those_given() {
    let names = NameLimits { channel_name_bytes_max: 2, action_name_bytes_max: 3 };
    let mut decoder = Decoder::new(Limits { names, json: JsonLimits { depth_max: 2 }, ..Limits::default() });
    let text = r##"[{"event":"abc"},{"event":"abcd"},{"event":"#subscribe","data":"ab"},{"event":"#subscribe","data":"abc"}]"##;
    let malformed = |operation| ClientMessage::Malformed { operation, call: None };
    assert_eq!(
        decoder.decode(text).expect("JSON").collect::<Vec<_>>(),
        [
            invoke("abc", None, None),
            malformed(Operation::Invoke),
            ClientMessage::Subscribe { channel: Cow::Borrowed("ab"), data: None, call: None },
            malformed(Operation::Subscribe),
        ]
    );
    assert!(decoder.decode("[[[]]]").is_err());
}

#[test]
fn names_of_javascripts_object_prototype_are_plain_strings() {
    for name in ["toString", "__proto__", "constructor", "prototype", "hasOwnProperty", "valueOf", "then"] {
        assert_messages(&format!(r#"{{"event":"{name}","cid":1}}"#), &[invoke(name, None, id("1"))]);
        let subscribe = ClientMessage::Subscribe { channel: Cow::Borrowed(name), data: None, call: None };
        assert_messages(&format!(r##"{{"event":"#subscribe","data":"{name}"}}"##), &[subscribe]);
        assert_unknown(&format!(r#"{{"{name}":{{"event":"a"}}}}"#));
    }
}

#[test]
fn reserved_events_that_we_do_not_know_are_calls() {
    for name in ["#foo", "#kickOut", "#setAuthToken", "#", "#Handshake", "#publish "] {
        let text = format!(r#"{{"event":"{name}","data":1,"cid":2}}"#);
        assert_messages(&text, &[invoke(name, raw("1"), id("2"))]);
    }
}

#[test]
fn a_handshake_may_come_without_a_token_or_without_an_id() {
    let handshake = |call, token| ClientMessage::Handshake { call, token };
    for data in ["", r#","data":null"#, r#","data":{}"#, r#","data":{"authToken":null}"#, r#","data":{"authToken":5}"#]
    {
        assert_messages(&format!(r##"{{"event":"#handshake"{data},"cid":1}}"##), &[handshake(id("1"), None)]);
        assert_messages(&format!(r##"{{"event":"#handshake"{data}}}"##), &[handshake(None, None)]);
    }
    let token = Some(Cow::Borrowed("a.b/c"));
    assert_messages(r##"{"event":"#handshake","data":{"authToken":"a.b\/c"},"cid":1}"##, &[handshake(id("1"), token)]);
}

#[test]
fn a_token_is_a_string_or_nothing() {
    let authenticate = |token| ClientMessage::Authenticate { token, call: id("3") };
    assert_messages(
        r##"{"event":"#authenticate","data":"a.b.c","cid":3}"##,
        &[authenticate(Some(Cow::Borrowed("a.b.c")))],
    );
    assert_messages(r##"{"event":"#authenticate","data":null,"cid":3}"##, &[authenticate(None)]);
    assert_messages(r##"{"event":"#authenticate","cid":3}"##, &[authenticate(None)]);
    let malformed = ClientMessage::Malformed { operation: Operation::Authenticate, call: id("3") };
    for data in ["12", "true", "[]", r#"{"authToken":"abc"}"#] {
        assert_messages(
            &format!(r##"{{"event":"#authenticate","data":{data},"cid":3}}"##),
            std::slice::from_ref(&malformed),
        );
    }
    assert_messages(r##"{"event":"#removeAuthToken"}"##, &[ClientMessage::RemoveAuthToken]);
}

#[test]
fn a_disconnect_has_a_code_that_a_close_frame_may_carry() {
    for (code, expected) in [
        ("1000", 1000),
        ("1001", 1001),
        ("3000", 3000),
        ("4501", 4501),
        ("4999", 4999),
        ("1005", 1000),
        ("1006", 1000),
        ("1015", 1000),
        ("0", 1000),
        ("999", 1000),
        ("5000", 1000),
        ("70000", 1000),
        ("-1", 1000),
        ("1000.5", 1000),
        ("null", 1000),
        ("\"4000\"", 1000),
    ] {
        let text = format!(r##"{{"event":"#disconnect","data":{{"code":{code},"data":"bye"}}}}"##);
        assert_messages(&text, &[ClientMessage::Disconnect { code: expected, reason: Some(Cow::Borrowed("bye")) }]);
    }
    let without = ClientMessage::Disconnect { code: 1000, reason: None };
    for text in [r##"{"event":"#disconnect"}"##, r##"{"event":"#disconnect","data":{"data":5}}"##] {
        assert_messages(text, std::slice::from_ref(&without));
    }
}

#[test]
fn a_binary_message_with_json_counts_as_text() {
    let mut decoder = Decoder::new(Limits::default());
    let messages: Vec<_> = decoder.decode_binary(br#"{"event":"square","data":6,"cid":2}"#).expect("JSON").collect();
    assert_eq!(messages, [invoke("square", raw("6"), id("2"))]);
    assert_eq!(decoder.decode_binary(b"{\"event\":\"\xFF\"}").map(Iterator::count), Err(DecodeError::NotText));
    assert_eq!(decoder.decode_binary(b"\xED\xA0\x80").map(Iterator::count), Err(DecodeError::NotText));
    assert_eq!(decoder.decode_binary(b"").expect("an empty pong").count(), 1);
}

#[test]
fn a_payload_with_half_a_surrogate_pair_is_forwarded_as_it_came() {
    let data = r#"{"text":"cut \ud83d"}"#;
    let text = format!(r##"{{"event":"#publish","data":{{"channel":"c","data":{data}}},"cid":1}}"##);
    assert_messages(&text, &[ClientMessage::Publish { channel: Cow::Borrowed("c"), data: raw(data), call: id("1") }]);
    // In a name it reads as the character that stands for what could not be read.
    assert_messages(r#"{"event":"a\udc00"}"#, &[invoke("a\u{FFFD}", None, None)]);
}

#[test]
fn messages_outlive_the_iterator_and_borrow_from_the_text() {
    let text = String::from(r##"{"event":"#publish","data":{"channel":"c","data":[1, 2]}}"##);
    let mut decoder = Decoder::new(Limits::default());
    let message = decoder.decode(&text).expect("JSON").next().expect("one");
    let ClientMessage::Publish { channel: Cow::Borrowed("c"), data: Some(data), .. } = message else {
        panic!("{message:?}");
    };
    assert!(text.as_bytes().as_ptr_range().contains(&data.as_str().as_ptr()), "the payload is not copied");
}

#[test]
fn errors_say_what_was_wrong() {
    let mut decoder = Decoder::new(Limits { batch_messages_max: 1, ..Limits::default() });
    let mut error = |text: &str| decoder.decode(text).expect_err("refused").to_string();
    assert_eq!(error("{\"a\":x}"), "invalid JSON near byte 5");
    assert_eq!(error(&"[".repeat(70)), "JSON nested deeper than 64 levels");
    assert_eq!(error("[1,2]"), "more than 1 packets in one message");
    assert_eq!(DecodeError::NotText.to_string(), "binary message is not UTF-8");
}
