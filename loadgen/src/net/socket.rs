//! One TCP socket of the generator and what is queued on it. Never submits anything itself.
#![allow(unsafe_code)] // one socket option that socket2 does not know

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, SockAddr, Socket as RawSocket, Type};

use super::tls::{Tls, Trust};

/// A socket and its queues.
#[derive(Debug)]
pub(super) struct Socket {
    raw: RawSocket,
    /// What the next pass sends. Only appended to; stays where it is while a send of it is queued.
    pub(super) out: Vec<u8>,
    /// Seals and opens, on connections with TLS.
    pub(super) tls: Option<Box<Tls>>,
    /// What a waiting send reads. Not touched until that has completed.
    pub(super) flying: Vec<u8>,
    /// Listed for the next flush.
    pub(super) is_dirty: bool,
    pub(super) is_connecting: bool,
    pub(super) is_receiving: bool,
    pub(super) is_sending: bool,
    /// The owner was told that it is over.
    pub(super) has_ended: bool,
}

impl Socket {
    /// A socket for a connection to `target`, from `source` if that is given, with TLS if there is somebody to trust.
    pub(super) fn new(target: &SocketAddr, source: Option<IpAddr>, trust: Option<&Trust>) -> io::Result<Self> {
        let raw = RawSocket::new(Domain::for_address(*target), Type::STREAM, None)?;
        raw.set_tcp_nodelay(true)?;
        if let Some(source) = source {
            choose_port_late(&raw)?;
            raw.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
        }
        Ok(Self {
            raw,
            out: Vec::new(),
            tls: trust.map(|trust| Box::new(Tls::new(trust))),
            flying: Vec::new(),
            is_dirty: false,
            is_connecting: false,
            is_receiving: false,
            is_sending: false,
            has_ended: false,
        })
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.raw.as_raw_fd()
    }

    /// Whether anything is to be sent, queued or not.
    pub(super) fn has_output(&self) -> bool {
        !self.out.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Whether the kernel still works on it.
    pub(super) const fn is_busy(&self) -> bool {
        self.is_connecting || self.is_receiving || self.is_sending
    }

    /// Ends both directions; whatever is in flight completes soon.
    pub(super) fn shutdown(&self) {
        // Fails only when the peer was faster, and then there is nothing left to end.
        let _ = self.raw.shutdown(std::net::Shutdown::Both);
    }
}

/// Leaves the choice of the port to `connect`, which knows the whole four-tuple: else a source address is exhausted
/// after its 28,000 ephemeral ports, no matter how many targets.
fn choose_port_late(socket: &RawSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is a live integer and its size is stated.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
