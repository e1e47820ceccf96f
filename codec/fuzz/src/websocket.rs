//! What must hold for any bytes that a WebSocket peer sends, in either role: the pieces they arrive in change nothing,
//! memory stays in proportion to what was received, and what was decoded survives being encoded and decoded again.

use crate::chop::Chop;
use codec::websocket::{Decoder, Limits, Message, Opcode, Role, WebSocketError, encode};

/// Small, so that a fuzzer reaches them.
const LIMITS: Limits = Limits { message_bytes_max: 600, fragments_max: 6 };

/// A message that outlives its input.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Message::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Message::Close(close) => Self::Close(close.map(|(code, reason)| (code, reason.to_owned()))),
        }
    }
}

type Outcome = Vec<Result<Owned, WebSocketError>>;

/// Checks everything for one input.
pub fn check(role: Role, input: &[u8]) {
    let Some((mut chop, stream)) = Chop::split(input) else {
        return;
    };
    let mut whole = Decoder::new(role);
    let expected = decode_whole(&mut whole, stream);
    let mut pieces = Decoder::new(role);
    let seen = decode_pieces(&mut pieces, stream, &mut chop);
    assert_eq!(expected, seen, "the pieces changed what was decoded");
    assert_eq!(whole.is_idle(), pieces.is_idle(), "the pieces changed whether something is left");
    check_ending(&expected);
    check_round_trip(role, &expected);
}

fn decode_whole(decoder: &mut Decoder, stream: &[u8]) -> Outcome {
    let mut input = stream.to_vec();
    let mut messages = decoder.decode(&mut input, &LIMITS);
    let mut outcome = Vec::new();
    while let Some(message) = messages.next() {
        outcome.push(message.map(Owned::from));
    }
    assert!(messages.rest().is_empty(), "input was left over");
    outcome
}

/// Decodes in pieces, now and then stopping early and passing the rest again.
fn decode_pieces(decoder: &mut Decoder, stream: &[u8], chop: &mut Chop) -> Outcome {
    let mut outcome = Vec::new();
    let mut at = 0;
    let mut kept = Vec::new();
    while at < stream.len() || !kept.is_empty() {
        let mut input = std::mem::take(&mut kept);
        if at < stream.len() {
            let length = chop.piece(stream.len() - at);
            input.extend_from_slice(&stream[at..at + length]);
            at += length;
        }
        let stops_early = chop.below(3) == 0;
        let mut messages = decoder.decode(&mut input, &LIMITS);
        while let Some(message) = messages.next() {
            outcome.push(message.map(Owned::from));
            if stops_early {
                break;
            }
        }
        kept = messages.rest().to_vec();
        assert!(decoder.partial_bytes() <= 2 * at + 1024, "memory beyond what was received");
    }
    outcome
}

/// An error or a close frame ends everything.
fn check_ending(outcome: &Outcome) {
    for item in outcome.iter().rev().skip(1) {
        assert!(!matches!(item, Err(_) | Ok(Owned::Close(_))), "something was decoded after the end");
    }
    if let Some(Err(error)) = outcome.last() {
        assert!(matches!(error.close_code(), 1002 | 1007 | 1008 | 1009));
    }
}

/// Encodes what was decoded and decodes that.
fn check_round_trip(role: Role, outcome: &Outcome) {
    let mut stream = Vec::new();
    let sent: Outcome = outcome.iter().filter(|item| item.is_ok()).cloned().collect();
    for message in sent.iter().flatten() {
        match message {
            Owned::Text(text) => frame(role, &mut stream, Opcode::Text, text.as_bytes()),
            Owned::Binary(bytes) => frame(role, &mut stream, Opcode::Binary, bytes),
            Owned::Ping(bytes) => frame(role, &mut stream, Opcode::Ping, bytes),
            Owned::Pong(bytes) => frame(role, &mut stream, Opcode::Pong, bytes),
            Owned::Close(close) => {
                let (code, reason) = close.as_ref().map_or((1005, ""), |(code, reason)| (*code, reason.as_str()));
                match role {
                    Role::Server => encode::masked_close(&mut stream, [9, 8, 7, 6], code, reason),
                    Role::Client => encode::close(&mut stream, code, reason),
                }
            }
        }
    }
    assert_eq!(sent, decode_whole(&mut Decoder::new(role), &stream), "a message did not survive the round trip");
}

/// Encodes as the peer of that role does, with a length hint that is often wrong.
fn frame(role: Role, out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let hint = payload.first().map_or(0, |byte| usize::from(*byte) * 2);
    let write = |out: &mut Vec<u8>| out.extend_from_slice(payload);
    match role {
        Role::Server => encode::masked_frame_with(out, opcode, [1, 2, 3, 4], hint, write),
        Role::Client => encode::frame_with(out, opcode, hint, write),
    }
}
