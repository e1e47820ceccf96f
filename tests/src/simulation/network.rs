//! One simulated TCP connection: what is under way in either direction, and the kernel's part of it on the server's
//! side. Reliable and in order, as TCP is, and otherwise as unkind as TCP may be: pieces of any size, buffers that are
//! full, ends that come at any time.

use std::collections::VecDeque;

use fastrand::Rng;
use shard::Time;

use super::plan::Faults;
use super::stream::{Heard, Stream};

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In order.
    Finished,
    /// At once, whatever is under way.
    Reset,
}

/// An owned send: its bytes were copied when it began, and where they lay is remembered.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) address: usize,
    pub(super) bytes: Vec<u8>,
    sent: usize,
    pub(super) outcome: Option<Result<usize, ()>>,
}

/// A connection between one client and the server.
pub(super) struct Link {
    /// To the server: what will arrive, and when.
    up: VecDeque<(Time, Vec<u8>)>,
    up_end: Option<(Time, End)>,
    /// In the server's receive buffer.
    arrived: VecDeque<u8>,
    arrived_end: Option<End>,
    /// Whether the end was reported to the shard.
    pub(super) is_end_reported: bool,
    /// Whether the server has its receive armed.
    pub(super) is_reading: bool,
    /// Receives that will complete although the server has stopped reading.
    pub(super) late_receives: u8,
    pub(super) flight: Option<Flight>,
    /// The server's send buffer, as bytes that it still takes.
    room: usize,
    pub(super) is_shut_down: bool,
    /// The end of the stream to the client is on its way.
    pub(super) is_down_ended: bool,
    pub(super) is_aborted: bool,
    /// To the client.
    down: VecDeque<(Time, usize, Vec<Heard>)>,
    pub(super) stream: Stream,
    /// The client does not read.
    pub(super) is_stalled: bool,
    /// The cable was cut: nothing passes, nobody is told.
    pub(super) is_cut: bool,
}

impl Link {
    pub(super) fn new(stream: Stream, room: usize) -> Self {
        Self {
            up: VecDeque::new(),
            up_end: None,
            arrived: VecDeque::new(),
            arrived_end: None,
            is_end_reported: false,
            is_reading: true,
            late_receives: 0,
            flight: None,
            room,
            is_shut_down: false,
            is_down_ended: false,
            is_aborted: false,
            down: VecDeque::new(),
            stream,
            is_stalled: false,
            is_cut: false,
        }
    }

    /// The client sends; returns when the bytes arrive.
    pub(super) fn send_up(&mut self, at: Time, bytes: Vec<u8>) -> Time {
        let at = self.up.back().map_or(at, |(last, _)| at.max(*last));
        if self.up_end.is_none() && !self.is_cut {
            self.up.push_back((at, bytes));
        }
        at
    }

    /// The client ends its direction; returns when the server's kernel knows.
    pub(super) fn end_up(&mut self, at: Time, end: End) -> Time {
        let at = if end == End::Reset { at } else { self.up.back().map_or(at, |(last, _)| at.max(*last)) };
        if !self.is_cut && self.up_end.is_none_or(|(_, known)| known == End::Finished && end == End::Reset) {
            self.up_end = Some((at, end));
        }
        at
    }

    /// Time has come: moves what has arrived into the server's receive buffer.
    pub(super) fn arrive(&mut self, now: Time) {
        if self.is_broken() {
            // What the client sends after a reset goes nowhere; with it the stream would have a hole.
            return self.up.clear();
        }
        while self.up.front().is_some_and(|(at, _)| *at <= now) {
            let (_, bytes) = self.up.pop_front().expect("there is a first");
            self.arrived.extend(bytes);
        }
        match self.up_end {
            Some((at, End::Reset)) if at <= now => {
                self.up.clear();
                self.arrived.clear();
                self.arrived_end = Some(End::Reset);
            }
            Some((at, End::Finished)) if at <= now && self.up.is_empty() => self.arrived_end = Some(End::Finished),
            _ => {}
        }
    }

    /// Whether a receive would complete.
    pub(super) fn has_arrived(&self) -> bool {
        let receives = self.is_reading || self.late_receives > 0;
        let has_end = self.arrived_end.is_some() && !self.is_end_reported;
        receives && (!self.arrived.is_empty() || has_end)
    }

    /// The next receive: some bytes, or the end as an empty one.
    pub(super) fn receive(&mut self, random: &mut Rng) -> Option<Vec<u8>> {
        if !self.has_arrived() {
            return None;
        }
        if !self.is_reading {
            self.late_receives -= 1;
        }
        if self.arrived.is_empty() {
            self.is_end_reported = true;
            return Some(Vec::new());
        }
        let most = self.arrived.len();
        let length = match random.u8(..8) {
            0 => 1,
            1 | 2 => random.usize(1..=most),
            3 => random.usize(1..=most.min(20)),
            _ => most,
        };
        Some(self.arrived.drain(..length).collect())
    }

    /// One send without waiting. What went is on its way; returns how much that is.
    pub(super) fn send_down(&mut self, bytes: &[u8], faults: &Faults, random: &mut Rng) -> Result<usize, ()> {
        if self.is_broken() {
            return Err(());
        }
        if faults.happens(faults.broken_sends, random) {
            self.arrived_end = Some(End::Reset);
            self.up.clear();
            self.arrived.clear();
            return Err(());
        }
        let room = self.room.min(bytes.len());
        let sent = match () {
            () if faults.happens(faults.refused_sends, random) => 0,
            () if faults.happens(faults.short_sends, random) => random.usize(..=room),
            () => room,
        };
        Ok(sent)
    }

    /// Begins an owned send.
    pub(super) fn take_off(&mut self, address: usize, bytes: Vec<u8>) {
        assert!(self.flight.is_none(), "two owned sends at once");
        self.flight = Some(Flight { address, bytes, sent: 0, outcome: None });
    }

    /// Lets the flight go on; returns what went now. Its outcome is set when it is over.
    pub(super) fn fly(&mut self, faults: &Faults, random: &mut Rng) -> Vec<u8> {
        let (is_broken, is_aborted) = (self.is_broken(), self.is_aborted);
        let Some(flight) = self.flight.as_mut().filter(|flight| flight.outcome.is_none()) else { return Vec::new() };
        if is_broken || is_aborted || faults.happens(faults.broken_sends, random) {
            flight.outcome = Some(if is_aborted && random.bool() { Ok(flight.sent) } else { Err(()) });
            return Vec::new();
        }
        let rest = &flight.bytes[flight.sent..];
        let mut length = rest.len().min(self.room);
        let ends_early = faults.happens(faults.short_sends, random);
        if ends_early {
            length = random.usize(..=length);
        }
        let went = rest[..length].to_vec();
        flight.sent += length;
        if flight.sent == flight.bytes.len() || ends_early {
            flight.outcome = Some(Ok(flight.sent));
        }
        went
    }

    /// Bytes are with the kernel: they will be heard.
    pub(super) fn push_down(&mut self, at: Time, length: usize, heard: Vec<Heard>) -> Time {
        self.room -= length;
        let at = self.down.back().map_or(at, |(last, ..)| at.max(*last));
        self.down.push_back((at, length, heard));
        at
    }

    /// The client reads what has come.
    pub(super) fn read_down(&mut self, now: Time) -> Option<Vec<Heard>> {
        if self.is_stalled || self.is_cut || self.down.front().is_none_or(|(at, ..)| *at > now) {
            return None;
        }
        let (_, length, heard) = self.down.pop_front()?;
        self.room += length;
        Some(heard)
    }

    /// When the client can read again.
    pub(super) fn next_down(&self) -> Option<Time> {
        self.down.front().filter(|_| !self.is_stalled && !self.is_cut).map(|(at, ..)| *at)
    }

    /// The connection is dead for sends.
    pub(super) fn is_broken(&self) -> bool {
        self.arrived_end == Some(End::Reset)
    }
}
