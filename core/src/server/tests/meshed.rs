//! Two shards stepped by hand in one thread: what happens when one of them does not come round is no matter of luck.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use codec::websocket::{Opcode, encode, handshake};
use shard::{Config, Door, Shard, ShardId, Time};

use super::host::Echo;
use crate::config::Settings;
use crate::mesh::mesh;
use crate::net::{Doorbell, Listeners, Sockets};
use crate::server::control::Control;
use crate::server::driver::{Driver, Pass};

struct World {
    drivers: Vec<Driver<Echo>>,
    doorbells: Vec<Arc<Doorbell>>,
    addresses: Vec<SocketAddr>,
    control: Control,
}

/// A SocketCluster client that never blocks: while it waits, the shards are stepped.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl World {
    fn new(lane_capacity: usize) -> Self {
        let settings = Settings { lane_capacity, ..Settings::default() };
        let doorbells: Vec<_> = (0..2).map(|_| Arc::new(Doorbell::new().expect("an eventfd"))).collect();
        let control = Control::new(doorbells.clone());
        let mut addresses = Vec::new();
        let links = mesh(doorbells.clone(), lane_capacity).into_iter().enumerate();
        let drivers = links.map(|(index, link)| {
            // A port for each, so that a test chooses the shard.
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let mut listeners = Listeners::bind(&[any], 1, 16).expect("a free port");
            addresses.push(listeners.addresses[0]);
            let mut sockets = Sockets::new(&settings.ring, Arc::clone(link.doorbell()), settings.tick).expect("a ring");
            sockets.listen(listeners.by_shard.remove(0), &[Door::Plain]).expect("a ring");
            let id = ShardId(u8::try_from(index).expect("two"));
            let shard = Shard::new(Config { id, shards: 2, limits: settings.limits, seed: 1 }, Time::ZERO);
            Driver::new(sockets, shard, Echo, link, control.orders(), &settings, Instant::now())
        });
        Self { drivers: drivers.collect(), doorbells, addresses, control }
    }

    /// One pass of one shard, which does not sleep in it.
    fn step(&mut self, shard: usize) -> Pass {
        self.doorbells[shard].ring();
        self.drivers[shard].pass().expect("a ring that works")
    }

    /// Steps both shards until the condition holds.
    fn step_until(&mut self, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < deadline, "it does not come to that");
            self.step(0);
            self.step(1);
        }
    }

    fn connect(&mut self, shard: usize) -> Client {
        let mut stream = TcpStream::connect(self.addresses[shard]).expect("the kernel accepts for the server");
        stream.set_nonblocking(true).expect("an option");
        stream.set_nodelay(true).expect("an option");
        let mut request = Vec::new();
        handshake::write_request(&mut request, "test", "/socketcluster/", *b"0123456789abcdef", &[]);
        stream.write_all(&request).expect("room for a request");
        let mut client = Client { stream, received: Vec::new() };
        self.step_until(|| client.receive().ends_with(b"\r\n\r\n"));
        client.received.clear();
        client.say(r##"{"event":"#handshake","data":{},"cid":1}"##);
        self.step_until(|| client.says(r#""rid":1"#));
        client
    }

    fn count(&self, shard: usize, name: &str) -> u64 {
        super::running::Report(self.drivers[shard].report()).count(name)
    }
}

impl Client {
    fn say(&mut self, text: &str) {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Text, [1, 2, 3, 4], text.as_bytes());
        self.stream.write_all(&frame).expect("room for a small frame");
    }

    fn receive(&mut self) -> &[u8] {
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => panic!("the server has ended the connection"),
                Ok(length) => self.received.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return &self.received,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn says(&mut self, words: &str) -> bool {
        String::from_utf8_lossy(self.receive()).contains(words)
    }

    /// The numbers that were published, in the order in which they came.
    fn numbers(&mut self) -> Vec<u32> {
        let text = String::from_utf8_lossy(self.receive()).into_owned();
        let numbers = text.split(r#""data":"#).filter_map(|after| {
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        numbers.collect()
    }
}

#[test]
fn publications_wait_for_a_full_lane_and_arrive_complete_and_in_order() {
    const PUBLICATIONS: u32 = 300;
    let mut world = World::new(1);
    let mut subscriber = world.connect(1);
    subscriber.say(r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##);
    world.step_until(|| subscriber.says(r#""rid":2"#));
    let mut publisher = world.connect(0);
    for number in 0..PUBLICATIONS {
        publisher.say(&format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{number}}}}}"##));
        // The other shard does not come round: the first batch fills its lane, the rest has to wait here.
        world.step(0);
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while world.count(0, "publications") < u64::from(PUBLICATIONS) {
        assert!(Instant::now() < deadline, "publications are missing");
        world.step(0);
    }
    assert!(world.count(0, "lanes_full") > 0, "the test must fill the lane");
    assert_eq!(subscriber.numbers(), [0; 0], "nothing can have arrived");
    world.step_until(|| subscriber.numbers().len() >= PUBLICATIONS as usize);
    assert_eq!(subscriber.numbers(), (0..PUBLICATIONS).collect::<Vec<_>>());
    assert_eq!(world.count(1, "publications_from_peers"), u64::from(PUBLICATIONS));
}

#[test]
fn a_shard_that_stops_first_waits_for_the_other() {
    let mut world = World::new(1);
    world.step(0);
    world.step(1);
    world.control.stop();
    for _ in 0..20 {
        assert_ne!(world.step(0), Pass::Done, "the other may still send");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut done = [false; 2];
    while done != [true; 2] {
        assert!(Instant::now() < deadline, "they do not end");
        for (shard, done) in done.iter_mut().enumerate() {
            *done = *done || world.step(shard) == Pass::Done;
        }
    }
}
