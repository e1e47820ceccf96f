//! Signs and verifies tokens (RFC 7519) with the server's keys. One for all shards: it is only read. The first key that
//! can sign does, all verify, so that a key is replaced by putting the new one before it for as long as tokens live.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codec::name::NameLimits;
use jsonwebtoken::{Header, decode, decode_header, encode};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use shard::{TokenError, Verified};

use super::key::{Key, KeyError};
use crate::config::AuthSettings;

/// The server's keys and what it does with them.
#[derive(Debug)]
pub(crate) struct Authority {
    keys: Vec<Key>,
    token_bytes_max: usize,
    token_lifetime: Duration,
    user_claim: String,
    /// Seconds since 1970; tests have their own.
    clock: fn() -> f64,
}

/// Why a token was not signed.
#[derive(Debug)]
pub(crate) enum SignError {
    /// All keys are public ones.
    NoKey,
    /// The claims are not a JSON object, or their `exp` is no number.
    Claims,
    /// The library's reason.
    Library(jsonwebtoken::errors::Error),
    /// It would be longer than this server reads.
    TooLong,
}

/// A token and what it says.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) token: Box<str>,
    pub(crate) verified: Verified,
}

/// The claims that are the server's business, of whatever type they are.
#[derive(Deserialize)]
struct Times {
    exp: Option<Value>,
    nbf: Option<Value>,
}

impl Authority {
    /// With the keys of these settings.
    pub(crate) fn new(settings: &AuthSettings) -> Result<Self, KeyError> {
        Ok(Self::with(Key::load(settings)?, settings))
    }

    /// With these keys.
    pub(crate) fn with(keys: Vec<Key>, settings: &AuthSettings) -> Self {
        let (token_bytes_max, token_lifetime) = (settings.token_bytes_max, settings.token_lifetime);
        let user_claim = settings.user_claim.clone();
        Self { keys, token_bytes_max, token_lifetime, user_claim, clock: seconds_since_epoch }
    }

    /// The same at another time.
    #[cfg(test)]
    pub(crate) fn at(self, clock: fn() -> f64) -> Self {
        Self { clock, ..self }
    }

    /// Judges a token, now.
    pub(crate) fn verify(&self, token: &str) -> Result<Verified, TokenError> {
        self.verify_at(token, (self.clock)())
    }

    /// Signs claims, now. They get `iat`, and `exp` unless they have one; `lifetime` stands in the place of the server's.
    pub(crate) fn sign(&self, claims: Map<String, Value>, lifetime: Option<Duration>) -> Result<Signed, SignError> {
        self.sign_at(claims, lifetime, (self.clock)())
    }

    /// As `verify`, at that time, in seconds. Cheap things first: a key is only used on what may be a token.
    pub(super) fn verify_at(&self, token: &str, now: f64) -> Result<Verified, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Missing);
        }
        if token.len() > self.token_bytes_max {
            return Err(TokenError::TooLong);
        }
        if token.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(TokenError::Malformed);
        }
        let header = decode_header(token).map_err(|_| TokenError::Undecodable)?;
        if header.crit.is_some() {
            return Err(TokenError::Undecodable); // It asks for what we do not understand (RFC 7515 section 4.1.11).
        }
        let claims = self.claims(token, &header)?;
        let lifetime = lifetime(&claims, now)?;
        Ok(Verified { user: user(&claims, &self.user_claim), claims, lifetime })
    }

    /// Whom claims are about.
    pub(crate) fn user(&self, claims: &str) -> Option<Box<str>> {
        user(claims, &self.user_claim)
    }

    /// The claims of a token that one of the keys has signed.
    fn claims(&self, token: &str, header: &Header) -> Result<Box<str>, TokenError> {
        use jsonwebtoken::errors::ErrorKind;
        let mut error = TokenError::Algorithm;
        for key in self.keys.iter().filter(|key| key.algorithm == header.alg) {
            let is_other = matches!((&key.name, &header.kid), (Some(own), Some(named)) if own != named);
            if is_other {
                error = TokenError::Signature;
                continue;
            }
            match decode::<Box<RawValue>>(token, &key.verifying, &key.validation) {
                Ok(token) if token.claims.get().starts_with('{') => return Ok(Box::<str>::from(token.claims)),
                Ok(_) => return Err(TokenError::Undecodable),
                Err(refusal) => match refusal.kind() {
                    ErrorKind::InvalidSignature => error = TokenError::Signature,
                    _ => return Err(TokenError::Undecodable),
                },
            }
        }
        Err(error)
    }

    /// As `sign`, at that time.
    pub(super) fn sign_at(
        &self,
        mut claims: Map<String, Value>,
        lifetime: Option<Duration>,
        now: f64,
    ) -> Result<Signed, SignError> {
        let signer = self.keys.iter().find_map(|key| Some((key, key.signing.as_ref()?)));
        let (key, signing) = signer.ok_or(SignError::NoKey)?;
        // Whole seconds, rounded down, as everybody writes them.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time after 1970")]
        let issued = now as u64;
        claims.entry("iat").or_insert(issued.into());
        let lifetime = lifetime.unwrap_or(self.token_lifetime);
        // At least one: a token that is over when it arrives would be of no use to anybody.
        claims.entry("exp").or_insert(issued.saturating_add(lifetime.as_secs().max(1)).into());
        let claims = to_raw_value(&claims).map_err(|_| SignError::Claims)?;
        let mut header = Header::new(key.algorithm);
        header.kid.clone_from(&key.name);
        let token = encode(&header, &claims, signing).map_err(SignError::Library)?.into_boxed_str();
        if token.len() > self.token_bytes_max {
            return Err(SignError::TooLong);
        }
        let claims = Box::<str>::from(claims);
        let lifetime = match self::lifetime(&claims, now) {
            Ok(lifetime) => lifetime,
            Err(TokenError::Expired { .. }) => Some(Duration::ZERO),
            Err(_) => return Err(SignError::Claims),
        };
        let user = user(&claims, &self.user_claim);
        Ok(Signed { token, verified: Verified { user, claims, lifetime } })
    }
}

/// How long claims are good from now on, with no leeway either way.
fn lifetime(claims: &str, now: f64) -> Result<Option<Duration>, TokenError> {
    let times: Times = serde_json::from_str(claims).map_err(|_| TokenError::Undecodable)?;
    let number = |value: Option<Value>, error| value.map(|value| value.as_f64().ok_or(error)).transpose();
    if let Some(not_before) = number(times.nbf, TokenError::NotBeforeMalformed)?
        && not_before > now
    {
        return Err(TokenError::NotActive { date_ms: milliseconds(not_before) });
    }
    let Some(expiry) = number(times.exp, TokenError::ExpiryMalformed)? else { return Ok(None) };
    if now >= expiry {
        return Err(TokenError::Expired { expiry_ms: milliseconds(expiry) });
    }
    // Beyond 500 billion years it is for ever.
    Ok(Duration::try_from_secs_f64(expiry - now).ok())
}

/// Whom claims are about: a text that can be a name, or a number.
fn user(claims: &str, claim: &str) -> Option<Box<str>> {
    let claims: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(claims).ok()?;
    let user = match serde_json::from_str(claims.get(claim)?.get()).ok()? {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    NameLimits::default().check_channel(&user).is_ok().then(|| user.into())
}

#[allow(clippy::cast_possible_truncation, reason = "a cast saturates, and what is out of range is written as null")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}

/// By the wall clock: tokens travel between machines.
fn seconds_since_epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl fmt::Display for SignError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => formatter.write_str("no key of the server can sign: all are public keys"),
            Self::Claims => formatter.write_str("the claims are not a JSON object with times that are numbers"),
            Self::Library(error) => write!(formatter, "the token cannot be signed: {error}"),
            Self::TooLong => formatter.write_str("the token is longer than --max-token"),
        }
    }
}

impl std::error::Error for SignError {}
