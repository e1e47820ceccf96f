//! The publications of `fanout`: a text with the publisher's number, the sequence number, and both stamps in
//! front, so that every delivery tells where it belongs and how old it is. A delivery with exactly the bytes expected
//! is read without a parser; any other is parsed. The text is a JSON string, or in the raw protocol the whole message.

use std::sync::Arc;

use codec::socketcluster::client::ServerMessage;

use super::fanout::Cast;
use super::payload::{filler, read_decimal, read_hex, write_hex};
use super::phrase::publish;
use crate::client::{Protocol, Tongue};
use crate::flight::Stamp;
use crate::socketio;

/// Digits of publisher and sequence number, then of the two stamps.
const FIELDS: [usize; 4] = [8, 8, 16, 16];
const FIELDS_BYTES: usize = 48;
/// The shortest payload: the fields in quotes.
pub(crate) const PAYLOAD_BYTES_MIN: usize = FIELDS_BYTES + 2;

/// The event by which Socket.IO's publications travel where there are no channels.
const EVENT: &str = "message";

/// One delivery, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) channel: usize,
    pub(crate) publisher: usize,
    pub(crate) sequence: u32,
    pub(crate) stamp: Stamp,
}

/// Writes and reads publications.
#[derive(Debug)]
pub(crate) struct Publications {
    protocol: Protocol,
    has_channels: bool,
    prefix: Arc<str>,
    /// What a delivery of the reference form begins with, up to the channel's number.
    head: String,
    filler: String,
    scratch: String,
}

impl Publications {
    /// Publications of that cast, whose payload has so many bytes of JSON, or in the raw protocol of anything.
    pub(crate) fn new(cast: &Cast) -> Self {
        let Cast { protocol, has_channels, ref prefix, payload_bytes, seed, .. } = *cast;
        let head = match protocol {
            Protocol::SocketCluster => format!("{{\"event\":\"#publish\",\"data\":{{\"channel\":\"{prefix}"),
            _ if protocol.is_socket_io() && has_channels => format!("42[\"{prefix}"),
            Protocol::SocketIo | Protocol::SocketIoPolling => format!("42[\"{EVENT}\",\""),
            Protocol::WebSocket => String::new(),
        };
        let around = if protocol == Protocol::WebSocket { FIELDS_BYTES } else { PAYLOAD_BYTES_MIN };
        let filler = filler(payload_bytes.saturating_sub(around), seed);
        Self { protocol, has_channels, prefix: Arc::clone(prefix), head, filler, scratch: String::new() }
    }

    /// Appends a publication as the call of that id.
    pub(crate) fn write(&mut self, tongue: &mut Tongue, out: &mut Vec<u8>, delivery: &Delivery, call: u64) {
        let mut scratch = std::mem::take(&mut self.scratch).into_bytes();
        scratch.clear();
        let is_raw = self.protocol == Protocol::WebSocket;
        scratch.extend((!is_raw).then_some(b'"'));
        let fields =
            [delivery.publisher as u64, u64::from(delivery.sequence), delivery.stamp.intended, delivery.stamp.sent];
        for (field, digits) in fields.into_iter().zip(FIELDS) {
            write_hex(&mut scratch, field, u32::try_from(digits).expect("8 or 16"));
        }
        scratch.extend_from_slice(self.filler.as_bytes());
        scratch.extend((!is_raw).then_some(b'"'));
        self.scratch = String::from_utf8(scratch).expect("digits and letters are ASCII");
        if is_raw {
            return tongue.say(out, self.scratch.len(), |out| out.extend_from_slice(self.scratch.as_bytes()));
        }
        if !self.has_channels {
            let hint = self.scratch.len() + EVENT.len() + 6;
            return tongue.say(out, hint, |out| socketio::write_event(out, None, EVENT, &[&self.scratch]));
        }
        let channel = format!("{}{}", self.prefix, delivery.channel);
        publish(tongue, out, &channel, &self.scratch, call);
    }

    /// Reads a delivery: `None` when the text is none, an error when it is one that nobody here published.
    pub(crate) fn read(&self, tongue: &mut Tongue, text: &str) -> Option<Result<Delivery, String>> {
        if let Some(delivery) = self.read_expected(text) {
            return Some(Ok(delivery));
        }
        if self.protocol.is_socket_io() && self.has_channels && !text.starts_with("42") {
            return None;
        }
        if self.protocol != Protocol::SocketCluster {
            return Some(Err("a delivery that nobody published".to_owned()));
        }
        for message in tongue.packets.decode(text).ok()? {
            let ServerMessage::Publication { channel, data } = message else { continue };
            let number = channel.strip_prefix(&*self.prefix).and_then(|number| number.parse().ok());
            let payload = data.and_then(|data| data.as_str().strip_prefix('"')?.strip_suffix('"'));
            let delivery = number.zip(payload).and_then(|(channel, payload)| self.read_payload(channel, payload));
            return Some(delivery.ok_or_else(|| "a delivery that nobody published".to_owned()));
        }
        None
    }

    fn read_expected(&self, text: &str) -> Option<Delivery> {
        let rest = text.strip_prefix(self.head.as_str())?;
        if !self.has_channels {
            let is_raw = self.protocol == Protocol::WebSocket;
            return self.read_payload(0, if is_raw { rest } else { rest.strip_suffix("\"]")? });
        }
        let (channel, digits) = read_decimal(rest.as_bytes())?;
        let around = if self.protocol.is_socket_io() { ("\",\"", "\"]") } else { ("\",\"data\":\"", "\"}}") };
        let payload = rest[digits..].strip_prefix(around.0)?.strip_suffix(around.1)?;
        self.read_payload(usize::try_from(channel).ok()?, payload)
    }

    fn read_payload(&self, channel: usize, payload: &str) -> Option<Delivery> {
        let (mut fields, filler) = payload.as_bytes().split_at_checked(FIELDS_BYTES)?;
        if filler != self.filler.as_bytes() {
            return None;
        }
        let mut numbers = [0; FIELDS.len()];
        for (number, digits) in numbers.iter_mut().zip(FIELDS) {
            let (field, rest) = fields.split_at(digits);
            *number = read_hex(field)?;
            fields = rest;
        }
        let [publisher, sequence, intended, sent] = numbers;
        Some(Delivery {
            channel,
            publisher: usize::try_from(publisher).ok()?,
            sequence: u32::try_from(sequence).ok()?,
            stamp: Stamp { intended, sent },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;
    use codec::websocket::{Decoder, Limits, Message, Role};

    fn cast(protocol: Protocol, has_channels: bool) -> Cast {
        Cast {
            publishers: 1,
            subscribers: 1,
            channels: 1,
            subscriptions: 1,
            shards: None,
            publisher_shard: None,
            subscriber_shard: None,
            protocol,
            has_channels,
            prefix: "bench/".into(),
            payload_bytes: 64,
            seed: 1,
        }
    }

    #[test]
    fn a_publication_comes_back_as_it_was_sent_in_any_spelling() {
        let mut tongue = Tongue::new(String::new(), String::new(), Protocol::SocketCluster, 1);
        let mut publications = Publications::new(&cast(Protocol::SocketCluster, true));
        let stamp = Stamp { intended: 123_456_789, sent: 223_456_789 };
        let sent = Delivery { channel: 12, publisher: 3, sequence: 77, stamp };
        let mut out = Vec::new();
        publications.write(&mut tongue, &mut out, &sent, 9);
        let mut decoder = Decoder::new(Role::Server);
        let mut messages = decoder.decode(&mut out, &Limits::default());
        let Some(Ok(Message::Text(text))) = messages.next() else { panic!("one text message") };
        assert!(text.ends_with(",\"cid\":9}"), "{text}");
        let payload = &publications.scratch;
        assert_eq!(payload.len(), 64);

        let reference = format!(r##"{{"event":"#publish","data":{{"channel":"bench/12","data":{payload}}}}}"##);
        assert_eq!(publications.read_expected(&reference), Some(sent));
        let spaced = format!(r##"{{ "data": {{"data": {payload}, "channel": "bench/12"}}, "event": "#publish" }}"##);
        assert_eq!(publications.read_expected(&spaced), None);
        assert_eq!(publications.read(&mut tongue, &spaced), Some(Ok(sent)));

        let foreign = r##"{"event":"#publish","data":{"channel":"other","data":1}}"##;
        assert!(matches!(publications.read(&mut tongue, foreign), Some(Err(_))));
        let changed = reference.replace("bench/12\",\"data\":\"0000", "bench/12\",\"data\":\"000g");
        assert!(matches!(publications.read(&mut tongue, &changed), Some(Err(_))));
        assert_eq!(publications.read(&mut tongue, r#"{"rid":3}"#), None);
    }

    #[test]
    fn other_protocols_carry_the_same_payload() {
        for (protocol, around) in [(Protocol::WebSocket, ("", "")), (Protocol::SocketIo, ("42[\"message\",", "]"))] {
            let mut tongue = Tongue::new(String::new(), String::new(), protocol, 1);
            let mut publications = Publications::new(&cast(protocol, false));
            let sent = Delivery { channel: 0, publisher: 1, sequence: 9, stamp: Stamp { intended: 5, sent: 6 } };
            let mut out = Vec::new();
            publications.write(&mut tongue, &mut out, &sent, 3);
            let mut decoder = Decoder::new(Role::Server);
            let mut messages = decoder.decode(&mut out, &Limits::default());
            let Some(Ok(Message::Text(text))) = messages.next() else { panic!("one text message") };
            assert_eq!(text, format!("{}{}{}", around.0, publications.scratch, around.1));
            assert_eq!(publications.scratch.len(), 64);
            assert_eq!(publications.read(&mut tongue, text), Some(Ok(sent)));
            assert!(matches!(publications.read(&mut tongue, "else"), Some(Err(_))));
        }
    }
}
