//! As much of Socket.IO's protocol 5 over Engine.IO 4 as a client of the main namespace speaks on a WebSocket: texts of
//! one packet each. Never keeps state, never sees binary attachments.

use crate::scenario::payload::read_decimal;

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// The engine is open: the client asks for the namespace.
    Open,
    /// The namespace is joined.
    Connected,
    /// The namespace is refused, with this JSON.
    Refused(&'a str),
    /// A heartbeat.
    Ping,
    /// An event: a JSON array whose first element is its name.
    Event(&'a str),
    /// The answer to the event of that id: a JSON array.
    Answer(u64, &'a str),
    /// Nothing that a client of ours has asked for.
    Other,
}

/// The query that asks for a WebSocket at once.
pub(crate) const PATH: &str = "/socket.io/?EIO=4&transport=websocket";
/// Asks for the main namespace.
pub(crate) const CONNECT: &str = "40";
/// The query that asks for long-polling.
pub(crate) const POLLING_PATH: &str = "/socket.io/?EIO=4&transport=polling";
/// Leaves the main namespace.
pub(crate) const DISCONNECT: &str = "41";
/// Answers a heartbeat.
pub(crate) const PONG: &str = "3";

impl<'a> Packet<'a> {
    /// Reads a text.
    pub(crate) fn read(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        match bytes {
            [b'2'] => Self::Ping,
            [b'0', ..] => Self::Open,
            [b'4', b'0', ..] => Self::Connected,
            [b'4', b'4', ..] => Self::Refused(&text[2..]),
            [b'4', b'2', b'[', ..] => Self::Event(&text[2..]),
            [b'4', b'3', rest @ ..] => match read_decimal(rest) {
                Some((id, digits)) => Self::Answer(id, &text[2 + digits..]),
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// Appends an event with these arguments, JSON; with an id it is to be answered.
pub(crate) fn write_event(out: &mut Vec<u8>, id: Option<u64>, name: &str, arguments: &[&str]) {
    out.extend_from_slice(b"42");
    if let Some(id) = id {
        write_decimal(out, id);
    }
    out.extend_from_slice(b"[\"");
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    for argument in arguments {
        out.push(b',');
        out.extend_from_slice(argument.as_bytes());
    }
    out.push(b']');
}

fn write_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut left = number;
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(left % 10).expect("a digit");
        left /= 10;
        if left == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_the_reference_are_understood() {
        for (text, packet) in [
            ("0{\"sid\":\"x\",\"upgrades\":[],\"pingInterval\":25000}", Packet::Open),
            ("40{\"sid\":\"y\"}", Packet::Connected),
            ("44{\"message\":\"no\"}", Packet::Refused("{\"message\":\"no\"}")),
            ("2", Packet::Ping),
            ("42[\"message\",\"a\"]", Packet::Event("[\"message\",\"a\"]")),
            ("4312[\"a\"]", Packet::Answer(12, "[\"a\"]")),
            ("43", Packet::Other),
            ("", Packet::Other),
            ("6", Packet::Other),
        ] {
            assert_eq!(Packet::read(text), packet, "{text}");
        }
    }

    #[test]
    fn events_are_written_as_the_reference_writes_them() {
        let mut out = Vec::new();
        write_event(&mut out, Some(1_234_567_890), "echo", &["\"a\""]);
        write_event(&mut out, None, "message", &["1", "2"]);
        write_event(&mut out, Some(3), "bare", &[]);
        assert_eq!(out, b"421234567890[\"echo\",\"a\"]42[\"message\",1,2]423[\"bare\"]");
    }
}
