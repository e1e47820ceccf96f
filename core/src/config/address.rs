//! Listening addresses as flags write them: `0.0.0.0:8000`, `[::1]:8000`, `localhost:8000`, `*:8000`, `:8000`. Names
//! are not looked up: a server that waits for a name server before it listens fails in new ways.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Why a text is not a listening address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// `host:port` without the port.
    PortMissing,
    /// The port is no number from 0 to 65535.
    Port(String),
    /// The host is a name.
    Name(String),
    /// An IPv6 address without its brackets.
    Brackets(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortMissing => write!(formatter, "the port is missing: write host:port"),
            Self::Port(port) => write!(formatter, "'{port}' is no port: use 0 to 65535"),
            Self::Name(name) => write!(formatter, "'{name}' is no IP address, and names are not looked up"),
            Self::Brackets(host) => write!(formatter, "write IPv6 addresses in brackets: [{host}]:8000"),
        }
    }
}

impl std::error::Error for AddressError {}

/// Reads `host:port`.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, AddressError> {
    let (host_text, port_text) = text.rsplit_once(':').ok_or(AddressError::PortMissing)?;
    if host_text.contains(':') && !host_text.starts_with('[') {
        return Err(AddressError::Brackets(if text.parse::<IpAddr>().is_ok() { text } else { host_text }.to_owned()));
    }
    if host_text.starts_with('[') && !host_text.ends_with(']') {
        return Err(AddressError::PortMissing);
    }
    let digits = !port_text.is_empty() && port_text.bytes().all(|byte| byte.is_ascii_digit());
    let port = port_text.parse().ok().filter(|_| digits).ok_or_else(|| AddressError::Port(port_text.to_owned()))?;
    Ok(SocketAddr::new(host(host_text)?, port))
}

/// Reads a host: an address, `localhost`, or `*` (or nothing) for every address of this machine.
pub(crate) fn host(text: &str) -> Result<IpAddr, AddressError> {
    match text {
        "" | "*" => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => {
            let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
            bare.parse().map_err(|_| AddressError::Name(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ways_to_write_an_address_are_read() {
        for (text, address) in [
            ("0.0.0.0:8000", "0.0.0.0:8000"),
            ("[::1]:80", "[::1]:80"),
            ("localhost:0", "127.0.0.1:0"),
            ("*:65535", "0.0.0.0:65535"),
            (":1", "0.0.0.0:1"),
        ] {
            assert_eq!(parse(text), Ok(address.parse().expect("the test's own addresses are right")), "{text}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_message() {
        assert_eq!(parse("127.0.0.1"), Err(AddressError::PortMissing));
        assert_eq!(parse("[::1]"), Err(AddressError::PortMissing));
        assert_eq!(parse("127.0.0.1:65536"), Err(AddressError::Port("65536".to_owned())));
        assert_eq!(parse("127.0.0.1:+80"), Err(AddressError::Port("+80".to_owned())));
        assert_eq!(parse("127.0.0.1:"), Err(AddressError::Port(String::new())));
        assert_eq!(parse("example.org:80"), Err(AddressError::Name("example.org".to_owned())));
        assert_eq!(parse("::1"), Err(AddressError::Brackets("::1".to_owned())));
        assert_eq!(parse("1.2.3.400:80"), Err(AddressError::Name("1.2.3.400".to_owned())));
    }
}
