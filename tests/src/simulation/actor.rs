//! One simulated client: speaks real bytes through the codec's client direction, acts by dice, and tells the oracle
//! everything it does before it does it.

use std::time::Duration;

use codec::message::RawJson;
use codec::socketcluster::Dialect;
use codec::socketcluster::client as packets;
use codec::websocket::{Opcode, encode, handshake};
use fastrand::Rng;
use shard::Time;

use super::compression::{self, Sender};
use super::ledger::payload;
use super::login::token;
use super::oracle::Oracle;
use super::plan::{CHANNELS, Plan};
use super::record::{Call, Kind};
use super::stream::{Heard, KEY};

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// With the heartbeat it answers.
    SocketCluster(Dialect),
    Raw,
    Pages,
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should.
    Good,
    /// Never answers a ping.
    Silent,
    /// Connects and says nothing, or says only half.
    Mute,
    /// Speaks before its handshake.
    Eager,
}

/// What a client does beside sending bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Ends its direction.
    Finish,
    /// Ends everything at once.
    Reset,
    /// Its cable is cut.
    Cut,
    /// Reads nothing for that long, in microseconds.
    Stall(u64),
    /// Nor does or says anything.
    Doze(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Upgrading,
    Handshaking,
    Open,
    Closing,
    Gone,
}

pub(super) struct Actor {
    pub(super) client: usize,
    pub(super) speaks: Speaks,
    pub(super) manner: Manner,
    stage: Stage,
    /// Numbers its publications.
    published: u64,
    /// Bytes to send.
    pub(super) out: Vec<u8>,
    pub(super) deeds: Vec<Deed>,
    /// Packets of an array that is being written.
    batch: Option<Vec<Vec<u8>>>,
    /// Its first frames went out right behind the upgrade, without waiting for the answer.
    is_hasty: bool,
    /// It neither reads nor does anything.
    pub(super) is_dozing: bool,
    /// It has agreed to compression.
    sender: Option<Sender>,
}

impl Actor {
    pub(super) fn new(client: usize, speaks: Speaks, manner: Manner) -> Self {
        let (out, deeds) = (Vec::new(), Vec::new());
        Self {
            client,
            speaks,
            manner,
            stage: Stage::Upgrading,
            published: 0,
            out,
            deeds,
            batch: None,
            is_hasty: false,
            is_dozing: false,
            sender: None,
        }
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    /// It is cut off.
    pub(super) const fn vanish(&mut self) {
        self.stage = Stage::Gone;
    }

    /// The connection stands: the first words.
    pub(super) fn begin(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        let record = &mut oracle.records[self.client];
        if self.manner == Manner::Silent {
            record.is_doomed = true;
            record.closes.insert(4_001);
        }
        if self.manner == Manner::Mute {
            record.is_doomed = true;
            record.closes.insert(4_005);
            record.statuses.insert(408);
            record.may_vanish_unopened = true;
            // A raw connection needs no more than its upgrade.
            match random.u8(..if self.speaks == Speaks::Raw { 2 } else { 3 }) {
                0 => return,
                1 => return self.out.extend_from_slice(b"GET /socketcluster/ HTT"),
                _ => {}
            }
        }
        let path = match self.speaks {
            Speaks::SocketCluster(dialect) => {
                record.dialect = Some(dialect);
                match (dialect, random.u8(..6)) {
                    (Dialect::V2, 0) => "/socketcluster/?t=1&protocolVersion=2",
                    (Dialect::V1, 0) => "/socketcluster/?protocolVersion=1",
                    _ => "/socketcluster/",
                }
            }
            Speaks::Raw if random.u8(..12) == 0 => {
                record.statuses.insert(404);
                "/nowhere"
            }
            Speaks::Raw => "/echo",
            Speaks::Pages => return self.stage = Stage::Open,
        };
        record.is_dialect_fixed = path.contains('?');
        handshake::write_request(&mut self.out, "sim", path, KEY, &compression::offer(random));
        if self.manner == Manner::Good && random.u8(..6) == 0 {
            self.is_hasty = true;
            self.first_words(oracle, random);
        }
    }

    /// What the server said has arrived.
    pub(super) fn hear(&mut self, heard: &Heard, oracle: &mut Oracle, random: &mut Rng) {
        match heard {
            Heard::Upgraded => self.upgraded(oracle, random),
            Heard::Agreed => self.sender = Some(Sender::new()),
            Heard::Ping(dialect) => self.asked(*dialect, oracle, random),
            Heard::ControlPing if self.manner != Manner::Silent => self.frame(Opcode::Pong, b"", random),
            Heard::Reply(_, Ok(_)) if self.stage == Stage::Handshaking => self.stage = Stage::Open,
            Heard::Close(code) if self.stage != Stage::Closing => {
                encode::masked_close(&mut self.out, key(random), code.unwrap_or(1005), "");
                self.stage = Stage::Closing;
            }
            Heard::End if self.stage != Stage::Gone => {
                self.stage = Stage::Gone;
                self.deeds.push(Deed::Finish);
            }
            _ => {}
        }
    }

    fn upgraded(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        self.stage = if self.speaks == Speaks::Raw { Stage::Open } else { Stage::Handshaking };
        oracle.records[self.client].is_open |= self.speaks == Speaks::Raw;
        if !self.is_hasty {
            self.first_words(oracle, random);
        }
    }

    fn first_words(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        match self.manner {
            _ if self.speaks == Speaks::Raw => {
                oracle.records[self.client].echoes_asked.push_back(Ok("first".into()));
                self.message(Opcode::Text, b"first", random);
            }
            Manner::Mute => {}
            Manner::Eager => {
                let record = &mut oracle.records[self.client];
                record.is_doomed = true;
                record.closes.insert(4_009);
                let early: &[u8] =
                    random.choice(&[&b"#2"[..], b"hello", b"{\"event\":\"echo\",\"cid\":1}"]).expect("3");
                self.frame(Opcode::Text, early, random);
            }
            Manner::Good | Manner::Silent => {
                let index = self.call(oracle, Kind::Handshake);
                let token = (random.u8(..3) == 0).then(|| self.some_token(index, oracle, random));
                self.packet(|out| packets::handshake(out, token.as_deref(), index), random);
            }
        }
    }

    /// A client answers only the ping that it knows.
    fn asked(&mut self, dialect: Dialect, oracle: &mut Oracle, random: &mut Rng) {
        let is_mine = self.speaks == Speaks::SocketCluster(dialect);
        if is_mine && self.manner != Manner::Silent && self.stage == Stage::Open {
            let record = &mut oracle.records[self.client];
            let index = record.next_packet();
            record.first_pong.get_or_insert(index);
            self.frame(Opcode::Text, dialect.pong().as_bytes(), random);
        }
    }

    /// Something of the client's own accord.
    pub(super) fn act(&mut self, oracle: &mut Oracle, plan: &Plan, random: &mut Rng) {
        if self.stage != Stage::Open {
            return;
        }
        if !plan.is_peaceful && !plan.is_drowsy && random.u8(..60) == 0 {
            return self.misbehave(oracle, random);
        }
        match self.speaks {
            Speaks::Pages => self.ask_for_page(oracle, random),
            Speaks::Raw => self.shout(oracle, plan, random),
            Speaks::SocketCluster(_) => self.speak(oracle, plan, random),
        }
        if random.u16(..if plan.is_drowsy { 1_000 } else { 80 }) == 0 {
            self.leave(oracle, random);
        }
    }

    fn ask_for_page(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        for _ in 0..random.u8(1..4) {
            let number = random.u32(..);
            let path = if random.u8(..4) == 0 { "/later" } else { "/page" };
            let body = "z".repeat(random.usize(..=4) * random.usize(..=1_000));
            let framed = match random.u8(..3) {
                0 => format!(
                    "POST {path}?{number} HTTP/1.1\r\nHost: sim\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
                1 if !body.is_empty() => format!(
                    "PUT {path}?{number} HTTP/1.1\r\nHost: sim\r\nTransfer-Encoding: chunked\r\n\r\n\
                     {:x}\r\n{body}\r\n0\r\n\r\n",
                    body.len()
                ),
                _ => {
                    self.out.extend_from_slice(format!("GET {path}?{number} HTTP/1.1\r\nHost: sim\r\n\r\n").as_bytes());
                    oracle.records[self.client].pages.push_back(format!("{path}?{number} "));
                    continue;
                }
            };
            self.out.extend_from_slice(framed.as_bytes());
            oracle.records[self.client].pages.push_back(format!("{path}?{number} {body}"));
        }
    }

    fn shout(&mut self, oracle: &mut Oracle, plan: &Plan, random: &mut Rng) {
        let padding = random.usize(..=plan.padding_bytes_max);
        let text = format!("{} {}", random.u32(..), "y".repeat(padding));
        if random.bool() {
            oracle.records[self.client].echoes_asked.push_back(Ok(text.clone()));
            self.message(Opcode::Text, text.as_bytes(), random);
        } else {
            oracle.records[self.client].echoes_asked.push_back(Err(text.clone().into_bytes()));
            self.message(Opcode::Binary, text.as_bytes(), random);
        }
    }

    fn speak(&mut self, oracle: &mut Oracle, plan: &Plan, random: &mut Rng) {
        if random.u8(..8) == 0 {
            self.batch = Some(Vec::new());
        }
        let channel = random.usize(..plan.channels);
        let chosen = if plan.is_fickle && random.bool() { random.u8(..5) } else { random.u8(..20) };
        match chosen {
            0..3 => self.subscribe(channel, oracle, random),
            3 => self.unsubscribe(channel, oracle, random),
            4 => {
                self.unsubscribe(channel, oracle, random);
                self.subscribe(channel, oracle, random);
            }
            5..9 => self.publish(channel, oracle, plan, random),
            9 => {
                let burst = if self.batch.is_some() { 8 } else { 24 };
                (0..random.u8(2..burst)).for_each(|_| self.publish(channel, oracle, plan, random));
            }
            10 => {
                self.subscribe(channel, oracle, random);
                self.publish(channel, oracle, plan, random);
                self.invoke(oracle, random);
            }
            11 => {
                let payload = random.u32(..).to_le_bytes();
                oracle.records[self.client].pongs.push_back(payload.to_vec());
                self.flush_batch(random);
                self.frame(Opcode::Ping, &payload, random);
            }
            12..16 => (0..random.u8(1..4)).for_each(|_| self.invoke(oracle, random)),
            _ => (0..random.u8(1..4)).for_each(|_| self.log_in_or_out(oracle, random)),
        }
        self.flush_batch(random);
        if !plan.is_peaceful && !plan.is_drowsy && random.u8(..40) == 0 {
            // Sometimes shorter than anybody's patience, sometimes longer.
            let micros = if random.bool() { random.u64(10_000..250_000) } else { random.u64(1_000_000..3_000_000) };
            self.deeds.push(Deed::Stall(micros));
        }
        if !plan.is_peaceful && random.u8(..30) == 0 {
            // Longer than a user may be silent, shorter than a connection may.
            let margin = if plan.is_drowsy { Duration::from_millis(500) } else { Duration::ZERO };
            let shortest = plan.limits.people.silence + margin;
            let people = shortest.as_micros()..plan.limits.ping_timeout.as_micros();
            let bound = |micros: u128| u64::try_from(micros).expect("some seconds");
            if !people.is_empty() {
                self.deeds.push(Deed::Doze(random.u64(bound(people.start)..bound(people.end))));
            }
        }
    }

    /// All is quiet: says for each channel whether it wants to be in it, and asks who it is. What it is comes to light by
    /// the answers.
    pub(super) fn report(&mut self, oracle: &mut Oracle, plan: &Plan, random: &mut Rng, is_first: bool) {
        if self.stage != Stage::Open || !matches!(self.speaks, Speaks::SocketCluster(_)) {
            return;
        }
        for channel in 0..plan.channels {
            match random.u8(..4) {
                0 => self.subscribe_by(channel, true, oracle, random),
                1 => self.unsubscribe_by(channel, true, oracle, random),
                _ if is_first => self.subscribe_by(channel, true, oracle, random),
                _ => {}
            }
        }
        match random.u8(..4) {
            0 => self.say_of_itself("login", Kind::Login, oracle, random),
            1 => self.say_of_itself("logout", Kind::Logout, oracle, random),
            2 if !is_first && random.bool() => {
                oracle.records[self.client].may_vanish = true;
                self.stage = Stage::Gone;
                return self.deeds.push(Deed::Reset);
            }
            2 if !is_first => return self.leave(oracle, random),
            _ => {}
        }
        self.say_of_itself("who", Kind::Who, oracle, random);
    }

    /// Calls an action with the packet's number.
    fn say_of_itself(&mut self, action: &str, kind: Kind, oracle: &mut Oracle, random: &mut Rng) {
        let index = self.call(oracle, kind);
        let data = index.to_string();
        let data = Some(RawJson::from_validated(&data));
        self.packet(|out| packets::invoke(out, action, data, Some(index)), random);
    }

    fn subscribe(&mut self, channel: usize, oracle: &mut Oracle, random: &mut Rng) {
        let has_call = random.u8(..8) > 0;
        self.subscribe_by(channel, has_call, oracle, random);
    }

    fn subscribe_by(&mut self, channel: usize, has_call: bool, oracle: &mut Oracle, random: &mut Rng) {
        let index = self.ask(oracle, has_call, Kind::Subscribe(channel));
        oracle.records[self.client].subscription(channel).subscribe(index, has_call);
        let mut name = Vec::new();
        codec::json::write_string(&mut name, CHANNELS[channel]);
        let name = String::from_utf8(name).expect("JSON is text");
        let call = if has_call { format!(",\"cid\":{index}") } else { String::new() };
        let data = format!("{{\"channel\":{name},\"data\":{index}}}");
        self.packet(
            |out| out.extend_from_slice(format!("{{\"event\":\"#subscribe\",\"data\":{data}{call}}}").as_bytes()),
            random,
        );
    }

    fn unsubscribe(&mut self, channel: usize, oracle: &mut Oracle, random: &mut Rng) {
        let has_call = random.u8(..4) > 0;
        self.unsubscribe_by(channel, has_call, oracle, random);
    }

    fn unsubscribe_by(&mut self, channel: usize, has_call: bool, oracle: &mut Oracle, random: &mut Rng) {
        let index = self.ask(oracle, has_call, Kind::Unsubscribe(channel));
        let moment = oracle.ledger.moment();
        oracle.records[self.client].subscription(channel).unsubscribe(index, has_call, moment);
        self.packet(|out| packets::unsubscribe(out, CHANNELS[channel], has_call.then_some(index)), random);
    }

    fn publish(&mut self, channel: usize, oracle: &mut Oracle, plan: &Plan, random: &mut Rng) {
        self.published += 1;
        let number = self.published;
        let has_call = random.bool();
        let index = self.ask(oracle, has_call, Kind::Publish(channel, number));
        let data = payload(self.client as u64, number, random.usize(..=plan.padding_bytes_max));
        let data = Some(RawJson::from_validated(&data));
        self.packet(|out| packets::publish(out, CHANNELS[channel], data, has_call.then_some(index)), random);
    }

    fn invoke(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        let argument = format!("[{},\"é\"]", random.u32(..));
        let (action, kind) = match random.u8(..12) {
            0..5 => ("echo", Kind::Echo(argument.clone())),
            5 => ("nothing", Kind::Nothing),
            6 => ("fail", Kind::Fail),
            7..10 => ("later", Kind::Later(argument.clone())),
            10 => ("never", Kind::Never),
            _ => ("constructor", Kind::Unknown),
        };
        let has_call = !matches!(kind, Kind::Echo(_)) || random.u8(..4) > 0;
        let index = self.ask(oracle, has_call, kind);
        let data = Some(RawJson::from_validated(&argument));
        self.packet(|out| packets::invoke(out, action, data, has_call.then_some(index)), random);
    }

    /// Something about who it is.
    fn log_in_or_out(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        let (action, kind) = match random.u8(..10) {
            0..3 => ("login", Kind::Login),
            3..7 => ("who", Kind::Who),
            7 => ("logout", Kind::Logout),
            8 => {
                let index = self.call(oracle, Kind::Authenticate);
                let token = self.some_token(index, oracle, random);
                return self.packet(|out| packets::authenticate(out, Some(&token), index), random);
            }
            _ => {
                let record = &mut oracle.records[self.client];
                let index = record.next_packet();
                record.logouts.insert(index);
                return self.packet(packets::remove_auth_token, random);
            }
        };
        self.say_of_itself(action, kind, oracle, random);
    }

    /// One of all tokens so far, in time or over, or one that nobody has made.
    fn some_token(&self, index: u64, oracle: &Oracle, random: &mut Rng) -> String {
        let number = if random.u8(..4) == 0 { usize::MAX } else { random.usize(..=oracle.mint.len()) };
        token(self.client, index, number)
    }

    /// Something that no good client does.
    fn misbehave(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        let record = &mut oracle.records[self.client];
        match random.u8(..6) {
            0 => {
                record.may_vanish = true;
                self.stage = Stage::Gone;
                self.deeds.push(Deed::Reset);
            }
            1 => {
                record.may_vanish = true;
                record.is_doomed = true;
                self.stage = Stage::Gone;
                record.closes.insert(4_001);
                self.deeds.push(Deed::Cut);
            }
            2 if self.speaks == Speaks::Pages => {
                record.statuses.insert(413);
                record.is_doomed = true;
                self.stage = Stage::Closing;
                self.out.extend_from_slice(b"POST / HTTP/1.1\r\nHost: sim\r\nContent-Length: 4097\r\n\r\nabc");
            }
            _ if self.speaks == Speaks::Pages => {}
            2 => self.violate(1_002, &[0x81, 0x01, b'x'], oracle),
            3 => self.violate(1_007, &[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], oracle),
            4 => self.violate(1_009, &[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9], oracle),
            _ if self.speaks == Speaks::Raw => {}
            // Not a packet: ignored.
            _ => self.frame(Opcode::Text, b"[garbage", random),
        }
    }

    fn violate(&mut self, code: u16, bytes: &[u8], oracle: &mut Oracle) {
        let record = &mut oracle.records[self.client];
        record.closes.insert(code);
        record.is_doomed = true;
        self.stage = Stage::Closing;
        self.out.extend_from_slice(bytes);
    }

    /// Leaves in one of the orderly ways.
    pub(super) fn leave(&mut self, oracle: &mut Oracle, random: &mut Rng) {
        if matches!(self.stage, Stage::Gone | Stage::Closing) {
            return;
        }
        let record = &mut oracle.records[self.client];
        record.said_close = true;
        record.is_doomed = true;
        match random.u8(..3) {
            0 if matches!(self.speaks, Speaks::SocketCluster(_)) && self.stage == Stage::Open => {
                record.closes.insert(1_000);
                record.next_packet();
                if random.bool() {
                    self.batch = Some(Vec::new());
                    self.subscribe(0, oracle, random);
                }
                self.packet(|out| packets::disconnect(out, 1_000, Some("bye"), None), random);
                self.flush_batch(random);
                self.stage = Stage::Closing;
            }
            1 if self.stage != Stage::Upgrading && self.speaks != Speaks::Pages => {
                record.closes.insert(1_001);
                record.closes.insert(4_009);
                encode::masked_close(&mut self.out, key(random), 1_001, "going");
                self.stage = Stage::Closing;
            }
            _ => {
                record.closes.insert(1_006);
                record.may_vanish = true;
                self.deeds.push(Deed::Finish);
                self.stage = Stage::Closing;
            }
        }
    }

    fn ask(&self, oracle: &mut Oracle, has_call: bool, kind: Kind) -> u64 {
        if has_call { self.call(oracle, kind) } else { oracle.records[self.client].next_packet() }
    }

    fn call(&self, oracle: &mut Oracle, kind: Kind) -> u64 {
        let sent: Time = oracle.now;
        let record = &mut oracle.records[self.client];
        let index = record.next_packet();
        record.calls.insert(index, Call { index, kind, sent });
        index
    }

    /// One packet: of the array at hand, or a message of its own.
    fn packet(&mut self, write: impl FnOnce(&mut Vec<u8>), random: &mut Rng) {
        let mut packet = Vec::new();
        write(&mut packet);
        match &mut self.batch {
            Some(batch) => batch.push(packet),
            None => self.message(Opcode::Text, &packet, random),
        }
    }

    fn flush_batch(&mut self, random: &mut Rng) {
        if let Some(batch) = self.batch.take().filter(|batch| !batch.is_empty()) {
            let array = [&b"["[..], &batch.join(&b','), b"]"].concat();
            self.message(Opcode::Text, &array, random);
        }
    }

    /// One message, sometimes in fragments with a ping between them; a packet may come as binary, too.
    fn message(&mut self, opcode: Opcode, payload: &[u8], random: &mut Rng) {
        let is_packet = matches!(self.speaks, Speaks::SocketCluster(_));
        let opcode = if is_packet && random.u8(..20) == 0 { Opcode::Binary } else { opcode };
        if payload.len() < 2 || random.u8(..10) > 0 {
            return self.frame(opcode, payload, random);
        }
        let (first, second) = payload.split_at(random.usize(1..payload.len()));
        encode::masked_fragment(&mut self.out, opcode, false, key(random), first);
        if random.bool() {
            self.frame(Opcode::Pong, b"unasked", random);
        }
        encode::masked_fragment(&mut self.out, Opcode::Continuation, true, key(random), second);
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8], random: &mut Rng) {
        match &mut self.sender {
            Some(sender) if random.bool() => sender.frame(&mut self.out, opcode, key(random), payload),
            _ => encode::masked_frame(&mut self.out, opcode, key(random), payload),
        }
    }
}

fn key(random: &mut Rng) -> [u8; 4] {
    random.u32(..).to_le_bytes()
}
