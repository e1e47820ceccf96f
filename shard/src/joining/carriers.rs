//! Clients by long-polling, on their way to a WebSocket, on one and lost for a while, and those who wait for a place, while
//! shards die: what they do and when is chance, by seed. A failure names its seed.
//!
//! Whoever lives on a shard that lives hears everything once and in order, whatever dies on the way to it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;

use crate::seats::SeatLimits;
use crate::world::{Client, World};
use crate::{Limits, RecoveryLimits, Shard, SocketIoConfig};

const SHARDS: usize = 3;

/// A client with its present connection to the server, if it has one.
struct Person {
    address: String,
    life: Option<Life>,
}

/// A connection in the server's eyes, by whatever it is reached.
struct Life {
    /// The shard that it lives on.
    home: usize,
    /// The shard of the transport by which its client has come back last, or home.
    via: usize,
    way: Way,
    pid: String,
    /// Of the last event that was heard.
    offset: Option<String>,
    /// What is to be heard still, in this order.
    expected: VecDeque<u32>,
    /// The shard has died.
    is_gone: bool,
}

/// How it is reached.
enum Way {
    /// By requests with this path, one of which may wait for an answer.
    Polled(String, Option<Client>),
    /// The same, and a WebSocket that was probed.
    Probed(String, Option<Client>, Client),
    Socket(Client),
    /// By nothing: its client comes back.
    Lost,
}

impl Way {
    /// The request that waits, and the WebSocket.
    const fn connections(&self) -> (Option<Client>, Option<Client>) {
        match self {
            Self::Polled(_, waiting) => (*waiting, None),
            Self::Probed(_, waiting, socket) => (*waiting, Some(*socket)),
            Self::Socket(socket) => (None, Some(*socket)),
            Self::Lost => (None, None),
        }
    }
}

struct Run {
    world: World,
    random: Rng,
    people: Vec<Person>,
    published: u32,
    dead: Option<usize>,
    recoveries: u32,
    endings: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let recovery = RecoveryLimits { window: Duration::from_secs(600), ..RecoveryLimits::default() };
        let mut random = Rng::with_seed(seed);
        let mut world = World::new(SHARDS, Limits { recovery, ..Limits::default() });
        world.shards.iter_mut().for_each(open_socket_io);
        let people = (0..random.usize(1..6)).map(|index| Person { address: format!("10.0.1.{index}"), life: None });
        let people = people.collect();
        Self { world, random, people, published: 0, dead: None, recoveries: 0, endings: 0 }
    }

    /// One that lives.
    fn shard(&mut self) -> usize {
        loop {
            let shard = self.random.usize(..SHARDS);
            if self.dead != Some(shard) {
                return shard;
            }
        }
    }

    fn step(&mut self) {
        let who = self.random.usize(..self.people.len());
        match self.random.u8(..12) {
            0..=3 => self.publish(),
            4 if self.random.bool() => self.die_or_rise(),
            5 => self.lose(who),
            6 | 7 => self.upgrade(who),
            _ if self.people[who].life.is_none() => self.begin(who),
            _ => self.listen(who),
        }
        self.hear_all();
    }

    fn publish(&mut self) {
        self.published += 1;
        let shard = self.shard();
        let publisher = self.world.member(shard, "10.0.0.1");
        let number = self.published;
        self.world.send(publisher, &format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{number}}}}}"##));
        self.world.send(publisher, r##"{"event":"#disconnect","data":{"code":1000}}"##);
        for life in self.people.iter_mut().filter_map(|person| person.life.as_mut()) {
            if !life.is_gone {
                life.expected.push_back(number);
            }
        }
    }

    /// A shard dies with everybody who lives there and every connection that passes through it; later another one is there.
    fn die_or_rise(&mut self) {
        if let Some(shard) = self.dead.take() {
            return self.world.replace(shard);
        }
        let shard = self.random.usize(..SHARDS);
        self.dead = Some(shard);
        if self.random.bool() {
            // What others say in its last moments is under way when it dies.
            self.world.is_parted = true;
            self.publish();
        }
        let (waits, losses) = (self.waits(shard), self.losses(shard));
        self.world.lose(shard);
        self.world.is_parted = false;
        open_socket_io(&mut self.world.shards[shard]);
        self.world.wait(Duration::ZERO);
        let begun = self.waits(shard) - waits;
        assert!(losses.contains(&begun), "{begun} of {losses:?} wait that have lost their transport");
        for who in 0..self.people.len() {
            self.mourn(who, shard);
        }
    }

    /// Connections that have begun to wait for their clients, on other shards.
    fn waits(&self, shard: usize) -> u64 {
        let others = self.world.shards.iter().enumerate().filter(|(index, _)| *index != shard);
        others.map(|(_, shard)| shard.metrics().recovery_waits).sum()
    }

    /// How many connections of other shards are carried by this one, for sure and at the most: a client that is gone may
    /// not be missed yet.
    fn losses(&self, shard: usize) -> RangeInclusive<u64> {
        let lives = self.people.iter().filter_map(|person| person.life.as_ref());
        let (mut sure, mut perhaps) = (0, 0);
        for life in lives.filter(|life| !life.is_gone && life.home != shard) {
            let is_there = matches!(life.way, Way::Socket(socket) if socket.shard == shard) || life.via == shard;
            sure += u64::from(is_there && !matches!(life.way, Way::Lost));
            perhaps += u64::from(matches!(life.way, Way::Lost));
        }
        sure..=sure + perhaps
    }

    /// A client whose request or WebSocket was there goes on by another one, or finds that there is nothing to go on with.
    fn mourn(&mut self, who: usize, shard: usize) {
        let Some(life) = &mut self.people[who].life else { return };
        let (waiting, socket) = life.way.connections();
        let is_there = |client: Option<Client>| client.is_some_and(|client| client.shard == shard);
        let is_over = life.home == shard && !life.is_gone;
        if is_over || (life.via == shard && !matches!(life.way, Way::Lost)) {
            let is_carried = matches!(life.way, Way::Socket(_));
            life.way = Way::Lost;
            if is_over {
                life.is_gone = true;
                life.expected.clear();
            }
            // Whoever waits elsewhere is told, and a WebSocket there ends.
            if let Some(client) = waiting.filter(|client| client.shard != shard) {
                let (status, body) = self.answer(client).expect("it does not wait for ever");
                assert!(status == 400 && body.contains("Session ID unknown"), "{body}");
                self.world.end(client);
            }
            if let Some(client) = socket.filter(|client| !self.world.is_over(*client)) {
                // One that does not carry yet may wait until the last words are fetched; its client does not.
                assert!(!is_carried, "it has nothing to carry any more");
                self.world.end(client);
            }
        } else if is_there(waiting) {
            match std::mem::replace(&mut life.way, Way::Lost) {
                // Nothing was under way to it, so that it may just ask again.
                Way::Polled(path, _) if life.expected.is_empty() && self.random.bool() => {
                    life.way = Way::Polled(path, None);
                }
                way => life.way = way,
            }
            // Otherwise the client cannot know how much is lost: it comes back with what it has heard.
            if matches!(life.way, Way::Polled(_, Some(_)) | Way::Probed(..)) {
                self.lose(who);
            }
        } else if is_there(socket) {
            // Without the probe it goes on polling.
            match std::mem::replace(&mut life.way, Way::Lost) {
                Way::Probed(path, waiting, _) => life.way = Way::Polled(path, waiting),
                way => life.way = way,
            }
            if matches!(life.way, Way::Socket(_)) {
                self.lose(who);
            }
        }
    }

    /// A client whose network is gone.
    fn lose(&mut self, who: usize) {
        let Some(life) = &mut self.people[who].life else { return };
        let (waiting, socket) = std::mem::replace(&mut life.way, Way::Lost).connections();
        for client in waiting.into_iter().chain(socket) {
            if self.dead != Some(client.shard) && !self.world.is_over(client) {
                self.world.end(client);
            }
        }
    }

    /// A client that knows of no connection opens one.
    fn begin(&mut self, who: usize) {
        let shard = self.shard();
        let (way, answer) = self.connect(who, shard, "40");
        let pid = member(&answer, "pid").expect("an id");
        self.people[who].life =
            Some(Life { home: shard, via: shard, way, pid, offset: None, expected: VecDeque::new(), is_gone: false });
        self.say(who, r#"420["subscribe","news"]"#);
        assert_eq!(self.listened(who), ["430[]"], "nothing else was said");
    }

    /// By long-polling or by a WebSocket; what the first word is answered.
    fn connect(&mut self, who: usize, shard: usize, word: &str) -> (Way, String) {
        let address = self.people[who].address.clone();
        if self.random.bool() {
            let socket = self.world.upgrade(shard, &address, "/socket.io/?EIO=4&transport=websocket");
            assert_eq!(self.world.heard(socket).len(), 2);
            self.world.send(socket, word);
            // What was missed comes before the answer that says so.
            return (Way::Socket(socket), self.world.heard(socket).join("\u{1e}"));
        }
        let (_, opened) = self.fetch(shard, &address, "GET /socket.io/?EIO=4&transport=polling", "");
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", member(&opened, "sid").expect("an id"));
        let any = self.shard();
        assert_eq!(self.fetch(any, &address, &format!("POST {path}"), word).0, 200);
        let mut heard = String::new();
        while !packets(&heard).iter().any(|packet| packet.starts_with("40")) {
            let any = self.shard();
            heard = format!("{heard}\u{1e}{}", self.fetch(any, &address, &format!("GET {path}"), "").1);
        }
        (Way::Polled(path, None), heard)
    }

    /// A request on a connection of its own, which ends with it.
    fn fetch(&mut self, shard: usize, address: &str, request: &str, body: &str) -> (u16, String) {
        let client = self.ask(shard, address, request, body);
        let answer = self.answer(client).unwrap_or_else(|| panic!("no answer to {request}"));
        self.world.end(client);
        answer
    }

    fn ask(&mut self, shard: usize, address: &str, request: &str, body: &str) -> Client {
        let client = self.world.accept(shard, address);
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.world.send_bytes(client, format!("{request} HTTP/1.1\r\nHost: a\r\n{length}\r\n{body}").as_bytes());
        client
    }

    fn answer(&mut self, client: Client) -> Option<(u16, String)> {
        let text = String::from_utf8(self.world.heard_bytes(client)).expect("text");
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// A client sends a packet, to wherever it is polled or by its WebSocket.
    fn say(&mut self, who: usize, packet: &str) {
        let address = self.people[who].address.clone();
        let shard = self.shard();
        match &self.people[who].life.as_ref().expect("it has one").way {
            Way::Socket(socket) => self.world.send(*socket, packet),
            Way::Polled(path, _) | Way::Probed(path, ..) => {
                let request = format!("POST {path}");
                assert_eq!(self.fetch(shard, &address, &request, packet).0, 200);
            }
            Way::Lost => {}
        }
    }

    /// What there is to hear at once.
    fn listened(&mut self, who: usize) -> Vec<String> {
        let (shard, address) = (self.shard(), self.people[who].address.clone());
        match &self.people[who].life.as_ref().expect("it has one").way {
            Way::Socket(socket) => self.world.heard(*socket),
            Way::Polled(path, None) => {
                let request = format!("GET {path}");
                packets(&self.fetch(shard, &address, &request, "").1)
            }
            _ => panic!("not now"),
        }
    }

    /// A client without an answer to wait for asks for the next one; one that was lost comes back.
    fn listen(&mut self, who: usize) {
        let (shard, address) = (self.shard(), self.people[who].address.clone());
        let way = &self.people[who].life.as_ref().expect("it has one").way;
        match way {
            Way::Polled(path, None) => {
                let request = format!("GET {path}");
                let client = self.ask(shard, &address, &request, "");
                let Some(Life { way: Way::Polled(_, waiting), .. }) = &mut self.people[who].life else {
                    panic!("it was just that")
                };
                *waiting = Some(client);
            }
            Way::Lost => self.come_back(who, shard),
            _ => {}
        }
    }

    fn come_back(&mut self, who: usize, shard: usize) {
        let life = self.people[who].life.as_ref().expect("it has one");
        let (is_gone, pid, offset) = (life.is_gone, life.pid.clone(), life.offset.clone());
        let offset = offset.map_or_else(String::new, |offset| format!(r#","offset":"{offset}""#));
        let (way, answer) = self.connect(who, shard, &format!(r#"40{{"pid":"{pid}"{offset}}}"#));
        let heard = packets(&answer);
        let now = heard.iter().find_map(|packet| member(packet.strip_prefix("40")?, "pid")).expect("an id");
        assert_eq!(now != pid, is_gone, "who lives on a shard that lives is known there, and nobody else anywhere");
        let life = self.people[who].life.as_mut().expect("it has one");
        (life.way, life.via) = (way, shard);
        if !is_gone {
            self.recoveries += 1;
            return self.hear(who, &heard);
        }
        self.endings += 1;
        (life.home, life.pid, life.offset, life.is_gone) = (shard, now, None, false);
        self.say(who, r#"420["subscribe","news"]"#);
        assert_eq!(self.listened(who), ["430[]"], "nothing else was said");
    }

    /// A client that polls goes over to a WebSocket, in two steps.
    fn upgrade(&mut self, who: usize) {
        let (shard, address) = (self.shard(), self.people[who].address.clone());
        let Some(life) = &mut self.people[who].life else { return };
        match std::mem::replace(&mut life.way, Way::Lost) {
            Way::Polled(path, waiting) => {
                let socket =
                    self.world.upgrade(shard, &address, &path.replace("transport=polling", "transport=websocket"));
                self.world.send(socket, "2probe");
                let heard = self.world.heard(socket);
                assert_eq!(heard.last().map(String::as_str), Some("3probe"), "{heard:?}");
                self.people[who].life.as_mut().expect("it has one").way = Way::Probed(path, waiting, socket);
            }
            Way::Probed(_, waiting, socket) => {
                assert!(waiting.is_none(), "the request that waited was answered when the probe was");
                life.way = Way::Socket(socket);
                self.world.send(socket, "5");
            }
            way => life.way = way,
        }
    }

    fn hear_all(&mut self) {
        for who in 0..self.people.len() {
            let Some(life) = &self.people[who].life else { continue };
            match &life.way {
                Way::Polled(_, Some(client)) | Way::Probed(_, Some(client), _) => {
                    let client = *client;
                    let Some((status, body)) = self.answer(client) else { continue };
                    self.world.end(client);
                    assert_eq!(status, 200, "{body}");
                    let life = self.people[who].life.as_mut().expect("it has one");
                    if let Way::Polled(_, waiting) | Way::Probed(_, waiting, _) = &mut life.way {
                        *waiting = None;
                    }
                    self.hear(who, &packets(&body));
                }
                Way::Socket(socket) => {
                    let socket = *socket;
                    assert!(!self.world.is_over(socket), "nobody ends it");
                    let heard = self.world.heard(socket);
                    self.hear(who, &heard);
                }
                _ => {}
            }
        }
    }

    fn hear(&mut self, who: usize, heard: &[String]) {
        let life = self.people[who].life.as_mut().expect("it has one");
        for packet in heard {
            let event = packet.strip_prefix(r#"42["news","#).and_then(|rest| rest.strip_suffix("\"]"));
            let Some((number, offset)) = event.and_then(|event| event.split_once(",\"")) else {
                assert!(packet == "6" || packet == "2" || packet.starts_with("40"), "{packet}");
                continue;
            };
            assert_eq!(life.expected.pop_front(), number.parse().ok(), "once and in order");
            life.offset = Some(offset.to_owned());
        }
    }
}

fn open_socket_io(shard: &mut Shard) {
    shard.open_socket_io(SocketIoConfig { has_channel_events: true, ..SocketIoConfig::default() });
}

fn packets(body: &str) -> Vec<String> {
    body.split('\u{1e}').filter(|packet| !packet.is_empty()).map(str::to_owned).collect()
}

fn member(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

/// Everybody hears everything to the end, and nothing is left behind.
fn run(seed: u64) -> (u32, u32) {
    let mut run = Run::new(seed);
    for _ in 0..run.random.usize(40..160) {
        run.step();
    }
    if run.dead.is_some() {
        run.die_or_rise();
    }
    for who in 0..run.people.len() {
        let mut turns = 0;
        while run.people[who]
            .life
            .as_ref()
            .is_some_and(|life| !life.expected.is_empty() || matches!(life.way, Way::Lost))
        {
            match run.people[who].life.as_ref().map(|life| &life.way) {
                Some(Way::Probed(..)) => run.upgrade(who),
                _ => run.listen(who),
            }
            run.hear_all();
            turns += 1;
            assert!(turns < 100, "client {who} hears no more");
        }
    }
    run.world.shards.iter().for_each(Shard::check);
    (0..run.people.len()).for_each(|who| run.lose(who));
    for _ in 0..40 {
        run.world.wait(Duration::from_secs(30));
    }
    assert_eq!(run.world.shards.iter().map(Shard::connections).sum::<usize>(), 0, "nothing is left behind");
    (run.recoveries, run.endings)
}

fn by_seed<T>(seed: u64, run: impl Fn(u64) -> T) -> T {
    let named = Named(seed);
    let result = run(seed);
    std::mem::forget(named);
    result
}

struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        println!("seed {}", self.0);
    }
}

#[test]
fn whoever_lives_on_a_shard_that_lives_misses_nothing_by_whatever_way() {
    let (recoveries, endings): (Vec<_>, Vec<_>) = (0..seeds()).map(|seed| by_seed(seed, run)).unzip();
    let sums = (recoveries.iter().sum::<u32>(), endings.iter().sum::<u32>());
    // What never happens proves nothing.
    assert!(sums.0 > 300 && sums.1 > 100, "{sums:?} recoveries, lives that ended with their shard");
}

/// Where people come from, for the test of places; so many connections each may have.
const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
const PLACES: usize = 3;

/// The connections of each address, and those that wait to hear whether there is a place, while the shard that knows is away.
fn places(seed: u64) -> u32 {
    let seats = SeatLimits { per_address: 3, ..SeatLimits::default() };
    let (mut random, mut refused) = (Rng::with_seed(seed), 0);
    let mut world = World::new(SHARDS, Limits { seats, ..Limits::default() });
    let mut open: [Vec<Client>; 4] = Default::default();
    let mut waiting: [Vec<Client>; 4] = Default::default();
    let mut dead = None;
    for _ in 0..random.usize(20..150) {
        let (shard, who) = (random.usize(..SHARDS), random.usize(..ADDRESSES.len()));
        match random.u8(..8) {
            0 if dead.is_none() => {
                dead = Some(shard);
                world.lose(shard);
                world.wait(Duration::ZERO);
                open.iter_mut().chain(&mut waiting).for_each(|clients| clients.retain(|client| client.shard != shard));
            }
            1 => dead.take().into_iter().for_each(|shard| world.replace(shard)),
            2 | 3 if !open[who].is_empty() => {
                let client = open[who].swap_remove(random.usize(..open[who].len()));
                world.end(client);
            }
            _ if dead != Some(shard) => waiting[who].push(world.upgrade(shard, ADDRESSES[who], "/raw")),
            _ => {}
        }
        for who in 0..ADDRESSES.len() {
            let mut refusals = 0;
            for client in std::mem::take(&mut waiting[who]) {
                match world.heard(client).first().map(String::as_str) {
                    None => waiting[who].push(client),
                    Some(UPGRADED) => open[who].push(client),
                    Some(answer) => {
                        assert!(answer == FULL && world.is_over(client), "{answer}");
                        refusals += 1;
                    }
                }
            }
            refused += refusals;
            assert!(refusals == 0 || open[who].len() + waiting[who].len() >= PLACES, "there was a place");
            assert!(open[who].len() <= PLACES, "one too many of {}", ADDRESSES[who]);
            assert!(waiting[who].is_empty() || dead.is_some(), "nobody waits for a shard that lives");
        }
    }
    dead.into_iter().for_each(|shard| world.replace(shard));
    // Whoever goes leaves a place, and no more than that.
    for who in 0..ADDRESSES.len() {
        let admitted = waiting[who].drain(..).filter(|client| world.heard(*client) == [UPGRADED]).collect::<Vec<_>>();
        open[who].extend(admitted);
        while open[who].len() < PLACES {
            let client = world.upgrade(random.usize(..SHARDS), ADDRESSES[who], "/raw");
            assert_eq!(world.heard(client), [UPGRADED], "{} of {PLACES} places are taken", open[who].len());
            open[who].push(client);
        }
        let full = world.upgrade(random.usize(..SHARDS), ADDRESSES[who], "/raw");
        assert_eq!(world.heard(full), [FULL], "{PLACES} places are taken");
    }
    refused
}

const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols";
const FULL: &str = "HTTP/1.1 429 Too Many Requests";

#[test]
fn places_are_as_many_as_ever_whichever_shards_have_died() {
    let refused: u32 = (0..seeds()).map(|seed| by_seed(seed, places)).sum();
    assert!(refused > 500, "{refused} refused");
}

/// As many as every run of the tests takes, unless `SOCKETSHARD_CARRIER_SEEDS` says how many.
fn seeds() -> u64 {
    std::env::var("SOCKETSHARD_CARRIER_SEEDS").map_or(500, |count| count.parse().expect("a number"))
}
