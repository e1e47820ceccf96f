//! What a request shows in `Authorization`: a token, or a name and a password. It never judges them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codec::http::request::Head;

use crate::app::error::{Error, Result};

/// Who a caller says it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// It does not say.
    None,
    /// RFC 6750: a token of the server's.
    Bearer(Box<str>),
    /// RFC 7617: a name and a password, for a login module of the application.
    Basic(Box<str>, Box<str>),
}

impl Credentials {
    /// Those of a request.
    pub(super) fn of(head: &Head<'_>) -> Result<Self> {
        let mut values = head.headers.all("authorization");
        let Some(value) = values.next() else { return Ok(Self::None) };
        let malformed = || Error::new("UnauthenticatedError", "malformed Authorization header");
        let (scheme, rest) = value.split_once(' ').ok_or_else(malformed)?;
        if values.next().is_some() {
            return Err(malformed());
        }
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Self::Bearer(rest.into()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Error::new("UnauthenticatedError", "unknown kind of Authorization"));
        }
        let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(malformed)?;
        // The name has no colon, the password may have some.
        let (name, password) = decoded.split_once(':').ok_or_else(malformed)?;
        Ok(Self::Basic(name.into(), password.into()))
    }
}

#[cfg(test)]
mod tests {
    use codec::http::{HeaderStorage, request};

    use super::*;

    fn read(headers: &str) -> Option<Credentials> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 4_096).expect("good").expect("whole");
        Credentials::of(&head).ok()
    }

    #[test]
    fn tokens_and_passwords_are_read_and_nothing_else() {
        assert!(read("") == Some(Credentials::None));
        assert!(read("Authorization: Bearer a.b.c\r\n") == Some(Credentials::Bearer("a.b.c".into())));
        let basic = Some(Credentials::Basic("alice".into(), "a:b".into()));
        assert!(read("authorization: BASIC YWxpY2U6YTpi\r\n") == basic);
        for bad in ["Bearer", "Basic !!!", "Basic YWxpY2U=", "Digest a=b", "Basic /w==", "a\r\nAuthorization: b"] {
            assert!(read(&format!("Authorization: {bad}\r\n")).is_none(), "{bad}");
        }
    }
}
