//! Origins as flags write them: `https://app.example`, `http://localhost:3000`, or `*` for all. Comparing them with what
//! a browser says is not done here.

use std::fmt;
use std::str::FromStr;

/// An origin whose pages may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Every one, `null` included.
    Any,
    /// This one: scheme, host and port, the port left out where it is the scheme's own.
    Exact(String),
}

/// Reads a flag's value. Browsers write an origin in one way only; what they would never write is a mistake.
pub(crate) fn parse(text: &str) -> Result<AllowedOrigin, String> {
    if text == "*" {
        return Ok(AllowedOrigin::Any);
    }
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://").ok_or("an origin begins with http:// or https://")?;
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Err("an origin begins with http:// or https://".to_owned()),
    };
    if let Some(at) = authority.find(['/', '?', '#']) {
        return Err(format!("an origin has no path: write {scheme}://{}", &authority[..at]));
    }
    if authority.contains('*') {
        return Err("a star stands alone, for all origins".to_owned());
    }
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if authority.is_empty() || !authority.bytes().all(plain) {
        return Err("an origin is a scheme, a host and a port: https://app.example:8443".to_owned());
    }
    Ok(AllowedOrigin::Exact(format!("{scheme}://{authority}")))
}

impl FromStr for AllowedOrigin {
    type Err = String;

    /// Reads an origin or `*`, as the flag does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Any => "*",
            Self::Exact(origin) => origin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_write_it() {
        for (text, kept) in [
            ("*", "*"),
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example:443", "https://app.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(parse(text).map(|origin| origin.to_string()), Ok(kept.to_owned()));
        }
    }

    #[test]
    fn what_no_browser_would_write_is_refused_with_the_right_way() {
        for (text, words) in [
            ("app.example", "begins with"),
            ("ws://app.example", "begins with"),
            ("https://app.example/", "write https://app.example"),
            ("https://*.example", "a star stands alone"),
            ("https://", "scheme, a host"),
            ("https://a b", "scheme, a host"),
            ("null", "begins with"),
        ] {
            let reason = parse(text).expect_err(text);
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }
}
