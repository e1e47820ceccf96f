//! Replays recorded conversations of SocketStream and of SocketCluster 0.9, both directions, through the codec: what each
//! side says is read by the other's half and written again, byte for byte. Counts are asserted, so that nothing is skipped
//! unseen.

use serde_json::Value;
use socketshard_codec::arguments::Arguments;
use socketshard_codec::engineio::{Item, Packet, Reader, Version};
use socketshard_codec::json::JsonLimits;
use socketshard_codec::message::{ClientMessage, RawJson};
use socketshard_codec::socketcluster::{Limits, v09};
use socketshard_codec::socketstream::encode::To;
use socketshard_codec::socketstream::services::{self, Request};
use socketshard_codec::socketstream::{self, Message};

const SOCKETSTREAM: &str = include_str!("../../../tests/data/transcripts/socketstream-0.3.12-engineio.jsonl");
const SERVICES: &str = include_str!("../../../tests/data/transcripts/socketstream-0.4-prism-ws.jsonl");
const SOCKETCLUSTER_09: &str =
    include_str!("../../../tests/data/transcripts/sc-0.9-server0.9.52-client0.9.37-engineio3.jsonl");

fn lines(transcript: &str) -> impl Iterator<Item = Value> {
    transcript.lines().map(|line| serde_json::from_str(line).expect("one object per line"))
}

/// What one side says in messages of WebSockets and in payloads of long-polling.
fn messages(transcript: &str, direction: &str, is_on_engine: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut keep = |text: &str| match Packet::from_text(Version::V3, text) {
        _ if !is_on_engine => found.push(text.to_owned()),
        Some(Packet::Text(message)) => found.push(message.to_owned()),
        Some(_) => {}
        None => panic!("{text} is no packet"),
    };
    for line in lines(transcript).filter(|line| line["dir"] == direction) {
        match (line["t"].as_str(), line["data"].as_str(), line["body"].as_str()) {
            (Some("text"), Some(text), _) => keep(text),
            (Some("http"), _, Some(body)) if body.contains(':') => {
                for item in Reader::new(Version::V3, false, body.as_bytes()) {
                    let Ok(Item::Text(text)) = item else { panic!("{body}") };
                    keep(text);
                }
            }
            _ => {}
        }
    }
    found
}

fn list(arguments: Arguments<'_>) -> String {
    format!("[{}]", arguments.text)
}

/// Results as they are written: where a reference answers with several, they stand in the place of one.
fn results<'a>(outcome: Result<Arguments<'a>, RawJson<'a>>) -> Result<Option<RawJson<'a>>, RawJson<'a>> {
    outcome.map(|arguments| (arguments.count > 0).then(|| RawJson::from_validated(arguments.text)))
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("messages are text")
}

#[test]
fn socketstreams_calls_are_read_and_written_as_they_were() {
    let (mut good, mut malformed, mut nothing) = (0, 0, Vec::new());
    for text in messages(SOCKETSTREAM, "c2s", true) {
        match Message::decode(&text, JsonLimits::default()) {
            Some(Message::Call(call)) => {
                let method = call.method.expect("every recorded call names its method");
                let Some(arguments) = call.arguments else {
                    malformed += 1;
                    continue;
                };
                let (list, id) = (list(arguments), call.id.map(|id| id.as_str().parse().expect("clients count")));
                let again = written(|out| {
                    socketstream::client::call(out, &method, id, RawJson::from_validated(&list));
                });
                assert_eq!(again, text);
                good += 1;
            }
            Some(Message::Hello(_)) | None => nothing.push(text),
        }
    }
    assert_eq!((good, malformed), (12, 2));
    assert_eq!(nothing, [r#"1|{"m":"#, r#"7|{"m":"app.square","id":10,"p":[3]}"#, "hello", "|x"]);
}

#[test]
fn what_socketstream_says_is_read_and_written_as_it_was() {
    use socketstream::client::ServerMessage;
    let (mut ready, mut answers, mut errors, mut events) = (0, 0, 0, 0);
    for text in messages(SOCKETSTREAM, "s2c", true) {
        let message = ServerMessage::decode(&text, JsonLimits::default()).unwrap_or_else(|| panic!("{text}"));
        let again = match message {
            ServerMessage::Ready => {
                ready += 1;
                socketstream::encode::READY.to_owned()
            }
            ServerMessage::Answer { id, outcome } => {
                *(if outcome.is_ok() { &mut answers } else { &mut errors }) += 1;
                let id = id.map_or("", RawJson::as_str);
                written(|out| socketstream::encode::answer(out, id, results(outcome)))
            }
            ServerMessage::Event { name, arguments, .. } => {
                events += 1;
                let json = text.strip_prefix("0|").and_then(|text| text.rsplit_once('|')).expect("an event").0;
                let json: Value = serde_json::from_str(json).expect("JSON");
                let name_of = |list: &str| json[list][0].as_str().expect("a name").to_owned();
                let data = results(Ok(arguments)).expect("no error");
                match json["t"].as_str() {
                    Some("all") => written(|out| socketstream::encode::event(out, To::Everyone, &name, data)),
                    Some("user") => written(|out| {
                        socketstream::encode::event(out, To::Users(&[&*name_of("users")]), &name, data);
                    }),
                    Some("channel") => written(|out| {
                        socketstream::encode::event(out, To::Channel(&name_of("channels")), &name, data);
                    }),
                    other => panic!("{other:?}"),
                }
            }
        };
        assert_eq!(again, text);
    }
    assert_eq!((ready, answers, errors, events), (1, 7, 5, 4));
}

#[test]
fn what_is_asked_of_services_is_read_and_written_as_it_was() {
    use services::client;
    let (mut connects, mut discoveries, mut calls, mut nothing) = (0, 0, 0, Vec::new());
    for text in messages(SERVICES, "c2s", false) {
        let number = |callback: &str| callback.parse().expect("clients count");
        let again = match Request::decode(&text, JsonLimits::default()) {
            Some(Request::Connect { callback }) => {
                connects += 1;
                written(|out| client::connect(out, number(callback)))
            }
            Some(Request::Discover { callback }) => {
                discoveries += 1;
                written(|out| client::discover(out, number(callback)))
            }
            Some(Request::Call { callback, call }) => {
                calls += 1;
                let (method, list) = (call.method.expect("a method"), list(call.arguments.expect("arguments")));
                let callback = callback.parse().ok();
                written(|out| client::call(out, &method, callback, RawJson::from_validated(&list)))
                    // The bare client says so where it has no callback.
                    .replace("1||", if text.starts_with("1|0|") { "1|0|" } else { "1||" })
            }
            None => {
                nothing.push(text);
                continue;
            }
        };
        assert_eq!(again, text);
    }
    assert_eq!((connects, discoveries, calls), (2, 1, 9));
    let others = ["3|hello|with|pipes", "4|1|plain text", r#"0|2|{"c":"nosuch"}"#, "9|1|x", "hello", r#"1|3|{"m""#];
    assert_eq!(nothing, others);
}

#[test]
fn what_services_say_is_read_and_written_as_it_was() {
    use services::client::ServerMessage;
    let (mut system, mut answers, mut errors, mut events, mut others) = (0, 0, 0, 0, Vec::new());
    for text in messages(SERVICES, "s2c", false) {
        let again = match ServerMessage::decode(&text, JsonLimits::default()) {
            Some(ServerMessage::System { callback, json }) => {
                system += 1;
                let said: Value = serde_json::from_str(json.as_str()).expect("JSON");
                let Some(session) = said["sessionId"].as_str() else {
                    // The list of services, with sources that are not ours.
                    assert_eq!(
                        (said[0]["params"]["id"].as_u64(), said[1]["params"]["id"].as_u64()),
                        (Some(1), Some(2))
                    );
                    let ours = written(|out| services::encode::discovered(out, callback));
                    let ours: Value = serde_json::from_str(ours.trim_start_matches("0|2|")).expect("JSON");
                    for service in 0..2 {
                        assert_eq!(said[service]["params"], ours[service]["params"]);
                    }
                    continue;
                };
                written(|out| services::encode::connected(out, callback, session))
            }
            Some(ServerMessage::Answer { callback, outcome }) => {
                *(if outcome.is_ok() { &mut answers } else { &mut errors }) += 1;
                written(|out| services::encode::answer(out, callback, results(outcome)))
            }
            Some(ServerMessage::Event { name, arguments }) => {
                events += 1;
                let data = results(Ok(arguments)).expect("no error");
                written(|out| services::encode::event(out, &name, data))
            }
            None => {
                others.push(text);
                continue;
            }
        };
        assert_eq!(again, text);
    }
    assert_eq!((system, answers, errors, events), (3, 5, 3, 1));
    assert_eq!(others, ["3|raw:hello|with|pipes", "4|1|got|plain text"]);
}

#[test]
fn packets_of_socketcluster_09_are_read_and_written_as_they_were() {
    let count = |direction| {
        let messages = messages(SOCKETCLUSTER_09, direction, true);
        for text in &messages {
            let packet = v09::Packet::decode(text, JsonLimits::default()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(written(|out| packet.write(out)), *text);
        }
        messages.len()
    };
    assert_eq!((count("c2s"), count("s2c")), (9, 10));
}

#[test]
fn what_clients_of_socketcluster_09_want_is_understood() {
    let texts = messages(SOCKETCLUSTER_09, "c2s", true);
    let limits = Limits::default();
    let kinds: Vec<_> = texts
        .iter()
        .map(|text| match v09::decode(text, &limits) {
            Some(v09::Message::Ready { call: Some(_) }) => "ready",
            Some(v09::Message::Common(ClientMessage::Invoke { .. })) => "invoke",
            Some(v09::Message::Common(ClientMessage::Subscribe { .. })) => "subscribe",
            Some(v09::Message::Common(ClientMessage::Publish { data: Some(_), .. })) => "publish",
            Some(v09::Message::Common(ClientMessage::Unsubscribe { .. })) => "unsubscribe",
            Some(v09::Message::Common(ClientMessage::Reply { outcome: Ok(Some(_)), .. })) => "reply",
            other => panic!("{text}: {other:?}"),
        })
        .collect();
    let expected = ["ready", "ready", "invoke", "invoke", "invoke", "reply", "subscribe", "publish", "unsubscribe"];
    assert_eq!(kinds, expected);
}
