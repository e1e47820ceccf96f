//! TLS for tests: certificates in files of a directory that goes with the test, and a blocking client that trusts no
//! other certificate than it is told to, speaks WebSocket over it, and can be as slow or as broken as the test wants.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codec::websocket::{Opcode, encode, handshake};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::wait::{PATIENCE, remaining};
use crate::websocket::{MASK, is_reset, read};

/// Certificates and keys in files.
#[derive(Debug)]
pub struct Certificates {
    directory: PathBuf,
}

/// A connection with TLS.
#[derive(Debug)]
pub struct TlsClient {
    tls: ClientConnection,
    stream: TcpStream,
    /// Received, and not asked for yet.
    plain: Vec<u8>,
}

impl Certificates {
    /// An empty directory.
    ///
    /// # Panics
    /// When there is no place for files.
    #[must_use]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("socketshard-certificates-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("there is a place for files");
        Self { directory }
    }

    /// Writes a certificate for these names, good until that year, and its key: `NAME.pem` and `NAME.key`.
    ///
    /// # Panics
    /// When they cannot be made or written.
    pub fn write(&self, file: &str, names: &[&str], until: i32) -> CertificateDer<'static> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are good");
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("the system has randomness");
        let certificate = params.self_signed(&key).expect("a certificate can be made");
        let pem = |label: &str, der: &[u8]| {
            let lines: Vec<_> = STANDARD.encode(der).as_bytes().chunks(64).map(<[u8]>::to_vec).collect();
            let body = String::from_utf8(lines.join(&b'\n')).expect("base64 is text");
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let write = |path: String, text: String| fs::write(path, text).expect("files can be written");
        write(self.certificate(file), pem("CERTIFICATE", certificate.der()));
        write(self.key(file), pem("PRIVATE KEY", key.serialized_der()));
        certificate.der().clone()
    }

    /// The path of a certificate.
    #[must_use]
    pub fn certificate(&self, file: &str) -> String {
        self.directory.join(format!("{file}.pem")).display().to_string()
    }

    /// The path of a key.
    #[must_use]
    pub fn key(&self, file: &str) -> String {
        self.directory.join(format!("{file}.key")).display().to_string()
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl TlsClient {
    /// Connects, asks for that name, and trusts this certificate only.
    ///
    /// # Errors
    /// When the server does not accept, the handshake fails, or the certificate is another one or for another name.
    pub fn connect(address: SocketAddr, name: &str, trusted: &CertificateDer<'static>) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut client = Self { tls, stream, plain: Vec::new() };
        let end = Instant::now() + PATIENCE;
        while client.tls.is_handshaking() {
            client.flush()?;
            if client.tls.is_handshaking() && client.fill(end)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        client.flush()?;
        Ok(client)
    }

    /// Sends plaintext.
    ///
    /// # Errors
    /// When the server has ended the connection, or reads nothing for the time of patience.
    pub fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.tls.writer().write(bytes)?;
            bytes = &bytes[written..];
            self.flush()?;
        }
        Ok(())
    }

    /// Some plaintext; none at an announced end. An end that is not announced is `UnexpectedEof`.
    ///
    /// # Errors
    /// When the connection breaks, ends unannounced, or nothing comes for the time of patience.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let end = Instant::now() + PATIENCE;
        loop {
            if !self.plain.is_empty() {
                return Ok(std::mem::take(&mut self.plain));
            }
            match self.tls.reader().read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.fill(end)?,
                // All plaintext was taken out: this is the end, announced or not.
                other => return other.map(|_| Vec::new()),
            };
        }
    }

    /// Exactly so many bytes of plaintext, or more.
    ///
    /// # Errors
    /// As [`TlsClient::receive`], and when the server ends first.
    pub fn receive_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match self.receive()? {
                piece if piece.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                piece => bytes.extend(piece),
            }
        }
        Ok(bytes)
    }

    /// One request and the head of its answer, with what came of its body.
    ///
    /// # Errors
    /// As [`TlsClient::receive`].
    pub fn get(&mut self, host: &str, target: &str, headers: &str) -> io::Result<String> {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
            match self.receive()? {
                piece if piece.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                piece => answer.extend(piece),
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Upgrades to a WebSocket. What the server sends from then on are frames.
    ///
    /// # Errors
    /// When it refuses, with the head of its answer.
    pub fn upgrade(&mut self, host: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut request = Vec::new();
        handshake::write_request(&mut request, host, path, *b"socketshard test", headers);
        self.send(&request)?;
        let mut answer = Vec::new();
        loop {
            let piece = self.receive()?;
            answer.extend(&piece);
            if !answer.starts_with(b"HTTP/1.1 101 ") || piece.is_empty() {
                return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
            }
            if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
                // Frames may come with it.
                self.plain = answer.split_off(end + 4);
                return Ok(());
            }
        }
    }

    /// The next frame that is no ping, of less than 126 bytes: its first byte and its payload.
    ///
    /// # Errors
    /// As [`TlsClient::receive`], and when the server ends before.
    pub fn receive_frame(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut bytes = Vec::new();
        loop {
            if let [first, length @ ..126, rest @ ..] = &*bytes
                && rest.len() >= usize::from(*length)
            {
                let (first, end) = (*first, 2 + usize::from(*length));
                let frame = bytes[2..end].to_vec();
                bytes.drain(..end);
                if first != 0x89 {
                    self.plain = bytes;
                    return Ok((first, frame));
                }
                continue;
            }
            match self.receive()? {
                piece if piece.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                piece => bytes.extend(piece),
            }
        }
    }

    /// Sends one masked frame.
    ///
    /// # Errors
    /// As [`TlsClient::send`].
    pub fn send_frame(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, opcode, MASK, payload);
        self.send(&frame)
    }

    /// Sends a binary message to a route that echoes, and checks what comes back.
    ///
    /// # Panics
    /// When it is something else.
    pub fn echo(&mut self, payload: &[u8]) {
        self.send_frame(Opcode::Binary, payload).expect("the server reads");
        let mut expected = Vec::new();
        encode::frame(&mut expected, Opcode::Binary, payload);
        let mut received = Vec::new();
        while received.len() < expected.len() {
            let piece = self.receive().expect("the server answers");
            assert!(!piece.is_empty(), "the server ends after {} bytes", received.len());
            received.extend(piece);
            // Pings stand between messages.
            while received.starts_with(&[0x89, 0]) {
                received.drain(..2);
            }
        }
        assert!(received == expected, "what came back is not what was sent");
    }

    /// Announces the end of our direction.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn say_close(&mut self) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush()
    }

    /// Takes a new key, and asks the server for one (RFC 8446 section 4.6.3).
    ///
    /// # Panics
    /// When TLS 1.3 is not spoken.
    pub fn renew_key(&mut self) {
        self.tls.refresh_traffic_keys().expect("TLS 1.3 is spoken");
    }

    /// Ends our direction without announcing it.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn shut(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// The certificate that the server has shown.
    ///
    /// # Panics
    /// Never: the handshake is over.
    #[must_use]
    pub fn shown(&self) -> CertificateDer<'static> {
        self.tls.peer_certificates().expect("the handshake is over")[0].clone().into_owned()
    }

    /// The connection below.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    /// Takes what the server has sent; zero at the end of the stream.
    fn fill(&mut self, end: Instant) -> io::Result<usize> {
        remaining(end).ok_or(ErrorKind::TimedOut)?;
        let mut bytes = [0; 16 << 10];
        let length = match read(&mut self.stream, &mut bytes, end) {
            Err(error) if is_reset(&error) => return Err(ErrorKind::ConnectionReset.into()),
            other => other?,
        };
        let mut unread = &bytes[..length];
        loop {
            self.tls.read_tls(&mut unread)?;
            let state = self.tls.process_new_packets().map_err(io::Error::other)?;
            let start = self.plain.len();
            self.plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.tls.reader().read_exact(&mut self.plain[start..])?;
            if unread.is_empty() {
                return Ok(length);
            }
        }
    }
}
