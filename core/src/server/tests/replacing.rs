//! Shards that die under real executors: a panic outside of the application's fence. They are replaced, the others and
//! their clients notice nothing, and whoever connects meanwhile is served.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use codec::websocket::{Opcode, encode, handshake};

use super::client::Client;
use super::host::{DEADLY, Echo};
use crate::config::Settings;
use crate::server::StartError;
use crate::server::entrance::Entrance;
use crate::server::executor::Executors;
use crate::server::placement::Placement;

/// Enough that every shard has some, but for one run in millions.
pub(super) const CLIENTS: usize = 24;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);

fn start(shards: usize, shard_restarts: u32) -> (Executors, SocketAddr) {
    let settings =
        Settings { listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], shard_restarts, ..Settings::default() };
    let entrance = Entrance::open(&settings, shards, Vec::new()).expect("a free port");
    let address = entrance.listeners.addresses[0];
    let placement = Placement { cpus: vec![0; shards], pinned: false };
    let executors = Executors::start(&settings, &placement, entrance, |_| Echo, || {}).expect("they start");
    (executors, address)
}

/// Has the shard of a client die, and waits until the connection is gone.
fn kill(mut client: Client) {
    client.send(DEADLY);
    let mut rest = Vec::new();
    match client.stream.read_to_end(&mut rest) {
        Ok(_) => assert!(rest.is_empty(), "it says no more"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

/// Waits until a shard that has died was replaced, or will not be.
pub(super) fn tend(executors: &mut Executors) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let before = executors.ended();
    while executors.ended() == before {
        assert!(Instant::now() < deadline, "nobody has died");
        if !executors.tend() {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// A subscriber of `news` that publishes there, too.
pub(super) struct Member {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Member {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.set_nodelay(true).expect("an option");
        let mut request = Vec::new();
        handshake::write_request(&mut request, "test", "/socketcluster/", *b"0123456789abcdef", &[]);
        stream.write_all(&request).expect("room for a request");
        let mut member = Self { stream, received: Vec::new() };
        member.say(r##"{"event":"#handshake","data":{},"cid":1}"##);
        member.await_words(r#""rid":1"#);
        member.say(r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##);
        member.await_words(r#""rid":2"#);
        member
    }

    pub(super) fn say(&mut self, text: &str) {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Text, [1, 2, 3, 4], text.as_bytes());
        self.stream.write_all(&frame).expect("room for a small frame");
    }

    pub(super) fn await_words(&mut self, words: &str) {
        assert!(self.hears(words), "the connection has ended");
    }

    /// Whether the words come before the end of the connection.
    pub(super) fn hears(&mut self, words: &str) -> bool {
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&self.received).contains(words) {
            match self.stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(length) => self.received.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("{words} do not come: {error}"),
            }
        }
        true
    }

    /// Everything that has come.
    pub(super) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    fn publish(&mut self, number: usize) {
        self.say(&format!(r##"{{"event":"#publish","data":{{"channel":"news","data":"number {number}."}}}}"##));
    }
}

#[test]
fn a_shard_that_dies_is_replaced_and_the_others_do_not_notice() {
    let (mut executors, address) = start(3, 5);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(address)).collect();
    kill(clients.pop().expect("there are some"));
    // Nobody listens in the place of the dead one yet: those who come there have to wait, and are not refused.
    let mut waiting: Vec<_> = (0..CLIENTS).map(|_| TcpStream::connect_timeout(&address, PATIENCE)).collect();
    assert!(tend(&mut executors));
    for stream in waiting.drain(..) {
        Client::upgrade(stream.expect("the port is never closed")).echo(b"here at last");
    }
    let survivors: Vec<_> = clients.iter_mut().filter_map(|client| client.try_echo(b"still here").ok()).collect();
    assert!(!survivors.is_empty() && survivors.len() < clients.len(), "{} of {}", survivors.len(), clients.len());
    for _ in 0..3 {
        kill(Client::connect(address));
        assert!(tend(&mut executors));
        Client::connect(address).echo(b"again");
    }
    drop(clients);
    executors.control.stop();
    executors.join().expect("all ends well");
}

#[test]
fn publications_cross_to_and_from_a_successor() {
    let (mut executors, address) = start(2, 5);
    let mut old: Vec<_> = (0..CLIENTS).map(|_| Member::connect(address)).collect();
    kill(Client::connect(address));
    assert!(tend(&mut executors));
    let mut new: Vec<_> = (0..CLIENTS).map(|_| Member::connect(address)).collect();
    for (number, member) in new.iter_mut().enumerate() {
        member.publish(number);
    }
    for member in &mut new {
        (0..CLIENTS).for_each(|number| member.await_words(&format!("number {number}.")));
    }
    let survivors = old.iter_mut().filter_map(|member| {
        let is_alive = member.hears("number 0.");
        is_alive.then(|| (1..CLIENTS).for_each(|number| member.await_words(&format!("number {number}."))))
    });
    let survivors = survivors.count();
    assert!(survivors > 0 && survivors < CLIENTS, "{survivors} have survived");
    drop((old, new));
    executors.control.stop();
    executors.join().expect("all ends well");
}

#[test]
fn a_server_whose_shards_do_not_stop_dying_ends_and_says_why() {
    let (mut executors, address) = start(2, 1);
    kill(Client::connect(address));
    assert!(tend(&mut executors), "one may");
    kill(Client::connect(address));
    assert!(!tend(&mut executors), "two may not");
    executors.control.stop();
    let error = executors.join().expect_err("it has failed");
    let StartError::ShardFailed { message, .. } = &error else { panic!("{error}") };
    assert!(message.contains("as it was told to") && message.contains("host.rs:"), "{message}");
}

#[test]
fn the_only_shard_is_replaced_as_well() {
    let (mut executors, address) = start(1, 5);
    kill(Client::connect(address));
    assert!(tend(&mut executors));
    Client::connect(address).echo(b"hello");
    executors.control.stop();
    executors.join().expect("all ends well");
}
