//! Where a shard's sockets are kept: among the process's file descriptors, or in a table of the ring's own ("direct
//! descriptors"). It builds the entries that differ; it never submits one and never counts.
//!
//! A table is per ring and each may be as large as the process's limit of open files, so shards hold that many
//! connections each instead of all together. What has no form for a table's place is done otherwise: the peer's address
//! by an operation of the ring (`peer_name`), shutdown(2) on a descriptor that is installed for that one call.

use std::io;
use std::os::fd::RawFd;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, Fixed};
use io_uring::{Probe, opcode};

use super::Ring;

/// A socket as this shard's ring names it: a file descriptor or a place in the ring's table. It owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor(pub(super) RawFd);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Process,
    Ring,
}

impl Descriptor {
    /// No socket.
    pub(super) const NONE: Self = Self(-1);

    /// As the operations with a form of their own for the table want it.
    fn place(self) -> Fixed {
        Fixed(u32::try_from(self.0).expect("the kernel names places from zero on"))
    }
}

impl Table {
    /// A table of `places` in the ring; none with zero.
    pub(super) fn new(ring: &Ring, places: u32) -> io::Result<Self> {
        if places == 0 {
            return Ok(Self::Process);
        }
        // The newest of what is needed, and the only one that the kernel can be asked about: 6.8.
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::FixedFdInstall::CODE) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "direct descriptors need Linux 6.8"));
        }
        ring.submitter().register_files_sparse(places).map_err(|error| match error.raw_os_error() {
            Some(libc::EMFILE) => {
                let text = format!("{places} direct descriptors are more than the process may open files (ulimit -n)");
                io::Error::new(error.kind(), text)
            }
            _ => error,
        })?;
        Ok(Self::Ring)
    }

    /// Whether the ring keeps them.
    pub(super) const fn is_direct(self) -> bool {
        matches!(self, Self::Ring)
    }

    /// An entry made with [`fd`], on this table.
    pub(super) fn on(self, entry: Entry) -> Entry {
        match self {
            Self::Process => entry,
            Self::Ring => entry.flags(Flags::FIXED_FILE),
        }
    }

    /// A multishot accept. The sockets block on purpose: on a non-blocking one the ring would not wait for room or data.
    pub(super) fn accept(self, listener: RawFd) -> Entry {
        let accept = opcode::AcceptMulti::new(Fd(listener));
        match self {
            Self::Process => accept.flags(libc::SOCK_CLOEXEC).build(),
            Self::Ring => accept.allocate_file_index(true).build(),
        }
    }

    /// The end of a descriptor.
    pub(super) fn close(self, descriptor: Descriptor) -> Entry {
        match self {
            Self::Process => opcode::Close::new(fd(descriptor)).build(),
            Self::Ring => opcode::Close::new(descriptor.place()).build(),
        }
    }

    /// Completes with a file descriptor of the process for a place in the table.
    pub(super) fn install(descriptor: Descriptor) -> Entry {
        // No flags: closed on exec.
        opcode::FixedFdInstall::new(descriptor.place(), 0).build()
    }
}

/// For entries that [`Table::on`] marks.
pub(super) const fn fd(descriptor: Descriptor) -> Fd {
    Fd(descriptor.0)
}
