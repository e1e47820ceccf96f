//! How many subscriptions those may have together, on this shard, who share an address or a user. What a user's
//! connections have is counted with the user; addresses are counted here, and only where a limit is set. Other shards
//! count for themselves: an exact count would put a question to another shard before each subscription.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use codec::socketcluster::errors::WireError;
use foldhash::fast::FixedState;

use crate::seats::network_of;
use crate::shard::Shard;

/// Subscriptions on one shard. Zero is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Of all connections from one address; of IPv6 the first 64 bits count.
    pub per_address: u32,
    /// Of all connections of one user. Who logs in brings along what it has.
    pub per_user: u32,
}

/// Subscriptions by address. None where no limit is set.
#[derive(Debug)]
pub(crate) struct Quotas(HashMap<IpAddr, u32, FixedState>);

impl Quotas {
    pub(crate) fn new(limits: QuotaLimits, seed: u64) -> Option<Box<Self>> {
        (limits.per_address != 0).then(|| Box::new(Self(HashMap::with_hasher(FixedState::with_seed(seed)))))
    }

    fn of(&self, address: SocketAddr) -> u32 {
        self.0.get(&network_of(address.ip())).copied().unwrap_or(0)
    }

    /// One more.
    pub(crate) fn take(&mut self, address: SocketAddr) {
        *self.0.entry(network_of(address.ip())).or_default() += 1;
    }

    /// One less.
    pub(crate) fn give_back(&mut self, address: SocketAddr) {
        let network = network_of(address.ip());
        let Some(taken) = self.0.get_mut(&network) else { return };
        *taken -= 1;
        if *taken == 0 {
            self.0.remove(&network);
            if self.0.len() < self.0.capacity() / 8 {
                self.0.shrink_to(self.0.len() * 2);
            }
        }
    }

    /// The sum over all addresses, for checks.
    pub(crate) fn total(&self) -> usize {
        self.0.values().map(|taken| *taken as usize).sum()
    }
}

impl Shard {
    /// Why a connection from this address, and of this user, may not subscribe once more, though it has room itself.
    pub(crate) fn quota_reached(&self, address: SocketAddr, user: u32) -> Option<WireError<'static>> {
        let QuotaLimits { per_address, per_user } = self.limits.quotas;
        let refused = |message| Some(WireError::Custom { name: "BrokerError", message });
        if per_user != 0 && self.users.get(user).is_some_and(|user| user.subscriptions >= per_user) {
            return refused("too many subscriptions of this user");
        }
        if self.quotas.as_ref().is_some_and(|quotas| quotas.of(address) >= per_address) {
            return refused("too many subscriptions from this address");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::world::{Client, World};

    fn world(quotas: QuotaLimits) -> World {
        World::new(2, Limits { quotas, ..Limits::default() })
    }

    /// Whether a client is subscribed after it has asked.
    fn subscribe(world: &mut World, client: Client, channel: &str) -> Result<(), String> {
        let call = format!(r##"{{"event":"#subscribe","data":{{"channel":"{channel}"}},"cid":2}}"##);
        match world.ask(client, &call).expect("an answer").as_str() {
            r#"{"rid":2}"# => Ok(()),
            refusal => Err(refusal.to_owned()),
        }
    }

    fn unsubscribe(world: &mut World, client: Client, channel: &str) {
        let call = format!(r##"{{"event":"#unsubscribe","data":"{channel}","cid":3}}"##);
        assert_eq!(world.ask(client, &call).as_deref(), Some(r#"{"rid":3}"#));
    }

    #[test]
    fn connections_from_one_address_share_their_subscriptions() {
        let mut world = world(QuotaLimits { per_address: 3, per_user: 0 });
        let clients = [0; 2].map(|shard| world.member(shard, "10.0.0.1"));
        for (client, channel) in [(0, "a"), (1, "a"), (1, "b")] {
            assert_eq!(subscribe(&mut world, clients[client], channel), Ok(()));
        }
        let refusal = subscribe(&mut world, clients[0], "c").expect_err("a fourth");
        assert_eq!(
            refusal,
            r#"{"rid":2,"error":{"message":"too many subscriptions from this address","name":"BrokerError"}}"#
        );
        assert_eq!(subscribe(&mut world, clients[1], "a"), Ok(()), "it has that already");
        let [stranger, far] = [(0, "10.0.0.2"), (1, "10.0.0.1")].map(|(shard, address)| world.member(shard, address));
        assert_eq!(subscribe(&mut world, stranger, "c"), Ok(()));
        assert_eq!(subscribe(&mut world, far, "c"), Ok(()), "each shard counts for itself");
        world.end(clients[1]);
        assert_eq!(subscribe(&mut world, clients[0], "c"), Ok(()), "what has left leaves room");
        assert_eq!(world.shards[0].metrics().subscriptions_refused, 1);
        world.shards.iter().for_each(Shard::check);
    }

    #[test]
    fn connections_of_one_user_share_their_subscriptions_from_the_login_to_the_logout() {
        let mut world = world(QuotaLimits { per_address: 0, per_user: 2 });
        let clients = ["10.0.0.1", "10.0.0.2"].map(|address| world.member(0, address));
        for channel in ["a", "b", "c"] {
            assert_eq!(subscribe(&mut world, clients[0], channel), Ok(()), "a stranger has no such limit");
        }
        for client in clients {
            world.send(client, r##"{"event":"#authenticate","data":"good","cid":9}"##);
        }
        for client in clients {
            let refusal = subscribe(&mut world, client, "d").expect_err("three were brought along");
            assert!(refusal.contains("too many subscriptions of this user"), "{refusal}");
        }
        unsubscribe(&mut world, clients[0], "a");
        unsubscribe(&mut world, clients[0], "b");
        assert_eq!(subscribe(&mut world, clients[1], "d"), Ok(()));
        assert!(subscribe(&mut world, clients[0], "e").is_err());
        world.shards[0].check();
        world.send(clients[0], r##"{"event":"#removeAuthToken"}"##);
        assert_eq!(subscribe(&mut world, clients[0], "e"), Ok(()), "nobody's");
        assert_eq!(subscribe(&mut world, clients[1], "f"), Ok(()), "the other has taken its own along");
        world.shards[0].check();
    }

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().expect("an address"), 1)
    }

    #[test]
    fn an_address_is_counted_by_what_one_customer_has_and_forgotten_at_zero() {
        let mut quotas = Quotas::new(QuotaLimits { per_address: 3, per_user: 0 }, 1).expect("there is a limit");
        let (one, other, far) = (address("2001:db8::1"), address("2001:db8::2"), address("2001:db8:0:1::1"));
        quotas.take(one);
        quotas.take(other);
        quotas.take(address("::ffff:192.0.2.1"));
        assert_eq!((quotas.of(one), quotas.of(far), quotas.of(address("192.0.2.1"))), (2, 0, 1));
        quotas.give_back(other);
        quotas.give_back(one);
        quotas.give_back(far);
        assert_eq!((quotas.of(one), quotas.total(), quotas.0.len()), (0, 1, 1));
        assert!(Quotas::new(QuotaLimits { per_address: 0, per_user: 5 }, 1).is_none());
    }
}
