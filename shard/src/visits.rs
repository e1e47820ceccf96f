//! Requests by HTTP, counted by the address that they come from: a client of HTTP may bring each on a connection of its own,
//! so that a connection's own meter would count to one. Each shard counts its own connections' requests. A WebSocket's
//! messages are counted elsewhere, and so is long-polling, whose clients have connections of the same kind.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use codec::http::request::Head;
use codec::http::response;
use codec::socketcluster::errors::WireError;
use foldhash::fast::FixedState;

use crate::meters::milliseconds;
use crate::rate::Bucket;
use crate::requests::Next;
use crate::seats::network_of;
use crate::shard::Shard;
use crate::{ConnectionId, Door, Host, Rate, Time};

/// The requests of one shard.
#[derive(Debug)]
pub(crate) struct Visits {
    rate: Rate,
    addresses: HashMap<IpAddr, Bucket, FixedState>,
    /// How many addresses there may be before those with full buckets are dropped.
    tidy_at: usize,
}

impl Visits {
    /// None, if there is no limit.
    pub(crate) fn new(rate: Rate, seed: u64) -> Option<Box<Self>> {
        let addresses = HashMap::with_hasher(FixedState::with_seed(seed));
        rate.is_on().then(|| Box::new(Self { rate, addresses, tidy_at: TIDY_MIN }))
    }

    fn take(&mut self, now: Time, address: IpAddr) -> Result<(), Duration> {
        if self.addresses.len() >= self.tidy_at {
            self.addresses.retain(|_, bucket| !bucket.is_full(now));
            self.tidy_at = TIDY_MIN.max(2 * self.addresses.len());
        }
        self.addresses.entry(network_of(address)).or_default().take(now, self.rate)
    }
}

impl Shard {
    /// Whether a request is one too many, or tries to log in where too many have failed. Then it is answered so, and not
    /// looked at.
    pub(crate) fn turns_away<H: Host>(
        &mut self,
        now: Time,
        id: ConnectionId,
        head: &Head<'_>,
        host: &mut H,
    ) -> Option<Next> {
        let connection = self.connections.live(id)?;
        let (address, is_admin) = (connection.address.ip(), connection.door == Door::Admin);
        let visits = if is_admin { &mut self.admin_visits } else { &mut self.visits };
        let mut wait = visits.as_mut().and_then(|visits| visits.take(now, address).err());
        let is_rate = wait.is_some();
        if wait.is_none() && !is_admin && self.logins.is_some() && host.tries_to_log_in(head) {
            wait = self.login_wait(now, id);
        }
        let retry_after_ms = milliseconds(wait?);
        let error = if is_rate {
            self.metrics.requests_limited += 1;
            WireError::RateLimited { retry_after_ms }
        } else {
            WireError::TooManyLogins { retry_after_ms }
        };
        let mut json = Vec::new();
        error.write(&mut json);
        let seconds = retry_after_ms.div_ceil(1_000).to_string();
        let headers = [
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
            ("Retry-After", &*seconds),
        ];
        let (keep_alive, is_head) = (head.keep_alive(), head.method == "HEAD");
        self.write(id, |out| {
            if is_head {
                response::write_head(out, 429, &headers, json.len(), keep_alive);
            } else {
                response::write(out, 429, &headers, &json, keep_alive);
            }
        });
        Some(self.request_answered(now, id, keep_alive, host))
    }
}

/// Addresses that are kept without a look at their buckets: 40 KB.
const TIDY_MIN: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Client, World};
    use crate::{Command, Limits, RateLimits};

    fn world(rates: RateLimits) -> World {
        World::new(1, Limits { rates, ..Limits::default() })
    }

    fn ask(world: &mut World, client: Client, target: &str) -> String {
        world.send_bytes(client, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        String::from_utf8(world.heard_bytes(client)).expect("text")
    }

    #[test]
    fn an_address_gets_what_it_may_whatever_it_connects_by() {
        let requests = Rate { per_second: 1, burst: 3 };
        let mut world = world(RateLimits { requests, ..RateLimits::default() });
        for _ in 0..3 {
            let client = world.accept(0, "10.0.0.1");
            assert!(ask(&mut world, client, "/").starts_with("HTTP/1.1 200 "));
        }
        let client = world.accept(0, "10.0.0.1");
        for target in ["/", "/sse?channel=news"] {
            let text = ask(&mut world, client, target);
            assert!(text.starts_with("HTTP/1.1 429 ") && text.contains("\r\nRetry-After: 1\r\n"), "{text}");
            assert!(text.contains("\"RateLimitError\""), "{text}");
        }
        let other = world.accept(0, "10.0.0.2");
        assert!(ask(&mut world, other, "/").starts_with("HTTP/1.1 200 "));
        world.member(0, "10.0.0.1"); // What is no request is not counted.
        world.wait(Duration::from_millis(1_100));
        assert!(ask(&mut world, client, "/").starts_with("HTTP/1.1 200 "), "on the same connection");
        assert_eq!(world.shards[0].metrics().requests_limited, 2);
    }

    #[test]
    fn passwords_are_not_looked_at_where_too_many_have_failed() {
        let mut world = world(RateLimits { failed_logins_per_minute: 2, ..RateLimits::default() });
        let client = world.accept(0, "10.0.0.1");
        for _ in 0..2 {
            assert!(ask(&mut world, client, "/login").starts_with("HTTP/1.1 200 "));
            world.command(0, Command::LoginFailed { connection: client.id });
        }
        let text = ask(&mut world, client, "/login");
        assert!(text.starts_with("HTTP/1.1 429 ") && text.contains("\"TooManyLoginsError\""), "{text}");
        assert!(ask(&mut world, client, "/").starts_with("HTTP/1.1 200 "), "who does not try is answered");
        let other = world.accept(0, "10.0.0.2");
        assert!(ask(&mut world, other, "/login").starts_with("HTTP/1.1 200 "));
        world.wait(Duration::from_secs(61));
        let later = world.accept(0, "10.0.0.1");
        assert!(ask(&mut world, later, "/login").starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn addresses_that_ask_no_more_are_forgotten() {
        let mut visits = Visits::new(Rate::per_second(10), 1).expect("a limit");
        for number in 0..10_000_u32 {
            let now = Time::from_micros(u64::from(number) * 1_000);
            visits.take(now, IpAddr::from(number.to_be_bytes())).expect("its first");
        }
        assert!(visits.addresses.len() <= 2 * TIDY_MIN, "{}", visits.addresses.len());
    }
}
