//! The server under attack: where it is, which doors it has, how long it may take for what.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use super::args::Args;
use super::case::{Door, Seen, Time};
use super::member::Member;
use super::socket::Socket;
use super::wire::{Answer, Wire};
use crate::server::Address;

/// What every case is given.
#[derive(Clone)]
pub(crate) struct Stage {
    address: Address,
    tls: Option<SocketAddr>,
    doors: Vec<Door>,
    args: Args,
}

/// An offer of compression that every server that compresses agrees to.
pub(crate) const OFFER: (&str, &str) = ("Sec-WebSocket-Extensions", "permessage-deflate");

impl Stage {
    /// Finds the server and looks which doors it has.
    pub(crate) fn survey(args: Args) -> Result<Self, String> {
        let target = args.target.clone().unwrap_or_default();
        let address = Address::parse(&target)?;
        if address.is_tls {
            return Err(format!("target '{target}': the port that speaks TLS goes into --tls-address"));
        }
        let tls = args.tls_address.as_deref().map(resolve).transpose()?;
        let is_far = |address: &SocketAddr| !address.ip().is_loopback();
        if !args.i_own_this_target && (is_far(&address.socket) || tls.iter().any(is_far)) {
            return Err(format!(
                "{target} is not on this machine: say --i-own-this-target if it is yours and its network's people know"
            ));
        }
        let mut stage = Self { address, tls, doors: Vec::new(), args };
        stage.doors.extend(stage.tls.map(|_| Door::Tls));
        type Look = fn(&Stage) -> io::Result<bool>;
        let looks: [(Door, Look); 7] = [
            (Door::Http, |stage| Ok(stage.get(&stage.args.page_path, "")?.is_some_and(|answer| answer.status == 200))),
            (Door::Echo, |stage| Ok(Socket::echo(stage)?.served()? == Seen::Served)),
            (Door::SocketCluster, |stage| Ok(Member::open(stage)?.served()? == Seen::Served)),
            (Door::Polling, |stage| {
                Ok(stage.get(&stage.polling("&EIO=4"), "")?.is_some_and(|a| a.body.starts_with(b"0{")))
            }),
            (Door::Api, |stage| Ok(stage.get(&stage.args.api_path, "")?.is_some_and(|answer| answer.status == 200))),
            (Door::Cookie, |stage| Ok(stage.get("/", "")?.is_some_and(|page| page.header("set-cookie").is_some()))),
            (Door::Compression, |stage| {
                let socket = Socket::open(stage, stage.echo_path(), &[OFFER])?;
                Ok(socket.is_ok_and(|socket| socket.answer().header(OFFER.0).is_some()))
            }),
        ];
        stage.connect().map_err(|error| format!("{target}: {error}"))?;
        for (door, look) in looks {
            if look(&stage).unwrap_or(false) {
                stage.doors.push(door);
            }
        }
        Ok(stage)
    }

    /// Whether the server has that door.
    pub(crate) fn has(&self, door: Door) -> bool {
        self.doors.contains(&door)
    }

    /// The doors that it has.
    pub(crate) fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// The Host header.
    pub(crate) fn host(&self) -> &str {
        &self.address.host
    }

    pub(crate) fn echo_path(&self) -> &str {
        &self.args.echo_path
    }

    pub(crate) fn socketcluster_path(&self) -> &str {
        &self.args.socketcluster_path
    }

    pub(crate) fn page_path(&self) -> &str {
        &self.args.page_path
    }

    pub(crate) const fn max_calls(&self) -> usize {
        self.args.max_calls
    }

    pub(crate) fn api_path(&self) -> &str {
        &self.args.api_path
    }

    /// A request target of long-polling with that query behind it.
    pub(crate) fn polling(&self, query: &str) -> String {
        format!("{}?transport=polling{query}", self.args.polling_path)
    }

    /// Bytes of the longest message that the server takes.
    pub(crate) const fn message_bytes_max(&self) -> usize {
        self.args.max_message
    }

    /// What is waited for any answer.
    pub(crate) const fn patience(&self) -> Duration {
        self.args.timeout
    }

    /// When a case that ends by that time-out must be over.
    pub(crate) fn bound(&self, time: Time) -> Duration {
        // Cases of several steps wait for each.
        self.timeout(time) + 4 * self.args.timeout
    }

    /// How long to wait for what ends by that time-out.
    pub(crate) fn timeout(&self, time: Time) -> Duration {
        let args = &self.args;
        let quick = |said: Option<Duration>, short: u64, long: u64| {
            said.unwrap_or(Duration::from_millis(if args.quick { short } else { long }))
        };
        let close = quick(args.close_timeout, 500, 5_000);
        match time {
            Time::Answer => Duration::ZERO,
            Time::Handshake => quick(args.handshake_timeout, 500, 10_000),
            Time::Body => quick(args.body_timeout, 500, 30_000),
            Time::Close => close,
            // What ends a client that reads nothing: that time for each piece, then the goodbye's or the idle one's.
            Time::Send => {
                2 * quick(args.send_timeout, 1_000, 30_000) + close.max(quick(args.idle_timeout, 1_000, 60_000))
            }
        }
    }

    /// A fresh connection.
    pub(crate) fn connect(&self) -> io::Result<Wire> {
        Wire::connect(self.address.socket, self.args.timeout)
    }

    /// A fresh connection to the port that speaks TLS.
    pub(crate) fn connect_tls(&self) -> io::Result<Wire> {
        let address = self.tls.ok_or_else(|| io::Error::other("no port that speaks TLS was given"))?;
        Wire::connect(address, self.args.timeout)
    }

    /// Asks for a page, with further header lines; none when there was no answer.
    pub(crate) fn get(&self, target: &str, headers: &str) -> io::Result<Option<Answer>> {
        self.request("GET", target, headers, "")
    }

    /// Asks on a connection of its own.
    pub(crate) fn request(&self, method: &str, target: &str, headers: &str, body: &str) -> io::Result<Option<Answer>> {
        let mut wire = self.connect()?;
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n{length}{headers}\r\n", self.host());
        wire.send((head + body).as_bytes())?;
        Ok(wire.answer()?.ok())
    }

    /// A newcomer, after whatever has happened: served by the first door that there is.
    pub(crate) fn newcomer(&self) -> io::Result<Seen> {
        if self.has(Door::SocketCluster) {
            Member::open(self)?.served()
        } else if self.has(Door::Echo) {
            Socket::echo(self)?.served()
        } else {
            Ok(match self.get(self.page_path(), "")? {
                Some(answer) if answer.status == 200 => Seen::Served,
                Some(answer) => answer.seen(),
                None => Seen::Nothing,
            })
        }
    }
}

fn resolve(address: &str) -> Result<SocketAddr, String> {
    let found = address.to_socket_addrs().map_err(|error| format!("{address}: {error}"))?.next();
    found.ok_or_else(|| format!("{address} is nowhere"))
}
