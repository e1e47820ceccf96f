//! Environment variables that look like ours and are not: a misspelt `SOCKETSHARD_PROT` must not be ignored in silence.
//! It judges names only; the values are read with the flags.

use std::ffi::OsString;

/// What the name of each of our variables starts with.
pub(crate) const PREFIX: &str = "SOCKETSHARD_";

/// Those of `present` that are no variable of ours but nearly one, each with the one that was probably meant.
///
/// Names further away are left alone: orchestrators and other tools set variables with a service's name in front.
pub(crate) fn mistaken_variables<'a>(
    present: impl Iterator<Item = OsString>,
    known: &[&'a str],
) -> Vec<(String, &'a str)> {
    let ours = present.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with(PREFIX));
    let mut mistaken: Vec<_> = ours
        .filter(|name| !known.contains(&name.as_str()))
        .filter_map(|name| nearest(&name, known).map(|meant| (name, meant)))
        .collect();
    mistaken.sort();
    mistaken
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, meant) = known.iter().map(|meant| (distance(name, meant), *meant)).min()?;
    // One slip in a short name, two in a longer one.
    let slips = ((meant.len() - PREFIX.len()) / 3).clamp(1, 2);
    (distance <= slips).then_some(meant)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour to get from one to the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut before = vec![0; right.len() + 1];
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for i in 0..left.len() {
        let mut next = vec![i + 1];
        for j in 0..right.len() {
            let changed = row[j] + usize::from(left[i] != right[j]);
            let mut least = changed.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && left[i] == right[j - 1] && left[i - 1] == right[j] {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["SOCKETSHARD_PORT", "SOCKETSHARD_HOST", "SOCKETSHARD_TICK", "SOCKETSHARD_PING_INTERVAL"];

    fn mistaken(names: &[&str]) -> Vec<(String, &'static str)> {
        mistaken_variables(names.iter().map(OsString::from), KNOWN)
    }

    #[test]
    fn a_misspelt_variable_is_named_with_what_was_meant() {
        for (name, meant) in [
            ("SOCKETSHARD_PROT", "SOCKETSHARD_PORT"),
            ("SOCKETSHARD_PORTS", "SOCKETSHARD_PORT"),
            ("SOCKETSHARD_PING_INTERVALL", "SOCKETSHARD_PING_INTERVAL"),
            ("SOCKETSHARD_PING_INTRVL", "SOCKETSHARD_PING_INTERVAL"),
        ] {
            assert_eq!(mistaken(&[name]), [(name.to_owned(), meant)]);
        }
    }

    #[test]
    fn right_names_and_names_of_others_are_left_alone() {
        let names = ["SOCKETSHARD_PORT", "SOCKETSHARD_SERVICE_HOST", "SOCKETSHARD_BIN", "SOCKETSHARD_", "PATH", "PROT"];
        assert_eq!(mistaken(&names), []);
    }
}
