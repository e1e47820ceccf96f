//! Key files as flags name them: `[NAME@][ALGORITHM:]FILE`. The files themselves are read when the server starts.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jsonwebtoken::Algorithm;

/// Where a key is, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The `kid` of tokens signed with it.
    pub name: Option<String>,
    /// What it signs and verifies with; none: as its kind does by default.
    pub(crate) algorithm: Option<Algorithm>,
    /// The file.
    pub path: PathBuf,
}

impl KeyFile {
    /// The key in this file, without a name, for the algorithm that its kind has by default: HS256 for a secret, RS256,
    /// ES256 (ES384 on that curve) or EdDSA for a key in PEM. For another, parse what the flag would be given.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { name: None, algorithm: None, path: path.into() }
    }
}

/// Reads a flag's value. A part before `@` or `:` that cannot be a name or an algorithm belongs to the path.
pub(crate) fn parse(text: &str) -> Result<KeyFile, &'static str> {
    let is_name = |name: &&str| {
        (1..=NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    let (name, rest) = match text.split_once('@') {
        Some((name, rest)) if is_name(&name) => (Some(name.to_owned()), rest),
        _ => (None, text),
    };
    let (algorithm, path) = match rest.split_once(':') {
        Some((algorithm, path)) => match Algorithm::from_str(algorithm) {
            Ok(algorithm) => (Some(algorithm), path),
            Err(_) if algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return Err("unknown algorithm: HS256, HS384, HS512, RS256, ES256 and EdDSA are known");
            }
            Err(_) => (None, rest),
        },
        None => (None, rest),
    };
    if path.is_empty() {
        return Err("the name of the file is missing");
    }
    Ok(KeyFile { name, algorithm, path: path.into() })
}

impl FromStr for KeyFile {
    type Err = &'static str;

    /// Reads `[NAME@][ALGORITHM:]FILE`, as the flag does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(formatter, "{name}@")?;
        }
        if let Some(algorithm) = self.algorithm {
            write!(formatter, "{algorithm:?}:")?;
        }
        write!(formatter, "{}", self.path.display())
    }
}

/// As long as a date and a word.
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_algorithms_stand_before_the_path() {
        for (text, name, algorithm, path) in [
            ("/etc/key", None, None, "/etc/key"),
            ("HS512:key", None, Some(Algorithm::HS512), "key"),
            ("2026-11@/etc/key", Some("2026-11"), None, "/etc/key"),
            ("new@EdDSA:/a:b@c", Some("new"), Some(Algorithm::EdDSA), "/a:b@c"),
            ("/mnt/a:b", None, None, "/mnt/a:b"),
            ("/mnt/a@b", None, None, "/mnt/a@b"),
        ] {
            let file = parse(text).expect("it is good");
            assert_eq!((file.name.as_deref(), file.algorithm, file.path.to_str()), (name, algorithm, Some(path)));
            assert_eq!(file.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(parse("").is_err());
        assert!(parse("new@").is_err());
        assert!(parse("none:/etc/key").is_err_and(|reason| reason.contains("unknown algorithm")));
    }
}
