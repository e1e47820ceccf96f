#![allow(unsafe_code)] // getpeername by the ring: an entry that the crate cannot build, and a buffer that the kernel fills
//! The addresses of peers, asked of the kernel by the ring, for sockets that are in no file descriptor. It never knows
//! what is done with an accepted socket.
//!
//! `SO_PEERNAME` by `IORING_OP_URING_CMD` (Linux 6.7). It ends inside the `enter` that takes it, so a connection is known
//! one pass after its accept.

use std::net::SocketAddr;

use io_uring::opcode;
use io_uring::squeue::Entry;
use socket2::{SockAddr, SockAddrStorage};

use super::table::{Descriptor, fd};

/// Room for questions, as many as were ever under way at once: one per socket accepted in a pass.
#[derive(Debug, Default)]
pub(super) struct PeerNames {
    questions: Vec<Question>,
    /// Those that nobody waits for.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Question {
    descriptor: Descriptor,
    /// Who asked; handed back.
    listener: usize,
    /// Boxed: the kernel writes to it while the list may grow.
    storage: Box<SockAddrStorage>,
}

impl PeerNames {
    /// Asks who is at the other end; the entry is to be submitted with the number as its user data. `bytes` is the exact
    /// length of the answer, which the listener's family tells: the kernel refuses room for more.
    pub(super) fn ask(&mut self, descriptor: Descriptor, listener: usize, bytes: u32) -> (Entry, u32) {
        assert!(bytes as usize <= size_of::<SockAddrStorage>(), "every address fits the storage");
        let number = self.free.pop().unwrap_or_else(|| {
            let storage = Box::new(SockAddrStorage::zeroed());
            self.questions.push(Question { descriptor: Descriptor::NONE, listener, storage });
            u32::try_from(self.questions.len() - 1).expect("fewer questions than descriptors")
        });
        let question = &mut self.questions[number as usize];
        (question.descriptor, question.listener) = (descriptor, listener);
        let storage = &raw mut *question.storage;
        let mut entry = opcode::SetSockOpt::new(fd(descriptor), SOL_SOCKET, SO_PEERNAME, storage.cast(), bytes).build();
        // SAFETY: an entry is the kernel's submission of 64 bytes, aligned for its 64-bit fields, and its third word is
        // the command, which is all that reading an option differs in from setting one.
        unsafe { (&raw mut entry).cast::<u32>().add(2).write(SOCKET_URING_OP_GETSOCKOPT) };
        (entry, number)
    }

    /// Whether an answer is due.
    pub(super) const fn are_asked(&self) -> bool {
        self.questions.len() > self.free.len()
    }

    /// The answer: the socket, its listener, and its peer's address if there still is one.
    pub(super) fn answer(&mut self, number: u32, result: i32) -> (Descriptor, usize, Option<SocketAddr>) {
        let question = &mut self.questions[number as usize];
        let descriptor = std::mem::replace(&mut question.descriptor, Descriptor::NONE);
        assert_ne!(descriptor, Descriptor::NONE, "the ring answers what was asked, once");
        self.free.push(number);
        let storage = std::mem::replace(&mut *question.storage, SockAddrStorage::zeroed());
        // SAFETY: the kernel has written an address of this length, and never one longer than was asked for.
        let address = |length| unsafe { SockAddr::new(storage, length) }.as_socket();
        let address = u32::try_from(result).ok().and_then(address);
        (descriptor, question.listener, address)
    }
}

const _: () = assert!(size_of::<Entry>() == 64 && align_of::<Entry>() >= align_of::<u32>());

const SOL_SOCKET: u32 = libc::SOL_SOCKET.unsigned_abs();
const SO_PEERNAME: u32 = libc::SO_PEERNAME.unsigned_abs();
/// From the kernel's `io_uring.h`; a write of the option is 3.
const SOCKET_URING_OP_GETSOCKOPT: u32 = 2;
