//! What clients sent: understood as serde_json and the protocol's tables understand it, and written again by the
//! client's encoder.

use std::borrow::Cow;

use serde_json::{Value, value::RawValue};
use socketshard_codec::message::{CallId, ClientMessage, Operation, RawJson};
use socketshard_codec::socketcluster::{DecodeError, Decoder, Dialect, Limits, client};

use crate::{Counts, V0, V1, V2, counts, texts, texts_of_steps};

/// What a message is, in one word; an error too.
fn kind(message: &ClientMessage<'_>) -> &'static str {
    match message {
        ClientMessage::Handshake { .. } => "handshake",
        ClientMessage::Invoke { .. } => "invoke",
        ClientMessage::Subscribe { .. } => "subscribe",
        ClientMessage::Unsubscribe { .. } => "unsubscribe",
        ClientMessage::Publish { .. } => "publish",
        ClientMessage::Authenticate { .. } => "authenticate",
        ClientMessage::RemoveAuthToken => "remove token",
        ClientMessage::Reply { .. } => "reply",
        ClientMessage::Disconnect { .. } => "disconnect",
        ClientMessage::Pong(_) => "pong",
        ClientMessage::Malformed { .. } => "malformed",
        ClientMessage::Unknown => "unknown",
    }
}

fn raw(value: Option<&RawValue>) -> Option<RawJson<'_>> {
    value.map(|value| RawJson::from_validated(value.get()))
}

/// The fields of a packet as serde_json reads them, payloads as source text.
#[derive(Default, serde::Deserialize)]
struct Packet<'a> {
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Channel<'a> {
    channel: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

/// `null` is data, too.
fn present<'a, D: serde::Deserializer<'a>>(source: D) -> Result<Option<&'a RawValue>, D::Error> {
    serde::Deserialize::deserialize(source).map(Some)
}

/// What the protocol's tables say that a client's packet means.
fn expected_message<'a>(packet: &Packet<'a>) -> ClientMessage<'a> {
    let call = raw(packet.cid).map(CallId::new);
    let data = raw(packet.data);
    let string = |value: Option<&'a RawValue>| value.and_then(|value| serde_json::from_str::<String>(value.get()).ok());
    let channel = packet.data.and_then(|data| serde_json::from_str::<Channel<'a>>(data.get()).ok());
    let Some(event) = string(packet.event) else {
        let Some(rid) = packet.rid else { return ClientMessage::Unknown };
        let call = CallId::new(RawJson::from_validated(rid.get()));
        return ClientMessage::Reply { call, outcome: raw(packet.error).map_or(Ok(data), Err) };
    };
    let malformed = |operation| ClientMessage::Malformed { operation, call };
    match (event.as_str(), string(packet.data), channel) {
        ("", ..) => ClientMessage::Unknown,
        ("#handshake", ..) => {
            let value = packet.data.map(|data| serde_json::from_str::<Value>(data.get()).expect("valid"));
            let token = value.and_then(|value| Some(Cow::Owned(value.get("authToken")?.as_str()?.to_owned())));
            ClientMessage::Handshake { call, token }
        }
        ("#subscribe", Some(channel), _) => ClientMessage::Subscribe { channel: channel.into(), data: None, call },
        ("#subscribe", None, Some(Channel { channel: Some(channel), data })) => {
            ClientMessage::Subscribe { channel: channel.into(), data: raw(data), call }
        }
        ("#subscribe", ..) => malformed(Operation::Subscribe),
        ("#unsubscribe", Some(channel), _) => ClientMessage::Unsubscribe { channel: channel.into(), call },
        ("#unsubscribe", ..) => malformed(Operation::Unsubscribe),
        ("#publish", _, Some(Channel { channel: Some(channel), data })) => {
            ClientMessage::Publish { channel: channel.into(), data: raw(data), call }
        }
        ("#publish", ..) => malformed(Operation::Publish),
        ("#authenticate", token @ Some(_), _) => ClientMessage::Authenticate { token: token.map(Cow::Owned), call },
        ("#authenticate", ..) if data.is_none_or(|data| data == RawJson::NULL) => {
            ClientMessage::Authenticate { token: None, call }
        }
        ("#authenticate", ..) => malformed(Operation::Authenticate),
        ("#removeAuthToken", ..) => ClientMessage::RemoveAuthToken,
        ("#disconnect", ..) => {
            let value: Value = serde_json::from_str(packet.data.expect("has data").get()).expect("valid");
            let code = u16::try_from(value["code"].as_u64().expect("a code")).expect("a small one");
            ClientMessage::Disconnect { code, reason: value["data"].as_str().map(|text| text.to_owned().into()) }
        }
        _ => ClientMessage::Invoke { action: event.into(), data, call },
    }
}

/// What a whole client message means by those tables; `None` where it is no JSON.
fn expected_messages(text: &str) -> Option<Vec<ClientMessage<'_>>> {
    match text {
        "" => return Some(vec![ClientMessage::Pong(Dialect::V2)]),
        "#2" => return Some(vec![ClientMessage::Pong(Dialect::V1)]),
        "2" => return Some(vec![ClientMessage::Pong(Dialect::V0)]),
        _ => {}
    }
    let packets: Vec<&RawValue> = match serde_json::from_str::<Value>(text).ok()? {
        Value::Array(_) => serde_json::from_str(text).expect("an array"),
        _ => vec![serde_json::from_str(text).expect("valid")],
    };
    let meaning = |packet: &&'_ RawValue| serde_json::from_str::<Value>(packet.get()).expect("valid").is_object();
    Some(
        packets
            .iter()
            .map(|packet| match meaning(packet) {
                true => expected_message(&serde_json::from_str(packet_text(text, packet)).expect("an object")),
                false => ClientMessage::Unknown,
            })
            .collect(),
    )
}

/// The same packet as a slice of the whole text, which lives longer than the list that it was found in.
fn packet_text<'a>(text: &'a str, packet: &RawValue) -> &'a str {
    let start = packet.get().as_ptr() as usize - text.as_ptr() as usize;
    &text[start..start + packet.get().len()]
}

fn decode_all(transcript: &str) -> Counts {
    let mut decoder = Decoder::new(Limits::default());
    let mut seen = Counts::new();
    for text in texts(transcript, "c2s") {
        match (decoder.decode(&text), expected_messages(&text)) {
            (Err(DecodeError::Json(_)), None) => *seen.entry("no JSON").or_default() += 1,
            (Ok(messages), Some(expected)) => {
                let messages: Vec<_> = messages.collect();
                assert_eq!(messages, expected, "{text}");
                for message in &messages {
                    *seen.entry(kind(message)).or_default() += 1;
                }
            }
            (seen, expected) => panic!("{text}: {seen:?}, expected {expected:?}"),
        }
    }
    seen
}

#[test]
fn every_message_of_a_version_2_client_is_understood() {
    let expected = [
        ("handshake", 39),
        ("invoke", 29),
        ("subscribe", 17),
        ("unsubscribe", 8),
        ("publish", 9),
        ("authenticate", 4),
        ("remove token", 1),
        ("reply", 3),
        ("disconnect", 1),
        ("pong", 10),
        ("malformed", 7),
        ("unknown", 9),
        ("no JSON", 4),
    ];
    assert_eq!(decode_all(V2), counts(&expected));
}

#[test]
fn every_message_of_a_version_1_client_is_understood() {
    let expected = [
        ("handshake", 35),
        ("invoke", 26),
        ("subscribe", 19),
        ("unsubscribe", 10),
        ("publish", 10),
        ("authenticate", 4),
        ("remove token", 1),
        ("reply", 3),
        ("disconnect", 8),
        ("pong", 7),
        ("malformed", 6),
        ("unknown", 8),
        ("no JSON", 4),
    ];
    assert_eq!(decode_all(V1), counts(&expected));
}

#[test]
fn every_message_of_a_version_0_client_is_understood() {
    let expected = [
        ("handshake", 29),
        ("invoke", 25),
        ("subscribe", 19),
        ("unsubscribe", 10),
        ("publish", 10),
        ("authenticate", 4),
        ("reply", 7),
        ("disconnect", 4),
        ("pong", 11),
        ("malformed", 6),
        ("unknown", 8),
        ("no JSON", 4),
    ];
    assert_eq!(decode_all(V0), counts(&expected));
}

/// Writes one packet again with the function of the client encoder that is made for it.
fn write_client_packet(out: &mut Vec<u8>, message: &ClientMessage<'_>, text: &str) -> Option<()> {
    let number = |call: &Option<CallId<'_>>| call.map(|call| call.as_str().parse::<u64>());
    let optional = |call: &Option<CallId<'_>>| number(call).transpose().ok();
    match message {
        ClientMessage::Handshake { call, token } => client::handshake(out, token.as_deref(), number(call)?.ok()?),
        ClientMessage::Invoke { action, data, call } => client::invoke(out, action, *data, optional(call)?),
        ClientMessage::Subscribe { channel, data: None, call } if text.contains(r#""data":{"channel""#) => {
            client::subscribe(out, channel, optional(call)?);
        }
        ClientMessage::Subscribe { channel, data: None, call } => {
            client::subscribe_plain(out, channel, optional(call)?)
        }
        ClientMessage::Unsubscribe { channel, call } => client::unsubscribe(out, channel, optional(call)?),
        ClientMessage::Publish { channel, data, call } => client::publish(out, channel, *data, optional(call)?),
        ClientMessage::Authenticate { token, call } => client::authenticate(out, token.as_deref(), number(call)?.ok()?),
        ClientMessage::RemoveAuthToken => client::remove_auth_token(out),
        ClientMessage::Reply { call, outcome: Ok(data) } => client::reply(out, *call, *data),
        ClientMessage::Reply { call, outcome: Err(error) } => client::reply_error(out, *call, *error),
        ClientMessage::Disconnect { code, reason } => {
            let packet: Packet<'_> = serde_json::from_str(text).expect("an object");
            let call = packet.cid.map(|cid| cid.get().parse().expect("a number"));
            client::disconnect(out, *code, reason.as_deref(), call);
        }
        ClientMessage::Pong(dialect) => out.extend_from_slice(dialect.pong().as_bytes()),
        ClientMessage::Subscribe { data: Some(_), .. } | ClientMessage::Malformed { .. } | ClientMessage::Unknown => {
            return None;
        }
    }
    Some(())
}

/// Writes each packet of a reference client again, says for how many messages the bytes were the same, and lists the
/// others.
fn rewrite_all(transcript: &str) -> (usize, Vec<String>) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut same, mut others) = (0, Vec::new());
    for text in texts_of_steps(transcript, "c2s", |note| !note.starts_with("raw")) {
        let mut out = Vec::new();
        let messages: Vec<_> = decoder.decode(&text).expect("reference clients send JSON").collect();
        let mut complete = true;
        for message in &messages {
            out.push(if out.is_empty() { b'[' } else { b',' });
            complete &= write_client_packet(&mut out, message, &text).is_some();
        }
        out.push(b']');
        let written = if text.starts_with('[') { &out[..] } else { &out[1..out.len() - 1] };
        if complete && written == text.as_bytes() {
            same += 1;
        } else {
            others.push(text);
        }
    }
    (same, others)
}

#[test]
fn client_messages_are_written_as_the_reference_clients_write_them() {
    // What is left over: options of a subscription, which our client does not have; a token that is absent or a number,
    // which no application means to send.
    let expected: [(&str, usize, &[&str]); 3] = [
        (V0, 66, &[r##"{"event":"#authenticate","cid":43}"##]),
        (
            V1,
            66,
            &[
                r##"{"event":"#subscribe","data":{"channel":"withdata","data":{"from":7}},"cid":14}"##,
                concat!(
                    r##"[{"event":"#subscribe","data":{"channel":"b1","batch":true},"cid":17},"##,
                    r##"{"event":"#subscribe","data":{"channel":"b2","batch":true},"cid":18}]"##
                ),
                r##"{"event":"#subscribe","data":{"channel":"private","waitForAuth":true},"cid":31}"##,
            ],
        ),
        (
            V2,
            60,
            &[
                r##"{"event":"#subscribe","data":{"channel":"withdata","data":{"from":7}},"cid":13}"##,
                r##"{"event":"#subscribe","data":{"channel":"private","waitForAuth":true},"cid":27}"##,
                r##"{"event":"#authenticate","data":12,"cid":33}"##,
            ],
        ),
    ];
    for (transcript, same, others) in expected {
        let rewritten = rewrite_all(transcript);
        assert_eq!(rewritten.1, others);
        assert_eq!(rewritten.0, same);
    }
}
