//! Server to client: one WebSocket message to the messages in it. It never trusts the server: the same scanner with the
//! same bounds as in the other direction judges the text.

use std::borrow::Cow;

use super::super::packet::{Found, Id, Packet, Packets};
use super::super::{DecodeError, Dialect, Limits};
use crate::message::{CallId, RawJson};

/// One protocol message from a server.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage<'a> {
    /// A heartbeat, to be answered with the pong of the same dialect.
    Ping(Dialect),
    /// Answers a call.
    Reply {
        /// The id of the call.
        call: CallId<'a>,
        /// `Ok(data)` or `Err(error)`.
        outcome: Result<Option<RawJson<'a>>, RawJson<'a>>,
        /// The `data` that old servers add to an error.
        error_data: Option<RawJson<'a>>,
    },
    /// A publication to a channel.
    Publication {
        /// The channel's name.
        channel: Cow<'a, str>,
        /// The payload; absent differs from `null`.
        data: Option<RawJson<'a>>,
    },
    /// The server ended a subscription.
    KickOut {
        /// The channel's name.
        channel: Cow<'a, str>,
        /// Why.
        message: Option<Cow<'a, str>>,
    },
    /// A token to keep.
    SetAuthToken {
        /// The token.
        token: Cow<'a, str>,
        /// Where the confirmation goes, if one is wanted.
        call: Option<CallId<'a>>,
    },
    /// The token is to be forgotten.
    RemoveAuthToken {
        /// Where the confirmation goes, if one is wanted.
        call: Option<CallId<'a>>,
    },
    /// The server is about to close (versions before 2).
    Disconnect {
        /// Close code; absent where it is no number below 65,536.
        code: Option<u16>,
        /// Reason text.
        reason: Option<Cow<'a, str>>,
    },
    /// An event of the application.
    Event {
        /// Its name.
        name: Cow<'a, str>,
        /// The argument; absent differs from `null`.
        data: Option<RawJson<'a>>,
        /// Where the answer goes, if one is wanted.
        call: Option<CallId<'a>>,
    },
    /// Nothing this protocol knows.
    Unknown,
}

/// Decodes what servers send, for any number of connections one after the other.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    packets: Packets,
}

impl Decoder {
    /// A decoder that has not allocated yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, packets: Packets::default() }
    }

    /// One WebSocket text message to its messages in order.
    ///
    /// # Errors
    /// The text cannot be of this protocol.
    pub fn decode<'a>(&'a mut self, text: &'a str) -> Result<ServerMessages<'a>, DecodeError> {
        let call_id_bytes_max = self.limits.call_id_bytes_max;
        if let Some(dialect) = Dialect::of_ping(text) {
            return Ok(ServerMessages { call_id_bytes_max, ping: Some(dialect), packets: Found::default() });
        }
        let packets = self.packets.scan(text, self.limits.json, self.limits.batch_messages_max)?;
        Ok(ServerMessages { call_id_bytes_max, ping: None, packets })
    }
}

/// The messages in one WebSocket message, in order.
#[derive(Debug)]
pub struct ServerMessages<'a> {
    call_id_bytes_max: usize,
    ping: Option<Dialect>,
    packets: Found<'a>,
}

impl<'a> Iterator for ServerMessages<'a> {
    type Item = ServerMessage<'a>;

    fn next(&mut self) -> Option<ServerMessage<'a>> {
        match self.packets.next() {
            Some(packet) => Some(message(packet, self.call_id_bytes_max)),
            None => self.ping.take().map(ServerMessage::Ping),
        }
    }
}

/// What one packet says. A protocol event without what it is about means nothing.
fn message(packet: Packet<'_>, call_id_bytes_max: usize) -> ServerMessage<'_> {
    let call = match packet.call(call_id_bytes_max) {
        Some(Id::TooLong) => return ServerMessage::Unknown,
        Some(Id::Good(call)) => Some(call),
        None => None,
    };
    let message = match packet.event() {
        Some("#publish") => publication(packet),
        Some("#kickOut") => packet.channel().map(|channel| ServerMessage::KickOut {
            channel: Cow::Borrowed(channel),
            message: packet.message().map(Cow::Borrowed),
        }),
        Some("#setAuthToken") => {
            packet.token().map(|token| ServerMessage::SetAuthToken { token: Cow::Borrowed(token), call })
        }
        Some("#removeAuthToken") => Some(ServerMessage::RemoveAuthToken { call }),
        Some("#disconnect") => {
            let reason = packet.inner_data_text().map(Cow::Borrowed);
            Some(ServerMessage::Disconnect { code: packet.code(), reason })
        }
        Some("") => None,
        Some(name) => Some(ServerMessage::Event { name: Cow::Borrowed(name), data: packet.data(), call }),
        None => reply(packet, call_id_bytes_max),
    };
    message.unwrap_or(ServerMessage::Unknown)
}

fn publication(packet: Packet<'_>) -> Option<ServerMessage<'_>> {
    Some(ServerMessage::Publication { channel: Cow::Borrowed(packet.channel()?), data: packet.inner_data() })
}

fn reply(packet: Packet<'_>, call_id_bytes_max: usize) -> Option<ServerMessage<'_>> {
    let Some(Id::Good(call)) = packet.reply(call_id_bytes_max) else {
        return None;
    };
    let outcome = packet.outcome();
    let error_data = packet.data().filter(|_| outcome.is_err());
    Some(ServerMessage::Reply { call, outcome, error_data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_messages(text: &str, expected: &[ServerMessage<'_>]) {
        let mut decoder = Decoder::new(Limits::default());
        let messages: Vec<_> = decoder.decode(text).expect("this text is JSON").collect();
        assert_eq!(messages, expected, "{text}");
    }

    fn raw(text: &str) -> RawJson<'_> {
        RawJson::from_validated(text)
    }

    #[test]
    fn pings_of_every_dialect_are_known() {
        assert_messages("", &[ServerMessage::Ping(Dialect::V2)]);
        assert_messages("#1", &[ServerMessage::Ping(Dialect::V1)]);
        assert_messages("1", &[ServerMessage::Ping(Dialect::V0)]);
        assert_messages("2", &[ServerMessage::Unknown]);
        assert!(Decoder::new(Limits::default()).decode("#2").is_err());
    }

    #[test]
    fn an_error_may_come_with_data_and_an_answer_has_its_data_once() {
        let call = CallId::new(raw("6"));
        let failed = ServerMessage::Reply { call, outcome: Err(raw("\"x\"")), error_data: Some(raw("[1]")) };
        assert_messages(r#"{"rid":6,"error":"x","data":[1]}"#, &[failed]);
        let answered = ServerMessage::Reply { call, outcome: Ok(Some(raw("[1]"))), error_data: None };
        assert_messages(r#"{"rid":6,"data":[1]}"#, &[answered]);
    }

    #[test]
    fn arrays_are_decoded_in_order() {
        let event = |name| ServerMessage::Event { name: Cow::Borrowed(name), data: None, call: None };
        assert_messages(r#"[{"event":"a"},7,{"event":"b"}]"#, &[event("a"), ServerMessage::Unknown, event("b")]);
    }

    #[test]
    fn a_protocol_event_without_its_subject_is_unknown() {
        for event in ["#publish", "#kickOut", "#setAuthToken"] {
            for data in ["", r#","data":null"#, r#","data":"c""#, r#","data":{"channel":5,"token":5}"#] {
                assert_messages(&format!(r#"{{"event":"{event}"{data}}}"#), &[ServerMessage::Unknown]);
            }
        }
        for text in [r#"{"event":""}"#, "{}", r#"{"rid":null}"#, r#"{"event":"a","cid":"1234567890"}"#] {
            let mut decoder = Decoder::new(Limits { call_id_bytes_max: 10, ..Limits::default() });
            let messages: Vec<_> = decoder.decode(text).expect("JSON").collect();
            assert_eq!(messages, [ServerMessage::Unknown], "{text}");
        }
    }

    #[test]
    fn a_disconnect_may_lack_code_and_reason() {
        let disconnect = |code, reason| ServerMessage::Disconnect { code, reason };
        assert_messages(r##"{"event":"#disconnect"}"##, &[disconnect(None, None)]);
        assert_messages(r##"{"event":"#disconnect","data":{"code":99999}}"##, &[disconnect(None, None)]);
        assert_messages(
            r##"{"event":"#disconnect","data":{"code":4321,"data":"bye"}}"##,
            &[disconnect(Some(4321), Some(Cow::Borrowed("bye")))],
        );
    }
}
