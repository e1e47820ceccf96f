//! Where a server is entered: its listeners, what each leads to, and what TLS is spoken with. All of it is there before
//! the first shard starts, so that what cannot be had is said at once. It never accepts.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use shard::Door;
use socket2::Socket;

use super::StartError;
use crate::config::Settings;
use crate::net::{self, ListenError, Listeners};
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
    /// Reads the certificates and listens, for that many shards. The sockets of a door that were handed over stand in the
    /// place of the addresses in the settings.
    pub(super) fn open(settings: &Settings, shards: usize, inherited: Handed) -> Result<Self, StartError> {
        let offloads = settings.tls.is_on() && settings.tls.is_kernel_used;
        let suites = if offloads { net::kernel_tls_suites() } else { Vec::new() };
        let tls = TlsKeeper::open(&settings.tls, suites).map_err(StartError::Tls)?;
        let (listeners, doors) = Self::listen(settings, shards, inherited).map_err(StartError::Listen)?;
        Ok(Self { listeners, doors, tls })
    }

    /// Listens, and does not read anything: with what each listener leads to.
    pub(super) fn listen(
        settings: &Settings,
        shards: usize,
        mut inherited: Handed,
    ) -> Result<(Listeners, Vec<Door>), ListenError> {
        let by_door = [
            (&settings.listen, Door::Plain),
            (&settings.tls.listen, Door::Tls),
            (&settings.tls.redirect, Door::Redirect),
            (&settings.admin.listen, Door::Admin),
        ];
        let all: Vec<_> = by_door.iter().flat_map(|(addresses, _)| addresses.iter().copied()).collect();
        let (mut listeners, mut doors) = (Listeners::none(shards), Vec::new());
        for (addresses, door) in by_door {
            let given: Vec<_> = inherited.extract_if(.., |(of, ..)| *of == door).collect();
            if let Some((_, address, _)) = given.first().filter(|_| door != Door::Plain && addresses.is_empty()) {
                // Certificates and keys are asked for where a flag opens the door, and not without one.
                let error =
                    io::Error::new(io::ErrorKind::InvalidInput, "no flag opens the door that this socket is for");
                return Err(ListenError { address: *address, error });
            }
            for &address in addresses.iter().filter(|_| given.is_empty()) {
                listeners.listen(address, &all, settings.backlog)?;
                doors.push(door);
            }
            for (address, sockets) in by_address(given) {
                let count = listeners.adopt(address, &sockets)?;
                doors.extend(std::iter::repeat_n(door, count));
            }
        }
        listeners.give_up_after(settings.ack_patience())?;
        Ok((listeners, doors))
    }

    /// The addresses as the start-up line has them: those with TLS as `https://…`, those that lead there as
    /// `redirect://…`, those for operators as `admin://…`.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for (address, door) in self.addresses() {
            if last.replace((address, door)) == Some((address, door)) {
                continue; // Several sockets of one address.
            }
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

/// Sockets that were handed over.
pub(super) type Handed = Vec<(Door, SocketAddr, Socket)>;

fn by_address(given: Handed) -> Vec<(SocketAddr, Vec<Socket>)> {
    let mut groups: Vec<(SocketAddr, Vec<Socket>)> = Vec::new();
    for (_, address, socket) in given {
        match groups.iter_mut().find(|(known, _)| *known == address) {
            Some((_, sockets)) => sockets.push(socket),
            None => groups.push((address, vec![socket])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_is_described_by_what_it_leads_to() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let mut settings = Settings { listen: vec![any], ..Settings::default() };
        assert_eq!(Entrance::open(&settings, 1, Vec::new()).expect("a free port").https_port(), None);
        settings.tls.listen = vec![any];
        settings.tls.redirect = vec![any];
        settings.tls.self_signed = true;
        let entrance = Entrance::open(&settings, 2, Vec::new()).expect("free ports");
        let [plain, tls, redirect] = entrance.listeners.addresses[..] else { panic!("{entrance:?}") };
        assert_eq!(entrance.describe(), format!("{plain},https://{tls},redirect://{redirect}"));
        assert_eq!(entrance.https_port(), Some(tls.port()));
    }

    #[test]
    fn what_was_handed_over_for_a_door_stands_in_the_place_of_its_addresses() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let mut settings = Settings { listen: vec![any, any], ..Settings::default() };
        settings.tls.redirect = vec![any];
        let given = Listeners::bind(&[any], 3, 16).expect("a free port");
        let address = given.addresses[0];
        let handed = given.by_shard.into_iter().flatten().map(|socket| (Door::Plain, address, socket)).collect();
        let (listeners, doors) = Entrance::listen(&settings, 2, handed).expect("free ports");
        assert_eq!(doors, [Door::Plain, Door::Plain, Door::Redirect]);
        assert_eq!(listeners.addresses[..2], [address, address], "three sockets are two for one of two shards");
        assert_ne!(listeners.addresses[2].port(), address.port());
        let stray = Listeners::bind(&[any], 1, 16).expect("a free port");
        let stray = stray.by_shard.into_iter().flatten().map(|socket| (Door::Admin, any, socket)).collect();
        assert!(Entrance::listen(&settings, 1, stray).is_err(), "no key was asked for");
    }
}
