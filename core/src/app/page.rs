//! Static pages: bytes known at start-up, served with validators. It never reads a file and never looks at a path beyond
//! finding it in a table, so there is nothing to escape from.

use bytes::Bytes;
use codec::http::request::Head;
use codec::http::response;

/// One static resource. Its bytes are shared, not copied, when it is cloned: an application that makes its pages before
/// `run` and clones them on each shard holds them once.
#[derive(Clone, Debug)]
pub struct Page {
    headers: Vec<(String, String)>,
    etag: String,
    body: Bytes,
}

impl Page {
    /// A page of that content type. Browsers keep it and ask each time whether it is still the same, which it is as long
    /// as its bytes are: the answer is then a 304 without a body.
    #[must_use]
    pub fn new(content_type: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let etag = format!("\"{:016x}\"", fingerprint(&body));
        let headers = [
            ("Content-Type", content_type),
            ("ETag", &etag),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { headers, etag, body }
    }

    /// Sets a header, in place of one of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Answers a request for it.
    /// `cookie` is what the client is to be given with it.
    pub(crate) fn respond(&self, head: &Head<'_>, keep_alive: bool, cookie: Option<&str>, out: &mut Vec<u8>) {
        let mut headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Some(cookie) = cookie {
            // No cache between us and this browser may keep it: it would give it to others (RFC 9111 section 7.3).
            for (_, value) in headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("cache-control")) {
                if !value.contains("no-store") {
                    *value = "private, no-cache";
                }
            }
            headers.push(("Set-Cookie", cookie));
        }
        match head.method {
            "GET" | "HEAD" if self.is_known(head) => response::write(out, 304, &headers, b"", keep_alive),
            "GET" => response::write(out, 200, &headers, &self.body, keep_alive),
            "HEAD" => response::write_head(out, 200, &headers, self.body.len(), keep_alive),
            "OPTIONS" => response::write(out, 204, &[ALLOW], b"", keep_alive),
            _ => plain(out, 405, &[ALLOW], "method not allowed\n", head, keep_alive),
        }
    }

    /// Whether the client has it: RFC 9110 section 13.1.2, where a list, weak validators and `*` are all allowed.
    fn is_known(&self, head: &Head<'_>) -> bool {
        head.tokens("if-none-match").any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == self.etag)
    }
}

/// Answers with a line of text.
pub(crate) fn plain(
    out: &mut Vec<u8>,
    status: u16,
    extra: &[(&str, &str)],
    text: &str,
    head: &Head<'_>,
    keep_alive: bool,
) {
    let mut headers = vec![("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")];
    headers.extend_from_slice(extra);
    if head.method == "HEAD" {
        response::write_head(out, status, &headers, text.len(), keep_alive);
    } else {
        response::write(out, status, &headers, text.as_bytes(), keep_alive);
    }
}

/// Answers a request for what is so at the moment.
pub(crate) fn momentary(out: &mut Vec<u8>, status: u16, text: &str, head: &Head<'_>, keep_alive: bool) {
    match head.method {
        "GET" | "HEAD" => plain(out, status, &[("Cache-Control", "no-store")], text, head, keep_alive),
        "OPTIONS" => response::write(out, 204, &[ALLOW], b"", keep_alive),
        _ => plain(out, 405, &[ALLOW], "method not allowed\n", head, keep_alive),
    }
}

/// What a page can be asked.
pub(crate) const ALLOW: (&str, &str) = ("Allow", "GET, HEAD, OPTIONS");

/// FNV-1a: not against forgery, only to tell versions of our own bytes apart, the same in every process.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
