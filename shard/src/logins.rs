//! Failed logins, counted by the address that they came from: above the limit no login from there is looked at until the
//! minute is over. Each shard counts its own connections' failures. Who is logged in stays so, and whatever else a client
//! asks for is done.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use codec::socketcluster::errors::WireError;
use foldhash::fast::FixedState;

use crate::seats::network_of;
use crate::shard::Shard;
use crate::{ConnectionId, Refusal, Time, TokenError};

/// The failures of one shard.
#[derive(Debug)]
pub(crate) struct Logins {
    failures_max: u32,
    /// Those that had one in the last minute, and some from before.
    addresses: HashMap<IpAddr, Failures, FixedState>,
    /// How many addresses there may be before those from before are dropped.
    tidy_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    began: Time,
    count: u32,
}

impl Failures {
    fn is_over(self, now: Time) -> bool {
        now.since(self.began) >= MINUTE
    }
}

impl Logins {
    /// None, if there is no limit.
    pub(crate) fn new(failures_max: u32, seed: u64) -> Option<Box<Self>> {
        let addresses = HashMap::with_hasher(FixedState::with_seed(seed));
        (failures_max != 0).then(|| Box::new(Self { failures_max, addresses, tidy_at: TIDY_MIN }))
    }

    /// How long no login from that address is looked at; `None`: it is.
    fn wait(&self, now: Time, address: IpAddr) -> Option<Duration> {
        let failures = self.addresses.get(&network_of(address))?;
        let is_blocked = failures.count >= self.failures_max && !failures.is_over(now);
        is_blocked.then(|| MINUTE.saturating_sub(now.since(failures.began)))
    }

    fn note(&mut self, now: Time, address: IpAddr) {
        if self.addresses.len() >= self.tidy_at {
            self.addresses.retain(|_, failures| !failures.is_over(now));
            self.tidy_at = TIDY_MIN.max(2 * self.addresses.len());
        }
        let failures = self.addresses.entry(network_of(address)).or_insert(Failures { began: now, count: 0 });
        if failures.is_over(now) {
            *failures = Failures { began: now, count: 0 };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

impl Shard {
    /// How long no login of this connection is looked at; counted as refused when it is not.
    pub(crate) fn login_wait(&mut self, now: Time, id: ConnectionId) -> Option<Duration> {
        let logins = self.logins.as_ref()?;
        let wait = logins.wait(now, self.connections.live(id)?.address.ip())?;
        self.metrics.logins_refused += 1;
        Some(wait)
    }

    /// Somebody has not shown to be who they say.
    pub(crate) fn note_failed_login(&mut self, now: Time, id: ConnectionId) {
        let Some(logins) = &mut self.logins else { return };
        let Some(connection) = self.connections.live(id) else { return };
        logins.note(now, connection.address.ip());
        self.metrics.logins_failed += 1;
    }

    /// As `note_failed_login`, for a token. One that was good once, or will be, is no attempt at anything.
    pub(crate) fn note_bad_token(&mut self, now: Time, id: ConnectionId, error: TokenError) {
        if !matches!(error, TokenError::Expired { .. } | TokenError::NotActive { .. } | TokenError::Missing) {
            self.note_failed_login(now, id);
        }
    }
}

/// The refusal of a token that is not looked at: the client keeps it.
pub(crate) fn too_many(wait: Duration) -> Refusal {
    let mut error = Vec::new();
    WireError::TooManyLogins { retry_after_ms: crate::meters::milliseconds(wait) }.write(&mut error);
    let error = String::from_utf8(error).expect("error objects are text").into();
    Refusal { error, code: 4008, status: 429 }
}

const MINUTE: Duration = Duration::from_secs(60);

/// Addresses that are kept without a look at their age: 60 KB.
const TIDY_MIN: usize = 1_024;

#[cfg(test)]
mod tests;
