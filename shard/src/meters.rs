//! What single clients ask for, against their share: the limiter that stops listening to whoever is over it, and the
//! buckets that answer with an error. Nothing here exists unless a limit is set, and then only for connections that ask
//! for something: a meter is dropped when its buckets are full again.

use std::time::Duration;

use codec::message::{CallId, ClientMessage};
use codec::socketcluster::errors::WireError;

use crate::rate::Bucket;
use crate::shard::Shard;
use crate::{ConnectionId, Disconnect, Host, Rate, Time};

/// How much single clients may ask for. All are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests of any kind in a second, above which a client is not heard any more; zero is no limit.
    pub requests_per_second: u32,
    /// How long it is not heard then; `None`: until it leaves.
    pub ban: Option<Duration>,
    /// Calls of actions, and messages on raw routes.
    pub calls: Rate,
    /// Publications.
    pub publications: Rate,
    /// Subscriptions and unsubscriptions.
    pub subscriptions: Rate,
    /// Requests by HTTP from one address, to this shard; those of long-polling are not counted.
    pub requests: Rate,
    /// Requests to the admin listener from one address, to this shard.
    pub admin: Rate,
    /// Failed logins of one address in a minute, of this shard's connections; zero is no limit.
    pub failed_logins_per_minute: u32,
}

impl RateLimits {
    const fn is_on(&self) -> bool {
        self.failed_logins_per_minute != 0
            || self.requests_per_second != 0
            || self.calls.is_on()
            || self.publications.is_on()
            || self.subscriptions.is_on()
    }
}

/// The meters of all connections that have one, by slot.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    slots: Vec<Option<Box<Meter>>>,
}

/// What one connection has asked for lately.
#[derive(Debug, Default)]
struct Meter {
    /// When the second began that requests are counted in.
    began: Time,
    requests: u32,
    /// Not heard until then.
    banned_until: Option<Time>,
    /// The operator knows of it.
    is_known: bool,
    calls: Bucket,
    publications: Bucket,
    subscriptions: Bucket,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Call,
    Publication,
    Subscription,
    /// What no bucket is for.
    Other,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metered {
    Heard,
    /// Nothing is said to the client; `true`: the operator has to be told.
    Ignored(bool),
    /// So long it has to wait.
    Refused(Duration),
}

impl Meters {
    /// None, if no limit is set: then nothing is ever counted.
    pub(crate) fn new(limits: &RateLimits) -> Option<Box<Self>> {
        limits.is_on().then(Box::default)
    }

    fn count(&mut self, slot: u32, now: Time, request: Request, limits: &RateLimits) -> Metered {
        let slot = slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot].get_or_insert_default().count(now, request, limits)
    }

    /// The connection is gone.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(meter) = self.slots.get_mut(slot as usize) {
            *meter = None;
        }
    }

    /// Drops the meter of a connection that rests.
    pub(crate) fn tidy(&mut self, slot: u32, now: Time) {
        if let Some(meter) = self.slots.get_mut(slot as usize)
            && meter.as_ref().is_some_and(|meter| meter.is_idle(now))
        {
            *meter = None;
        }
    }

    /// How many there are.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

impl Meter {
    fn count(&mut self, now: Time, request: Request, limits: &RateLimits) -> Metered {
        if limits.requests_per_second != 0
            && let Err(tells) = self.hear(now, limits)
        {
            return Metered::Ignored(tells);
        }
        let (bucket, rate) = match request {
            Request::Call => (&mut self.calls, limits.calls),
            Request::Publication => (&mut self.publications, limits.publications),
            Request::Subscription => (&mut self.subscriptions, limits.subscriptions),
            Request::Other => return Metered::Heard,
        };
        if !rate.is_on() {
            return Metered::Heard;
        }
        bucket.take(now, rate).map_or_else(Metered::Refused, |()| Metered::Heard)
    }

    /// The seeds' limiter. `Err`: the request is ignored, and whether the operator does not know yet.
    fn hear(&mut self, now: Time, limits: &RateLimits) -> Result<(), bool> {
        if let Some(until) = self.banned_until {
            if now < until {
                return Err(false);
            }
            *self = Self { is_known: self.is_known, ..Self::default() };
        }
        if self.requests == 0 || now.since(self.began) >= WINDOW {
            (self.began, self.requests) = (now, 0);
        }
        if self.requests < limits.requests_per_second {
            self.requests += 1;
            return Ok(());
        }
        let ban = limits.ban.unwrap_or(Duration::MAX);
        self.banned_until = Some(now + ban.max(WINDOW.saturating_sub(now.since(self.began))));
        Err(!std::mem::replace(&mut self.is_known, true))
    }

    fn is_idle(&self, now: Time) -> bool {
        let is_full = [self.calls, self.publications, self.subscriptions].iter().all(|bucket| bucket.is_full(now));
        is_full && !self.is_known && now.since(self.began) >= WINDOW
    }
}

impl Shard {
    /// Whether a message of an open SocketCluster connection may be acted upon; if not, whatever is to be said to it
    /// has been said. What keeps the connection alive or ends it always may.
    pub(crate) fn meter_message<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        message: &ClientMessage<'_>,
        host: &mut H,
    ) -> bool {
        let (request, call) = match message {
            ClientMessage::Invoke { call, .. } => (Request::Call, *call),
            ClientMessage::Publish { call, .. } => (Request::Publication, *call),
            ClientMessage::Subscribe { call, .. } | ClientMessage::Unsubscribe { call, .. } => {
                (Request::Subscription, *call)
            }
            ClientMessage::Authenticate { .. }
            | ClientMessage::RemoveAuthToken
            | ClientMessage::Malformed { .. }
            | ClientMessage::Handshake { .. }
            | ClientMessage::Unknown => (Request::Other, None),
            ClientMessage::Pong(_) | ClientMessage::Reply { .. } | ClientMessage::Disconnect { .. } => return true,
        };
        if let ClientMessage::Invoke { action, .. } = message
            && self.logins.is_some()
            && host.is_login(action)
            && let Some(wait) = self.login_wait(now, id)
        {
            self.refuse(id, call, &WireError::TooManyLogins { retry_after_ms: milliseconds(wait) });
            return false;
        }
        match self.meter(now, id, request, host) {
            None => true,
            Some(Metered::Refused(wait)) => {
                self.refuse_for(id, call, wait);
                false
            }
            Some(_) => false,
        }
    }

    /// As `meter_message`, for a message on a raw route. There is no error that such a client would understand: one
    /// that is over its rate is sent away.
    pub(crate) fn meter_raw<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) -> bool {
        match self.meter(now, id, Request::Call, host) {
            None => true,
            Some(Metered::Refused(_)) => {
                self.close(now, id, &Disconnect::new(1008, "too many messages"), host);
                false
            }
            Some(_) => false,
        }
    }

    /// As `meter_message`, for a WebSocket ping.
    pub(crate) fn meter_ping<H: Host>(&mut self, now: Time, id: ConnectionId, host: &mut H) -> bool {
        self.meter(now, id, Request::Other, host).is_none()
    }

    /// `None`: the request is within the limits, or there are none.
    fn meter<H: Host>(&mut self, now: Time, id: ConnectionId, request: Request, host: &mut H) -> Option<Metered> {
        let metered = self.meters.as_mut()?.count(id.slot, now, request, &self.limits.rates);
        match metered {
            Metered::Heard => return None,
            Metered::Refused(_) => self.metrics.requests_limited += 1,
            Metered::Ignored(tells) => {
                self.metrics.requests_ignored += 1;
                if tells && let Some(connection) = self.connections.live(id) {
                    let peer = connection.peer(id.slot);
                    self.metrics.clients_ignored += 1;
                    let public_id = self.public_id(id);
                    host.over_rate(peer, std::str::from_utf8(&public_id).expect("public ids are ASCII"));
                }
            }
        }
        Some(metered)
    }

    fn refuse_for(&mut self, id: ConnectionId, call: Option<CallId<'_>>, wait: Duration) {
        self.refuse(id, call, &WireError::RateLimited { retry_after_ms: milliseconds(wait) });
    }
}

/// Rounded up: who waits that long is heard.
pub(crate) fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// What requests of any kind are counted in.
const WINDOW: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
