//! What must hold for any bytes that a peer sends where compression was agreed on: what is inflated stays within its
//! bound, a shared decompressor survives every message, pieces change nothing, and what we compress inflates to itself.

use crate::chop::Chop;
use codec::websocket::deflate::Deflater;
use codec::websocket::inflate::{Inflater, Inflation};
use codec::websocket::{Decoder, Limits, Message, Opcode, Role, WebSocketError, encode};

/// Small, so that a fuzzer reaches them.
const LIMITS: Limits = Limits { message_bytes_max: 5_000, fragments_max: 6 };

/// "Hello", as RFC 7692 compresses it in section 7.2.3.1.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// Checks everything for one input.
pub fn check(input: &[u8]) {
    let Some((mut chop, rest)) = Chop::split(input) else {
        return;
    };
    let takes_over = chop.below(2) == 1;
    check_payload(rest, takes_over);
    check_frames(rest, takes_over, &mut chop);
    check_round_trip(rest, takes_over, &mut chop);
}

/// The input as a compressed payload.
fn check_payload(payload: &[u8], takes_over: bool) {
    let (mut inflater, mut out) = (Inflater::new(takes_over), Vec::new());
    let outcome = inflater.inflate(payload, LIMITS.message_bytes_max, &mut out);
    assert!(out.capacity() <= LIMITS.message_bytes_max + 1, "{} bytes of room", out.capacity());
    match outcome {
        Ok(()) => assert!(out.len() <= LIMITS.message_bytes_max),
        Err(WebSocketError::MessageTooLarge) => assert!(out.len() > LIMITS.message_bytes_max),
        Err(error) => assert_eq!(error, WebSocketError::Compression),
    }
    if !takes_over {
        assert_eq!(inflater.inflate(&HELLO, 5, &mut out), Ok(()), "a message has spoiled the next one's");
        assert_eq!(out, b"Hello");
    }
}

/// The input as frames of a client.
fn check_frames(stream: &[u8], takes_over: bool, chop: &mut Chop) {
    let whole = decode(stream, takes_over, |left| left);
    let pieces = decode(stream, takes_over, |left| chop.piece(left));
    assert_eq!(whole, pieces, "the pieces changed what was decoded");
    for item in whole.iter().flatten() {
        assert!(item.1.len() <= LIMITS.message_bytes_max);
    }
}

type Outcome = Vec<Result<(u8, Vec<u8>), WebSocketError>>;

fn decode(stream: &[u8], takes_over: bool, mut piece: impl FnMut(usize) -> usize) -> Outcome {
    let (mut decoder, mut inflater, mut out) = (Decoder::new(Role::Server), Inflater::new(takes_over), Vec::new());
    let (mut outcome, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let end = at + piece(stream.len() - at);
        let mut input = stream[at..end].to_vec();
        at = end;
        let inflation = Inflation { inflater: &mut inflater, out: &mut out };
        let mut messages = decoder.decode_compressed(&mut input, &LIMITS, inflation);
        while let Some(message) = messages.next() {
            outcome.push(message.map(|message| match message {
                Message::Text(text) => (1, text.as_bytes().to_vec()),
                Message::Binary(bytes) => (2, bytes.to_vec()),
                Message::Close(_) => (8, Vec::new()),
                Message::Ping(bytes) => (9, bytes.to_vec()),
                Message::Pong(bytes) => (10, bytes.to_vec()),
            }));
        }
    }
    outcome
}

/// The input as messages of ours, in frames that are compressed.
fn check_round_trip(input: &[u8], takes_over: bool, chop: &mut Chop) {
    let window_bits = 9 + u8::try_from(chop.below(7)).expect("below 7");
    let level = 1 + u8::try_from(chop.below(9)).expect("below 9");
    let (mut deflater, mut scratch) = (Deflater::new(level, window_bits), Vec::new());
    let (mut decoder, mut inflater, mut out) = (Decoder::new(Role::Client), Inflater::new(takes_over), Vec::new());
    let mut rest = input;
    for _ in 0..3 {
        let mut frames = Vec::new();
        let mut sent = Vec::new();
        while !rest.is_empty() && sent.len() < 3 {
            let (payload, after) = rest.split_at(chop.piece(rest.len()));
            encode::frame(&mut frames, Opcode::Binary, payload);
            sent.push(payload);
            rest = after;
        }
        deflater.deflate_frames(&mut frames, 0, chop.below(50), takes_over, &mut scratch);
        let inflation = Inflation { inflater: &mut inflater, out: &mut out };
        let mut messages = decoder.decode_compressed(&mut frames, &LIMITS, inflation);
        for payload in sent {
            assert_eq!(messages.next(), Some(Ok(Message::Binary(payload))), "a message did not survive the round trip");
        }
        assert!(messages.next().is_none());
    }
}
