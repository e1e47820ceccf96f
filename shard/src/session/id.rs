//! The id of a session: 128 random bits, and which shard is its home. It is no secret: a client proves that a session is
//! its own by what the host has signed, never by the id alone.

use std::fmt;
use std::str::FromStr;

use crate::ShardId;

/// Names a session, on every shard and in the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; Self::BYTES]);

impl SessionId {
    /// 128 bits.
    pub const BYTES: usize = 16;

    /// Characters of its text.
    pub const TEXT_BYTES: usize = 22;

    /// An id of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// An id of these random bytes whose home is that shard. The first word is drawn from the shard's part of its range
    /// instead of from all of it, which costs the binary logarithm of the number of shards in bits of chance.
    #[must_use]
    pub fn with_home(random: [u8; Self::BYTES], home: ShardId, shards: usize) -> Self {
        let shards = shards as u128;
        // The first word of shard `i` of `n` lies in `ceil(i * 2^64 / n) .. ceil((i + 1) * 2^64 / n)`.
        let start = |index: u128| (index << 64).div_ceil(shards);
        let (begin, end) = (start(home.index() as u128), start(home.index() as u128 + 1));
        let id = Self(random);
        let word = begin + ((u128::from(id.first_word()) * (end - begin)) >> 64);
        let word = u64::try_from(word).expect("a word below the end of the range of words");
        let mut bytes = random;
        bytes[..8].copy_from_slice(&word.to_be_bytes());
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The shard that owns the session: a fixed function, so that everybody knows it without asking.
    #[must_use]
    pub fn home(self, shards: usize) -> ShardId {
        let index = (u128::from(self.first_word()) * shards as u128) >> 64;
        ShardId(u8::try_from(index).expect("the upper half of a product is below its factor, which is at most 128"))
    }

    fn first_word(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for SessionId {
    /// Base64 as of RFC 4648 section 5, without padding.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        let text: [u8; Self::TEXT_BYTES] = std::array::from_fn(|index| {
            let bits = if index < 21 { number >> (122 - 6 * index) } else { number << 4 };
            ALPHABET[(bits & 63) as usize]
        });
        formatter.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A text that is no session's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSessionId;

impl fmt::Display for NoSessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not the id of a session")
    }
}

impl std::error::Error for NoSessionId {}

impl FromStr for SessionId {
    type Err = NoSessionId;

    /// Takes exactly what `Display` writes: each id has one text.
    fn from_str(text: &str) -> Result<Self, NoSessionId> {
        let text = <&[u8; Self::TEXT_BYTES]>::try_from(text.as_bytes()).map_err(|_| NoSessionId)?;
        let mut number = 0u128;
        for (index, byte) in text.iter().enumerate() {
            let sextet = ALPHABET.iter().position(|known| known == byte).ok_or(NoSessionId)? as u128;
            if index < 21 {
                number = number << 6 | sextet;
            } else if sextet & 15 != 0 {
                return Err(NoSessionId);
            } else {
                number = number << 2 | sextet >> 4;
            }
        }
        Ok(Self(number.to_be_bytes()))
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_made_for_a_shard_has_it_as_its_home() {
        let extremes = [
            [0; 16],
            [255; 16],
            [128; 16],
            std::array::from_fn(|index| u8::try_from(index * 37 % 256).expect("a byte")),
        ];
        for shards in [1, 2, 3, 5, 7, 64, 127, 128] {
            for home in 0..shards {
                let home = ShardId(u8::try_from(home).expect("few"));
                for random in extremes {
                    let id = SessionId::with_home(random, home, shards);
                    assert_eq!(id.home(shards), home, "{shards} shards, {random:?}");
                    assert_eq!(id.bytes()[8..], random[8..]);
                }
            }
        }
    }

    #[test]
    fn the_text_reads_back_and_each_id_has_one() {
        for bytes in [[0; 16], [255; 16], *b"0123456789abcdef"] {
            let id = SessionId::new(bytes);
            let text = id.to_string();
            assert_eq!(text.len(), SessionId::TEXT_BYTES);
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(text[..21].parse::<SessionId>(), Err(NoSessionId));
        }
        assert_eq!(SessionId::new([255; 16]).to_string(), "_____________________w");
        assert_eq!("_____________________x".parse::<SessionId>(), Err(NoSessionId));
        assert_eq!("+____________________w".parse::<SessionId>(), Err(NoSessionId));
    }
}
