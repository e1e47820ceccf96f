//! A strict client on a bare socket. It shares no code with the server's codec: what it takes for a frame, RFC 6455
//! section 5.2 says. It answers nothing by itself and never waits without an end.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use harness::wait::{self, PATIENCE};

use crate::deflate::{Deflate, Offer};
use crate::frame::{self, FIN};

/// What the server has said.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// A close frame: its code, 1005 for none.
    Close(u16),
    /// The orderly end of the TCP connection.
    End,
    /// Its disorderly end.
    Reset,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut payload = |name, bytes: &[u8]| {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
            write!(formatter, "{name} of {} bytes {shown:?}", bytes.len())
        };
        match self {
            Self::Text(text) => payload("text", text.as_bytes()),
            Self::Binary(bytes) => payload("binary", bytes),
            Self::Ping(bytes) => payload("ping", bytes),
            Self::Pong(bytes) => payload("pong", bytes),
            Self::Close(code) => write!(formatter, "close {code}"),
            Self::End => formatter.write_str("the connection's end"),
            Self::Reset => formatter.write_str("a reset"),
        }
    }
}

/// One frame of the server's.
struct Frame {
    is_final: bool,
    opcode: u8,
    is_compressed: bool,
    payload: Vec<u8>,
}

/// A WebSocket connection.
pub(crate) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    /// Where in `unread` the next frame begins.
    at: usize,
    /// What was agreed on.
    deflate: Option<Deflate>,
    /// Whether the message received last was compressed.
    was_compressed: bool,
}

impl Client {
    /// Connects to a path and upgrades with these offers of compression.
    pub(crate) fn connect_offering(address: SocketAddr, path: &str, offers: &[Offer]) -> Result<Self, String> {
        let texts = offers.iter().map(|offer| offer.text()).collect::<Vec<_>>().join(", ");
        let (mut client, answer) = Self::connect_with(address, path, &texts)?;
        client.deflate = answer.map(|answer| Deflate::agreed(offers, &answer)).transpose()?;
        Ok(client)
    }

    /// Connects and upgrades with that header of extensions; also the server's.
    pub(crate) fn connect_with(address: SocketAddr, path: &str, offer: &str) -> Result<(Self, Option<String>), String> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let mut client = Self { stream, unread: Vec::new(), at: 0, deflate: None, was_compressed: false };
        let offer = if offer.is_empty() { String::new() } else { format!("Sec-WebSocket-Extensions: {offer}\r\n") };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
        );
        client.send(request.as_bytes())?;
        let head = client.head()?;
        // RFC 6455 section 1.3 has this pair as its example.
        let proof = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let mut answers = head.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        let (answer, second) = (answers.next(), answers.next());
        let is_asked = answer.is_none() || !offer.is_empty();
        if !head.starts_with("HTTP/1.1 101 ") || !head.contains(proof) || !is_asked || second.is_some() {
            return Err(format!("not the answer to this upgrade: {head}"));
        }
        Ok((client, answer.map(str::to_owned)))
    }

    /// What was agreed on.
    pub(crate) const fn deflate(&self) -> Option<&Deflate> {
        self.deflate.as_ref()
    }

    /// Whether the message received last was compressed.
    pub(crate) const fn was_compressed(&self) -> bool {
        self.was_compressed
    }

    /// Sends a message, compressed, in frames of so many bytes.
    pub(crate) fn send_compressed(&mut self, opcode: u8, payload: &[u8], frame_bytes: usize) -> Result<(), String> {
        let deflate = self.deflate.as_mut().ok_or("nothing was agreed on")?;
        let payload = deflate.deflate(payload);
        let mut frames = frame::fragments(opcode, payload.chunks(frame_bytes.max(1)));
        frames[0][0] |= frame::COMPRESSED;
        self.send(&frames.concat())
    }

    fn head(&mut self) -> Result<String, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                self.at = at + 4;
                return Ok(String::from_utf8_lossy(&self.unread[..at + 4]).into_owned());
            }
            if let Some(ended) = self.fill(end)? {
                return Err(format!("{ended:?} inside the answer to the upgrade"));
            }
        }
    }

    /// Sends bytes as they are, in one write.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|error| format!("sending: {error}"))
    }

    /// The next message, control frame or end. A message in fragments is put together; what stands between them comes
    /// first.
    pub(crate) fn receive(&mut self) -> Result<Received, String> {
        let mut message: Option<(u8, Vec<u8>)> = None;
        let mut is_compressed = false;
        loop {
            let frame = match self.frame()? {
                Ok(frame) => frame,
                Err(_) if message.is_some() => return Err("the end of the connection inside a message".to_owned()),
                Err(end) => return Ok(end),
            };
            match (frame.opcode, &mut message) {
                (0x8..=0xa, None) => return control(&frame),
                (0x8..=0xa, Some(_)) => return Err("a control frame inside a message of an echo".to_owned()),
                (0x0, Some((_, payload))) => payload.extend_from_slice(&frame.payload),
                (0x1 | 0x2, None) => {
                    is_compressed = frame.is_compressed;
                    message = Some((frame.opcode, frame.payload));
                }
                (opcode, _) => return Err(format!("opcode {opcode} where it must not stand")),
            }
            if frame.is_final
                && let Some((opcode, mut payload)) = message.take()
            {
                if let (true, Some(deflate)) = (is_compressed, &mut self.deflate) {
                    payload = deflate.inflate(&payload)?;
                }
                self.was_compressed = is_compressed;
                return data(opcode, payload);
            }
        }
    }

    fn frame(&mut self) -> Result<Result<Frame, Received>, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(frame) = self.parse()? {
                return Ok(Ok(frame));
            }
            if let Some(ended) = self.fill(end)? {
                if self.at < self.unread.len() {
                    return Err(format!("{ended:?} inside a frame"));
                }
                return Ok(Err(ended));
            }
        }
    }

    /// Reads one frame from what is there, with every rule for a server's.
    fn parse(&mut self) -> Result<Option<Frame>, String> {
        let bytes = &self.unread[self.at..];
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let is_compressed = self.deflate.is_some() && first & 0x70 == frame::COMPRESSED && matches!(first & 0xf, 1 | 2);
        if first & 0x70 != 0 && !is_compressed {
            return Err(format!("reserved bits in {first:#04x}"));
        }
        if second & 0x80 != 0 {
            return Err("a masked frame of the server".to_owned());
        }
        let (is_final, opcode) = (first & FIN != 0, first & 0x0f);
        let (length, taken) = match second {
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        if (taken == 4 && length < 126) || (taken == 10 && length < 0x1_0000) {
            return Err(format!("{length} bytes not in the shortest form"));
        }
        if opcode >= 0x8 && (!is_final || length > 125) {
            return Err("a control frame that is long or in fragments".to_owned());
        }
        let length = usize::try_from(length).map_err(|_| "a frame beyond memory".to_owned())?;
        let Some(payload) = bytes[taken..].get(..length) else { return Ok(None) };
        let frame = Frame { is_final, opcode, is_compressed, payload: payload.to_vec() };
        self.at += taken + length;
        Ok(Some(frame))
    }

    /// Reads more; the end, if that is what comes.
    fn fill(&mut self, end: Instant) -> Result<Option<Received>, String> {
        self.unread.drain(..self.at);
        self.at = 0;
        let mut piece = vec![0; 256 << 10];
        loop {
            let Some(left) = wait::remaining(end) else {
                return Err(format!("nothing came for {PATIENCE:?}"));
            };
            self.stream.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(Some(Received::End)),
                Ok(length) => {
                    self.unread.extend_from_slice(&piece[..length]);
                    return Ok(None);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return Ok(Some(Received::Reset));
                }
                Err(error) => return Err(format!("receiving: {error}")),
            }
        }
    }
}

fn control(frame: &Frame) -> Result<Received, String> {
    match (frame.opcode, &frame.payload[..]) {
        (0x9, payload) => Ok(Received::Ping(payload.to_vec())),
        (0xa, payload) => Ok(Received::Pong(payload.to_vec())),
        (_, []) => Ok(Received::Close(1005)),
        (_, [high, low, reason @ ..]) => {
            std::str::from_utf8(reason).map_err(|_| "a close reason that is not UTF-8".to_owned())?;
            Ok(Received::Close(u16::from_be_bytes([*high, *low])))
        }
        (_, [_]) => Err("a close frame of one byte".to_owned()),
    }
}

fn data(opcode: u8, payload: Vec<u8>) -> Result<Received, String> {
    if opcode == 0x2 {
        return Ok(Received::Binary(payload));
    }
    String::from_utf8(payload).map(Received::Text).map_err(|_| "text that is not UTF-8".to_owned())
}
