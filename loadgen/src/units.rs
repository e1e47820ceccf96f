//! Durations, sizes, counts, rates, CPU lists and networks as the command line writes them, and numbers as the report
//! prints them. Parsing is strict: a unit that is missing where it matters, a sign, a fraction of a byte are errors.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Why a value of the command line was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitError(String);

impl fmt::Display for UnitError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for UnitError {}

fn error<T>(text: &str, expected: &str) -> Result<T, UnitError> {
    Err(UnitError(format!("'{text}' is not {expected}")))
}

/// The longest duration accepted: a day. A run is bounded, and arithmetic in nanoseconds stays far from overflow.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Splits a number from its unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

/// Parses `500us`, `250ms`, `1.5s`, `2m`, `1h`; a bare number counts as seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    const EXPECTED: &str = "a duration of at most 24h (like 500us, 250ms, 1.5s, 2m)";
    let Some((number, unit)) = split(text) else { return error(text, EXPECTED) };
    let seconds = match unit {
        "ns" => number / 1e9,
        "us" | "µs" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return error(text, EXPECTED),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        _ => error(text, EXPECTED),
    }
}

/// Parses `64`, `1KiB`, `1kB`, `2MiB`: whole bytes, at most 1 GiB.
pub(crate) fn parse_size(text: &str) -> Result<usize, UnitError> {
    const EXPECTED: &str = "a size of at most 1GiB (like 64, 1KiB, 2MiB)";
    let Some((number, unit)) = split(text) else { return error(text, EXPECTED) };
    let scale = match unit {
        "" | "B" => 1.0,
        "k" | "kB" | "KB" => 1e3,
        "K" | "KiB" => 1024.0,
        "M" | "MB" => 1e6,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return error(text, EXPECTED),
    };
    match whole(number * scale) {
        Some(bytes) if bytes <= 1 << 30 => Ok(usize::try_from(bytes).expect("at most 2^30")),
        _ => error(text, EXPECTED),
    }
}

/// Parses `200`, `10k`, `1.5M`: a whole number.
pub(crate) fn parse_count(text: &str) -> Result<u64, UnitError> {
    const EXPECTED: &str = "a count (like 200, 10k, 1M)";
    let Some((number, unit)) = split(text) else { return error(text, EXPECTED) };
    let scale = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "m" | "M" => 1e6,
        _ => return error(text, EXPECTED),
    };
    match whole(number * scale) {
        Some(count) => Ok(count),
        None => error(text, EXPECTED),
    }
}

/// Parses `15000`, `10k/s`, `600/m`: events per second, more than none.
pub(crate) fn parse_rate(text: &str) -> Result<f64, UnitError> {
    const EXPECTED: &str = "a rate above zero and at most 100M/s (like 15000, 10k/s, 600/m)";
    let (amount, seconds) = match text.split_once('/') {
        None => (text, 1.0),
        Some((amount, "s")) => (amount, 1.0),
        Some((amount, "m" | "min")) => (amount, 60.0),
        Some(_) => return error(text, EXPECTED),
    };
    let Some((number, unit)) = split(amount) else { return error(text, EXPECTED) };
    let scale = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        _ => return error(text, EXPECTED),
    };
    let rate = number * scale / seconds;
    if rate > 0.0 && rate <= 1e8 { Ok(rate) } else { error(text, EXPECTED) }
}

/// A number without a fraction that an `f64` holds exactly.
fn whole(number: f64) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0; // 2^53
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)]
    ((0.0..=EXACT_MAX).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// CPU numbers, ascending, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuList(pub(crate) Vec<usize>);

/// The most CPUs a list may name: the size of the kernel's `cpu_set_t`.
const CPUS_MAX: usize = 1024;

/// Parses `0-3,6`.
pub(crate) fn parse_cpus(text: &str) -> Result<CpuList, UnitError> {
    const EXPECTED: &str = "a list of CPUs below 1024 (like 0-3,6)";
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>()) else {
            return error(text, EXPECTED);
        };
        if first > last || last >= CPUS_MAX {
            return error(text, EXPECTED);
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(CpuList(cpus))
}

/// A network of source addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    first: u32,
    /// How many addresses connections may use: all but the network's own and the broadcast address.
    hosts: u32,
}

impl Network {
    /// The n-th usable address, wrapping around.
    pub(crate) fn host(self, n: u64) -> Ipv4Addr {
        let offset = u32::try_from(n % u64::from(self.hosts)).expect("a remainder of a u32");
        Ipv4Addr::from(self.first + offset)
    }

    /// Whether all of it is loopback (127.0.0.0/8).
    pub(crate) fn is_loopback(self) -> bool {
        self.host(0).is_loopback() && Ipv4Addr::from(self.first + self.hosts - 1).is_loopback()
    }
}

/// Parses `127.1.0.0/16` or a single address.
pub(crate) fn parse_network(text: &str) -> Result<Network, UnitError> {
    const EXPECTED: &str = "an IPv4 network of /8 to /32 (like 127.1.0.0/16)";
    let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
    let (Ok(address), Ok(bits)) = (address.parse::<Ipv4Addr>(), bits.parse::<u32>()) else {
        return error(text, EXPECTED);
    };
    if !(8..=32).contains(&bits) {
        return error(text, EXPECTED);
    }
    let size = 1_u32 << (32 - bits).min(31);
    let base = u32::from(address) & !(size - 1);
    Ok(if size <= 2 {
        Network { first: u32::from(address), hosts: 1 }
    } else {
        Network { first: base + 1, hosts: size - 2 }
    })
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1234567.0` as `1.23M`, three significant digits.
pub(crate) fn short(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        n if n >= 1e9 => (number / 1e9, "G"),
        n if n >= 1e6 => (number / 1e6, "M"),
        n if n >= 1e4 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    if unit.is_empty() && scaled.fract() == 0.0 {
        return format!("{scaled:.0}");
    }
    let digits = match scaled.abs() {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

/// Nanoseconds as `812 ns`, `40.2 us`, `1.50 ms` or `2.00 s`.
pub(crate) fn latency(ns: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let number = ns as f64;
    match number {
        n if n < 1e3 => format!("{ns} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_units_and_are_bounded() {
        assert_eq!(parse_duration("500us"), Ok(Duration::from_micros(500)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "1x", "25h", "NaN", "1e3s", "inf", "1..2s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_whole_bytes() {
        assert_eq!(parse_size("64"), Ok(64));
        assert_eq!(parse_size("1KiB"), Ok(1024));
        assert_eq!(parse_size("0.5KiB"), Ok(512));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        for bad in ["0.3", "-1", "2GiB", "1XB", "99999999999999999999"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_and_rates_take_suffixes() {
        assert_eq!(parse_count("10k"), Ok(10_000));
        assert_eq!(parse_count("1.5M"), Ok(1_500_000));
        assert!(parse_count("1.5").is_err());
        assert_eq!(parse_rate("10k/s"), Ok(10_000.0));
        assert_eq!(parse_rate("600/m"), Ok(10.0));
        for bad in ["0", "0/s", "-5", "10/h", "1G"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cpu_lists_are_sorted_and_bounded() {
        assert_eq!(parse_cpus("6,0-2,1"), Ok(CpuList(vec![0, 1, 2, 6])));
        for bad in ["", "a", "3-1", "0-99999", "1,,2"] {
            assert!(parse_cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_give_usable_addresses_and_wrap() {
        let network = parse_network("127.1.0.0/16").expect("a network");
        assert_eq!(network.host(0), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(network.hosts, 65_534);
        assert_eq!(network.host(65_534), network.host(0));
        assert!(network.is_loopback());
        let single = parse_network("127.0.0.9").expect("an address");
        assert_eq!((single.host(5), single.hosts), (Ipv4Addr::new(127, 0, 0, 9), 1));
        assert!(!parse_network("10.0.0.0/8").expect("a network").is_loopback());
        for bad in ["127.0.0.0/7", "127.0.0/8", "::1", "127.0.0.1/33"] {
            assert!(parse_network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_printed_for_people() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
        assert_eq!(short(1_234_567.0), "1.23M");
        assert_eq!(short(9_800.0), "9800");
        assert_eq!(short(98_000.0), "98.0k");
        assert_eq!(latency(1_500_000), "1.50 ms");
        assert_eq!(latency(40_200), "40.2 us");
    }
}
