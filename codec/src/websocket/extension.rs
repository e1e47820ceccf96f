//! Agreeing on permessage-deflate (RFC 7692 section 7.1), the server's side. An offer that we cannot keep is declined and
//! the next one looked at; when none is left the connection goes on without compression. Never refuses an upgrade.

use crate::http::request::Head;
use std::fmt;

/// The extension's name.
const NAME: &str = "permessage-deflate";

/// The smallest window that our compressor has; 8 bits are declined.
pub const WINDOW_BITS_MIN: u8 = 9;

/// The largest window of DEFLATE, 32 KiB, and what holds where nothing is said.
pub const WINDOW_BITS_MAX: u8 = 15;

/// What we are willing to agree to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The largest window, in bits, of either compressor; 9 to 15.
    pub window_bits_max: u8,
    /// Whether contexts may be kept between messages.
    pub takes_over: bool,
}

/// What both sides have agreed to. `Display` is the value of the answer's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Whether our compressor may refer to earlier messages.
    pub server_takes_over: bool,
    /// Whether the client's may.
    pub client_takes_over: bool,
    /// The window of our compressor, in bits.
    pub server_window_bits: u8,
    /// The window of the client's compressor, in bits.
    pub client_window_bits: u8,
    names_server_window: bool,
    names_client_window: bool,
}

/// One offer's parameters, each there at most once and with a value that it may have.
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// `Some(None)`: without a value.
    client_max_window_bits: Option<Option<u8>>,
}

/// The first offer of an upgrade that can be kept on these terms.
#[must_use]
pub fn agree(head: &Head<'_>, terms: Terms) -> Option<Agreement> {
    let offers = head.headers.all("sec-websocket-extensions").flat_map(|list| list.split(','));
    offers.filter_map(Offer::parse).find_map(|offer| offer.accept(terms))
}

impl Agreement {
    /// The same without contexts, which either side may ask of the other.
    #[must_use]
    pub const fn without_takeover(self) -> Self {
        Self { server_takes_over: false, client_takes_over: false, ..self }
    }
}

impl Offer {
    /// Reads one member of the list; none if it is another extension, or must be declined (section 7).
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(trim);
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut offer = Self::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (part, None),
            };
            offer.parameter(name, value)?;
        }
        Some(offer)
    }

    /// Takes in a parameter. Repeated, unknown and malformed ones make the offer one to decline.
    fn parameter(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        let is_new = match (name, value) {
            ("server_no_context_takeover", None) => !std::mem::replace(&mut self.server_no_context_takeover, true),
            ("client_no_context_takeover", None) => !std::mem::replace(&mut self.client_no_context_takeover, true),
            ("server_max_window_bits", Some(value)) => {
                self.server_max_window_bits.replace(window_bits(value)?).is_none()
            }
            ("client_max_window_bits", None) => self.client_max_window_bits.replace(None).is_none(),
            ("client_max_window_bits", Some(value)) => {
                self.client_max_window_bits.replace(Some(window_bits(value)?)).is_none()
            }
            _ => false,
        };
        is_new.then_some(())
    }

    fn accept(&self, terms: Terms) -> Option<Agreement> {
        let server_window_bits = self.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX).min(terms.window_bits_max);
        if server_window_bits < WINDOW_BITS_MIN {
            return None;
        }
        let offered = self.client_max_window_bits.map(|bits| bits.unwrap_or(WINDOW_BITS_MAX));
        let client_window_bits = offered.map_or(WINDOW_BITS_MAX, |bits| bits.min(terms.window_bits_max));
        Some(Agreement {
            server_takes_over: terms.takes_over && !self.server_no_context_takeover,
            client_takes_over: terms.takes_over && !self.client_no_context_takeover,
            server_window_bits,
            client_window_bits,
            names_server_window: self.server_max_window_bits.is_some() || server_window_bits < WINDOW_BITS_MAX,
            // Whoever has not offered it would have to fail the connection (section 7.1.2.2).
            names_client_window: offered.is_some() && client_window_bits < WINDOW_BITS_MAX,
        })
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(NAME)?;
        if !self.server_takes_over {
            formatter.write_str("; server_no_context_takeover")?;
        }
        if !self.client_takes_over {
            formatter.write_str("; client_no_context_takeover")?;
        }
        if self.names_server_window {
            write!(formatter, "; server_max_window_bits={}", self.server_window_bits)?;
        }
        if self.names_client_window {
            write!(formatter, "; client_max_window_bits={}", self.client_window_bits)?;
        }
        Ok(())
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A window's size: 8 to 15, in quotes or not, without leading zeroes (section 7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HEAD_BYTES_MAX, HeaderStorage, request};

    const ALL: Terms = Terms { window_bits_max: 15, takes_over: true };
    const SHARED: Terms = Terms { window_bits_max: 15, takes_over: false };

    /// What is answered to these header lines.
    fn answer_to(lines: &[&str], terms: Terms) -> Option<String> {
        let mut head = "GET / HTTP/1.1\r\nHost: x\r\n".to_owned();
        for line in lines {
            head += &format!("Sec-WebSocket-Extensions: {line}\r\n");
        }
        head += "\r\n";
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(head.as_bytes(), &mut storage, HEAD_BYTES_MAX).expect("good").expect("whole");
        agree(&head, terms).map(|agreement| agreement.to_string())
    }

    fn answer(offer: &str, terms: Terms) -> String {
        answer_to(&[offer], terms).unwrap_or_default()
    }

    #[test]
    fn what_is_offered_is_kept() {
        for (offer, answered) in [
            ("permessage-deflate", "permessage-deflate"),
            ("Permessage-Deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
            ("permessage-deflate;client_max_window_bits=10", "permessage-deflate; client_max_window_bits=10"),
            ("permessage-deflate;\tclient_max_window_bits = \"8\"", "permessage-deflate; client_max_window_bits=8"),
            ("permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
            ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
            ("permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
            ("permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
        ] {
            assert_eq!(answer(offer, ALL), answered, "{offer}");
        }
    }

    #[test]
    fn our_terms_are_said_where_the_client_has_to_know_them() {
        let none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        assert_eq!(answer("permessage-deflate", SHARED), none);
        let small = Terms { window_bits_max: 10, takes_over: true };
        assert_eq!(answer("permessage-deflate", small), "permessage-deflate; server_max_window_bits=10");
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits; server_max_window_bits=12", small),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=10"
        );
    }

    #[test]
    fn what_cannot_be_kept_is_declined_and_the_next_offer_looked_at() {
        for offer in [
            "x-webkit-deflate-frame",
            "permessage-bzip2",
            "permessage-deflate2",
            "permessage-deflate; unknown",
            "permessage-deflate; unknown=1",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=\"10",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=\"\"",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate;",
            "",
        ] {
            assert_eq!(answer_to(&[offer], ALL), None, "{offer}");
            let next = "permessage-deflate; client_no_context_takeover";
            assert_eq!(answer(&format!("{offer}, {next}, permessage-deflate"), ALL), next, "{offer}");
            assert_eq!(answer_to(&[offer, next], ALL).as_deref(), Some(next), "{offer} in a line of its own");
        }
        assert_eq!(answer_to(&[], ALL), None);
    }
}
