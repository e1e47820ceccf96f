//! The head of an HTTP/1.1 request. Strict where parsers could disagree about the same bytes (request smuggling): what
//! is ambiguous is refused, never repaired. Absolute-form targets are refused too: this server is nobody's proxy, and
//! a second host in the target could contradict the Host header.

use super::error::HttpError;
use super::headers::{self, HeaderStorage, Headers};
use super::scan;
use memchr::memchr;

pub use super::headers::HEADERS_MAX;

/// How the body that follows a head is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// No body: the next head may follow at once.
    None,
    /// That many bytes, at least one.
    Length(u64),
    /// Chunks of which each says its length.
    Chunked,
}

/// One request's head, borrowed from the received bytes.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method, one of HTTP's, in capitals.
    pub method: &'a str,
    /// The whole request target as it was sent: visible ASCII, begins with `/` (or is `*` for OPTIONS), no fragment.
    pub target: &'a str,
    /// The target up to the first `?`, not decoded.
    pub path: &'a str,
    /// The target after the first `?`, not decoded.
    pub query: Option<&'a str>,
    /// 0 or 1: the version is HTTP/1.0 or HTTP/1.1.
    pub minor_version: u8,
    /// The headers.
    pub headers: Headers<'a>,
    body: Body,
    keep_alive: bool,
}

impl<'a> Head<'a> {
    /// The value of the first header of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.first(name)
    }

    /// The members of a comma-separated header, over all its lines.
    pub fn tokens<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.headers.tokens(name)
    }

    /// Whether the client asks for a WebSocket: `websocket::handshake::accept` judges whether it does so properly.
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        self.tokens("upgrade").any(|token| token.eq_ignore_ascii_case("websocket"))
    }

    /// Whether the client wants the connection to outlive the answer (RFC 9112 section 9.3).
    #[must_use]
    pub const fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// How the body is framed that follows the head.
    #[must_use]
    pub const fn body(&self) -> Body {
        self.body
    }

    /// Whether the client waits for a `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    ///
    /// # Errors
    /// [`HttpError::Expectation`] when it expects something else.
    pub fn expects_continue(&self) -> Result<bool, HttpError> {
        let mut expects = false;
        for token in self.tokens("expect") {
            if !token.eq_ignore_ascii_case("100-continue") {
                return Err(HttpError::Expectation);
            }
            expects = true;
        }
        Ok(expects && self.minor_version == 1)
    }

    /// The length of the body that was announced; zero for none and for a chunked one.
    #[must_use]
    pub const fn content_length(&self) -> u64 {
        match self.body {
            Body::Length(bytes) => bytes,
            Body::None | Body::Chunked => 0,
        }
    }

    /// Whether the body is chunked.
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(self.body, Body::Chunked)
    }
}

/// Parses the head that begins `bytes`: none while it is incomplete, else the head and its length including the blank
/// line.
///
/// # Errors
/// What is wrong with it; the connection must be answered with that status and closed.
pub fn parse<'a>(
    bytes: &'a [u8],
    storage: &'a mut HeaderStorage<'a>,
    head_bytes_max: usize,
) -> Result<Option<(Head<'a>, usize)>, HttpError> {
    parse_more(bytes, 0, storage, head_bytes_max)
}

/// As `parse`, for a head that arrives in pieces: the first `scanned` bytes were given to an earlier call that returned
/// none, and are not searched again, so that a client sending a byte at a time costs no more than any other.
///
/// # Errors
/// As `parse`.
pub fn parse_more<'a>(
    bytes: &'a [u8],
    scanned: usize,
    storage: &'a mut HeaderStorage<'a>,
    head_bytes_max: usize,
) -> Result<Option<(Head<'a>, usize)>, HttpError> {
    // One empty line before the request is forgiven (RFC 9112 section 2.2); it counts as part of the head.
    let skipped = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    if skipped > 0 && bytes.get(skipped) == Some(&b'\r') {
        return Err(HttpError::Syntax);
    }
    let Some(length) =
        scan::head_bytes(&bytes[skipped..], scanned.saturating_sub(skipped), head_bytes_max.saturating_sub(skipped))?
    else {
        check_first_line(&bytes[skipped..], scanned.saturating_sub(skipped))?;
        return Ok(None);
    };
    let head = parse_whole(&bytes[skipped..skipped + length], storage)?;
    Ok(Some((head, skipped + length)))
}

/// Refuses a first line without a version as soon as it is whole: after one of HTTP/0.9 no blank line would ever come.
fn check_first_line(bytes: &[u8], scanned: usize) -> Result<(), HttpError> {
    let scanned = scanned.min(bytes.len());
    let has_new_line = memchr(b'\n', &bytes[scanned..]).is_some();
    if !has_new_line || memchr(b'\n', &bytes[..scanned]).is_some() {
        return Ok(());
    }
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    if version.starts_with(b"HTTP/") { Ok(()) } else { Err(HttpError::Syntax) }
}

/// Parses a head that ends with its blank line and nothing after it.
fn parse_whole<'a>(bytes: &'a [u8], storage: &'a mut HeaderStorage<'a>) -> Result<Head<'a>, HttpError> {
    if simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(HttpError::Character);
    }
    let mut request = httparse::Request::new(&mut []);
    let outcome =
        httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, &mut storage.slots);
    match outcome {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(HttpError::Syntax),
        Err(error) => return Err(refusal(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version) else {
        return Err(HttpError::Syntax);
    };
    check_method(method)?;
    check_target(method, target)?;
    let headers = Headers::new(request.headers);
    let facts = Facts::gather(headers, minor_version)?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let keep_alive = facts.keep_alive(minor_version);
    Ok(Head { method, target, path, query, minor_version, headers, body: facts.body()?, keep_alive })
}

/// What the headers say about the host, the connection and the body, gathered in one pass.
#[derive(Default)]
struct Facts {
    hosts: u32,
    content_length: Option<u64>,
    is_chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
}

impl Facts {
    fn gather(headers: Headers<'_>, minor_version: u8) -> Result<Self, HttpError> {
        let mut facts = Self::default();
        for (name, value) in headers.fields() {
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => facts.host(value.text())?,
                10 if name.eq_ignore_ascii_case("connection") => facts.connection(value.text()),
                14 if name.eq_ignore_ascii_case("content-length") => facts.length(value.text())?,
                17 if name.eq_ignore_ascii_case("transfer-encoding") => facts.encoding(value.text(), minor_version)?,
                _ => {}
            }
        }
        if facts.hosts == 0 && minor_version == 1 {
            return Err(HttpError::HostMissing);
        }
        Ok(facts)
    }

    fn host(&mut self, value: &str) -> Result<(), HttpError> {
        self.hosts += 1;
        if self.hosts > 1 {
            return Err(HttpError::HostRepeated);
        }
        // RFC 3986 section 3.2.2: a registered name, an address or a bracketed one, and a port. User names, paths,
        // lists and blanks are not among these characters.
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(&byte);
        if value.is_empty() || !value.bytes().all(is_host) {
            return Err(HttpError::HostMalformed);
        }
        Ok(())
    }

    fn connection(&mut self, value: &str) {
        for token in value.split(',').map(headers::trim) {
            self.says_close |= token.eq_ignore_ascii_case("close");
            self.says_keep_alive |= token.eq_ignore_ascii_case("keep-alive");
        }
    }

    fn length(&mut self, value: &str) -> Result<(), HttpError> {
        match (headers::length(value), self.content_length) {
            (Some(length), None) => self.content_length = Some(length),
            _ => return Err(HttpError::ContentLength),
        }
        Ok(())
    }

    fn encoding(&mut self, value: &str, minor_version: u8) -> Result<(), HttpError> {
        // RFC 9112 section 6.1: with HTTP/1.0 the framing is faulty. A second line would be a second coding.
        if minor_version == 0 || self.is_chunked || !value.eq_ignore_ascii_case("chunked") {
            return Err(HttpError::TransferEncoding);
        }
        self.is_chunked = true;
        Ok(())
    }

    fn body(&self) -> Result<Body, HttpError> {
        match (self.content_length, self.is_chunked) {
            (Some(_), true) => Err(HttpError::LengthAndEncoding),
            (None, true) => Ok(Body::Chunked),
            (None | Some(0), false) => Ok(Body::None),
            (Some(length), false) => Ok(Body::Length(length)),
        }
    }

    const fn keep_alive(&self, minor_version: u8) -> bool {
        !self.says_close && (minor_version == 1 || self.says_keep_alive)
    }
}

fn check_method(method: &str) -> Result<(), HttpError> {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" => Ok(()),
        "CONNECT" | "TRACE" => Err(HttpError::MethodRefused),
        _ => Err(HttpError::MethodUnknown),
    }
}

fn check_target(method: &str, target: &str) -> Result<(), HttpError> {
    let is_absolute_path = target.starts_with('/') || (target == "*" && method == "OPTIONS");
    let is_visible = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'#';
    if is_absolute_path && target.bytes().all(is_visible) { Ok(()) } else { Err(HttpError::Target) }
}

/// Says what httparse found wrong, in our terms.
fn refusal(error: httparse::Error, bytes: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders,
        httparse::Error::HeaderName if has_folded_line(bytes) => HttpError::FoldedHeader,
        httparse::Error::HeaderName => HttpError::HeaderName,
        httparse::Error::HeaderValue => HttpError::HeaderValue,
        httparse::Error::Version if names_a_version(bytes) => HttpError::Version,
        _ => HttpError::Syntax,
    }
}

/// Whether a line begins with a blank.
fn has_folded_line(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|window| matches!(window, b"\r\n " | b"\r\n\t"))
}

/// Whether the first line is good but for its version, which is one of HTTP's that is not spoken here.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
