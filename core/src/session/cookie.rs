//! The session cookie: an id and what proves that we gave it out, `base64url(id).base64url(mac)`. A cookie without a good
//! mac is no cookie; there is nothing else in it, so nothing else can be forged.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codec::http::request::Head;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use shard::SessionId;

use crate::config::SessionSettings;

/// Writes and reads cookies and renewal tickets.
pub(super) struct Cookies {
    /// The first signs; all are believed.
    keys: Vec<Hmac<Sha256>>,
    /// Over plain connections, then over TLS.
    forms: [Form; 2],
}

/// How the cookie looks, by whether it is for TLS only.
struct Form {
    name: String,
    attributes: String,
}

impl Cookies {
    /// Cookies that these keys sign.
    pub(super) fn new(settings: &SessionSettings, keys: &[Vec<u8>]) -> Self {
        assert!(!keys.is_empty(), "somebody has to sign");
        let keyed = |key: &Vec<u8>| Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        // A connection that came by plain TCP may still have come by TLS, to a proxy: only the operator knows.
        let forms = [settings.cookie_secure, true].map(|is_secure| Form::new(settings, is_secure));
        Self { keys: keys.iter().map(keyed).collect(), forms }
    }

    /// The session that a request proves to be its own. Of several cookies of the name, as somebody on a neighbouring
    /// domain may have set one, the first that is good counts.
    ///
    /// # Errors
    /// [`BadCookie`] where there are cookies of the name, and none is good.
    pub(super) fn read(&self, is_tls: bool, head: &Head<'_>) -> Result<Option<SessionId>, BadCookie> {
        let form = &self.forms[usize::from(is_tls)];
        let pairs = head.headers.all("cookie").flat_map(|header| header.split(';'));
        let values = pairs.filter_map(|pair| {
            let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
            (name == form.name)
                .then(|| value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
        });
        let mut outcome = Ok(None);
        for value in values.take(CANDIDATES_MAX) {
            match self.verify(value) {
                Some(id) => return Ok(Some(id)),
                None => outcome = Err(BadCookie),
            }
        }
        outcome
    }

    /// The value of the `Set-Cookie` that gives a session to a client.
    pub(super) fn write(&self, is_tls: bool, id: SessionId) -> String {
        let form = &self.forms[usize::from(is_tls)];
        let mut cookie = String::with_capacity(form.name.len() + 67 + form.attributes.len());
        cookie.push_str(&form.name);
        cookie.push('=');
        let mac = self.keys[0].clone().chain_update(COOKIE).chain_update(id.bytes()).finalize().into_bytes();
        write!(cookie, "{id}.").expect("text");
        URL_SAFE_NO_PAD.encode_string(mac, &mut cookie);
        cookie.push_str(&form.attributes);
        cookie
    }

    /// A ticket with which a client fetches the cookie of a session, within a minute of `now`, in milliseconds of Unix
    /// time.
    pub(super) fn ticket(&self, id: SessionId, now: u64) -> String {
        let until = now + u64::try_from(TICKET_LIFE.as_millis()).expect("a minute");
        let mac = self.keys[0].clone().chain_update(TICKET).chain_update(id.bytes());
        let mac = mac.chain_update(until.to_be_bytes()).finalize().into_bytes();
        format!("{id}.{until}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// The session that a ticket is good for.
    pub(super) fn redeem(&self, ticket: &str, now: u64) -> Option<SessionId> {
        let (id, rest) = ticket.split_once('.')?;
        let (until, mac) = rest.split_once('.')?;
        let (id, until): (SessionId, u64) = (id.parse().ok()?, until.parse().ok()?);
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let signed = |key: &Hmac<Sha256>| {
            key.clone().chain_update(TICKET).chain_update(id.bytes()).chain_update(until.to_be_bytes())
        };
        let is_good = self.keys.iter().any(|key| signed(key).verify_slice(&mac).is_ok());
        (is_good && now < until).then_some(id)
    }

    fn verify(&self, value: &str) -> Option<SessionId> {
        let (id, mac) = value.split_once('.')?;
        let id: SessionId = id.parse().ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        let signed = |key: &Hmac<Sha256>| key.clone().chain_update(COOKIE).chain_update(id.bytes());
        self.keys.iter().any(|key| signed(key).verify_slice(&mac).is_ok()).then_some(id)
    }
}

impl Form {
    fn new(settings: &SessionSettings, is_secure: bool) -> Self {
        // RFC 6265bis section 4.1.3.2: a browser takes a name with this prefix only over TLS, from this very host, and so
        // nobody else can have set it.
        let (prefix, secure) = if is_secure { ("__Host-", "; Secure") } else { ("", "") };
        let age = settings.cookie_age.as_secs();
        Self {
            name: format!("{prefix}{}", settings.cookie_name),
            attributes: format!("; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"),
        }
    }
}

/// A cookie that nobody here has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadCookie;

/// What a mac is about: one for a cookie is none for a ticket.
const COOKIE: &[u8] = b"socketshard session cookie 1\0";
const TICKET: &[u8] = b"socketshard session ticket 1\0";

/// How long a ticket can be redeemed: for a page that fetches at once, on a slow network.
const TICKET_LIFE: Duration = Duration::from_secs(60);

/// Cookies of the name that are looked at, so that a head full of them is no work.
const CANDIDATES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use codec::http::HeaderStorage;
    use codec::http::request;

    use super::*;

    fn cookies(keys: &[&[u8]], is_secure: bool) -> Cookies {
        let settings = SessionSettings { cookie_secure: is_secure, ..SessionSettings::default() };
        Cookies::new(&settings, &keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>())
    }

    fn read(cookies: &Cookies, headers: &str) -> Option<SessionId> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 1 << 14).expect("good").expect("whole");
        cookies.read(false, &head).ok().flatten()
    }

    fn pair(cookies: &Cookies, id: SessionId) -> String {
        cookies.write(false, id).split_once(';').expect("attributes").0.to_owned()
    }

    const ID: SessionId = SessionId::new(*b"0123456789abcdef");

    #[test]
    fn a_cookie_proves_its_session_and_is_shut_to_scripts() {
        let cookies = cookies(&[b"key"], false);
        let written = cookies.write(false, ID);
        assert!(written.starts_with("session=MDEyMzQ1Njc4OWFiY2RlZg."), "{written}");
        assert!(written.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"), "{written}");
        let pair = pair(&cookies, ID);
        assert_eq!(read(&cookies, &format!("Cookie: {pair}\r\n")), Some(ID));
        assert_eq!(read(&cookies, &format!("cookie: a=b;{pair} ; c=\r\n")), Some(ID));
        let (name, value) = pair.split_once('=').expect("a pair");
        assert_eq!(read(&cookies, &format!("Cookie: {name}=\"{value}\"\r\n")), Some(ID));
        assert_eq!(read(&cookies, &format!("Cookie: x=y\r\nCookie: {pair}\r\n")), Some(ID));
    }

    #[test]
    fn bad_cookies_are_none_and_do_not_hide_a_good_one() {
        let good = cookies(&[b"key"], false);
        let pair_of = |id| pair(&good, id);
        let forged = pair(&cookies(&[b"other"], false), ID);
        let swapped = pair_of(ID).replace("MDEy", "MDEz");
        for bad in
            [forged.as_str(), &swapped, "session=", "session=.", "session", "session=a.b.c", ";;;=;", "Session=x"]
        {
            assert_eq!(read(&good, &format!("Cookie: {bad}\r\n")), None, "{bad}");
            assert_eq!(read(&good, &format!("Cookie: {bad}; {}\r\n", pair_of(ID))), Some(ID), "{bad} first");
        }
        let many = format!("{forged}; ").repeat(CANDIDATES_MAX);
        assert_eq!(read(&good, &format!("Cookie: {many}{}\r\n", pair_of(ID))), None, "no more than that are looked at");
        let cut = pair_of(ID);
        assert_eq!(read(&good, &format!("Cookie: {}\r\n", &cut[..cut.len() - 1])), None);
    }

    #[test]
    fn a_new_key_signs_and_the_old_one_is_still_believed() {
        let (old, both) = (cookies(&[b"old"], false), cookies(&[b"new", b"old"], false));
        let new = cookies(&[b"new"], false);
        assert_eq!(read(&both, &format!("Cookie: {}\r\n", pair(&old, ID))), Some(ID));
        assert_eq!(read(&new, &format!("Cookie: {}\r\n", pair(&both, ID))), Some(ID));
        assert_eq!(read(&old, &format!("Cookie: {}\r\n", pair(&both, ID))), None);
    }

    #[test]
    fn over_tls_the_name_keeps_neighbours_out() {
        let cookies = cookies(&[b"key"], true);
        let written = cookies.write(false, ID);
        assert!(written.starts_with("__Host-session=") && written.ends_with("; Secure"), "{written}");
        assert_eq!(read(&cookies, &format!("Cookie: {}\r\n", pair(&cookies, ID))), Some(ID));
        let plain = pair(&cookies, ID).replace("__Host-", "");
        assert_eq!(read(&cookies, &format!("Cookie: {plain}\r\n")), None);
    }

    #[test]
    fn a_connection_by_tls_has_the_cookie_of_tls_whatever_the_others_have() {
        let (plain, secure) = (cookies(&[b"key"], false), cookies(&[b"key"], true));
        assert_eq!(plain.write(true, ID), secure.write(false, ID));
        assert_eq!(secure.write(true, ID), secure.write(false, ID));
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", pair(&plain, ID));
        let mut storage = HeaderStorage::new();
        let (head, _) = request::parse(text.as_bytes(), &mut storage, 1 << 14).expect("good").expect("whole");
        assert_eq!((plain.read(false, &head), plain.read(true, &head)), (Ok(Some(ID)), Ok(None)));
    }

    #[test]
    fn a_ticket_is_good_for_a_minute_and_is_no_cookie() {
        let cookies = cookies(&[b"key"], false);
        let ticket = cookies.ticket(ID, 1_000);
        assert_eq!(cookies.redeem(&ticket, 1_000), Some(ID));
        assert_eq!(cookies.redeem(&ticket, 60_999), Some(ID));
        assert_eq!(cookies.redeem(&ticket, 61_000), None);
        let later = ticket.replacen(".61000.", ".99999.", 1);
        assert!(later != ticket && cookies.redeem(&later, 1_000).is_none());
        let (id, mac) = (ticket.split('.').next().expect("an id"), ticket.rsplit('.').next().expect("a mac"));
        assert_eq!(read(&cookies, &format!("Cookie: session={id}.{mac}\r\n")), None);
        for bad in ["", ".", "..", "a.b.c", id] {
            assert_eq!(cookies.redeem(bad, 0), None);
        }
    }
}
