//! Payloads: the packets that one request or response of long-polling carries. Protocol 4 puts a record separator
//! between them; protocol 3 puts a length before each, in UTF-16 code units as JavaScript counts them, or, where bytes
//! are among them and the client can take them, in bytes (see `octets`). It never copies a packet that it reads.

use super::octets;
use super::packet::{MESSAGE_TYPE, Version};
use crate::base64;
use crate::socketcluster::encode::write_decimal;

/// Between two packets of protocol 4.
const SEPARATOR: u8 = 0x1e;

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Protocol 4: text, bytes in base64.
    V4,
    /// Protocol 3: text, bytes in base64.
    V3,
    /// Protocol 3 with bytes as they are.
    V3Octets,
}

impl Encoding {
    /// How to write for a client: as octets only what needs it, for who can take it.
    #[must_use]
    pub const fn choose(version: Version, takes_octets: bool, has_binary: bool) -> Self {
        match version {
            Version::V4 => Self::V4,
            Version::V3 if takes_octets && has_binary => Self::V3Octets,
            Version::V3 => Self::V3,
        }
    }

    /// The response's `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V4 | Self::V3 => "text/plain; charset=UTF-8",
            Self::V3Octets => "application/octet-stream",
        }
    }
}

/// Appends one packet of text.
pub fn write_text_packet(out: &mut Vec<u8>, encoding: Encoding, packet: &str, is_first: bool) {
    match encoding {
        Encoding::V4 => separate(out, is_first),
        Encoding::V3 => write_length(out, packet.encode_utf16().count()),
        Encoding::V3Octets => return octets::write(out, false, packet.as_bytes()),
    }
    out.extend_from_slice(packet.as_bytes());
}

/// Appends one packet of bytes, given as a binary WebSocket message would hold it: in protocol 3, with its type.
pub fn write_binary_packet(out: &mut Vec<u8>, encoding: Encoding, packet: &[u8], is_first: bool) {
    match encoding {
        Encoding::V4 => {
            separate(out, is_first);
            out.push(b'b');
            base64::encode(out, packet);
        }
        Encoding::V3 => {
            let bytes = packet.strip_prefix(&[MESSAGE_TYPE]).unwrap_or(packet);
            write_length(out, 2 + bytes.len().div_ceil(3) * 4);
            out.extend_from_slice(b"b4");
            base64::encode(out, bytes);
        }
        Encoding::V3Octets => octets::write(out, true, packet),
    }
}

fn separate(out: &mut Vec<u8>, is_first: bool) {
    if !is_first {
        out.push(SEPARATOR);
    }
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    write_decimal(out, length as u64);
    out.push(b':');
}

/// One packet of a payload, as a WebSocket message would hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
}

/// The bytes are no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadError;

impl std::fmt::Display for PayloadError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("bytes are no payload")
    }
}

impl std::error::Error for PayloadError {}

/// Reads a payload's packets, in order. After an error it gives nothing more.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: Rest<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Rest<'a> {
    Separated(&'a str),
    Counted(&'a str),
    Octets(&'a [u8]),
    Nothing,
    Error,
}

impl<'a> Reader<'a> {
    /// A reader of a body; `is_octets`: its `Content-Type` says that bytes are among it.
    #[must_use]
    pub fn new(version: Version, is_octets: bool, body: &'a [u8]) -> Self {
        let text = || simdutf8::basic::from_utf8(body).ok();
        let rest = match version {
            _ if body.is_empty() => Rest::Error,
            Version::V4 => text().map_or(Rest::Error, Rest::Separated),
            Version::V3 if is_octets => Rest::Octets(body),
            Version::V3 => text().map_or(Rest::Error, Rest::Counted),
        };
        Self { rest }
    }

    fn separated(&mut self, text: &'a str) -> Item<'a> {
        match memchr::memchr(SEPARATOR, text.as_bytes()) {
            Some(at) => {
                self.rest = Rest::Separated(&text[at + 1..]);
                Item::Text(&text[..at])
            }
            None => {
                self.rest = Rest::Nothing;
                Item::Text(text)
            }
        }
    }

    fn counted(&mut self, text: &'a str) -> Option<Item<'a>> {
        let colon = memchr::memchr(b':', &text.as_bytes()[..text.len().min(LENGTH_DIGITS_MAX + 1)])?;
        let digits = &text[..colon];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let units: usize = digits.parse().ok()?;
        let packets = &text[colon + 1..];
        let (packet, rest) = packets.split_at(bytes_of_units(packets, units)?);
        self.rest = if rest.is_empty() { Rest::Nothing } else { Rest::Counted(rest) };
        Some(Item::Text(packet))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Item<'a>, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match std::mem::replace(&mut self.rest, Rest::Error) {
            Rest::Nothing => {
                self.rest = Rest::Nothing;
                return None;
            }
            Rest::Error => None,
            Rest::Separated(text) => Some(self.separated(text)),
            Rest::Counted(text) => self.counted(text),
            Rest::Octets(bytes) => octets::read(bytes).map(|(item, rest)| {
                self.rest = if rest.is_empty() { Rest::Nothing } else { Rest::Octets(rest) };
                item
            }),
        };
        if item.is_none() {
            self.rest = Rest::Nothing;
        }
        Some(item.ok_or(PayloadError))
    }
}

/// Digits of a length: more than any body of ours has bytes.
const LENGTH_DIGITS_MAX: usize = 10;

/// Where so many UTF-16 code units end; `None`: there are fewer, or a character would be cut.
fn bytes_of_units(text: &str, units: usize) -> Option<usize> {
    // What is ASCII, which is most, needs no counting.
    if text.len() >= units && text.as_bytes()[..units].is_ascii() {
        return Some(units);
    }
    let mut counted = 0;
    for (at, character) in text.char_indices() {
        if counted == units {
            return Some(at);
        }
        counted += character.len_utf16();
    }
    (counted == units).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(version: Version, is_octets: bool, body: &[u8]) -> Result<Vec<Item<'_>>, PayloadError> {
        Reader::new(version, is_octets, body).collect()
    }

    #[test]
    fn every_encoding_gives_back_what_was_written() {
        let texts = ["4a", "4", "4a😀b€cdé!", "2probe", "4\u{1f}x"];
        for (version, is_octets, encoding) in [
            (Version::V4, false, Encoding::V4),
            (Version::V3, false, Encoding::V3),
            (Version::V3, true, Encoding::V3Octets),
        ] {
            let mut out = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                write_text_packet(&mut out, encoding, text, index == 0);
            }
            let expected: Vec<_> = texts.iter().map(|text| Item::Text(text)).collect();
            assert_eq!(read(version, is_octets, &out), Ok(expected), "{encoding:?}");
        }
    }

    #[test]
    fn lengths_of_protocol_3_count_what_javascript_counts() {
        let mut out = Vec::new();
        write_text_packet(&mut out, Encoding::V3, "4€x", true);
        write_text_packet(&mut out, Encoding::V3, "4a😀b€cdé!", false);
        write_binary_packet(&mut out, Encoding::V3, b"\x04\x09", false);
        assert_eq!(std::str::from_utf8(&out), Ok("3:4€x10:4a😀b€cdé!6:b4CQ=="));
        let expected = vec![Item::Text("4€x"), Item::Text("4a😀b€cdé!"), Item::Text("b4CQ==")];
        assert_eq!(read(Version::V3, false, &out), Ok(expected));
    }

    #[test]
    fn binary_of_protocol_4_is_base64() {
        let mut out = Vec::new();
        write_text_packet(&mut out, Encoding::V4, "4a", true);
        write_binary_packet(&mut out, Encoding::V4, b"\x01\x02\x03", false);
        assert_eq!(out, b"4a\x1ebAQID");
    }

    #[test]
    fn what_is_no_payload_is_refused_and_nothing_follows() {
        for body in ["", ":", "1", "1:", "2:4", "x:4", "-1:4", "1:45", "2:4a3", "99999999999:4", "2:😀1:4", "1:😀"]
        {
            let outcome = read(Version::V3, false, body.as_bytes());
            let is_refused = matches!(outcome, Err(PayloadError));
            assert!(is_refused || body == "2:😀1:4", "{body}: {outcome:?}");
        }
        assert_eq!(read(Version::V4, false, b""), Err(PayloadError));
        assert_eq!(read(Version::V4, false, b"4\xff"), Err(PayloadError));
        let mut reader = Reader::new(Version::V3, false, b"2:4");
        assert_eq!((reader.next(), reader.next()), (Some(Err(PayloadError)), None));
    }

    #[test]
    fn an_empty_packet_is_an_item_of_its_own() {
        assert_eq!(read(Version::V4, false, b"4a\x1e"), Ok(vec![Item::Text("4a"), Item::Text("")]));
        assert_eq!(read(Version::V3, false, b"0:2:4a"), Ok(vec![Item::Text(""), Item::Text("4a")]));
    }
}
