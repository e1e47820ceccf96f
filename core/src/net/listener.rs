//! Listening sockets: one per address and shard, in one reuse-port group per address, all created before any shard
//! starts. It never accepts.
//!
//! Every option that matters is set here, because accepted sockets inherit it and a call per connection would cost more.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// The listeners of all shards.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// By shard, then by address.
    pub(crate) by_shard: Vec<Vec<Socket>>,
    /// The addresses, with the ports that the system picked.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whether another process may accept from the same sockets.
    pub(crate) are_shared: bool,
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub(crate) struct ListenError {
    /// The address as it was asked for.
    pub(crate) address: SocketAddr,
    /// What the system said.
    pub(crate) error: io::Error,
}

impl Listeners {
    /// Listens on every address, once per shard and in shard order, so that a shard's place in the group is its number.
    /// Port 0 is picked once per address and shared by the shards.
    #[cfg(test)]
    pub(crate) fn bind(addresses: &[SocketAddr], shards: usize, backlog: u32) -> Result<Self, ListenError> {
        let mut listeners = Self::none(shards);
        addresses.iter().try_for_each(|&address| listeners.listen(address, addresses, backlog))?;
        Ok(listeners)
    }

    /// No listener yet, for that many shards.
    pub(crate) fn none(shards: usize) -> Self {
        Self { by_shard: (0..shards).map(|_| Vec::new()).collect(), addresses: Vec::new(), are_shared: false }
    }

    /// Listens on one address more, which is one of `all`.
    pub(crate) fn listen(&mut self, asked: SocketAddr, all: &[SocketAddr], backlog: u32) -> Result<(), ListenError> {
        let failed = |error| ListenError { address: asked, error };
        // With the group's option alone a second server of the same user would quietly join the first one's port.
        if asked.port() != 0 {
            open(asked, all).and_then(|probe| probe.bind(&asked.into())).map_err(failed)?;
        }
        let mut address = asked;
        for shard in &mut self.by_shard {
            let socket = listen(address, all, backlog).map_err(failed)?;
            address = local_address(&socket).map_err(failed)?;
            shard.push(socket);
        }
        self.addresses.push(address);
        Ok(())
    }

    /// Has the kernel end connections whose peers acknowledge nothing for so long, or take nothing.
    pub(crate) fn give_up_after(&self, patience: Duration) -> Result<(), ListenError> {
        for shard in &self.by_shard {
            for (socket, address) in shard.iter().zip(&self.addresses) {
                let set = socket.set_tcp_user_timeout(Some(patience));
                set.map_err(|error| ListenError { address: *address, error })?;
            }
        }
        Ok(())
    }

    /// Takes over sockets that listen already, all on this address; how many listeners each shard has of it. The best is
    /// one socket of a reuse-port group for each shard. Shards beyond them share, and where there are more sockets than
    /// shards, a shard has several: nobody may wait in a queue that no shard looks at.
    pub(crate) fn adopt(&mut self, address: SocketAddr, sockets: &[Socket]) -> Result<usize, ListenError> {
        let failed = |error| ListenError { address, error };
        self.are_shared = true;
        let shards = self.by_shard.len();
        let rounds = sockets.len().div_ceil(shards);
        for socket in sockets {
            socket.set_tcp_nodelay(true).and_then(|()| socket.set_nonblocking(false)).map_err(failed)?;
        }
        for round in 0..rounds {
            for (index, shard) in self.by_shard.iter_mut().enumerate() {
                let socket = sockets.get(round * shards + index).unwrap_or(&sockets[index % sockets.len()]);
                shard.push(socket.try_clone().map_err(failed)?);
            }
            self.addresses.push(address);
        }
        Ok(rounds)
    }
}

/// Further handles of the same sockets: they go on listening when a shard has died that had them.
pub(crate) fn duplicate(sockets: &[Socket]) -> io::Result<Vec<Socket>> {
    sockets.iter().map(Socket::try_clone).collect()
}

impl fmt::Display for ListenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cannot listen on {}: {}", self.address, self.error)
    }
}

impl std::error::Error for ListenError {}

fn open(address: SocketAddr, all: &[SocketAddr]) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // `[::]` would take the IPv4 port too, and then a listener of its own for IPv4 would find it taken.
    if address.is_ipv6() && all.iter().any(|other| other.is_ipv4() && other.port() == address.port()) {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn listen(address: SocketAddr, all: &[SocketAddr], backlog: u32) -> io::Result<Socket> {
    let socket = open(address, all)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn shards_share_the_port_that_the_first_one_got() {
        let listeners = Listeners::bind(&[ANY, ANY], 3, 16).expect("free ports");
        assert_eq!(listeners.addresses.len(), 2);
        assert_ne!(listeners.addresses[0].port(), 0);
        assert_ne!(listeners.addresses[0], listeners.addresses[1]);
        for shard in &listeners.by_shard {
            let bound: Vec<_> = shard.iter().map(|socket| local_address(socket).expect("bound")).collect();
            assert_eq!(bound, listeners.addresses);
            assert!(shard.iter().all(|socket| socket.tcp_nodelay().expect("an option")));
        }
    }

    #[test]
    fn a_second_server_is_told_that_the_port_is_taken() {
        let first = Listeners::bind(&[ANY], 2, 16).expect("a free port");
        let error = Listeners::bind(&first.addresses, 2, 16).expect_err("it is taken");
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&first.addresses[0].to_string()));
    }

    #[test]
    fn sockets_that_were_handed_over_are_all_served_and_shared_where_they_are_too_few() {
        let port = |socket: &Socket| local_address(socket).expect("bound").port();
        let given = Listeners::bind(&[ANY], 3, 16).expect("a free port");
        let address = given.addresses[0];
        let given: Vec<_> = given.by_shard.into_iter().flatten().collect();
        for (shards, rounds) in [(1, 3), (2, 2), (3, 1), (5, 1)] {
            let mut listeners = Listeners::none(shards);
            assert_eq!(listeners.adopt(address, &given).expect("sockets that listen"), rounds);
            assert_eq!(listeners.addresses, vec![address; rounds]);
            assert!(listeners.by_shard.iter().all(|shard| shard.len() == rounds));
            assert!(listeners.by_shard.iter().flatten().all(|socket| port(socket) == address.port()));
            let mut cookies: Vec<_> =
                listeners.by_shard.iter().flatten().map(|socket| socket.cookie().expect("Linux")).collect();
            cookies.sort_unstable();
            cookies.dedup();
            assert_eq!(cookies.len(), 3, "each of them, whoever many shards there are");
        }
    }

    #[test]
    fn both_families_can_have_the_same_port() {
        let first = Listeners::bind(&["0.0.0.0:0".parse().expect("an address")], 1, 16).expect("a free port");
        let port = first.addresses[0].port();
        drop(first);
        let both = [SocketAddr::from(([0, 0, 0, 0], port)), SocketAddr::from(([0_u16; 8], port))];
        match Listeners::bind(&both, 2, 16) {
            Ok(listeners) => assert_eq!(listeners.addresses, both),
            // A machine without IPv6 says so; it must not say that the port is taken.
            Err(error) => assert_ne!(error.error.kind(), io::ErrorKind::AddrInUse),
        }
    }
}
