//! One file, as it is and as it was compressed before, with what lets a client keep it (RFC 9110, 9111).

use std::time::SystemTime;

use bytes::Bytes;
use codec::http::request::Head;
use codec::http::response;
use sha2::{Digest, Sha256};

use crate::app::page::{ALLOW, plain};

/// A file in memory.
#[derive(Clone, Debug)]
pub(super) struct Asset {
    content_type: String,
    modified: SystemTime,
    last_modified: String,
    cache_control: String,
    /// As it is first, then its compressed forms, the best first.
    forms: Vec<Form>,
}

/// The bytes of a file in one coding.
#[derive(Clone, Debug)]
struct Form {
    /// Empty for the file as it is.
    coding: &'static str,
    etag: String,
    body: Bytes,
}

/// Codings by the endings of their files, the best first.
pub(super) const CODINGS: [(&str, &str); 3] = [("br", "br"), ("zst", "zstd"), ("gz", "gzip")];

/// What of a file is sent.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Range(usize, usize),
    Unsatisfiable,
}

impl Asset {
    pub(super) fn new(content_type: String, modified: SystemTime, max_age: u64, body: Vec<u8>) -> Self {
        // Seconds are all that the wire has.
        let last_modified = httpdate::fmt_http_date(modified);
        let modified = httpdate::parse_http_date(&last_modified).unwrap_or(modified);
        let cache_control = if max_age == 0 { "no-cache".to_owned() } else { format!("public, max-age={max_age}") };
        Self { content_type, modified, last_modified, cache_control, forms: vec![Form::new("", body)] }
    }

    /// Adds a form that was compressed before.
    pub(super) fn add(&mut self, coding: &'static str, body: Vec<u8>) {
        self.forms.push(Form::new(coding, body));
    }

    pub(super) fn is_page(&self) -> bool {
        self.content_type.starts_with("text/html")
    }

    /// Answers a request. `cookie` is what the client is to be given with it.
    pub(super) fn respond(&self, head: &Head<'_>, keep_alive: bool, cookie: Option<&str>, out: &mut Vec<u8>) {
        match head.method {
            "GET" | "HEAD" => {}
            "OPTIONS" => return response::write(out, 204, &[ALLOW], b"", keep_alive),
            _ => return plain(out, 405, &[ALLOW], "method not allowed\n", head, keep_alive),
        }
        let form = self.choose(head);
        // No cache between us and this browser may keep what has its cookie.
        let cache_control = if cookie.is_some() { "private, no-cache" } else { &self.cache_control };
        let mut headers = vec![
            ("Content-Type", &*self.content_type),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", cache_control),
            ("ETag", &*form.etag),
            ("Last-Modified", &*self.last_modified),
            ("Accept-Ranges", "bytes"),
        ];
        if self.forms.len() > 1 {
            headers.push(("Vary", "Accept-Encoding"));
        }
        if !form.coding.is_empty() {
            headers.push(("Content-Encoding", form.coding));
        }
        headers.extend(cookie.map(|cookie| ("Set-Cookie", cookie)));
        if self.is_known(head, form) {
            return response::write(out, 304, &headers, b"", keep_alive);
        }
        let part = if head.method == "GET" { self.part(head, form) } else { Part::Whole };
        let (length, range);
        let (status, body) = match part {
            Part::Whole => (200, &form.body[..]),
            Part::Range(start, end) => {
                range = format!("bytes {start}-{}/{}", end - 1, form.body.len());
                headers.push(("Content-Range", &range));
                (206, &form.body[start..end])
            }
            Part::Unsatisfiable => {
                length = format!("bytes */{}", form.body.len());
                return plain(out, 416, &[("Content-Range", &length)], "no such range\n", head, keep_alive);
            }
        };
        if head.method == "HEAD" {
            response::write_head(out, status, &headers, body.len(), keep_alive);
        } else {
            response::write(out, status, &headers, body, keep_alive);
        }
    }

    /// The best form that the client takes.
    fn choose(&self, head: &Head<'_>) -> &Form {
        let takes = |coding: &str| {
            head.tokens("accept-encoding").any(|token| {
                let (name, parameters) = token.split_once(';').unwrap_or((token, ""));
                let quality = parameters.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
                name.trim().eq_ignore_ascii_case(coding) && quality.is_ok_and(|quality| quality > 0.0)
            })
        };
        let best = self.forms[1..].iter().find(|form| takes(form.coding));
        best.unwrap_or(&self.forms[0])
    }

    /// Whether the client has it (section 13.2.2): tags count before dates.
    fn is_known(&self, head: &Head<'_>, form: &Form) -> bool {
        if head.header("if-none-match").is_some() {
            let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == form.etag;
            return head.tokens("if-none-match").any(|tag| tag == "*" || weak(tag));
        }
        let since = head.header("if-modified-since").and_then(|date| httpdate::parse_http_date(date).ok());
        since.is_some_and(|since| self.modified <= since)
    }

    /// One range is sent; of several, and of what is no range of bytes, all (section 14.2 lets us).
    fn part(&self, head: &Head<'_>, form: &Form) -> Part {
        let Some(range) = head.header("range").filter(|_| self.may_continue(head, form)) else { return Part::Whole };
        let length = form.body.len();
        let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
            return Part::Whole;
        };
        let number = |text: &str| -> Option<usize> {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse().unwrap_or(usize::MAX))
        };
        match (first, last, number(first), number(last)) {
            ("", _, _, Some(0)) => Part::Unsatisfiable,
            ("", _, _, Some(_)) if length == 0 => Part::Unsatisfiable,
            ("", _, _, Some(count)) => Part::Range(length.saturating_sub(count), length),
            (_, "", Some(start), _) if start < length => Part::Range(start, length),
            (_, _, Some(start), Some(end)) if start > end => Part::Whole,
            (_, _, Some(start), Some(end)) if start < length => Part::Range(start, end.saturating_add(1).min(length)),
            (_, "", Some(_), _) | (_, _, Some(_), Some(_)) => Part::Unsatisfiable,
            _ => Part::Whole,
        }
    }

    /// Whether what the client has of it is of this form (section 13.1.5).
    fn may_continue(&self, head: &Head<'_>, form: &Form) -> bool {
        head.header("if-range").is_none_or(|known| known == form.etag || known == self.last_modified)
    }
}

impl Form {
    fn new(coding: &'static str, body: Vec<u8>) -> Self {
        let digest = Sha256::digest(&body);
        let hex: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { coding, etag: format!("\"{hex}\""), body: body.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codec::http::{HeaderStorage, request};

    use super::*;

    fn asset() -> Asset {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let mut asset = Asset::new("text/plain".to_owned(), modified, 60, b"0123456789".to_vec());
        asset.add("br", b"BR".to_vec());
        asset.add("gzip", b"GZIP".to_vec());
        asset
    }

    fn ask(method: &str, headers: &str) -> (u16, String, String) {
        let text = format!("{method} /a.txt HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 4_096).expect("good").expect("whole");
        let mut out = Vec::new();
        asset().respond(&head, true, None, &mut out);
        let text = String::from_utf8(out).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        (head[9..12].parse().expect("a status"), head.to_owned(), body.to_owned())
    }

    #[test]
    fn the_best_coding_is_chosen_that_the_client_takes() {
        for (accept, body) in [
            ("gzip, deflate, br", "BR"),
            ("gzip;q=1.0, br;q=0", "GZIP"),
            ("GZIP", "GZIP"),
            ("identity", "0123456789"),
            ("br;q=nonsense", "0123456789"),
        ] {
            let (_, head, answered) = ask("GET", &format!("Accept-Encoding: {accept}\r\n"));
            assert_eq!(answered, body, "{accept}");
            assert!(head.contains("Vary: Accept-Encoding") && head.contains("Cache-Control: public, max-age=60"));
        }
    }

    #[test]
    fn one_range_is_sent_and_others_are_not() {
        for (range, status, body) in [
            ("bytes=0-3", 206, "0123"),
            ("bytes=8-", 206, "89"),
            ("bytes=-3", 206, "789"),
            ("bytes=-100", 206, "0123456789"),
            ("bytes=5-99999999999999999999999", 206, "56789"),
            ("bytes=10-", 416, "no such range\n"),
            ("bytes=-0", 416, "no such range\n"),
            ("bytes=4-2", 200, "0123456789"),
            ("bytes=0-1,3-4", 200, "0123456789"),
            ("bytes=a-b", 200, "0123456789"),
            ("lines=1-2", 200, "0123456789"),
            ("bytes=-", 200, "0123456789"),
        ] {
            let (answered, head, text) = ask("GET", &format!("Range: {range}\r\n"));
            assert_eq!((answered, &*text), (status, body), "{range}");
            assert_eq!(head.contains("Content-Range: bytes "), status != 200, "{head}");
        }
        let (status, head, body) = ask("HEAD", "Range: bytes=0-3\r\n");
        assert_eq!((status, &*body), (200, ""));
        assert!(head.contains("Content-Length: 10"));
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let (_, head, _) = ask("GET", "");
        let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).expect("a tag").to_owned();
        let date = "Sun, 09 Sep 2001 01:46:40 GMT";
        assert!(head.contains(&format!("Last-Modified: {date}")), "{head}");
        for (headers, status) in [
            (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304),
            ("If-None-Match: *\r\n".to_owned(), 304),
            (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"), 200),
            (format!("If-Modified-Since: {date}\r\n"), 304),
            ("If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n".to_owned(), 200),
            ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
            // The tag of one coding is not that of another.
            (format!("If-None-Match: {tag}\r\nAccept-Encoding: br\r\n"), 200),
            (format!("If-Range: {tag}\r\nRange: bytes=0-1\r\n"), 206),
            (format!("If-Range: {date}\r\nRange: bytes=0-1\r\n"), 206),
            ("If-Range: \"x\"\r\nRange: bytes=0-1\r\n".to_owned(), 200),
        ] {
            assert_eq!(ask("GET", &headers).0, status, "{headers}");
        }
        assert_eq!((ask("POST", "").0, ask("OPTIONS", "").0), (405, 204));
    }
}
