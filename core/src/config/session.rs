//! The settings of sessions that are no limits of a shard, and the name that a cookie may have.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How sessions are given out and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// The cookie's name, without the prefix that `cookie_secure` gives it.
    pub cookie_name: String,
    /// How long a browser keeps the cookie.
    pub cookie_age: Duration,
    /// Whether the cookie is for TLS only.
    pub cookie_secure: bool,
    /// Where the keys that sign are; none: a random key is made at the start.
    pub key_file: Option<PathBuf>,
    /// Where sessions are kept; none: in memory.
    pub store: Option<PathBuf>,
    /// Loads and saves that may wait for the store.
    pub store_queue: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            cookie_name: "session".to_owned(),
            cookie_age: Duration::from_secs(720 * 3_600),
            cookie_secure: false,
            key_file: None,
            store: None,
            // At 64 KiB each, the largest a session is by default, 640 MB; at the 200 bytes of a usual one, 2 MB.
            store_queue: 10_000,
        }
    }
}

/// A name that no cookie can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CookieNameError;

impl fmt::Display for CookieNameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a cookie's name is 1 to 64 letters, digits or marks, none of them a separator")
    }
}

impl std::error::Error for CookieNameError {}

/// Reads the name of a cookie: a token (RFC 6265 section 4.1.1) without the prefixes that browsers give a meaning.
pub(crate) fn cookie_name(text: &str) -> Result<String, CookieNameError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_reserved = text.starts_with("__");
    let is_good = (1..=64).contains(&text.len()) && text.bytes().all(is_token) && !is_reserved;
    if is_good { Ok(text.to_owned()) } else { Err(CookieNameError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_has_a_token_for_a_name() {
        for good in ["session", "a", "app.sid", "x-1_~"] {
            assert_eq!(cookie_name(good), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a=b", "a;b", "é", "__Host-session", &"a".repeat(65)] {
            assert_eq!(cookie_name(bad), Err(CookieNameError), "{bad}");
        }
    }
}
