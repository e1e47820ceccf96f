//! The upgrade from HTTP (RFC 6455 section 4), both sides. Extensions and subprotocols are not looked at: the caller names
//! what it has chosen of them (`extension` chooses).

use crate::http::headers::{HeaderStorage, Value};
use crate::http::{HEAD_BYTES_MAX, HttpError, request, response};
use std::fmt;
use tungstenite::handshake::derive_accept_key;

/// The length of `Sec-WebSocket-Accept`: 20 bytes of SHA-1 in base64.
const ACCEPT_BYTES: usize = 28;

/// A request that was found good: what its answer must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    key: [u8; ACCEPT_BYTES],
}

/// Why a request cannot become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The method is not GET.
    Method,
    /// The version is HTTP/1.0.
    HttpVersion,
    /// No Host.
    Host,
    /// A body was announced: its bytes could be taken for frames.
    Body,
    /// The Upgrade header does not name `websocket`.
    Upgrade,
    /// The Connection header does not say `Upgrade`.
    Connection,
    /// The key is missing, repeated, or not 16 bytes in base64.
    Key,
    /// The WebSocket version is not 13.
    Version,
}

impl HandshakeError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Version => 426,
            _ => 400,
        }
    }

    /// The headers that the answer must carry beside the usual ones.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("Allow", "GET")],
            Self::Version => &[("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")],
            _ => &[],
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Method => "websocket handshake is not a GET",
            Self::HttpVersion => "websocket handshake needs HTTP/1.1",
            Self::Host => "websocket handshake without a host",
            Self::Body => "websocket handshake with a body",
            Self::Upgrade => "upgrade header does not name websocket",
            Self::Connection => "connection header does not say upgrade",
            Self::Key => "malformed sec-websocket-key",
            Self::Version => "websocket version is not 13",
        })
    }
}

impl std::error::Error for HandshakeError {}

/// Judges a request that asks for a WebSocket (RFC 6455 section 4.2.1).
///
/// # Errors
/// What is missing; the answer is `status()` with `headers()`, and the connection must be closed after it.
pub fn accept(head: &request::Head<'_>) -> Result<Accept, HandshakeError> {
    if head.method != "GET" {
        return Err(HandshakeError::Method);
    }
    if head.minor_version == 0 {
        return Err(HandshakeError::HttpVersion);
    }
    if head.body() != request::Body::None {
        return Err(HandshakeError::Body);
    }
    let mut found = Found::default();
    for (name, value) in head.headers.fields() {
        found.header(name, value)?;
    }
    found.judge()
}

/// What the headers of a request say about the handshake, gathered in one pass.
#[derive(Default)]
struct Found<'a> {
    host: bool,
    upgrade: bool,
    connection: bool,
    key: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn header(&mut self, name: &str, value: Value<'a>) -> Result<(), HandshakeError> {
        match name.len() {
            4 => self.host |= name.eq_ignore_ascii_case("host"),
            7 if name.eq_ignore_ascii_case("upgrade") => self.upgrade |= has_token(value.text(), "websocket"),
            10 if name.eq_ignore_ascii_case("connection") => self.connection |= has_token(value.text(), "upgrade"),
            17 if name.eq_ignore_ascii_case("sec-websocket-key") => {
                once(&mut self.key, value.text(), HandshakeError::Key)?;
            }
            21 if name.eq_ignore_ascii_case("sec-websocket-version") => {
                once(&mut self.version, value.text(), HandshakeError::Version)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn judge(&self) -> Result<Accept, HandshakeError> {
        if !self.host {
            return Err(HandshakeError::Host);
        }
        if !self.upgrade {
            return Err(HandshakeError::Upgrade);
        }
        if !self.connection {
            return Err(HandshakeError::Connection);
        }
        if self.version != Some("13") {
            return Err(HandshakeError::Version);
        }
        match self.key {
            Some(key) if is_key(key) => Ok(Accept { key: accept_key(key.as_bytes()) }),
            _ => Err(HandshakeError::Key),
        }
    }
}

/// Keeps the value of a header that may be there once only.
fn once<'a>(slot: &mut Option<&'a str>, value: &'a str, error: HandshakeError) -> Result<(), HandshakeError> {
    if slot.replace(value).is_some() { Err(error) } else { Ok(()) }
}

/// Appends the answer that turns the connection into a WebSocket.
pub fn write_response(out: &mut Vec<u8>, accept: &Accept, protocol: Option<&str>) {
    write_response_with(out, accept, protocol, &[]);
}

/// As `write_response`, with further headers.
pub fn write_response_with(out: &mut Vec<u8>, accept: &Accept, protocol: Option<&str>, headers: &[(&str, &str)]) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&accept.key);
    out.extend_from_slice(b"\r\n");
    if let Some(protocol) = protocol {
        response::push_header(out, "Sec-WebSocket-Protocol", protocol);
    }
    for (name, value) in headers {
        response::push_header(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends a client's request for a WebSocket. The key should be random.
pub fn write_request(out: &mut Vec<u8>, host: &str, target: &str, key: [u8; 16], headers: &[(&str, &str)]) {
    out.extend_from_slice(b"GET ");
    response::push_safe(out, target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    response::push_header(out, "Host", host);
    out.extend_from_slice(
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ",
    );
    out.extend_from_slice(&key_text(key));
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        response::push_header(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

/// Why a server's answer does not open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// It is not HTTP.
    Http(HttpError),
    /// It refuses, with that status.
    Refused(u16),
    /// Its Upgrade header does not name `websocket`.
    Upgrade,
    /// Its Connection header does not say `Upgrade`.
    Connection,
    /// It does not prove that it read our key.
    AcceptKey,
    /// It chose an extension, of which we offer none.
    Extensions,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(formatter),
            Self::Refused(status) => write!(formatter, "websocket refused with status {status}"),
            Self::Upgrade => formatter.write_str("upgrade header does not name websocket"),
            Self::Connection => formatter.write_str("connection header does not say upgrade"),
            Self::AcceptKey => formatter.write_str("sec-websocket-accept does not match the key"),
            Self::Extensions => formatter.write_str("server chose an extension that was not offered"),
        }
    }
}

impl std::error::Error for ResponseError {}

/// Judges a server's answer (RFC 6455 section 4.1): its length once it is whole and good, none while it is incomplete.
/// Which subprotocol was chosen is not looked at.
///
/// # Errors
/// Why it does not open a WebSocket.
pub fn check_response(bytes: &[u8], key: [u8; 16]) -> Result<Option<usize>, ResponseError> {
    let mut storage = HeaderStorage::new();
    let Some((head, length)) = response::parse(bytes, &mut storage, HEAD_BYTES_MAX).map_err(ResponseError::Http)?
    else {
        return Ok(None);
    };
    if head.status != 101 {
        return Err(ResponseError::Refused(head.status));
    }
    let says = |name, word| head.headers.all(name).any(|value| has_token(value, word));
    if !says("upgrade", "websocket") {
        return Err(ResponseError::Upgrade);
    }
    if !says("connection", "upgrade") {
        return Err(ResponseError::Connection);
    }
    if head.headers.first("sec-websocket-extensions").is_some() {
        return Err(ResponseError::Extensions);
    }
    let mut proofs = head.headers.all("sec-websocket-accept");
    let expected = accept_key(&key_text(key));
    if proofs.next().map(str::as_bytes) != Some(&expected) || proofs.next().is_some() {
        return Err(ResponseError::AcceptKey);
    }
    Ok(Some(length))
}

/// Whether a comma-separated list holds that word, whatever its case.
fn has_token(list: &str, word: &str) -> bool {
    list.split(',').any(|token| token.trim_matches([' ', '\t']).eq_ignore_ascii_case(word))
}

/// Whether that is 16 bytes in base64: 22 digits and two signs of padding. The four bits of the last digit that mean
/// nothing are not looked at: some clients draw the text at random.
fn is_key(key: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.len() == 24 && key.ends_with("==") && key.bytes().take(22).all(is_digit)
}

/// The proof that a key was read.
fn accept_key(key: &[u8]) -> [u8; ACCEPT_BYTES] {
    derive_accept_key(key).as_bytes().try_into().expect("20 bytes of SHA-1 are 28 characters of base64")
}

/// A key as it is sent: 16 bytes in base64.
fn key_text(key: [u8; 16]) -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; 24];
    // Two bytes of zeroes complete the last group of three; the two digits that they alone fill stay padding.
    let mut padded = [0; 18];
    padded[..16].copy_from_slice(&key);
    for (index, digit) in text.iter_mut().take(22).enumerate() {
        let group = &padded[index / 4 * 3..][..3];
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        *digit = DIGITS[(bits >> (18 - index % 4 * 6) & 0x3f) as usize];
    }
    text
}

#[cfg(test)]
mod tests;
