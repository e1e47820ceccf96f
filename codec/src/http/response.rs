//! Responses: written as a server, parsed as a client (loadgen and the tests). Never chunked: what is written is whole
//! and its length known, or ends with its connection. Header values with control characters cannot split a response: those
//! become spaces.

use super::error::HttpError;
use super::headers::{self, HeaderStorage, Headers};
use super::scan;

/// Appends a whole response. For the answer to HEAD see `write_head`.
pub fn write(out: &mut Vec<u8>, status: u16, headers: &[(&str, &str)], body: &[u8], keep_alive: bool) {
    write_head(out, status, headers, body.len(), keep_alive);
    if may_have_body(status) {
        out.extend_from_slice(body);
    }
}

/// Appends the interim response that asks for the body of a request.
pub fn write_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
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

/// Appends the head of a response without a length: all that follows until the end of the connection.
pub fn write_endless_head(out: &mut Vec<u8>, headers: &[(&str, &str)]) {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    for (name, value) in headers {
        push_header(out, name, value);
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
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
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
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
    /// Whether the body has another framing than a length, chunks most likely.
    pub is_chunked: bool,
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
/// What is wrong with it.
pub fn parse<'a>(
    bytes: &'a [u8],
    storage: &'a mut HeaderStorage<'a>,
    head_bytes_max: usize,
) -> Result<Option<(Head<'a>, usize)>, HttpError> {
    let Some(length) = scan::head_bytes(bytes, 0, head_bytes_max)? else {
        return Ok(None);
    };
    let bytes = &bytes[..length];
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
    let (content_length, is_chunked) = framing(headers)?;
    let reason = response.reason.unwrap_or_default();
    Ok(Some((Head { status, reason, minor_version, headers, content_length, is_chunked }, length)))
}

/// How the body is framed: its length, if one is announced, and whether it is chunked.
fn framing(headers: Headers<'_>) -> Result<(Option<u64>, bool), HttpError> {
    let is_chunked = headers.first("transfer-encoding").is_some();
    let mut values = headers.all("content-length");
    let Some(value) = values.next() else {
        return Ok((None, is_chunked));
    };
    if is_chunked {
        return Err(HttpError::LengthAndEncoding);
    }
    match (headers::length(value), values.next()) {
        (Some(length), None) => Ok((Some(length), false)),
        _ => Err(HttpError::ContentLength),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HEAD_BYTES_MAX;

    fn refused(head: &str) -> HttpError {
        let mut storage = HeaderStorage::new();
        parse(head.as_bytes(), &mut storage, HEAD_BYTES_MAX).expect_err("must be refused")
    }

    #[test]
    fn response_is_written_with_length_and_connection() {
        let mut out = b"before".to_vec();
        write(&mut out, 200, &[("Content-Type", "text/plain")], b"hello", true);
        let expected = "beforeHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\
            Connection: keep-alive\r\n\r\nhello";
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    }

    #[test]
    fn answer_to_head_has_the_length_and_no_body() {
        let mut out = Vec::new();
        write_head(&mut out, 404, &[], 1_234_567, false);
        let expected = "HTTP/1.1 404 Not Found\r\nContent-Length: 1234567\r\nConnection: close\r\n\r\n";
        assert_eq!(std::str::from_utf8(&out), Ok(expected));
    }

    #[test]
    fn statuses_without_a_body_have_no_length_either() {
        for status in [204, 304] {
            let mut out = Vec::new();
            write(&mut out, status, &[], b"body", true);
            let text = String::from_utf8(out).expect("ascii");
            assert!(text.ends_with("\r\nConnection: keep-alive\r\n\r\n") && !text.contains("Length"), "{text}");
        }
    }

    #[test]
    fn header_values_cannot_split_the_response() {
        let mut out = Vec::new();
        write(&mut out, 302, &[("Location", "/a\r\nSet-Cookie: x=y\n\0")], b"", true);
        let text = String::from_utf8(out).expect("ascii");
        assert!(text.contains("\r\nLocation: /a  Set-Cookie: x=y  \r\nContent-Length: 0\r\n"), "{text}");
    }

    #[test]
    fn what_was_written_is_parsed_and_what_is_incomplete_waits() {
        let mut out = Vec::new();
        write(&mut out, 503, &[("Retry-After", "3")], b"later", false);
        for cut in 0..out.len() - 5 {
            let mut storage = HeaderStorage::new();
            assert!(matches!(parse(&out[..cut], &mut storage, HEAD_BYTES_MAX), Ok(None)), "{cut}");
        }
        let mut storage = HeaderStorage::new();
        let (head, length) = parse(&out, &mut storage, HEAD_BYTES_MAX).expect("good").expect("whole");
        assert_eq!((head.status, head.reason, head.minor_version), (503, "Service Unavailable", 1));
        assert_eq!((head.content_length, head.is_chunked, head.keep_alive()), (Some(5), false, false));
        assert_eq!((head.header("retry-after"), length), (Some("3"), out.len() - 5));
    }

    #[test]
    fn foreign_answers_are_understood() {
        let answer = b"HTTP/1.0 400 \r\nTransfer-Encoding: chunked\r\nConnection: Keep-Alive\r\n\r\n";
        let mut storage = HeaderStorage::new();
        let (head, _) = parse(answer, &mut storage, HEAD_BYTES_MAX).expect("good").expect("whole");
        assert_eq!((head.status, head.reason, head.content_length), (400, "", None));
        assert!(head.is_chunked && head.keep_alive());
    }

    #[test]
    fn malformed_answers_are_refused() {
        assert_eq!(refused("HTTP/2.0 200 OK\r\n\r\n"), HttpError::Version);
        assert_eq!(refused("HTTP/1.1 099 No\r\n\r\n"), HttpError::Syntax);
        assert_eq!(refused("HTTP/1.1 2000 OK\r\n\r\n"), HttpError::Syntax);
        assert_eq!(refused("HTTP/1.1 200 OK\n\r\n"), HttpError::BareLineEnd);
        assert_eq!(refused("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), HttpError::HeaderName);
        assert_eq!(refused("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), HttpError::HeaderName);
        assert_eq!(refused("HTTP/1.1 200 OK\r\nA: \u{1}\r\n\r\n"), HttpError::HeaderValue);
        assert_eq!(
            refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
            HttpError::ContentLength
        );
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(refused(both), HttpError::LengthAndEncoding);
        assert_eq!(refused(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:b\r\n".repeat(101))), HttpError::TooManyHeaders);
        assert_eq!(refused(&format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(20_000))), HttpError::HeadTooLong);
    }
}
