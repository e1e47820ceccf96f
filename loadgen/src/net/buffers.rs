//! The receive buffers of one worker, shared by all its connections: the kernel takes one when bytes arrive, the worker
//! gives it back once they are parsed. An idle connection holds none.
#![allow(unsafe_code)] // the ring of buffers is memory shared with the kernel

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// Buffers: more than the connections that have data ready in one pass, else receives end early and are armed again.
/// The kernel runs a bounded batch of completions per entry, so that 512 is ample (shortages are counted).
const COUNT: u16 = 512;
/// Bytes of each. 512 × 16 KiB is 8 MiB of address space per worker, of which only the parts written to are touched.
const BYTES: usize = 16 * 1024;
/// The id of the group in the ring: there is only one.
pub(super) const GROUP: u16 = 0;

/// Pages of our own, zeroed, given back when dropped.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    bytes: usize,
}

impl Pages {
    fn new(bytes: usize) -> io::Result<Self> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: NonNull::new(start.cast()).expect("mmap never gives null"), bytes })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; nothing borrows from it any more, as it is owned here.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// The buffers and the ring through which they are lent to the kernel.
#[derive(Debug)]
pub(super) struct Buffers {
    entries: Pages,
    memory: Pages,
    tail: u16,
}

impl Buffers {
    /// All buffers, lent to that ring. The ring must be dropped before they are.
    pub(super) fn new(ring: &io_uring::IoUring) -> io::Result<Self> {
        let entries = Pages::new(usize::from(COUNT) * size_of::<BufRingEntry>())?;
        let memory = Pages::new(usize::from(COUNT) * BYTES)?;
        let mut buffers = Self { entries, memory, tail: 0 };
        for buffer in 0..COUNT {
            buffers.give_back(buffer);
        }
        // SAFETY: the entries are page-aligned, zeroed but for what was filled in, and outlive the ring.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(buffers.entries.start.as_ptr() as u64, COUNT, GROUP, 0)?;
        }
        buffers.publish();
        Ok(buffers)
    }

    /// The first `length` bytes of a buffer that the kernel handed out.
    pub(super) fn bytes(&mut self, buffer: u16, length: usize) -> &mut [u8] {
        assert!(buffer < COUNT && length <= BYTES, "the kernel hands out what it was lent");
        // SAFETY: inside the mapping by the assertion; the kernel does not write to it until it is given back, and the
        // borrow of `self` prevents that.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start.as_ptr().add(usize::from(buffer) * BYTES), length) }
    }

    /// Lends a buffer again; the kernel sees it after `publish`.
    pub(super) fn give_back(&mut self, buffer: u16) {
        let at = usize::from(self.tail % COUNT);
        // SAFETY: `at` is below COUNT, the number of entries in the mapping; the kernel reads an entry only below the
        // published tail, which this one is not.
        let entry = unsafe { &mut *self.entries.start.as_ptr().cast::<BufRingEntry>().add(at) };
        entry.set_addr(self.memory.start.as_ptr() as u64 + u64::from(buffer) * BYTES as u64);
        entry.set_len(u32::try_from(BYTES).expect("16 KiB"));
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given back.
    pub(super) fn publish(&mut self) {
        // SAFETY: the mapping starts with the first entry, whose spare field is the tail by the kernel's contract; an
        // atomic of the same size and alignment may be used on it, as the kernel only reads it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.start.as_ptr().cast()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}
