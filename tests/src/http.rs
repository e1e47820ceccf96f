//! A blocking HTTP/1.1 client for one connection: requests as the test writes them, answers parsed whole.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use crate::wait::PATIENCE;
use crate::websocket;

/// A connection that may carry several requests.
#[derive(Debug)]
pub struct Http {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Http {
    /// Connects.
    ///
    /// # Panics
    /// When the server does not accept.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts");
        stream.set_nodelay(true).expect("a TCP socket has the option");
        Self { stream, unread: Vec::new() }
    }

    /// One request on a connection of its own, which is then closed.
    #[must_use]
    pub fn get(address: SocketAddr, target: &str) -> Response {
        let mut http = Self::connect(address);
        http.send(format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes());
        http.response(false)
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the server has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server reads");
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the server has closed the connection or does not read.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(PATIENCE))?;
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn shutdown_write(&self) {
        self.stream.shutdown(Shutdown::Write).expect("an open connection can be shut down");
    }

    /// The next answer; one to a HEAD request has no body whatever its length says.
    ///
    /// # Panics
    /// When none comes, or it is not an HTTP/1.1 answer of stated length.
    pub fn response(&mut self, is_head: bool) -> Response {
        let end = Instant::now() + PATIENCE;
        let head = self.until("\r\n\r\n");
        let (status, headers) = parse_head(&head);
        let length = match headers.get("content-length") {
            // What follows a 101 is no HTTP any more; a 204 has no body and no length.
            _ if is_head || matches!(status, 101 | 204) => 0,
            Some(length) => length.parse().expect("a length is a number"),
            None => panic!("an answer without a length: {head}"),
        };
        while self.unread.len() < length {
            assert_ne!(self.fill(end), 0, "the connection ended inside a body of {length} bytes");
        }
        Response { status, headers, body: self.unread.drain(..length).collect() }
    }

    /// The head of an answer that has no length.
    ///
    /// # Panics
    /// When none comes, or it has one.
    pub fn endless(&mut self) -> Response {
        let (status, headers) = parse_head(&self.until("\r\n\r\n"));
        assert!(!headers.contains_key("content-length"), "{status} {headers:?}");
        Response { status, headers, body: Vec::new() }
    }

    /// Everything up to the end of the first such text.
    ///
    /// # Panics
    /// When it does not come, or what comes is no text.
    pub fn until(&mut self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        let bytes = loop {
            if let Some(at) = self.unread.windows(text.len()).position(|window| window == text.as_bytes()) {
                break at + text.len();
            }
            assert_ne!(self.fill(end), 0, "the connection ended before {text:?}: {:?}", self.unread_text());
        };
        String::from_utf8(self.unread.drain(..bytes).collect()).expect("a head is text")
    }

    /// Sees the server end the connection.
    ///
    /// # Panics
    /// When it does not, or sends something more.
    pub fn expect_end(&mut self) {
        let end = Instant::now() + PATIENCE;
        assert_eq!(self.fill(end), 0, "the server sent more: {:?}", self.unread_text());
    }

    /// Reads until the server ends the connection, and returns everything.
    #[must_use]
    pub fn read_to_end(mut self) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        while self.fill(end) > 0 {}
        self.unread
    }

    /// Is not there any more, as after a power cut: nothing that comes is acknowledged, and nothing is said.
    pub fn fall_silent(&self) {
        crate::system::drop_everything(&self.stream);
    }

    /// Ends the connection by RST.
    pub fn reset(self) {
        crate::system::reset(self.stream);
    }

    /// Reads more; 0 at the connection's end, however it comes.
    fn fill(&mut self, end: Instant) -> usize {
        let mut piece = [0; 16 << 10];
        match websocket::read(&mut self.stream, &mut piece, end) {
            Ok(length) => {
                self.unread.extend_from_slice(&piece[..length]);
                length
            }
            Err(error) if websocket::is_reset(&error) => 0,
            Err(error) => panic!("the server sent nothing: {error}; so far {:?}", self.unread_text()),
        }
    }

    fn unread_text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

impl Response {
    /// A header by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body is UTF-8")
    }
}

fn parse_head(head: &str) -> (u16, BTreeMap<String, String>) {
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().expect("a head has a first line");
    let status =
        status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("a header has a colon: {line:?}"));
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    (status.unwrap_or_else(|| panic!("not a status line: {status_line:?}")), headers.collect())
}
