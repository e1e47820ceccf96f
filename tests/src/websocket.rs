//! A strict WebSocket client that blocks, one message at a time, and can send what no proper client would. It never
//! answers anything by itself, pings included, and never waits without an end.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use codec::websocket::handshake::{self, ResponseError};
use codec::websocket::{Decoder, Limits, Message, Opcode, Role, encode};

use crate::wait::{self, PATIENCE};

/// A connection on which the upgrade is done.
pub struct WebSocket {
    stream: TcpStream,
    decoder: Decoder,
    received: VecDeque<Received>,
    cookie: Option<String>,
}

/// What comes from the server, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping frame.
    Ping(Vec<u8>),
    /// A pong frame.
    Pong(Vec<u8>),
    /// A close frame.
    Close(Option<(u16, String)>),
    /// The orderly end of the TCP connection.
    End,
    /// Its disorderly end.
    Reset,
}

impl WebSocket {
    /// Connects and upgrades.
    ///
    /// # Panics
    /// When the server refuses or does not answer.
    #[must_use]
    pub fn connect(address: SocketAddr, path: &str) -> Self {
        Self::try_connect(address, path).unwrap_or_else(|error| panic!("websocket to {address}{path}: {error}"))
    }

    /// Connects and upgrades, or says why not.
    ///
    /// # Errors
    /// When the server refuses, answers wrongly, ends the connection or does not answer in time.
    pub fn try_connect(address: SocketAddr, path: &str) -> Result<Self, ConnectError> {
        Self::connect_with(address, path, &[])
    }

    /// As `try_connect`, with further headers.
    ///
    /// # Errors
    /// As `try_connect`.
    pub fn connect_with(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, ConnectError> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(ConnectError::Io)?;
        stream.set_nodelay(true).map_err(ConnectError::Io)?;
        Self::upgrade_with(stream, &address.to_string(), path, headers)
    }

    /// Upgrades a connection that the caller made.
    ///
    /// # Errors
    /// As `try_connect`.
    pub fn upgrade(stream: TcpStream, host: &str, path: &str) -> Result<Self, ConnectError> {
        Self::upgrade_with(stream, host, path, &[])
    }

    fn upgrade_with(
        mut stream: TcpStream,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, ConnectError> {
        let mut request = Vec::new();
        handshake::write_request(&mut request, host, path, KEY, headers);
        stream.write_all(&request).map_err(ConnectError::Io)?;
        let end = Instant::now() + PATIENCE;
        let mut answer = Vec::new();
        let head_bytes = loop {
            if let Some(length) = handshake::check_response(&answer, KEY).map_err(ConnectError::Response)? {
                break length;
            }
            let mut piece = [0; 4096];
            match read(&mut stream, &mut piece, end).map_err(ConnectError::Io)? {
                0 => return Err(ConnectError::Io(ErrorKind::UnexpectedEof.into())),
                length => answer.extend_from_slice(&piece[..length]),
            }
        };
        let decoder = Decoder::new(Role::Client);
        let head = String::from_utf8_lossy(&answer[..head_bytes]).into_owned();
        let cookie = head.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).map(str::to_owned);
        let mut socket = Self { stream, decoder, received: VecDeque::new(), cookie };
        socket.decode(&mut answer[head_bytes..]);
        Ok(socket)
    }

    /// The value of the `Set-Cookie` that came with the upgrade.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Sends a text message.
    pub fn send_text(&mut self, text: &str) {
        self.send_frame(Opcode::Text, text.as_bytes());
    }

    /// Sends a binary message.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.send_frame(Opcode::Binary, bytes);
    }

    /// Sends one final, masked frame.
    pub fn send_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, opcode, MASK, payload);
        self.send_raw(&frame).expect("the server reads");
    }

    /// Sends one masked frame of a longer message.
    pub fn send_fragment(&mut self, opcode: Opcode, is_final: bool, payload: &[u8]) {
        let mut frame = Vec::new();
        encode::masked_fragment(&mut frame, opcode, is_final, MASK, payload);
        self.send_raw(&frame).expect("the server reads");
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the server has closed the connection or has not read for the time of patience.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(PATIENCE))?;
        self.stream.write_all(bytes)
    }

    /// The next thing the server sends; anything after the connection's end is its end again.
    ///
    /// # Panics
    /// When nothing comes in time, or when it breaks RFC 6455.
    pub fn receive(&mut self) -> Received {
        self.receive_within(PATIENCE).unwrap_or_else(|| panic!("the server sent nothing for {PATIENCE:?}"))
    }

    /// The next thing the server sends, if it comes in time.
    ///
    /// # Panics
    /// When it breaks RFC 6455.
    pub fn receive_within(&mut self, limit: Duration) -> Option<Received> {
        let end = Instant::now() + limit;
        let mut piece = vec![0; 64 << 10];
        loop {
            if let Some(received) = self.received.pop_front() {
                return Some(received);
            }
            match read(&mut self.stream, &mut piece, end) {
                Ok(0) => return Some(Received::End),
                Ok(length) => self.decode(&mut piece[..length]),
                Err(error) if error.kind() == ErrorKind::TimedOut => return None,
                Err(error) if is_reset(&error) => return Some(Received::Reset),
                Err(error) => panic!("receive: {error}"),
            }
        }
    }

    /// The next text message; control frames are passed over.
    ///
    /// # Panics
    /// When something else comes first.
    pub fn receive_text(&mut self) -> String {
        loop {
            match self.receive() {
                Received::Text(text) => return text,
                Received::Ping(_) | Received::Pong(_) => {}
                other => panic!("expected a text message, received {other:?}"),
            }
        }
    }

    /// Reads, over whatever else still comes, until the server's close frame, answers it, and sees the TCP connection
    /// end in order. Returns the code and the reason.
    ///
    /// # Panics
    /// When the connection ends without a close frame or not after it.
    pub fn expect_close(&mut self) -> (u16, String) {
        let close = loop {
            match self.receive() {
                Received::Close(close) => break close.unwrap_or((1005, String::new())),
                end @ (Received::End | Received::Reset) => panic!("{end:?} without a close frame"),
                _ => {}
            }
        };
        // The server may be gone already: it need not wait for this answer when the fault was ours.
        let mut answer = Vec::new();
        encode::masked_close(&mut answer, MASK, close.0, "");
        let _ = self.send_raw(&answer);
        let end = self.receive();
        assert!(matches!(end, Received::End | Received::Reset), "after its close frame the server sent {end:?}");
        close
    }

    /// Says that nothing more will be sent, and goes on receiving.
    pub fn shutdown_write(&self) {
        self.stream.shutdown(Shutdown::Write).expect("an open connection can be shut down");
    }

    /// Ends the connection by RST, whatever is under way.
    pub fn reset(self) {
        crate::system::reset(self.stream);
    }

    fn decode(&mut self, input: &mut [u8]) {
        let mut messages = self.decoder.decode(input, &LIMITS);
        while let Some(message) = messages.next() {
            let received = match message.unwrap_or_else(|error| panic!("the server broke the protocol: {error}")) {
                Message::Text(text) => Received::Text(text.to_owned()),
                Message::Binary(bytes) => Received::Binary(bytes.to_vec()),
                Message::Ping(bytes) => Received::Ping(bytes.to_vec()),
                Message::Pong(bytes) => Received::Pong(bytes.to_vec()),
                Message::Close(close) => Received::Close(close.map(|(code, reason)| (code, reason.to_owned()))),
            };
            self.received.push_back(received);
        }
    }
}

/// Why there is no WebSocket.
#[derive(Debug)]
pub enum ConnectError {
    /// The connection failed or ended.
    Io(io::Error),
    /// The answer does not open a WebSocket.
    Response(ResponseError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(formatter),
            Self::Response(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for ConnectError {}

/// One read that ends by `end`: then the error is `TimedOut`.
///
/// # Errors
/// Those of the socket.
pub(crate) fn read(stream: &mut TcpStream, buffer: &mut [u8], end: Instant) -> io::Result<usize> {
    loop {
        let left = wait::remaining(end).ok_or(ErrorKind::TimedOut)?;
        stream.set_read_timeout(Some(left))?;
        match stream.read(buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            result => return result,
        }
    }
}

/// Whether that error says that the peer ended the connection in disorder.
pub(crate) fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

/// The key of every upgrade: tests need no secrecy from proxies.
const KEY: [u8; 16] = *b"socketshard test";

/// The mask of every frame, with four different bytes so that a phase error shows.
pub const MASK: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

/// 16 MiB: more than any test makes the server send in one message.
const LIMITS: Limits = Limits { message_bytes_max: 16 << 20, fragments_max: 1_024 };
