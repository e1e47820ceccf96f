//! Bodies of requests, as they arrive: a length's worth of bytes, or chunks (RFC 9112 section 7.1). Strict where parsers
//! could disagree about where a body ends: no bare line feeds, no space around a chunk's size, no size that needs
//! guessing. Extensions and trailers are read past and never believed. It never buffers: what is content is appended to
//! the caller's buffer, what frames it is forgotten.

use super::error::HttpError;
use super::request::Body;

/// Bytes that one body's chunk extensions and trailers may have together. 4 KiB: nobody needs any, and a signature or a
/// checksum in a trailer takes some hundred.
const ALLOWANCE_BYTES: usize = 4 << 10;

/// Digits of a chunk's size. 15 of them cannot overflow; leading zeros beyond that are somebody probing.
const SIZE_DIGITS_MAX: u8 = 15;

/// Reads one body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoder {
    state: State,
    /// Bytes of content that are still to come of the length or the chunk at hand.
    rest: u64,
    /// Bytes of content that the body may still have.
    room: u64,
    /// Bytes of extensions and trailers that it may still have.
    allowance: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Content of a body of known length.
    Length,
    /// The digits of a chunk's size, so many so far.
    Size(u8),
    /// A chunk's extension: what stands between the size and the end of its line.
    Extension,
    /// The line feed after a chunk's size.
    SizeEnd,
    /// A chunk's content.
    Chunk,
    /// The carriage return after a chunk's content.
    ChunkReturn,
    /// The line feed after that.
    ChunkEnd,
    /// The beginning of a line after the last chunk: a trailer, or the end.
    Line,
    /// Inside a trailer.
    Trailer,
    /// The line feed after a trailer.
    TrailerEnd,
    /// The last line feed of all.
    End,
    Done,
}

impl Decoder {
    /// A decoder for the body of a request, which may have so many bytes.
    ///
    /// # Errors
    /// [`HttpError::BodyTooLong`] when its announced length is longer.
    pub const fn new(body: Body, bytes_max: usize) -> Result<Self, HttpError> {
        let (state, rest, room) = match body {
            Body::None => (State::Done, 0, 0),
            Body::Chunked => (State::Size(0), 0, bytes_max as u64),
            Body::Length(bytes) if bytes > bytes_max as u64 => return Err(HttpError::BodyTooLong),
            Body::Length(bytes) => (State::Length, bytes, bytes),
        };
        Ok(Self { state, rest, room, allowance: ALLOWANCE_BYTES })
    }

    /// Whether the body is whole: what follows is the next request.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads on: appends the content in `bytes` to `content` and returns how many bytes belonged to the body.
    ///
    /// # Errors
    /// What is wrong with it; the connection must be answered with that status and closed.
    pub fn decode(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<usize, HttpError> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            if matches!(self.state, State::Length | State::Chunk) {
                let rest = usize::try_from(self.rest).unwrap_or(usize::MAX);
                let piece = &bytes[at..][..rest.min(bytes.len() - at)];
                content.extend_from_slice(piece);
                at += piece.len();
                self.take(piece.len() as u64);
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn take(&mut self, bytes: u64) {
        self.rest -= bytes;
        self.room -= bytes;
        if self.rest == 0 {
            self.state = if self.state == State::Length { State::Done } else { State::ChunkReturn };
        }
    }

    /// One byte of what is no content.
    fn step(&mut self, byte: u8) -> Result<(), HttpError> {
        self.state = match (self.state, byte) {
            (State::Size(digits), _) => return self.size(digits, byte),
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Trailer, b'\r') => State::TrailerEnd,
            // As in a head: what is visible, blanks, UTF-8.
            (State::Extension | State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => self.spend()?,
            (State::SizeEnd, b'\n') if self.rest == 0 => State::Line,
            (State::SizeEnd, b'\n') => State::Chunk,
            (State::ChunkReturn, b'\r') => State::ChunkEnd,
            (State::ChunkEnd, b'\n') => State::Size(0),
            (State::Line, b'\r') => State::End,
            // A trailer's name begins with a letter or so; a blank would continue the line before it.
            (State::Line, b'!'..=b'~') if byte != b':' => {
                self.state = State::Trailer;
                self.spend()?
            }
            (State::TrailerEnd, b'\n') => State::Line,
            (State::End, b'\n') => State::Done,
            _ => return Err(HttpError::Chunk),
        };
        Ok(())
    }

    /// Counts a byte of an extension or a trailer; it changes nothing else.
    fn spend(&mut self) -> Result<State, HttpError> {
        self.allowance = self.allowance.checked_sub(1).ok_or(HttpError::Chunk)?;
        Ok(self.state)
    }

    fn size(&mut self, digits: u8, byte: u8) -> Result<(), HttpError> {
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.state = match byte {
                b'\r' if digits > 0 => State::SizeEnd,
                b';' if digits > 0 => State::Extension,
                _ => return Err(HttpError::Chunk),
            };
            return Ok(());
        };
        if digits == SIZE_DIGITS_MAX {
            return Err(HttpError::Chunk);
        }
        self.rest = self.rest << 4 | u64::from(digit);
        if self.rest > self.room {
            return Err(HttpError::BodyTooLong);
        }
        self.state = State::Size(digits + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes in pieces of that size: the content, what is left, or the error.
    fn decode(body: Body, bytes: &[u8], piece: usize) -> Result<(String, usize), HttpError> {
        let mut decoder = Decoder::new(body, 100)?;
        let mut content = Vec::new();
        let mut used = 0;
        for piece in bytes.chunks(piece) {
            used += decoder.decode(piece, &mut content)?;
            if decoder.is_done() {
                break;
            }
        }
        assert!(decoder.is_done(), "incomplete");
        Ok((String::from_utf8(content).expect("text"), bytes.len() - used))
    }

    fn chunked(bytes: &str) -> Result<(String, usize), HttpError> {
        let whole = decode(Body::Chunked, bytes.as_bytes(), bytes.len());
        for piece in 1..bytes.len() {
            assert_eq!(decode(Body::Chunked, bytes.as_bytes(), piece), whole, "in pieces of {piece}");
        }
        whole
    }

    /// What is refused, whatever follows.
    fn refused(bytes: &str) -> HttpError {
        let mut decoder = Decoder::new(Body::Chunked, 100).expect("its length is not known yet");
        decoder.decode(bytes.as_bytes(), &mut Vec::new()).expect_err("must be refused")
    }

    #[test]
    fn a_length_is_counted_off_and_the_next_request_is_left() {
        for piece in 1..9 {
            assert_eq!(decode(Body::Length(5), b"helloGET", piece).map(|(text, _)| text), Ok("hello".to_owned()));
        }
        assert_eq!(decode(Body::Length(5), b"helloGET", 8), Ok(("hello".to_owned(), 3)));
        assert_eq!(decode(Body::Length(100), &[b'a'; 100], 7).map(|(text, rest)| (text.len(), rest)), Ok((100, 0)));
        assert_eq!(Decoder::new(Body::Length(101), 100), Err(HttpError::BodyTooLong));
        assert!(Decoder::new(Body::None, 100).is_ok_and(|decoder| decoder.is_done()));
    }

    #[test]
    fn chunks_become_one_body_and_the_next_request_is_left() {
        assert_eq!(chunked("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"), Ok(("hello world".to_owned(), 0)));
        assert_eq!(chunked("0\r\n\r\nGET /"), Ok((String::new(), 5)));
        assert_eq!(chunked("00A\r\n0123456789\r\n000\r\n\r\n"), Ok(("0123456789".to_owned(), 0)));
        assert_eq!(chunked("2;a=b;c=\"d e\"\r\nhi\r\n0;x\r\n\r\n"), Ok(("hi".to_owned(), 0)));
        assert_eq!(chunked("2\r\n\r\n\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\nnext"), Ok(("\r\n".to_owned(), 4)));
    }

    #[test]
    fn chunks_that_two_parsers_could_read_differently_are_refused() {
        for bytes in [
            "\r\n",
            " 5\r\nhello",
            "5 \r\nhello",
            "5\nhello",
            "5\r\nhello\n",
            "5\r\nhelloX",
            "5\r\nhello\r0",
            "0x5\r\n",
            "+5\r\n",
            "-5\r\n",
            "5\rhello",
            "g\r\n",
            ";\r\n",
            "5;a\n",
            "5;a\u{0}b\r\n",
            "5;a\rb",
            "0\r\n X: 1\r\n",
            "0\r\n\n",
            "0\r\nX: 1\n",
            "0\r\nX: 1\rY",
            "0\r\n: 1\r\n",
            "0\r\nX: \u{7f}\r\n",
            "0\r\n\r5",
            "0000000000000000\r\n",
        ] {
            assert_eq!(refused(bytes), HttpError::Chunk, "{bytes:?}");
        }
        assert_eq!(refused(&format!("0;{}", "a".repeat(5_000))), HttpError::Chunk);
        assert_eq!(refused(&format!("0\r\n{}", "a: b\r\n".repeat(2_000))), HttpError::Chunk);
    }

    #[test]
    fn a_body_is_no_longer_than_it_may_be() {
        assert_eq!(refused("65\r\n"), HttpError::BodyTooLong);
        assert_eq!(refused("fffffffffffffff\r\n"), HttpError::BodyTooLong);
        assert_eq!(refused(&"1\r\na\r\n".repeat(101)), HttpError::BodyTooLong);
        let most = format!("64\r\n{}\r\n0\r\n\r\n", "a".repeat(100));
        assert_eq!(chunked(&most).map(|(text, rest)| (text.len(), rest)), Ok((100, 0)));
    }
}
