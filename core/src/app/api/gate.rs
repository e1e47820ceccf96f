//! Where a request to the API comes from, as far as its browser says. Browsers send cookies and remembered passwords
//! with whatever a page of any origin makes them ask; what such a page causes must not count as its visitor's doing.
//! Clients that are no browsers say nothing of this, and have nothing that was not given to them.

use codec::http::request::Head;

use crate::auth::Origins;

/// As what a request may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As whom its cookie and its credentials say.
    Own,
    /// As nobody: the browser does not say who made it ask.
    Nobody,
    /// Not at all: another origin made the browser ask.
    Foreign,
}

/// Judges a request.
pub(crate) fn standing(origins: &Origins, is_tls: bool, head: &Head<'_>) -> Standing {
    if head.header("origin").is_some() {
        return if origins.admit(is_tls, head) { Standing::Own } else { Standing::Foreign };
    }
    match head.header("sec-fetch-site") {
        Some(site) if site.eq_ignore_ascii_case("same-origin") || site.eq_ignore_ascii_case("none") => Standing::Own,
        Some(_) => Standing::Foreign,
        None if !origins.admit(is_tls, head) => Standing::Foreign, // They are required to say it.
        // Over plain HTTP browsers do not say who made them go to another page, and send `SameSite=Lax` cookies along.
        None if matches!(head.method, "GET" | "HEAD") && is_page_visit(head) => Standing::Nobody,
        None => Standing::Own,
    }
}

/// Whether a browser asks for a page to show, and not a script for data.
fn is_page_visit(head: &Head<'_>) -> bool {
    head.tokens("accept").any(|kind| kind.len() >= 9 && kind.as_bytes()[..9].eq_ignore_ascii_case(b"text/html"))
        || head.header("upgrade-insecure-requests").is_some()
}

#[cfg(test)]
mod tests {
    use codec::http::{HeaderStorage, request};

    use super::*;
    use crate::config::{AllowedOrigin, OriginSettings};

    fn judge(settings: &OriginSettings, method: &str, headers: &str) -> Standing {
        let text = format!("{method} /api/a HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 4_096).expect("good").expect("whole");
        standing(&Origins::new(settings.clone()), false, &head)
    }

    #[test]
    fn what_another_origin_causes_is_refused_or_nobodys() {
        let own = OriginSettings::default();
        for (method, headers, expected) in [
            ("GET", "", Standing::Own),
            ("POST", "", Standing::Own),
            ("GET", "Accept: */*\r\n", Standing::Own),
            ("POST", "Origin: http://a.example\r\n", Standing::Own),
            ("GET", "Sec-Fetch-Site: same-origin\r\n", Standing::Own),
            ("GET", "Sec-Fetch-Site: none\r\nAccept: text/html\r\n", Standing::Own),
            ("GET", "Sec-Fetch-Site: cross-site\r\n", Standing::Foreign),
            ("GET", "Sec-Fetch-Site: same-site\r\n", Standing::Foreign),
            ("POST", "Origin: http://b.example\r\n", Standing::Foreign),
            ("POST", "Origin: null\r\n", Standing::Foreign),
            ("POST", "Origin: http://b.example\r\nSec-Fetch-Site: same-origin\r\n", Standing::Foreign),
            ("POST", "Origin: http://a.example\r\nOrigin: http://b.example\r\n", Standing::Foreign),
            ("GET", "Accept: text/html,application/xhtml+xml\r\n", Standing::Nobody),
            ("GET", "Accept: image/avif, Text/HTML;q=0.9\r\n", Standing::Nobody),
            ("HEAD", "Upgrade-Insecure-Requests: 1\r\n", Standing::Nobody),
            // A form that is sent always says its origin.
            ("POST", "Accept: text/html\r\n", Standing::Own),
        ] {
            assert_eq!(judge(&own, method, headers), expected, "{method} {headers}");
        }
    }

    #[test]
    fn listed_origins_are_our_own_and_silence_may_be_forbidden() {
        let allowed = vec![AllowedOrigin::Exact("https://b.example".to_owned())];
        let settings = OriginSettings { allowed, required: true };
        assert_eq!(judge(&settings, "POST", "Origin: https://b.example\r\n"), Standing::Own);
        assert_eq!(judge(&settings, "POST", "Origin: https://c.example\r\n"), Standing::Foreign);
        assert_eq!(judge(&settings, "POST", ""), Standing::Foreign);
        assert_eq!(judge(&settings, "GET", "Sec-Fetch-Site: same-origin\r\n"), Standing::Own);
    }
}
