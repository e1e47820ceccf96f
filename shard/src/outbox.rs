//! What the kernel would not take yet: one connection's queue of bytes. It exists only while there is a backlog.

/// Bytes handed to the kernel at once. Progress is seen per piece, so this over `send_timeout` is the slowest reader
/// that is tolerated: 256 KiB in 30 s is 9 kB/s.
const FLIGHT_BYTES_MAX: usize = 256 << 10;

/// The stream's next bytes: first the flight, which always ends where a frame ends, then the queue, which is whole frames.
/// So the queue can be dropped at any time and the peer still reads frames.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    flying: Vec<u8>,
    in_flight: bool,
    /// When the flight began, in stamps; meaningful while one is in the air.
    since: u32,
    queue: Vec<u8>,
    /// Start of what is still queued in `queue`.
    taken: usize,
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

    /// Takes all frames out of a mailbox.
    pub(crate) fn take_all(&mut self) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.queue);
        all.drain(..std::mem::take(&mut self.taken));
        all
    }

    /// Takes so many frames out of a mailbox: their opcodes and payloads.
    pub(crate) fn take_mail(&mut self, frames_max: usize) -> Vec<(u8, Vec<u8>)> {
        let mut mail = Vec::new();
        while mail.len() < frames_max
            && let Some(length) = frame_bytes(&self.queue[self.taken..])
        {
            let frame = &self.queue[self.taken..self.taken + length];
            let header = match frame[1] & 0x7f {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            mail.push((frame[0] & 0x0f, frame[header..].to_vec()));
            self.taken += length;
        }
        self.compact();
        mail
    }

    pub(crate) fn bytes(&self) -> usize {
        self.queue.len() - self.taken + self.flying.len()
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

    /// Lets `write` append whole frames to the queue.
    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.queue);
    }

    /// Takes the next piece into the air; its bytes stay where they are until [`Self::landed`].
    pub(crate) fn take_off(&mut self, now: u32) -> bool {
        if self.in_flight || self.is_empty() {
            return false;
        }
        if self.flying.is_empty() {
            let queued = &self.queue[self.taken..];
            let bytes = whole_frames(queued, FLIGHT_BYTES_MAX);
            if bytes == self.queue.len() {
                std::mem::swap(&mut self.flying, &mut self.queue);
            } else {
                self.flying.extend_from_slice(&queued[..bytes]);
                self.taken += bytes;
                self.compact();
            }
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
    }

    /// Forgets everything that is not in the air.
    pub(crate) fn discard(&mut self) {
        self.discard_queue();
        if !self.in_flight {
            self.flying = Vec::new();
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

/// The length of the frames at the front of `bytes`: at least one, further ones while `bytes_max` is not exceeded.
/// Bytes that are no frames (an HTTP answer) count as one to the end.
fn whole_frames(bytes: &[u8], bytes_max: usize) -> usize {
    let mut end = 0;
    while let Some(frame) = frame_bytes(&bytes[end..]) {
        let next = end.saturating_add(frame);
        if next > bytes.len() {
            return bytes.len();
        }
        if next > bytes_max && end > 0 {
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
            if outbox.take_off(0) {
                assert!(!outbox.take_off(0), "one flight at a time");
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
                if outbox.take_off(0) {
                    let sent = random.usize(..=outbox.flying().len());
                    wire.extend_from_slice(&outbox.flying()[..sent]);
                    outbox.landed(sent);
                }
            }
            outbox.discard_queue();
            outbox.push_with(|queue| encode::close(queue, 1013, ""));
            while outbox.take_off(0) {
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
}
