//! The rules for names that a peer chooses: channels and actions. A name is checked once, where it enters, and is
//! plain text ever after. It never gives a meaning to any name: `toString`, `__proto__` and `constructor` are names
//! like all others.

use std::fmt;

/// Longest channel name. Anything that describes its subject fits in a file name's 255 bytes, and 1,000 subscriptions
/// with the longest names cost a connection 255 KB at most.
pub const CHANNEL_NAME_BYTES_MAX: usize = 255;

/// Longest action name, by the same reasoning: a path of files and a function.
pub const ACTION_NAME_BYTES_MAX: usize = 255;

/// How long names may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameLimits {
    /// Longest channel name.
    pub channel_name_bytes_max: usize,
    /// Longest action name.
    pub action_name_bytes_max: usize,
}

impl Default for NameLimits {
    fn default() -> Self {
        Self { channel_name_bytes_max: CHANNEL_NAME_BYTES_MAX, action_name_bytes_max: ACTION_NAME_BYTES_MAX }
    }
}

impl NameLimits {
    /// Is this text a channel name?
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn check_channel(&self, name: &str) -> Result<(), NameError> {
        check(name, self.channel_name_bytes_max)
    }

    /// Is this text an action name?
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn check_action(&self, name: &str) -> Result<(), NameError> {
        check(name, self.action_name_bytes_max)
    }
}

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has more bytes than the limit.
    TooLong {
        /// The limit that it exceeds.
        name_bytes_max: usize,
    },
    /// It has a control character (U+0000..U+001F, U+007F..U+009F), which no log or terminal shows unharmed.
    ControlCharacter,
}

impl fmt::Display for NameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("name is empty"),
            Self::TooLong { name_bytes_max } => write!(formatter, "name is longer than {name_bytes_max} bytes"),
            Self::ControlCharacter => formatter.write_str("name has a control character"),
        }
    }
}

impl std::error::Error for NameError {}

fn check(name: &str, name_bytes_max: usize) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > name_bytes_max {
        return Err(NameError::TooLong { name_bytes_max });
    }
    if has_control_character(name.as_bytes()) {
        return Err(NameError::ControlCharacter);
    }
    Ok(())
}

/// In UTF-8 the C0 controls and DEL are single bytes and the C1 controls are C2 80..C2 9F, so bytes are enough. Names
/// are checked with every message, so it is done eight bytes at a time: ten bytes cost 50 instructions instead of 145.
fn has_control_character(name: &[u8]) -> bool {
    let mut suspects = 0;
    let (words, rest) = name.as_chunks::<8>();
    for word in words {
        suspects |= suspects_of(u64::from_le_bytes(*word));
    }
    // The last word overlaps the one before; what is shorter than a word is read as two halves, which may overlap, too.
    suspects |= match (name.last_chunk::<8>(), name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(last), ..) => suspects_of(u64::from_le_bytes(*last)),
        (None, Some(first), Some(last)) => {
            suspects_of(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)))
        }
        _ => u64::from(rest.iter().any(|byte| !matches!(byte, b' '..=b'~'))),
    };
    suspects != 0 && has_control_character_exactly(name)
}

/// Not zero if one of the eight bytes is below 20 or is 7F or C2. C2 also begins characters such as `¿`, so that this
/// alone proves nothing. (The tests for a small and for a zero byte are exact as to whether there is one; a borrow can
/// only spoil the place.)
const fn suspects_of(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH_BITS: u64 = 0x80 * ONES;
    let delete = word ^ (0x7F * ONES);
    let c2 = word ^ (0xC2 * ONES);
    let small = word.wrapping_sub(0x20 * ONES) & !word;
    (small | (delete.wrapping_sub(ONES) & !delete) | (c2.wrapping_sub(ONES) & !c2)) & HIGH_BITS
}

#[cold]
fn has_control_character_exactly(name: &[u8]) -> bool {
    let is_ascii_control = |&byte: &u8| byte < 0x20 || byte == 0x7F;
    let is_c1_control = |pair: &[u8]| pair[0] == 0xC2 && pair[1] < 0xA0;
    name.iter().any(is_ascii_control) || name.windows(2).any(is_c1_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        let limits = NameLimits::default();
        for name in ["news", "a", "Grüße", "🚀", "user/7#x", " spaced name ", "toString", "__proto__", "constructor"]
        {
            assert_eq!(limits.check_channel(name), Ok(()), "{name}");
            assert_eq!(limits.check_action(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn an_empty_name_is_refused() {
        assert_eq!(NameLimits::default().check_channel(""), Err(NameError::Empty));
    }

    #[test]
    fn the_longest_name_passes_and_one_byte_more_does_not() {
        let limits = NameLimits { channel_name_bytes_max: 8, action_name_bytes_max: 4 };
        assert_eq!(limits.check_channel("12345678"), Ok(()));
        assert_eq!(limits.check_channel("123456789"), Err(NameError::TooLong { name_bytes_max: 8 }));
        assert_eq!(limits.check_action("12345"), Err(NameError::TooLong { name_bytes_max: 4 }));
        // Bytes, not characters.
        assert_eq!(limits.check_action("äöü"), Err(NameError::TooLong { name_bytes_max: 4 }));
    }

    #[test]
    fn control_characters_are_refused_and_nothing_else_is() {
        let limits = NameLimits::default();
        for code in (0..0x3000).chain(0xD7F0..0xD800).chain(0xE000..0xE010).chain(0x1_F600..0x1_F610) {
            let character = char::from_u32(code).expect("no surrogate in these ranges");
            let refused = limits.check_channel(&format!("a{character}b")) == Err(NameError::ControlCharacter);
            assert_eq!(refused, character.is_control(), "U+{code:04X}");
            // At every place of a word, and across two.
            for before in 0..12 {
                let name = format!(
                    "{}{character}{}",
                    "é".repeat(before / 2) + &"x".repeat(before % 2),
                    "y".repeat(code as usize % 5)
                );
                assert_eq!(limits.check_channel(&name).is_err(), character.is_control(), "U+{code:04X} at {before}");
            }
        }
    }
}
