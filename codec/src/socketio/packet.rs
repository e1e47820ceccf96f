//! One packet: `<type>[<attachments>-][<namespace>,][<id>][<JSON>]`. What is read is valid to its last byte; what is
//! not, ends the connection, because a client that is wrong about one packet is wrong about the next.

use std::borrow::Cow;
use std::fmt;

use crate::arguments::Arguments;
use crate::json::{JsonLimits, Kind as JsonKind, Scanner, unescape};
use crate::message::RawJson;
use crate::name::ACTION_NAME_BYTES_MAX;
use crate::socketcluster::encode::write_decimal;

/// What a packet may demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of its JSON.
    pub json: JsonLimits,
    /// Attachments of one packet.
    pub attachments_max: usize,
    /// Bytes of a namespace's name.
    pub namespace_bytes_max: usize,
}

impl Default for Limits {
    /// 10 attachments: the reference's parser. Namespaces are names, as actions are.
    fn default() -> Self {
        Self { json: JsonLimits::default(), attachments_max: 10, namespace_bytes_max: ACTION_NAME_BYTES_MAX }
    }
}

/// What a packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
}

/// One packet, borrowed from its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet<'a> {
    /// What it does.
    pub kind: Kind,
    /// How many binary messages follow and belong to it; none where the packet is not a binary one.
    pub attachments: Option<usize>,
    /// The namespace, with its slash.
    pub namespace: &'a str,
    /// What follows a question mark in the namespace; clients of protocol 4 send it.
    pub query: Option<&'a str>,
    /// The id of an event that wants an answer, or of an answer: decimal digits.
    pub id: Option<&'a str>,
    /// Everything between the packet's type and its JSON that an answer in kind repeats: namespace, comma and id.
    pub address: &'a str,
    /// Its JSON.
    pub data: Option<RawJson<'a>>,
    /// An event's name.
    pub name: Cow<'a, str>,
    /// The arguments of an event or an answer.
    pub arguments: Arguments<'a>,
}

/// Why a text is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// It has no type that there is.
    Kind,
    /// Its attachments are not counted, or are too many.
    Attachments,
    /// Its namespace is too long.
    Namespace,
    /// Its id is longer than any number of a client.
    Id,
    /// Its JSON is none, is nested too deep, or is not what the type needs.
    Data,
    /// The event's name is one that the clients' libraries keep to themselves.
    Reserved,
}

impl fmt::Display for PacketError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kind => "unknown packet type",
            Self::Attachments => "attachments are not counted, or too many",
            Self::Namespace => "namespace is too long",
            Self::Id => "id is too long",
            Self::Data => "payload is not what the packet needs",
            Self::Reserved => "event name is reserved",
        })
    }
}

impl std::error::Error for PacketError {}

/// Digits of an id: those of a 64-bit number. Clients count from 0.
const ID_BYTES_MAX: usize = 20;

/// The names of events that the clients' libraries emit themselves.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether clients' libraries keep this name of an event to themselves.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

impl<'a> Packet<'a> {
    /// The packet that this text stands for.
    ///
    /// # Errors
    /// It stands for none.
    pub fn decode(text: &'a str, limits: &Limits) -> Result<Self, PacketError> {
        let (kind, is_binary) = match text.as_bytes().first() {
            Some(b'0') => (Kind::Connect, false),
            Some(b'1') => (Kind::Disconnect, false),
            Some(b'2') => (Kind::Event, false),
            Some(b'3') => (Kind::Ack, false),
            Some(b'4') => (Kind::ConnectError, false),
            Some(b'5') => (Kind::Event, true),
            Some(b'6') => (Kind::Ack, true),
            _ => return Err(PacketError::Kind),
        };
        let mut rest = &text[1..];
        let attachments = if is_binary { Some(take_attachments(&mut rest, limits)?) } else { None };
        let addressed = rest;
        let (namespace, query) = take_namespace(&mut rest, limits)?;
        let id = take_id(&mut rest)?;
        let mut packet = Self {
            kind,
            attachments,
            namespace,
            query,
            id,
            address: &addressed[..addressed.len() - rest.len()],
            data: None,
            name: Cow::Borrowed(""),
            arguments: Arguments::default(),
        };
        packet.take_data(rest, limits.json)?;
        Ok(packet)
    }

    /// Appends the packet as it is read.
    pub fn write(&self, out: &mut Vec<u8>) {
        let digit = match self.kind {
            Kind::Connect => b'0',
            Kind::Disconnect => b'1',
            Kind::Event if self.attachments.is_some() => b'5',
            Kind::Event => b'2',
            Kind::Ack if self.attachments.is_some() => b'6',
            Kind::Ack => b'3',
            Kind::ConnectError => b'4',
        };
        out.push(digit);
        if let Some(attachments) = self.attachments {
            write_decimal(out, attachments as u64);
            out.push(b'-');
        }
        out.extend_from_slice(self.address.as_bytes());
        if let Some(data) = self.data {
            out.extend_from_slice(data.as_str().as_bytes());
        }
    }

    fn take_data(&mut self, text: &'a str, limits: JsonLimits) -> Result<(), PacketError> {
        let bad = |_| PacketError::Data;
        let is_list = matches!(self.kind, Kind::Event | Kind::Ack);
        if text.is_empty() {
            return if is_list { Err(PacketError::Data) } else { Ok(()) };
        }
        if text.starts_with([' ', '\t', '\n', '\r']) {
            return Err(PacketError::Data); // Where it ends and the id begins would be a guess.
        }
        let mut scanner = Scanner::new(text, limits).map_err(bad)?;
        if !is_list {
            let value = scanner.value().map_err(bad)?;
            self.data = Some(scanner.raw(value.span));
            scanner.finish().map_err(bad)?;
            let is_good = match self.kind {
                Kind::Connect => value.kind == JsonKind::Object,
                Kind::Disconnect => false,
                _ => true,
            };
            return if is_good { Ok(()) } else { Err(PacketError::Data) };
        }
        let names = usize::from(self.kind == Kind::Event);
        let (mut values, mut name, mut first, mut last) = (0, None, "", "");
        let reader = scanner.clone();
        let span = scanner
            .array(|scanner| {
                let value = scanner.value()?;
                let raw = reader.raw(value.span);
                if values < names {
                    name = Some((value.kind, raw));
                } else {
                    first = if values == names { raw.as_str() } else { first };
                    last = raw.as_str();
                }
                values += 1;
                Ok(())
            })
            .map_err(bad)?;
        self.data = Some(scanner.raw(span));
        scanner.finish().map_err(bad)?;
        if self.kind == Kind::Event {
            self.name = match name {
                Some((JsonKind::String, raw)) => unescape(raw).ok_or(PacketError::Data)?,
                Some((JsonKind::Number, raw)) => Cow::Borrowed(raw.as_str()),
                _ => return Err(PacketError::Data),
            };
            if is_reserved(&self.name) {
                return Err(PacketError::Reserved);
            }
        }
        self.arguments = Arguments { text: between(text, first, last), count: values - names };
        Ok(())
    }
}

/// From the beginning of `first` to the end of `last`, which both lie in `text`.
fn between<'a>(text: &'a str, first: &str, last: &str) -> &'a str {
    if first.is_empty() {
        return "";
    }
    let place = |part: &str| part.as_ptr().addr() - text.as_ptr().addr();
    &text[place(first)..place(last) + last.len()]
}

fn take_attachments(rest: &mut &str, limits: &Limits) -> Result<usize, PacketError> {
    let (digits, after) = rest.split_once('-').ok_or(PacketError::Attachments)?;
    let is_count = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count = if is_count { digits.parse().ok() } else { None };
    *rest = after;
    count.filter(|count| *count <= limits.attachments_max).ok_or(PacketError::Attachments)
}

fn take_namespace<'a>(rest: &mut &'a str, limits: &Limits) -> Result<(&'a str, Option<&'a str>), PacketError> {
    if !rest.starts_with('/') {
        return Ok(("/", None));
    }
    let end = memchr::memchr(b',', rest.as_bytes()).unwrap_or(rest.len());
    let whole = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    let (namespace, query) = match whole.split_once('?') {
        Some((namespace, query)) => (namespace, Some(query)),
        None => (whole, None),
    };
    if namespace.len() > limits.namespace_bytes_max { Err(PacketError::Namespace) } else { Ok((namespace, query)) }
}

fn take_id<'a>(rest: &mut &'a str) -> Result<Option<&'a str>, PacketError> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (id, after) = rest.split_at(digits);
    *rest = after;
    match digits {
        0 => Ok(None),
        1..=ID_BYTES_MAX => Ok(Some(id)),
        _ => Err(PacketError::Id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Packet<'_>, PacketError> {
        Packet::decode(text, &Limits::default())
    }

    #[test]
    fn an_event_has_a_name_and_arguments() {
        let packet = decode(r#"2/chat,12["say" , "a" , {"b":[1, 2]} ]"#).expect("a packet");
        assert_eq!((packet.kind, packet.namespace, packet.id), (Kind::Event, "/chat", Some("12")));
        assert_eq!((&*packet.name, packet.address), ("say", "/chat,12"));
        assert_eq!(packet.arguments, Arguments { text: r#""a" , {"b":[1, 2]}"#, count: 2 });
        let mut scratch = String::new();
        let data = packet.arguments.data(&mut scratch).map(RawJson::as_str);
        assert_eq!(data, Some(r#"["a" , {"b":[1, 2]}]"#));
        let each: Vec<_> = packet.arguments.iter(JsonLimits::default()).map(RawJson::as_str).collect();
        assert_eq!(each, [r#""a""#, r#"{"b":[1, 2]}"#]);
    }

    #[test]
    fn no_argument_one_argument_and_a_number_for_a_name() {
        let mut scratch = String::new();
        let packet = decode(r#"2["x"]"#).expect("a packet");
        assert_eq!((packet.arguments.data(&mut scratch), packet.address, packet.id), (None, "", None));
        let packet = decode("2[5,[1]]").expect("a packet");
        assert_eq!((&*packet.name, packet.arguments.data(&mut scratch).map(RawJson::as_str)), ("5", Some("[1]")));
        let packet = decode("31[]").expect("a packet");
        assert_eq!((packet.kind, packet.id, packet.arguments.count), (Kind::Ack, Some("1"), 0));
    }

    #[test]
    fn connecting_takes_an_object_or_a_query() {
        let packet = decode(r#"0/admin,{"token":"x"}"#).expect("a packet");
        assert_eq!((packet.namespace, packet.data.map(RawJson::as_str)), ("/admin", Some(r#"{"token":"x"}"#)));
        let packet = decode("0/admin?token=ok,").expect("a packet");
        assert_eq!((packet.namespace, packet.query, packet.data), ("/admin", Some("token=ok"), None));
        assert_eq!(decode("0").map(|packet| packet.namespace), Ok("/"));
        assert_eq!(decode("1/chat").map(|packet| (packet.kind, packet.namespace)), Ok((Kind::Disconnect, "/chat")));
    }

    #[test]
    fn binary_packets_count_their_attachments() {
        let packet = decode(r#"52-/chat,1["e",{"_placeholder":true,"num":0}]"#).expect("a packet");
        assert_eq!((packet.kind, packet.attachments, packet.address), (Kind::Event, Some(2), "/chat,1"));
        assert_eq!(decode("61-3[1]").map(|packet| (packet.kind, packet.attachments)), Ok((Kind::Ack, Some(1))));
    }

    #[test]
    fn what_is_no_packet_says_why() {
        use PacketError::{Attachments, Data, Id, Kind, Namespace, Reserved};
        let long = format!("2/{},[\"a\"]", "n".repeat(300));
        for (text, error) in [
            ("", Kind),
            ("9", Kind),
            ("é", Kind),
            ("51", Attachments),
            ("5-[\"a\"]", Attachments),
            ("511-[\"a\"]", Attachments),
            ("5+1-[\"a\"]", Attachments),
            ("2", Data),
            ("2{}", Data),
            ("2[]", Data),
            ("2[null]", Data),
            ("2[\"a\"", Data),
            ("2[\"a\"]x", Data),
            ("2-[\"a\"]", Data),
            ("3", Data),
            ("0\"abc\"", Data),
            ("0[1]", Data),
            ("0{\"a\":}", Data),
            ("1{}", Data),
            ("2 [\"a\"]", Data),
            ("2[\"connect\"]", Reserved),
            ("2[\"dis\\u0063onnect\"]", Reserved),
            ("2123456789012345678901[\"a\"]", Id),
            (long.as_str(), Namespace),
        ] {
            assert_eq!(decode(text), Err(error), "{text}");
        }
        assert_eq!(decode(&format!("2[\"a\",{}]", "[".repeat(70))), Err(Data));
    }
}
