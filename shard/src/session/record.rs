//! A session as it travels: from its home to a shard that holds a copy, and to and from the store. The store's bytes are
//! read with suspicion: what cannot be a record is none.

use super::values::Values;

/// Everything of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// How many writes it has seen.
    pub version: u64,
    /// When it was made, in milliseconds of Unix time.
    pub created_at: u64,
    /// When it was last used, in seconds of Unix time, coarsely.
    pub touched: u32,
    /// How long it lives unused, in seconds; zero: as the limits say.
    pub lifetime: u32,
    /// Name, JSON text and end of each value.
    pub values: Vec<(Box<str>, Box<str>, u64)>,
}

/// What the store keeps under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A session.
    Live(Record),
    /// The id is not valid any more.
    Retired,
}

impl Record {
    pub(crate) fn values(&self) -> Values {
        let mut values = Values::default();
        self.values.iter().for_each(|(key, text, expires)| values.set(key, text, *expires));
        values
    }

    pub(crate) fn bytes(&self) -> usize {
        let value = |(key, text, _): &(Box<str>, Box<str>, u64)| key.len() + text.len() + 40;
        size_of::<Self>() + self.values.iter().map(value).sum::<usize>()
    }
}

impl Stored {
    /// Its bytes: a format byte, then little-endian numbers, each text behind its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self::Live(record) = self else { return vec![RETIRED] };
        let mut out = Vec::with_capacity(record.bytes());
        out.push(LIVE);
        out.extend_from_slice(&record.version.to_le_bytes());
        out.extend_from_slice(&record.created_at.to_le_bytes());
        out.extend_from_slice(&record.touched.to_le_bytes());
        out.extend_from_slice(&record.lifetime.to_le_bytes());
        out.extend_from_slice(&length(record.values.len()));
        for (key, text, expires) in &record.values {
            out.extend_from_slice(&expires.to_le_bytes());
            for text in [key, text] {
                out.extend_from_slice(&length(text.len()));
                out.extend_from_slice(text.as_bytes());
            }
        }
        out
    }

    /// Reads them. `None`: these are not the bytes of a record, or of a later version's.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&RETIRED, []) => Some(Self::Retired),
            (&LIVE, rest) => Reader(rest).record().map(Self::Live),
            _ => None,
        }
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("sessions are bounded far below 4 GiB").to_le_bytes()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn record(mut self) -> Option<Record> {
        let (version, created_at) = (u64::from_le_bytes(self.take()?), u64::from_le_bytes(self.take()?));
        let (touched, lifetime) = (u32::from_le_bytes(self.take()?), u32::from_le_bytes(self.take()?));
        let count = u32::from_le_bytes(self.take()?);
        let mut values = Vec::new();
        for _ in 0..count {
            let expires = u64::from_le_bytes(self.take()?);
            values.push((self.text()?, self.text()?, expires));
        }
        self.0.is_empty().then_some(Record { version, created_at, touched, lifetime, values })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn text(&mut self) -> Option<Box<str>> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(std::str::from_utf8(taken).ok()?.into())
    }
}

const LIVE: u8 = 1;
const RETIRED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_nothing_else_does() {
        let record = Record {
            version: 7,
            created_at: u64::MAX,
            touched: 3,
            lifetime: 4,
            values: vec![("ä".into(), "{\"x\":1}".into(), 0), ("b".into(), "2".into(), 9)],
        };
        for stored in [Stored::Live(record.clone()), Stored::Live(Record::default()), Stored::Retired] {
            assert_eq!(Stored::decode(&stored.encode()), Some(stored));
        }
        let bytes = Stored::Live(record).encode();
        for length in 0..bytes.len() {
            assert_eq!(Stored::decode(&bytes[..length]), None, "cut off at {length}");
        }
        assert_eq!(Stored::decode(&[bytes.as_slice(), &[0]].concat()), None, "something follows");
        let mut huge = bytes.clone();
        huge[25..29].copy_from_slice(&[255; 4]);
        assert_eq!(Stored::decode(&huge), None, "a count that the bytes do not hold");
        let mut mangled = bytes;
        let at = mangled.iter().position(|byte| *byte == 0xc3).expect("an umlaut");
        mangled[at] = 0xff;
        assert_eq!(Stored::decode(&mangled), None, "not UTF-8");
    }
}
