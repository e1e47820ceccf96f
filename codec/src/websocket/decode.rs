//! Bytes to messages. A frame that lies whole in the input is unmasked, checked and yielded where it lies: no copy, no
//! allocation. Only what is incomplete when the input ends is kept, boxed, until it is whole; an idle decoder is 16
//! bytes.

use super::close;
use super::error::WebSocketError;
use super::header::{Header, Opcode, Role};
use super::inflate::Inflation;
use super::mask::{unmask, unmask_ascii};
use super::partial::{Partial, Unfinished};
use std::ops::Range;

/// Bounds on what a peer may make a decoder hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, over all its frames.
    pub message_bytes_max: usize,
    /// The most frames of one message.
    pub fragments_max: u32,
}

impl Default for Limits {
    /// 128 KiB: a chat message is under 1, a 100 KB payload in its envelope fits. 1,024 frames: such a message in
    /// pieces of 128 bytes, which is smaller than any sender cuts.
    fn default() -> Self {
        Self { message_bytes_max: 128 * 1024, fragments_max: 1024 }
    }
}

/// One whole message or control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// A question whether we are there: to be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping, or unasked.
    Pong(&'a [u8]),
    /// The end of the conversation, perhaps with a code and a reason: to be answered by a close frame.
    Close(Option<(u16, &'a str)>),
}

/// The decoding state of one connection.
pub struct Decoder {
    partial: Option<Box<Partial>>,
    role: Role,
    /// A close frame was read, or an error reported: whatever follows is dropped.
    has_ended: bool,
}

const _: () = assert!(size_of::<Decoder>() <= 16, "every idle connection holds one");

impl Decoder {
    /// A decoder for our side of a fresh connection.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self { partial: None, role, has_ended: false }
    }

    /// Whether no frame or message is incomplete.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// The memory held for an incomplete frame or message.
    #[must_use]
    pub fn partial_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.memory_bytes())
    }

    /// Drops what is held and whatever may follow.
    fn end(&mut self) {
        self.partial = None;
        self.has_ended = true;
    }

    /// Frees the room for incomplete things when there are none left.
    fn release_empty(&mut self) {
        if self.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.partial = None;
        }
    }

    /// Decodes what was received. The messages lie in `input`, which is overwritten.
    #[inline]
    pub fn decode<'a>(&'a mut self, input: &'a mut [u8], limits: &Limits) -> Messages<'a> {
        Messages { decoder: self, input, at: 0, limits: *limits, finished: Vec::new(), inflation: None }
    }

    /// As `decode`, on a connection where permessage-deflate was agreed: compressed messages are lent as what they were.
    pub fn decode_compressed<'a>(
        &'a mut self,
        input: &'a mut [u8],
        limits: &Limits,
        inflation: Inflation<'a>,
    ) -> Messages<'a> {
        Messages { inflation: Some(inflation), ..self.decode(input, limits) }
    }
}

/// The messages in one piece of input, lent one after the other. When `next` has returned none, all input is consumed:
/// what was incomplete is kept in the decoder.
pub struct Messages<'a> {
    decoder: &'a mut Decoder,
    input: &'a mut [u8],
    at: usize,
    limits: Limits,
    /// The payload of the message lent last, if it came in several pieces.
    finished: Vec<u8>,
    /// What inflates compressed messages, where there may be any.
    inflation: Option<Inflation<'a>>,
}

/// Where the next message was found.
enum Step {
    /// Not yet anywhere.
    Nothing,
    /// In the input.
    InPlace(Opcode, Range<usize>),
    /// In `finished`.
    Held(Opcode),
}

impl Messages<'_> {
    /// The next message. After an error, and after a close frame, there is none.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "lends what it holds, which the trait cannot")]
    pub fn next(&mut self) -> Option<Result<Message<'_>, WebSocketError>> {
        if self.decoder.has_ended {
            return None;
        }
        if let Some((header, range)) = self.step_usual() {
            let payload = &mut self.input[range];
            if header.opcode == Opcode::Binary {
                unmask(payload, header.key);
                return Some(Ok(Message::Binary(payload)));
            }
            let message = match unmask_ascii(payload, header.key) {
                Ok(text) => Ok(Message::Text(text)),
                Err(payload) => read_text(payload),
            };
            self.decoder.has_ended = message.is_err();
            return Some(message);
        }
        let (opcode, payload) = match self.step() {
            Ok(Step::Nothing) => return None,
            Ok(Step::InPlace(opcode, range)) => (opcode, &self.input[range]),
            Ok(Step::Held(opcode)) => (opcode, &self.finished[..]),
            Err(error) => {
                self.decoder.end();
                return Some(Err(error));
            }
        };
        let message = read(opcode, payload, &mut self.inflation, &self.limits);
        if matches!(message, Err(_) | Ok(Message::Close(_))) {
            self.decoder.end();
        }
        Some(message)
    }

    /// The input that was not looked at yet. A caller that stops early keeps it and passes it again later, before any
    /// other input. After an error or a close frame there is none.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        if self.decoder.has_ended { &[] } else { &self.input[self.at..] }
    }

    /// Finds the next message if it is as nearly all are: text or binary, from a client, in one frame that lies whole in
    /// the input, with nothing incomplete before it. It is still masked. None consumes nothing.
    #[inline]
    fn step_usual(&mut self) -> Option<(Header, Range<usize>)> {
        if self.decoder.partial.is_some() || self.decoder.role != Role::Server {
            return None;
        }
        let rest = &self.input[self.at..];
        let header = Header::parse_usual(rest)?;
        if header.payload_bytes > self.limits.message_bytes_max as u64 {
            return None;
        }
        let length = usize::try_from(header.payload_bytes).ok()?;
        rest[header.bytes..].get(..length)?;
        let start = self.at + header.bytes;
        self.at = start + length;
        Some((header, start..self.at))
    }

    /// Finds the next message, consuming input up to its end.
    fn step(&mut self) -> Result<Step, WebSocketError> {
        if self.decoder.partial.is_some() {
            return self.step_held();
        }
        let rest = &mut self.input[self.at..];
        let Some(header) = Header::parse(rest, self.decoder.role, self.inflation.is_some())? else {
            return if rest.is_empty() { Ok(Step::Nothing) } else { self.step_held() };
        };
        check(&header, None, &self.limits)?;
        match in_place(&header, &mut rest[header.bytes..]) {
            Some(length) => Ok(self.lend(header.opcode, header.bytes, length)),
            None => self.step_held(),
        }
    }

    /// As `step`, where something is incomplete.
    #[cold]
    fn step_held(&mut self) -> Result<Step, WebSocketError> {
        loop {
            let partial = self.decoder.partial.get_or_insert_default();
            if !partial.is_in_frame() {
                let rest = &mut self.input[self.at..];
                let (header, taken) = partial.take_header(rest, self.decoder.role, self.inflation.is_some())?;
                let Some(header) = header else {
                    self.at += taken;
                    return Ok(Step::Nothing);
                };
                check(&header, partial.unfinished(), &self.limits)?;
                if let Some(length) = in_place(&header, &mut rest[taken..]) {
                    self.decoder.release_empty();
                    return Ok(self.lend(header.opcode, taken, length));
                }
                self.at += taken;
                partial.begin(&header);
            }
            let (taken, finished) = partial.take_payload(&mut self.input[self.at..])?;
            self.at += taken;
            if let Some((opcode, payload)) = finished {
                self.finished = payload;
                self.decoder.release_empty();
                return Ok(Step::Held(opcode));
            }
            if partial.is_in_frame() {
                return Ok(Step::Nothing);
            }
        }
    }

    /// Consumes a header and the payload behind it, and says where that is.
    #[inline]
    fn lend(&mut self, opcode: Opcode, header_bytes: usize, payload_bytes: usize) -> Step {
        let start = self.at + header_bytes;
        self.at = start + payload_bytes;
        Step::InPlace(opcode, start..self.at)
    }
}

/// Judges a header by what came before it: the length and the number of frames of an unfinished message.
#[inline]
fn check(header: &Header, unfinished: Option<Unfinished>, limits: &Limits) -> Result<(), WebSocketError> {
    if header.opcode.is_control() {
        return Ok(());
    }
    let (opcode, bytes, fragments) = match (header.opcode, unfinished) {
        (Opcode::Continuation, None) => return Err(WebSocketError::UnexpectedContinuation),
        (Opcode::Continuation, Some(unfinished)) => (unfinished.opcode, unfinished.bytes, unfinished.fragments),
        (_, Some(_)) => return Err(WebSocketError::UnfinishedMessage),
        (opcode, None) => (opcode, 0, 0),
    };
    // The header's length is below 2^63 and a message's in memory too: their sum cannot overflow.
    let bytes = bytes as u64 + header.payload_bytes;
    if bytes > limits.message_bytes_max as u64 && !(opcode.is_compressed() && bytes <= compressed_bytes_max(limits)) {
        return Err(WebSocketError::MessageTooLarge);
    }
    if fragments > 0 && fragments >= limits.fragments_max {
        return Err(WebSocketError::TooManyFragments);
    }
    Ok(())
}

/// What a compressed message may be long: what does not shrink grows, by a bit for each byte and some bytes for each block
/// at worst. What it inflates to is bounded by itself.
const fn compressed_bytes_max(limits: &Limits) -> u64 {
    let bytes = limits.message_bytes_max as u64;
    bytes + bytes / 8 + 64
}

/// Unmasks a frame that is a whole message and lies whole at the beginning of `rest`, and returns its length.
#[inline]
fn in_place(header: &Header, rest: &mut [u8]) -> Option<usize> {
    if !header.is_final || header.opcode == Opcode::Continuation || header.payload_bytes > rest.len() as u64 {
        return None;
    }
    let length = usize::try_from(header.payload_bytes).ok()?;
    unmask(&mut rest[..length], header.key);
    Some(length)
}

/// Reads a text message of which nothing is known.
#[inline]
fn read_text(payload: &[u8]) -> Result<Message<'_>, WebSocketError> {
    simdutf8::basic::from_utf8(payload).map(Message::Text).map_err(|_| WebSocketError::InvalidUtf8)
}

/// Reads a whole message's payload.
fn read<'a>(
    opcode: Opcode,
    payload: &'a [u8],
    inflation: &'a mut Option<Inflation<'_>>,
    limits: &Limits,
) -> Result<Message<'a>, WebSocketError> {
    match opcode {
        Opcode::Text => read_text(payload),
        Opcode::Binary | Opcode::Continuation => Ok(Message::Binary(payload)),
        Opcode::Ping => Ok(Message::Ping(payload)),
        Opcode::Pong => Ok(Message::Pong(payload)),
        Opcode::Close => close::parse(payload).map(Message::Close),
        Opcode::CompressedText | Opcode::CompressedBinary => inflated(opcode, payload, inflation, limits),
    }
}

/// Reads a whole compressed message's payload.
#[cold]
fn inflated<'a>(
    opcode: Opcode,
    payload: &[u8],
    inflation: &'a mut Option<Inflation<'_>>,
    limits: &Limits,
) -> Result<Message<'a>, WebSocketError> {
    let inflation = inflation.as_mut().expect("the header was refused otherwise");
    inflation.inflater.inflate(payload, limits.message_bytes_max, inflation.out)?;
    if opcode == Opcode::CompressedText { read_text(inflation.out) } else { Ok(Message::Binary(inflation.out)) }
}

#[cfg(test)]
mod tests;
