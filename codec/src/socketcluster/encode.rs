//! Server to client: each function appends the JSON text of one packet. It never writes a WebSocket header, never
//! copies a payload more than once and never allocates beyond the growth of `out`.

use super::errors::WireError;
use super::{Dialect, TokenError};
use crate::json::write_string;
use crate::message::{CallId, RawJson};

/// The answer to a call. Absent data stays absent: to the caller that is `undefined`, not `null`.
#[inline]
pub fn reply(out: &mut Vec<u8>, call: CallId<'_>, data: Option<RawJson<'_>>) {
    out.extend_from_slice(b"{\"rid\":");
    out.extend_from_slice(call.as_str().as_bytes());
    write_field(out, b",\"data\":", data);
    out.push(b'}');
}

/// How long [`reply`] will be.
#[inline]
#[must_use]
pub const fn reply_length(call: CallId<'_>, data: Option<RawJson<'_>>) -> usize {
    let payload = match data {
        Some(data) => ",\"data\":".len() + data.as_str().len(),
        None => 0,
    };
    "{\"rid\":}".len() + call.as_str().len() + payload
}

/// The answer to a call that failed; `error` is an error object, or a string where an application sends a bare one.
pub fn reply_error(out: &mut Vec<u8>, call: CallId<'_>, error: RawJson<'_>) {
    reply_error_with_data(out, call, error, None);
}

/// As [`reply_error`], with the `data` that servers up to version 1 could add.
pub fn reply_error_with_data(out: &mut Vec<u8>, call: CallId<'_>, error: RawJson<'_>, data: Option<RawJson<'_>>) {
    write_error_start(out, call);
    out.extend_from_slice(error.as_str().as_bytes());
    write_field(out, b",\"data\":", data);
    out.push(b'}');
}

/// The answer to a call that failed in one of the ways that have a fixed text.
pub fn reply_wire_error(out: &mut Vec<u8>, call: CallId<'_>, error: &WireError<'_>) {
    write_error_start(out, call);
    error.write(out);
    out.push(b'}');
}

/// An error object: `{"message":…,"name":…}` and any further properties.
pub fn error_object(out: &mut Vec<u8>, name: &str, message: &str, extra: &[(&str, RawJson<'_>)]) {
    out.extend_from_slice(b"{\"message\":");
    write_string(out, message);
    out.extend_from_slice(b",\"name\":");
    write_string(out, name);
    for (key, value) in extra {
        out.push(b',');
        write_string(out, key);
        out.push(b':');
        out.extend_from_slice(value.as_str().as_bytes());
    }
    out.push(b'}');
}

/// The answer that opens the session. `auth_error` says what was wrong with the token that came with the handshake.
pub fn handshake_reply(
    out: &mut Vec<u8>,
    call: CallId<'_>,
    id: &str,
    ping_timeout_ms: u32,
    is_authenticated: bool,
    auth_error: Option<RawJson<'_>>,
) {
    out.extend_from_slice(b"{\"rid\":");
    out.extend_from_slice(call.as_str().as_bytes());
    out.extend_from_slice(b",\"data\":{\"id\":");
    write_string(out, id);
    out.extend_from_slice(b",\"pingTimeout\":");
    write_decimal(out, u64::from(ping_timeout_ms));
    write_field(out, b",\"authError\":", auth_error);
    out.extend_from_slice(if is_authenticated {
        b",\"isAuthenticated\":true}}"
    } else {
        b",\"isAuthenticated\":false}}"
    });
}

/// The refusal of a handshake. Version 2 clients read the close code from `error.statusCode`, older ones from
/// `data.code`; the connection is to be closed with the same code. `error` is an error object, which gets the code as
/// its last property, or a string, which becomes the message of one.
pub fn handshake_refusal(out: &mut Vec<u8>, call: CallId<'_>, error: RawJson<'_>, code: u16) {
    write_error_start(out, call);
    match error.as_str().strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(properties) => {
            let properties = properties.trim_end_matches([' ', '\t', '\n', '\r']);
            out.push(b'{');
            out.extend_from_slice(properties.as_bytes());
            if !properties.is_empty() {
                out.push(b',');
            }
        }
        None => {
            out.extend_from_slice(b"{\"message\":");
            out.extend_from_slice(error.as_str().as_bytes());
            out.extend_from_slice(b",\"name\":\"Error\",");
        }
    }
    out.extend_from_slice(b"\"statusCode\":");
    write_decimal(out, u64::from(code));
    out.extend_from_slice(b"},\"data\":{\"code\":");
    write_decimal(out, u64::from(code));
    out.extend_from_slice(b"}}");
}

/// The answer to `#authenticate`: good, or good but refused with a reason.
pub fn authenticate_reply(out: &mut Vec<u8>, call: CallId<'_>, auth_error: Option<RawJson<'_>>) {
    out.extend_from_slice(b"{\"rid\":");
    out.extend_from_slice(call.as_str().as_bytes());
    let flag: &[u8] = if auth_error.is_some() { b"false" } else { b"true" };
    out.extend_from_slice(b",\"data\":{\"isAuthenticated\":");
    out.extend_from_slice(flag);
    write_field(out, b",\"authError\":", auth_error.or(Some(RawJson::NULL)));
    out.extend_from_slice(b"}}");
}

/// The answer to `#authenticate` with a token that does not authenticate. Version 2 says it as an error, version 1 twice,
/// version 0 as data; one that is merely early is no error to any.
pub fn authenticate_refusal(out: &mut Vec<u8>, call: CallId<'_>, dialect: Dialect, error: TokenError) {
    let start = out.len();
    error.write(dialect, out);
    let object = String::from_utf8(out.split_off(start)).expect("error objects are text");
    let object = RawJson::from_validated(&object);
    if !error.is_bad() || dialect == Dialect::V0 {
        return authenticate_reply(out, call, Some(object));
    }
    write_error_start(out, call);
    out.extend_from_slice(object.as_str().as_bytes());
    if dialect == Dialect::V1 {
        out.extend_from_slice(b",\"data\":{\"isAuthenticated\":false");
        write_field(out, b",\"authError\":", Some(object));
        out.push(b'}');
    }
    out.push(b'}');
}

/// A publication to a subscriber.
pub fn publication(out: &mut Vec<u8>, channel: &str, data: Option<RawJson<'_>>) {
    out.reserve(publication_length_hint(channel, data));
    out.extend_from_slice(b"{\"event\":\"#publish\",\"data\":{\"channel\":");
    write_string(out, channel);
    write_field(out, b",\"data\":", data);
    out.extend_from_slice(b"}}");
}

/// How long [`publication`] will be, short only by the escapes in the channel's name.
#[must_use]
pub fn publication_length_hint(channel: &str, data: Option<RawJson<'_>>) -> usize {
    let payload = data.map_or(0, |data| ",\"data\":".len() + data.as_str().len());
    "{\"event\":\"#publish\",\"data\":{\"channel\":\"\"}}".len() + channel.len() + payload
}

/// Tells a client that the server ended its subscription.
pub fn kick_out(out: &mut Vec<u8>, channel: &str, message: &str) {
    out.extend_from_slice(b"{\"event\":\"#kickOut\",\"data\":{\"channel\":");
    write_string(out, channel);
    out.extend_from_slice(b",\"message\":");
    write_string(out, message);
    out.extend_from_slice(b"}}");
}

/// An event that wants no answer.
pub fn event(out: &mut Vec<u8>, name: &str, data: Option<RawJson<'_>>) {
    out.extend_from_slice(b"{\"event\":");
    write_string(out, name);
    write_field(out, b",\"data\":", data);
    out.push(b'}');
}

/// A call of the server to a client, which answers with `call`.
pub fn invoke(out: &mut Vec<u8>, name: &str, data: Option<RawJson<'_>>, call: u64) {
    out.extend_from_slice(b"{\"event\":");
    write_string(out, name);
    out.extend_from_slice(b",\"cid\":");
    write_decimal(out, call);
    write_field(out, b",\"data\":", data);
    out.push(b'}');
}

/// Gives the client a token to keep; with a call id the client confirms.
pub fn set_auth_token(out: &mut Vec<u8>, token: &str, call: Option<u64>) {
    out.extend_from_slice(b"{\"event\":\"#setAuthToken\"");
    if let Some(call) = call {
        out.extend_from_slice(b",\"cid\":");
        write_decimal(out, call);
    }
    out.extend_from_slice(b",\"data\":{\"token\":");
    write_string(out, token);
    out.extend_from_slice(b"}}");
}

/// Takes the client's token away.
pub fn remove_auth_token(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"event\":\"#removeAuthToken\"}");
}

/// Says why the connection is about to be closed, for clients before version 2: their close frames carry no reason.
pub fn disconnect(out: &mut Vec<u8>, code: u16, reason: Option<&str>) {
    out.extend_from_slice(b"{\"event\":\"#disconnect\",\"data\":{\"code\":");
    write_decimal(out, u64::from(code));
    if let Some(reason) = reason {
        out.extend_from_slice(b",\"data\":");
        write_string(out, reason);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a number in decimal: a call id of our own, as it will come back.
pub fn write_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).expect("a decimal digit is below 10");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn write_error_start(out: &mut Vec<u8>, call: CallId<'_>) {
    out.extend_from_slice(b"{\"rid\":");
    out.extend_from_slice(call.as_str().as_bytes());
    out.extend_from_slice(b",\"error\":");
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: Option<RawJson<'_>>) {
    if let Some(value) = value {
        out.extend_from_slice(name);
        out.extend_from_slice(value.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    fn raw(text: &str) -> RawJson<'_> {
        RawJson::from_validated(text)
    }

    #[test]
    fn an_answer_keeps_the_type_of_the_call_id_and_the_absence_of_data() {
        assert_eq!(written(|out| reply(out, CallId::new(raw("3")), None)), r#"{"rid":3}"#);
        assert_eq!(written(|out| reply(out, CallId::new(raw("\"3\"")), None)), r#"{"rid":"3"}"#);
        assert_eq!(written(|out| reply(out, CallId::new(raw("0")), Some(RawJson::NULL))), r#"{"rid":0,"data":null}"#);
    }

    #[test]
    fn the_length_of_an_answer_is_known_before() {
        for (call, data) in [("1", None), ("12345", Some(raw("null"))), ("\"ä\"", Some(raw("[1, 2]")))] {
            let call = CallId::new(raw(call));
            assert_eq!(reply_length(call, data), written(|out| reply(out, call, data)).len());
        }
    }

    #[test]
    fn a_publication_forwards_its_payload_untouched() {
        let payload = "{ \"a\" :\n1e2 }";
        let text = written(|out| publication(out, "news", Some(raw(payload))));
        assert_eq!(text, format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{payload}}}}}"##));
        let text = written(|out| publication(out, "a\"b\n", None));
        assert_eq!(text, r##"{"event":"#publish","data":{"channel":"a\"b\n"}}"##);
    }

    #[test]
    fn the_length_hint_is_exact_for_plain_names() {
        for (channel, data) in [("news", None), ("", Some(raw("25"))), ("Grüße", Some(raw("[1, 2]")))] {
            let length = written(|out| publication(out, channel, data)).len();
            assert_eq!(publication_length_hint(channel, data), length);
        }
        assert!(publication_length_hint("\"", None) < written(|out| publication(out, "\"", None)).len());
    }

    #[test]
    fn a_refused_handshake_has_its_code_whatever_the_error_is() {
        let refusal = |error| written(|out| handshake_refusal(out, CallId::new(raw("1")), raw(error), 4501));
        let expected = |error: &str| format!(r#"{{"rid":1,"error":{error},"data":{{"code":4501}}}}"#);
        assert_eq!(
            refusal(r#"{"message":"no","name":"Denied"}"#),
            expected(r#"{"message":"no","name":"Denied","statusCode":4501}"#)
        );
        assert_eq!(refusal("{ }"), expected(r#"{"statusCode":4501}"#));
        assert_eq!(refusal("{\"a\":{} \n}"), expected(r#"{"a":{},"statusCode":4501}"#));
        assert_eq!(refusal("\"no\""), expected(r#"{"message":"no","name":"Error","statusCode":4501}"#));
    }

    #[test]
    fn errors_carry_what_the_application_adds() {
        let text =
            written(|out| error_object(out, "MyError", "a\nb", &[("extra", raw("{\"a\":1}")), ("code", raw("42"))]));
        assert_eq!(text, r#"{"message":"a\nb","name":"MyError","extra":{"a":1},"code":42}"#);
        let answer = written(|out| reply_error_with_data(out, CallId::new(raw("7")), raw("\"x\""), Some(raw("1"))));
        assert_eq!(answer, r#"{"rid":7,"error":"x","data":1}"#);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 9, 10, 99, 100, 1_234_567_890, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(written(|out| write_decimal(out, number)), number.to_string());
        }
    }
}
