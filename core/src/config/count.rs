//! Counts as flags write them: `100`, `10k`, `1M`. Thousands, never 1,024s.

use std::ops::RangeInclusive;

use super::quantity::{self, QuantityError};

/// Reads a count.
pub(crate) fn parse(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = quantity::split(text)?;
    quantity::scale(number, unit, UNITS, "none, k (1,000) or M (1,000,000)")
}

/// Writes a count so that it reads back.
pub(crate) fn format(count: u64) -> String {
    quantity::format(count, UNITS)
}

/// A parser for one flag, which takes counts of `range`. `T` must hold its end.
pub(crate) fn within<T>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, QuantityError> + Clone + Send + Sync + 'static
where
    T: TryFrom<u64>,
{
    move |text| {
        let count = quantity::within(parse(text)?, &range, format)?;
        T::try_from(count).map_err(|_| QuantityError::TooLarge)
    }
}

const UNITS: &[(&str, u64)] = &[("", 1), ("k", 1_000), ("M", 1_000_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("10k"), Ok(10_000));
        assert_eq!(parse("1M"), Ok(1_000_000));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_wraps() {
        assert_eq!(parse("18446744073709551615k"), Err(QuantityError::TooLarge));
        assert_eq!(parse("-1"), Err(QuantityError::Negative));
        assert_eq!(parse("1.5k"), Err(QuantityError::Fraction));
        assert!(matches!(parse("1K"), Err(QuantityError::UnitUnknown(..))));
        assert!(matches!(parse("1_000"), Err(QuantityError::UnitUnknown(..))));
        assert_eq!(within::<u16>(0..=u64::MAX)("70k"), Err(QuantityError::TooLarge));
    }

    #[test]
    fn what_is_written_reads_back() {
        for (count, text) in [(0, "0"), (1024, "1024"), (4_000, "4k"), (1_000_000, "1M")] {
            assert_eq!(format(count), text);
            assert_eq!(parse(text), Ok(count));
        }
    }
}
