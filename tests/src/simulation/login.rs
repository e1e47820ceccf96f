//! Tokens and logins of the simulation: what was minted, who a connection must be taken for, and whether what a shard
//! says of it is right. A token names its client, the packet that presents it and its number: `3.17.5`.

use std::time::Duration;

use shard::{Caller, Time, TokenError, Verified};

use super::people::USERS;
use super::record::Record;

/// Every token of a run.
#[derive(Default)]
pub(super) struct Mint {
    minted: Vec<Option<Time>>,
}

/// A token presented: by whom, in which packet, and what it is worth.
pub(super) struct Presented {
    pub(super) client: usize,
    pub(super) index: u64,
    pub(super) outcome: Result<Verified, TokenError>,
}

/// Who a connection is, as its application knows it.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) claims: String,
    pub(super) expires: Option<Time>,
    pub(super) user: Option<Box<str>>,
    /// When it was decided.
    pub(super) at: Time,
    /// The packet that logged in, or one before it.
    pub(super) since: u64,
    /// It was set by the application at a time of its own, so that `since` is only a bound.
    pub(super) is_late: bool,
}

/// What became of a token that a client presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenVerdict {
    Good,
    Bad,
    Refused,
    Pending,
}

impl Mint {
    /// A new token's number.
    pub(super) fn mint(&mut self, expires: Option<Time>) -> usize {
        self.minted.push(expires);
        self.minted.len() - 1
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.minted.len()
    }

    /// As the application verifies it.
    pub(super) fn verify(&self, now: Time, token: &str) -> Presented {
        let mut parts = token.split('.').map(|part| part.parse::<u64>().ok());
        let mut part = || parts.next().flatten();
        let (client, index, number) = (part(), part(), part());
        let (client, index) = client.zip(index).unwrap_or_else(|| panic!("a mangled token: {token}"));
        let known = number.and_then(|number| usize::try_from(number).ok()).filter(|number| *number < self.minted.len());
        let outcome = match known.map(|number| self.minted[number]) {
            None => Err(TokenError::Signature),
            Some(Some(expires)) if expires <= now => Err(TokenError::Expired { expiry_ms: 0 }),
            Some(expires) => {
                let lifetime = expires.map(|expires| expires.since(now));
                Ok(verified(token, lifetime))
            }
        };
        Presented { client: usize::try_from(client).expect("few clients"), index, outcome }
    }
}

/// The token that client `client` presents in packet `index`.
pub(super) fn token(client: usize, index: u64, number: usize) -> String {
    format!("{client}.{index}.{number}")
}

/// What a token comes to: several clients are one user, and one is nobody's.
pub(super) fn verified(token: &str, lifetime: Option<Duration>) -> Verified {
    let client = token.split('.').next().and_then(|client| client.parse::<usize>().ok());
    let user = client.map(|client| USERS[client % USERS.len()]).filter(|user| !user.is_empty()).map(Into::into);
    Verified { claims: claims(token).into(), user, lifetime }
}

/// What a token says.
pub(super) fn claims(token: &str) -> String {
    format!("{{\"token\":\"{token}\"}}")
}

impl Record {
    /// The shard says who the connection is, in the call that packet `index` has caused (where that is known).
    pub(super) fn check_claims(&mut self, now: Time, caller: Caller<'_>, index: Option<u64>) {
        let (client, claims) = (self.client, caller.claims);
        let Some(login) = &mut self.login else {
            assert!(caller.user.is_none(), "client {client} has no login, but counts as {:?}", caller.user);
            return assert!(claims.is_none(), "client {client} has no login, but counts as {claims:?}");
        };
        let is_over = login.expires.is_some_and(|expires| expires <= now);
        // Only what it said before this packet counts; where that is not known, all of it may.
        let mut logouts = self.logouts.range(login.since + 1..index.unwrap_or(u64::MAX));
        assert!(
            claims.is_none_or(|claims| !self.ended.contains(claims)),
            "client {client} has {claims:?} after its end"
        );
        match claims {
            Some(claims) => {
                assert_eq!(claims, login.claims, "client {client} counts as another");
                assert_eq!(caller.user, login.user.as_deref(), "client {client} counts as another user");
                assert!(!is_over, "client {client} counts as {claims} after that has expired");
                let is_out = index.is_some() && !login.is_late && logouts.next().is_some();
                assert!(!is_out, "client {client} counts as {claims} after it has logged out");
                if let Some(index) = index {
                    // What it said before has not ended this login.
                    login.since = login.since.max(index);
                    login.is_late = false;
                }
            }
            None => {
                let may_be_out = is_over || logouts.next().is_some();
                assert!(may_be_out, "client {client} is {login:?} and counts as nobody");
                assert!(caller.user.is_none(), "client {client} counts as nobody, but as {:?}", caller.user);
                assert!(self.ended.contains(&login.claims), "client {client} is nobody, and no one was told of it");
                self.login = None;
            }
        }
    }

    /// The application is told of a token that counts no more.
    pub(super) fn login_ended(&mut self, claims: &str) {
        assert!(self.ended.insert(claims.to_owned()), "client {}: {claims} has ended twice", self.client);
    }

    /// It is gone, and was this by then.
    pub(super) fn check_unended(&self, claims: Option<&str>) {
        let has_ended = claims.is_some_and(|claims| self.ended.contains(claims));
        assert!(!has_ended, "client {} leaves with {claims:?}, which had ended", self.client);
    }

    /// The application gives it a token. One that is not for a packet was made at a time of the application's own.
    pub(super) fn set_login(&mut self, now: Time, verified: &Verified) {
        let expires = verified.lifetime.map(|lifetime| now + lifetime);
        let (claims, since) = (String::from(&*verified.claims), self.heard_packet);
        let user = verified.user.clone();
        self.log_in(Login { is_late: claims.contains(".0."), claims, expires, user, at: now, since });
    }

    fn log_in(&mut self, login: Login) {
        self.users_ever.extend(login.user.clone());
        self.login = Some(login);
    }

    /// The user that it may be, and is unless it has logged out or its time is over.
    pub(super) fn user(&self) -> Option<&str> {
        self.login.as_ref().and_then(|login| login.user.as_deref())
    }

    /// Whether its login counts beyond doubt.
    pub(super) fn is_surely_in(&self, now: Time) -> bool {
        let Some(login) = &self.login else { return false };
        login.expires.is_none_or(|expires| expires > now) && self.logouts.range(login.since + 1..).next().is_none()
    }

    /// Since when it has its login.
    pub(super) fn login_at(&self) -> Time {
        self.login.as_ref().map_or(Time::ZERO, |login| login.at)
    }

    /// The application, or its keys, have decided about a token that was presented.
    pub(super) fn decide_token(&mut self, now: Time, login: Login, verdict: TokenVerdict) {
        self.token_verdicts.insert(login.since, (verdict, login.expires));
        let is_over = login.expires.is_some_and(|expires| expires <= now);
        match verdict {
            TokenVerdict::Good if !is_over => self.log_in(Login { at: now, ..login }),
            TokenVerdict::Good | TokenVerdict::Refused | TokenVerdict::Bad => self.login = None,
            TokenVerdict::Pending => {}
        }
    }

    /// What a shard answers to a handshake or to `#authenticate`, as data.
    pub(super) fn check_authenticated(&self, now: Time, index: u64, data: &str) {
        let says = data.contains("\"isAuthenticated\":true");
        let decided = self.token_verdicts.get(&index).copied();
        let is_right = match decided {
            // It may have ended while a hook was thinking.
            Some((TokenVerdict::Good, expires)) => says || expires.is_some_and(|expires| expires <= now),
            // An undecided hook has run out of time.
            Some((TokenVerdict::Refused | TokenVerdict::Pending | TokenVerdict::Bad, _)) => {
                !says && data.contains("\"authError\":{")
            }
            None => !says && !data.contains("authError"),
        };
        assert!(is_right, "client {}: packet {index} was {decided:?}, answered {data}", self.client);
    }
}
