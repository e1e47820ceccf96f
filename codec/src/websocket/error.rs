//! What can be wrong with received frames, and the close code that says so. Never carries bytes of the peer.

use std::fmt;

/// A violation by the peer: the connection is closed with `close_code`, and nothing after it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketError {
    /// A reserved bit is set that no extension has a use for there.
    ReservedBits,
    /// A reserved opcode (3 to 7, 11 to 15).
    UnknownOpcode,
    /// A control frame without FIN.
    FragmentedControl,
    /// A control frame of more than 125 bytes.
    OversizeControl,
    /// A client's frame without a mask.
    Unmasked,
    /// A server's frame with a mask.
    Masked,
    /// A length in more bytes than it needs.
    NonMinimalLength,
    /// A length of 2^63 bytes or more.
    LengthTooLarge,
    /// A continuation of nothing.
    UnexpectedContinuation,
    /// A new message inside an unfinished one.
    UnfinishedMessage,
    /// A close frame whose payload is one byte.
    CloseLength,
    /// A close code that must not be sent.
    CloseCode,
    /// Text, or a close reason, that is not UTF-8.
    InvalidUtf8,
    /// A compressed message that is no DEFLATE.
    Compression,
    /// A message over `message_bytes_max`.
    MessageTooLarge,
    /// A message of more than `fragments_max` frames.
    TooManyFragments,
}

impl WebSocketError {
    /// The code of the close frame that answers it (RFC 6455 section 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 | Self::Compression => 1007,
            Self::TooManyFragments => 1008,
            Self::MessageTooLarge => 1009,
            _ => 1002,
        }
    }
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ReservedBits => "reserved bits set",
            Self::UnknownOpcode => "unknown opcode",
            Self::FragmentedControl => "fragmented control frame",
            Self::OversizeControl => "control frame over 125 bytes",
            Self::Unmasked => "frame not masked",
            Self::Masked => "frame masked",
            Self::NonMinimalLength => "length not in its shortest form",
            Self::LengthTooLarge => "length of 2^63 bytes or more",
            Self::UnexpectedContinuation => "continuation without a message",
            Self::UnfinishedMessage => "new message inside an unfinished one",
            Self::CloseLength => "close payload of one byte",
            Self::CloseCode => "close code not allowed",
            Self::InvalidUtf8 => "invalid utf-8",
            Self::Compression => "malformed compressed message",
            Self::MessageTooLarge => "message too large",
            Self::TooManyFragments => "too many fragments",
        })
    }
}

impl std::error::Error for WebSocketError {}
