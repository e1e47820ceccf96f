//! What servers sent: understood by the client's decoder, and written again by the server's encoder. Old versions order
//! some keys differently; those messages are compared as values and counted apart.

use std::collections::BTreeMap;

use serde_json::Value;
use socketshard_codec::json::write_string;
use socketshard_codec::message::{CallId, RawJson};
use socketshard_codec::socketcluster::client::{Decoder, ServerMessage};
use socketshard_codec::socketcluster::errors::WireError;
use socketshard_codec::socketcluster::{Dialect, Limits, TokenError, encode};

use crate::{Counts, V0, V1, V2, counts, texts};

fn kind(message: &ServerMessage<'_>) -> &'static str {
    match message {
        ServerMessage::Ping(_) => "ping",
        ServerMessage::Reply { outcome: Ok(_), .. } => "reply",
        ServerMessage::Reply { outcome: Err(_), .. } => "error",
        ServerMessage::Publication { .. } => "publication",
        ServerMessage::KickOut { .. } => "kick out",
        ServerMessage::SetAuthToken { .. } => "set token",
        ServerMessage::RemoveAuthToken { .. } => "remove token",
        ServerMessage::Disconnect { .. } => "disconnect",
        ServerMessage::Event { .. } => "event",
        ServerMessage::Unknown => "unknown",
    }
}

fn value(json: RawJson<'_>) -> Value {
    serde_json::from_str(json.as_str()).expect("what was decoded is JSON")
}

/// A member of an object as JSON text; objects keep no order here, so only for small ones.
fn member(object: &Value, name: &str) -> Option<String> {
    object.get(name).map(Value::to_string)
}

fn number(call: CallId<'_>) -> u64 {
    call.as_str().parse().expect("servers count their calls")
}

/// Writes an answer with the function for its kind.
fn write_reply(out: &mut Vec<u8>, call: CallId<'_>, data: Option<RawJson<'_>>) {
    let fields = data.map(value).unwrap_or_default();
    let is_authenticated = fields.get("isAuthenticated").and_then(Value::as_bool);
    match (is_authenticated, fields.get("id").and_then(Value::as_str)) {
        (Some(is_authenticated), Some(id)) => {
            let ping_timeout_ms = fields["pingTimeout"].as_u64().and_then(|ms| u32::try_from(ms).ok());
            let auth_error = fields.get("authError").map(rewritten_error);
            let auth_error = auth_error.as_deref().map(RawJson::from_validated);
            let ping_timeout_ms = ping_timeout_ms.expect("the handshake's answer has it");
            encode::handshake_reply(out, call, id, ping_timeout_ms, is_authenticated, auth_error);
        }
        (Some(_), None) => {
            let auth_error = fields.get("authError").filter(|error| !error.is_null()).map(rewritten_error);
            encode::authenticate_reply(out, call, auth_error.as_deref().map(RawJson::from_validated));
        }
        _ => encode::reply(out, call, data),
    }
}

/// An error object written by us from its parts, in the order of versions 1 and 2.
fn rewritten_error(error: &Value) -> String {
    let text = |name: &str| error[name].as_str().expect("errors have a name and a message").to_owned();
    let order = ["expiry", "date", "extra", "code", "type", "statusCode", "isBadToken"];
    let extra: Vec<_> = order.iter().filter_map(|name| Some((*name, member(error, name)?))).collect();
    let extra: Vec<_> = extra.iter().map(|(name, json)| (*name, RawJson::from_validated(json))).collect();
    assert_eq!(extra.len() + 2, error.as_object().expect("an object").len(), "{error}");
    let mut out = Vec::new();
    encode::error_object(&mut out, &text("name"), &text("message"), &extra);
    String::from_utf8(out).expect("JSON is text")
}

fn write_error(out: &mut Vec<u8>, call: CallId<'_>, error: RawJson<'_>, data: Option<RawJson<'_>>) {
    match value(error) {
        fields @ Value::Object(_) => {
            let error = rewritten_error(&fields);
            encode::reply_error_with_data(out, call, RawJson::from_validated(&error), data);
        }
        Value::String(text) => {
            let mut error = Vec::new();
            write_string(&mut error, &text);
            let error = String::from_utf8(error).expect("JSON is text");
            encode::reply_error_with_data(out, call, RawJson::from_validated(&error), data);
        }
        other => panic!("an error that is {other}"),
    }
}

fn write_packet(out: &mut Vec<u8>, message: &ServerMessage<'_>) {
    match message {
        ServerMessage::Ping(dialect) => out.extend_from_slice(dialect.ping().as_bytes()),
        ServerMessage::Reply { call, outcome: Ok(data), .. } => write_reply(out, *call, *data),
        ServerMessage::Reply { call, outcome: Err(error), error_data } => write_error(out, *call, *error, *error_data),
        ServerMessage::Publication { channel, data } => encode::publication(out, channel, *data),
        ServerMessage::KickOut { channel, message } => encode::kick_out(out, channel, message.as_deref().unwrap_or("")),
        ServerMessage::SetAuthToken { token, call } => encode::set_auth_token(out, token, call.map(number)),
        ServerMessage::RemoveAuthToken { .. } => encode::remove_auth_token(out),
        ServerMessage::Disconnect { code, reason } => {
            encode::disconnect(out, code.expect("servers send a code"), reason.as_deref());
        }
        ServerMessage::Event { name, data, call: Some(call) } => encode::invoke(out, name, *data, number(*call)),
        ServerMessage::Event { name, data, call: None } => encode::event(out, name, *data),
        ServerMessage::Unknown => panic!("a reference server sent what we do not know"),
    }
}

/// The value of a message without what only old servers write: a call id on events that want no answer, and `null`
/// where there is nothing to say.
fn masked(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(text).expect("valid");
    if let Some(packet) = value.as_object_mut()
        && matches!(packet.get("event").and_then(Value::as_str), Some("#publish" | "#kickOut" | "#disconnect"))
    {
        packet.remove("cid");
    }
    if let Some(packet) = value.as_object_mut()
        && packet.get("event").is_some_and(|event| event == "#removeAuthToken")
    {
        packet.retain(|key, _| key == "event");
    }
    value
}

/// Counts what was decoded, and how many messages came out with the same bytes.
fn replay(transcript: &str) -> Counts {
    let mut decoder = Decoder::new(Limits::default());
    let mut seen = Counts::new();
    for text in texts(transcript, "s2c") {
        let messages: Vec<_> = decoder.decode(&text).expect("servers send JSON").collect();
        let mut out = Vec::new();
        for message in &messages {
            *seen.entry(kind(message)).or_default() += 1;
            out.push(if out.is_empty() { b'[' } else { b',' });
            write_packet(&mut out, message);
        }
        out.push(b']');
        let written = if text.starts_with('[') { &out[..] } else { &out[1..out.len() - 1] };
        let written = std::str::from_utf8(written).expect("JSON is text");
        if written == text {
            *seen.entry("same bytes").or_default() += 1;
        } else {
            assert_eq!(masked(written), masked(&text), "{text}");
            *seen.entry("same value").or_default() += 1;
        }
    }
    seen
}

#[test]
fn version_2_messages_are_written_as_the_reference_server_writes_them() {
    let expected = [
        ("ping", 8),
        ("reply", 72),
        ("error", 18),
        ("event", 6),
        ("publication", 8),
        ("kick out", 1),
        ("set token", 5),
        ("remove token", 9),
        ("same bytes", 126),
    ];
    assert_eq!(replay(V2), counts(&expected));
}

#[test]
fn version_1_messages_mean_what_the_reference_server_says() {
    let expected = [
        ("ping", 8),
        ("reply", 67),
        ("error", 18),
        ("event", 3),
        ("publication", 9),
        ("kick out", 1),
        ("set token", 4),
        ("remove token", 8),
        ("disconnect", 3),
        ("same bytes", 108),
        ("same value", 12),
    ];
    assert_eq!(replay(V1), counts(&expected));
}

#[test]
fn version_0_messages_mean_what_the_reference_server_says() {
    let expected = [
        ("ping", 17),
        ("reply", 79),
        ("error", 7),
        ("event", 3),
        ("publication", 4),
        ("kick out", 1),
        ("set token", 4),
        ("remove token", 1),
        ("disconnect", 1),
        ("same bytes", 69),
        ("same value", 48),
    ];
    assert_eq!(replay(V0), counts(&expected));
}

/// The channel and the socket id that a reference error names.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).map_or(0, |at| at + before.len());
    let length = text[start..].find(after).unwrap_or(text.len() - start);
    &text[start..start + length]
}

/// Errors that our server has a fixed text for, with the same parts filled in.
fn wire_error<'a>(name: &str, message: &'a str) -> Option<WireError<'a>> {
    let channel = between(message, "socket to the ", " channel");
    let connection = between(message, "Socket ", " tried");
    Some(match (name, message) {
        ("InvalidActionError", "Subscribe channel name was malformatted") => WireError::SubscribeMalformed,
        ("InvalidActionError", "Unsubscribe channel name was malformatted") => WireError::UnsubscribeMalformed,
        ("InvalidActionError", "Publish channel name was malformatted") => WireError::PublishMalformed,
        ("AuthTokenError", _) => WireError::Token(TokenError::NotString),
        ("BrokerError", _) if message.ends_with("channel subscription limit of 5") => {
            WireError::SubscriptionLimit { channel, connection, subscriptions_max: 5 }
        }
        ("BrokerError", _) if message.ends_with("which it is not subscribed to") => {
            WireError::NotSubscribed { channel: between(message, "socket from the ", " channel"), connection }
        }
        ("SilentMiddlewareBlockedError", _) => {
            WireError::Blocked { operation: between(message, "The ", " AGAction was blocked") }
        }
        ("TimeoutError", _) => WireError::ReplyTimedOut { event: between(message, "Event response for ", " event") },
        _ => return None,
    })
}

#[test]
fn fixed_errors_have_the_version_2_servers_bytes() {
    let mut decoder = Decoder::new(Limits::default());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for text in texts(V2, "s2c") {
        for message in decoder.decode(&text).expect("servers send JSON") {
            let ServerMessage::Reply { call, outcome: Err(error), .. } = message else { continue };
            let fields = value(error);
            let (Some(name), Some(message)) = (fields["name"].as_str(), fields["message"].as_str()) else { continue };
            let Some(wire_error) = wire_error(name, message) else { continue };
            let mut out = Vec::new();
            encode::reply_wire_error(&mut out, call, &wire_error);
            assert_eq!(String::from_utf8(out).expect("JSON is text"), text);
            *seen.entry(name.to_owned()).or_default() += 1;
        }
    }
    let expected = [
        ("AuthTokenError", 2),
        ("BrokerError", 2),
        ("InvalidActionError", 5),
        ("SilentMiddlewareBlockedError", 1),
        ("TimeoutError", 1),
    ];
    assert_eq!(seen, expected.map(|(name, count)| (name.to_owned(), count)).into());
}

/// The token error that a reference server's object stands for.
fn token_error(object: &Value) -> Option<TokenError> {
    let moment_ms = |field: &str| match object[field].as_str() {
        Some("1970-01-01T00:16:40.000Z") => 1_000_000,
        Some("2096-10-02T07:06:40.000Z") => 4_000_000_000_000,
        other => panic!("{field} is {other:?}"),
    };
    Some(match object["message"].as_str()? {
        "jwt must be provided" => TokenError::Missing,
        "Invalid token format - Token must be a string" => TokenError::NotString,
        "jwt malformed" => TokenError::Malformed,
        "invalid token" => TokenError::Undecodable,
        "invalid signature" => TokenError::Signature,
        "jwt expired" if object["name"] == "AuthTokenExpiredError" => {
            TokenError::Expired { expiry_ms: moment_ms("expiry") }
        }
        "jwt not active" if object["name"] == "AuthTokenNotBeforeError" => {
            TokenError::NotActive { date_ms: moment_ms("date") }
        }
        _ => return None,
    })
}

#[test]
fn token_errors_have_the_bytes_of_every_versions_server() {
    for (transcript, dialect, expected) in
        [(V2, Dialect::V2, (4, 4)), (V1, Dialect::V1, (4, 2)), (V0, Dialect::V0, (0, 3))]
    {
        let (mut handshakes, mut answers) = (0, 0);
        for text in texts(transcript, "s2c").iter().filter(|text| text.starts_with("{\"rid\"")) {
            let packet: Value = serde_json::from_str(text).expect("valid");
            let object = packet.get("error").or_else(|| packet["data"].get("authError"));
            let Some(error) = object.and_then(token_error) else { continue };
            let call = packet["rid"].to_string();
            let call = CallId::new(RawJson::from_validated(&call));
            let mut out = Vec::new();
            if packet["data"].get("id").is_some() {
                error.write(dialect, &mut out);
                let object = String::from_utf8(out).expect("errors are text");
                assert!(text.contains(&format!("\"authError\":{object}")), "{text}: {object}");
                handshakes += 1;
            } else {
                encode::authenticate_refusal(&mut out, call, dialect, error);
                assert_eq!(String::from_utf8(out).expect("JSON is text"), *text);
                answers += 1;
            }
        }
        assert_eq!((handshakes, answers), expected, "{dialect:?}");
    }
}

#[test]
fn a_refused_handshake_tells_both_versions_their_code() {
    for (transcript, property) in [(V2, "statusCode"), (V1, "code")] {
        let texts = texts(transcript, "s2c");
        let refusals: Vec<_> = texts.iter().filter(|text| text.contains("AppReject")).collect();
        assert_eq!(refusals.len(), 1, "{property}");
        let reference: Value = serde_json::from_str(refusals[0]).expect("valid");
        let mut out = Vec::new();
        let error = RawJson::from_validated(r#"{"message":"Handshake rejected by app","name":"AppReject"}"#);
        encode::handshake_refusal(&mut out, CallId::new(RawJson::from_validated("1")), error, 4501);
        let ours: Value = serde_json::from_slice(&out).expect("valid");
        assert_eq!(ours["rid"], reference["rid"]);
        for (name, value) in reference["error"].as_object().expect("an object") {
            assert_eq!(&ours["error"][name], value, "{name}");
        }
        let code = reference["error"].get("statusCode").or_else(|| reference["data"].get("code"));
        assert_eq!(code.and_then(Value::as_u64), Some(4501));
        assert_eq!(ours["error"]["statusCode"], 4501);
        assert_eq!(ours["data"]["code"], 4501);
    }
}
