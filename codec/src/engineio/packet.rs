//! One packet, as a WebSocket message or an item of a payload holds it: a digit for its type, then text; or bytes.

/// The protocol, as the client names it in the query's `EIO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Of engine.io 1 to 3, and so of socket.io 1 and 2: the client pings.
    V3,
    /// Of engine.io 4 to 6, and so of socket.io 3 and 4: the server pings.
    V4,
}

impl Version {
    /// What the query's `EIO` means; a client that has none is as old as protocol 3. `None`: it is not spoken here.
    #[must_use]
    pub fn from_query(value: Option<&str>) -> Option<Self> {
        match value {
            None | Some("3") => Some(Self::V3),
            Some("4") => Some(Self::V4),
            Some(_) => None,
        }
    }
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The server's first: a JSON object, see [`Open`](super::Open).
    Open(&'a str),
    /// The session is over.
    Close,
    /// Is the other there? With `probe`, on the way to a better transport.
    Ping(&'a str),
    /// Yes, it is; with the ping's text.
    Pong(&'a str),
    /// A message.
    Text(&'a str),
    /// A message of bytes.
    Binary(&'a [u8]),
    /// A message of bytes, written in base64 by somebody who cannot send bytes.
    Base64(&'a str),
    /// From here on on this transport.
    Upgrade,
    /// Nothing: the answer to a request that has to be answered.
    Noop,
}

impl<'a> Packet<'a> {
    /// The packet that a text stands for; `None`: it stands for none.
    #[must_use]
    pub fn from_text(version: Version, text: &'a str) -> Option<Self> {
        let (kind, rest) = (*text.as_bytes().first()?, text.get(1..)?);
        Some(match kind {
            b'0' => Self::Open(rest),
            b'1' => Self::Close,
            b'2' => Self::Ping(rest),
            b'3' => Self::Pong(rest),
            b'4' => Self::Text(rest),
            b'5' => Self::Upgrade,
            b'6' => Self::Noop,
            b'b' if version == Version::V4 => Self::Base64(rest),
            // Only messages are ever binary.
            b'b' => Self::Base64(rest.strip_prefix('4')?),
            _ => return None,
        })
    }

    /// The packet that bytes stand for; `None`: they stand for none.
    #[must_use]
    pub fn from_binary(version: Version, bytes: &'a [u8]) -> Option<Self> {
        match version {
            Version::V4 => Some(Self::Binary(bytes)),
            Version::V3 => Some(Self::Binary(bytes.strip_prefix(&[MESSAGE_TYPE])?)),
        }
    }
}

/// Appends a message of text, as a packet.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'4');
    out.extend_from_slice(text.as_bytes());
}

/// Appends a message of bytes, as the packet that a binary WebSocket message holds.
pub fn write_binary(out: &mut Vec<u8>, version: Version, bytes: &[u8]) {
    if version == Version::V3 {
        out.push(MESSAGE_TYPE);
    }
    out.extend_from_slice(bytes);
}

/// A message, where protocol 3 writes the type as a byte.
pub(super) const MESSAGE_TYPE: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_tells_the_type() {
        let v4 = |text| Packet::from_text(Version::V4, text);
        assert_eq!(v4("0{}"), Some(Packet::Open("{}")));
        assert_eq!(v4("1"), Some(Packet::Close));
        assert_eq!(v4("2probe"), Some(Packet::Ping("probe")));
        assert_eq!(v4("3"), Some(Packet::Pong("")));
        assert_eq!(v4("4é"), Some(Packet::Text("é")));
        assert_eq!(v4("5"), Some(Packet::Upgrade));
        assert_eq!(v4("6"), Some(Packet::Noop));
        for text in ["", "7", "é", "x", "-1", "B4"] {
            assert_eq!(v4(text), None, "{text}");
        }
    }

    #[test]
    fn each_protocol_has_its_own_binary() {
        assert_eq!(Packet::from_text(Version::V4, "bAQID"), Some(Packet::Base64("AQID")));
        assert_eq!(Packet::from_text(Version::V3, "b4AQID"), Some(Packet::Base64("AQID")));
        assert_eq!(Packet::from_text(Version::V3, "b2AQID"), None);
        assert_eq!(Packet::from_binary(Version::V4, b"\x04a"), Some(Packet::Binary(b"\x04a")));
        assert_eq!(Packet::from_binary(Version::V3, b"\x04a"), Some(Packet::Binary(b"a")));
        assert_eq!((Packet::from_binary(Version::V3, b"a"), Packet::from_binary(Version::V3, b"")), (None, None));
    }

    #[test]
    fn only_two_versions_are_spoken() {
        assert_eq!(Version::from_query(None), Some(Version::V3));
        assert_eq!(Version::from_query(Some("3")), Some(Version::V3));
        assert_eq!(Version::from_query(Some("4")), Some(Version::V4));
        for value in ["", "2", "5", "44", "4 ", "x"] {
            assert_eq!(Version::from_query(Some(value)), None, "{value}");
        }
    }
}
