//! A TCP connection that blocks, and never without an end: every send and receive has the stage's patience, and what is
//! kept of a server's words is bounded.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use codec::http::{HEAD_BYTES_MAX, HeaderStorage, response};

use super::case::Seen;

/// What is kept of a server's words: more than any case asks for.
const UNREAD_BYTES_MAX: usize = 16 << 20;

/// How long to go on looking after an answer for what may follow it: a smuggled request's answer comes with it or soon.
const AFTERWARDS: Duration = Duration::from_millis(1_500);

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    patience: Duration,
    unread: Vec<u8>,
}

/// What a look at the connection brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// More bytes.
    More,
    /// The end, however it came.
    End,
    /// Nothing in time.
    Late,
}

/// An answer, its body taken off.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream, patience, unread: Vec::new() })
    }

    /// Sends. A server that has ended the connection meanwhile is no error: what it said before is to be read.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.write_all(bytes) {
            Err(error) if is_end(&error) => Ok(()),
            result => result,
        }
    }

    /// Sends once, as much as the kernel takes within that time; none when the connection is over.
    pub(crate) fn push(&mut self, bytes: &[u8], limit: Duration) -> io::Result<Option<usize>> {
        self.stream.set_write_timeout(Some(limit))?;
        let result = self.stream.write(bytes);
        self.stream.set_write_timeout(Some(self.patience))?;
        match result {
            Ok(length) => Ok(Some(length)),
            Err(error) if is_end(&error) => Ok(None),
            Err(error) if is_late(&error) => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn shutdown_write(&self) {
        // A connection that is gone needs no end.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads once.
    pub(crate) fn look(&mut self, limit: Duration) -> io::Result<Look> {
        self.stream.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        let mut piece = vec![0; 64 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => Ok(Look::End),
            Ok(length) if self.unread.len() + length > UNREAD_BYTES_MAX => {
                Err(io::Error::other(format!("the server said more than {UNREAD_BYTES_MAX} bytes")))
            }
            Ok(length) => {
                self.unread.extend_from_slice(&piece[..length]);
                Ok(Look::More)
            }
            Err(error) if is_end(&error) => Ok(Look::End),
            Err(error) if is_late(&error) => Ok(Look::Late),
            Err(error) => Err(error),
        }
    }

    /// What was read and not taken yet.
    pub(crate) const fn unread(&mut self) -> &mut Vec<u8> {
        &mut self.unread
    }

    /// What is waited for an answer.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// The next answer with its body, or what came instead of it.
    pub(crate) fn answer(&mut self) -> io::Result<Result<Answer, Seen>> {
        let end = Instant::now() + self.patience;
        loop {
            if let Some(answer) = take_answer(&mut self.unread)? {
                return Ok(Ok(answer));
            }
            match self.look(end.saturating_duration_since(Instant::now()))? {
                Look::More => {}
                Look::End => return Ok(Err(Seen::Ended)),
                Look::Late => return Ok(Err(Seen::Nothing)),
            }
        }
    }

    /// Reads to the end, and says what status came, how many answers followed it, and whether the end did.
    pub(crate) fn refusal(&mut self, limit: Duration) -> io::Result<Seen> {
        let mut end = Instant::now() + limit;
        let mut has_begun = false;
        let is_over = loop {
            match self.look(end.saturating_duration_since(Instant::now()))? {
                Look::End => break true,
                Look::Late => break false,
                Look::More if !has_begun && status(&self.unread).is_some_and(|status| status != 100) => {
                    has_begun = true;
                    end = end.min(Instant::now() + AFTERWARDS);
                }
                Look::More => {}
            }
        };
        if self.unread.windows(10).any(|window| window == b"root:x:0:0") {
            return Ok(Seen::Wrong("gave a file of the system".to_owned()));
        }
        Ok(match (status(&self.unread), is_over) {
            (Some(status), is_over) => Seen::Answer { status, more: answers(&self.unread) - 1, is_over },
            (None, true) if self.unread.is_empty() => Seen::Ended,
            (None, false) if self.unread.is_empty() => Seen::Nothing,
            // Bytes that are no HTTP: an alert of TLS, for instance.
            (None, true) => Seen::Ended,
            (None, false) => Seen::Wrong(format!("said {} bytes that are no answer", self.unread.len())),
        })
    }
}

impl Answer {
    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// What was seen, where only the status counts.
    pub(crate) const fn seen(&self) -> Seen {
        Seen::Answer { status: self.status, more: 0, is_over: false }
    }
}

/// Takes a whole answer of stated length, interim ones passed over.
fn take_answer(unread: &mut Vec<u8>) -> io::Result<Option<Answer>> {
    loop {
        let mut storage = HeaderStorage::new();
        let parsed = response::parse(unread, &mut storage, HEAD_BYTES_MAX);
        let Some((head, length)) = parsed.map_err(|error| io::Error::other(format!("no HTTP: {error}")))? else {
            return Ok(None);
        };
        let (status, is_interim) = (head.status, (102..200).contains(&head.status) || head.status == 100);
        let body = usize::try_from(head.content_length.unwrap_or(0)).unwrap_or(usize::MAX);
        if unread.len() - length < body {
            return Ok(None);
        }
        let head = String::from_utf8_lossy(&unread[..length]).into_owned();
        let body = unread[length..length + body].to_vec();
        unread.drain(..length + body.len());
        if !is_interim {
            return Ok(Some(Answer { status, head, body }));
        }
    }
}

/// The status of the answer that these bytes begin with, or of the one after an interim answer.
fn status(bytes: &[u8]) -> Option<u16> {
    let is_answer = bytes.starts_with(b"HTTP/1.") && bytes.len() >= 12;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok().filter(|_| is_answer)?;
    if status != 100 {
        return Some(status);
    }
    let rest = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| &bytes[at + 4..]);
    rest.and_then(self::status).or(Some(100))
}

/// How many status lines there are, that of an interim answer not counted.
fn answers(bytes: &[u8]) -> usize {
    let is_status = |window: &[u8]| {
        window.starts_with(b"HTTP/1.") && window[8] == b' ' && window[9..12].iter().all(u8::is_ascii_digit)
    };
    bytes.windows(12).filter(|window| is_status(window) && &window[9..12] != b"100").count().max(1)
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A server that says these bytes to whoever comes and ends the connection.
    fn said(bytes: &'static [u8]) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let wire = Wire::connect(address, PATIENCE).expect("it listens");
        listener.accept().expect("somebody has come").0.write_all(bytes).expect("a fresh connection takes bytes");
        wire
    }

    #[test]
    fn a_refusal_is_one_answer_and_the_end() {
        let mut wire = said(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
        let seen = wire.refusal(PATIENCE).expect("it can be read");
        assert_eq!(seen, Seen::Answer { status: 400, more: 0, is_over: true });
    }

    #[test]
    fn an_answer_behind_it_is_counted() {
        let mut wire = said(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
        let seen = wire.refusal(PATIENCE).expect("it can be read");
        assert_eq!(seen, Seen::Answer { status: 200, more: 1, is_over: true });
    }

    #[test]
    fn an_end_without_a_word_is_told_from_an_answer() {
        assert_eq!(said(b"").refusal(PATIENCE).expect("it can be read"), Seen::Ended);
        assert_eq!(said(b"\x15\x03").refusal(PATIENCE).expect("it can be read"), Seen::Ended);
    }

    #[test]
    fn answers_are_taken_with_their_bodies() {
        let mut wire = said(
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
        );
        let answer = wire.answer().expect("it can be read").expect("an answer");
        assert_eq!((answer.status, answer.header("x-a"), &answer.body[..]), (200, Some("b"), &b"hi"[..]));
        assert_eq!(wire.answer().expect("it can be read").expect("an answer").status, 404);
        assert_eq!(wire.answer().expect("it can be read").expect_err("the end"), Seen::Ended);
    }

    #[test]
    fn a_file_of_the_system_is_noticed() {
        let seen = said(b"HTTP/1.1 200 OK\r\n\r\nroot:x:0:0:root").refusal(PATIENCE).expect("it can be read");
        assert!(matches!(seen, Seen::Wrong(_)), "{seen}");
    }
}
