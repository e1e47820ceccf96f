//! The client's side of 0.3 to 0.5, for tests and load: what a client says, and what it hears.

use std::borrow::Cow;

use crate::arguments::Arguments;
use crate::json::{JsonLimits, members, unescape, write_string};
use crate::message::RawJson;

/// What a server says.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage<'a> {
    /// The client may speak.
    Ready,
    /// The answer to a call.
    Answer {
        /// The call's.
        id: Option<RawJson<'a>>,
        /// The results, or the error.
        outcome: Result<Arguments<'a>, RawJson<'a>>,
    },
    /// An event.
    Event {
        /// Its name.
        name: Cow<'a, str>,
        /// Its arguments.
        arguments: Arguments<'a>,
        /// What was said behind the last bar.
        meta: &'a str,
    },
}

impl<'a> ServerMessage<'a> {
    /// The message that this text stands for, if it does for any.
    #[must_use]
    pub fn decode(text: &'a str, limits: JsonLimits) -> Option<Self> {
        let (responder, content) = text.split_once('|')?;
        match responder {
            "X" => Some(Self::Ready),
            "0" => read_event(content, limits),
            "1" => read_answer(content, limits),
            _ => None,
        }
    }
}

fn read_answer(text: &str, limits: JsonLimits) -> Option<ServerMessage<'_>> {
    let (mut id, mut list, mut error) = (None, None, None);
    members(text, limits, |name, value| match &*name {
        "id" => id = Some(value),
        "p" => list = Some(value),
        "e" => error = Some(value),
        _ => {}
    })
    .ok()?;
    let outcome = match error {
        Some(error) => Err(error),
        None => Ok(Arguments::of_array(list?, limits).ok()??),
    };
    Some(ServerMessage::Answer { id, outcome })
}

fn read_event(text: &str, limits: JsonLimits) -> Option<ServerMessage<'_>> {
    let (json, meta) = text.rsplit_once('|')?;
    let (mut event, mut list) = (None, None);
    members(json, limits, |name, value| match &*name {
        "e" => event = unescape(value),
        "p" => list = Some(value),
        _ => {}
    })
    .ok()?;
    Some(ServerMessage::Event { name: event?, arguments: Arguments::of_array(list?, limits).ok()??, meta })
}

/// Calls a method with these arguments, the source of their list.
pub fn call(out: &mut Vec<u8>, method: &str, id: Option<u64>, list: RawJson<'_>) {
    out.extend_from_slice(b"1|{\"m\":");
    write_string(out, method);
    if let Some(id) = id {
        out.extend_from_slice(format!(",\"id\":{id}").as_bytes());
    }
    out.extend_from_slice(b",\"p\":");
    out.extend_from_slice(list.as_str().as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socketstream::{Message, encode};

    #[test]
    fn what_a_server_says_is_heard() {
        let limits = JsonLimits::default();
        assert_eq!(ServerMessage::decode(encode::READY, limits), Some(ServerMessage::Ready));
        let mut out = Vec::new();
        encode::event(&mut out, encode::To::Channel("c"), "c", Some(RawJson::from_validated("\"a|b\"")));
        let text = String::from_utf8(out).expect("text");
        let arguments = Arguments { text: "\"a|b\"", count: 1 };
        let event = ServerMessage::Event { name: Cow::Borrowed("c"), arguments, meta: "c" };
        assert_eq!(ServerMessage::decode(&text, limits), Some(event));
        for nothing in ["", "hi", "2|{}", "1|{}", "0|{}|c", r#"0|{"e":"a","p":[]}"#, r#"1|{"p":5}"#] {
            assert_eq!(ServerMessage::decode(nothing, limits), None, "{nothing}");
        }
    }

    #[test]
    fn what_a_client_says_is_understood() {
        let mut out = Vec::new();
        call(&mut out, "app.square", Some(7), RawJson::from_validated("[25]"));
        let text = String::from_utf8(out).expect("text");
        let Some(Message::Call(call)) = Message::decode(&text, JsonLimits::default()) else { panic!("{text}") };
        assert_eq!((call.method.as_deref(), call.id.map(RawJson::as_str)), (Some("app.square"), Some("7")));
        assert_eq!(call.arguments, Some(Arguments { text: "25", count: 1 }));
    }
}
