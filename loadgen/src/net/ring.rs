//! One io_uring per worker: what is queued is submitted, slept on and collected in one system call. Failures of sends
//! are handed out before everything else, since what follows may write to the same connection. Never looks at bytes.
#![allow(unsafe_code)] // submission entries carry raw pointers

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::buffers::{Buffers, GROUP};

/// Submissions queued before the ring must be entered; a fuller pass enters more than once.
const SUBMISSIONS: u32 = 4096;
/// Completions held; the kernel keeps what overflows and hands it out at the next entry.
const COMPLETIONS: u32 = 16_384;
/// `IORING_ENTER_GETEVENTS` and `IORING_ENTER_EXT_ARG` of the kernel's io_uring.h.
const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;

/// What completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Connect,
    Receive,
    /// A send that runs inside the entry reported: only when it failed or was short.
    SendFailed,
    /// A send that may wait for the socket reported.
    Sent,
    Bell,
}

/// One completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    pub(super) operation: Operation,
    pub(super) slot: u32,
    /// As in the system call: a length, or a negative error number.
    pub(super) result: i32,
    /// The buffer that holds what was received.
    pub(super) buffer: Option<u16>,
    /// More completions of the same submission will follow.
    pub(super) has_more: bool,
}

/// The ring and its receive buffers. Fields drop in this order: the kernel lets go of the buffers before they go.
pub(super) struct Ring {
    ring: IoUring,
    pub(super) buffers: Buffers,
    pub(super) failed: Vec<Completion>,
    pub(super) completed: Vec<Completion>,
}

impl Ring {
    /// A ring that only the calling thread may use.
    pub(super) fn new() -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let buffers = Buffers::new(&ring)?;
        Ok(Self { ring, buffers, failed: Vec::new(), completed: Vec::new() })
    }

    /// Connects.
    ///
    /// # Safety
    /// The address lives until the next `enter` returns.
    pub(super) unsafe fn connect(&mut self, slot: u32, descriptor: RawFd, address: &socket2::SockAddr) {
        let entry = opcode::Connect::new(Fd(descriptor), address.as_ptr().cast(), address.len()).build();
        // SAFETY: the address is alive by the contract, and the kernel copies it when it takes the entry.
        unsafe { self.push(&entry.user_data(user_data(Operation::Connect, slot))) };
    }

    /// Receives again and again, until the end or an error.
    pub(super) fn receive(&mut self, slot: u32, descriptor: RawFd) {
        let entry = opcode::RecvMulti::new(Fd(descriptor), GROUP).build();
        // SAFETY: the entry has no pointers; its buffers are the ring's own.
        unsafe { self.push(&entry.user_data(user_data(Operation::Receive, slot))) };
    }

    /// Sends what the socket takes at once, inside the next `enter`; reports only if that was not everything.
    ///
    /// # Safety
    /// The bytes stay where they are until the next `enter` returns.
    pub(super) unsafe fn send_now(&mut self, slot: u32, descriptor: RawFd, bytes: &[u8]) {
        let entry = send(descriptor, bytes, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_WAITALL)
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(user_data(Operation::SendFailed, slot));
        // SAFETY: with MSG_DONTWAIT the kernel reads the bytes while it takes the entry and never later.
        unsafe { self.push(&entry) };
    }

    /// Sends all of it, waiting for the socket; always reports.
    ///
    /// # Safety
    /// The bytes stay where they are until the completion was collected.
    pub(super) unsafe fn send_owned(&mut self, slot: u32, descriptor: RawFd, bytes: &[u8]) {
        let entry =
            send(descriptor, bytes, libc::MSG_NOSIGNAL | libc::MSG_WAITALL).user_data(user_data(Operation::Sent, slot));
        // SAFETY: the bytes outlive the operation by the contract.
        unsafe { self.push(&entry) };
    }

    /// Completes whenever the descriptor becomes readable.
    pub(super) fn watch(&mut self, descriptor: RawFd) {
        let events = u32::try_from(libc::POLLIN).expect("a small positive constant");
        let entry = opcode::PollAdd::new(Fd(descriptor), events).multi(true).build();
        // SAFETY: the entry has no pointers.
        unsafe { self.push(&entry.user_data(user_data(Operation::Bell, 0))) };
    }

    /// Submits what is queued, sleeps until something completes or the time is over (a time of zero does not sleep),
    /// and collects everything that completed.
    pub(super) fn enter(&mut self, time: Duration) -> io::Result<()> {
        self.buffers.publish();
        let timespec = Timespec::from(time);
        let arguments = SubmitArgs::new().timespec(&timespec);
        let mut wanted = u32::from(!time.is_zero());
        loop {
            let queued = u32::try_from(self.ring.submission().len()).expect("at most the ring's size");
            // SAFETY: the arguments live through the call; queued entries keep their own contracts.
            let entered = unsafe {
                self.ring.submitter().enter(queued, wanted, ENTER_GETEVENTS | ENTER_EXT_ARG, Some(&arguments))
            };
            if let Err(error) = entered {
                match error.raw_os_error() {
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                    _ => return Err(error),
                }
            }
            self.collect();
            // What was not taken (EBUSY: too many completions are waiting) or overflowed must be over before anyone
            // writes to a connection whose send is queued.
            let submission = self.ring.submission();
            if submission.is_empty() && !submission.cq_overflow() {
                return Ok(());
            }
            wanted = 0;
        }
    }

    fn collect(&mut self) {
        for entry in self.ring.completion() {
            let Some(completion) = completion(&entry) else { continue };
            match completion.operation {
                Operation::SendFailed => self.failed.push(completion),
                _ => self.completed.push(completion),
            }
        }
    }

    /// # Safety
    /// Pointers in the entry are valid as long as its operation needs them.
    unsafe fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: handed on to the caller.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            // Full: let the kernel take what is there. Errors here (EBUSY, EINTR) come again in `enter`; collecting
            // makes room in the completion queue so that this loop ends.
            let _ = self.ring.submit();
            self.collect();
        }
    }
}

fn send(descriptor: RawFd, bytes: &[u8], flags: i32) -> squeue::Entry {
    let length = u32::try_from(bytes.len()).expect("a connection's unsent bytes are bounded far below 4 GiB");
    opcode::Send::new(Fd(descriptor), bytes.as_ptr(), length).flags(flags).build()
}

const fn user_data(operation: Operation, slot: u32) -> u64 {
    (operation as u64) << 32 | slot as u64
}

fn completion(entry: &cqueue::Entry) -> Option<Completion> {
    let operation = match entry.user_data() >> 32 {
        0 => Operation::Connect,
        1 => Operation::Receive,
        2 => Operation::SendFailed,
        3 => Operation::Sent,
        4 => Operation::Bell,
        _ => return None,
    };
    Some(Completion {
        operation,
        #[allow(clippy::cast_possible_truncation)] // the low half is the slot
        slot: entry.user_data() as u32,
        result: entry.result(),
        buffer: cqueue::buffer_select(entry.flags()),
        has_more: cqueue::more(entry.flags()),
    })
}
