//! The client's side, for tests and load: what a client says, and what it hears.

use std::borrow::Cow;

use super::VERSION;
use crate::arguments::Arguments;
use crate::json::{JsonLimits, Scanner, members, unescape, write_string};
use crate::message::RawJson;

/// What a server says.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage<'a> {
    /// The answer of the system's service, or, without a callback, something that it has to say.
    System {
        /// The request's.
        callback: &'a str,
        /// What it says.
        json: RawJson<'a>,
    },
    /// The answer to a call.
    Answer {
        /// The call's.
        callback: &'a str,
        /// The results, or the error.
        outcome: Result<Arguments<'a>, RawJson<'a>>,
    },
    /// An event.
    Event {
        /// Its name.
        name: Cow<'a, str>,
        /// Its arguments.
        arguments: Arguments<'a>,
    },
}

impl<'a> ServerMessage<'a> {
    /// The message that this text stands for, if it does for any.
    #[must_use]
    pub fn decode(text: &'a str, limits: JsonLimits) -> Option<Self> {
        let (service, rest) = text.split_once('|')?;
        if service == "2" {
            let (event, list) = read(rest, limits)?;
            let arguments = Arguments::of_array(list?, limits).ok()??;
            return Some(Self::Event { name: unescape(event?)?, arguments });
        }
        let (callback, content) = rest.split_once('|')?;
        match service {
            "0" => {
                let mut scanner = Scanner::new(content, limits).ok()?;
                let value = scanner.value().ok()?;
                let json = scanner.raw(value.span);
                scanner.finish().ok()?;
                Some(Self::System { callback, json })
            }
            "1" => {
                let (error, list) = read(content, limits)?;
                let outcome = match error {
                    Some(error) => Err(error),
                    None => Ok(Arguments::of_array(list?, limits).ok()??),
                };
                Some(Self::Answer { callback, outcome })
            }
            _ => None,
        }
    }
}

/// The members `e` and `p`.
fn read(text: &str, limits: JsonLimits) -> Option<(Option<RawJson<'_>>, Option<RawJson<'_>>)> {
    let (mut event, mut list) = (None, None);
    members(text, limits, |name, value| match &*name {
        "e" => event = Some(value),
        "p" => list = Some(value),
        _ => {}
    })
    .ok()?;
    Some((event, list))
}

/// Says hello, without a session that is known.
pub fn connect(out: &mut Vec<u8>, callback: u64) {
    out.extend_from_slice(
        format!("0|{callback}|{{\"c\":\"connect\",\"v\":\"{VERSION}\",\"sessionId\":false}}").as_bytes(),
    );
}

/// Asks which services there are.
pub fn discover(out: &mut Vec<u8>, callback: u64) {
    out.extend_from_slice(format!("0|{callback}|{{\"c\":\"discover\",\"p\":{{}}}}").as_bytes());
}

/// Calls a method with these arguments, the source of their list; without a callback where none is given.
pub fn call(out: &mut Vec<u8>, method: &str, callback: Option<u64>, list: RawJson<'_>) {
    let callback = callback.map(|callback| callback.to_string()).unwrap_or_default();
    out.extend_from_slice(format!("1|{callback}|{{\"m\":").as_bytes());
    write_string(out, method);
    out.extend_from_slice(b",\"p\":");
    out.extend_from_slice(list.as_str().as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socketstream::services::{Request, encode};

    #[test]
    fn what_a_server_says_is_heard() {
        let limits = JsonLimits::default();
        let mut out = Vec::new();
        encode::event(&mut out, "news", Some(RawJson::from_validated("\"a|b\"")));
        let text = String::from_utf8(out).expect("text");
        let arguments = Arguments { text: "\"a|b\"", count: 1 };
        let event = ServerMessage::Event { name: Cow::Borrowed("news"), arguments };
        assert_eq!(ServerMessage::decode(&text, limits), Some(event));
        let json = RawJson::from_validated("[]");
        assert_eq!(ServerMessage::decode("0|2|[]", limits), Some(ServerMessage::System { callback: "2", json }));
        for nothing in ["", "hi", "3|x", "1|1|{}", "2|{}", "0|1|", "0|1", r#"1|1|{"p":5}"#] {
            assert_eq!(ServerMessage::decode(nothing, limits), None, "{nothing}");
        }
    }

    #[test]
    fn what_a_client_says_is_understood() {
        let mut out = Vec::new();
        call(&mut out, "app.square", Some(7), RawJson::from_validated("[25]"));
        let text = String::from_utf8(out).expect("text");
        let Some(Request::Call { callback, call }) = Request::decode(&text, JsonLimits::default()) else {
            panic!("{text}")
        };
        assert_eq!((callback, call.method.as_deref()), ("7", Some("app.square")));
    }
}
