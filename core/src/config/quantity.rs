//! A whole number with a unit, as people type it. It never guesses: no fractions, no signs, no spaces, no unit that
//! could mean two things; each refusal says what to write instead.

use std::fmt;
use std::ops::RangeInclusive;

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QuantityError {
    /// Nothing was given.
    Empty,
    /// It has a minus sign.
    Negative,
    /// It has a decimal point.
    Fraction,
    /// It does not start with a digit.
    NotANumber,
    /// The number has no unit and needs one.
    UnitMissing(&'static str),
    /// The unit is none of those known.
    UnitUnknown(String, &'static str),
    /// More than 64 bits hold.
    TooLarge,
    /// Outside what the flag allows.
    OutOfRange(String, String),
}

impl fmt::Display for QuantityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(formatter, "a value is missing"),
            Self::Negative => write!(formatter, "it cannot be negative"),
            Self::Fraction => write!(formatter, "whole numbers only: use a smaller unit"),
            Self::NotANumber => write!(formatter, "it must start with a digit"),
            Self::UnitMissing(units) => write!(formatter, "the unit is missing: use {units}"),
            Self::UnitUnknown(unit, units) => write!(formatter, "unknown unit '{unit}': use {units}"),
            Self::TooLarge => write!(formatter, "the number is too large"),
            Self::OutOfRange(least, most) => write!(formatter, "it must be between {least} and {most}"),
        }
    }
}

impl std::error::Error for QuantityError {}

/// Splits `128KiB` into 128 and `KiB`; the unit may be empty.
pub(super) fn split(text: &str) -> Result<(u64, &str), QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    if text.starts_with('-') {
        return Err(QuantityError::Negative);
    }
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(QuantityError::NotANumber);
    }
    if unit.starts_with(['.', ',']) {
        return Err(QuantityError::Fraction);
    }
    // Only digits are left: the one way to fail is overflow.
    digits.parse().map(|number| (number, unit)).map_err(|_| QuantityError::TooLarge)
}

/// Looks `unit` up and multiplies. `names` is how the choice is told to a person.
pub(super) fn scale(number: u64, unit: &str, units: &[(&str, u64)], names: &'static str) -> Result<u64, QuantityError> {
    match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => number.checked_mul(*factor).ok_or(QuantityError::TooLarge),
        None if unit.is_empty() => Err(QuantityError::UnitMissing(names)),
        None => Err(QuantityError::UnitUnknown(unit.to_owned(), names)),
    }
}

/// The value, if `range` holds it; else an error that writes the range's ends by `format`.
pub(super) fn within<T: Copy + PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    format: impl Fn(T) -> String,
) -> Result<T, QuantityError> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(QuantityError::OutOfRange(format(*range.start()), format(*range.end())))
    }
}

/// Writes `value` in the largest unit that divides it, so that what is printed parses back to the same value.
pub(super) fn format(value: u64, units: &[(&str, u64)]) -> String {
    let exact = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    let best = units.iter().filter(exact).max_by_key(|(_, factor)| *factor).or(units.first());
    let (unit, factor) = best.expect("every table of units has at least one");
    format!("{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit_come_apart() {
        assert_eq!(split("128KiB"), Ok((128, "KiB")));
        assert_eq!(split("7"), Ok((7, "")));
        assert_eq!(split("18446744073709551615x"), Ok((u64::MAX, "x")));
    }

    #[test]
    fn what_is_not_a_whole_number_is_refused_by_name() {
        assert_eq!(split(""), Err(QuantityError::Empty));
        assert_eq!(split("-1s"), Err(QuantityError::Negative));
        assert_eq!(split("-"), Err(QuantityError::Negative));
        assert_eq!(split("1.5s"), Err(QuantityError::Fraction));
        assert_eq!(split("1,000"), Err(QuantityError::Fraction));
        for text in ["NaN", "inf", "+1s", " 1s", "s", "½", "٣s"] {
            assert_eq!(split(text), Err(QuantityError::NotANumber), "{text}");
        }
        assert_eq!(split("18446744073709551616"), Err(QuantityError::TooLarge));
    }
}
