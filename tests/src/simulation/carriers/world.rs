//! The clock, the shards' passes, the sockets of persons, and the end of everything.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use shard::{Batch, Config, ConnectionId, Door, Envelope, Event, Mode, Shard, ShardId, SocketIoConfig, Time};

use super::application::Application;
use super::oracle::Oracle;
use super::person::Person;
use super::plan::{Plan, TICK};
use super::seats::Seats;
use super::socket::{Purpose, Socket};
use crate::simulation::death::{Fate, Mortal, Tenure};
use crate::simulation::ledger::{channel_index, identity};
use crate::simulation::mesh::{Mesh, Sent};

/// What is in the queue of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Tick(usize),
    Wake(usize),
    Pass(usize),
    Come(usize),
    Act(usize),
    /// Something has come to a person by a socket.
    Hear(usize),
    /// A probe has not been refused for so long that it has a seat.
    Seated(usize),
    /// The end of a connection must have been told by now, to that life of its shard.
    Ended((usize, u32), ConnectionId),
    Die(usize),
    Rise(usize),
}

/// What a person does to a shard, by a socket.
enum Input {
    Connect(usize),
    Bytes(usize, Vec<u8>),
    End(usize),
}

impl Input {
    fn line(&self) -> String {
        match self {
            Self::Bytes(socket, bytes) => format!("{} bytes by {socket}", bytes.len()),
            Self::Connect(socket) => format!("{socket} is accepted"),
            Self::End(socket) => format!("{socket} ends"),
        }
    }

    const fn socket(&self) -> usize {
        match self {
            Self::Connect(socket) | Self::Bytes(socket, _) | Self::End(socket) => *socket,
        }
    }
}

struct Station {
    shard: Shard,
    application: Application,
    inputs: VecDeque<Input>,
    ports: BTreeMap<u32, usize>,
    is_scheduled: bool,
    is_tick_due: bool,
    tenure: Tenure,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) random: Rng,
    seed: u64,
    pub(super) oracle: Rc<RefCell<Oracle>>,
    pub(super) now: Time,
    queue: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    queued: u64,
    stations: Vec<Station>,
    mesh: Mesh,
    pub(super) persons: Vec<Person>,
    pub(super) sockets: Vec<Socket>,
    happened: u64,
    death: Option<u64>,
    /// The next shard that is asked for one of its connections dies of it, about.
    pub(super) is_lurking: bool,
    deaths: u64,
    storm_happenings: u64,
    pub(super) is_storming: bool,
    /// Requests that were told that their session is unknown.
    pub(super) unknown: u64,
}

/// What a run was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarrierReport {
    /// Of everything that happened.
    pub hash: u64,
    /// What happened while persons acted.
    pub storm_happenings: u64,
    /// Shards that died.
    pub deaths: u64,
    /// Connections that were let in.
    pub connections: u64,
    /// Publications that were heard.
    pub heard: u64,
    /// Polled sessions that went over to a WebSocket.
    pub upgrades: u64,
    /// Connections whose clients came back to them.
    pub recovered: u64,
    /// Clients that came back and began anew, and those of them whose shard had died.
    pub anew: u64,
    /// See `anew`.
    pub orphans: u64,
    /// Requests that were told that their session is unknown.
    pub unknown: u64,
    /// Seats that were given where there is a limit.
    pub seated: u64,
    /// Those that were refused.
    pub seats_refused: u64,
}

const HAPPENINGS_MAX: u64 = 1_000_000;

impl World {
    pub(super) fn new(seed: u64, death: Option<u64>, is_verbose: bool) -> Self {
        let plan = Plan::new(seed);
        let seats_max = plan.limits.seats.per_address as usize;
        let seats = Seats::new(seats_max, plan.word());
        let mut world = Self {
            random: Rng::with_seed(seed ^ 0xca44_1e45),
            seed,
            oracle: Rc::new(RefCell::new(Oracle::new(plan.shards, seats, is_verbose))),
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            queued: 0,
            stations: Vec::new(),
            mesh: Mesh::new(plan.shards, plan.lane_batches),
            persons: Vec::new(),
            sockets: Vec::new(),
            happened: 0,
            death,
            is_lurking: false,
            deaths: 0,
            storm_happenings: 0,
            is_storming: true,
            unknown: 0,
            plan,
        };
        for index in 0..world.plan.shards {
            let (shard, application) = world.shard_of(index, 0);
            world.stations.push(Station {
                shard,
                application,
                inputs: VecDeque::new(),
                ports: BTreeMap::new(),
                is_scheduled: false,
                is_tick_due: false,
                tenure: Tenure::new(),
            });
            world.at(Time::from_micros(index as u64 * 7_000), Happening::Tick(index));
        }
        world
    }

    fn shard_of(&mut self, index: usize, life: u32) -> (Shard, Application) {
        let seed = self.seed ^ u64::from(life) << 32;
        let config = Config { id: id(index), shards: self.plan.shards, limits: self.plan.limits, seed };
        let mut shard = Shard::new(config, self.now);
        shard.open_socket_io(SocketIoConfig { has_channel_events: true, ..SocketIoConfig::default() });
        (shard, Application::new(index, life, self.random.fork(), self.oracle.clone()))
    }

    /// A storm, a calm in which everybody comes back and hears what is owed, and the end of everybody.
    pub(super) fn run(&mut self) -> CarrierReport {
        for index in 0..self.plan.persons {
            let address = self.random.usize(..self.plan.addresses);
            self.persons.push(Person::new(address));
            let [come, act] = [0; 2].map(|_| Time::from_micros(self.random.u64(..100_000)));
            self.at(come, Happening::Come(index));
            self.at(act, Happening::Act(index));
        }
        self.run_until(Time::ZERO + self.plan.storm);
        (self.is_storming, self.storm_happenings) = (false, self.happened);
        self.plan.faults.full_lanes = 0;
        self.run_until(self.now + self.plan.session() + Duration::from_secs(1));
        self.oracle.borrow_mut().seats.word = self.plan.word();
        self.check_quiet();
        self.probe_seats();
        self.end();
        self.report()
    }

    pub(super) fn at(&mut self, at: Time, happening: Happening) {
        self.queued += 1;
        self.queue.push(Reverse((at.max(self.now), self.queued, happening)));
    }

    fn run_until(&mut self, end: Time) {
        while self.queue.peek().is_some_and(|Reverse((at, ..))| *at <= end) {
            let Reverse((at, _, happening)) = self.queue.pop().expect("it was just seen");
            self.now = at;
            self.oracle.borrow_mut().now = at;
            self.happen(happening);
            self.happened += 1;
            if self.death == Some(self.happened) {
                self.is_lurking = self.is_storming && self.random.u8(..3) == 0;
                if !self.is_lurking {
                    self.kill_shards();
                }
            }
            assert!(self.queued < HAPPENINGS_MAX, "the world does not come to rest");
        }
        self.now = end;
        self.oracle.borrow_mut().now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(index) => {
                self.stations[index].is_tick_due = true;
                self.wake(index);
                self.at(self.now + TICK, happening);
            }
            Happening::Wake(index) => self.wake(index),
            Happening::Pass(index) => self.pass(index),
            Happening::Come(person) => self.come(person),
            Happening::Act(person) => self.act(person),
            Happening::Hear(socket) => self.hear(socket),
            Happening::Seated(socket) => {
                if let Some(seat) = self.sockets[socket].seat.filter(|_| !self.sockets[socket].is_ended) {
                    self.oracle.borrow_mut().seats.seat(self.now, seat);
                }
            }
            Happening::Ended((index, life), id) => {
                let station = &self.stations[index];
                let is_known = station.tenure.life == life && station.application.connected.contains(&id);
                assert!(!is_known, "shard {index} keeps {id:?}, whose carrier has died");
            }
            Happening::Die(index) => self.die(index),
            Happening::Rise(index) => self.rise(index),
        }
    }

    /// A person connects to some shard, as the kernel's choice of a listener would have it.
    pub(super) fn connect(&mut self, person: usize, purpose: Purpose) -> usize {
        let address = self.persons[person].address;
        self.connect_from(person, address, purpose)
    }

    fn connect_from(&mut self, person: usize, address: usize, purpose: Purpose) -> usize {
        let (shard, socket) = (self.random.usize(..self.plan.shards), self.sockets.len());
        self.sockets.push(Socket::new(person, address, shard, purpose));
        let line = || format!("person {person} connects to shard {shard} by {socket}: {purpose:?}");
        self.oracle.borrow_mut().note(&[1, socket as u64, shard as u64], line);
        self.input(Input::Connect(socket));
        socket
    }

    pub(super) fn say(&mut self, socket: usize, bytes: Vec<u8>) {
        self.input(Input::Bytes(socket, bytes));
    }

    /// A person has done with a socket: it is reset.
    pub(super) fn leave(&mut self, socket: usize) {
        if std::mem::replace(&mut self.sockets[socket].is_left, true) {
            return;
        }
        if let Some(seat) = self.sockets[socket].seat {
            self.oracle.borrow_mut().seats.begin_to_leave(self.now, seat);
        }
        self.input(Input::End(socket));
    }

    fn input(&mut self, input: Input) {
        let socket = &self.sockets[input.socket()];
        let index = socket.shard;
        // Nobody is there to hear it, once the shard has died that had accepted it.
        if socket.id.is_some() && self.oracle.borrow().is_over((index, socket.life)) {
            return;
        }
        self.stations[index].inputs.push_back(input);
        self.wake(index);
    }

    fn pass(&mut self, index: usize) {
        let now = self.now;
        self.stations[index].is_scheduled = false;
        if self.stations[index].tenure.is_dead {
            return;
        }
        self.stations[index].shard.begin_turn(now);
        if !self.stations[index].shard.is_joining() {
            for input in std::mem::take(&mut self.stations[index].inputs) {
                self.take(index, input);
                self.stations[index].shard.check();
            }
        }
        let station = &mut self.stations[index];
        if std::mem::take(&mut station.is_tick_due) {
            station.shard.handle_tick(now, &mut station.application);
            station.shard.check();
        }
        self.take_notices(index);
        self.receive_batches(index);
        let station = &mut self.stations[index];
        station.shard.settle(now, &mut station.application);
        station.shard.check();
        self.send_batches(index);
        self.transmit(index);
        self.carry_out_events(index);
        let station = &self.stations[index];
        if station.shard.has_work() || (!station.inputs.is_empty() && !station.shard.is_joining()) {
            self.wake(index);
        }
    }

    fn take(&mut self, index: usize, input: Input) {
        let (now, session) = (self.now, self.plan.session());
        self.oracle.borrow_mut().note(&[2, index as u64], || format!("shard {index}: {}", input.line()));
        let station = &mut self.stations[index];
        let socket = &mut self.sockets[input.socket()];
        match input {
            Input::Connect(number) => {
                let place = u8::try_from(socket.address).expect("few");
                let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, place)), 1);
                let id = station.shard.handle_accept(now, address, Door::Plain).expect("there is room");
                station.ports.insert(id.slot, number);
                (socket.id, socket.life) = (Some(id), station.tenure.life);
                let seats = &mut self.oracle.borrow_mut().seats;
                socket.seat = Some(seats.ask(now, socket.address, index));
                socket.session_seat = (socket.purpose == Purpose::Open).then(|| seats.ask(now, socket.address, index));
                if socket.is_left {
                    seats.begin_to_leave(now, socket.seat.expect("it was just given"));
                    socket.session_seat.into_iter().for_each(|seat| seats.leave(now + session, seat));
                }
            }
            Input::Bytes(..) | Input::End(_) if socket.is_paused => {
                socket.backlog.push_back(if let Input::Bytes(_, bytes) = input { Some(bytes) } else { None });
            }
            Input::Bytes(number, mut bytes) => {
                let Some(id) = socket.id.filter(|id| station.ports.get(&id.slot) == Some(&number)) else { return };
                station.shard.handle_receive(now, id, &mut bytes, &mut station.application);
            }
            Input::End(number) => {
                let Some(id) = socket.id.filter(|id| station.ports.get(&id.slot) == Some(&number)) else { return };
                station.shard.handle_end(now, id, &mut station.application);
            }
        }
    }

    fn receive_batches(&mut self, index: usize) {
        for peer in 0..self.plan.shards {
            while let Some(batch) = self.mesh.receive(self.now, peer, index) {
                self.take_batch(index, peer, &batch);
                self.wake(peer);
            }
        }
    }

    fn send_batches(&mut self, index: usize) {
        for peer in (0..self.plan.shards).filter(|peer| *peer != index) {
            while let Some(batch) = self.stations[index].shard.poll_batch(id(peer)) {
                match self.mesh.send(self.now, (index, peer), batch, &self.plan.faults, &mut self.random) {
                    Sent::Arrives(at) => self.at(at, Happening::Wake(peer)),
                    Sent::Full(batch, retry) => {
                        self.stations[index].shard.return_batch(id(peer), batch);
                        if let Some(at) = retry {
                            self.at(at, Happening::Wake(index));
                        }
                        break;
                    }
                }
            }
        }
    }

    fn transmit(&mut self, index: usize) {
        let mut sent = Vec::new();
        let station = &mut self.stations[index];
        while let Some(transmit) = station.shard.poll_transmit() {
            assert_eq!(transmit.mode, Mode::Turn, "every send here goes through at once");
            sent.push((station.ports[&transmit.connection.slot], transmit.bytes.to_vec()));
        }
        for (socket, bytes) in sent {
            self.judge_seat(socket, &bytes);
            self.oracle.borrow_mut().trace.note_bytes(&bytes);
            self.deliver(socket, Some(bytes));
        }
    }

    /// Who is answered has a seat, or is told that there is none.
    fn judge_seat(&mut self, socket: usize, bytes: &[u8]) {
        let (now, socket) = (self.now, &self.sockets[socket]);
        let seats = &mut self.oracle.borrow_mut().seats;
        let (own, session) = (socket.seat.expect("it was accepted"), socket.session_seat);
        if bytes.starts_with(b"HTTP/1.1 429") {
            // Of a request that opens a session it is not said which of the two has found none.
            seats.refuse(now, own, session);
            seats.begin_to_leave(now, own);
            return;
        }
        seats.seat(now, own);
        if let Some(session) = session.filter(|_| bytes.starts_with(b"HTTP/1.1 200")) {
            seats.seat(now, session);
        }
        if socket.purpose != Purpose::Web {
            seats.begin_to_leave(now, own);
        }
    }

    fn deliver(&mut self, socket: usize, bytes: Option<Vec<u8>>) {
        let at = self.now + self.plan.faults.delay(self.plan.faults.network_micros, &mut self.random);
        let inbox = &mut self.sockets[socket].inbox;
        let at = inbox.back().map_or(at, |(last, _)| at.max(*last));
        inbox.push_back((at, bytes));
        self.at(at, Happening::Hear(socket));
    }

    /// The server's stream ends here.
    fn end_stream(&mut self, socket: usize) {
        if std::mem::replace(&mut self.sockets[socket].is_ended, true) {
            return;
        }
        if let Some(seat) = self.sockets[socket].seat {
            self.oracle.borrow_mut().seats.begin_to_leave(self.now, seat);
        }
        self.deliver(socket, None);
    }

    fn carry_out_events(&mut self, index: usize) {
        while let Some(event) = self.stations[index].shard.poll_event() {
            self.oracle.borrow_mut().note(&[5, index as u64], || format!("shard {index}: {event:?}"));
            let ports = &mut self.stations[index].ports;
            let (Event::PauseReceive(id)
            | Event::ResumeReceive(id)
            | Event::Shutdown(id)
            | Event::Abort(id)
            | Event::Close(id)) = event;
            let number = ports[&id.slot];
            assert_eq!(self.sockets[number].id, Some(id), "{event:?} of another connection");
            match event {
                Event::PauseReceive(_) => self.sockets[number].is_paused = true,
                Event::ResumeReceive(_) => {
                    let socket = &mut self.sockets[number];
                    socket.is_paused = false;
                    let backlog = std::mem::take(&mut socket.backlog);
                    // What was sent before comes before what was sent since.
                    for input in backlog.into_iter().rev() {
                        let input = input.map_or(Input::End(number), |bytes| Input::Bytes(number, bytes));
                        self.stations[index].inputs.push_front(input);
                    }
                    self.wake(index);
                }
                Event::Shutdown(_) | Event::Abort(_) => {
                    self.end_stream(number);
                    self.sockets[number].is_paused = false;
                    // Its client hears the rest and closes as well.
                    self.input(Input::End(number));
                }
                Event::Close(_) => {
                    ports.remove(&id.slot);
                    self.end_stream(number);
                    let seat = self.sockets[number].seat.expect("it was accepted");
                    self.oracle.borrow_mut().seats.leave(self.now, seat);
                }
            }
        }
    }

    /// All is quiet: everybody is there who has a seat, and has heard everything.
    fn check_quiet(&self) {
        let oracle = self.oracle.borrow();
        for (index, person) in self.persons.iter().enumerate() {
            assert!(person.is_open || person.is_seatless, "person {index} is not let in");
            let Some(connection) = person.connection.filter(|_| person.is_open) else { continue };
            let known = &oracle.connections[connection];
            assert!(!oracle.is_over(known.home), "person {index} is connected to a dead shard");
            assert!(known.calls.is_empty(), "person {index} is never answered: {:?}", known.calls);
            for subscription in known.subscriptions.values() {
                subscription.finish(&oracle.ledger);
            }
        }
    }

    /// Of each address so many connect, one after the other, that there is no seat any more.
    fn probe_seats(&mut self) {
        let seats_max = self.plan.limits.seats.per_address as usize;
        if seats_max == 0 {
            return;
        }
        let patience = self.plan.word() + Duration::from_millis(50);
        for address in 0..self.plan.addresses {
            let mut probes = Vec::new();
            for _ in 0..=seats_max {
                let socket = self.connect_from(0, address, Purpose::Probe);
                probes.push(socket);
                self.run_until(self.now + patience);
                self.happen(Happening::Seated(socket));
                if self.sockets[socket].is_ended {
                    break;
                }
            }
            let is_full = probes.iter().any(|socket| self.sockets[*socket].is_ended);
            assert!(is_full, "{} connections of address {address} and more", probes.len());
            probes.into_iter().for_each(|socket| self.leave(socket));
            self.run_until(self.now + patience);
        }
    }

    /// Everybody goes.
    fn end(&mut self) {
        for person in 0..self.persons.len() {
            self.persons[person].is_leaving = true;
            if self.persons[person].is_open && self.random.bool() {
                self.say_goodbye(person);
            } else {
                self.lose(person, true);
            }
        }
        let window = self.plan.limits.recovery.window;
        self.run_until(self.now + window + self.plan.session() + Duration::from_secs(4));
        for (index, station) in self.stations.iter().enumerate() {
            assert_eq!(station.shard.connections(), 0, "connections that shard {index} still has");
            assert_eq!(station.shard.channels(), 0, "channels that shard {index} still has");
            assert!(station.application.connected.is_empty(), "ends that the application was not told");
            assert!(station.ports.is_empty(), "sockets that were never closed");
        }
        assert!(self.mesh.is_empty(), "batches that never arrive");
    }

    fn report(&self) -> CarrierReport {
        let oracle = self.oracle.borrow();
        let sum = |count: fn(&shard::Metrics) -> u64| {
            self.stations.iter().map(|station| count(station.shard.metrics())).sum::<u64>()
        };
        CarrierReport {
            hash: oracle.trace.hash(),
            storm_happenings: self.storm_happenings,
            deaths: self.deaths,
            connections: oracle.connections.len() as u64,
            heard: oracle.heard,
            upgrades: sum(|metrics| metrics.polled_upgraded),
            recovered: oracle.recovered,
            anew: oracle.anew,
            orphans: oracle.orphans,
            unknown: self.unknown,
            seated: oracle.seats.seated,
            seats_refused: oracle.seats.refused,
        }
    }
}

impl Mortal for World {
    type Application = Application;

    fn shards(&self) -> usize {
        self.plan.shards
    }

    fn now(&self) -> Time {
        self.now
    }

    fn random(&mut self) -> &mut Rng {
        &mut self.random
    }

    fn mesh(&mut self) -> &mut Mesh {
        &mut self.mesh
    }

    fn tenure(&mut self, index: usize) -> &mut Tenure {
        &mut self.stations[index].tenure
    }

    fn shard(&mut self, index: usize) -> (&mut Shard, &mut Application) {
        let station = &mut self.stations[index];
        (&mut station.shard, &mut station.application)
    }

    fn wake(&mut self, index: usize) {
        if !std::mem::replace(&mut self.stations[index].is_scheduled, true) {
            let at = self.now + self.plan.faults.delay(self.plan.faults.pass_micros, &mut self.random);
            self.at(at, Happening::Pass(index));
        }
    }

    fn take_batch(&mut self, index: usize, peer: usize, batch: &Batch) {
        for envelope in batch.iter() {
            let mut oracle = self.oracle.borrow_mut();
            oracle.note(&[3, index as u64, peer as u64], || format!("shard {index}: from {peer}: {envelope:.200?}"));
            if let Envelope::Publication { channel, data } = envelope {
                let (publisher, number) = data.and_then(identity).expect("publications here have a payload");
                oracle.ledger.reach(index, channel_index(channel), publisher, number);
            }
        }
        self.stations[index].shard.handle_batch(self.now, id(peer), batch);
        self.stations[index].shard.check();
    }

    fn later(&mut self, delay: Duration, fate: Fate) {
        let happening = match fate {
            Fate::Die(index) => Happening::Die(index),
            Fate::Rise(index) => Happening::Rise(index),
        };
        self.at(self.now + delay, happening);
    }

    fn vacancy(&self) -> Duration {
        Duration::from_millis(50)
    }

    fn died(&mut self, index: usize) {
        self.deaths += 1;
        let station = &mut self.stations[index];
        assert!(station.application.connected.is_empty(), "ends that the application was not told");
        let gone: Vec<_> = std::mem::take(&mut station.ports).into_values().collect();
        // Those who have not been accepted wait in the kernel's queue.
        let sockets = &self.sockets;
        station.inputs.retain(|input| sockets[input.socket()].id.is_none());
        let mut oracle = self.oracle.borrow_mut();
        oracle.note(&[10, index as u64], || format!("shard {index} dies"));
        oracle.lives[index] += 1;
        let now = self.now;
        oracle.seats.die(now, index);
        drop(oracle);
        gone.into_iter().for_each(|socket| self.end_stream(socket));
    }

    fn succeed(&mut self, index: usize) {
        let life = self.stations[index].tenure.life + 1;
        let (shard, application) = self.shard_of(index, life);
        let station = &mut self.stations[index];
        (station.shard, station.application) = (shard, application);
        self.oracle.borrow_mut().note(&[11, index as u64], || format!("shard {index} is replaced"));
    }

    fn heard_last_words(&mut self, index: usize, dead: usize) {
        self.oracle.borrow_mut().ledger.lose(dead, index);
    }
}

fn id(index: usize) -> ShardId {
    ShardId(u8::try_from(index).expect("few shards"))
}
