//! Who may ask. A browser that was led here by a name that is not ours, or by a page, never; others by the key.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use codec::http::request::Head;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::app::error::{Error, Result};
use crate::config::AdminSettings;

/// What requests are judged by.
pub(crate) struct AdminAccess {
    /// The key's fingerprint; none: there is no key.
    key: Option<Fingerprint>,
    /// Names, beside addresses and `localhost`, by which this is known.
    hosts: Vec<String>,
}

type Fingerprint = hmac::digest::CtOutput<Hmac<Sha256>>;

/// Why there is no key.
#[derive(Debug)]
pub(crate) enum AdminKeyError {
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// It is too short to be safe.
    Short,
}

impl AdminAccess {
    /// As the settings say. Reads the key's file.
    pub(crate) fn open(settings: &AdminSettings) -> std::result::Result<Self, AdminKeyError> {
        let key = match (&settings.key, &settings.key_file) {
            (Some(key), _) => Some(key.reveal().to_owned()),
            (None, Some(path)) => {
                Some(std::fs::read_to_string(path).map_err(|error| AdminKeyError::File(path.clone(), error))?)
            }
            (None, None) => None,
        };
        let key = key.as_deref().map(str::trim);
        if key.is_some_and(|key| key.len() < KEY_BYTES_MIN) {
            return Err(AdminKeyError::Short);
        }
        Ok(Self { key: key.map(fingerprint), hosts: settings.hosts.clone() })
    }

    /// Whether a request can have been meant for us. A page that has had its name changed to our address is known by its
    /// name, and one of another origin by what its browser says.
    pub(super) fn admit(&self, head: &Head<'_>) -> Result {
        if !head.header("host").is_some_and(|host| self.knows(host)) {
            return Err(Error::new("MisdirectedRequestError", "this is not known by that name").with("statusCode", 421));
        }
        let site = head.header("sec-fetch-site");
        let is_own =
            site.is_none_or(|site| site.eq_ignore_ascii_case("same-origin") || site.eq_ignore_ascii_case("none"));
        if head.header("origin").is_some() || !is_own {
            return Err(Error::new("UnauthorizedError", "pages may not ask here"));
        }
        Ok(())
    }

    /// Whether a request shows the key, if there is one.
    pub(super) fn authorize(&self, head: &Head<'_>) -> Result {
        let Some(key) = &self.key else { return Ok(()) };
        let mut values = head.headers.all("authorization");
        let shown = values.next().filter(|_| values.next().is_none()).and_then(|value| value.split_once(' '));
        let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, shown)| shown.trim());
        // The fingerprints are compared in constant time.
        match shown {
            Some(shown) if fingerprint(shown) == *key => Ok(()),
            Some(_) => Err(Error::new("UnauthenticatedError", "this is not the key")),
            None => Err(Error::new("UnauthenticatedError", "the key is missing: Authorization: Bearer KEY")),
        }
    }

    pub(super) const fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn fingerprint(key: &str) -> Fingerprint {
    let mut hash = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key may have any length");
    hash.update(b"admin");
    hash.finalize()
}

/// As many as the hash gives.
const KEY_BYTES_MIN: usize = 32;

impl fmt::Debug for AdminAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AdminAccess").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl fmt::Display for AdminKeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(formatter, "--admin-key-file {}: {error}", path.display()),
            Self::Short => write!(
                formatter,
                "the admin listener's key is shorter than {KEY_BYTES_MIN} characters: make one with `openssl rand -hex 32`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use codec::http::{HeaderStorage, request};

    use super::*;
    use crate::config::Secret;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn access() -> AdminAccess {
        let (key, hosts) = (Some(Secret::new(KEY)), vec!["admin.example".to_owned()]);
        AdminAccess::open(&AdminSettings { key, hosts, ..AdminSettings::default() }).expect("a good key")
    }

    fn judged(headers: &str) -> (bool, bool) {
        let text = format!("GET /metrics HTTP/1.1\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 4_096).expect("good").expect("whole");
        (access().admit(&head).is_ok(), access().authorize(&head).is_ok())
    }

    #[test]
    fn only_names_that_are_ours_are_answered() {
        for host in ["127.0.0.1:9000", "10.0.0.1", "[::1]:9000", "[::1]", "LocalHost:1", "admin.example"] {
            assert!(judged(&format!("Host: {host}\r\n")).0, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "admin.example.evil", "localhost.evil:80"] {
            assert!(!judged(&format!("Host: {host}\r\n")).0, "{host}");
        }
        for page in ["Origin: http://127.0.0.1:9000", "Origin: null", "Sec-Fetch-Site: cross-site"] {
            assert!(!judged(&format!("Host: 127.0.0.1\r\n{page}\r\n")).0, "{page}");
        }
    }

    #[test]
    fn the_key_opens_and_nothing_else_does() {
        assert!(judged(&format!("Host: a\r\nAuthorization: bearer {KEY}\r\n")).1);
        let twice = format!("Bearer {KEY}\r\nAuthorization: Bearer {KEY}");
        for shown in ["Bearer", "Bearer ", &format!("Basic {KEY}"), &format!("Bearer {KEY}x"), &KEY[1..], &twice] {
            assert!(!judged(&format!("Host: a\r\nAuthorization: {shown}\r\n")).1, "{shown}");
        }
        assert!(!judged("Host: a\r\n").1);
        let short = AdminSettings { key: Some(Secret::new("guessed")), ..AdminSettings::default() };
        assert!(AdminAccess::open(&short).is_err());
        assert!(!format!("{:?}", access()).contains(KEY));
    }
}
