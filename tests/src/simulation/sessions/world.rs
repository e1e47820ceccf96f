//! The clock, the shards' passes, the browsers and their tabs, and the end of everything at a crash.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use codec::websocket::{Decoder, Limits as FrameLimits, Message, Opcode, Role, encode, handshake};
use fastrand::Rng;
use shard::{Batch, Config, ConnectionId, Door, Event, Mode, SessionConfig, SessionId, Shard, ShardId, Time};

use super::application::{Application, address};
use super::oracle::{Oracle, values};
use super::plan::{Plan, StorePlan};
use super::private::{CHANNELS, PrivateReport};
use super::store::{Store, StoreReport};
use crate::simulation::death::{Mortal, Tenure};
use crate::simulation::mesh::{Mesh, Sent};

/// What is in the queue of the future; of which life of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    Tick(u32, usize),
    Wake(u32, usize),
    Pass(u32, usize),
    Act(usize),
    Crash,
    Die(u32, usize),
    Rise(u32, usize),
}

/// What a client does to a shard.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    Connect(usize),
    Message(usize),
    End(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Away,
    Connecting,
    Open,
    Leaving,
}

pub(super) struct Tab {
    browser: usize,
    shard: usize,
    pub(super) stage: Stage,
    pub(super) id: Option<ConnectionId>,
    is_paused: bool,
}

pub(super) struct Station {
    pub(super) shard: Shard,
    pub(super) application: Application,
    pub(super) inputs: VecDeque<Input>,
    pub(super) ports: BTreeMap<u32, usize>,
    is_scheduled: bool,
    is_tick_due: bool,
    /// Since the server has started.
    pub(super) tenure: Tenure,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) random: Rng,
    seed: u64,
    pub(super) oracle: Rc<RefCell<Oracle>>,
    store: Rc<RefCell<Store>>,
    pub(super) now: Time,
    queue: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    queued: u64,
    pub(super) life: u32,
    pub(super) stations: Vec<Station>,
    pub(super) mesh: Mesh,
    /// What each browser's cookie says.
    browsers: Vec<Option<SessionId>>,
    pub(super) tabs: Vec<Tab>,
    happened: u64,
    death: Option<u64>,
    pub(super) deaths: u64,
    storm_happenings: u64,
    is_storming: bool,
    opened: u64,
    refused: u64,
}

/// What a run was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// Of everything that happened.
    pub hash: u64,
    /// What was in the queue of the future altogether.
    pub happenings: u64,
    /// What happened while clients acted.
    pub storm_happenings: u64,
    /// Shards that died.
    pub deaths: u64,
    /// Sessions that successors have begun with.
    pub restored: u64,
    /// Writes whose fate nobody knows.
    pub lost: u64,
    /// Connections that got a session.
    pub opened: u64,
    /// Connections that got none.
    pub refused: u64,
    /// Writes.
    pub writes: u64,
    /// Those acknowledged, and how many of them as durable.
    pub written: u64,
    /// Of those, in the store.
    pub durable: u64,
    /// Writes refused.
    pub writes_refused: u64,
    /// Changes of ids acknowledged.
    pub rotations: u64,
    /// About the store.
    pub store: StoreReport,
    /// About users and private channels.
    pub private: PrivateReport,
}

const HAPPENINGS_MAX: u64 = 2_000_000;

/// A Unix time in the year 2026, in milliseconds.
const EPOCH: u64 = 1_795_000_000_000;

const KEY: [u8; 16] = *b"a session's tab!";

const HANDSHAKE: &[u8] = br##"{"event":"#handshake","data":{"authToken":null},"cid":1}"##;

/// Do something.
const GO: &[u8] = br#"{"event":"go"}"#;

impl World {
    pub(super) fn new(seed: u64, death: Option<u64>, is_verbose: bool) -> Self {
        let plan = Plan::new(seed);
        let mut random = Rng::with_seed(seed ^ 0x5e55_1045);
        let store = Rc::new(RefCell::new(Store::new(&plan, random.fork())));
        let mut world = Self {
            oracle: Rc::new(RefCell::new(Oracle::new(is_verbose))),
            store,
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            queued: 0,
            life: 0,
            stations: Vec::new(),
            mesh: Mesh::new(plan.shards, plan.lane_batches),
            browsers: vec![None; plan.browsers],
            tabs: Vec::new(),
            happened: 0,
            death,
            deaths: 0,
            storm_happenings: 0,
            is_storming: true,
            opened: 0,
            refused: 0,
            random,
            seed,
            plan,
        };
        world.boot();
        world
    }

    pub(super) fn run(&mut self) -> SessionReport {
        for browser in 0..self.plan.browsers {
            for _ in 0..self.random.usize(1..=4) {
                let tab = self.tabs.len();
                self.tabs.push(Tab { browser, shard: 0, stage: Stage::Away, id: None, is_paused: false });
                let at = Time::from_micros(self.random.u64(..100_000));
                self.at(at, Happening::Act(tab));
            }
        }
        if let Some(crash) = self.plan.crash {
            self.at(Time::ZERO + crash, Happening::Crash);
        }
        self.run_until(Time::ZERO + self.plan.storm);
        self.is_storming = false;
        self.storm_happenings = self.happened;
        self.store.borrow_mut().is_calm = true;
        self.plan.faults.full_lanes = 0;
        for station in &mut self.stations {
            station.application.is_calm = true;
        }
        self.run_until(self.now + self.plan.limits.call_timeout + Duration::from_secs(2));
        self.check_quiet();
        self.check_private();
        self.end();
        self.report()
    }

    /// The server starts, with as many shards as it likes.
    fn boot(&mut self) {
        self.life += 1;
        self.mesh = Mesh::new(self.plan.shards, self.plan.lane_batches);
        self.stations.clear();
        for index in 0..self.plan.shards {
            let station = self.station(index, 0);
            self.stations.push(station);
            self.at(self.now + Duration::from_micros(index as u64 * 7_000), Happening::Tick(self.life, index));
        }
    }

    /// A shard that has just begun, with its application.
    pub(super) fn station(&mut self, index: usize, life: u32) -> Station {
        let id = ShardId(u8::try_from(index).expect("few shards"));
        let limits = self.plan.limits;
        let seed = self.seed ^ u64::from(self.life) ^ (u64::from(life) << 32);
        let mut shard = Shard::new(Config { id, shards: self.plan.shards, limits, seed }, self.now);
        let has_store = self.plan.store != StorePlan::None;
        let sessions = shard.open_sessions(SessionConfig { has_store, epoch: EPOCH });
        let random = self.random.fork();
        let (oracle, store) = (self.oracle.clone(), self.store.clone());
        let application = Application::new((index, life), &self.plan, random, oracle, store, sessions);
        Station {
            shard,
            application,
            inputs: VecDeque::new(),
            ports: BTreeMap::new(),
            is_scheduled: false,
            is_tick_due: false,
            tenure: Tenure { life, ..Tenure::new() },
        }
    }

    fn crash(&mut self) {
        self.oracle.borrow_mut().note(&[1], || "the server dies".to_owned());
        let has_store = self.plan.store != StorePlan::None;
        self.oracle.borrow_mut().crashed(has_store);
        self.plan.shards = if self.random.bool() { self.plan.shards } else { self.random.usize(1..=5) };
        self.store.borrow_mut().crash(self.plan.shards);
        for tab in &mut self.tabs {
            tab.stage = Stage::Away;
            tab.id = None;
        }
        self.boot();
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
            match happening {
                Happening::Tick(life, index) if life == self.life => {
                    self.stations[index].is_tick_due = true;
                    self.wake(index);
                    self.at(at + Duration::from_millis(50), happening);
                }
                Happening::Wake(life, index) if life == self.life => self.wake(index),
                Happening::Pass(life, index) if life == self.life => self.pass(index),
                Happening::Act(tab) => self.act(tab),
                Happening::Crash => self.crash(),
                Happening::Die(life, index) if life == self.life => self.die(index),
                Happening::Rise(life, index) if life == self.life => self.rise(index),
                Happening::Tick(..) | Happening::Wake(..) | Happening::Pass(..) => {}
                Happening::Die(..) | Happening::Rise(..) => {}
            }
            self.happened += 1;
            if self.death == Some(self.happened) {
                self.kill_shards();
            }
            assert!(self.queued < HAPPENINGS_MAX, "the world does not come to rest");
        }
        self.now = end;
        self.oracle.borrow_mut().now = end;
    }

    pub(super) fn queue_pass(&mut self, index: usize) {
        if !std::mem::replace(&mut self.stations[index].is_scheduled, true) {
            let at = self.now + self.plan.faults.delay(self.plan.faults.pass_micros, &mut self.random);
            self.at(at, Happening::Pass(self.life, index));
        }
    }

    /// A tab does something.
    fn act(&mut self, index: usize) {
        if !self.is_storming {
            return;
        }
        let tab = &mut self.tabs[index];
        match tab.stage {
            Stage::Away => {
                tab.shard = self.random.usize(..self.plan.shards);
                tab.stage = Stage::Connecting;
                tab.is_paused = false;
                let shard = tab.shard;
                self.input(shard, Input::Connect(index));
            }
            Stage::Open if self.random.u8(..25) == 0 => {
                tab.stage = Stage::Leaving;
                let shard = tab.shard;
                self.input(shard, Input::End(index));
            }
            Stage::Open => {
                let shard = tab.shard;
                self.input(shard, Input::Message(index));
            }
            // Some lose their patience.
            Stage::Connecting if self.random.u8(..20) == 0 && tab.id.is_some() => {
                tab.stage = Stage::Leaving;
                let shard = tab.shard;
                self.input(shard, Input::End(index));
            }
            Stage::Connecting | Stage::Leaving => {}
        }
        let at = self.now + Duration::from_micros(self.random.u64(..self.plan.act_micros * 2));
        self.at(at, Happening::Act(index));
    }

    fn input(&mut self, shard: usize, input: Input) {
        self.stations[shard].inputs.push_back(input);
        self.wake(shard);
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
        for answer in self.store.borrow_mut().answers(now, index, station.tenure.life) {
            station.shard.command(now, answer, &mut station.application);
        }
        station.application.run_tasks();
        station.shard.settle(now, &mut station.application);
        station.shard.check();
        self.send_batches(index);
        self.transmit(index);
        self.carry_out_events(index);
        self.check_settled(index);
        let station = &mut self.stations[index];
        let answers = std::mem::take(&mut station.application.answers_at);
        let has_work = station.shard.has_work() || (!station.inputs.is_empty() && !station.shard.is_joining());
        for at in answers {
            self.at(at, Happening::Wake(self.life, index));
        }
        if has_work {
            self.wake(index);
        }
    }

    fn take(&mut self, index: usize, input: Input) {
        let now = self.now;
        let detail = || format!("shard {index}: {input:?}");
        self.oracle.borrow_mut().note(&[2, index as u64], detail);
        match input {
            Input::Connect(tab) => {
                let cookie = self.browsers[self.tabs[tab].browser];
                let station = &mut self.stations[index];
                let id = station.shard.handle_accept(now, address(cookie), Door::Plain).expect("there is room");
                station.ports.insert(id.slot, tab);
                self.tabs[tab].id = Some(id);
                let mut bytes = Vec::new();
                let text = cookie.map(|id| format!("s={id}"));
                let header = text.as_deref().map(|text| ("Cookie", text));
                handshake::write_request(&mut bytes, "sim", "/s", KEY, header.as_slice());
                encode::masked_frame(&mut bytes, Opcode::Text, [1, 2, 3, 4], HANDSHAKE);
                if self.random.u8(..4) == 0 {
                    // The first words right behind.
                    encode::masked_frame(&mut bytes, Opcode::Text, [1, 2, 3, 4], GO);
                }
                station.shard.handle_receive(now, id, &mut bytes, &mut station.application);
            }
            Input::Message(tab) => {
                let (Some(id), Stage::Open) = (self.tabs[tab].id, self.tabs[tab].stage) else { return };
                if self.tabs[tab].is_paused && self.random.bool() {
                    return; // It stays in the kernel, and this client says it again later.
                }
                self.set_floor(index, id);
                let mut bytes = Vec::new();
                encode::masked_frame(&mut bytes, Opcode::Text, [1, 2, 3, 4], GO);
                let station = &mut self.stations[index];
                station.shard.handle_receive(now, id, &mut bytes, &mut station.application);
            }
            Input::End(tab) => {
                if let Some(id) = self.tabs[tab].id {
                    let station = &mut self.stations[index];
                    station.shard.handle_end(now, id, &mut station.application);
                }
            }
        }
    }

    /// Where each message asks the home, it must know what the home knows now.
    fn set_floor(&mut self, index: usize, id: ConnectionId) {
        if !self.plan.limits.sessions.reads_home {
            return;
        }
        let Some(session) = self.stations[index].shard.session_of(id) else { return };
        let home = session.home(self.plan.shards).index();
        if self.stations[home].tenure.is_dead {
            return;
        }
        let known = self.stations[home].application.sessions().all().into_iter().find(|known| known.id() == session);
        if let Some(known) = known {
            let mut floors = self.stations[index].application.floors.borrow_mut();
            let floor = floors.entry(id).or_default();
            *floor = (*floor).max(known.version());
        }
    }

    fn receive_batches(&mut self, index: usize) {
        for peer in 0..self.plan.shards {
            while let Some(batch) = self.mesh.receive(self.now, peer, index) {
                self.receive_batch(index, peer, &batch);
                self.wake(peer);
                if self.random.u8(..8) == 0 {
                    self.wake(index);
                    break;
                }
            }
        }
    }

    pub(super) fn receive_batch(&mut self, index: usize, peer: usize, batch: &Batch) {
        for envelope in batch.iter() {
            let detail = || format!("shard {index}: from {peer}: {envelope:?}");
            self.oracle.borrow_mut().note(&[3, index as u64, peer as u64], detail);
        }
        let from = ShardId(u8::try_from(peer).expect("few shards"));
        self.stations[index].shard.handle_batch(self.now, from, batch);
        self.stations[index].shard.check();
    }

    fn send_batches(&mut self, index: usize) {
        for peer in (0..self.plan.shards).filter(|peer| *peer != index) {
            let to = ShardId(u8::try_from(peer).expect("few shards"));
            while let Some(batch) = self.stations[index].shard.poll_batch(to) {
                match self.mesh.send(self.now, (index, peer), batch, &self.plan.faults, &mut self.random) {
                    Sent::Arrives(at) => self.at(at, Happening::Wake(self.life, peer)),
                    Sent::Full(batch, retry) => {
                        self.stations[index].shard.return_batch(to, batch);
                        if let Some(at) = retry {
                            self.at(at, Happening::Wake(self.life, index));
                        }
                        break;
                    }
                }
            }
        }
    }

    fn transmit(&mut self, index: usize) {
        let mut sent = Vec::new();
        while let Some(transmit) = self.stations[index].shard.poll_transmit() {
            assert_eq!(transmit.mode, Mode::Turn, "every send here goes through at once");
            sent.push((transmit.connection, transmit.bytes.to_vec()));
        }
        for (id, bytes) in sent {
            let tab = self.stations[index].ports[&id.slot];
            let mut rest = &bytes[..];
            if self.tabs[tab].stage == Stage::Connecting {
                let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("a whole head") + 4;
                self.answered(tab, &bytes[..head]);
                rest = &bytes[head..];
            }
            if self.tabs[tab].stage == Stage::Open {
                self.hear(index, id, rest.to_vec());
            }
        }
    }

    /// Whole frames come to a tab: publications to private channels, and what is said about them.
    fn hear(&mut self, index: usize, id: ConnectionId, mut bytes: Vec<u8>) {
        let mut decoder = Decoder::new(Role::Client);
        let limits = FrameLimits::default();
        let mut messages = decoder.decode(&mut bytes, &limits);
        while let Some(message) = messages.next() {
            let Message::Text(text) = message.expect("the server speaks well") else { continue };
            if !text.starts_with(r#"{"event""#) {
                continue; // It is asked for a sign of life, or answered.
            }
            let packet: serde_json::Value = serde_json::from_str(text).expect("packets are JSON");
            let channel = packet["data"]["channel"].as_str().expect("both name a channel");
            let mut oracle = self.oracle.borrow_mut();
            match packet["event"].as_str() {
                Some("#publish") => {
                    let number = packet["data"]["data"].as_u64().expect("a number");
                    oracle.hear(index, id, channel, number);
                }
                Some("#kickOut") => oracle.kick(index, id, channel),
                event => panic!("nobody says {event:?}"),
            }
        }
    }

    /// The upgrade is answered: the cookie, if there is one, is the browser's from now on.
    fn answered(&mut self, tab: usize, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let status = text.get(9..12).expect("a status line");
        if status != "101" {
            assert_eq!(status, "503", "only who finds no room is refused");
            self.refused += 1;
            self.tabs[tab].stage = Stage::Leaving;
            return;
        }
        self.opened += 1;
        self.tabs[tab].stage = Stage::Open;
        let cookie = text.lines().find_map(|line| line.strip_prefix("Set-Cookie: s="));
        if let Some(cookie) = cookie {
            self.browsers[self.tabs[tab].browser] = Some(cookie.parse().expect("a cookie holds an id"));
        }
    }

    fn carry_out_events(&mut self, index: usize) {
        while let Some(event) = self.stations[index].shard.poll_event() {
            match event {
                Event::PauseReceive(id) => self.tab(index, id).is_paused = true,
                Event::ResumeReceive(id) => self.tab(index, id).is_paused = false,
                Event::Shutdown(id) | Event::Abort(id) => {
                    let tab = self.stations[index].ports[&id.slot];
                    self.tabs[tab].stage = Stage::Leaving;
                    self.input(index, Input::End(tab));
                }
                Event::Close(id) => {
                    let tab = self.stations[index].ports.remove(&id.slot).expect("it was open");
                    self.tabs[tab].stage = Stage::Away;
                    self.tabs[tab].id = None;
                }
            }
        }
    }

    fn tab(&mut self, index: usize, id: ConnectionId) -> &mut Tab {
        let tab = self.stations[index].ports[&id.slot];
        &mut self.tabs[tab]
    }

    /// What was acknowledged in this pass is seen on every shard that has a copy anybody can read.
    fn check_settled(&mut self, index: usize) {
        let settled = std::mem::take(&mut self.stations[index].application.settled);
        for (session, from) in std::mem::take(&mut self.stations[index].application.renewals) {
            // Half of the browsers fetch their new cookie.
            for browser in self.browsers.iter_mut().filter(|browser| **browser == Some(from)) {
                if self.random.bool() {
                    *browser = Some(session.id());
                }
            }
        }
        let oracle = self.oracle.borrow();
        for id in settled {
            let logical = oracle.logical(id);
            for (shard, station) in self.stations.iter().enumerate().filter(|(_, station)| !station.tenure.is_dead) {
                for session in station.application.sessions().all() {
                    if oracle.logical(session.id()) == logical && session.is_ready() {
                        oracle.check(&session, &format!("shard {shard}"));
                    }
                }
            }
        }
    }

    /// All is quiet: nothing waits, and every copy is what its home is.
    fn check_quiet(&self) {
        let oracle = self.oracle.borrow();
        for (index, tab) in self.tabs.iter().enumerate() {
            assert!(tab.stage != Stage::Connecting, "tab {index} waits for its session");
            assert!(!tab.is_paused || tab.stage != Stage::Open, "tab {index} is not listened to");
        }
        for (shard, station) in self.stations.iter().enumerate() {
            station.application.check_empty();
            for session in station.application.sessions().all() {
                let home = session.id().home(self.plan.shards).index();
                if home == shard {
                    oracle.check_sum(&session);
                    continue;
                }
                if session.is_ended() || !session.is_ready() {
                    continue;
                }
                let homes = self.stations[home].application.sessions().all();
                let original = homes.into_iter().find(|known| known.id() == session.id());
                let original = original.unwrap_or_else(|| panic!("{} has a copy and no home", session.id()));
                assert_eq!(session.version(), original.version(), "shard {shard} is behind with {}", session.id());
                assert_eq!(values(&session), values(&original), "shard {shard} has another {}", session.id());
            }
        }
    }

    /// All is quiet: every tab says once more who it is, and every shard publishes to every private channel.
    fn check_private(&mut self) {
        for tab in 0..self.tabs.len() {
            if self.tabs[tab].stage == Stage::Open {
                let shard = self.tabs[tab].shard;
                self.input(shard, Input::Message(tab));
            }
        }
        let from = self.oracle.borrow().private.published();
        for index in 0..self.plan.shards {
            for channel in 0..CHANNELS.len() {
                self.stations[index].application.publish(channel);
            }
            self.wake(index);
        }
        self.run_until(self.now + Duration::from_secs(2));
        let shards: Vec<_> = self.stations.iter().map(|station| &station.shard).collect();
        Shard::check_rosters(&shards);
        let lives: Vec<_> = self.stations.iter().map(|station| station.tenure.life).collect();
        let mut oracle = self.oracle.borrow_mut();
        oracle.check_owed(&lives);
        oracle.check_quiet_publications(from);
        if let Some(online) = oracle.online() {
            for shard in shards {
                assert_eq!(shard.online(), online.len() as u64, "who is online is {online:?}");
            }
        }
    }

    /// Everybody leaves; after the time of the cache only homes are left that have something to keep.
    fn end(&mut self) {
        for tab in 0..self.tabs.len() {
            if self.tabs[tab].id.is_some() {
                let shard = self.tabs[tab].shard;
                self.input(shard, Input::End(tab));
            }
        }
        self.stations.iter_mut().for_each(|station| station.application.end_tasks());
        // First the copies go, then their homes; both count in whole seconds.
        self.run_until(self.now + 2 * self.plan.limits.sessions.cache + Duration::from_secs(6));
        let has_store = self.plan.store != StorePlan::None;
        for (index, station) in self.stations.iter().enumerate() {
            assert_eq!(station.shard.connections(), 0, "connections that shard {index} still has");
            for session in station.application.sessions().all() {
                let home = session.id().home(self.plan.shards).index();
                assert_eq!(home, index, "shard {index} keeps a copy: {session:?}");
                assert!(!has_store, "shard {index} keeps what the store has: {session:?}");
                assert!(session.version() > 0, "shard {index} keeps {}, which nobody has written to", session.id());
            }
        }
    }

    fn report(&self) -> SessionReport {
        let oracle = self.oracle.borrow();
        SessionReport {
            hash: oracle.trace.hash(),
            happenings: self.queued,
            storm_happenings: self.storm_happenings,
            deaths: self.deaths,
            restored: self.stations.iter().map(|station| station.shard.metrics().sessions_restored).sum(),
            lost: oracle.lost,
            opened: self.opened,
            refused: self.refused,
            writes: oracle.writes,
            written: oracle.written,
            durable: oracle.durable,
            writes_refused: oracle.refused,
            rotations: oracle.rotations,
            store: self.store.borrow().report,
            private: oracle.private.report,
        }
    }
}
