//! `rpc` in Socket.IO: an event that the server answers with its argument. Every answer must have exactly the
//! bytes that were sent; a server that spells them differently is not one that this measures.

use super::calls::Dialogue;
use super::payload::filler;
use crate::client::Tongue;
use crate::socketio::{Packet, write_event};

/// Events with one argument.
#[derive(Debug)]
pub(crate) struct Emit {
    event: String,
    argument: String,
    expected: String,
}

impl Emit {
    /// Events of that name whose argument is this JSON, else a string whose JSON has that many bytes.
    pub(crate) fn new(event: String, argument: Option<String>, bytes: usize, seed: u64) -> Self {
        let argument = argument.unwrap_or_else(|| format!("\"{}\"", filler(bytes.saturating_sub(2), seed)));
        Self { event, expected: format!("[{argument}]"), argument }
    }
}

impl Dialogue for Emit {
    fn ask(&mut self, tongue: &mut Tongue, out: &mut Vec<u8>, number: u64) {
        // 42…["…",…]: 7 bytes around the two texts and up to 20 digits.
        let hint = self.event.len() + self.argument.len() + 27;
        tongue.say(out, hint, |out| write_event(out, Some(number), &self.event, &[&self.argument]));
    }

    fn read(&mut self, _: &mut Tongue, text: &str, _: Option<u64>) -> Option<(u64, Result<(), String>)> {
        let Packet::Answer(number, arguments) = Packet::read(text) else { return None };
        let is_right = arguments == self.expected;
        Some((number, if is_right { Ok(()) } else { Err("answer differs from the one expected".to_owned()) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;

    #[test]
    fn an_answer_is_compared_whole() {
        let mut tongue = Tongue::new(String::new(), String::new(), Protocol::SocketIo, 1);
        let mut emit = Emit::new("echo".to_owned(), None, 64, 1);
        assert_eq!(emit.argument.len(), 64);
        let mut read = |text: &str| emit.read(&mut tongue, text, Some(0));
        let right = format!("437{}", Emit::new("echo".to_owned(), None, 64, 1).expected);
        assert_eq!(read(&right), Some((7, Ok(()))));
        assert!(read("437[\"else\"]").expect("an answer").1.is_err());
        assert_eq!(read("42[\"echo\",1]"), None);
        assert_eq!(read("garbage"), None);
    }
}
