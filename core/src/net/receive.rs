#![allow(unsafe_code)] // a ring of buffers shared with the kernel is raw memory by nature
//! The receive buffers of one shard: a ring of equal pieces out of which the kernel takes one for each receive, so that
//! an idle connection holds none. It never knows whose data a buffer holds.
//!
//! A buffer goes back as soon as its bytes were handled, and the kernel learns of all that went back by one store per
//! pass: [`Buffers::publish`]. Too few buffers is no error, only slow, so each refusal is counted by the caller.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use super::Ring;

/// The buffers.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// What the kernel reads: one entry per buffer, page-aligned; the tail lies in the first entry's spare field.
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    bytes: u32,
    /// Our copy of the tail, ahead of the kernel's by what was recycled and not published.
    tail: u16,
}

impl Buffers {
    /// The group that receives name; there is only one.
    pub(crate) const GROUP: u16 = 0;

    /// `count` buffers, a power of two of at most 32,768, of `bytes` each, all given to the kernel.
    pub(crate) fn new(ring: &Ring, count: u16, bytes: u32) -> io::Result<Self> {
        if !count.is_power_of_two() || bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "receive buffers are a power of two, not empty"));
        }
        let entries = allocate(entries_layout(count)).cast::<BufRingEntry>();
        let memory = allocate(memory_layout(count, bytes));
        let mut buffers = Self { entries, memory, count, bytes, tail: 0 };
        let address = entries.as_ptr() as u64;
        // SAFETY: `count` entries lie there until `drop`, and the driver closes the ring before it drops the buffers.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, count, Self::GROUP, 0) }?;
        (0..count).for_each(|buffer| buffers.recycle(buffer));
        buffers.publish();
        Ok(buffers)
    }

    /// The first `length` bytes of a buffer that a completion named and that was not recycled since.
    pub(crate) fn bytes(&mut self, buffer: u16, length: usize) -> &mut [u8] {
        assert!(buffer < self.count && length <= self.bytes as usize, "the kernel names a buffer that it was given");
        let offset = usize::from(buffer) * self.bytes as usize;
        // SAFETY: within the allocation, initialised (zeroed, then written by the kernel only), and the kernel does not
        // touch a buffer between its completion and its return; `&mut self` keeps it single.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr().add(offset), length) }
    }

    /// Puts a buffer back. The kernel sees it with the next [`Buffers::publish`].
    pub(crate) fn recycle(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (self.count - 1));
        // SAFETY: `index` is below `count`, `buffer` too, and the kernel reads no entry beyond the published tail.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(index);
            entry.set_addr(self.memory.as_ptr() as u64 + u64::from(buffer) * u64::from(self.bytes));
            entry.set_len(self.bytes);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was put back.
    pub(crate) fn publish(&mut self) {
        // SAFETY: the tail is an aligned u16 inside the first entry, and the kernel reads it as an atomic.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> u16 {
        self.count
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with these layouts in `new`; the ring that knew them is closed.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), entries_layout(self.count));
            dealloc(self.memory.as_ptr(), memory_layout(self.count, self.bytes));
        }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: neither layout is empty: `new` refuses zero buffers and zero bytes.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

fn entries_layout(count: u16) -> Layout {
    Layout::from_size_align(usize::from(count) * size_of::<BufRingEntry>(), PAGE).expect("16 bytes x 32,768 at most")
}

fn memory_layout(count: u16, bytes: u32) -> Layout {
    Layout::from_size_align(usize::from(count) * bytes as usize, PAGE).expect("2^15 x 2^32 fits 63 bits")
}

/// Alignment that `io_uring_register` asks of the entries.
const PAGE: usize = 4096;
