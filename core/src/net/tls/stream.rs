//! One connection's TLS. It holds bytes only while a record is incomplete or ciphertext waits to be sent.

use std::fmt;

use rustls::CipherSuite;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

use super::{Flight, Landing, Task};

/// One connection's TLS, and its ciphertext on the way.
pub(in crate::net) struct Stream {
    pub(in crate::net) generation: u32,
    /// Bits: see the constants.
    flags: u8,
    connection: UnbufferedServerConnection,
    /// The beginning of a record, or of a handshake message.
    incoming: Vec<u8>,
    /// Ciphertext that is next.
    outgoing: Vec<u8>,
    flight: Option<Flight>,
    /// Plaintext that the shard still counts as its own, and that is in `outgoing` already.
    ahead: usize,
    /// Plaintext of the shard's that goes with `outgoing` as soon as the flight has landed.
    owed: Option<usize>,
}

/// What was received comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::net) struct Received {
    /// The peer sends no more, or what it sends is no TLS that goes on.
    pub(in crate::net) is_over: bool,
    /// It is over because something was wrong.
    pub(super) has_failed: bool,
    /// The handshake was completed just now.
    pub(super) has_opened: bool,
    /// It was, and the kernel can take over what comes after it.
    pub(in crate::net) is_to_offload: bool,
}

/// What has to happen before the kernel can take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Offloading {
    /// Nothing.
    Ready,
    /// What is being sent has to go first.
    Sends,
    /// So many bytes are to be received, and not one more: a record has begun.
    Receives(usize),
    /// It cannot any more.
    Never,
}

impl Stream {
    pub(super) const fn new(generation: u32, connection: UnbufferedServerConnection) -> Self {
        Self {
            generation,
            flags: 0,
            connection,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            flight: None,
            ahead: 0,
            owed: None,
        }
    }

    /// Takes ciphertext, which is overwritten, and appends the plaintext of all records that are complete with it.
    pub(super) fn receive(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>, waiting_bytes_max: usize) -> Received {
        let mut received = Received::default();
        if self.is(OVER) {
            return received;
        }
        let is_first = self.connection.is_handshaking() && !self.is(SPOKEN);
        if is_first && !bytes.is_empty() {
            self.flags |= SPOKEN;
            if is_http(bytes) {
                self.outgoing.extend_from_slice(SPEAK_HTTPS);
                return self.fail();
            }
        }
        let was_handshaking = self.connection.is_handshaking();
        let waited = std::mem::take(&mut self.incoming);
        let outcome = if waited.is_empty() {
            let (used, outcome) = self.process(bytes, plain);
            self.incoming.extend_from_slice(&bytes[used..]);
            outcome
        } else {
            let mut whole = waited;
            whole.extend_from_slice(bytes);
            let (used, outcome) = self.process(&mut whole, plain);
            // What is left is copied, so that no more is held than there is.
            self.incoming = if used == 0 { whole } else { whole[used..].to_vec() };
            outcome
        };
        if outcome.is_err() || (self.connection.is_handshaking() && self.incoming.len() > waiting_bytes_max) {
            return self.fail();
        }
        received.has_opened = was_handshaking && !self.connection.is_handshaking();
        if self.is(PEER_CLOSED) {
            self.flags |= OVER;
            self.incoming = Vec::new();
            received.is_over = true;
        }
        received
    }

    /// Encrypts the first part of some bytes of the turn, or none of them: then the shard keeps them. `None`: nothing can
    /// be said on this connection any more, or not yet.
    pub(in crate::net) fn take_turn(&mut self, token: u32, bytes: &[u8]) -> Option<Task> {
        let encrypted = bytes.len().min(PIECE_BYTES);
        self.encrypt(&bytes[..encrypted]).then_some(Task::Turn { token, encrypted, length: bytes.len() })
    }

    /// Encrypts the first part of some bytes of the connection's own, those that were encrypted before left out. `None`:
    /// as above.
    pub(in crate::net) fn take_owned(&mut self, bytes: &[u8]) -> Option<Task> {
        let ahead = std::mem::take(&mut self.ahead);
        // A quarter of what is left: a message of 64 MiB is moved up in the outbox some 30 times and not 256.
        let length = bytes.len().min(PIECE_BYTES.max(bytes.len() / 4));
        debug_assert!(ahead <= length, "what was encrypted before is the beginning of the outbox");
        self.encrypt(bytes.get(ahead..length)?).then_some(Task::Owned { length })
    }

    /// Ends our direction: the peer learns that nothing was cut off (RFC 8446 section 6.1).
    pub(in crate::net) fn say_close(&mut self) {
        if self.is(SAID_CLOSE | FAILED) || self.connection.is_handshaking() {
            return;
        }
        self.flags |= SAID_CLOSE;
        self.write(ALERT_BYTES_MAX, |state, out| match state {
            ConnectionState::WriteTraffic(mut traffic) => {
                traffic.queue_close_notify(out).map_err(|error| required(&error))
            }
            _ => Err(None),
        });
    }

    /// What is next to be sent goes into the air. The caller sends it.
    pub(super) fn take_off(&mut self, task: Task) -> &Flight {
        debug_assert!(self.flight.is_none(), "one flight at a time");
        let bytes = std::mem::take(&mut self.outgoing);
        self.flight.insert(Flight { bytes, sent: 0, task })
    }

    /// The flight is over, or a part of it.
    pub(super) fn land(&mut self, sent: Result<usize, ()>, spare: &mut Vec<Vec<u8>>) -> Landing {
        let Some(mut flight) = self.flight.take() else { return Landing::Quiet };
        let Ok(sent) = sent else {
            self.flags |= OVER | FAILED;
            self.outgoing = Vec::new();
            return match (flight.task, self.owed.take()) {
                (Task::Turn { token, .. }, _) => Landing::SendFailed(token, Err(())),
                (Task::Owned { .. }, _) | (Task::Control, Some(_)) => Landing::Sent(Err(())),
                (Task::Control, None) => Landing::Quiet,
            };
        };
        flight.sent += sent;
        if flight.sent < flight.bytes.len() {
            let Task::Turn { token, encrypted, .. } = flight.task else {
                self.flight = Some(flight);
                return Landing::Again;
            };
            // All of it stays in the shard's outbox until all of it has gone; what is encrypted is not encrypted again.
            self.outgoing.splice(..0, flight.bytes.drain(flight.sent..));
            self.ahead = encrypted;
            return Landing::SendFailed(token, Ok(0));
        }
        recycle(spare, flight.bytes);
        match flight.task {
            Task::Turn { token, encrypted, length } if encrypted < length => Landing::SendFailed(token, Ok(encrypted)),
            Task::Turn { .. } | Task::Control => Landing::Quiet,
            Task::Owned { length } => Landing::Sent(Ok(length)),
        }
    }

    /// The rest of the flight.
    pub(super) fn flying(&self) -> Option<&Flight> {
        self.flight.as_ref()
    }

    /// Gives the flight away, of a stream that ends.
    pub(super) fn into_flying(self) -> Option<Flight> {
        self.flight
    }

    /// The shard's bytes wait for the flight to land.
    pub(in crate::net) const fn owe(&mut self, length: usize) {
        self.owed = Some(length);
    }

    /// What takes off next, if anything does: the caller's bytes that waited, or what TLS itself has to say. Not what the
    /// shard still has to ask for.
    pub(in crate::net) fn next(&mut self) -> Option<Task> {
        if self.flight.is_some() {
            return None;
        }
        if let Some(length) = self.owed.take() {
            return Some(Task::Owned { length });
        }
        (self.ahead == 0 && !self.outgoing.is_empty()).then_some(Task::Control)
    }

    /// Our direction ends as soon as everything is sent.
    pub(in crate::net) const fn shut(&mut self) {
        self.flags |= SHUTS;
    }

    /// Whether our direction is to be ended now; said once.
    pub(in crate::net) fn is_shut(&mut self) -> bool {
        let is_shut = self.is(SHUTS) && self.flight.is_none() && self.outgoing.is_empty();
        if is_shut {
            self.flags &= !SHUTS;
        }
        is_shut
    }

    /// Whether the peer has announced the end of its direction.
    pub(super) const fn is_over(&self) -> bool {
        self.is(OVER)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the handshake has agreed on one of these suites.
    pub(super) fn has_suite_of(&self, suites: &[CipherSuite]) -> bool {
        self.connection.negotiated_cipher_suite().is_some_and(|suite| suites.contains(&suite.suite()))
    }

    /// The kernel will not have it.
    pub(in crate::net) const fn keep(&mut self) {
        self.flags |= KEPT;
    }

    /// How far it is from being given to the kernel. Only asked while nothing is received.
    pub(in crate::net) fn offloading(&self) -> Offloading {
        if self.is(OVER | FAILED | SAID_CLOSE | SHUTS | KEPT) {
            return Offloading::Never;
        }
        if !self.incoming.is_empty() {
            return rest_of_record(&self.incoming).map_or(Offloading::Never, Offloading::Receives);
        }
        let sends = self.flight.is_some() || self.owed.is_some() || !self.outgoing.is_empty();
        if sends { Offloading::Sends } else { Offloading::Ready }
    }

    /// Gives up the library's part, for somebody else to go on with.
    pub(super) fn into_connection(self) -> UnbufferedServerConnection {
        self.connection
    }

    /// Does something to the stream, with memory to write to, which it keeps only if something was written.
    pub(super) fn with<T>(&mut self, spare: &mut Vec<Vec<u8>>, work: impl FnOnce(&mut Self) -> T) -> T {
        if self.outgoing.capacity() == 0
            && let Some(buffer) = spare.pop()
        {
            self.outgoing = buffer;
        }
        let result = work(self);
        if self.outgoing.is_empty() {
            recycle(spare, std::mem::take(&mut self.outgoing));
        }
        result
    }

    /// Whether something takes off, or ends, without anybody asking for it.
    pub(in crate::net) fn next_is_ready(&self) -> bool {
        let waits = self.owed.is_some() || (self.ahead == 0 && !self.outgoing.is_empty());
        self.flight.is_none() && (waits || self.is(SHUTS))
    }

    /// Whether there is something to send.
    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Bytes of the buffers it holds.
    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        let flying = self.flight.as_ref().map_or(0, |flight| flight.bytes.capacity());
        self.incoming.capacity() + self.outgoing.capacity() + flying
    }

    fn fail(&mut self) -> Received {
        self.flags |= OVER | FAILED;
        self.incoming = Vec::new();
        Received { is_over: true, has_failed: true, ..Received::default() }
    }

    const fn is(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    fn encrypt(&mut self, plain: &[u8]) -> bool {
        if self.is(SAID_CLOSE | FAILED) || self.connection.is_handshaking() {
            return false;
        }
        if plain.is_empty() {
            return true;
        }
        let room = plain.len() + (plain.len() / RECORD_BYTES + 2) * RECORD_OVERHEAD_MAX;
        self.write(room, |state, out| match state {
            ConnectionState::WriteTraffic(mut traffic) => traffic.encrypt(plain, out).map_err(|error| required(&error)),
            _ => Err(None),
        })
    }

    /// Appends what `write` makes of the connection that is ready to write. `Err(Some(room))`: it needs that much.
    fn write(
        &mut self,
        mut room: usize,
        mut write: impl FnMut(ConnectionState<'_, '_, rustls::server::ServerConnectionData>, &mut [u8]) -> Wrote,
    ) -> bool {
        loop {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.incoming);
            let start = self.outgoing.len();
            let is_done = match state {
                Err(_) => return false,
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.outgoing, 0, |out| data.encode(out).map_err(|error| encoding(&error)));
                    false
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.flags |= PEER_CLOSED;
                    false
                }
                Ok(state @ ConnectionState::WriteTraffic(_)) => {
                    self.outgoing.resize(start + room, 0);
                    let wrote = write(state, &mut self.outgoing[start..]);
                    self.outgoing.truncate(start + wrote.unwrap_or(0));
                    match wrote {
                        Ok(_) => true,
                        Err(Some(required)) if required > room => {
                            room = required;
                            false
                        }
                        Err(_) => return false,
                    }
                }
                // Plaintext is taken out where it is received, and before a handshake nothing is written.
                Ok(_) => return false,
            };
            self.incoming.drain(..discard);
            if is_done {
                return true;
            }
        }
    }

    /// Goes through all complete records of `bytes`. Returns how much was used up.
    fn process(&mut self, bytes: &mut [u8], plain: &mut Vec<u8>) -> (usize, Result<(), ()>) {
        let mut used = 0;
        // The library keeps the answer to a new key of the peer's until we say something, and does not tell: the kernel must
        // not take over then. So what was received is to be data, record for record, but for the end of the handshake.
        let mut others = if self.is(KEPT) { 0 } else { records_of_data(bytes) };
        let is_opening = self.connection.is_handshaking();
        loop {
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(&mut bytes[used..]);
            let mut is_done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        others = others.saturating_sub(1);
                        plain.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(&mut self.outgoing, 0, |out| data.encode(out).map_err(|error| encoding(&error)));
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.flags |= PEER_CLOSED,
                Ok(_) => is_done = true,
                Err(error) => {
                    tracing::debug!(%error, "TLS failed");
                    self.say_alert(&mut bytes[used + discard..]);
                    return (bytes.len(), Err(()));
                }
            }
            used += discard;
            if is_done {
                if others > usize::from(is_opening) {
                    self.keep();
                }
                return (if self.is(PEER_CLOSED) { bytes.len() } else { used }, Ok(()));
            }
        }
    }

    /// After an error: the alert that says what was wrong, if there is one, is the next thing to encode. Where there is none
    /// the library goes on with what it has not used up, which therefore must be there: it knows how far it has come.
    fn say_alert(&mut self, rest: &mut [u8]) {
        let UnbufferedStatus { state, .. } = self.connection.process_tls_records(rest);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = state {
            append(&mut self.outgoing, 0, |out| data.encode(out).map_err(|error| encoding(&error)));
        }
    }
}

impl fmt::Debug for Stream {
    /// Without the keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("flags", &self.flags)
            .field("flight", &self.flight)
            .finish_non_exhaustive()
    }
}

/// Bytes written, or how much room that takes.
type Wrote = Result<usize, Option<usize>>;

/// Appends what `write` writes, however much room it needs.
fn append(out: &mut Vec<u8>, mut room: usize, mut write: impl FnMut(&mut [u8]) -> Wrote) {
    let start = out.len();
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Err(Some(required)) if required > room => room = required,
            wrote => return out.truncate(start + wrote.unwrap_or(0)),
        }
    }
}

fn required(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

fn encoding(error: &EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

/// Keeps a buffer for the next send.
fn recycle(spare: &mut Vec<Vec<u8>>, mut buffer: Vec<u8>) {
    if buffer.capacity() > 0 && spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
        buffer.clear();
        spare.push(buffer);
    }
}

/// How many complete records there are that claim to be of data.
fn records_of_data(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let Some(rest) = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..) else { break };
        count += usize::from(*kind == APPLICATION_DATA);
        bytes = rest;
    }
    count
}

/// How much of the record that these bytes begin is missing. `None`: they begin no record of data.
fn rest_of_record(bytes: &[u8]) -> Option<usize> {
    let [kind, _, _, high, low, content @ ..] = bytes else {
        return RECORD_HEADER_BYTES.checked_sub(bytes.len()).filter(|_| bytes[0] == APPLICATION_DATA);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    length.checked_sub(content.len()).filter(|rest| *rest > 0 && *kind == APPLICATION_DATA)
}

/// Whether somebody speaks HTTP where TLS is expected: no record begins with a letter.
fn is_http(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
}

/// What they are told.
const SPEAK_HTTPS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 38\r\n\
    Connection: close\r\n\r\nTLS is spoken here: use https or wss.\n";

/// The peer has said that it sends no more.
const PEER_CLOSED: u8 = 1;
/// Nothing more is received.
const OVER: u8 = 1 << 1;
/// Nothing more is said but what is in `outgoing`.
const FAILED: u8 = 1 << 2;
/// Our direction is ended.
const SAID_CLOSE: u8 = 1 << 3;
/// The socket's direction is to be ended after the last byte.
const SHUTS: u8 = 1 << 4;
/// Something was received.
const SPOKEN: u8 = 1 << 5;
/// The kernel is not to have it.
const KEPT: u8 = 1 << 6;

/// What every record of TLS 1.3 after the handshake claims to be, and its header (RFC 8446 section 5.2).
const APPLICATION_DATA: u8 = 23;
const RECORD_HEADER_BYTES: usize = 5;
/// Plaintext of one record at the most (RFC 8446 section 5.1).
const RECORD_BYTES: usize = 1 << 14;
/// Header, content type or explicit nonce, and tag of one record.
const RECORD_OVERHEAD_MAX: usize = 5 + 8 + 16 + 1;
const ALERT_BYTES_MAX: usize = 2 + RECORD_OVERHEAD_MAX;

/// Plaintext encrypted for one send: a tenth of a millisecond of work, and what the shard's outbox sends at once.
const PIECE_BYTES: usize = 256 << 10;

/// Buffers kept for the next sends: 256 of 16 KiB are 4 MiB for each shard, as its receive buffers are.
const SPARE_BUFFERS_MAX: usize = 256;
const SPARE_BYTES_MAX: usize = 16 << 10;
