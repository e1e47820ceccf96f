//! What can be done to a session, and what becomes of it. Applying a resolved operation gives the same values on every
//! copy: whatever depends on the time, a bound or an earlier value was decided once, by the home.

use std::fmt;

use super::values::{NEVER, Values};
use super::{SessionId, SessionLimits};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets a value.
    Set {
        /// Its name.
        key: Box<str>,
        /// One valid JSON value.
        text: Box<str>,
        /// When it ends, in milliseconds of Unix time; zero: not by itself.
        expires: u64,
    },
    /// Removes a value.
    Remove {
        /// Its name.
        key: Box<str>,
    },
    /// Adds to a whole number; what is not there counts as zero.
    Increment {
        /// Its name.
        key: Box<str>,
        /// How much.
        by: i64,
    },
    /// Gives a value another end.
    Expire {
        /// Its name.
        key: Box<str>,
        /// When, in milliseconds of Unix time; zero: not by itself.
        expires: u64,
    },
    /// Removes all values but the server's own, whose names begin with `#`.
    Clear,
    /// How long the session lives unused, in seconds; zero: as long as the server's limit says.
    Lifetime {
        /// The seconds.
        seconds: u32,
    },
    /// Gives the session another id; the old one is worth nothing any more. The new one has the same home.
    Rotate {
        /// The new id.
        to: SessionId,
    },
    /// Ends the session, with all its connections.
    End,
}

impl Operation {
    /// Bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Set { key, text, .. } => key.len() + text.len(),
            Self::Remove { key } | Self::Increment { key, .. } | Self::Expire { key, .. } => key.len(),
            Self::Clear | Self::Lifetime { .. } | Self::Rotate { .. } | Self::End => 0,
        }
    }

    /// Whether more than values changes: the home's table has to know first.
    pub(crate) const fn concerns_table(&self) -> bool {
        matches!(self, Self::Rotate { .. } | Self::End)
    }
}

/// Why a write was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The session has ended.
    Ended,
    /// The value is no whole number, or would leave the range of 64 bits.
    NotANumber,
    /// The name, the value or all values together would be longer than a limit.
    TooLarge,
    /// There would be more values than a limit allows.
    TooManyKeys,
    /// Too many writes are not acknowledged yet.
    Busy,
    /// The session's home has died: nobody knows whether it was done.
    Lost,
}

impl fmt::Display for WriteError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ended => "the session has ended",
            Self::NotANumber => "the value is no whole number of 64 bits",
            Self::TooLarge => "the session would hold too much",
            Self::TooManyKeys => "the session would have too many values",
            Self::Busy => "too many writes to the session are under way",
            Self::Lost => "the shard of the session has failed: it is not known whether this was written",
        })
    }
}

impl std::error::Error for WriteError {}

/// An acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What an increment has led to.
    pub number: Option<i64>,
    /// Whether a store has it for good. Without a store, or when it fails, the session goes on in memory.
    pub is_durable: bool,
}

/// Decides what a write comes to on these values: an operation that does the same everywhere, and an increment's result.
pub(crate) fn resolve(
    operation: Operation,
    values: &Values,
    now: u64,
    limits: &SessionLimits,
) -> Result<(Operation, Option<i64>), WriteError> {
    match operation {
        Operation::Set { key, text, expires } => {
            check(&key, &text, values, limits)?;
            Ok((Operation::Set { key, text, expires }, None))
        }
        Operation::Increment { key, by } => {
            let known = values.get(&key, now);
            let (before, expires) = match known {
                Some(value) => (value.text.trim().parse().map_err(|_| WriteError::NotANumber)?, value.expires),
                None => (0i64, NEVER),
            };
            let number = before.checked_add(by).ok_or(WriteError::NotANumber)?;
            let text: Box<str> = number.to_string().into();
            check(&key, &text, values, limits)?;
            Ok((Operation::Set { key, text, expires }, Some(number)))
        }
        Operation::Expire { key, expires } => match values.get(&key, now) {
            Some(value) => Ok((Operation::Set { key, text: (&*value.text).into(), expires }, None)),
            None => Ok((Operation::Remove { key }, None)),
        },
        Operation::Remove { .. } | Operation::Clear | Operation::Lifetime { .. } => Ok((operation, None)),
        Operation::Rotate { .. } | Operation::End => Ok((operation, None)),
    }
}

fn check(key: &str, text: &str, values: &Values, limits: &SessionLimits) -> Result<(), WriteError> {
    if key.len() > limits.key_bytes_max || text.len() > limits.value_bytes_max {
        return Err(WriteError::TooLarge);
    }
    if values.bytes_without(key) + key.len() + text.len() > limits.bytes_max {
        return Err(WriteError::TooLarge);
    }
    if values.count_without(key) >= limits.keys_max {
        return Err(WriteError::TooManyKeys);
    }
    Ok(())
}

/// Applies what was resolved to values; what does not concern them is left to the caller.
pub(crate) fn apply(operation: &Operation, values: &mut Values) {
    match operation {
        Operation::Set { key, text, expires } => values.set(key, text, *expires),
        Operation::Remove { key } => values.remove(key),
        Operation::Clear => values.clear(),
        Operation::End => *values = Values::default(),
        Operation::Lifetime { .. } | Operation::Rotate { .. } => {}
        Operation::Increment { .. } | Operation::Expire { .. } => unreachable!("it was resolved to another"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, text: &str) -> Operation {
        Operation::Set { key: key.into(), text: text.into(), expires: NEVER }
    }

    fn increment(key: &str, by: i64) -> Operation {
        Operation::Increment { key: key.into(), by }
    }

    fn resolved(operation: Operation, values: &Values) -> Result<Option<i64>, WriteError> {
        resolve(operation, values, 5, &SessionLimits::default()).map(|(_, number)| number)
    }

    #[test]
    fn an_increment_becomes_a_set_of_its_result() {
        let mut values = Values::default();
        for (by, expected) in [(2, "2"), (-5, "-3")] {
            let (operation, _) = resolve(increment("n", by), &values, 5, &SessionLimits::default()).expect("a number");
            assert_eq!(operation, set("n", expected));
            apply(&operation, &mut values);
        }
        values.set("text", "\"a\"", NEVER);
        values.set("most", &i64::MAX.to_string(), NEVER);
        values.set("over", "7", 5);
        assert_eq!(resolved(increment("text", 1), &values), Err(WriteError::NotANumber));
        assert_eq!(resolved(increment("most", 1), &values), Err(WriteError::NotANumber));
        assert_eq!(resolved(increment("over", 1), &values), Ok(Some(1)), "what is over is not there");
    }

    #[test]
    fn every_bound_is_kept() {
        let limits = SessionLimits {
            keys_max: 2,
            bytes_max: 20,
            value_bytes_max: 8,
            key_bytes_max: 4,
            ..SessionLimits::default()
        };
        let mut values = Values::default();
        values.set("a", "1", NEVER);
        values.set("b", "2", NEVER);
        let judge = |operation, values: &Values| resolve(operation, values, 0, &limits).map(|_| ());
        assert_eq!(judge(set("c", "3"), &values), Err(WriteError::TooManyKeys));
        assert_eq!(judge(increment("c", 3), &values), Err(WriteError::TooManyKeys));
        assert_eq!(judge(set("a", "12345678"), &values), Ok(()), "in the place of the old one");
        assert_eq!(judge(set("a", "123456789"), &values), Err(WriteError::TooLarge));
        assert_eq!(judge(set("abcde", "1"), &Values::default()), Err(WriteError::TooLarge));
        values.set("b", "1234567890123456", NEVER);
        assert_eq!(judge(set("a", "123"), &values), Err(WriteError::TooLarge));
    }
}
