//! `echo`: bare WebSocket messages to a server that sends each one back. The number of the message is in its text, and
//! the whole text is compared.

use super::calls::Dialogue;
use super::payload::{filler, read_hex, write_hex};
use crate::client::Tongue;

/// Hexadecimal digits of the number that every payload begins with.
pub(crate) const NUMBER_DIGITS: u32 = 8;

/// Questions that are their own answers.
#[derive(Debug)]
pub(crate) struct Echo {
    filler: String,
}

impl Echo {
    /// Messages of that many bytes, at least those of the number.
    pub(crate) fn new(bytes: usize, seed: u64) -> Self {
        Self { filler: filler(bytes.saturating_sub(NUMBER_DIGITS as usize), seed) }
    }
}

impl Dialogue for Echo {
    fn ask(&mut self, tongue: &mut Tongue, out: &mut Vec<u8>, number: u64) {
        tongue.say(out, NUMBER_DIGITS as usize + self.filler.len(), |out| {
            write_hex(out, number, NUMBER_DIGITS);
            out.extend_from_slice(self.filler.as_bytes());
        });
    }

    fn read(&mut self, _: &mut Tongue, text: &str, oldest: Option<u64>) -> Option<(u64, Result<(), String>)> {
        let (digits, rest) = text.as_bytes().split_at_checked(NUMBER_DIGITS as usize)?;
        let low = read_hex(digits)?;
        // The low digits come back: the number is the first from the oldest open one on that has them.
        let oldest = oldest?;
        let number = oldest + (low.wrapping_sub(oldest) & 0xffff_ffff);
        let outcome = if number != oldest {
            Err("echo out of order".to_owned())
        } else if rest != self.filler.as_bytes() {
            Err("echo differs from what was sent".to_owned())
        } else {
            Ok(())
        };
        Some((number, outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Protocol;

    #[test]
    fn an_echo_is_compared_whole() {
        let mut tongue = Tongue::new(String::new(), String::new(), Protocol::WebSocket, 1);
        let mut echo = Echo::new(64, 1);
        let good = format!("{:08x}{}", 0x1_0000_0005_u64 & 0xffff_ffff, echo.filler);
        assert_eq!(good.len(), 64);
        assert_eq!(echo.read(&mut tongue, &good, Some(0x1_0000_0005)), Some((0x1_0000_0005, Ok(()))));
        let (number, outcome) = echo.read(&mut tongue, &good, Some(0x1_0000_0004)).expect("an answer");
        assert!(number == 0x1_0000_0005 && outcome.is_err(), "a later answer first is disorder");
        let bad = format!("{}!", &good[..63]);
        assert!(echo.read(&mut tongue, &bad, Some(0x1_0000_0005)).expect("an answer").1.is_err());
        assert_eq!(echo.read(&mut tongue, "short", Some(0)), None);
        assert_eq!(echo.read(&mut tongue, &good, None), None, "nothing was asked");
    }
}
