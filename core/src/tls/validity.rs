//! From when until when a certificate is good: the two dates out of its DER (RFC 5280 section 4.1), and nothing else. The
//! certificate is the operator's own; whether it is one at all is judged elsewhere.

/// Seconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Validity {
    /// The dates of a certificate; `None` where they cannot be found.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate, _) = element(certificate)?;
        let (_, to_be_signed, _) = element(certificate)?;
        let (tag, _, rest) = element(to_be_signed)?;
        // The version is explicit and may be left out; then this was the serial number.
        let rest = if tag == VERSION { element(rest)?.2 } else { rest };
        let (_, _, rest) = element(rest)?; // how it is signed
        let (_, _, rest) = element(rest)?; // by whom
        let (_, validity, _) = element(rest)?;
        let (before_form, not_before, rest) = element(validity)?;
        let (after_form, not_after, _) = element(rest)?;
        Some(Self { not_before: time(before_form, not_before)?, not_after: time(after_form, not_after)? })
    }

    /// What is wrong with using it at this time, if anything is.
    pub(super) const fn objection(self, now: i64) -> Option<&'static str> {
        if now < self.not_before {
            return Some("not valid yet");
        }
        if now > self.not_after {
            return Some("not valid any more");
        }
        None
    }
}

/// The first element of some DER: its tag, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (long.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A date as certificates write it: `YYMMDDHHMMSSZ`, or with the century.
fn time(form: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z').filter(|text| text.is_ascii())?;
    let (year, rest) = match form {
        UTC_TIME if text.len() == 12 => {
            let (year, rest) = text.split_at(2);
            let year: i64 = year.parse().ok()?;
            // RFC 5280 section 4.1.2.5.1: 50 to 99 are of the twentieth century.
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME if text.len() == 14 => {
            let (year, rest) = text.split_at(4);
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let field = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day, hour, minute, second) = (field(0)?, field(2)?, field(4)?, field(6)?, field(8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01, in the Gregorian calendar. Years begin in March here, so that a leap day is the last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_BEFORE_1970
}

/// From the first of March of the year 0 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_468;

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_dates_of_a_certificate_are_found_in_both_forms() {
        for ((from, until), (not_before, not_after)) in [
            (((2020, 2, 29), (2049, 12, 31)), (1_582_934_400, 2_524_521_600)),
            (((1975, 1, 1), (4096, 1, 1)), (157_766_400, 67_090_118_400)),
        ] {
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
            params.not_before = date_time_ymd(from.0, from.1, from.2);
            params.not_after = date_time_ymd(until.0, until.1, until.2);
            let key = KeyPair::generate().expect("randomness");
            let certificate = params.self_signed(&key).expect("a certificate");
            let validity = Validity::of(certificate.der()).expect("dates");
            assert_eq!(validity, Validity { not_before, not_after });
            assert_eq!(validity.objection(not_before), None);
            assert_eq!(validity.objection(not_before - 1), Some("not valid yet"));
            assert_eq!(validity.objection(not_after + 1), Some("not valid any more"));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_dates() {
        let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        let certificate = params.self_signed(&KeyPair::generate().expect("randomness")).expect("a certificate");
        let whole = certificate.der().to_vec();
        for length in 0..whole.len() {
            assert_eq!(Validity::of(&whole[..length]), None, "{length}");
        }
        assert_eq!(Validity::of(b"-----BEGIN CERTIFICATE-----"), None);
    }

    #[test]
    fn dates_are_counted_as_everybody_does() {
        assert_eq!((days(1970, 1, 1), days(2000, 3, 1), days(2026, 11, 20)), (0, 11_017, 20_777));
        assert_eq!(time(UTC_TIME, b"700101000001Z"), Some(1));
        assert_eq!(time(UTC_TIME, b"7001010000Z"), None);
        assert_eq!(time(GENERALIZED_TIME, b"19701301000000Z"), None);
    }
}
