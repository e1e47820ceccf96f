//! CPU lists as the kernel writes them: `0-7,9`. Whether this process may use those CPUs is not known here; the
//! start-up checks ask the kernel.

use std::fmt;

/// Why a text is not a CPU list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CpuListError {
    /// An item is neither a number nor a range of two.
    Item(String),
    /// A range runs backwards.
    Backwards(usize, usize),
    /// A CPU is named twice.
    Twice(usize),
    /// A number no kernel mask holds.
    TooLarge(usize),
}

impl fmt::Display for CpuListError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(item) => write!(formatter, "'{item}' is neither a CPU number nor a range: write 0-7,9"),
            Self::Backwards(first, last) => write!(formatter, "{first}-{last} runs backwards"),
            Self::Twice(cpu) => write!(formatter, "CPU {cpu} is named twice"),
            Self::TooLarge(cpu) => write!(formatter, "CPU {cpu} is above {CPU_MAX}"),
        }
    }
}

impl std::error::Error for CpuListError {}

/// CPU numbers, in the order in which shards get them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuList(pub(crate) Vec<usize>);

/// Reads a CPU list.
pub(crate) fn parse(text: &str) -> Result<CpuList, CpuListError> {
    let mut cpus = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = (number(first, item)?, number(last, item)?);
        if first > last {
            return Err(CpuListError::Backwards(first, last));
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return Err(CpuListError::Twice(cpu));
            }
            cpus.push(cpu);
        }
    }
    Ok(CpuList(cpus))
}

/// Writes a CPU list with its ranges joined.
pub(crate) fn format(cpus: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let item = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    ranges.into_iter().map(item).collect::<Vec<_>>().join(",")
}

fn number(digits: &str, item: &str) -> Result<usize, CpuListError> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let cpu = digits.parse().ok().filter(|_| plain).ok_or_else(|| CpuListError::Item(item.to_owned()))?;
    if cpu > CPU_MAX { Err(CpuListError::TooLarge(cpu)) } else { Ok(cpu) }
}

/// The last CPU that the C library's `cpu_set_t` of 1,024 bits can name.
const CPU_MAX: usize = 1023;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_read_in_their_order() {
        assert_eq!(parse("0-3,9"), Ok(CpuList(vec![0, 1, 2, 3, 9])));
        assert_eq!(parse("5,1"), Ok(CpuList(vec![5, 1])));
        assert_eq!(parse("7"), Ok(CpuList(vec![7])));
    }

    #[test]
    fn each_mistake_has_its_own_message() {
        for text in ["", "a", "0,", "0-", "-1", "0 -1", "0-1-2", "+1"] {
            assert!(matches!(parse(text), Err(CpuListError::Item(_))), "{text}");
        }
        assert_eq!(parse("3-1"), Err(CpuListError::Backwards(3, 1)));
        assert_eq!(parse("0-2,1"), Err(CpuListError::Twice(1)));
        assert_eq!(parse("0-4000000000"), Err(CpuListError::TooLarge(4_000_000_000)));
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["0-3,9", "5,1", "7", "0-1023"] {
            assert_eq!(format(&parse(text).expect("the test's own lists are right").0), text);
        }
    }
}
