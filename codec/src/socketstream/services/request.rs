//! Client to server: one message to what is asked of which service.

use crate::json::{JsonLimits, members, unescape};
use crate::socketstream::Call;

/// Digits of a callback's number: those of a 64-bit number. Clients count from 1.
const CALLBACK_BYTES_MAX: usize = 20;

/// What a client asks for. Answers repeat the callback: digits, or nothing where the client has no callback for them.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<'a> {
    /// It is there, and wants to know its session.
    Connect {
        /// Its callback.
        callback: &'a str,
    },
    /// It wants to know which services there are.
    Discover {
        /// Its callback.
        callback: &'a str,
    },
    /// It calls a method.
    Call {
        /// Its callback.
        callback: &'a str,
        /// The call. Ids are not of this protocol.
        call: Call<'a>,
    },
}

impl<'a> Request<'a> {
    /// The request that this text stands for. `None`: there is no such service, or it knows no such thing.
    #[must_use]
    pub fn decode(text: &'a str, limits: JsonLimits) -> Option<Self> {
        let (service, rest) = text.split_once('|')?;
        let (callback, content) = rest.split_once('|')?;
        if callback.len() > CALLBACK_BYTES_MAX {
            return None;
        }
        let is_number = callback.bytes().all(|byte| byte.is_ascii_digit());
        let is_known = is_number && callback.bytes().any(|byte| byte != b'0');
        let callback = if is_known { callback } else { "" };
        match service {
            "0" => match &*command(content, limits)? {
                "connect" => Some(Self::Connect { callback }),
                "discover" => Some(Self::Discover { callback }),
                _ => None,
            },
            "1" => Call::read(content, limits).map(|call| Self::Call { callback, call: Call { id: None, ..call } }),
            _ => None,
        }
    }
}

fn command(text: &str, limits: JsonLimits) -> Option<std::borrow::Cow<'_, str>> {
    let mut command = None;
    members(text, limits, |name, value| {
        if name == "c" {
            command = unescape(value);
        }
    })
    .ok()?;
    command
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::arguments::Arguments;

    fn decode(text: &str) -> Option<Request<'_>> {
        Request::decode(text, JsonLimits { depth_max: 4 })
    }

    #[test]
    fn requests_are_read() {
        let connect = r#"0|1|{"c":"connect","v":"0.0.1","sessionId":false}"#;
        assert_eq!(decode(connect), Some(Request::Connect { callback: "1" }));
        assert_eq!(decode(r#"0|2|{"c":"discover","p":{}}"#), Some(Request::Discover { callback: "2" }));
        let call = Call {
            method: Some(Cow::Borrowed("app.square")),
            id: None,
            arguments: Some(Arguments { text: "\"a|b\"", count: 1 }),
        };
        let read = decode(r#"1|3|{"m":"app.square","p":["a|b"]}"#);
        assert_eq!(read, Some(Request::Call { callback: "3", call }));
    }

    #[test]
    fn what_is_no_number_is_no_callback() {
        for callback in ["", "0", "00", "x", "-1", "1.5"] {
            let text = format!(r#"0|{callback}|{{"c":"connect"}}"#);
            assert_eq!(decode(&text), Some(Request::Connect { callback: "" }), "{callback}");
        }
        assert_eq!(decode(&format!(r#"0|{}|{{"c":"connect"}}"#, "1".repeat(21))), None);
    }

    #[test]
    fn what_no_service_knows_is_nothing() {
        for text in ["", "hello", "9|1|x", r#"0|1|{"c":"nosuch"}"#, "0|1|{}", r#"1|3|{"m""#, "2|{}", r#"1|{"m":"a"}"#] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
