//! What the kernel would not take yet: one connection's queue of bytes. It exists only while there is a backlog.
//!
//! Publications of channels whose slow consumers may lose some stand in the queue one by one, where they can be dropped
//! or replaced until they begin to leave; everything else is bytes. `flying` leaves first.
//!
//! ```text
//! flying │ queue: answers, pings, publications │ droppable │ queue … │ droppable │ droppable │ queue …
//! ```

mod droppable;

use std::rc::Rc;

use crate::policies::Terms;
use crate::{Metrics, SlowConsumer};
use droppable::{Droppables, Vacated};

/// Bytes handed to the kernel at once. Progress is seen per piece, so this over `send_timeout` is the slowest reader
/// that is tolerated: 256 KiB in 30 s is 9 kB/s.
const FLIGHT_BYTES_MAX: usize = 256 << 10;

/// How much may wait for one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes of publications that may be dropped.
    pub(crate) droppable_bytes_max: usize,
    /// Bytes of everything: no publication that may be dropped waits beyond it.
    pub(crate) bytes_max: usize,
}

impl Room {
    /// Bytes of one flight: what cannot be dropped any more leaves most of the room to what can.
    fn flight_bytes_max(self) -> usize {
        FLIGHT_BYTES_MAX.min(self.bytes_max / 4)
    }
}

/// The stream's next bytes: first the flight, which always ends where a frame ends, then the queue, which is whole frames,
/// and what may be dropped among it. So the queue can be dropped at any time and the peer still reads frames.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    flying: Vec<u8>,
    in_flight: bool,
    /// When the flight began, in stamps; meaningful while one is in the air.
    since: u32,
    queue: Vec<u8>,
    /// Start of what is still queued in `queue`.
    taken: usize,
    /// Bytes of the queue that were there before that: places of droppable publications are counted so.
    passed: u64,
    /// The place after the last bytes that were not a publication.
    spoken: u64,
    droppable: Option<Box<Droppables>>,
    /// Nothing ever flies: it is fetched.
    is_mailbox: bool,
}

impl Outbox {
    /// An outbox that begins with the rest of a send that went short.
    pub(crate) fn with_rest(rest: &[u8]) -> Self {
        Self { flying: rest.to_vec(), ..Self::default() }
    }

    /// An outbox without a socket.
    pub(crate) fn mailbox() -> Self {
        Self { is_mailbox: true, ..Self::default() }
    }

    pub(crate) const fn is_mailbox(&self) -> bool {
        self.is_mailbox
    }

    /// Makes a mailbox an outbox: there is a socket for it, and from now on it may send.
    pub(crate) const fn open_mailbox(&mut self) {
        self.is_mailbox = false;
    }

    /// Takes frames out of a mailbox, as many bytes or one frame.
    pub(crate) fn take_all(&mut self, bytes_max: usize) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.flying);
        self.take(&mut all, bytes_max);
        all
    }

    /// Takes so many frames out of a mailbox: their opcodes and payloads.
    pub(crate) fn take_mail(&mut self, frames_max: usize) -> Vec<(u8, Vec<u8>)> {
        let mut mail = Vec::new();
        while mail.len() < frames_max {
            if self.flying.is_empty() {
                // One frame, or one publication of which the rest is for the next time.
                let mut next = std::mem::take(&mut self.flying);
                self.take(&mut next, 1);
                self.flying = next;
            }
            let Some(length) = frame_bytes(&self.flying) else { break };
            let frame = &self.flying[..length];
            let header = match frame[1] & 0x7f {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            mail.push((frame[0] & 0x0f, frame[header..].to_vec()));
            self.flying.drain(..length);
        }
        mail
    }

    pub(crate) fn bytes(&self) -> usize {
        self.firm_bytes() + self.droppable_bytes()
    }

    /// Bytes that cannot be dropped.
    fn firm_bytes(&self) -> usize {
        self.queue.len() - self.taken + self.flying.len()
    }

    fn droppable_bytes(&self) -> usize {
        self.droppable.as_ref().map_or(0, |droppable| droppable.bytes())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    pub(crate) const fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// When the bytes in the air left, if any are.
    pub(crate) fn in_flight_since(&self) -> Option<u32> {
        self.in_flight.then_some(self.since)
    }

    /// The peer has that much longer to take what is in the air.
    pub(crate) fn postpone(&mut self, lost: u32, now: u32) {
        self.since = self.since.saturating_add(lost).min(now);
    }

    /// Puts the rest of frames that were sent in part before everything else.
    pub(crate) fn begin(&mut self, rest: &[u8]) {
        debug_assert!(self.is_empty() && !self.in_flight, "only an outbox begins with a part of a frame");
        self.flying.extend_from_slice(rest);
    }

    /// Lets `write` append whole frames to the queue.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.queue);
        self.spoken = self.end();
    }

    /// Appends a publication that waits whatever happens.
    pub(crate) fn push_publication(&mut self, frames: &[u8]) {
        self.queue.extend_from_slice(frames);
    }

    /// Has a publication wait, or not, on its terms.
    pub(crate) fn offer(&mut self, body: Rc<[u8]>, terms: Terms, room: Room, metrics: &mut Metrics) {
        let mut vacated = Vacated::Nothing;
        if terms.policy == SlowConsumer::Conflate
            && let Some(droppable) = &mut self.droppable
        {
            vacated = droppable.vacate(terms.key, self.spoken);
            metrics.deliveries_conflated += u64::from(vacated != Vacated::Nothing);
        }
        if !self.make_room(body.len(), terms.policy, room, metrics) {
            return count_dropped(terms.policy, metrics);
        }
        let end = self.end();
        let droppable = self.droppable.get_or_insert_default();
        match vacated {
            Vacated::Place(number) => droppable.fill(number, body),
            Vacated::Nothing | Vacated::Gone => droppable.push(end, terms, body),
        }
    }

    /// Drops what has to go for so many bytes of a publication, if its policy wants that; whether there is room.
    fn make_room(&mut self, bytes: usize, policy: SlowConsumer, room: Room, metrics: &mut Metrics) -> bool {
        if self.firm_bytes() + bytes > room.bytes_max {
            return false;
        }
        loop {
            let waiting = self.droppable_bytes();
            // One alone may be longer than all may be together.
            let is_within = waiting == 0 || waiting + bytes <= room.droppable_bytes_max;
            if is_within && self.bytes() + bytes <= room.bytes_max {
                return true;
            }
            if policy == SlowConsumer::DropNewest || !self.drop_one(metrics) {
                return false;
            }
        }
    }

    /// Drops publications until everything has room; what may not be dropped goes before what may.
    pub(crate) fn shrink_to(&mut self, bytes_max: usize, metrics: &mut Metrics) {
        while self.bytes() > bytes_max && self.drop_one(metrics) {}
    }

    fn drop_one(&mut self, metrics: &mut Metrics) -> bool {
        let dropped = self.droppable.as_mut().and_then(|droppable| droppable.drop_one());
        if let Some(policy) = dropped {
            count_dropped(policy, metrics);
        }
        dropped.is_some()
    }

    /// Takes the next piece into the air; its bytes stay where they are until [`Self::landed`].
    pub(crate) fn take_off(&mut self, now: u32, room: Room) -> bool {
        if self.in_flight || self.is_empty() {
            return false;
        }
        let bytes_max = room.flight_bytes_max();
        let is_simple = self.flying.is_empty() && self.droppable_bytes() == 0 && self.taken == 0;
        if is_simple && self.queue.len() <= bytes_max {
            self.passed += self.queue.len() as u64;
            std::mem::swap(&mut self.flying, &mut self.queue);
        } else {
            let mut flying = std::mem::take(&mut self.flying);
            self.take(&mut flying, bytes_max);
            self.flying = flying;
        }
        self.since = now;
        self.in_flight = true;
        true
    }

    pub(crate) fn flying(&self) -> &[u8] {
        &self.flying
    }

    /// `sent` bytes of the flight are with the kernel.
    pub(crate) fn landed(&mut self, sent: usize) {
        debug_assert!(self.in_flight && sent <= self.flying.len(), "a landing without its flight");
        self.in_flight = false;
        self.flying.drain(..sent.min(self.flying.len()));
    }

    /// Forgets the queue; what comes next on the wire is again a whole frame.
    pub(crate) fn discard_queue(&mut self) {
        self.queue = Vec::new();
        self.taken = 0;
        self.droppable = None;
        if self.is_mailbox {
            self.flying = Vec::new();
        }
    }

    /// Forgets everything that is not in the air.
    pub(crate) fn discard(&mut self) {
        self.discard_queue();
        if !self.in_flight {
            self.flying = Vec::new();
        }
    }

    /// Panics if more waits than may.
    pub(crate) fn check(&self, room: Room) {
        let Some(droppable) = self.droppable.as_ref().filter(|droppable| droppable.bytes() > 0) else { return };
        droppable.check(room.droppable_bytes_max);
        assert!(self.bytes() <= room.bytes_max, "a publication that may be dropped waits beyond the limit");
    }

    /// Where the next bytes of the queue will stand.
    fn end(&self) -> u64 {
        self.passed + (self.queue.len() - self.taken) as u64
    }

    /// Moves whole frames to the end of `out` until it has so many bytes; at least one frame if it has none.
    fn take(&mut self, out: &mut Vec<u8>, bytes_max: usize) {
        while out.len() < bytes_max {
            let next = self.droppable.as_mut().and_then(|droppable| droppable.front());
            let queued = self.queue.len() - self.taken;
            // Up to the droppable publication that stands before the rest.
            let before = next.map_or(queued, |(at, _)| usize::try_from(at - self.passed).unwrap_or(usize::MAX));
            if before > 0 {
                let piece = &self.queue[self.taken..self.taken + before];
                let bytes = whole_frames(piece, bytes_max - out.len(), out.is_empty());
                out.extend_from_slice(&piece[..bytes]);
                self.taken += bytes;
                self.passed += bytes as u64;
                if bytes < before {
                    break;
                }
                continue;
            }
            let Some((_, length)) = next.filter(|(_, length)| out.is_empty() || out.len() + length <= bytes_max) else {
                break;
            };
            let body = self.droppable.as_mut().and_then(|droppable| droppable.take());
            out.extend_from_slice(&body.expect("it was just looked at"));
            debug_assert!(length > 0, "no publication is empty");
        }
        self.compact();
        if self.droppable_bytes() == 0 {
            self.droppable = None;
        }
    }

    /// Moves the queue's rest to its front once the gap is worth it: each byte moves at most once per flight length.
    fn compact(&mut self) {
        if self.taken >= FLIGHT_BYTES_MAX.min(self.queue.len()) {
            self.queue.drain(..self.taken);
            self.taken = 0;
        }
    }
}

/// A publication is lost by what its channel's policy does.
const fn count_dropped(policy: SlowConsumer, metrics: &mut Metrics) {
    match policy {
        SlowConsumer::Close => {}
        SlowConsumer::DropNewest => metrics.deliveries_dropped_newest += 1,
        SlowConsumer::DropOldest => metrics.deliveries_dropped_oldest += 1,
        SlowConsumer::Conflate => metrics.deliveries_squeezed_out += 1,
    }
}

/// The length of the frames at the front of `bytes`: as many as `bytes_max` holds, the first in any case if it `must` be.
/// Bytes that are no frames (an HTTP answer) count as one to the end.
fn whole_frames(bytes: &[u8], bytes_max: usize, must: bool) -> usize {
    let mut end = 0;
    while let Some(frame) = frame_bytes(&bytes[end..]) {
        let next = end.saturating_add(frame);
        if next > bytes.len() {
            return bytes.len();
        }
        if next > bytes_max && (end > 0 || !must) {
            return end;
        }
        end = next;
    }
    bytes.len()
}

/// The length of the unmasked frame at the front (RFC 6455 section 5.2).
fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let &[_, short, ref rest @ ..] = bytes else { return None };
    Some(match short & 0x7f {
        126 => 4 + usize::from(u16::from_be_bytes(*rest.first_chunk()?)),
        127 => usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?.saturating_add(10),
        short => 2 + usize::from(short),
    })
}

#[cfg(test)]
mod tests {
    use codec::websocket::{Opcode, encode};

    use super::*;

    const ROOM: Room = Room { droppable_bytes_max: 256 << 10, bytes_max: 1 << 20 };

    fn frames(random: &mut fastrand::Rng, bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < bytes {
            let longest = *random.choice(&[10, 200, 70_000]).expect("three lengths");
            let payload: Vec<u8> = (0..random.usize(..longest)).map(|_| random.u8(..)).collect();
            encode::frame(&mut out, Opcode::Binary, &payload);
        }
        out
    }

    #[test]
    fn an_outbox_gives_every_byte_once_in_order_whatever_lands() {
        let mut random = fastrand::Rng::with_seed(7);
        let first = frames(&mut random, 1_000);
        let (mut expected, mut given) = (first.clone(), first[..700].to_vec());
        let mut outbox = Outbox::with_rest(&first[700..]);
        while given.len() < 3_000_000 {
            let more = frames(&mut random, 50_000);
            outbox.push_with(|queue| queue.extend_from_slice(&more));
            expected.extend_from_slice(&more);
            if outbox.take_off(0, ROOM) {
                assert!(!outbox.take_off(0, ROOM), "one flight at a time");
                let flying = outbox.flying().to_vec();
                assert!(flying.len() <= FLIGHT_BYTES_MAX);
                let sent = random.usize(..=flying.len());
                given.extend_from_slice(&flying[..sent]);
                outbox.landed(sent);
            }
            assert_eq!(outbox.bytes(), expected.len() - given.len());
        }
        assert!(expected.starts_with(&given));
    }

    #[test]
    fn after_the_queue_is_discarded_the_stream_is_still_whole_frames() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..200 {
            let first = frames(&mut random, 1_000);
            let cut = random.usize(..first.len());
            let mut wire = first[..cut].to_vec();
            let mut outbox = Outbox::with_rest(&first[cut..]);
            for _ in 0..random.usize(..4) {
                let more = frames(&mut random, 300_000);
                outbox.push_with(|queue| queue.extend_from_slice(&more));
                if outbox.take_off(0, ROOM) {
                    let sent = random.usize(..=outbox.flying().len());
                    wire.extend_from_slice(&outbox.flying()[..sent]);
                    outbox.landed(sent);
                }
            }
            outbox.discard_queue();
            outbox.push_with(|queue| encode::close(queue, 1013, ""));
            while outbox.take_off(0, ROOM) {
                wire.extend_from_slice(outbox.flying());
                outbox.landed(outbox.flying().len());
            }
            let mut at = 0;
            let mut last = 0;
            while at < wire.len() {
                last = at;
                at += frame_bytes(&wire[at..]).expect("whole headers");
            }
            assert_eq!((at, wire[last]), (wire.len(), 0x88), "ends with the close frame");
        }
    }

    /// An outbox whose flight is stuck, and what it is offered.
    struct Stuck {
        outbox: Outbox,
        metrics: Metrics,
        room: Room,
    }

    impl Stuck {
        fn new() -> Self {
            let mut outbox = Outbox::with_rest(&frame("flying"));
            assert!(outbox.take_off(0, ROOM));
            // Each frame here has up to 12 bytes: four of them.
            Self { outbox, metrics: Metrics::default(), room: Room { droppable_bytes_max: 48, bytes_max: 200 } }
        }

        fn offer(&mut self, policy: SlowConsumer, key: u64, text: &str) {
            self.outbox.offer(frame(text).into(), Terms { policy, key }, self.room, &mut self.metrics);
            assert!(self.outbox.bytes() <= self.room.bytes_max);
        }

        fn say(&mut self, text: &str) {
            self.outbox.push_with(|queue| queue.extend_from_slice(&frame(text)));
        }

        /// Everything that comes after what was in the air, and the four counts of what was dropped.
        fn rest(mut self) -> (Vec<String>, [u64; 4]) {
            let mut wire = Vec::new();
            self.outbox.landed(self.outbox.flying().len());
            while self.outbox.take_off(0, self.room) {
                wire.extend_from_slice(self.outbox.flying());
                self.outbox.landed(self.outbox.flying().len());
            }
            let mut heard = Vec::new();
            let mut rest = &wire[..];
            while let Some(length) = frame_bytes(rest) {
                heard.push(String::from_utf8_lossy(&rest[2..length]).into_owned());
                rest = &rest[length..];
            }
            assert!(rest.is_empty(), "whole frames");
            let metrics = self.metrics;
            let dropped = [
                metrics.deliveries_dropped_newest,
                metrics.deliveries_dropped_oldest,
                metrics.deliveries_conflated,
                metrics.deliveries_squeezed_out,
            ];
            (heard, dropped)
        }
    }

    fn frame(text: &str) -> Vec<u8> {
        let mut frame = Vec::new();
        encode::frame(&mut frame, Opcode::Text, text.as_bytes());
        frame
    }

    #[test]
    fn the_newest_are_dropped_until_there_is_room_again() {
        let mut stuck = Stuck::new();
        for number in 1..=6 {
            stuck.offer(SlowConsumer::DropNewest, 0, &format!("ten bytes{number}"));
        }
        stuck.say("answer");
        assert_eq!(
            stuck.rest(),
            (
                vec![
                    "ten bytes1".into(),
                    "ten bytes2".into(),
                    "ten bytes3".into(),
                    "ten bytes4".into(),
                    "answer".into()
                ],
                [2, 0, 0, 0]
            )
        );
    }

    #[test]
    fn the_oldest_are_dropped_and_what_was_said_stays_where_it_was() {
        let mut stuck = Stuck::new();
        for number in 1..=6 {
            stuck.offer(SlowConsumer::DropOldest, 0, &format!("ten bytes{number}"));
            if number == 4 {
                stuck.say("answer");
            }
        }
        assert_eq!(
            stuck.rest(),
            (
                vec![
                    "ten bytes3".into(),
                    "ten bytes4".into(),
                    "answer".into(),
                    "ten bytes5".into(),
                    "ten bytes6".into()
                ],
                [0, 2, 0, 0]
            )
        );
    }

    #[test]
    fn the_latest_of_each_channel_waits_where_the_first_did() {
        let mut stuck = Stuck::new();
        for number in 1..=9 {
            stuck.offer(SlowConsumer::Conflate, 1, &format!("a{number}"));
            stuck.offer(SlowConsumer::Conflate, 2, &format!("b{number}"));
        }
        stuck.say("answer");
        stuck.offer(SlowConsumer::Conflate, 1, "a10");
        assert_eq!(stuck.rest(), (vec!["b9".into(), "answer".into(), "a10".into()], [0, 0, 17, 0]));
    }

    #[test]
    fn what_has_begun_to_leave_is_neither_dropped_nor_replaced() {
        let mut outbox = Outbox::with_rest(&frame("rest"));
        let mut metrics = Metrics::default();
        let mut offer = |outbox: &mut Outbox, text: &str| {
            let terms = Terms { policy: SlowConsumer::Conflate, key: 1 };
            outbox.offer(frame(text).into(), terms, ROOM, &mut metrics);
        };
        offer(&mut outbox, "old");
        assert!(outbox.take_off(0, ROOM), "both leave");
        offer(&mut outbox, "new");
        offer(&mut outbox, "newer");
        let both = [frame("rest"), frame("old")].concat();
        assert_eq!(outbox.flying(), both);
        outbox.landed(both.len() - 1);
        assert!(outbox.take_off(0, ROOM));
        assert_eq!(outbox.flying(), [&both[both.len() - 1..], &frame("newer")].concat());
    }

    #[test]
    fn answers_have_room_before_what_may_be_dropped() {
        let mut stuck = Stuck::new();
        stuck.offer(SlowConsumer::DropNewest, 0, "one");
        stuck.offer(SlowConsumer::DropOldest, 0, "two");
        stuck.offer(SlowConsumer::Conflate, 7, "three");
        stuck.say(&"x".repeat(125));
        stuck.say(&"y".repeat(55));
        assert!(stuck.outbox.bytes() > 200);
        stuck.outbox.shrink_to(200, &mut stuck.metrics);
        let (heard, dropped) = stuck.rest();
        assert_eq!((&heard[0][..], heard.len(), dropped), ("one", 3, [0, 1, 0, 1]), "{heard:?}");
    }

    #[test]
    fn one_that_is_longer_than_all_may_be_waits_alone_and_nothing_waits_beyond_everything() {
        let mut stuck = Stuck::new();
        stuck.offer(SlowConsumer::DropOldest, 0, "short");
        stuck.offer(SlowConsumer::DropOldest, 0, &"x".repeat(100));
        stuck.say(&"y".repeat(80));
        stuck.offer(SlowConsumer::DropOldest, 0, "no room");
        let (heard, dropped) = stuck.rest();
        assert_eq!((heard.len(), dropped), (2, [0, 2, 0, 0]), "{heard:?}");
    }

    #[test]
    fn a_mailbox_gives_frames_and_whole_publications_in_order() {
        let (mut outbox, mut metrics) = (Outbox::mailbox(), Metrics::default());
        let terms = Terms { policy: SlowConsumer::Conflate, key: 1 };
        outbox.push_with(|queue| queue.extend_from_slice(&[frame("a"), frame("b")].concat()));
        outbox.offer([frame("c1"), frame("c2")].concat().into(), terms, ROOM, &mut metrics);
        let take = |outbox: &mut Outbox| -> Vec<String> {
            outbox.take_mail(3).into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect()
        };
        assert_eq!(take(&mut outbox), ["a", "b", "c1"]);
        // The other half has begun to leave: it is not replaced.
        outbox.offer([frame("d1"), frame("d2")].concat().into(), terms, ROOM, &mut metrics);
        outbox.offer([frame("e1"), frame("e2")].concat().into(), terms, ROOM, &mut metrics);
        assert_eq!(take(&mut outbox), ["c2", "e1", "e2"]);
        assert!(outbox.is_empty() && metrics.deliveries_conflated == 1);
    }
}
