//! `rpc`: calls of a SocketCluster action. The expected answer is known beforehand, so that an answer that has exactly
//! those bytes needs no parsing; any other is parsed and judged by its meaning.

use codec::message::RawJson;
use codec::socketcluster::client::{ServerMessage, invoke};

use super::calls::Dialogue;
use super::payload::{filler, read_decimal};
use crate::client::Tongue;

/// The first call's id: 1 is the handshake.
const FIRST_CALL: u64 = 2;

/// Calls of one action with one argument.
#[derive(Debug)]
pub(crate) struct Rpc {
    action: String,
    argument: String,
    /// The data that must come back; none if any will do.
    expected: Option<String>,
    /// What follows the call's id in the answer that is expected byte for byte.
    tail: Vec<u8>,
}

impl Rpc {
    /// Calls of that action. `app.echo` gets a string whose JSON has `bytes` bytes and must give it back; `app.square`
    /// gets 25 and must give 625; `argument` overrides what is sent, and then only `app.echo` is known beforehand.
    pub(crate) fn new(action: String, argument: Option<String>, bytes: usize, seed: u64) -> Self {
        let given = argument.is_some();
        let argument = argument.unwrap_or_else(|| match action.as_str() {
            "app.square" => "25".to_owned(),
            _ => format!("\"{}\"", filler(bytes.saturating_sub(2), seed)),
        });
        let expected = match action.as_str() {
            "app.echo" => Some(argument.clone()),
            "app.square" if !given => Some("625".to_owned()),
            _ => None,
        };
        let tail = expected.as_ref().map_or_else(Vec::new, |data| format!(",\"data\":{data}}}").into_bytes());
        Self { action, argument, expected, tail }
    }

    fn parse(&self, tongue: &mut Tongue, text: &str) -> Option<(u64, Result<(), String>)> {
        for message in tongue.packets.decode(text).ok()? {
            let ServerMessage::Reply { call, outcome, .. } = message else { continue };
            let (number, _) = read_decimal(call.as_str().as_bytes())?;
            let outcome = match (outcome, &self.expected) {
                (Err(error), _) => Err(format!("refused: {}", error.as_str())),
                (Ok(data), Some(expected)) if data.is_none_or(|data| data.as_str() != expected) => {
                    Err("answer differs from the one expected".to_owned())
                }
                _ => Ok(()),
            };
            return Some((number.checked_sub(FIRST_CALL)?, outcome));
        }
        None
    }
}

impl Dialogue for Rpc {
    fn ask(&mut self, tongue: &mut Tongue, out: &mut Vec<u8>, number: u64) {
        // {"event":"…","data":…,"cid":…}: 28 bytes around the two texts and up to 20 digits.
        let hint = self.action.len() + self.argument.len() + 48;
        let argument = RawJson::from_validated(&self.argument);
        tongue.say(out, hint, |out| invoke(out, &self.action, Some(argument), Some(number + FIRST_CALL)));
    }

    fn read(&mut self, tongue: &mut Tongue, text: &str, _: Option<u64>) -> Option<(u64, Result<(), String>)> {
        if let Some((call, digits)) = text.strip_prefix("{\"rid\":").and_then(|rest| read_decimal(rest.as_bytes()))
            && text.as_bytes()[7 + digits..] == self.tail
            && call >= FIRST_CALL
        {
            return Some((call - FIRST_CALL, Ok(())));
        }
        self.parse(tongue, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;

    fn read(rpc: &mut Rpc, text: &str) -> Option<(u64, Result<(), String>)> {
        let mut tongue = Tongue::new(String::new(), String::new(), Protocol::SocketCluster, 1);
        rpc.read(&mut tongue, text, Some(0))
    }

    #[test]
    fn the_expected_answer_is_known_by_its_bytes_or_by_its_meaning() {
        let mut rpc = Rpc::new("app.square".to_owned(), None, 64, 1);
        assert_eq!(read(&mut rpc, r#"{"rid":7,"data":625}"#), Some((5, Ok(()))));
        assert_eq!(read(&mut rpc, r#"{ "data" : 625, "rid" : 7 }"#), Some((5, Ok(()))));
        assert!(read(&mut rpc, r#"{"rid":7,"data":626}"#).expect("an answer").1.is_err());
        assert!(read(&mut rpc, r#"{"rid":7}"#).expect("an answer").1.is_err());
    }

    #[test]
    fn a_refusal_is_an_error_with_its_text() {
        let mut rpc = Rpc::new("app.nothing".to_owned(), None, 64, 1);
        let (number, outcome) = read(&mut rpc, r#"{"rid":2,"error":{"message":"no such action"}}"#).expect("an answer");
        assert_eq!(number, 0);
        assert!(outcome.expect_err("refused").contains("no such action"));
    }

    #[test]
    fn what_answers_nothing_is_none() {
        let mut rpc = Rpc::new("app.echo".to_owned(), None, 64, 1);
        assert_eq!(rpc.argument.len(), 64);
        assert_eq!(read(&mut rpc, "garbage"), None);
        assert_eq!(read(&mut rpc, r#"{"event":"x"}"#), None);
        assert_eq!(read(&mut rpc, r#"{"rid":1,"data":1}"#), None, "the handshake's id is no call's");
    }
}
