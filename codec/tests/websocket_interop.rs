//! An independent implementation reads what is encoded here and writes what is decoded here: tungstenite, in both
//! roles, over a stream in memory.

use std::io::{self, Cursor, Read, Write};

use socketshard_codec::websocket::{Decoder, Limits, Message, Opcode, Role, encode};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::{Role as TheirRole, WebSocket};

/// What the other side reads, and what it wrote.
struct Memory {
    incoming: Cursor<Vec<u8>>,
    outgoing: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            length => Ok(length),
        }
    }
}

impl Write for Memory {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: TheirRole, incoming: Vec<u8>) -> WebSocket<Memory> {
    WebSocket::from_raw_socket(Memory { incoming: Cursor::new(incoming), outgoing: Vec::new() }, role, None)
}

const LIMITS: Limits = Limits { message_bytes_max: 200_000, fragments_max: 16 };

/// Lengths on both sides of every change of header.
const LENGTHS: [usize; 9] = [0, 1, 7, 125, 126, 127, 65535, 65536, 100_000];

fn text(length: usize) -> String {
    "a\u{e9}\u{20ac}\u{1f600}".chars().cycle().take(length / 3).collect()
}

#[test]
fn what_they_send_is_decoded() {
    for (their_role, our_role) in [(TheirRole::Client, Role::Server), (TheirRole::Server, Role::Client)] {
        let mut peer = theirs(their_role, Vec::new());
        let mut expected = Vec::new();
        for length in LENGTHS {
            peer.send(tungstenite::Message::text(text(length))).expect("memory takes everything");
            peer.send(tungstenite::Message::binary(vec![7; length])).expect("memory takes everything");
            peer.send(tungstenite::Message::Ping(vec![9; length.min(125)].into())).expect("memory takes everything");
            expected.push(format!("{:?}", Message::Text(&text(length))));
            expected.push(format!("{:?}", Message::Binary(&vec![7; length])));
            expected.push(format!("{:?}", Message::Ping(&vec![9; length.min(125)])));
        }
        peer.close(Some(CloseFrame { code: 4001.into(), reason: "bye".into() })).expect("memory takes everything");
        expected.push(format!("{:?}", Message::Close(Some((4001, "bye")))));
        let mut decoder = Decoder::new(our_role);
        let mut seen = Vec::new();
        for piece in peer.get_mut().outgoing.chunks_mut(40_000) {
            let mut messages = decoder.decode(piece, &LIMITS);
            while let Some(message) = messages.next() {
                seen.push(format!("{:?}", message.expect("their frames are good")));
            }
        }
        assert!(seen == expected, "{our_role:?}: {} messages of {}", seen.len(), expected.len());
    }
}

#[test]
fn what_is_sent_here_they_decode() {
    for (our_role, their_role) in [(Role::Server, TheirRole::Client), (Role::Client, TheirRole::Server)] {
        let mut stream = Vec::new();
        for length in LENGTHS {
            let (text, bytes) = (text(length), vec![7; length]);
            let write = |out: &mut Vec<u8>| out.extend_from_slice(&bytes);
            match our_role {
                Role::Server => {
                    encode::frame(&mut stream, Opcode::Text, text.as_bytes());
                    encode::frame_with(&mut stream, Opcode::Binary, 100, write);
                }
                Role::Client => {
                    encode::masked_frame(&mut stream, Opcode::Text, [1, 2, 3, 4], text.as_bytes());
                    encode::masked_frame_with(&mut stream, Opcode::Binary, [5, 6, 7, 8], 100, write);
                }
            }
        }
        match our_role {
            Role::Server => encode::close(&mut stream, 1001, "going away"),
            Role::Client => encode::masked_close(&mut stream, [1, 2, 3, 4], 1001, "going away"),
        }
        let mut peer = theirs(their_role, stream);
        for length in LENGTHS {
            assert_eq!(peer.read().expect("good"), tungstenite::Message::text(text(length)), "{length}");
            assert_eq!(peer.read().expect("good"), tungstenite::Message::binary(vec![7; length]), "{length}");
        }
        let close = CloseFrame { code: 1001.into(), reason: "going away".into() };
        assert_eq!(peer.read().expect("good"), tungstenite::Message::Close(Some(close)));
    }
}
