//! The way back of an answer: what of a request its response depends on, beyond what was asked.

use codec::http::request::Head;
use codec::http::response;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::app::error::Error;
use crate::config::{AllowedOrigin, OriginSettings};

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    is_head: bool,
    keep_alive: bool,
    /// The page's origin that may read the answer, and whether it may do so in its visitor's name.
    reader: Option<(Box<str>, bool)>,
    cookie: Option<Box<str>>,
}

impl Way {
    /// That of a request whose origin, if it says one, was let in.
    pub(crate) fn of(head: &Head<'_>, keep_alive: bool, cookie: Option<&str>, origins: &OriginSettings) -> Self {
        let reader = reader(head, origins);
        Self { is_head: head.method == "HEAD", keep_alive, reader, cookie: cookie.map(Into::into) }
    }

    /// Writes a response of JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>, status: u16, extra: &[(&str, &str)], json: &[u8]) {
        let kind = ("Content-Type", "application/json; charset=utf-8");
        self.respond(out, status, &[&[kind], extra].concat(), json);
    }

    /// Writes a response that says what may be asked, for a page of another origin and for whoever wants to know.
    pub(crate) fn write_options(&self, out: &mut Vec<u8>, allow: &str) {
        let mut headers = vec![("Allow", allow)];
        if self.reader.is_some() {
            headers.extend([
                ("Access-Control-Allow-Methods", allow),
                ("Access-Control-Allow-Headers", "authorization, content-type"),
                ("Access-Control-Max-Age", "600"),
            ]);
        }
        self.respond(out, 204, &headers, b"");
    }

    /// Writes an error, with the status that its name has, or the one that it says itself.
    pub(crate) fn write_error(&self, out: &mut Vec<u8>, error: &Error, extra: &[(&str, &str)]) {
        let mut json = Vec::new();
        error.write(&mut json);
        self.write_error_json(out, &json, 400, extra);
    }

    /// As `write_error`, for an error object and a status for what only the application has a name for.
    pub(crate) fn write_error_json(&self, out: &mut Vec<u8>, json: &[u8], other: u16, extra: &[(&str, &str)]) {
        let status = status(json).unwrap_or(other);
        let mut headers = extra.to_vec();
        if status == 503 || status == 429 {
            headers.push(("Retry-After", "1"));
        }
        self.write(out, status, &headers, json);
    }

    fn respond(&self, out: &mut Vec<u8>, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let mut all = headers.to_vec();
        all.extend([("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")]);
        all.extend(self.cookie.as_deref().map(|cookie| ("Set-Cookie", cookie)));
        if let Some((origin, is_named)) = &self.reader {
            all.push(("Access-Control-Allow-Origin", origin));
            all.push(("Access-Control-Expose-Headers", "Auth-Token"));
            if *is_named {
                all.extend([("Access-Control-Allow-Credentials", "true"), ("Vary", "Origin")]);
            }
        }
        if self.is_head {
            response::write_head(out, status, &all, body.len(), self.keep_alive);
        } else {
            response::write(out, status, &all, body, self.keep_alive);
        }
    }
}

/// The page's origin that may read the answer to a request, and whether it may do so in its visitor's name.
pub(crate) fn reader(head: &Head<'_>, origins: &OriginSettings) -> Option<(Box<str>, bool)> {
    let origin = head.header("origin")?;
    let mut is_any = false;
    for allowed in &origins.allowed {
        match allowed {
            AllowedOrigin::Exact(allowed) if allowed.eq_ignore_ascii_case(origin) => {
                return Some((origin.into(), true));
            }
            AllowedOrigin::Exact(_) => {}
            AllowedOrigin::Any => is_any = true,
        }
    }
    is_any.then(|| ("*".into(), false))
}

/// What an error object says of itself.
#[derive(Deserialize)]
struct ErrorObject<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow, rename = "statusCode")]
    status: Option<&'a RawValue>,
}

/// The status of an error: its own `statusCode`, or that of its name.
fn status(json: &[u8]) -> Option<u16> {
    let error: ErrorObject<'_> = serde_json::from_slice(json).ok()?;
    let own = error.status.and_then(|status| status.get().parse().ok());
    if let Some(own) = own.filter(|own| (400..600).contains(own)) {
        return Some(own);
    }
    Some(match error.name?.get().trim_matches('"') {
        "UnauthenticatedError"
        | "ClaimsError"
        | "AuthTokenInvalidError"
        | "AuthTokenExpiredError"
        | "AuthTokenNotBeforeError"
        | "AuthTokenError" => 401,
        "UnauthorizedError" => 403,
        "NotFoundError" | "UnknownActionError" => 404,
        "RateLimitError" | "TooManyLoginsError" | "TooManyCallsError" => 429,
        "InternalError" | "ActionFailedError" => 500,
        "BusyError" => 503,
        "TimeoutError" => 504,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_status_of_its_name_or_its_own() {
        let of = |error: Error| {
            let mut json = Vec::new();
            error.write(&mut json);
            status(&json)
        };
        assert_eq!(of(Error::unauthenticated()), Some(401));
        assert_eq!(of(Error::unauthorized()), Some(403));
        assert_eq!(of(Error::not_found("x")), Some(404));
        assert_eq!(of(Error::busy()), Some(503));
        assert_eq!(of(Error::new("TeapotError", "x")), None);
        assert_eq!(of(Error::new("TeapotError", "x").with("statusCode", 418)), Some(418));
        assert_eq!(of(Error::new("TeapotError", "x").with("statusCode", 200)), None);
        assert_eq!(of(Error::new("TeapotError", "x").with("statusCode", "599")), None);
        assert_eq!(status(b"\"text\""), None);
    }
}
