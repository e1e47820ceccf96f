//! What a text may demand of a scanner, and why one is refused. It never says what the text was: it may be secret.

use std::fmt;

/// What a text may demand of a scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Deepest nesting of arrays and objects; [`NESTING_MAX`] where it is more.
    pub depth_max: usize,
}

impl Default for JsonLimits {
    /// 64 levels: ten times what a message of ours needs, and below what any consumer's recursive parser stands.
    fn default() -> Self {
        Self { depth_max: 64 }
    }
}

/// No limit goes beyond this nesting: a bit for each level, 128 bytes of stack while a container is skipped.
pub const NESTING_MAX: usize = 1_024;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// It is not JSON (RFC 8259), or it has a number beyond the range of a double: that one would be JSON, but what is
    /// forwarded must be readable for whoever gets it, and parsers differ between infinity and an error.
    Syntax {
        /// The byte at which that was noticed.
        at: usize,
    },
    /// It nests deeper than the limit.
    TooDeep {
        /// The limit that it exceeds.
        depth_max: usize,
    },
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { at } => write!(formatter, "invalid JSON near byte {at}"),
            Self::TooDeep { depth_max } => write!(formatter, "JSON nested deeper than {depth_max} levels"),
        }
    }
}

impl std::error::Error for JsonError {}
