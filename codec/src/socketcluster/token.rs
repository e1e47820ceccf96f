//! What can be wrong with a token, as the three generations of reference servers say it. Moments are milliseconds since
//! 1970, as in JavaScript; nothing here reads a clock or checks a signature.

use std::io::Write as _;

use super::Dialect;

/// Why a token does not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// None was presented.
    Missing,
    /// What was presented is not a string.
    NotString,
    /// It has not three parts between dots.
    Malformed,
    /// Its parts are not JSON in base64.
    Undecodable,
    /// It is longer than this server reads.
    TooLong,
    /// No key of the server is for its algorithm.
    Algorithm,
    /// No key has signed it.
    Signature,
    /// `exp` is not a number.
    ExpiryMalformed,
    /// `nbf` is not a number.
    NotBeforeMalformed,
    /// It was good until then.
    Expired {
        /// Its `exp`.
        expiry_ms: i64,
    },
    /// It will be good from then on.
    NotActive {
        /// Its `nbf`.
        date_ms: i64,
    },
}

impl TokenError {
    /// Whether the client should throw it away: only one that is merely early will ever be good.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        !matches!(self, Self::NotActive { .. })
    }

    /// By what programs tell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotString => "AuthTokenError",
            Self::Expired { .. } => "AuthTokenExpiredError",
            Self::NotActive { .. } => "AuthTokenNotBeforeError",
            _ => "AuthTokenInvalidError",
        }
    }

    /// The name that servers before version 1 let through from their library.
    const fn old_name(self) -> &'static str {
        match self {
            Self::Expired { .. } => "TokenExpiredError",
            Self::NotActive { .. } => "NotBeforeError",
            _ => "JsonWebTokenError",
        }
    }

    /// What people read.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Missing => "jwt must be provided",
            Self::NotString => "Invalid token format - Token must be a string",
            Self::Malformed => "jwt malformed",
            Self::Undecodable => "invalid token",
            Self::TooLong => "token is too long",
            Self::Algorithm => "invalid algorithm",
            Self::Signature => "invalid signature",
            Self::ExpiryMalformed => "invalid exp value",
            Self::NotBeforeMalformed => "invalid nbf value",
            Self::Expired { .. } => "jwt expired",
            Self::NotActive { .. } => "jwt not active",
        }
    }

    /// Appends the error object, with the fields and the order of that version's servers. No text in it needs escapes.
    pub fn write(self, dialect: Dialect, out: &mut Vec<u8>) {
        if dialect == Dialect::V0 {
            write(out, &["{\"name\":\"", self.old_name(), "\",\"message\":\"", self.message(), "\"}"]);
            return;
        }
        write(out, &["{\"message\":\"", self.message(), "\",\"name\":\"", self.name(), "\""]);
        match self {
            Self::Expired { expiry_ms } => write_moment(out, "expiry", expiry_ms),
            Self::NotActive { date_ms } => write_moment(out, "date", date_ms),
            _ => {}
        }
        if dialect == Dialect::V2 {
            write(out, &[",\"isBadToken\":", if self.is_bad() { "true" } else { "false" }]);
        }
        out.push(b'}');
    }
}

fn write(out: &mut Vec<u8>, pieces: &[&str]) {
    pieces.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
}

/// A moment as `Date` writes it in JSON, and `null` where it cannot be a `Date`.
fn write_moment(out: &mut Vec<u8>, name: &str, moment_ms: i64) {
    write(out, &[",\"", name, "\":"]);
    if moment_ms.unsigned_abs() > DATE_MS_MAX {
        return write(out, &["null"]);
    }
    let (days, millis) = (moment_ms.div_euclid(DAY_MS), moment_ms.rem_euclid(DAY_MS));
    let (year, month, day) = date(days);
    let (hour, minute, second, milli) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60, millis % 1_000);
    let clock = format_args!("{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z");
    let written = match year {
        0..=9_999 => write!(out, "\"{year:04}-{clock}\""),
        _ => write!(out, "\"{year:+07}-{clock}\""),
    };
    written.expect("a vector takes everything");
}

/// The day so many days after 1970-01-01 in the Gregorian calendar, by eras of 400 years that begin in March, so that
/// the leap day is the last of its year.
const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
}

const DAY_MS: i64 = 86_400_000;
/// Days of 400 years: 365 each, one more in every fourth, but three of four centuries' ends.
const ERA_DAYS: i64 = 400 * 365 + 97;
/// From 1 March of the year 0.
const DAYS_TO_1970: i64 = 719_468;
/// A hundred million days either way (ECMA-262, section 21.4.1.1).
const DATE_MS_MAX: u64 = 8_640_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(error: TokenError, dialect: Dialect) -> String {
        let mut out = Vec::new();
        error.write(dialect, &mut out);
        String::from_utf8(out).expect("errors are text")
    }

    #[test]
    fn errors_have_the_bytes_of_each_version() {
        let invalid = TokenError::Undecodable;
        assert_eq!(
            written(invalid, Dialect::V2),
            r#"{"message":"invalid token","name":"AuthTokenInvalidError","isBadToken":true}"#
        );
        assert_eq!(written(invalid, Dialect::V1), r#"{"message":"invalid token","name":"AuthTokenInvalidError"}"#);
        assert_eq!(written(invalid, Dialect::V0), r#"{"name":"JsonWebTokenError","message":"invalid token"}"#);
        assert_eq!(
            written(TokenError::Expired { expiry_ms: 1_000_000 }, Dialect::V2),
            concat!(
                r#"{"message":"jwt expired","name":"AuthTokenExpiredError","#,
                r#""expiry":"1970-01-01T00:16:40.000Z","isBadToken":true}"#
            )
        );
        assert_eq!(
            written(TokenError::NotActive { date_ms: 4_000_000_000_000 }, Dialect::V1),
            r#"{"message":"jwt not active","name":"AuthTokenNotBeforeError","date":"2096-10-02T07:06:40.000Z"}"#
        );
    }

    #[test]
    fn moments_are_written_as_javascript_writes_them() {
        for (moment_ms, text) in [
            (0, "\"1970-01-01T00:00:00.000Z\""),
            (-1, "\"1969-12-31T23:59:59.999Z\""),
            (951_782_400_000, "\"2000-02-29T00:00:00.000Z\""),
            (4_107_542_399_999, "\"2100-02-28T23:59:59.999Z\""),
            (253_402_300_799_999, "\"9999-12-31T23:59:59.999Z\""),
            (253_402_300_800_000, "\"+010000-01-01T00:00:00.000Z\""),
            (-62_167_219_200_001, "\"-000001-12-31T23:59:59.999Z\""),
            (8_640_000_000_000_000, "\"+275760-09-13T00:00:00.000Z\""),
            (8_640_000_000_000_001, "null"),
            (i64::MIN, "null"),
        ] {
            let mut out = Vec::new();
            write_moment(&mut out, "at", moment_ms);
            assert_eq!(std::str::from_utf8(&out), Ok(format!(",\"at\":{text}").as_str()));
        }
    }
}
