//! `ws://host:port/path`, or with TLS `wss://`, resolved. Never connects.

use std::net::{SocketAddr, ToSocketAddrs};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The address to connect to.
    pub(crate) socket: SocketAddr,
    /// The Host header.
    pub(crate) host: String,
    /// The path, if the URL has one.
    pub(crate) path: Option<String>,
    /// TLS is spoken there.
    pub(crate) is_tls: bool,
}

impl Address {
    /// Parses a URL and resolves its host (IPv4 first).
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let schemes = [("ws://", false), ("wss://", true), ("http://", false), ("https://", true)];
        let known = schemes.into_iter().find_map(|(scheme, is_tls)| Some((url.strip_prefix(scheme)?, is_tls)));
        let Some((rest, is_tls)) = known else {
            return Err(format!("target '{url}' must be a ws:// or wss:// address, like ws://127.0.0.1:8000"));
        };
        let (host, path) = match rest.find('/') {
            Some(at) => (&rest[..at], Some(rest[at..].to_owned()).filter(|path| path != "/")),
            None => (rest, None),
        };
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
        if !has_port || host.contains(['@', '?', '#']) {
            return Err(format!("target '{url}' needs a host and a port, like ws://127.0.0.1:8000"));
        }
        let mut addresses: Vec<SocketAddr> =
            host.to_socket_addrs().map_err(|error| format!("target '{url}': {error}"))?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let socket = addresses.first().copied().ok_or_else(|| format!("target '{url}' has no address"))?;
        Ok(Self { socket, host: host.to_owned(), path, is_tls })
    }

    /// A server of ours.
    pub(crate) fn of(socket: SocketAddr) -> Self {
        Self { socket, host: socket.to_string(), path: None, is_tls: false }
    }

    /// The host's name alone, as a certificate has it.
    pub(crate) fn name(&self) -> &str {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        name.trim_start_matches('[').trim_end_matches(']')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let address = Address::parse("ws://127.0.0.1:8000/chat/?a=1").expect("valid");
        assert_eq!(address.socket, SocketAddr::from(([127, 0, 0, 1], 8000)));
        assert_eq!((address.host.as_str(), address.path.as_deref()), ("127.0.0.1:8000", Some("/chat/?a=1")));
        assert_eq!(Address::parse("ws://[::1]:80/").expect("valid").path, None);
        assert!(Address::parse("ws://[::1]:80").expect("valid").socket.is_ipv6() && !address.is_tls);
        let secure = Address::parse("https://[::1]:443").expect("valid");
        assert!(secure.is_tls && secure.name() == "::1" && address.name() == "127.0.0.1");
        assert!(Address::parse("wss://localhost:1").expect("valid").is_tls);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "ftp://x:1", "ws//x:1", "ws://", "ws://host", "ws://host:0", "ws://host:99999", "ws://u@127.0.0.1:1"]
        {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
