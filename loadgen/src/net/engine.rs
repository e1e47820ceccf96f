//! All connections of one worker over its ring. One pass is: `enter` (submit, sleep, collect), `arrivals` (hand out what
//! came), whatever the owner writes, `flush` (queue one send per connection that has something to send). Never parses,
//! never reads a clock.
#![allow(unsafe_code)] // upholds the contracts of the ring's sends: where queued bytes live

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::SockAddr;

use super::bell::Bell;
use super::ring::{Completion, Operation, Ring};
use super::socket::Socket;

/// An emptied queue that grew beyond this gives its memory back.
const QUEUE_BYTES_KEPT: usize = 64 * 1024;

/// What came for a connection.
#[derive(Debug)]
pub(crate) enum Arrival<'a> {
    /// The connection stands.
    Connected,
    /// Bytes, to be parsed in place.
    Bytes(&'a mut [u8]),
    /// The connection is over: by its end, or by an error.
    Ended(Option<io::Error>),
}

/// What the owner wants after an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Go on.
    Keep,
    /// End the connection.
    Drop,
}

struct Slot<C> {
    socket: Socket,
    connection: C,
}

/// The connections of a worker. A slot is the number of a connection among them.
pub(crate) struct Engine<C> {
    ring: Ring,
    slots: Vec<Option<Slot<C>>>,
    dirty: Vec<u32>,
    flushed: Vec<u32>,
    freed: Vec<u32>,
    arrived: Vec<Completion>,
    target: SocketAddr,
    address: SockAddr,
    /// Receives that found no buffer.
    pub(crate) buffer_shortages: u64,
    /// Sends that did not fit at once.
    pub(crate) short_sends: u64,
    /// Bytes handed to the kernel.
    pub(crate) bytes_out: u64,
    /// Bytes received.
    pub(crate) bytes_in: u64,
}

impl<C> Engine<C> {
    /// An engine with room for so many connections to one target. To be made on the thread that uses it.
    pub(crate) fn new(slots: usize, target: SocketAddr, bell: &Bell) -> io::Result<Self> {
        let mut ring = Ring::new()?;
        ring.watch(bell.descriptor());
        Ok(Self {
            ring,
            slots: std::iter::repeat_with(|| None).take(slots).collect(),
            dirty: Vec::new(),
            flushed: Vec::new(),
            freed: Vec::new(),
            arrived: Vec::new(),
            target,
            address: SockAddr::from(target),
            buffer_shortages: 0,
            short_sends: 0,
            bytes_out: 0,
            bytes_in: 0,
        })
    }

    /// Begins to connect in a free slot; gives the connection back if there is no socket for it.
    pub(crate) fn open(&mut self, slot: usize, source: Option<IpAddr>, connection: C) -> Result<(), (io::Error, C)> {
        assert!(self.slots[slot].is_none(), "a slot is used again only after it was freed");
        let mut socket = match Socket::new(&self.target, source) {
            Ok(socket) => socket,
            Err(error) => return Err((error, connection)),
        };
        socket.is_connecting = true;
        // SAFETY: the address lives as long as the engine and is never changed.
        unsafe { self.ring.connect(number(slot), socket.descriptor(), &self.address) };
        self.slots[slot] = Some(Slot { socket, connection });
        Ok(())
    }

    /// The connection in a slot and its queue of bytes to send; what is appended leaves with the next flush.
    pub(crate) fn get(&mut self, slot: usize) -> Option<(&mut C, &mut Vec<u8>)> {
        let entry = self.slots.get_mut(slot)?.as_mut()?;
        if !entry.socket.is_dirty {
            entry.socket.is_dirty = true;
            self.dirty.push(number(slot));
        }
        Some((&mut entry.connection, &mut entry.socket.out))
    }

    /// The connections, to look at.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (usize, &C)> {
        self.slots.iter().enumerate().filter_map(|(slot, entry)| Some((slot, &entry.as_ref()?.connection)))
    }

    /// Ends a connection; its end arrives like any other.
    pub(crate) fn shutdown(&self, slot: usize) {
        if let Some(Some(entry)) = self.slots.get(slot) {
            entry.socket.shutdown();
        }
    }

    /// Slots that became free since the last call.
    pub(crate) fn freed(&mut self) -> impl Iterator<Item = usize> {
        self.freed.drain(..).map(|slot| slot as usize)
    }

    /// Submits, sleeps at most so long, collects.
    pub(crate) fn enter(&mut self, time: Duration) -> io::Result<()> {
        self.ring.enter(time)?;
        for at in 0..self.ring.failed.len() {
            self.send_failed(self.ring.failed[at]);
        }
        self.ring.failed.clear();
        for slot in self.flushed.drain(..) {
            if let Some(entry) = &mut self.slots[slot as usize] {
                entry.socket.out.clear();
                entry.socket.out.shrink_to(QUEUE_BYTES_KEPT);
            }
        }
        Ok(())
    }

    /// Hands out what came since the last pass.
    pub(crate) fn arrivals(
        &mut self,
        bell: &Bell,
        mut handle: impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
    ) {
        std::mem::swap(&mut self.arrived, &mut self.ring.completed);
        for at in 0..self.arrived.len() {
            let completion = self.arrived[at];
            match completion.operation {
                Operation::Bell => {
                    bell.hush();
                    if !completion.has_more {
                        self.ring.watch(bell.descriptor());
                    }
                }
                Operation::Connect => self.connected(completion, &mut handle),
                Operation::Receive => self.received(completion, &mut handle),
                Operation::Sent => self.sent(completion),
                Operation::SendFailed => unreachable!("the ring keeps failures apart"),
            }
        }
        self.arrived.clear();
    }

    /// Queues one send for each connection that has something to send and none in flight.
    pub(crate) fn flush(&mut self) {
        for slot in self.dirty.drain(..) {
            let Some(entry) = &mut self.slots[slot as usize] else { continue };
            let socket = &mut entry.socket;
            socket.is_dirty = false;
            if socket.out.is_empty() || socket.is_connecting || socket.is_sending {
                continue;
            }
            self.bytes_out += socket.out.len() as u64;
            // SAFETY: `out` is appended to only between `enter` and `flush`; `enter` follows, and clears it.
            unsafe { self.ring.send_now(slot, socket.descriptor(), &socket.out) };
            self.flushed.push(slot);
        }
    }

    fn connected(
        &mut self,
        completion: Completion,
        handle: &mut impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
    ) {
        let slot = completion.slot as usize;
        let Some(entry) = &mut self.slots[slot] else { return };
        entry.socket.is_connecting = false;
        if completion.result < 0 {
            entry.socket.has_ended = true;
            let error = io::Error::from_raw_os_error(-completion.result);
            handle(slot, &mut entry.connection, &mut entry.socket.out, Arrival::Ended(Some(error)));
            return self.free(slot);
        }
        entry.socket.is_receiving = true;
        self.ring.receive(completion.slot, entry.socket.descriptor());
        let wish = handle(slot, &mut entry.connection, &mut entry.socket.out, Arrival::Connected);
        self.after(slot, wish);
    }

    fn received(
        &mut self,
        completion: Completion,
        handle: &mut impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
    ) {
        let slot = completion.slot as usize;
        let Some(entry) = &mut self.slots[slot] else { unreachable!("a slot is freed only when nothing is in flight") };
        let mut wish = Wish::Keep;
        let is_over = completion.result == 0 || (completion.result < 0 && completion.result != -libc::ENOBUFS);
        if let (Some(buffer), Ok(length)) = (completion.buffer, usize::try_from(completion.result)) {
            if length > 0 {
                self.bytes_in += length as u64;
                let bytes = self.ring.buffers.bytes(buffer, length);
                wish = handle(slot, &mut entry.connection, &mut entry.socket.out, Arrival::Bytes(bytes));
            }
            self.ring.buffers.give_back(buffer);
        }
        if completion.result == -libc::ENOBUFS {
            self.buffer_shortages += 1;
            self.ring.buffers.publish();
        }
        if is_over {
            entry.socket.is_receiving = false;
            entry.socket.has_ended = true;
            let error = (completion.result < 0).then(|| io::Error::from_raw_os_error(-completion.result));
            handle(slot, &mut entry.connection, &mut entry.socket.out, Arrival::Ended(error));
            entry.socket.shutdown();
            return self.free(slot);
        }
        if !completion.has_more {
            self.ring.receive(completion.slot, entry.socket.descriptor());
        }
        self.after(slot, wish);
    }

    /// Marks what was written, carries out the owner's wish.
    fn after(&mut self, slot: usize, wish: Wish) {
        let Some(entry) = &mut self.slots[slot] else { return };
        if !entry.socket.out.is_empty() && !entry.socket.is_dirty {
            entry.socket.is_dirty = true;
            self.dirty.push(number(slot));
        }
        if wish == Wish::Drop {
            entry.socket.shutdown();
        }
    }

    /// A send of the last pass went short: the rest is sent by one that waits for the socket.
    fn send_failed(&mut self, completion: Completion) {
        let Some(entry) = &mut self.slots[completion.slot as usize] else { return };
        let socket = &mut entry.socket;
        let sent = match completion.result {
            result if result == -libc::EAGAIN => 0,
            // The connection is broken; the receive says so too, and that is where its end is handled.
            result if result < 0 => return,
            result => usize::try_from(result).expect("not negative"),
        };
        self.short_sends += 1;
        socket.flying.clear();
        socket.flying.extend_from_slice(&socket.out[sent..]);
        socket.is_sending = true;
        // SAFETY: `flying` is left alone until `sent` handles the completion, and the slot is not freed before.
        unsafe { self.ring.send_owned(completion.slot, socket.descriptor(), &socket.flying) };
    }

    /// A waiting send is over.
    fn sent(&mut self, completion: Completion) {
        let slot = completion.slot as usize;
        let Some(entry) = &mut self.slots[slot] else { return };
        let socket = &mut entry.socket;
        let sent = usize::try_from(completion.result).unwrap_or(0);
        if completion.result > 0 && sent < socket.flying.len() && !socket.has_ended {
            socket.flying.drain(..sent);
            // SAFETY: as in `send_failed`.
            unsafe { self.ring.send_owned(completion.slot, socket.descriptor(), &socket.flying) };
            return;
        }
        socket.is_sending = false;
        socket.flying = Vec::new();
        if socket.has_ended {
            return self.free(slot);
        }
        self.after(slot, Wish::Keep);
    }

    /// Frees the slot once nothing is in flight on it.
    fn free(&mut self, slot: usize) {
        if self.slots[slot].as_ref().is_some_and(|entry| entry.socket.has_ended && !entry.socket.is_busy()) {
            self.slots[slot] = None;
            self.freed.push(number(slot));
        }
    }
}

fn number(slot: usize) -> u32 {
    u32::try_from(slot).expect("connections are bounded far below 2^32")
}
