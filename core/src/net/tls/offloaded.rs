//! One connection whose records the kernel makes and opens: what is left to do for it here is to count them, and to give
//! it new keys. It holds no byte of the connection's.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};

use super::kernel::{self, Direction};

/// One connection.
pub(in crate::net) struct Offloaded {
    pub(in crate::net) generation: u32,
    /// Bits: see the constants.
    flags: u8,
    /// The turn's send in the air: its token and its length.
    turn: Option<(u32, usize)>,
    /// Records sent under the present key, at the most.
    records: u64,
    /// As many as may be sent under one key, by half: some time is left to replace it.
    records_max: u64,
    secrets: KernelConnection<ServerConnectionData>,
}

impl Offloaded {
    /// Gives the keys of a connection, which has nothing more to send, to its prepared socket.
    pub(super) fn new(
        generation: u32,
        connection: UnbufferedServerConnection,
        socket: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let (keys, secrets) = connection.dangerous_into_kernel_connection().map_err(io::Error::other)?;
        kernel::set_key(socket, Direction::Out, keys.tx.0, &keys.tx.1)?;
        kernel::set_key(socket, Direction::In, keys.rx.0, &keys.rx.1)?;
        let limit = match secrets.negotiated_cipher_suite() {
            rustls::SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
            rustls::SupportedCipherSuite::Tls12(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self { generation, flags: 0, turn: None, records: keys.tx.0, records_max: limit / 2, secrets })
    }

    /// A send begins; a turn's is known by its token.
    pub(in crate::net) const fn take_off(&mut self, turn: Option<(u32, usize)>) {
        self.turn = turn;
    }

    /// A send is over, so many bytes of it: the turn's, if it was one.
    pub(in crate::net) fn land(&mut self, sent: Result<usize, ()>) -> Option<(u32, usize)> {
        self.records += sent.unwrap_or(0).div_ceil(RECORD_BYTES) as u64;
        if self.records > self.records_max {
            self.flags |= RENEWS_OUT;
        }
        self.turn.take()
    }

    /// The peer's records are under another key from now on, and ours are to be if it asks.
    pub(in crate::net) const fn heed(&mut self, is_asked: bool) {
        self.flags |= if is_asked { RENEWS_IN | RENEWS_OUT } else { RENEWS_IN };
    }

    /// Whether the socket is to be given a key.
    pub(in crate::net) const fn renews(&self) -> bool {
        self.flags & (RENEWS_IN | RENEWS_OUT) != 0
    }

    /// Whether nothing can be received before that.
    pub(in crate::net) const fn renews_in(&self) -> bool {
        self.flags & RENEWS_IN != 0
    }

    /// Gives the socket the keys that it waits for. What there is no room to announce is tried again after the next send.
    /// Returns how many it was given; an error ends the connection. Linux has one key for each direction before 6.14.
    pub(in crate::net) fn renew(&mut self, socket: BorrowedFd<'_>) -> io::Result<u64> {
        let mut renewed = 0;
        if self.flags & RENEWS_IN != 0 {
            self.flags &= !RENEWS_IN;
            let (number, secrets) = self.secrets.update_rx_secret().map_err(io::Error::other)?;
            kernel::set_key(socket, Direction::In, number, &secrets)?;
            renewed += 1;
        }
        if self.flags & RENEWS_OUT != 0 {
            match kernel::announce_key(socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(renewed),
                result => result?,
            }
            self.flags &= !RENEWS_OUT;
            let (number, secrets) = self.secrets.update_tx_secret().map_err(io::Error::other)?;
            kernel::set_key(socket, Direction::Out, number, &secrets)?;
            self.records = 0;
            renewed += 1;
        }
        Ok(renewed)
    }

    /// As if so many records had been sent that the next is one too many.
    #[cfg(test)]
    pub(in crate::net) const fn exhaust(&mut self) {
        self.records = self.records_max;
    }

    /// The peer has announced the end of its direction.
    pub(in crate::net) const fn note_close(&mut self) {
        self.flags |= PEER_CLOSED;
    }

    /// Whether it has.
    pub(super) const fn is_over(&self) -> bool {
        self.flags & PEER_CLOSED != 0
    }

    /// The end of our direction is being announced, which may wait for room in the socket.
    pub(in crate::net) const fn say_close(&mut self, waits: bool) {
        self.flags |= if waits { SAID_CLOSE | ANNOUNCING } else { SAID_CLOSE };
    }

    /// Whether that was said before.
    pub(in crate::net) const fn has_said_close(&self) -> bool {
        self.flags & SAID_CLOSE != 0
    }

    /// The announcement waits no more.
    pub(in crate::net) const fn has_announced(&mut self) {
        self.flags &= !ANNOUNCING;
    }

    /// Whether it still does.
    pub(in crate::net) const fn is_announcing(&self) -> bool {
        self.flags & ANNOUNCING != 0
    }
}

impl fmt::Debug for Offloaded {
    /// Without the keys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Offloaded").field("flags", &self.flags).finish_non_exhaustive()
    }
}

/// The key for what is received is to be replaced.
const RENEWS_IN: u8 = 1;
/// The key for what is sent is.
const RENEWS_OUT: u8 = 1 << 1;
/// The peer has said that it sends no more.
const PEER_CLOSED: u8 = 1 << 2;
/// So have we.
const SAID_CLOSE: u8 = 1 << 3;
/// What says so is in the air.
const ANNOUNCING: u8 = 1 << 4;

/// What the kernel puts into one record (RFC 8446 section 5.1).
const RECORD_BYTES: usize = 1 << 14;
