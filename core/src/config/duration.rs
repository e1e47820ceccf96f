//! Durations as flags write them: `500ms`, `30s`, `2m`, `1h`. A bare number is refused, because nobody can tell seconds
//! from milliseconds by looking at it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::quantity::{self, QuantityError};

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = quantity::split(text)?;
    quantity::scale(number, unit, UNITS, "ms, s, m or h").map(Duration::from_millis)
}

/// Writes a duration so that it reads back; what is below a millisecond is cut off, no flag can set it.
pub(crate) fn format(duration: Duration) -> String {
    match u64::try_from(duration.as_millis()) {
        Ok(0) => "0s".to_owned(),
        Ok(millis) => quantity::format(millis, UNITS),
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

/// A parser for one flag, which takes durations of `range`.
pub(crate) fn within(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, QuantityError> + Clone + Send + Sync + 'static {
    move |text| quantity::within(parse(text)?, &range, format)
}

const UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_missing_or_unknown_unit_is_refused() {
        assert!(matches!(parse("30"), Err(QuantityError::UnitMissing(_))));
        assert!(matches!(parse("0"), Err(QuantityError::UnitMissing(_))));
        for text in ["30 s", "30S", "30sec", "1m30s", "5d", "5us"] {
            assert!(matches!(parse(text), Err(QuantityError::UnitUnknown(..))), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_wraps() {
        assert_eq!(parse("18446744073709551615h"), Err(QuantityError::TooLarge));
        assert_eq!(parse("99999999999999999999999ms"), Err(QuantityError::TooLarge));
        assert_eq!(parse("NaNs"), Err(QuantityError::NotANumber));
        assert_eq!(parse("-1s"), Err(QuantityError::Negative));
    }

    #[test]
    fn what_is_written_reads_back() {
        for (millis, text) in [(0, "0s"), (1, "1ms"), (1_500, "1500ms"), (90_000, "90s"), (7_200_000, "2h")] {
            let duration = Duration::from_millis(millis);
            assert_eq!(format(duration), text);
            assert_eq!(parse(text), Ok(duration));
        }
    }

    #[test]
    fn a_range_keeps_both_its_ends_and_nothing_else() {
        let parse = within(Duration::from_millis(100)..=Duration::from_secs(60));
        assert!(parse("100ms").is_ok());
        assert!(parse("1m").is_ok());
        assert_eq!(parse("99ms"), Err(QuantityError::OutOfRange("100ms".to_owned(), "1m".to_owned())));
        assert!(parse("60001ms").is_err());
        assert!(parse("0s").is_err());
    }
}
