//! The id of a session that is polled: where its connection lives, and a secret that only its client knows.

use codec::base64;

use crate::{ConnectionId, ShardId};

/// 128 bits that nobody guesses.
pub(crate) const SECRET_BYTES: usize = 16;

/// Characters of an id: 24 bytes in base64.
pub(crate) const SID_BYTES: usize = 32;

/// What an id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey {
    pub(crate) shard: ShardId,
    pub(crate) connection: ConnectionId,
    pub(crate) secret: [u8; SECRET_BYTES],
}

impl SessionKey {
    /// The id as text, in the alphabet of URLs.
    pub(crate) fn text(&self) -> String {
        let own = u64::from(self.shard.0) << 56
            | u64::from(self.connection.generation) << 32
            | u64::from(self.connection.slot);
        let mut bytes = own.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.secret);
        let mut text = Vec::with_capacity(SID_BYTES);
        base64::encode(&mut text, &bytes);
        let text = String::from_utf8(text).expect("base64 is text");
        text.replace('+', "-").replace('/', "_")
    }

    /// What a text says; `None`: it is no id of this server.
    pub(crate) fn parse(text: &str, shards: usize) -> Option<Self> {
        if text.len() != SID_BYTES || text.contains(['+', '/', '=']) {
            return None;
        }
        let mut bytes = Vec::with_capacity(24);
        if !base64::decode(&mut bytes, &text.replace('-', "+").replace('_', "/")) {
            return None;
        }
        let (own, secret) = bytes.split_first_chunk::<8>()?;
        let own = u64::from_be_bytes(*own);
        let shard = ShardId(u8::try_from(own >> 56).expect("one byte"));
        let generation = u32::try_from(own >> 32 & 0xff_ffff).expect("three bytes");
        let slot = u32::try_from(own & 0xffff_ffff).expect("four bytes");
        let connection = ConnectionId { slot, generation };
        (shard.index() < shards).then_some(Self { shard, connection, secret: secret.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_it_was_made_of_and_others_say_nothing() {
        let connection = ConnectionId { slot: u32::MAX - 1, generation: ConnectionId::GENERATION_MASK };
        let key = SessionKey { shard: ShardId(3), connection, secret: [0xfb; SECRET_BYTES] };
        let text = key.text();
        assert_eq!((text.len(), SessionKey::parse(&text, 4)), (SID_BYTES, Some(key)));
        assert_eq!(SessionKey::parse(&text, 3), None, "there is no such shard");
        for text in ["", "x", &text[1..], &text.replace('_', "/"), &"é".repeat(16), &"=".repeat(32)] {
            assert_eq!(SessionKey::parse(text, 128), None, "{text}");
        }
    }
}
