//! Server to client: each function appends one message as the transport carries it.

use super::VERSION;
use crate::json::write_string;
use crate::message::RawJson;
use crate::socketstream::encode::{write_list, write_outcome};

/// Answers `connect`.
pub fn connected(out: &mut Vec<u8>, callback: &str, session: &str) {
    start(out, "0", callback);
    out.extend_from_slice(b"{\"version\":");
    write_string(out, VERSION);
    out.extend_from_slice(b",\"sessionId\":");
    write_string(out, session);
    out.push(b'}');
}

/// Answers `discover`.
pub fn discovered(out: &mut Vec<u8>, callback: &str) {
    start(out, "0", callback);
    out.push(b'[');
    for (index, (params, handler)) in SERVICES.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"params\":");
        out.extend_from_slice(params.as_bytes());
        out.extend_from_slice(b",\"handler\":");
        write_string(out, handler);
        out.push(b'}');
    }
    out.push(b']');
}

/// Answers a call: with one result or none, or with an error, which is an object with a `message`, or a string.
pub fn answer(out: &mut Vec<u8>, callback: &str, outcome: Result<Option<RawJson<'_>>, RawJson<'_>>) {
    start(out, "1", callback);
    out.push(b'{');
    write_outcome(out, outcome);
    out.push(b'}');
}

/// An event with one argument, or none.
pub fn event(out: &mut Vec<u8>, name: &str, data: Option<RawJson<'_>>) {
    out.extend_from_slice(b"2|{\"e\":");
    write_string(out, name);
    write_list(out, data);
    out.push(b'}');
}

/// Something is wrong that was no call.
pub fn error(out: &mut Vec<u8>, message: &str) {
    start(out, "0", "");
    out.extend_from_slice(b"{\"type\":\"error\",\"message\":");
    write_string(out, message);
    out.push(b'}');
}

/// What clients are told of the services, and the functions that make something to use of them.
const SERVICES: [(&str, &str); 2] = [
    (
        r#"{"id":1,"name":"rpc","options":{},"use":{"json":true,"callbacks":true,"sessions":true}}"#,
        include_str!("rpc.js"),
    ),
    (r#"{"id":2,"name":"pubsub","options":{},"use":{"json":true,"sessions":true}}"#, include_str!("pubsub.js")),
];

fn start(out: &mut Vec<u8>, service: &str, callback: &str) {
    for part in [service, "|", callback, "|"] {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{JsonLimits, Scanner};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    fn raw(text: &str) -> RawJson<'_> {
        RawJson::from_validated(text)
    }

    #[test]
    fn answers_repeat_their_callback() {
        assert_eq!(text(|out| connected(out, "1", "x")), r#"0|1|{"version":"0.0.1","sessionId":"x"}"#);
        assert_eq!(text(|out| answer(out, "7", Ok(Some(raw("25"))))), r#"1|7|{"p":[25]}"#);
        assert_eq!(text(|out| answer(out, "", Ok(None))), r#"1||{"p":[]}"#);
        assert_eq!(text(|out| answer(out, "7", Err(raw("\"no\"")))), r#"1|7|{"e":{"message":"no"}}"#);
        assert_eq!(text(|out| event(out, "news", Some(raw("2")))), r#"2|{"e":"news","p":[2]}"#);
        assert_eq!(text(|out| error(out, "no")), r#"0||{"type":"error","message":"no"}"#);
    }

    #[test]
    fn the_services_are_json_with_their_sources() {
        let told = text(|out| discovered(out, "2"));
        let json = told.strip_prefix("0|2|").expect("the answer of the system's service");
        let mut scanner = Scanner::new(json, JsonLimits::default()).expect("short");
        scanner.value().expect("one value");
        scanner.finish().expect("and no more");
        for function in SERVICES.map(|(_, handler)| handler) {
            assert!(function.starts_with("function (service)") && function.trim_end().ends_with('}'));
        }
    }
}
