//! What several scenarios say and hear: calls, subscriptions and publications, in the words of the protocol that is
//! spoken. For Socket.IO these are the events by which our server lets its clients use actions and channels.

use codec::message::RawJson;
use codec::socketcluster::client::{self as socketcluster, ServerMessage};

use super::payload::read_decimal;
use crate::client::Tongue;
use crate::socketio::{self, Packet};

/// Calls an action without an argument.
pub(super) fn invoke(tongue: &mut Tongue, out: &mut Vec<u8>, action: &str, call: u64) {
    if tongue.protocol.is_socket_io() {
        return tongue.say(out, 64, |out| socketio::write_event(out, Some(call), action, &[]));
    }
    tongue.say(out, 64, |out| socketcluster::invoke(out, action, None, Some(call)));
}

/// Subscribes to a channel.
pub(super) fn subscribe(tongue: &mut Tongue, out: &mut Vec<u8>, channel: &str, call: u64) {
    if tongue.protocol.is_socket_io() {
        let name = format!("\"{channel}\"");
        return tongue.say(out, 80, |out| socketio::write_event(out, Some(call), "subscribe", &[&name]));
    }
    tongue.say(out, 80, |out| socketcluster::subscribe(out, channel, Some(call)));
}

/// Publishes JSON to a channel.
pub(super) fn publish(tongue: &mut Tongue, out: &mut Vec<u8>, channel: &str, data: &str, call: u64) {
    // {"event":"#publish","data":{"channel":"","data":},"cid":}: 56 bytes around the texts and up to 20 digits.
    let hint = channel.len() + data.len() + 76;
    if tongue.protocol.is_socket_io() {
        let name = format!("\"{channel}\"");
        return tongue.say(out, hint, |out| socketio::write_event(out, Some(call), "publish", &[&name, data]));
    }
    let data = RawJson::from_validated(data);
    tongue.say(out, hint, |out| socketcluster::publish(out, channel, Some(data), Some(call)));
}

/// The call that a text answers, with the number it carries or the error.
pub(super) fn reply(tongue: &mut Tongue, text: &str) -> Option<(u64, Result<Option<u64>, String>)> {
    if tongue.protocol.is_socket_io() {
        let Packet::Answer(call, arguments) = Packet::read(text) else { return None };
        let argument = arguments.strip_prefix('[')?.strip_suffix(']')?;
        let is_error = argument.starts_with("{\"error\":");
        return Some((call, if is_error { Err(argument.to_owned()) } else { Ok(argument.parse().ok()) }));
    }
    if let Some((call, digits)) = text.strip_prefix("{\"rid\":").and_then(|rest| read_decimal(rest.as_bytes()))
        && &text[7 + digits..] == "}"
    {
        return Some((call, Ok(None)));
    }
    for message in tongue.packets.decode(text).ok()? {
        let ServerMessage::Reply { call, outcome, .. } = message else { continue };
        let (call, _) = read_decimal(call.as_str().as_bytes())?;
        let outcome = outcome.map(|data| data.and_then(|data| data.as_str().parse().ok()));
        return Some((call, outcome.map_err(|error| error.as_str().to_owned())));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;

    #[test]
    fn answers_of_both_protocols_are_understood() {
        let tongue = |protocol| Tongue::new(String::new(), String::new(), protocol, 1);
        let (mut cluster, mut io) = (tongue(Protocol::SocketCluster), tongue(Protocol::SocketIo));
        assert_eq!(reply(&mut cluster, r#"{"rid":7}"#), Some((7, Ok(None))));
        assert_eq!(reply(&mut cluster, r#"{"rid":7,"data":1}"#), Some((7, Ok(Some(1)))));
        assert!(matches!(reply(&mut cluster, r#"{"rid":7,"error":{"name":"x"}}"#), Some((7, Err(_)))));
        assert_eq!(reply(&mut io, "437[]"), Some((7, Ok(None))));
        assert_eq!(reply(&mut io, "437[1]"), Some((7, Ok(Some(1)))));
        assert!(matches!(reply(&mut io, r#"437[{"error":{"name":"x"}}]"#), Some((7, Err(_)))));
        assert_eq!(reply(&mut io, r#"42["news",1]"#), None);
    }

    #[test]
    fn events_of_channels_name_the_channel_first() {
        let mut tongue = Tongue::new(String::new(), String::new(), Protocol::SocketIoPolling, 1);
        let mut out = Vec::new();
        invoke(&mut tongue, &mut out, "app.shard", 2);
        subscribe(&mut tongue, &mut out, "bench/0", 3);
        publish(&mut tongue, &mut out, "bench/0", "\"x\"", 4);
        let said = "422[\"app.shard\"]\u{1e}423[\"subscribe\",\"bench/0\"]\u{1e}424[\"publish\",\"bench/0\",\"x\"]";
        assert_eq!(String::from_utf8(out).expect("text"), said);
    }
}
