//! What can be wrong with an HTTP head or body, and the status that says so. Never carries bytes of the peer: a log line made
//! from it cannot be forged.

use std::fmt;

/// Why a head or a body was refused. After any of these the connection must be closed: where the next head would begin is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The head (or its first line's shape) is not HTTP.
    Syntax,
    /// A line ends in LF without CR, or CR stands alone.
    BareLineEnd,
    /// A control character or a byte that is not UTF-8.
    Character,
    /// A header line continues the line before it (obs-fold).
    FoldedHeader,
    /// A header name is empty, holds a character that names cannot hold, or is followed by a space.
    HeaderName,
    /// A header value holds a character that values cannot hold.
    HeaderValue,
    /// The request target is not an absolute path (or `*` for OPTIONS).
    Target,
    /// HTTP/1.1 without a Host header.
    HostMissing,
    /// More than one Host header.
    HostRepeated,
    /// The Host header holds something that is no host and port.
    HostMalformed,
    /// The Content-Length is repeated or is not a number that fits 63 bits.
    ContentLength,
    /// The Transfer-Encoding is anything but `chunked`, or comes with HTTP/1.0.
    TransferEncoding,
    /// Both Content-Length and Transfer-Encoding.
    LengthAndEncoding,
    /// A known method that this server never serves (CONNECT, TRACE).
    MethodRefused,
    /// A method that is none of HTTP's.
    MethodUnknown,
    /// The request line alone is longer than the limit of the whole head.
    TargetTooLong,
    /// The head is longer than the limit.
    HeadTooLong,
    /// More headers than `HEADERS_MAX`.
    TooManyHeaders,
    /// A version of HTTP other than 1.0 and 1.1.
    Version,
    /// The framing of a chunked body is malformed, or its extensions and trailers are too long.
    Chunk,
    /// The body is longer than the limit.
    BodyTooLong,
    /// The client expects something other than `100-continue`.
    Expectation,
}

impl HttpError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::MethodRefused => 405,
            Self::BodyTooLong => 413,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLong | Self::TooManyHeaders => 431,
            Self::MethodUnknown => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Syntax => "malformed http head",
            Self::BareLineEnd => "line not ended by CR LF",
            Self::Character => "control character or invalid utf-8 in http head",
            Self::FoldedHeader => "folded header line",
            Self::HeaderName => "malformed header name",
            Self::HeaderValue => "malformed header value",
            Self::Target => "request target is not an absolute path",
            Self::HostMissing => "host header missing",
            Self::HostRepeated => "more than one host header",
            Self::HostMalformed => "malformed host header",
            Self::ContentLength => "malformed or repeated content-length",
            Self::TransferEncoding => "unsupported transfer-encoding",
            Self::LengthAndEncoding => "both content-length and transfer-encoding",
            Self::MethodRefused => "method not allowed",
            Self::MethodUnknown => "unknown method",
            Self::TargetTooLong => "request target too long",
            Self::HeadTooLong => "http head too long",
            Self::TooManyHeaders => "too many headers",
            Self::Version => "http version not supported",
            Self::Chunk => "malformed chunked body",
            Self::BodyTooLong => "request body too long",
            Self::Expectation => "unknown expectation",
        })
    }
}

impl std::error::Error for HttpError {}
