//! What a decoder holds of a frame or message that is not whole yet. Grows with the bytes received, never by a length
//! that a header declares, and is freed when the message is whole.

use super::error::WebSocketError;
use super::header::{HEADER_BYTES_MAX, Header, Opcode, Role};
use super::mask::{rotate, unmask};

/// The first piece of a message gets this much room (or its whole length, if that is less), so that a message in tiny
/// pieces does not begin with a row of tiny allocations.
const FIRST_BYTES: usize = 256;

/// An incomplete header, frame or message. Control frames have room of their own: they may come inside a message.
#[derive(Default)]
pub(super) struct Partial {
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    frame: Option<Frame>,
    /// Text or binary, compressed or not, while a message is unfinished.
    message: Option<Opcode>,
    payload: Vec<u8>,
    /// How much of a text message is known to be UTF-8.
    checked_bytes: usize,
    fragments: u32,
    control: Vec<u8>,
}

/// The frame whose payload is arriving.
struct Frame {
    opcode: Opcode,
    is_final: bool,
    key: [u8; 4],
    received: usize,
    remaining: usize,
}

/// What has come of a message.
#[derive(Clone, Copy)]
pub(super) struct Unfinished {
    /// Its kind.
    pub(super) opcode: Opcode,
    /// Its length so far.
    pub(super) bytes: usize,
    /// Its frames so far.
    pub(super) fragments: u32,
}

/// The kind and the payload of a message or control frame that is whole.
pub(super) type Finished = (Opcode, Vec<u8>);

impl Partial {
    /// Adds input to the incomplete header. Returns the header once it is whole, and how much input it took.
    pub(super) fn take_header(
        &mut self,
        input: &[u8],
        role: Role,
        may_compress: bool,
    ) -> Result<(Option<Header>, usize), WebSocketError> {
        let held = self.header_bytes;
        let taken = input.len().min(HEADER_BYTES_MAX - held);
        self.header[held..held + taken].copy_from_slice(&input[..taken]);
        let header = Header::parse(&self.header[..held + taken], role, may_compress)?;
        match header {
            Some(header) => {
                self.header_bytes = 0;
                Ok((Some(header), header.bytes - held))
            }
            None => {
                self.header_bytes = held + taken;
                Ok((None, taken))
            }
        }
    }

    /// Begins the payload of a frame that fits what came before it.
    pub(super) fn begin(&mut self, header: &Header) {
        if !header.opcode.is_control() {
            self.fragments += 1;
            if header.opcode != Opcode::Continuation {
                self.message = Some(header.opcode);
            }
        }
        let remaining = usize::try_from(header.payload_bytes).expect("a length within the limit fits memory");
        self.frame =
            Some(Frame { opcode: header.opcode, is_final: header.is_final, key: header.key, received: 0, remaining });
    }

    /// Takes from `input` what belongs to the frame that was begun, unmasking it. Returns how much that was, and what
    /// the frame finished, if it is whole and did.
    pub(super) fn take_payload(&mut self, input: &mut [u8]) -> Result<(usize, Option<Finished>), WebSocketError> {
        let frame = self.frame.as_mut().expect("a frame was begun");
        let taken = frame.remaining.min(input.len());
        let piece = &mut input[..taken];
        unmask(piece, rotate(frame.key, frame.received));
        let buffer = if frame.opcode.is_control() { &mut self.control } else { &mut self.payload };
        append(buffer, piece, frame.remaining);
        frame.received += taken;
        frame.remaining -= taken;
        let (opcode, is_whole, is_final) = (frame.opcode, frame.remaining == 0, frame.is_final);
        if is_whole {
            self.frame = None;
        }
        if opcode.is_control() {
            let finished = is_whole.then(|| (opcode, std::mem::take(&mut self.control)));
            return Ok((taken, finished));
        }
        if is_whole && is_final {
            let message = self.message.take().expect("a data frame belongs to a message");
            return Ok((taken, Some((message, std::mem::take(&mut self.payload)))));
        }
        self.check_text()?;
        Ok((taken, None))
    }

    /// Whether a frame was begun and is not whole.
    pub(super) const fn is_in_frame(&self) -> bool {
        self.frame.is_some()
    }

    /// The message that is unfinished.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        self.message.map(|opcode| Unfinished { opcode, bytes: self.payload.len(), fragments: self.fragments })
    }

    /// Whether nothing is incomplete any more.
    pub(super) const fn is_empty(&self) -> bool {
        self.header_bytes == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// The memory held.
    pub(super) const fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.payload.capacity() + self.control.capacity()
    }

    /// Fails as soon as the text that is there cannot be the beginning of UTF-8. Looks at every byte once, but for
    /// the up to three of a character that is incomplete.
    fn check_text(&mut self) -> Result<(), WebSocketError> {
        if self.message != Some(Opcode::Text) {
            return Ok(());
        }
        match simdutf8::compat::from_utf8(&self.payload[self.checked_bytes..]) {
            Ok(text) => self.checked_bytes += text.len(),
            Err(error) if error.error_len().is_none() => self.checked_bytes += error.valid_up_to(),
            Err(_) => return Err(WebSocketError::InvalidUtf8),
        }
        Ok(())
    }
}

/// Appends a piece of a frame of which `remaining` bytes, the piece included, are still to come. Room doubles, so that
/// it never exceeds twice what was received (or `FIRST_BYTES`), and stops at what the frame can bring.
fn append(buffer: &mut Vec<u8>, piece: &[u8], remaining: usize) {
    let needed = buffer.len() + piece.len();
    if needed > buffer.capacity() {
        let roomy = needed.max(buffer.capacity() * 2).max(FIRST_BYTES);
        let bound = buffer.len() + remaining;
        buffer.reserve_exact(roomy.min(bound) - buffer.len());
    }
    buffer.extend_from_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_checked_once_however_it_dribbles() {
        let text = "a\u{e9}\u{20ac}\u{1f600}".repeat(10);
        let mut partial = Partial::default();
        let header =
            Header { is_final: false, opcode: Opcode::Text, payload_bytes: text.len() as u64, key: [0; 4], bytes: 6 };
        partial.begin(&header);
        for received in 1..=text.len() {
            let mut byte = [text.as_bytes()[received - 1]];
            partial.take_payload(&mut byte).expect("good text");
            // Only the beginning of a character that is not whole yet is left to be checked again.
            assert_eq!(partial.checked_bytes, text.floor_char_boundary(received), "{received}");
        }
    }

    #[test]
    fn room_is_never_more_than_twice_what_came_nor_more_than_will_come() {
        let mut buffer = Vec::new();
        for received in 0..10_000 {
            append(&mut buffer, b"x", 10_000 - received);
            assert!(buffer.capacity() <= (2 * buffer.len()).max(FIRST_BYTES));
        }
        assert_eq!(buffer.capacity(), 10_000);
        let mut small = Vec::new();
        append(&mut small, b"x", 7);
        assert_eq!(small.capacity(), 7);
    }
}
