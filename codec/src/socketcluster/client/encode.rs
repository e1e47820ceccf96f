//! Client to server: each function appends the JSON text of one packet, as socketcluster-client writes it. It never
//! writes a WebSocket header.

use super::super::encode::write_decimal;
use crate::json::write_string;
use crate::message::{CallId, RawJson};

/// Opens the session.
pub fn handshake(out: &mut Vec<u8>, token: Option<&str>, call: u64) {
    out.extend_from_slice(b"{\"event\":\"#handshake\",\"data\":{\"authToken\":");
    match token {
        Some(token) => write_string(out, token),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    finish(out, Some(call));
}

/// Calls an action; without a call id no answer is wanted.
pub fn invoke(out: &mut Vec<u8>, action: &str, data: Option<RawJson<'_>>, call: Option<u64>) {
    out.extend_from_slice(b"{\"event\":");
    write_string(out, action);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_str().as_bytes());
    }
    finish(out, call);
}

/// Joins a channel.
pub fn subscribe(out: &mut Vec<u8>, channel: &str, call: Option<u64>) {
    out.extend_from_slice(b"{\"event\":\"#subscribe\",\"data\":{\"channel\":");
    write_string(out, channel);
    out.push(b'}');
    finish(out, call);
}

/// Joins a channel as clients up to version 4.0 do, with the bare name.
pub fn subscribe_plain(out: &mut Vec<u8>, channel: &str, call: Option<u64>) {
    out.extend_from_slice(b"{\"event\":\"#subscribe\",\"data\":");
    write_string(out, channel);
    finish(out, call);
}

/// Leaves a channel.
pub fn unsubscribe(out: &mut Vec<u8>, channel: &str, call: Option<u64>) {
    out.extend_from_slice(b"{\"event\":\"#unsubscribe\",\"data\":");
    write_string(out, channel);
    finish(out, call);
}

/// Publishes to a channel.
pub fn publish(out: &mut Vec<u8>, channel: &str, data: Option<RawJson<'_>>, call: Option<u64>) {
    out.extend_from_slice(b"{\"event\":\"#publish\",\"data\":{\"channel\":");
    write_string(out, channel);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_str().as_bytes());
    }
    out.push(b'}');
    finish(out, call);
}

/// Presents a token on an open connection; `None` sends `null`.
pub fn authenticate(out: &mut Vec<u8>, token: Option<&str>, call: u64) {
    out.extend_from_slice(b"{\"event\":\"#authenticate\",\"data\":");
    match token {
        Some(token) => write_string(out, token),
        None => out.extend_from_slice(b"null"),
    }
    finish(out, Some(call));
}

/// Says that the client logged itself out.
pub fn remove_auth_token(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"event\":\"#removeAuthToken\"}");
}

/// Answers a call of the server.
pub fn reply(out: &mut Vec<u8>, call: CallId<'_>, data: Option<RawJson<'_>>) {
    super::super::encode::reply(out, call, data);
}

/// Answers a call of the server with an error.
pub fn reply_error(out: &mut Vec<u8>, call: CallId<'_>, error: RawJson<'_>) {
    super::super::encode::reply_error(out, call, error);
}

/// Announces the end of the connection, as clients before version 15 do.
pub fn disconnect(out: &mut Vec<u8>, code: u16, reason: Option<&str>, call: Option<u64>) {
    super::super::encode::disconnect(out, code, reason);
    if call.is_some() {
        out.pop();
        finish(out, call);
    }
}

fn finish(out: &mut Vec<u8>, call: Option<u64>) {
    if let Some(call) = call {
        out.extend_from_slice(b",\"cid\":");
        write_decimal(out, call);
    }
    out.push(b'}');
}
