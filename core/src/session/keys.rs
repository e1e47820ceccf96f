//! The keys that sign cookies: from a file, or made up at the start. They are never printed and never on a command line.

use std::fs;
use std::path::Path;

use super::SessionStartError;

/// The keys of a file: one in each line, the first signs; empty lines and those that begin with `#` are left out.
pub(super) fn read(path: &Path) -> Result<Vec<Vec<u8>>, SessionStartError> {
    let text = fs::read_to_string(path).map_err(|error| SessionStartError::KeyFile(path.to_owned(), error))?;
    parse(&text).map_err(|line| SessionStartError::Key(path.to_owned(), line))
}

/// A key for as long as this process lives.
pub(super) fn random() -> Result<Vec<Vec<u8>>, SessionStartError> {
    let mut key = vec![0; KEY_BYTES_MIN];
    getrandom::fill(&mut key).map_err(|error| SessionStartError::Random(error.to_string()))?;
    Ok(vec![key])
}

fn parse(text: &str) -> Result<Vec<Vec<u8>>, usize> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.len() < KEY_BYTES_MIN {
            return Err(index + 1);
        }
        keys.push(line.as_bytes().to_vec());
    }
    if keys.is_empty() { Err(0) } else { Ok(keys) }
}

/// As many as the hash gives: RFC 2104 section 3 calls shorter ones weak.
pub(super) const KEY_BYTES_MIN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_key_and_short_ones_are_refused_by_their_line() {
        let (first, second) = ("a".repeat(32), "b".repeat(40));
        let keys = parse(&format!("# ours\n\n {first} \n{second}\n"));
        assert_eq!(keys, Ok(vec![first.into_bytes(), second.into_bytes()]));
        assert_eq!(parse("# none\n"), Err(0));
        assert_eq!(parse(&format!("{}\nshort\n", "a".repeat(32))), Err(2));
    }

    #[test]
    fn made_up_keys_differ() {
        assert_ne!(random().expect("randomness"), random().expect("randomness"));
    }
}
