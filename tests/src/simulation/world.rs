//! The simulated world: a virtual clock, what happens next, shards and clients in one thread. Everything that is left to
//! chance is drawn from the seed, so that a seed is a run.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;

use codec::socketcluster::Dialect;
use fastrand::Rng;
use shard::{Config, Shard, ShardId, Time};

use super::actor::{Actor, Deed, Manner, Speaks};
use super::application::Application;
use super::death::{Kill, Mortal};
use super::mesh::Mesh;
use super::network::{End, Link};
use super::oracle::Oracle;
use super::people::shows_members;
use super::plan::{Faults, Plan};
use super::record::Record;
use super::station::Station;
use super::stream::{Heard, Stream};

/// What is in the queue of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// Every 50 ms.
    Tick(usize),
    /// Something waits for a shard.
    Wake(usize),
    Pass(usize),
    /// A new client connects.
    Arrive,
    /// A client's bytes or end have crossed the network.
    Up(usize),
    /// The server's bytes have.
    Down(usize),
    /// An owned send goes on.
    Fly(usize),
    Act(usize),
    /// A client reads again.
    Unstall(usize),
    /// The application of a shard does something by itself.
    Whim(usize),
    /// A shard dies.
    Die(usize),
    /// Another one takes its place.
    Rise(usize),
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) faults: Faults,
    pub(super) random: Rng,
    pub(super) oracle: Rc<RefCell<Oracle>>,
    pub(super) now: Time,
    queue: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    queued: u64,
    pub(super) stations: Vec<Station>,
    pub(super) mesh: Mesh,
    pub(super) links: Vec<Link>,
    pub(super) actors: Vec<Actor>,
    is_storming: bool,
    /// So many things have happened, and with this one a connection is cut off.
    happened: u64,
    kill: Kill,
    pub(super) deaths: u64,
    storm_happenings: u64,
    kept_latest: u64,
}

/// Ten times what the busiest of 16,000 runs needed (86,000): a run that needs more spins.
const HAPPENINGS_MAX: u64 = 1_000_000;

/// What a run was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of everything that happened.
    pub hash: u64,
    /// Things that happened.
    pub steps: u64,
    /// What was in the queue of the future altogether.
    pub happenings: u64,
    /// What happened while clients acted.
    pub storm_happenings: u64,
    /// How many shards there were.
    pub shards: usize,
    /// Clients that connected.
    pub clients: usize,
    /// Shards that died.
    pub deaths: u64,
    /// Publications that were accepted.
    pub publications: u64,
    /// Publications that arrived.
    pub deliveries: u64,
    /// Sends that went short.
    pub sends_short: u64,
    /// Times a socket was not read.
    pub pauses: u64,
    /// Connections ended as slow consumers.
    pub slow_consumers: u64,
    /// Publications that slow consumers have lost: the newest, the oldest, all but the latest.
    pub dropped: [u64; 3],
    /// Subscriptions to conflated channels of slow consumers to which the latest had to come, and came.
    pub kept_latest: u64,
    /// Connections that have agreed to compression.
    pub compressions: u64,
    /// Messages sent compressed, publications once for each window.
    pub messages_compressed: u64,
    /// Turns in which lanes were too full.
    pub congested_turns: u64,
    /// Events that were addressed to people and heard, and those that tell who has come and gone.
    pub addressed: u64,
    /// Those that tell who has come to a channel and gone.
    pub presences: u64,
    /// Times that a user has come online or gone.
    pub online_changes: u64,
    /// Times that one was offline because it was silent.
    pub naps: u64,
    /// Times that a shard has noticed that a user is silent.
    pub silences: u64,
    /// Questions about people that were answered.
    pub answers: u64,
    /// Tokens that counted.
    pub tokens_accepted: u64,
    /// Tokens that did not.
    pub tokens_refused: u64,
    /// Tokens whose time was over when their client said something.
    pub tokens_expired: u64,
    /// Logins that ended before their connections.
    pub logins_ended: u64,
}

impl World {
    pub(super) fn new(seed: u64, plan: Plan, kill: Kill, is_verbose: bool) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x5eed);
        let oracle = Rc::new(RefCell::new(Oracle::new(&plan, is_verbose)));
        let stations = (0..plan.shards).map(|index| {
            let id = ShardId(u8::try_from(index).expect("few shards"));
            let config = Config { id, shards: plan.shards, limits: plan.limits, seed };
            let application = Application::new(index, 0, &plan, random.fork(), oracle.clone());
            let mut shard = Shard::new(config, Time::ZERO);
            shard.show_members(shows_members);
            plan.tell_policies(&mut shard);
            Station::new(shard, application)
        });
        let stations = stations.collect();
        Self {
            faults: plan.faults,
            oracle,
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            queued: 0,
            stations,
            mesh: Mesh::new(plan.shards, plan.lane_batches),
            links: Vec::new(),
            actors: Vec::new(),
            is_storming: true,
            happened: 0,
            kill,
            deaths: 0,
            storm_happenings: 0,
            kept_latest: 0,
            random,
            plan,
        }
    }

    /// The whole run: a storm, a calm in which everything owed must arrive, and the end of everybody.
    pub(super) fn run(&mut self) -> Report {
        for index in 0..self.plan.shards {
            self.at(Time::from_micros(index as u64 * 7_000), Happening::Tick(index));
            let at = Time::from_micros(self.random.u64(..50_000));
            self.at(at, Happening::Whim(index));
        }
        for _ in 0..self.plan.clients {
            let at = Time::from_micros(self.random.u64(..200_000));
            self.at(at, Happening::Arrive);
        }
        let storm_end = Time::ZERO + self.plan.storm;
        self.run_until(storm_end);
        self.calm_down();
        let limits = self.plan.limits;
        let calm = limits.call_timeout * 3 / 2
            + limits.ping_timeout
            + limits.send_timeout
            + limits.close_timeout
            + limits.handshake_timeout
            + Duration::from_millis(1_500);
        self.run_until(storm_end + calm);
        self.check_liveness();
        self.oracle.borrow().check_said(self.plan.shards);
        self.check_sockets();
        self.census();
        self.check_liveness();
        self.end();
        self.report()
    }

    fn check_liveness(&mut self) {
        let squeezed_out: u64 =
            self.stations.iter().map(|station| station.shard.metrics().deliveries_squeezed_out).sum();
        self.kept_latest = self.oracle.borrow().check_liveness(squeezed_out == 0);
    }

    /// All is quiet: everybody who is connected is listened to, and nothing waits for a lane.
    fn check_sockets(&mut self) {
        for (index, station) in self.stations.iter_mut().enumerate() {
            for (_, client) in station.ports.values() {
                assert!(self.links[*client].is_reading, "client {client} is never listened to again");
            }
            for peer in (0..self.plan.shards).filter(|peer| *peer != index) {
                let to = ShardId(u8::try_from(peer).expect("few shards"));
                assert!(station.shard.poll_batch(to).is_none(), "shard {index} keeps envelopes for shard {peer}");
            }
        }
        assert!(self.mesh.is_empty(), "batches that never arrive");
        let shards: Vec<_> = self.stations.iter().map(|station| &station.shard).collect();
        Shard::check_rosters(&shards);
    }

    pub(super) fn run_until(&mut self, end: Time) {
        while let Some(Reverse((at, ..))) = self.queue.peek() {
            if *at > end {
                break;
            }
            let Reverse((at, _, happening)) = self.queue.pop().expect("it was just seen");
            self.now = at;
            self.oracle.borrow_mut().now = at;
            self.happen(happening);
            self.happened += 1;
            match self.kill {
                Kill::Connection(at) if at == self.happened => self.kill_one(),
                Kill::Shard(at) if at == self.happened => self.kill_shards(),
                _ => {}
            }
            assert!(self.queued < HAPPENINGS_MAX, "the world does not come to rest");
        }
        self.now = end;
        self.oracle.borrow_mut().now = end;
    }

    fn calm_down(&mut self) {
        self.is_storming = false;
        self.storm_happenings = self.happened;
        let delays = Faults { short_sends: 0, refused_sends: 0, broken_sends: 0, full_lanes: 0, ..self.faults };
        self.faults = delays;
        self.stations.iter_mut().for_each(|station| station.application.is_calm = true);
        for client in 0..self.links.len() {
            self.at(self.now, Happening::Unstall(client));
        }
    }

    /// Everybody goes, or is told to.
    fn end(&mut self) {
        let is_connected = |record: &Record| record.is_open && !record.is_over();
        let connected: Vec<bool> = self.oracle.borrow().records.iter().map(is_connected).collect();
        if self.plan.shuts_down {
            self.oracle.borrow_mut().is_shutting_down = true;
            for index in 0..self.plan.shards {
                self.stations[index].is_shutdown_due = true;
                self.wake(index);
            }
        } else {
            for client in 0..self.actors.len() {
                self.actors[client].leave(&mut self.oracle.borrow_mut(), &mut self.random);
                self.after_actor(client);
            }
        }
        let limits = self.plan.limits;
        self.run_until(self.now + limits.close_timeout + limits.handshake_timeout + Duration::from_millis(1_500));
        for (index, station) in self.stations.iter().enumerate() {
            let shard = &station.shard;
            assert_eq!(shard.connections(), 0, "connections that shard {index} still has: {:?}", station.ports);
            assert_eq!(shard.channels(), 0, "channels that shard {index} still has");
            assert!(!shard.has_work(), "shard {index} does not come to rest");
            assert_eq!(shard.is_drained(), self.plan.shuts_down, "shard {index} is drained");
            assert!(station.ports.is_empty(), "sockets that were never closed: {:?}", station.ports);
            assert_eq!((shard.users(), shard.online()), (0, 0), "users that shard {index} still has");
            station.application.check_empty();
        }
        assert!(self.mesh.is_empty(), "batches that never arrived");
        let shards: Vec<_> = self.stations.iter().map(|station| &station.shard).collect();
        Shard::check_rosters(&shards);
        for (client, record) in self.oracle.borrow().records.iter().enumerate() {
            let was_told = record.close == Some(Some(1_001));
            assert!(was_told || !self.plan.shuts_down || !connected[client], "client {client} was not told to go");
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(index) => {
                self.stations[index].is_tick_due = true;
                self.wake(index);
                self.at(self.now + Duration::from_millis(50), happening);
            }
            Happening::Wake(index) => self.wake(index),
            Happening::Pass(index) => self.pass(index),
            Happening::Arrive => self.arrive(),
            Happening::Up(client) => {
                self.links[client].arrive(self.now);
                let shard = self.oracle.borrow().records[client].shard;
                if let Some(index) = shard {
                    self.queue_pass(index);
                }
            }
            Happening::Down(client) => self.hear(client),
            Happening::Fly(client) => self.fly(client),
            Happening::Act(client) => self.act(client),
            Happening::Unstall(client) => {
                self.links[client].is_stalled = false;
                self.actors[client].is_dozing = false;
                self.hear(client);
            }
            Happening::Whim(index) => {
                if self.is_storming {
                    if !self.stations[index].tenure.is_dead {
                        self.stations[index].application.act();
                        self.wake(index);
                    }
                    let at = self.now + Duration::from_micros(self.random.u64(1_000..80_000));
                    self.at(at, happening);
                }
            }
            Happening::Die(index) => self.die(index),
            Happening::Rise(index) => self.rise(index),
        }
    }

    /// A new client connects to some shard, as the kernel's choice of a listener would have it.
    fn arrive(&mut self) {
        if !self.is_storming {
            return;
        }
        let client = self.actors.len();
        let index = self.random.usize(..self.plan.shards);
        let speaks = match self.random.u8(..12) {
            0..4 => Speaks::SocketCluster(Dialect::V2),
            4..7 => Speaks::SocketCluster(Dialect::V1),
            7..9 => Speaks::SocketCluster(Dialect::V0),
            9 | 10 => Speaks::Raw,
            _ => Speaks::Pages,
        };
        let manner = match self.random.u8(..20) {
            _ if self.plan.is_peaceful || speaks == Speaks::Pages => Manner::Good,
            0 => Manner::Silent,
            1 => Manner::Mute,
            2 if speaks != Speaks::Raw => Manner::Eager,
            _ => Manner::Good,
        };
        let (least, most) = if self.plan.is_peaceful { (60_000, 200_000) } else { self.plan.room };
        let speaks_packets = matches!(speaks, Speaks::SocketCluster(_));
        let stream = Stream::new(speaks != Speaks::Pages, speaks_packets);
        let mut link = Link::new(stream, self.random.usize(least..most));
        link.is_reading = true;
        self.links.push(link);
        let mut actor = Actor::new(client, speaks, manner);
        let mut oracle = self.oracle.borrow_mut();
        oracle.records.push(Record { client, shard: Some(index), ..Record::default() });
        oracle
            .note(&[6, client as u64], || format!("client {client} connects to shard {index}: {speaks:?}, {manner:?}"));
        actor.begin(&mut oracle, &mut self.random);
        // A page's connection is closed when it has been idle for too long.
        oracle.records[client].may_vanish |= speaks == Speaks::Pages;
        drop(oracle);
        self.actors.push(actor);
        self.stations[index].accepts.push_back(client);
        self.queue_pass(index);
        self.after_actor(client);
        self.at(self.now + Duration::from_millis(1), Happening::Act(client));
    }

    fn act(&mut self, client: usize) {
        if !self.is_storming {
            return;
        }
        if self.actors[client].is_gone() {
            let at = self.now + Duration::from_micros(self.random.u64(..100_000));
            return self.at(at, Happening::Arrive);
        }
        if !self.actors[client].is_dozing {
            self.actors[client].act(&mut self.oracle.borrow_mut(), &self.plan, &mut self.random);
        }
        self.after_actor(client);
        let at = self.now + Duration::from_micros(self.random.u64(..=self.plan.act_micros * 2));
        self.at(at, Happening::Act(client));
    }

    /// The client's program reads what has come.
    fn hear(&mut self, client: usize) {
        let mut has_read = false;
        while let Some(heard) = self.links[client].read_down(self.now) {
            has_read = true;
            for heard in &heard {
                self.actors[client].hear(heard, &mut self.oracle.borrow_mut(), &mut self.random);
            }
        }
        if let Some(at) = self.links[client].next_down() {
            self.at(at, Happening::Down(client));
        }
        if has_read {
            self.after_actor(client);
            self.fly(client);
        }
    }

    /// Sends what the actor has written and does what it wants done.
    pub(super) fn after_actor(&mut self, client: usize) {
        let bytes = std::mem::take(&mut self.actors[client].out);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = if self.random.bool() { rest.len() } else { self.random.usize(1..=rest.len()) };
            let at = self.now + self.faults.delay(self.faults.network_micros, &mut self.random);
            let at = self.links[client].send_up(at, rest[..length].to_vec());
            self.at(at, Happening::Up(client));
            rest = &rest[length..];
        }
        for deed in std::mem::take(&mut self.actors[client].deeds) {
            self.do_deed(client, deed);
        }
    }

    fn do_deed(&mut self, client: usize, deed: Deed) {
        self.oracle.borrow_mut().note(&[7, client as u64], || format!("client {client}: {deed:?}"));
        let at = self.now + self.faults.delay(self.faults.network_micros, &mut self.random);
        match deed {
            Deed::Finish | Deed::Reset => {
                let end = if deed == Deed::Finish { End::Finished } else { End::Reset };
                let at = self.links[client].end_up(at, end);
                self.at(at, Happening::Up(client));
                self.at(at, Happening::Fly(client));
            }
            Deed::Cut => self.links[client].is_cut = true,
            Deed::Stall(micros) | Deed::Doze(micros) => {
                let mut oracle = self.oracle.borrow_mut();
                if Duration::from_micros(micros) > self.plan.limits.ping_interval / 2 {
                    oracle.records[client].closes.insert(4_001);
                }
                drop(oracle);
                self.links[client].is_stalled = true;
                self.actors[client].is_dozing = matches!(deed, Deed::Doze(_));
                self.at(self.now + Duration::from_micros(micros), Happening::Unstall(client));
            }
        }
    }

    /// One of all connections is cut off, whatever it is doing.
    fn kill_one(&mut self) {
        let is_alive = |record: &&Record| record.id.is_some() && !record.is_over();
        let alive: Vec<_> = self.oracle.borrow().records.iter().filter(is_alive).map(|record| record.client).collect();
        let Some(client) = self.random.choice(&alive).copied() else { return };
        self.oracle.borrow_mut().records[client].may_vanish = true;
        self.actors[client].vanish();
        self.links[client].end_up(self.now, End::Reset);
        self.at(self.now, Happening::Up(client));
        self.at(self.now, Happening::Fly(client));
    }

    /// The kernel has taken bytes: the oracle judges them now, the client hears them when they have arrived.
    pub(super) fn push_down(&mut self, client: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut oracle = self.oracle.borrow_mut();
        oracle.trace.note_bytes(bytes);
        let heard = self.links[client].stream.decode(bytes);
        heard.iter().for_each(|heard| oracle.hear(client, heard));
        drop(oracle);
        let at = self.now + self.faults.delay(self.faults.network_micros, &mut self.random);
        let at = self.links[client].push_down(at, bytes.len(), heard);
        self.at(at, Happening::Down(client));
    }

    /// The server's stream ends here.
    pub(super) fn end_down(&mut self, client: usize) {
        if !std::mem::replace(&mut self.links[client].is_down_ended, true) {
            self.oracle.borrow_mut().ended(client);
            let at = self.now + self.faults.delay(self.faults.network_micros, &mut self.random);
            let at = self.links[client].push_down(at, 0, vec![Heard::End]);
            self.at(at, Happening::Down(client));
        }
    }

    /// An owned send goes on, if there is one.
    fn fly(&mut self, client: usize) {
        let went = self.links[client].fly(&self.faults, &mut self.random);
        self.push_down(client, &went);
        let Some(flight) = &self.links[client].flight else { return };
        if let Some(outcome) = flight.outcome {
            let mut oracle = self.oracle.borrow_mut();
            oracle.records[client].may_vanish |= outcome.is_err() && !self.links[client].is_aborted;
            let index = oracle.records[client].shard.expect("it was accepted");
            drop(oracle);
            self.queue_pass(index);
        }
    }

    /// Schedules a pass, if there is none.
    pub(super) fn queue_pass(&mut self, index: usize) {
        if !std::mem::replace(&mut self.stations[index].is_scheduled, true) {
            let at = self.now + self.faults.delay(self.faults.pass_micros, &mut self.random);
            self.at(at, Happening::Pass(index));
        }
    }

    pub(super) fn at(&mut self, at: Time, happening: Happening) {
        self.queued += 1;
        self.queue.push(Reverse((at.max(self.now), self.queued, happening)));
    }

    fn report(&self) -> Report {
        let oracle = self.oracle.borrow();
        let sum = |count: fn(&shard::Metrics) -> u64| {
            self.stations.iter().map(|station| count(station.shard.metrics())).sum()
        };
        Report {
            hash: oracle.trace.hash(),
            steps: oracle.trace.steps(),
            happenings: self.queued,
            storm_happenings: self.storm_happenings,
            shards: self.plan.shards,
            clients: self.links.len(),
            deaths: self.deaths,
            publications: oracle.ledger.accepted,
            deliveries: oracle.deliveries(),
            sends_short: sum(|metrics| metrics.sends_short),
            pauses: sum(|metrics| metrics.pauses),
            slow_consumers: sum(|metrics| metrics.slow_consumers),
            dropped: [
                sum(|metrics| metrics.deliveries_dropped_newest),
                sum(|metrics| metrics.deliveries_dropped_oldest),
                sum(|metrics| metrics.deliveries_conflated),
            ],
            kept_latest: self.kept_latest,
            compressions: sum(|metrics| metrics.compressions),
            messages_compressed: sum(|metrics| metrics.messages_compressed),
            tokens_accepted: sum(|metrics| metrics.tokens_accepted),
            tokens_refused: sum(|metrics| metrics.tokens_refused),
            tokens_expired: sum(|metrics| metrics.tokens_expired),
            addressed: oracle.people.heard,
            presences: oracle.people.presences,
            online_changes: oracle.people.online.changes,
            naps: oracle.people.online.naps_seen,
            silences: sum(|metrics| metrics.users_silent),
            logins_ended: oracle.records.iter().map(|record| record.ended.len() as u64).sum(),
            answers: self.stations.iter().map(|station| station.application.asking.answers).sum(),
            congested_turns: self.stations.iter().map(|station| station.application.congested_turns).sum(),
        }
    }
}
