//! Client to server, 0.3 to 0.5: one message of the transport to what it says.

use super::Call;
use crate::json::JsonLimits;

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// Here it is, and what it keeps as its session's id. Nothing is answered: it was told that we are ready.
    Hello(&'a str),
    /// It calls a method.
    Call(Call<'a>),
}

impl<'a> Message<'a> {
    /// The message that this text stands for. `None`: there is no such responder, or it says nothing that one knows; the
    /// reference drops that.
    #[must_use]
    pub fn decode(text: &'a str, limits: JsonLimits) -> Option<Self> {
        let (responder, content) = text.split_once('|')?;
        match responder {
            "X" => Some(Self::Hello(content)),
            "1" => Call::read(content, limits).map(Self::Call),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::arguments::Arguments;
    use crate::message::RawJson;

    fn decode(text: &str) -> Option<Message<'_>> {
        Message::decode(text, JsonLimits { depth_max: 4 })
    }

    #[test]
    fn a_call_is_read() {
        let call = Call {
            method: Some(Cow::Borrowed("app.square")),
            id: Some(RawJson::from_validated("1")),
            arguments: Some(Arguments { text: "5", count: 1 }),
        };
        assert_eq!(decode(r#"1|{"m":"app.square","id":1,"p":[5]}"#), Some(Message::Call(call.clone())));
        let without = Call { id: None, ..call.clone() };
        assert_eq!(decode(r#"1|{"p":[5],"\u006d":"app.square"}"#), Some(Message::Call(without)));
        let list = Call { arguments: None, ..call.clone() };
        assert_eq!(decode(r#"1|{"m":"app.square","id":1,"p":5}"#), Some(Message::Call(list.clone())));
        assert_eq!(decode(r#"1|{"m":"app.square","id":1}"#), Some(Message::Call(list)));
        let nameless = Call { method: None, ..call };
        assert_eq!(decode(r#"1|{"m":5,"id":1,"p":[5]}"#), Some(Message::Call(nameless)));
    }

    #[test]
    fn the_bar_that_counts_is_the_first() {
        assert_eq!(decode("X|a|b"), Some(Message::Hello("a|b")));
        let Some(Message::Call(call)) = decode(r#"1|{"m":"a|b","p":["c|d"]}"#) else { panic!("a call") };
        assert_eq!(call.method.as_deref(), Some("a|b"));
    }

    #[test]
    fn what_no_responder_knows_is_nothing() {
        for text in ["", "hello", "|x", "7|{}", r#"1|{"m":"#, "1|[]", "1|", "11|{}", r#"1|{"p":[[[[]]]]}"#] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode(&format!(r#"1|{{"m":"a","id":"{}","p":[]}}"#, "x".repeat(63))), None);
        assert!(decode(&format!(r#"1|{{"m":"a","id":"{}","p":[]}}"#, "x".repeat(62))).is_some());
    }
}
