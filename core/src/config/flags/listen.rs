//! Where the server listens.

use std::net::{IpAddr, SocketAddr};

use clap::Args;

use crate::config::{address, count};

/// The group "Listen".
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Listen")]
pub(super) struct ListenFlags {
    /// Accept connections on this address (repeatable)
    ///
    /// Written host:port; the host is an IP address ([…] around IPv6), localhost, or * for all of this machine's.
    /// Port 0 lets the kernel choose; the line on standard output says what it chose. Takes the place of --host and
    /// --port. Change it to listen on several addresses, or on loopback only, behind a proxy.
    #[arg(
        short, long, value_name = "HOST:PORT", env = "SOCKETSHARD_LISTEN", value_delimiter = ',',
        value_parser = address::parse,
    )]
    pub(super) listen: Vec<SocketAddr>,

    /// Port to accept connections on
    ///
    /// Range: 0 to 65535; 0 lets the kernel choose. Change it when the port is taken, or to serve 80.
    #[arg(
        short, long, value_name = "PORT", env = "SOCKETSHARD_PORT", default_value = "8000",
        value_parser = count::within::<u16>(0..=65_535),
    )]
    pub(super) port: u16,

    /// Address to accept connections on
    ///
    /// An IP address, localhost, or * for all of this machine's IPv4 addresses. Change it to 127.0.0.1 behind a proxy,
    /// to :: for IPv6 as well.
    #[arg(long, value_name = "HOST", env = "SOCKETSHARD_HOST", default_value = "0.0.0.0", value_parser = address::host)]
    pub(super) host: IpAddr,

    /// Connections the kernel may hold, per listener, before they are accepted
    ///
    /// Range: 1 to 65535; the kernel cuts it to net.core.somaxconn. Raise both where crowds reconnect at once and
    /// clients see connection time-outs.
    #[arg(
        long, value_name = "COUNT", env = "SOCKETSHARD_BACKLOG", default_value = "4096",
        value_parser = count::within::<u32>(1..=65_535),
    )]
    pub(super) backlog: u32,
}
