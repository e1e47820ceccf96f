//! The header of one frame (RFC 6455 section 5.2): 2 to 14 bytes. A violation is reported as soon as the byte that
//! shows it is there, so that however the bytes arrive, the verdict is the same.

use super::error::WebSocketError;

/// Which side of the connection we are: a server demands masked frames, a client demands unmasked ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We accepted the connection.
    Server,
    /// We opened the connection.
    Client,
}

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message before it.
    Continuation = 0x0,
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The end of the conversation.
    Close = 0x8,
    /// A question whether the peer is there.
    Ping = 0x9,
    /// The answer to it.
    Pong = 0xa,
    /// UTF-8 text, compressed: with the first reserved bit (RFC 7692 section 6).
    CompressedText = 0x41,
    /// Bytes, compressed.
    CompressedBinary = 0x42,
}

impl Opcode {
    /// Whether the payload is compressed.
    pub(super) const fn is_compressed(self) -> bool {
        matches!(self, Self::CompressedText | Self::CompressedBinary)
    }

    /// Whether frames of this kind may stand between the fragments of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The longest header: 2 bytes, 8 of length, 4 of key.
pub(super) const HEADER_BYTES_MAX: usize = 14;

/// The most that a control frame may carry.
const CONTROL_BYTES_MAX: u8 = 125;

/// A parsed header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    pub(super) payload_bytes: u64,
    /// All zeroes where there is no mask, which changes nothing.
    pub(super) key: [u8; 4],
    /// Its own length.
    pub(super) bytes: usize,
}

impl Header {
    /// Parses the header of a message in one frame with an ordinary length, as clients send nearly all; none proves
    /// nothing: `parse` knows all headers, and finds the same where this finds one.
    #[inline]
    pub(super) fn parse_usual(bytes: &[u8]) -> Option<Self> {
        let opcode = match bytes.first()? {
            0x81 => Opcode::Text,
            0x82 => Opcode::Binary,
            _ => return None,
        };
        let (payload_bytes, key, bytes) = match *bytes.get(1)? {
            second @ 0x80..=0xfd => (u64::from(second & 0x7f), bytes.get(2..6)?, 6),
            0xfe => {
                let length = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
                if length < 126 {
                    return None;
                }
                (u64::from(length), bytes.get(4..8)?, 8)
            }
            _ => return None,
        };
        Some(Self { is_final: true, opcode, payload_bytes, key: *key.first_chunk()?, bytes })
    }

    /// Parses the header that begins `bytes`; none while it is incomplete and nothing in it is wrong yet.
    #[inline]
    pub(super) fn parse(bytes: &[u8], role: Role, may_compress: bool) -> Result<Option<Self>, WebSocketError> {
        let [first, after @ ..] = bytes else {
            return Ok(None);
        };
        let is_final = first & 0x80 != 0;
        let opcode = opcode(*first, may_compress)?;
        if opcode.is_control() && !is_final {
            return Err(WebSocketError::FragmentedControl);
        }
        let [second, after @ ..] = after else {
            return Ok(None);
        };
        let is_masked = second & 0x80 != 0;
        match role {
            Role::Server if !is_masked => return Err(WebSocketError::Unmasked),
            Role::Client if is_masked => return Err(WebSocketError::Masked),
            Role::Server | Role::Client => {}
        }
        let short = second & 0x7f;
        if opcode.is_control() && short > CONTROL_BYTES_MAX {
            return Err(WebSocketError::OversizeControl);
        }
        let Some((payload_bytes, length_bytes)) = length(short, after)? else {
            return Ok(None);
        };
        let bytes = 2 + length_bytes;
        let header = Self { is_final, opcode, payload_bytes, key: [0; 4], bytes };
        if !is_masked {
            return Ok(Some(header));
        }
        match after[length_bytes..].first_chunk() {
            Some(key) => Ok(Some(Self { key: *key, bytes: bytes + 4, ..header })),
            None => Ok(None),
        }
    }
}

/// The kind of frame that the first byte says.
#[inline]
fn opcode(first: u8, may_compress: bool) -> Result<Opcode, WebSocketError> {
    if first & 0x70 != 0 {
        return compressed(first, may_compress);
    }
    match first & 0x0f {
        0x0 => Ok(Opcode::Continuation),
        0x1 => Ok(Opcode::Text),
        0x2 => Ok(Opcode::Binary),
        0x8 => Ok(Opcode::Close),
        0x9 => Ok(Opcode::Ping),
        0xa => Ok(Opcode::Pong),
        _ => Err(WebSocketError::UnknownOpcode),
    }
}

/// The kind of frame with reserved bits. The first of them is permessage-deflate's, on the first frame of a message only
/// (RFC 7692 section 6.1): neither on its continuations nor on control frames.
#[cold]
fn compressed(first: u8, may_compress: bool) -> Result<Opcode, WebSocketError> {
    match first & 0x7f {
        0x41 if may_compress => Ok(Opcode::CompressedText),
        0x42 if may_compress => Ok(Opcode::CompressedBinary),
        _ => Err(WebSocketError::ReservedBits),
    }
}

/// The payload's length and how many bytes it took beside the seven bits; none while those are incomplete.
#[inline]
fn length(short: u8, after: &[u8]) -> Result<Option<(u64, usize)>, WebSocketError> {
    match short {
        126 => match after.first_chunk::<2>() {
            Some(bytes) => match u16::from_be_bytes(*bytes) {
                0..126 => Err(WebSocketError::NonMinimalLength),
                length => Ok(Some((u64::from(length), 2))),
            },
            None => Ok(None),
        },
        127 => match after.first_chunk::<8>() {
            Some(bytes) => match u64::from_be_bytes(*bytes) {
                0..0x1_0000 => Err(WebSocketError::NonMinimalLength),
                0x8000_0000_0000_0000.. => Err(WebSocketError::LengthTooLarge),
                length => Ok(Some((length, 8))),
            },
            None => Ok(None),
        },
        _ => Ok(Some((u64::from(short), 0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WebSocketError as E;

    fn client_frame(bytes: &[u8]) -> Result<Option<Header>, WebSocketError> {
        Header::parse(bytes, Role::Server, false)
    }

    #[test]
    fn header_is_read_field_by_field() {
        let header = client_frame(b"\x02\xfe\x01\x00abcdrest").expect("good").expect("whole");
        assert_eq!((header.is_final, header.opcode, header.payload_bytes), (false, Opcode::Binary, 256));
        assert_eq!((header.key, header.bytes), (*b"abcd", 8));
        let header = Header::parse(b"\x81\x7f\0\0\0\0\0\x01\0\0", Role::Client, false).expect("good").expect("whole");
        assert_eq!((header.is_final, header.opcode, header.payload_bytes), (true, Opcode::Text, 65536));
        assert_eq!((header.key, header.bytes), ([0; 4], 10));
    }

    #[test]
    fn the_short_way_finds_what_the_general_one_finds() {
        let mut found = 0;
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for long in [[0, 0], [0, 125], [0, 126], [1, 0], [255, 255]] {
                    let bytes = [&[first, second][..], &long, b"abcdefghij"].concat();
                    for cut in [0, 1, 2, 3, 5, 6, 7, 8, bytes.len()] {
                        let Some(header) = Header::parse_usual(&bytes[..cut]) else { continue };
                        let general = client_frame(&bytes[..cut]).expect("good").expect("whole");
                        assert_eq!(format!("{header:?}"), format!("{general:?}"), "{bytes:?}");
                        found += usize::from(cut == bytes.len());
                    }
                }
            }
        }
        // Two kinds; every short length with each of five bytes behind it, and the three good long ones.
        assert_eq!(found, 2 * (126 * 5 + 3));
    }

    #[test]
    fn incomplete_header_waits_for_its_last_byte() {
        for whole in [&b"\x81\x80abcd"[..], b"\x81\xfe\x00\x7eabcd", b"\x81\xff\0\0\0\0\0\x01\0\0abcd"] {
            for cut in 0..whole.len() {
                assert!(matches!(client_frame(&whole[..cut]), Ok(None)), "{cut} of {whole:?}");
            }
            assert_eq!(client_frame(whole).expect("good").expect("whole").bytes, whole.len());
        }
    }

    #[test]
    fn reserved_bits_and_opcodes_are_refused_at_the_first_byte() {
        for bits in [0x10, 0x20, 0x40, 0x70] {
            assert_eq!(client_frame(&[0x81 | bits]).err(), Some(E::ReservedBits));
        }
        for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            assert_eq!(client_frame(&[0x80 | opcode]).err(), Some(E::UnknownOpcode));
            assert_eq!(client_frame(&[opcode]).err(), Some(E::UnknownOpcode));
        }
    }

    #[test]
    fn first_reserved_bit_stands_on_the_first_frame_of_a_message_where_it_was_agreed() {
        let parse = |first| Header::parse(&[first, 0x80, 1, 2, 3, 4], Role::Server, true);
        for (first, opcode) in [(0xc1, Opcode::CompressedText), (0x42, Opcode::CompressedBinary)] {
            assert_eq!(parse(first).expect("agreed").expect("whole").opcode, opcode);
        }
        for first in [0xc0, 0xc8, 0xc9, 0xca, 0xc3, 0xa1, 0x91, 0xe1, 0xf2] {
            assert_eq!(parse(first).err(), Some(E::ReservedBits), "{first:#x}");
        }
    }

    #[test]
    fn control_frames_are_short_and_whole() {
        for opcode in [8, 9, 0xa] {
            assert_eq!(client_frame(&[opcode]).err(), Some(E::FragmentedControl));
            assert!(matches!(client_frame(&[0x80 | opcode, 0x80 | 125]), Ok(None)));
            assert_eq!(client_frame(&[0x80 | opcode, 0x80 | 126]).err(), Some(E::OversizeControl));
            assert_eq!(client_frame(&[0x80 | opcode, 0x80 | 127]).err(), Some(E::OversizeControl));
        }
    }

    #[test]
    fn mask_is_demanded_of_clients_and_forbidden_to_servers() {
        assert_eq!(Header::parse(b"\x81\x00", Role::Server, false).err(), Some(E::Unmasked));
        assert_eq!(Header::parse(b"\x81\x80", Role::Client, false).err(), Some(E::Masked));
    }

    #[test]
    fn lengths_are_minimal_and_below_two_to_the_63() {
        assert_eq!(client_frame(b"\x82\xfe\x00\x7d").err(), Some(E::NonMinimalLength));
        assert_eq!(client_frame(b"\x82\xfe\x00\x00").err(), Some(E::NonMinimalLength));
        assert_eq!(client_frame(b"\x82\xff\0\0\0\0\0\0\xff\xff").err(), Some(E::NonMinimalLength));
        assert_eq!(client_frame(b"\x82\xff\x80\0\0\0\0\0\0\0").err(), Some(E::LengthTooLarge));
        assert!(matches!(client_frame(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), Ok(None)));
    }
}
