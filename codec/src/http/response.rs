//! Responses: written as a server, parsed as a client (loadgen and the tests). Never chunked: what is written is whole,
//! and its length is known. Header values with control characters cannot split a response: those become spaces.

use super::error::HttpError;
use super::headers::{HeaderStorage, Headers};
use super::scan;

/// Appends a whole response. For the answer to HEAD see `write_head`.
pub fn write(out: &mut Vec<u8>, status: u16, headers: &[(&str, &str)], body: &[u8], keep_alive: bool) {
    write_head(out, status, headers, body.len(), keep_alive);
    if may_have_body(status) {
        out.extend_from_slice(body);
    }
}

/// Appends a response's head for a body of that length, which the caller appends, unless it answers HEAD.
pub fn write_head(out: &mut Vec<u8>, status: u16, headers: &[(&str, &str)], content_length: usize, keep_alive: bool) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, usize::from(status));
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        push_header(out, name, value);
    }
    if may_have_body(status) {
        out.extend_from_slice(b"Content-Length: ");
        push_number(out, content_length);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(if keep_alive { b"Connection: keep-alive\r\n\r\n" } else { b"Connection: close\r\n\r\n" });
}

/// Appends one header line.
pub(crate) fn push_header(out: &mut Vec<u8>, name: &str, value: &str) {
    push_safe(out, name);
    out.extend_from_slice(b": ");
    push_safe(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends text with every control character made a space, so that it stays on its line whatever it holds.
pub(crate) fn push_safe(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|byte| if byte < b' ' || byte == 0x7f { b' ' } else { byte }));
}

/// Appends a number in decimal digits.
fn push_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("a remainder of ten is a digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// RFC 9110 sections 6.4.1 and 8.6: no body, and no length of one, with these.
const fn may_have_body(status: u16) -> bool {
    !(status < 200 || status == 204 || status == 304)
}

/// The reason phrase of the statuses that are sent here. A phrase may be empty (RFC 9112 section 4).
const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// One response's head, borrowed from the received bytes.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The status code, three digits.
    pub status: u16,
    /// The reason phrase, possibly empty.
    pub reason: &'a str,
    /// 0 or 1: the version is HTTP/1.0 or HTTP/1.1.
    pub minor_version: u8,
    /// The headers.
    pub headers: Headers<'a>,
    /// The length of the body, where one is announced (what the request was may still mean that none follows).
    pub content_length: Option<u64>,
}

impl<'a> Head<'a> {
    /// The value of the first header of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.first(name)
    }

    /// Whether the server keeps the connection open after this response.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        let says = |word: &str| self.headers.tokens("connection").any(|token| token.eq_ignore_ascii_case(word));
        !says("close") && (self.minor_version == 1 || says("keep-alive"))
    }
}

/// Parses the head that begins `bytes`: none while it is incomplete, else the head and its length including the blank
/// line.
///
/// # Errors
/// What is wrong with it. A chunked body is refused: no server that is spoken to from here sends one.
pub fn parse<'a>(
    bytes: &'a [u8],
    storage: &'a mut HeaderStorage<'a>,
    head_bytes_max: usize,
) -> Result<Option<(Head<'a>, usize)>, HttpError> {
    let Some(length) = scan::head_bytes(bytes, 0, head_bytes_max)? else {
        return Ok(None);
    };
    let bytes = &bytes[..length];
    scan::check_line_ends(bytes, 0)?;
    if simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(HttpError::Character);
    }
    let mut response = httparse::Response::new(&mut []);
    let outcome =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut storage.slots);
    match outcome {
        Ok(httparse::Status::Complete(parsed)) if parsed == length => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HttpError::TooManyHeaders),
        Err(httparse::Error::HeaderName) => return Err(HttpError::HeaderName),
        Err(httparse::Error::HeaderValue) => return Err(HttpError::HeaderValue),
        Err(httparse::Error::Version) => return Err(HttpError::Version),
        Ok(_) | Err(_) => return Err(HttpError::Syntax),
    }
    let (Some(status), Some(minor_version)) = (response.code, response.version) else {
        return Err(HttpError::Syntax);
    };
    if status < 100 {
        return Err(HttpError::Syntax);
    }
    let headers = Headers::new(response.headers);
    let content_length = content_length(headers)?;
    let reason = response.reason.unwrap_or_default();
    Ok(Some((Head { status, reason, minor_version, headers, content_length }, length)))
}

fn content_length(headers: Headers<'_>) -> Result<Option<u64>, HttpError> {
    if headers.first("transfer-encoding").is_some() {
        return Err(HttpError::TransferEncoding);
    }
    let mut values = headers.all("content-length");
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let is_number = (1..=18).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(length) if is_number && values.next().is_none() => Ok(Some(length)),
        _ => Err(HttpError::ContentLength),
    }
}
