//! Shards on threads of the test, without executors: what the loop does is all there is.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use shard::{Config, Door, Shard, ShardId, Time};
use socket2::Socket;

use super::host::Echo;
use crate::config::Settings;
use crate::mesh::mesh;
use crate::net::{Doorbell, Listeners, Sockets};
use crate::server::control::Control;
use crate::server::driver::{Driver, Pass};

/// Shards that run until the test says so.
pub(super) struct Running {
    /// Where they listen.
    pub(super) address: SocketAddr,
    control: Control,
    threads: Vec<JoinHandle<Report>>,
}

/// What a shard's last report says.
#[derive(Debug)]
pub(super) struct Report(pub(super) String);

impl Running {
    /// Starts `shards` shards with these settings; `prepare` sets options that accepted sockets inherit.
    pub(super) fn start(shards: usize, settings: &Settings, prepare: impl Fn(&Socket)) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listeners = Listeners::bind(&[any], shards, 4096).expect("a free port");
        listeners.by_shard.iter().flatten().for_each(prepare);
        let doorbells: Vec<_> = (0..shards).map(|_| Arc::new(Doorbell::new().expect("an eventfd"))).collect();
        let control = Control::new(doorbells.clone());
        let began = Instant::now();
        let seats = mesh(doorbells, settings.lane_capacity).into_iter().zip(listeners.by_shard).enumerate();
        let (began_accepting, accepting) = channel();
        let threads = seats.map(|(index, (link, listeners))| {
            let (settings, orders, began_accepting) = (settings.clone(), control.orders(), began_accepting.clone());
            let id = ShardId(u8::try_from(index).expect("few shards"));
            std::thread::spawn(move || {
                let doorbell = Arc::clone(link.doorbell());
                let mut sockets = Sockets::new(&settings.ring, doorbell, settings.tick).expect("a ring");
                sockets.listen(listeners, &[Door::Plain]).expect("a ring");
                began_accepting.send(()).expect("the test waits");
                let shard = Shard::new(Config { id, shards, limits: settings.limits, seed: 1 }, Time::ZERO);
                let mut driver = Driver::new(sockets, shard, Echo, link, orders, &settings, began);
                while driver.pass().expect("a ring that works") != Pass::Done {}
                Report(driver.report())
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.iter().for_each(|_| accepting.recv_timeout(Duration::from_secs(30)).expect("each shard accepts"));
        Self { address: listeners.addresses[0], threads, control }
    }

    /// Asks the shards to stop.
    pub(super) fn begin_stop(&self) {
        self.control.stop();
    }

    /// Asks the shards to stop, in whose place others accept.
    pub(super) fn hand_over(&self) {
        self.control.hand_over();
    }

    /// Stops the shards and returns their reports.
    pub(super) fn stop(self) -> Vec<Report> {
        self.control.stop();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.threads.iter().all(JoinHandle::is_finished) {
            assert!(Instant::now() < deadline, "the shards do not stop");
            std::thread::yield_now();
        }
        self.threads.into_iter().map(|thread| thread.join().expect("no shard has panicked")).collect()
    }

    /// Stops the only shard and returns its report.
    pub(super) fn stop_one(self) -> Report {
        self.stop().pop().expect("one shard")
    }
}

impl Report {
    /// A counter; zero ones are not there.
    pub(super) fn count(&self, name: &str) -> u64 {
        let entry = self.0.split(' ').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        entry.map_or(0, |count| count.parse().expect("a number"))
    }
}
