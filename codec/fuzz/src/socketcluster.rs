//! What must hold for what the two SocketCluster decoders give, whatever they were given: payloads are JSON, names keep
//! their limits, and what is written again is understood as the same.

use std::borrow::Cow;

use codec::json::{JsonLimits, unescape};
use codec::message::{CallId, ClientMessage, RawJson};
use codec::name::NameLimits;
use codec::socketcluster::client::{self, ServerMessage};
use codec::socketcluster::{Decoder, Limits, encode};

use crate::json::is_json;

/// Small, so that a fuzzer reaches them.
pub const LIMITS: Limits = Limits {
    json: JsonLimits { depth_max: 8 },
    names: NameLimits { channel_name_bytes_max: 12, action_name_bytes_max: 16 },
    batch_messages_max: 5,
    call_id_bytes_max: 10,
};

/// One level more for what is put around a payload.
const WIDE: Limits = Limits { json: JsonLimits { depth_max: 12 }, ..LIMITS };

fn check_call(call: CallId<'_>) {
    let text = call.as_str();
    assert!(text.len() <= LIMITS.call_id_bytes_max);
    assert!(unescape(RawJson::from_validated(text)).is_some() || text.parse::<f64>().is_ok(), "{text}");
}

fn check_data(data: RawJson<'_>) {
    let text = data.as_str();
    assert!(is_json(text), "{text}");
    assert_eq!(text, text.trim());
}

/// Checks one message of a client, and that it survives being written as our own client writes it.
pub fn check_client_message(message: &ClientMessage<'_>) {
    let mut out = Vec::new();
    match message {
        ClientMessage::Invoke { action, data, call } => {
            assert!(LIMITS.names.check_action(action).is_ok());
            check_parts(*data, *call);
            client::invoke(&mut out, action, *data, None);
        }
        ClientMessage::Subscribe { channel, data, call } => {
            assert!(LIMITS.names.check_channel(channel).is_ok());
            check_parts(*data, *call);
            client::subscribe(&mut out, channel, None);
        }
        ClientMessage::Unsubscribe { channel, call } => {
            assert!(LIMITS.names.check_channel(channel).is_ok());
            check_parts(None, *call);
            client::unsubscribe(&mut out, channel, None);
        }
        ClientMessage::Publish { channel, data, call } => {
            assert!(LIMITS.names.check_channel(channel).is_ok());
            check_parts(*data, *call);
            check_publication(channel, *data);
            client::publish(&mut out, channel, *data, None);
        }
        ClientMessage::Reply { call, outcome: Ok(data) } => {
            check_parts(*data, Some(*call));
            client::reply(&mut out, *call, *data);
        }
        ClientMessage::Reply { call, outcome: Err(error) } => {
            check_parts(Some(*error), Some(*call));
            client::reply_error(&mut out, *call, *error);
        }
        ClientMessage::Disconnect { code, reason } => {
            assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999));
            client::disconnect(&mut out, *code, reason.as_deref(), None);
        }
        ClientMessage::Handshake { call, .. }
        | ClientMessage::Authenticate { call, .. }
        | ClientMessage::Malformed { call, .. } => return check_parts(None, *call),
        ClientMessage::RemoveAuthToken | ClientMessage::Pong(_) | ClientMessage::Unknown => return,
    }
    let text = String::from_utf8(out).expect("JSON is text");
    let mut decoder = Decoder::new(WIDE);
    let again: Vec<_> = decoder.decode(&text).expect("what we write is valid").collect();
    assert_eq!(again, [without_what_our_client_does_not_send(message)], "{text}");
}

fn without_what_our_client_does_not_send<'a>(message: &ClientMessage<'a>) -> ClientMessage<'a> {
    match message.clone() {
        ClientMessage::Invoke { action, data, .. } => ClientMessage::Invoke { action, data, call: None },
        ClientMessage::Subscribe { channel, .. } => ClientMessage::Subscribe { channel, data: None, call: None },
        ClientMessage::Unsubscribe { channel, .. } => ClientMessage::Unsubscribe { channel, call: None },
        ClientMessage::Publish { channel, data, .. } => ClientMessage::Publish { channel, data, call: None },
        other => other,
    }
}

/// The parts that come from the peer unchanged, and the answer that they end up in.
fn check_parts(data: Option<RawJson<'_>>, call: Option<CallId<'_>>) {
    data.into_iter().for_each(check_data);
    let Some(call) = call else { return };
    check_call(call);
    let mut out = Vec::new();
    encode::reply(&mut out, call, data);
    let text = String::from_utf8(out).expect("JSON is text");
    let mut decoder = client::Decoder::new(WIDE);
    let again: Vec<_> = decoder.decode(&text).expect("what we write is valid").collect();
    assert_eq!(again, [ServerMessage::Reply { call, outcome: Ok(data), error_data: None }], "{text}");
}

/// What subscribers get is one publication, the same bytes inside.
fn check_publication(channel: &str, data: Option<RawJson<'_>>) {
    let mut out = Vec::new();
    encode::publication(&mut out, channel, data);
    let text = String::from_utf8(out).expect("JSON is text");
    let mut decoder = client::Decoder::new(WIDE);
    let again: Vec<_> = decoder.decode(&text).expect("what we write is valid").collect();
    assert_eq!(again, [ServerMessage::Publication { channel: Cow::Borrowed(channel), data }], "{text}");
}

/// Checks one message of a server, and that it survives being written as our own server writes it.
pub fn check_server_message(message: &ServerMessage<'_>) {
    match message {
        ServerMessage::Publication { channel, data } => {
            data.into_iter().copied().for_each(check_data);
            check_publication(channel, *data);
        }
        ServerMessage::Reply { call, outcome: Ok(data), error_data: None } => check_parts(*data, Some(*call)),
        ServerMessage::Reply { call, outcome: Err(error), error_data } => {
            check_call(*call);
            check_data(*error);
            error_data.into_iter().copied().for_each(check_data);
            check_again(message, |out| encode::reply_error_with_data(out, *call, *error, *error_data));
        }
        ServerMessage::Reply { outcome: Ok(_), error_data: Some(_), .. } => panic!("data counted twice"),
        ServerMessage::Event { name, data, call } => {
            assert!(!name.is_empty());
            check_parts(*data, *call);
            if call.is_none() {
                check_again(message, |out| encode::event(out, name, *data));
            }
        }
        ServerMessage::KickOut { channel, message: Some(reason) } => {
            check_again(message, |out| encode::kick_out(out, channel, reason));
        }
        ServerMessage::SetAuthToken { token, call: None } => {
            check_again(message, |out| encode::set_auth_token(out, token, None));
        }
        ServerMessage::RemoveAuthToken { call: None } => check_again(message, encode::remove_auth_token),
        ServerMessage::Disconnect { code: Some(code), reason } => {
            check_again(message, |out| encode::disconnect(out, *code, reason.as_deref()));
        }
        ServerMessage::SetAuthToken { call, .. } | ServerMessage::RemoveAuthToken { call } => check_parts(None, *call),
        ServerMessage::KickOut { .. }
        | ServerMessage::Disconnect { .. }
        | ServerMessage::Ping(_)
        | ServerMessage::Unknown => {}
    }
}

fn check_again(message: &ServerMessage<'_>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut out = Vec::new();
    write(&mut out);
    let text = String::from_utf8(out).expect("JSON is text");
    let mut decoder = client::Decoder::new(WIDE);
    let again: Vec<_> = decoder.decode(&text).expect("what we write is valid").collect();
    assert_eq!(again, std::slice::from_ref(message), "{text}");
}
