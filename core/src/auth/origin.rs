//! Origins: which pages may open a connection. A browser says in `Origin` where the script comes from that connects; all
//! other clients say nothing there, and no script can make a browser lie.
//!
//! A page is of the same origin when the host and the port of its origin are those of the request's `Host`, and the
//! scheme is `https` where TLS ends here: then `http` passes only with this very port written out, from where no page
//! comes, but old clients that know no other scheme. Elsewhere the scheme is not compared: behind a proxy that ends TLS, this server
//! cannot know which one the browser sees. It does decide which port is meant where none is written.

use codec::http::request::Head;

use crate::config::{AllowedOrigin, OriginSettings};

/// Which origins are let in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    settings: OriginSettings,
}

impl Origins {
    /// As these settings say.
    pub(crate) const fn new(settings: OriginSettings) -> Self {
        Self { settings }
    }

    /// What was set.
    pub(crate) const fn settings(&self) -> &OriginSettings {
        &self.settings
    }

    /// Whether the page that this request comes from may connect.
    pub(crate) fn admit(&self, is_tls: bool, head: &Head<'_>) -> bool {
        let mut origins = head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("origin"));
        let Some((_, origin)) = origins.next() else { return !self.settings.required };
        // Two of them are nobody's: a proxy and we could believe different ones.
        if origins.next().is_some() {
            return false;
        }
        let allows = |allowed: &AllowedOrigin| match allowed {
            AllowedOrigin::Any => true,
            AllowedOrigin::Exact(allowed) => allowed.eq_ignore_ascii_case(origin),
        };
        self.settings.allowed.iter().any(allows)
            || head.header("host").is_some_and(|host| is_same(is_tls, origin, host))
    }
}

/// Whether an origin is that of a host. `null`, which stands for a page without an origin, is nobody's.
fn is_same(is_tls: bool, origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" if !is_tls => "80",
        "http" => "",
        "https" => "443",
        _ => return false,
    };
    let (own, own_port) = split_port(authority);
    let (asked, asked_port) = split_port(host);
    let is_named = !default_port.is_empty() || (own_port.is_some() && asked_port.is_some());
    is_named
        && !own.is_empty()
        && own.eq_ignore_ascii_case(asked)
        && own_port.unwrap_or(default_port) == asked_port.unwrap_or(default_port)
}

/// The host, brackets included, and the port where there is one.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use codec::http::{HeaderStorage, request};

    use super::*;

    fn admits(settings: &OriginSettings, headers: &str) -> bool {
        let text = format!("GET /socketcluster/ HTTP/1.1\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 4_096).expect("good").expect("whole");
        Origins::new(settings.clone()).admit(false, &head)
    }

    #[test]
    fn a_page_of_the_same_origin_is_let_in_and_no_other() {
        let settings = OriginSettings::default();
        let same = [
            ("a.example", "http://a.example"),
            ("a.example", "https://a.example"),
            ("A.example:80", "http://a.EXAMPLE"),
            ("a.example:443", "https://a.example"),
            ("a.example", "http://a.example:80"),
            ("a.example:8000", "http://a.example:8000"),
            ("[::1]:8000", "http://[::1]:8000"),
            ("[::1]", "http://[::1]"),
        ];
        for (host, origin) in same {
            assert!(admits(&settings, &format!("Host: {host}\r\nOrigin: {origin}\r\n")), "{host} {origin}");
        }
        let other = [
            ("a.example", "http://b.example"),
            ("a.example", "http://a.example.evil"),
            ("a.example", "http://evil-a.example"),
            ("a.example", "http://a.example:8000"),
            ("a.example:8000", "http://a.example"),
            ("a.example:80", "https://a.example"),
            ("a.example", "null"),
            ("a.example", ""),
            ("a.example", "a.example"),
            ("a.example", "file://a.example"),
            ("a.example", "http://a.example/"),
            ("a.example", "http://user@a.example"),
            ("[::1]", "http://[::2]"),
        ];
        for (host, origin) in other {
            assert!(!admits(&settings, &format!("Host: {host}\r\nOrigin: {origin}\r\n")), "{host} {origin}");
        }
        assert!(!admits(&settings, "Host: a\r\nOrigin: http://a\r\nOrigin: http://b\r\n"));
    }

    #[test]
    fn over_tls_only_a_page_that_came_by_it_is_of_the_same_origin() {
        let same = |origin| is_same(true, origin, "a.example");
        assert!(same("https://a.example") && same("https://a.example:443"));
        assert!(!same("http://a.example") && !same("http://a.example:443") && !same("https://a.example:80"));
        // PyPI's websocket-client of before 1.0 says `http` whatever it connects by.
        assert!(is_same(true, "http://a.example:8443", "a.example:8443"));
        assert!(!is_same(true, "http://a.example:8080", "a.example:8443"));
    }

    #[test]
    fn a_client_without_an_origin_passes_unless_one_is_required() {
        assert!(admits(&OriginSettings::default(), "Host: a\r\n"));
        let strict = OriginSettings { required: true, ..OriginSettings::default() };
        assert!(!admits(&strict, "Host: a\r\n"));
        assert!(admits(&strict, "Host: a\r\nOrigin: http://a\r\n"));
    }

    #[test]
    fn listed_origins_are_compared_whole_and_a_star_is_all() {
        let exact = AllowedOrigin::Exact("https://app.example:8443".to_owned());
        let settings = OriginSettings { allowed: vec![exact], required: true };
        for (origin, is_allowed) in [
            ("https://app.example:8443", true),
            ("https://APP.example:8443", true),
            ("http://app.example:8443", false),
            ("https://app.example", false),
            ("https://app.example:8443.evil", false),
            ("https://server.example", true),
        ] {
            let headers = format!("Host: server.example\r\nOrigin: {origin}\r\n");
            assert_eq!(admits(&settings, &headers), is_allowed, "{origin}");
        }
        let open = OriginSettings { allowed: vec![AllowedOrigin::Any], required: false };
        assert!(admits(&open, "Host: a\r\nOrigin: null\r\n") && admits(&open, "Host: a\r\nOrigin: http://b\r\n"));
    }
}
