//! Engine.IO 4 by long-polling, as a client does it: one GET that waits for packets, and beside it, on the connection's
//! other line, one POST with what there is to say. Never knows what the packets mean, but for the session's id.

use codec::engineio::{Item, Reader, Version};
use codec::http::{HEAD_BYTES_MAX, HeaderStorage, response};
use serde::Deserialize;

use crate::net::Line;

/// Between packets of a payload.
const SEPARATOR: u8 = 0x1e;
/// The largest answer taken from a server.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// What a body may have where the server has not said it: Socket.IO's default.
const BODY_BYTES_MAX: usize = 1_000_000;
/// Packets that mean nothing: they only end a request.
const NOOP: &str = "6";
/// The last packet of a session.
pub(crate) const CLOSE: &str = "1";

/// What the opening packet says that matters here.
#[derive(Deserialize)]
struct Open {
    sid: String,
    #[serde(rename = "maxPayload")]
    max_payload: Option<usize>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Polling {
    /// The path and query of every request, and its host: what stands between the method and the end of the head.
    head: String,
    has_session: bool,
    body_bytes_max: usize,
    is_fetching: bool,
    is_posting: bool,
    /// The parts of answers that have come on each line.
    answers: [Vec<u8>; 2],
}

/// Appends a packet to what is said.
pub(crate) fn say(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !out.is_empty() {
        out.push(SEPARATOR);
    }
    write(out);
}

impl Polling {
    /// A session that will be opened there.
    pub(crate) fn new(host: &str, path: &str) -> Self {
        Self {
            head: format!(" {path} HTTP/1.1\r\nHost: {host}\r\n"),
            has_session: false,
            body_bytes_max: BODY_BYTES_MAX,
            is_fetching: false,
            is_posting: false,
            answers: [Vec::new(), Vec::new()],
        }
    }

    /// Whether a POST is under way.
    pub(crate) const fn is_posting(&self) -> bool {
        self.is_posting
    }

    /// Asks for packets, if nothing is asked for yet.
    pub(crate) fn fetch(&mut self, line: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_fetching, true) {
            line.extend_from_slice(b"GET");
            line.extend_from_slice(self.head.as_bytes());
            line.extend_from_slice(b"\r\n");
        }
    }

    /// Says what there is to say, as far as it fits into one body, unless the last one is still under way.
    pub(crate) fn post(&mut self, said: &mut Vec<u8>, line: &mut Vec<u8>) {
        if said.is_empty() || !self.has_session || std::mem::replace(&mut self.is_posting, true) {
            return;
        }
        let length = first_body(said, self.body_bytes_max);
        line.extend_from_slice(b"POST");
        line.extend_from_slice(self.head.as_bytes());
        line.extend_from_slice(b"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: ");
        line.extend_from_slice(length.to_string().as_bytes());
        line.extend_from_slice(b"\r\n\r\n");
        line.extend_from_slice(&said[..length]);
        // The separator behind it goes with it.
        said.drain(..(length + 1).min(said.len()));
    }

    /// Bytes came on a line: gives the packets of an answer that is whole. What is wrong with it is the error.
    pub(crate) fn receive(
        &mut self,
        line: Line,
        bytes: &[u8],
        mut packet: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), String> {
        let at = usize::from(line == Line::Second);
        let mut collected = std::mem::take(&mut self.answers[at]);
        let all = if collected.is_empty() {
            bytes
        } else {
            collected.extend_from_slice(bytes);
            &collected
        };
        let Some((status, body)) = answer(all)? else {
            self.answers[at] = if collected.is_empty() { bytes.to_vec() } else { collected };
            return Ok(());
        };
        let is_asked = match line {
            Line::First => std::mem::take(&mut self.is_fetching),
            Line::Second => std::mem::take(&mut self.is_posting),
        };
        if !is_asked {
            return Err("polling: an answer to nothing".to_owned());
        }
        if status != 200 {
            let body = String::from_utf8_lossy(&body[..body.len().min(REFUSAL_BYTES_SHOWN)]);
            return Err(format!("polling: status {status}: {body}"));
        }
        if line == Line::Second {
            return if body == b"ok" { Ok(()) } else { Err("polling: a POST was not answered with ok".to_owned()) };
        }
        for item in Reader::new(Version::V4, false, body) {
            match item {
                Ok(Item::Text(NOOP)) => {}
                Ok(Item::Text(text)) => {
                    self.open(text)?;
                    packet(text)?;
                }
                Ok(Item::Binary(_)) | Err(_) => return Err("polling: an answer is no payload".to_owned()),
            }
        }
        Ok(())
    }

    /// The first packet has the session's id.
    fn open(&mut self, text: &str) -> Result<(), String> {
        let Some(open) = text.strip_prefix('0').filter(|_| !self.has_session) else { return Ok(()) };
        let open: Open = serde_json::from_str(open).map_err(|error| format!("polling: the opening packet: {error}"))?;
        if open.sid.is_empty() || !open.sid.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'&') {
            return Err("polling: the session's id fits into no query".to_owned());
        }
        self.has_session = true;
        self.body_bytes_max = open.max_payload.unwrap_or(BODY_BYTES_MAX);
        let end = self.head.find(" HTTP/").expect("the head has a version");
        self.head.insert_str(end, &format!("&sid={}", open.sid));
        Ok(())
    }
}

/// How much of a refusal is told: Engine.IO's have some sixty.
const REFUSAL_BYTES_SHOWN: usize = 100;

/// How many bytes of whole packets fit; of one that is too long, all.
fn first_body(said: &[u8], bytes_max: usize) -> usize {
    let is_separator = |&byte: &u8| byte == SEPARATOR;
    if said.len() <= bytes_max {
        return said.len();
    }
    let fitting = said[..=bytes_max].iter().rposition(is_separator);
    fitting.or_else(|| said.iter().position(is_separator)).unwrap_or(said.len())
}

/// An answer's status and body, once all of it is there. Nothing may follow: nothing else was asked.
fn answer(bytes: &[u8]) -> Result<Option<(u16, &[u8])>, String> {
    let mut storage = HeaderStorage::new();
    let Some((head, length)) =
        response::parse(bytes, &mut storage, HEAD_BYTES_MAX).map_err(|error| format!("polling: {error}"))?
    else {
        return Ok(None);
    };
    let Some(body) = head.content_length.filter(|&length| length <= ANSWER_BYTES_MAX) else {
        return Err("polling: an answer without a length, or with an absurd one".to_owned());
    };
    let body = usize::try_from(body).expect("bounded above");
    match bytes.len().cmp(&(length + body)) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some((head.status, &bytes[length..]))),
        std::cmp::Ordering::Greater => Err("polling: more than an answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec::engineio::Refusal;

    fn opened() -> Polling {
        let mut polling = Polling::new("localhost", "/x?EIO=4&transport=polling");
        let mut line = Vec::new();
        polling.fetch(&mut line);
        assert_eq!(line, b"GET /x?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = ok(r#"0{"sid":"ab-c","upgrades":[],"maxPayload":10}"#);
        let mut packets = Vec::new();
        for byte in &answer {
            polling.receive(Line::First, &[*byte], keep(&mut packets)).expect("sound");
        }
        assert_eq!(packets.len(), 1);
        polling
    }

    fn keep(packets: &mut Vec<String>) -> impl FnMut(&str) -> Result<(), String> {
        |packet| {
            packets.push(packet.to_owned());
            Ok(())
        }
    }

    fn ok(body: &str) -> Vec<u8> {
        let mut out = Vec::new();
        response::write(&mut out, 200, &[], body.as_bytes(), true);
        out
    }

    #[test]
    fn a_session_is_opened_and_then_asked_by_its_id_once_at_a_time() {
        let mut polling = opened();
        let mut line = Vec::new();
        polling.fetch(&mut line);
        polling.fetch(&mut line);
        assert_eq!(line, b"GET /x?EIO=4&transport=polling&sid=ab-c HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut packets = Vec::new();
        let body = ok("40{\"sid\":\"x\"}\u{1e}6\u{1e}2");
        polling.receive(Line::First, &body, keep(&mut packets)).expect("sound");
        assert_eq!(packets, ["40{\"sid\":\"x\"}", "2"], "a noop is nothing");
    }

    #[test]
    fn what_is_said_leaves_in_bodies_that_the_server_takes_one_at_a_time() {
        let mut polling = opened();
        let mut said = Vec::new();
        for text in ["4one", "4two", "4three", "4much too long", "4x"] {
            say(&mut said, |out| out.extend_from_slice(text.as_bytes()));
        }
        let mut bodies = Vec::new();
        while !said.is_empty() {
            let mut line = Vec::new();
            polling.post(&mut said, &mut line);
            let left = said.len();
            polling.post(&mut said, &mut line);
            assert_eq!(left, said.len(), "one is under way");
            let text = String::from_utf8(line).expect("ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(
                head.starts_with("POST /x") && head.ends_with(&format!("Content-Length: {}", body.len())),
                "{head}"
            );
            bodies.push(body.to_owned());
            polling.receive(Line::Second, &ok("ok"), |_| Ok(())).expect("it is taken");
        }
        assert_eq!(bodies, ["4one\u{1e}4two", "4three", "4much too long", "4x"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |answer: &[u8], line| opened().receive(line, answer, |_| Ok(())).expect_err("wrong");
        assert!(wrong(&ok("2"), Line::First).contains("nothing"));
        let asked = |answer: &[u8]| {
            let mut polling = opened();
            polling.fetch(&mut Vec::new());
            polling.receive(Line::First, answer, |_| Ok(())).expect_err("wrong")
        };
        let mut refused = Vec::new();
        response::write(&mut refused, 400, &[], Refusal::SessionUnknown.body().as_bytes(), true);
        assert!(asked(&refused).contains("status 400") && asked(&refused).contains("Session ID unknown"));
        assert!(asked(b"HTTP/1.1 200 OK\r\n\r\n").contains("length"));
        assert!(asked(&[ok("2"), ok("2")].concat()).contains("more"));
        assert!(asked(&ok("")).contains("no payload"));
    }
}
