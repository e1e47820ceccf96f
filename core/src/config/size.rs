//! Sizes in bytes as flags write them: `4096`, `128KiB`, `1MB`. `K` and `M` alone are refused: they mean 1,000 to some
//! and 1,024 to others, and a limit should mean one thing.

use std::ops::RangeInclusive;

use super::quantity::{self, QuantityError};

/// Reads a size.
pub(crate) fn parse(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = quantity::split(text)?;
    quantity::scale(number, unit, UNITS, "B, KiB, MiB, GiB (1,024) or kB, MB, GB (1,000)")
}

/// Writes a size so that it reads back: in binary units if they divide it, else in bytes.
pub(crate) fn format(bytes: u64) -> String {
    quantity::format(bytes, BINARY_UNITS)
}

/// A parser for one flag, which takes sizes of `range`. `T` must hold its end.
pub(crate) fn within<T>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, QuantityError> + Clone + Send + Sync + 'static
where
    T: TryFrom<u64>,
{
    move |text| {
        let bytes = quantity::within(parse(text)?, &range, format)?;
        T::try_from(bytes).map_err(|_| QuantityError::TooLarge)
    }
}

const BINARY_UNITS: &[(&str, u64)] = &[("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

const UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("1B"), Ok(1));
        assert_eq!(parse("128KiB"), Ok(131_072));
        assert_eq!(parse("1MiB"), Ok(1_048_576));
        assert_eq!(parse("2GiB"), Ok(2 << 30));
        assert_eq!(parse("1kB"), Ok(1_000));
        assert_eq!(parse("1MB"), Ok(1_000_000));
        assert_eq!(parse("1GB"), Ok(1_000_000_000));
    }

    #[test]
    fn units_that_mean_two_things_are_refused() {
        for text in ["128K", "1M", "1G", "1mb", "1kib", "1 MiB", "1bytes"] {
            assert!(matches!(parse(text), Err(QuantityError::UnitUnknown(..))), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_wraps() {
        assert_eq!(parse("18446744073709551615KiB"), Err(QuantityError::TooLarge));
        assert_eq!(parse("17179869184GiB"), Err(QuantityError::TooLarge));
        assert_eq!(parse("-1"), Err(QuantityError::Negative));
        assert_eq!(
            parse("1e6"),
            Err(QuantityError::UnitUnknown("e6".to_owned(), "B, KiB, MiB, GiB (1,024) or kB, MB, GB (1,000)"))
        );
        assert_eq!(parse("NaN"), Err(QuantityError::NotANumber));
        assert!(within::<u16>(0..=u64::MAX)("64KiB").is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        for (bytes, text) in [(0, "0"), (1023, "1023"), (1 << 10, "1KiB"), (1536, "1536"), (3 << 20, "3MiB")] {
            assert_eq!(format(bytes), text);
            assert_eq!(parse(text), Ok(bytes));
        }
    }

    #[test]
    fn a_range_keeps_both_its_ends_and_nothing_else() {
        let parse = within::<usize>(1024..=2048);
        assert_eq!(parse("1KiB"), Ok(1024));
        assert_eq!(parse("2KiB"), Ok(2048));
        assert_eq!(parse("1023"), Err(QuantityError::OutOfRange("1KiB".to_owned(), "2KiB".to_owned())));
        assert!(parse("2049").is_err());
    }
}
