//! SocketCluster 0.9, both directions: JSON packets as Engine.IO's messages. Answers have their call's `cid`; the server
//! speaks first.
//!
//! ```text
//!                                                       {"event":"connect","data":{"soid":…,"appName":…},"cid":1}
//! {"event":"ready","cid":1}                             {"cid":1}
//! {"event":"square","data":5,"cid":3}                   {"cid":3,"data":25}   {"cid":3,"error":…}
//! {"event":"subscribe","data":"news","cid":6}           {"event":"news","data":…}
//! {"event":"publish","data":{"event":"news","data":…},"cid":7}
//! ```

use std::borrow::Cow;

use super::Limits;
use crate::json::{JsonLimits, members, unescape, write_string};
use crate::message::{CallId, ClientMessage, Operation, RawJson};

/// What clients of 0.9 emit themselves: an event of such a name would be taken for the client's own.
const RESERVED: [&str; 19] = [
    "connect",
    "disconnect",
    "upgrading",
    "upgrade",
    "upgradeError",
    "open",
    "error",
    "packet",
    "heartbeat",
    "data",
    "raw",
    "message",
    "handshake",
    "drain",
    "flush",
    "packetCreate",
    "close",
    "fail",
    "ready",
];

/// Whether clients keep this name of an event to themselves.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// It has heard that it is connected.
    Ready {
        /// Where the answer goes.
        call: Option<CallId<'a>>,
    },
    /// What every protocol has.
    Common(ClientMessage<'a>),
}

/// The members of a packet, in either direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packet<'a> {
    /// The event's name; absent in answers.
    pub event: Option<Cow<'a, str>>,
    /// What comes with it; absent differs from `null`.
    pub data: Option<RawJson<'a>>,
    /// The call's id.
    pub call: Option<CallId<'a>>,
    /// What went wrong.
    pub error: Option<RawJson<'a>>,
}

impl<'a> Packet<'a> {
    /// The packet that this text stands for. `None`: it is none.
    #[must_use]
    pub fn decode(text: &'a str, json: JsonLimits) -> Option<Self> {
        let mut packet = Self::default();
        members(text, json, |name, value| match &*name {
            "event" => packet.event = unescape(value),
            "data" => packet.data = Some(value),
            "cid" => packet.call = Some(CallId::new(value)).filter(|_| value != RawJson::NULL),
            "error" => packet.error = Some(value).filter(|value| *value != RawJson::NULL),
            _ => {}
        })
        .ok()?;
        Some(packet)
    }

    /// Appends the packet, in the order in which both sides of the reference write it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(event) = &self.event {
            out.extend_from_slice(b"\"event\":");
            write_string(out, event);
            write_member(out, b",\"data\":", self.data);
            write_member(out, b",\"cid\":", self.call.map(|call| RawJson::from_validated(call.as_str())));
        } else {
            write_member(out, b"\"cid\":", self.call.map(|call| RawJson::from_validated(call.as_str())));
            write_member(out, b",\"error\":", self.error);
            write_member(out, b",\"data\":", self.data);
        }
        out.push(b'}');
    }
}

/// What a client's message says. `None`: nothing that there is.
#[must_use]
pub fn decode<'a>(text: &'a str, limits: &Limits) -> Option<Message<'a>> {
    let Packet { event, data, call, error } = Packet::decode(text, limits.json)?;
    if call.is_some_and(|call| call.as_str().len() > limits.call_id_bytes_max) {
        return None;
    }
    let channel = |name: Option<Cow<'a, str>>| name.filter(|name| limits.names.check_channel(name).is_ok());
    let Some(event) = event else {
        let outcome = error.map_or(Ok(data), Err);
        return call.map(|call| Message::Common(ClientMessage::Reply { call, outcome }));
    };
    let operation = match &*event {
        "ready" => return Some(Message::Ready { call }),
        "subscribe" => Operation::Subscribe,
        "unsubscribe" => Operation::Unsubscribe,
        "publish" => Operation::Publish,
        _ => return Some(Message::Common(invoke(event, data, call, limits))),
    };
    let (name, payload) = match operation {
        Operation::Publish => published(data, limits.json),
        _ => (data.and_then(unescape), None),
    };
    Some(Message::Common(match (operation, channel(name)) {
        (_, None) => ClientMessage::Malformed { operation, call },
        (Operation::Subscribe, Some(channel)) if is_reserved(&channel) => ClientMessage::Malformed { operation, call },
        (Operation::Subscribe, Some(channel)) => ClientMessage::Subscribe { channel, data: None, call },
        (Operation::Unsubscribe, Some(channel)) => ClientMessage::Unsubscribe { channel, call },
        (_, Some(channel)) => ClientMessage::Publish { channel, data: payload, call },
    }))
}

fn invoke<'a>(
    action: Cow<'a, str>,
    data: Option<RawJson<'a>>,
    call: Option<CallId<'a>>,
    limits: &Limits,
) -> ClientMessage<'a> {
    match limits.names.check_action(&action) {
        Ok(()) => ClientMessage::Invoke { action, data, call },
        Err(_) => ClientMessage::Malformed { operation: Operation::Invoke, call },
    }
}

/// The channel, under either of the names that it had in the time of 0.9, and the payload.
fn published(data: Option<RawJson<'_>>, json: JsonLimits) -> (Option<Cow<'_, str>>, Option<RawJson<'_>>) {
    let (mut channel, mut payload) = (None, None);
    if let Some(data) = data.filter(|data| data.as_str().starts_with('{')) {
        let read = members(data.as_str(), json, |name, value| match &*name {
            "event" | "channel" => channel = unescape(value),
            "data" => payload = Some(value),
            _ => {}
        });
        debug_assert!(read.is_ok(), "it was read as a part of the packet");
    }
    (channel, payload)
}

/// The client is let in, and known by this id.
pub fn connect(out: &mut Vec<u8>, id: &str) {
    out.extend_from_slice(b"{\"event\":\"connect\",\"data\":{\"soid\":");
    write_string(out, id);
    out.extend_from_slice(b",\"appName\":\"socketshard\"},\"cid\":1}");
}

/// An event that wants an answer.
pub fn invoke_client(out: &mut Vec<u8>, name: &str, data: Option<RawJson<'_>>, call: u64) {
    let call = call.to_string();
    let call = Some(CallId::new(RawJson::from_validated(&call)));
    Packet { event: Some(Cow::Borrowed(name)), data, call, error: None }.write(out);
}

/// An event, or a publication as the event that is named like its channel.
pub fn event(out: &mut Vec<u8>, name: &str, data: Option<RawJson<'_>>) {
    Packet { event: Some(Cow::Borrowed(name)), data, ..Packet::default() }.write(out);
}

/// The answer to a call.
pub fn answer(out: &mut Vec<u8>, call: CallId<'_>, outcome: Result<Option<RawJson<'_>>, RawJson<'_>>) {
    let (data, error) = match outcome {
        Ok(data) => (data, None),
        Err(error) => (None, Some(error)),
    };
    Packet { event: None, data, call: Some(call), error }.write(out);
}

/// The client is not let in. `error` is an error object or a JSON string.
pub fn fail(out: &mut Vec<u8>, error: RawJson<'_>) {
    event(out, "fail", Some(error));
}

fn write_member(out: &mut Vec<u8>, key: &[u8], value: Option<RawJson<'_>>) {
    if let Some(value) = value {
        out.extend_from_slice(key);
        out.extend_from_slice(value.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<ClientMessage<'_>> {
        match decode(text, &Limits::default())? {
            Message::Common(message) => Some(message),
            Message::Ready { .. } => None,
        }
    }

    fn raw(text: &str) -> RawJson<'_> {
        RawJson::from_validated(text)
    }

    fn id(text: &str) -> Option<CallId<'_>> {
        Some(CallId::new(raw(text)))
    }

    #[test]
    fn packets_are_read() {
        let ready = decode(r#"{"event":"ready","cid":1}"#, &Limits::default());
        assert_eq!(ready, Some(Message::Ready { call: id("1") }));
        let square = ClientMessage::Invoke { action: Cow::Borrowed("square"), data: Some(raw("5")), call: id("3") };
        assert_eq!(read(r#"{"event":"square","data":5,"cid":3}"#), Some(square));
        let channel = Cow::Borrowed("news");
        let subscribe = ClientMessage::Subscribe { channel: channel.clone(), data: None, call: id("6") };
        assert_eq!(read(r#"{"event":"subscribe","data":"news","cid":6}"#), Some(subscribe));
        let unsubscribe = ClientMessage::Unsubscribe { channel: channel.clone(), call: id("8") };
        assert_eq!(read(r#"{"event":"unsubscribe","data":"news","cid":8}"#), Some(unsubscribe));
        let publish = ClientMessage::Publish { channel, data: Some(raw(r#"{"a":1}"#)), call: id("7") };
        for key in ["event", "channel"] {
            let text = format!(r#"{{"event":"publish","data":{{"{key}":"news","data":{{"a":1}}}},"cid":7}}"#);
            assert_eq!(read(&text), Some(publish.clone()));
        }
    }

    #[test]
    fn clients_answer() {
        let call = CallId::new(raw("3"));
        let answer = ClientMessage::Reply { call, outcome: Ok(Some(raw("2"))) };
        assert_eq!(read(r#"{"cid":3,"data":2}"#), Some(answer));
        let error = ClientMessage::Reply { call, outcome: Err(raw("\"no\"")) };
        assert_eq!(read(r#"{"cid":3,"error":"no"}"#), Some(error));
    }

    #[test]
    fn what_names_no_channel_is_malformed() {
        let malformed = |operation| Some(ClientMessage::Malformed { operation, call: id("1") });
        for data in ["5", "\"\"", "null", r#"{"channel":"c"}"#, "\"message\"", "\"ready\""] {
            let text = format!(r#"{{"event":"subscribe","data":{data},"cid":1}}"#);
            assert_eq!(read(&text), malformed(Operation::Subscribe), "{data}");
        }
        assert_eq!(read(r#"{"event":"unsubscribe","cid":1}"#), malformed(Operation::Unsubscribe));
        for data in ["5", "\"c\"", "{}", r#"{"channel":7}"#] {
            let text = format!(r#"{{"event":"publish","data":{data},"cid":1}}"#);
            assert_eq!(read(&text), malformed(Operation::Publish), "{data}");
        }
        assert_eq!(read(r#"{"event":"","cid":1}"#), malformed(Operation::Invoke));
    }

    #[test]
    fn what_is_no_packet_is_nothing() {
        for text in ["", "[]", "5", "{}", r#"{"data":2}"#, r#"{"event":5}"#, r#"{"event":"a"} x"#] {
            assert_eq!(decode(text, &Limits::default()), None, "{text}");
        }
        let long = format!(r#"{{"event":"a","cid":"{}"}}"#, "x".repeat(63));
        assert_eq!(decode(&long, &Limits::default()), None);
    }

    #[test]
    fn the_server_says_what_clients_know() {
        let text = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            String::from_utf8(out).expect("text")
        };
        let call = CallId::new(raw("3"));
        assert_eq!(text(&|out| answer(out, call, Ok(Some(raw("25"))))), r#"{"cid":3,"data":25}"#);
        assert_eq!(text(&|out| answer(out, call, Ok(None))), r#"{"cid":3}"#);
        assert_eq!(text(&|out| answer(out, call, Err(raw("\"no\"")))), r#"{"cid":3,"error":"no"}"#);
        assert_eq!(text(&|out| event(out, "news", Some(raw("1")))), r#"{"event":"news","data":1}"#);
        assert_eq!(text(&|out| event(out, "news", None)), r#"{"event":"news"}"#);
        assert_eq!(text(&|out| fail(out, raw("\"no\""))), r#"{"event":"fail","data":"no"}"#);
        let connected = r#"{"event":"connect","data":{"soid":"x","appName":"socketshard"},"cid":1}"#;
        assert_eq!(text(&|out| connect(out, "x")), connected);
    }
}
