//! A WebSocket that can send what no proper client would. It answers nothing by itself, pings included.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use codec::websocket::{Decoder, Limits, Message, Opcode, Role, encode, handshake};

use super::case::Seen;
use super::stage::Stage;
use super::wire::{Answer, Look, Wire};

/// The mask of every frame: servers need no secrecy from an attacker.
pub(crate) const MASK: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

/// The key of every upgrade.
const KEY: [u8; 16] = *b"socketshard test";

/// What is taken from a server in one message.
const LIMITS: Limits = Limits { message_bytes_max: 8 << 20, fragments_max: 1_024 };

/// A connection on which the upgrade is done.
pub(crate) struct Socket {
    wire: Wire,
    decoder: Decoder,
    heard: VecDeque<Heard>,
    pongs: usize,
    answer: Answer,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    Pong,
    Close(Option<u16>),
    /// The end of the TCP connection.
    End,
    /// Nothing in time.
    Late,
}

impl Socket {
    /// Connects and upgrades, or says what came instead.
    pub(crate) fn open(stage: &Stage, path: &str, headers: &[(&str, &str)]) -> io::Result<Result<Self, Seen>> {
        let mut wire = stage.connect()?;
        let mut request = Vec::new();
        handshake::write_request(&mut request, stage.host(), path, KEY, headers);
        wire.send(&request)?;
        Ok(match wire.answer()? {
            Ok(answer) if answer.status == 101 => {
                Ok(Self { wire, decoder: Decoder::new(Role::Client), heard: VecDeque::new(), pongs: 0, answer })
            }
            Ok(answer) => Err(answer.seen()),
            Err(seen) => Err(seen),
        })
    }

    /// The echo, which the stage has seen.
    pub(crate) fn echo(stage: &Stage) -> io::Result<Self> {
        Self::open(stage, stage.echo_path(), &[])?.map_err(|seen| io::Error::other(format!("no echo: {seen}")))
    }

    /// The answer to the upgrade.
    pub(crate) const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// How many pongs have come.
    pub(crate) const fn pongs(&self) -> usize {
        self.pongs
    }

    /// The connection below.
    pub(crate) const fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.send(bytes)
    }

    /// Sends a text message.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Text, MASK, text.as_bytes());
        self.send(&frame)
    }

    /// The next thing that comes within that time.
    pub(crate) fn hear(&mut self, limit: Duration) -> io::Result<Heard> {
        let end = Instant::now() + limit;
        loop {
            self.decode()?;
            if let Some(heard) = self.heard.pop_front() {
                return Ok(heard);
            }
            match self.wire.look(end.saturating_duration_since(Instant::now()))? {
                Look::More => {}
                Look::End => return Ok(Heard::End),
                Look::Late => return Ok(Heard::Late),
            }
        }
    }

    /// How the server ends it, whatever it says before.
    pub(crate) fn ending(&mut self, limit: Duration) -> io::Result<Seen> {
        let end = Instant::now() + limit;
        loop {
            match self.hear(end.saturating_duration_since(Instant::now()))? {
                Heard::Close(code) => return Ok(Seen::Closed(code)),
                Heard::End => return Ok(Seen::Ended),
                Heard::Late => return Ok(Seen::Nothing),
                Heard::Text(_) | Heard::Binary(_) | Heard::Pong => {}
            }
        }
    }

    /// Whether the echo still echoes.
    pub(crate) fn served(&mut self) -> io::Result<Seen> {
        const WORD: &str = "is anybody there?";
        self.text(WORD)?;
        let end = Instant::now() + self.wire.patience();
        loop {
            match self.hear(end.saturating_duration_since(Instant::now()))? {
                Heard::Text(text) if text == WORD => return Ok(Seen::Served),
                Heard::Close(code) => return Ok(Seen::Closed(code)),
                Heard::End => return Ok(Seen::Ended),
                Heard::Late => return Ok(Seen::Nothing),
                Heard::Text(_) | Heard::Binary(_) | Heard::Pong => {}
            }
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        let mut bytes = std::mem::take(self.wire.unread());
        let mut messages = self.decoder.decode(&mut bytes, &LIMITS);
        while let Some(message) = messages.next() {
            self.heard.push_back(match message {
                Ok(Message::Text(text)) => Heard::Text(text.to_owned()),
                Ok(Message::Binary(bytes)) => Heard::Binary(bytes.to_vec()),
                Ok(Message::Ping(_)) => continue,
                Ok(Message::Pong(_)) => {
                    self.pongs += 1;
                    Heard::Pong
                }
                Ok(Message::Close(close)) => Heard::Close(close.map(|(code, _)| code)),
                Err(error) => return Err(io::Error::other(format!("the server broke the protocol: {error}"))),
            });
        }
        Ok(())
    }
}

/// A masked frame with that first byte, whatever it means; its length in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = match payload.len() {
        length @ 0..126 => vec![first, 0x80 | u8::try_from(length).expect("below 126")],
        length => header(first, length as u64),
    };
    if payload.len() < 126 {
        bytes.extend(MASK);
    }
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header of a masked frame of that length, whether or not the bytes follow; from 126 on in the shortest form.
pub(crate) fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    if let Ok(length) = u16::try_from(length) {
        bytes.push(0x80 | 126);
        bytes.extend(length.to_be_bytes());
    } else {
        bytes.push(0x80 | 127);
        bytes.extend(length.to_be_bytes());
    }
    bytes.extend(MASK);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_shortest_length() {
        for (length, bytes) in [(0, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            assert_eq!(frame(0x82, &vec![0; length]).len(), length + bytes, "{length}");
        }
    }
}
