//! Server to client: each function appends one packet as Engine.IO messages in WebSocket frames: a text, and a binary
//! one for each attachment. What a packet is addressed with, namespace and id, is given as text: `/chat,` or `/chat,12`.

use super::attachment::{self, Found};
use crate::engineio::{Version, write_binary};
use crate::json::write_string;
use crate::message::RawJson;
use crate::socketcluster::encode::write_decimal;
use crate::websocket::{Opcode, encode as websocket};

/// A namespace is open. Clients of protocol 4 are told no id: they make their own of the session's. By the private id a
/// client shows later that it was here.
pub fn connect(out: &mut Vec<u8>, version: Version, address: &str, id: &str, private_id: Option<&str>) {
    text(out, 64, |out| {
        start(out, b'0', None, address);
        if version == Version::V4 {
            out.extend_from_slice(b"{\"sid\":");
            write_string(out, id);
            if let Some(private_id) = private_id {
                out.extend_from_slice(b",\"pid\":");
                write_string(out, private_id);
            }
            out.push(b'}');
        }
    });
}

/// A namespace is not opened. `error` is an error object with a `message`, or a JSON string.
pub fn connect_error(out: &mut Vec<u8>, version: Version, address: &str, message: &str, error: Option<RawJson<'_>>) {
    text(out, 256, |out| {
        start(out, b'4', None, address);
        if version == Version::V3 {
            // What these clients give to their listeners: the text, or the object.
            return match error {
                Some(error) => out.extend_from_slice(error.as_str().as_bytes()),
                None => write_string(out, message),
            };
        }
        out.extend_from_slice(b"{\"message\":");
        write_string(out, message);
        if let Some(error) = error {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(error.as_str().as_bytes());
        }
        out.push(b'}');
    });
}

/// A namespace is closed by the server: clients do not come back by themselves.
pub fn disconnect(out: &mut Vec<u8>, address: &str) {
    text(out, 16, |out| start(out, b'1', None, address));
}

/// An event with one argument, or none; and its number as the last one, if it has one.
pub fn event(
    out: &mut Vec<u8>,
    version: Version,
    address: &str,
    name: &str,
    data: Option<RawJson<'_>>,
    offset: Option<u64>,
) {
    let json = data.map_or("", RawJson::as_str);
    let found = attachment::find(json);
    text(out, 16 + address.len() + name.len() + json.len(), |out| {
        start(out, b'2', Some(found.len()), address);
        out.push(b'[');
        write_string(out, name);
        if !json.is_empty() {
            out.push(b',');
            write_without(out, json, &found);
        }
        if let Some(offset) = offset {
            out.extend_from_slice(b",\"");
            write_decimal(out, offset);
            out.push(b'"');
        }
        out.push(b']');
    });
    binaries(out, version, found);
}

/// The shape of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerShape {
    /// `(error, result)`: the error is `null` where there is none.
    ErrorFirst,
    /// `(result)`, or `({"error":…})`.
    #[default]
    Single,
}

/// The answer to an event; `address` includes its id.
pub fn answer(
    out: &mut Vec<u8>,
    version: Version,
    address: &str,
    shape: AnswerShape,
    outcome: Result<Option<RawJson<'_>>, RawJson<'_>>,
) {
    let json = match outcome {
        Ok(data) => data.map_or("", RawJson::as_str),
        Err(error) => error.as_str(),
    };
    let found = attachment::find(json);
    text(out, 32 + address.len() + json.len(), |out| {
        start(out, b'3', Some(found.len()), address);
        out.extend_from_slice(match (shape, outcome) {
            (AnswerShape::ErrorFirst, Ok(Some(_))) => b"[null,".as_slice(),
            (AnswerShape::ErrorFirst, Ok(None)) => b"[null",
            (AnswerShape::Single, Err(_)) => b"[{\"error\":",
            (AnswerShape::ErrorFirst, Err(_)) | (AnswerShape::Single, Ok(_)) => b"[",
        });
        write_without(out, json, &found);
        out.extend_from_slice(match (shape, outcome) {
            (AnswerShape::Single, Err(_)) => b"}]".as_slice(),
            _ => b"]",
        });
    });
    binaries(out, version, found);
}

fn text(out: &mut Vec<u8>, length_hint: usize, write: impl FnOnce(&mut Vec<u8>)) {
    websocket::frame_with(out, Opcode::Text, length_hint, write);
}

/// The message's type, the packet's type, which has another digit with attachments, and the address.
fn start(out: &mut Vec<u8>, digit: u8, attachments: Option<usize>, address: &str) {
    out.push(b'4');
    match attachments {
        None | Some(0) => out.push(digit),
        Some(count) => {
            out.push(digit + 3);
            write_decimal(out, count as u64);
            out.push(b'-');
        }
    }
    out.extend_from_slice(address.as_bytes());
}

/// JSON with placeholders where binary was found.
fn write_without(out: &mut Vec<u8>, json: &str, found: &[Found]) {
    let mut done = 0;
    for (number, binary) in found.iter().enumerate() {
        out.extend_from_slice(&json.as_bytes()[done..binary.range.start]);
        out.extend_from_slice(b"{\"_placeholder\":true,\"num\":");
        write_decimal(out, number as u64);
        out.push(b'}');
        done = binary.range.end;
    }
    out.extend_from_slice(&json.as_bytes()[done..]);
}

fn binaries(out: &mut Vec<u8>, version: Version, found: Vec<Found>) {
    for binary in found {
        let length = binary.bytes.len() + usize::from(version == Version::V3);
        websocket::frame_with(out, Opcode::Binary, length, |out| write_binary(out, version, &binary.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payloads of frames that are all shorter than 126 bytes.
    fn frames(write: impl FnOnce(&mut Vec<u8>)) -> Vec<String> {
        let mut out = Vec::new();
        write(&mut out);
        let (mut rest, mut frames) = (out.as_slice(), Vec::new());
        while let [first, length, after @ ..] = rest {
            let (payload, after) = after.split_at(usize::from(*length));
            let kind = if first & 15 == 1 { "" } else { "binary " };
            frames.push(format!("{kind}{}", String::from_utf8_lossy(payload)));
            rest = after;
        }
        frames
    }

    fn raw(text: &str) -> RawJson<'_> {
        RawJson::from_validated(text)
    }

    #[test]
    fn connecting_is_answered_in_either_protocol() {
        assert_eq!(frames(|out| connect(out, Version::V4, "/a,", "x", None)), [r#"40/a,{"sid":"x"}"#]);
        assert_eq!(frames(|out| connect(out, Version::V3, "", "x", Some("y"))), ["40"]);
        let connected = frames(|out| connect(out, Version::V4, "", "x", Some("y")));
        assert_eq!(connected, [r#"40{"sid":"x","pid":"y"}"#]);
        let error = |version, error| frames(|out| connect_error(out, version, "/a,", "no \"x\"", error));
        assert_eq!(error(Version::V4, None), [r#"44/a,{"message":"no \"x\""}"#]);
        assert_eq!(error(Version::V4, Some(raw("[1]"))), [r#"44/a,{"message":"no \"x\"","data":[1]}"#]);
        assert_eq!(error(Version::V3, None), [r#"44/a,"no \"x\"""#]);
        assert_eq!(error(Version::V3, Some(raw("{}"))), ["44/a,{}"]);
        assert_eq!(frames(|out| disconnect(out, "")), ["41"]);
    }

    #[test]
    fn events_and_answers_carry_what_they_are_given() {
        assert_eq!(frames(|out| event(out, Version::V4, "", "n", None, None)), [r#"42["n"]"#]);
        assert_eq!(frames(|out| event(out, Version::V4, "/a,", "n", Some(raw("{}")), None)), [r#"42/a,["n",{}]"#]);
        assert_eq!(frames(|out| event(out, Version::V4, "", "n", None, Some(7))), [r#"42["n","7"]"#]);
        assert_eq!(frames(|out| event(out, Version::V4, "", "n", Some(raw("1")), Some(7))), [r#"42["n",1,"7"]"#]);
        let answer =
            |shape, outcome| frames(|out| answer(out, Version::V4, "/a,7", shape, outcome)).pop().expect("one frame");
        assert_eq!(answer(AnswerShape::ErrorFirst, Ok(Some(raw("625")))), "43/a,7[null,625]");
        assert_eq!(answer(AnswerShape::ErrorFirst, Ok(None)), "43/a,7[null]");
        assert_eq!(answer(AnswerShape::ErrorFirst, Err(raw("{}"))), "43/a,7[{}]");
        assert_eq!(answer(AnswerShape::Single, Ok(Some(raw("625")))), "43/a,7[625]");
        assert_eq!(answer(AnswerShape::Single, Ok(None)), "43/a,7[]");
        assert_eq!(answer(AnswerShape::Single, Err(raw("{}"))), r#"43/a,7[{"error":{}}]"#);
    }

    #[test]
    fn binary_follows_its_packet_as_each_protocol_has_it() {
        let data = raw(r#"[{"base64":true,"data":"eno="},1,{"base64":true,"data":"eg=="}]"#);
        let text = r#"452-["n",[{"_placeholder":true,"num":0},1,{"_placeholder":true,"num":1}]]"#;
        let of = |version| frames(|out| event(out, version, "", "n", Some(data), None));
        assert_eq!(of(Version::V4), [text, "binary zz", "binary z"]);
        assert_eq!(of(Version::V3), [text, "binary \u{4}zz", "binary \u{4}z"]);
        let answered = frames(|out| {
            answer(out, Version::V4, "3", AnswerShape::ErrorFirst, Ok(Some(raw(r#"{"base64":true,"data":"eg=="}"#))))
        });
        assert_eq!(answered, [r#"461-3[null,{"_placeholder":true,"num":0}]"#, "binary z"]);
    }
}
