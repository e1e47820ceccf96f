//! Where a server is entered: its listeners, what each leads to, and what TLS is spoken with. All of it is there before
//! the first shard starts, so that what cannot be had is said at once. It never accepts.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use shard::Door;

use super::StartError;
use crate::config::Settings;
use crate::net::Listeners;
use crate::tls::TlsKeeper;

/// The ways in.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(super) listeners: Listeners,
    /// By listener.
    pub(super) doors: Vec<Door>,
    pub(super) tls: Option<Arc<TlsKeeper>>,
}

impl Entrance {
    /// Reads the certificates and listens, for that many shards.
    pub(super) fn open(settings: &Settings, shards: usize) -> Result<Self, StartError> {
        let tls = TlsKeeper::open(&settings.tls).map_err(StartError::Tls)?;
        let by_door = [(&settings.listen, Door::Plain), (&settings.tls.listen, Door::Tls)];
        let by_door = by_door
            .into_iter()
            .chain([(&settings.tls.redirect, Door::Redirect), (&settings.admin.listen, Door::Admin)]);
        let all = by_door.flat_map(|(addresses, door)| addresses.iter().map(move |address| (*address, door)));
        let (addresses, doors): (Vec<_>, Vec<_>) = all.unzip();
        let listeners = Listeners::bind(&addresses, shards, settings.backlog).map_err(StartError::Listen)?;
        Ok(Self { listeners, doors, tls })
    }

    /// The addresses as the start-up line has them: those with TLS as `https://…`, those that lead there as
    /// `redirect://…`, those for operators as `admin://…`.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (address, door) in self.addresses() {
            let scheme = match door {
                Door::Plain => "",
                Door::Tls => "https://",
                Door::Redirect => "redirect://",
                Door::Admin => "admin://",
            };
            let comma = if text.is_empty() { "" } else { "," };
            write!(text, "{comma}{scheme}{address}").expect("text");
        }
        text
    }

    /// The port of the first listener with TLS.
    pub(super) fn https_port(&self) -> Option<u16> {
        self.addresses().find(|(_, door)| *door == Door::Tls).map(|(address, _)| address.port())
    }

    fn addresses(&self) -> impl Iterator<Item = (SocketAddr, Door)> {
        self.listeners.addresses.iter().copied().zip(self.doors.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_is_described_by_what_it_leads_to() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let mut settings = Settings { listen: vec![any], ..Settings::default() };
        assert_eq!(Entrance::open(&settings, 1).expect("a free port").https_port(), None);
        settings.tls.listen = vec![any];
        settings.tls.redirect = vec![any];
        settings.tls.self_signed = true;
        let entrance = Entrance::open(&settings, 2).expect("free ports");
        let [plain, tls, redirect] = entrance.listeners.addresses[..] else { panic!("{entrance:?}") };
        assert_eq!(entrance.describe(), format!("{plain},https://{tls},redirect://{redirect}"));
        assert_eq!(entrance.https_port(), Some(tls.port()));
    }
}
