//! All connections of one worker over its ring. One pass is: `enter` (submit, sleep, collect), `arrivals` (hand out what
//! came), whatever the owner writes, `flush` (queue one send per connection that has something to send). Never parses,
//! never reads a clock.
//!
//! A connection is a line to the server, or two of them where its protocol wants that: then what the owner writes is
//! carried to the lines by the connection itself, and the connection ends with the first of its lines.
#![allow(unsafe_code)] // upholds the contracts of the ring's sends: where queued bytes live

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::SockAddr;

use super::bell::Bell;
use super::ring::{Completion, Operation, Ring};
use super::socket::Socket;
use super::tls::Trust;

/// An emptied queue that grew beyond this gives its memory back.
const QUEUE_BYTES_KEPT: usize = 64 * 1024;

/// One of a connection's lines. Most connections have only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    First,
    Second,
}

/// What came for a connection.
#[derive(Debug)]
pub(crate) enum Arrival<'a> {
    /// The connection stands, with all its lines.
    Connected,
    /// Bytes, to be parsed in place.
    Bytes(Line, &'a mut [u8]),
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

/// A connection over two lines.
pub(crate) trait Carry {
    /// Moves of what was said to the lines what may go there now.
    fn carry(&mut self, said: &mut Vec<u8>, first: &mut Vec<u8>, second: &mut Vec<u8>);
}

struct Slot<C> {
    socket: Socket,
    second: Option<Box<Second>>,
    /// The owner was told of the end.
    is_over: bool,
    connection: C,
}

/// What a connection over two lines has besides.
struct Second {
    socket: Socket,
    /// What was said and not carried to a line yet.
    said: Vec<u8>,
}

impl<C> Slot<C> {
    fn line(&mut self, line: Line) -> &mut Socket {
        match (line, &mut self.second) {
            (Line::Second, Some(second)) => &mut second.socket,
            _ => &mut self.socket,
        }
    }

    /// The connection, and where its owner writes to.
    fn owned(&mut self) -> (&mut C, &mut Vec<u8>) {
        let out = self.second.as_mut().map_or(&mut self.socket.out, |second| &mut second.said);
        (&mut self.connection, out)
    }

    fn sockets(&self) -> impl Iterator<Item = &Socket> {
        [Some(&self.socket), self.second.as_ref().map(|second| &second.socket)].into_iter().flatten()
    }

    fn has_output(&self) -> bool {
        self.socket.has_output()
            || self.second.as_ref().is_some_and(|second| !second.said.is_empty() || second.socket.has_output())
    }

    fn shutdown(&self) {
        self.sockets().for_each(Socket::shutdown);
    }
}

/// What connections are made of.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Whom to take for the server, where TLS is spoken.
    pub(crate) trust: Option<Trust>,
    /// Whether each connection has two lines.
    pub(crate) is_double: bool,
}

/// The connections of a worker. A slot is the number of a connection among them.
pub(crate) struct Engine<C> {
    ring: Ring,
    slots: Vec<Option<Slot<C>>>,
    dirty: Vec<u32>,
    /// Lines that a send was queued for.
    flushed: Vec<u32>,
    freed: Vec<u32>,
    arrived: Vec<Completion>,
    target: Target,
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
    pub(crate) fn new(slots: usize, target: Target, bell: &Bell) -> io::Result<Self> {
        let mut ring = Ring::new()?;
        ring.watch(bell.descriptor());
        Ok(Self {
            ring,
            slots: std::iter::repeat_with(|| None).take(slots).collect(),
            dirty: Vec::new(),
            flushed: Vec::new(),
            freed: Vec::new(),
            arrived: Vec::new(),
            address: SockAddr::from(target.address),
            target,
            buffer_shortages: 0,
            short_sends: 0,
            bytes_out: 0,
            bytes_in: 0,
        })
    }

    /// Begins to connect in a free slot; gives the connection back if there is no socket for it.
    pub(crate) fn open(&mut self, slot: usize, source: Option<IpAddr>, connection: C) -> Result<(), (io::Error, C)> {
        assert!(self.slots[slot].is_none(), "a slot is used again only after it was freed");
        let Target { address, trust, is_double } = &self.target;
        let socket = || Socket::new(address, source, trust.as_ref());
        let sockets = socket().and_then(|first| Ok((first, is_double.then(socket).transpose()?)));
        let (socket, second) = match sockets {
            Ok((socket, second)) => (socket, second.map(|socket| Box::new(Second { socket, said: Vec::new() }))),
            Err(error) => return Err((error, connection)),
        };
        let mut entry = Slot { socket, second, is_over: false, connection };
        let lines = if *is_double { &[Line::First, Line::Second][..] } else { &[Line::First] };
        for &line in lines {
            let index = self.index(slot, line);
            let socket = entry.line(line);
            socket.is_connecting = true;
            // SAFETY: the address lives as long as the engine and is never changed.
            unsafe { self.ring.connect(index, socket.descriptor(), &self.address) };
        }
        self.slots[slot] = Some(entry);
        Ok(())
    }

    /// The number by which the ring knows a line: first those of all slots, then their second ones.
    fn index(&self, slot: usize, line: Line) -> u32 {
        number(if line == Line::First { slot } else { self.slots.len() + slot })
    }

    /// Whose line that is.
    fn of_index(&self, index: u32) -> (usize, Line) {
        let index = index as usize;
        index.checked_sub(self.slots.len()).map_or((index, Line::First), |slot| (slot, Line::Second))
    }

    /// The connection in a slot and its queue of bytes to send; what is appended leaves with the next flush.
    pub(crate) fn get(&mut self, slot: usize) -> Option<(&mut C, &mut Vec<u8>)> {
        let entry = self.slots.get_mut(slot)?.as_mut()?;
        if !entry.socket.is_dirty {
            entry.socket.is_dirty = true;
            self.dirty.push(number(slot));
        }
        Some(entry.owned())
    }

    /// The connections, to look at.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (usize, &C)> {
        self.slots.iter().enumerate().filter_map(|(slot, entry)| Some((slot, &entry.as_ref()?.connection)))
    }

    /// Ends a connection; its end arrives like any other.
    pub(crate) fn shutdown(&self, slot: usize) {
        if let Some(Some(entry)) = self.slots.get(slot) {
            entry.shutdown();
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
        for at in 0..self.flushed.len() {
            let (slot, line) = self.of_index(self.flushed[at]);
            if let Some(entry) = &mut self.slots[slot] {
                let out = &mut entry.line(line).out;
                out.clear();
                out.shrink_to(QUEUE_BYTES_KEPT);
            }
        }
        self.flushed.clear();
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

    /// Queues one send for each line that has something to send and none in flight.
    pub(crate) fn flush(&mut self)
    where
        C: Carry,
    {
        let seconds = self.slots.len();
        for slot in self.dirty.drain(..) {
            let Some(entry) = &mut self.slots[slot as usize] else { continue };
            entry.socket.is_dirty = false;
            let Slot { socket, second, connection, .. } = entry;
            if let Some(second) = second {
                if socket.is_connecting || second.socket.is_connecting {
                    continue;
                }
                connection.carry(&mut second.said, &mut socket.out, &mut second.socket.out);
                self.bytes_out += send(&mut self.ring, &mut self.flushed, number(seconds) + slot, &mut second.socket);
            }
            self.bytes_out += send(&mut self.ring, &mut self.flushed, slot, socket);
        }
    }

    fn connected(
        &mut self,
        completion: Completion,
        handle: &mut impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
    ) {
        let (slot, line) = self.of_index(completion.slot);
        let Some(entry) = &mut self.slots[slot] else { return };
        let socket = entry.line(line);
        socket.is_connecting = false;
        if completion.result < 0 {
            let error = io::Error::from_raw_os_error(-completion.result);
            return self.over(slot, line, Some(error), handle);
        }
        if entry.is_over {
            return self.over(slot, line, None, handle);
        }
        let socket = entry.line(line);
        socket.is_receiving = true;
        self.ring.receive(completion.slot, socket.descriptor());
        let mut wish = Wish::Keep;
        if !entry.sockets().any(|socket| socket.is_connecting) {
            let (connection, out) = entry.owned();
            wish = handle(slot, connection, out, Arrival::Connected);
        }
        self.after(slot, wish);
    }

    fn received(
        &mut self,
        completion: Completion,
        handle: &mut impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
    ) {
        let (slot, line) = self.of_index(completion.slot);
        let Some(entry) = &mut self.slots[slot] else { unreachable!("a slot is freed only when nothing is in flight") };
        let mut wish = Wish::Keep;
        let mut failure = None;
        let is_over = completion.result == 0 || (completion.result < 0 && completion.result != -libc::ENOBUFS);
        if let (Some(buffer), Ok(length)) = (completion.buffer, usize::try_from(completion.result)) {
            if length > 0 && !entry.is_over {
                self.bytes_in += length as u64;
                let bytes = self.ring.buffers.bytes(buffer, length);
                match opened(entry, slot, line, bytes, handle) {
                    Ok(wished) => wish = wished,
                    Err(error) => failure = Some(error),
                }
            }
            self.ring.buffers.give_back(buffer);
        }
        if completion.result == -libc::ENOBUFS {
            self.buffer_shortages += 1;
            self.ring.buffers.publish();
        }
        if is_over {
            entry.line(line).is_receiving = false;
            let error = (completion.result < 0).then(|| io::Error::from_raw_os_error(-completion.result));
            return self.over(slot, line, error, handle);
        }
        if !completion.has_more {
            self.ring.receive(completion.slot, entry.line(line).descriptor());
        }
        if failure.is_some() {
            tell_end(entry, slot, failure, handle);
        }
        self.after(slot, wish);
    }

    /// A line has ended, and its connection with it.
    fn over(
        &mut self,
        slot: usize,
        line: Line,
        error: Option<io::Error>,
        handle: &mut impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
    ) {
        let Some(entry) = &mut self.slots[slot] else { return };
        entry.line(line).has_ended = true;
        tell_end(entry, slot, error, handle);
        self.free(slot);
    }

    /// Marks what was written, carries out the owner's wish.
    fn after(&mut self, slot: usize, wish: Wish) {
        let Some(entry) = &mut self.slots[slot] else { return };
        // What a connection over two lines may say next can depend on what came.
        if !entry.socket.is_dirty && (entry.second.is_some() || entry.has_output()) {
            entry.socket.is_dirty = true;
            self.dirty.push(number(slot));
        }
        if wish == Wish::Drop {
            entry.shutdown();
        }
    }

    /// A send of the last pass went short: the rest is sent by one that waits for the socket.
    fn send_failed(&mut self, completion: Completion) {
        let (slot, line) = self.of_index(completion.slot);
        let Some(entry) = &mut self.slots[slot] else { return };
        let socket = entry.line(line);
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
        let (slot, line) = self.of_index(completion.slot);
        let Some(entry) = &mut self.slots[slot] else { return };
        let socket = entry.line(line);
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
        let is_free = |entry: &Slot<C>| entry.sockets().all(|socket| socket.has_ended && !socket.is_busy());
        if self.slots[slot].as_ref().is_some_and(is_free) {
            self.slots[slot] = None;
            self.freed.push(number(slot));
        }
    }
}

/// Tells the owner of the end, once, and ends what is left of the connection.
fn tell_end<C>(
    entry: &mut Slot<C>,
    slot: usize,
    error: Option<io::Error>,
    handle: &mut impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
) {
    if !std::mem::replace(&mut entry.is_over, true) {
        let (connection, out) = entry.owned();
        handle(slot, connection, out, Arrival::Ended(error));
    }
    entry.shutdown();
}

/// Hands bytes to the owner, out of their records where there is TLS.
fn opened<C>(
    entry: &mut Slot<C>,
    slot: usize,
    line: Line,
    bytes: &mut [u8],
    handle: &mut impl FnMut(usize, &mut C, &mut Vec<u8>, Arrival<'_>) -> Wish,
) -> io::Result<Wish> {
    let Some(tls) = &mut entry.line(line).tls else {
        let (connection, out) = entry.owned();
        return Ok(handle(slot, connection, out, Arrival::Bytes(line, bytes)));
    };
    let mut plain = tls.open(bytes)?;
    let mut wish = Wish::Keep;
    if !plain.is_empty() {
        let (connection, out) = entry.owned();
        wish = handle(slot, connection, out, Arrival::Bytes(line, &mut plain));
    }
    if let Some(tls) = &mut entry.line(line).tls {
        tls.give_back(plain);
    }
    Ok(wish)
}

/// Queues a send of what a line has, if none is in flight; how many bytes.
fn send(ring: &mut Ring, flushed: &mut Vec<u32>, index: u32, socket: &mut Socket) -> u64 {
    if !socket.has_output() || socket.is_connecting || socket.is_sending {
        return 0;
    }
    if let Some(tls) = &mut socket.tls {
        tls.seal(&mut socket.out);
    }
    // SAFETY: `out` is appended to only between `enter` and `flush`; `enter` follows, and clears it.
    unsafe { ring.send_now(index, socket.descriptor(), &socket.out) };
    flushed.push(index);
    socket.out.len() as u64
}

fn number(slot: usize) -> u32 {
    u32::try_from(slot).expect("connections are bounded far below 2^32")
}
