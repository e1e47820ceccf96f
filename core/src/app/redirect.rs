//! The answer of a door that only leads to another: the same URL, by https. It never opens anything.

use codec::http::request::Head;
use codec::http::response;

/// Answers any request with 308, so that whoever follows repeats it as it was.
pub(super) fn answer(port: Option<u16>, head: &Head<'_>, keep_alive: bool, out: &mut Vec<u8>) {
    let Some(host) = head.header("host").and_then(host_of) else {
        return response::write(out, 400, &[], b"nobody can be sent anywhere without a host\n", keep_alive);
    };
    let port = port.filter(|port| *port != HTTPS).map_or_else(String::new, |port| format!(":{port}"));
    let query = head.query.map_or_else(String::new, |query| format!("?{query}"));
    let location = format!("https://{host}{port}{}{query}", head.path);
    response::write(out, 308, &[("Location", &location)], b"", keep_alive);
}

/// The host without its port, if it is written with what hosts are written with.
fn host_of(header: &str) -> Option<&str> {
    let host = match header.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => header,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then_some(host)
}

const HTTPS: u16 = 443;

#[cfg(test)]
mod tests {
    use codec::http::{HeaderStorage, request};

    use super::*;

    fn answered(port: Option<u16>, text: &str) -> String {
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 4_096).expect("good").expect("whole");
        let mut out = Vec::new();
        answer(port, &head, true, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_url_stays_the_same_but_for_its_scheme_and_port() {
        for (port, host, location) in [
            (Some(443), "a.example", "https://a.example/chat?room=1"),
            (Some(8443), "a.example:8080", "https://a.example:8443/chat?room=1"),
            (Some(8443), "[::1]:80", "https://[::1]:8443/chat?room=1"),
            (None, "[::1]", "https://[::1]/chat?room=1"),
        ] {
            let answer = answered(port, &format!("GET /chat?room=1 HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
            assert!(answer.contains(&format!("Location: {location}\r\n")), "{answer}");
        }
    }

    #[test]
    fn without_a_host_there_is_nowhere_to_go() {
        assert!(answered(None, "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 400 "));
        for host in ["a.example/evil", "a@b", ":80", "a b", ""] {
            assert_eq!(host_of(host), None, "{host}");
        }
    }
}
