//! The settings of listeners for operators and backends.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Secret;

/// Where operators and backends ask, and what they show; off while nothing listens for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// Addresses on which they are expected, in plain HTTP.
    pub listen: Vec<SocketAddr>,
    /// What they show. It excludes `key_file`.
    pub key: Option<Secret>,
    /// The file with what they show.
    pub key_file: Option<PathBuf>,
    /// Names by which they may know the addresses, beside the addresses themselves and `localhost`.
    pub hosts: Vec<String>,
}

/// An address that others than this machine can reach, though nothing has to be shown there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdminOpen(pub(crate) SocketAddr);

impl AdminSettings {
    /// Addresses that others than this machine can reach, though nothing has to be shown there.
    pub(super) fn open_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let has_key = self.key.is_some() || self.key_file.is_some();
        self.listen.iter().copied().filter(move |address| !has_key && !address.ip().to_canonical().is_loopback())
    }
}

impl fmt::Display for AdminOpen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(address) = self;
        write!(
            formatter,
            "--admin-listen {address} can be reached from other machines: give --admin-key-file, or listen on 127.0.0.1"
        )
    }
}
