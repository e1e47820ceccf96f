//! One client, as the reference's are: it polls one request at a time and posts one at a time, may go over to a WebSocket, and
//! whose transport fails in any way begins another, with the private id of its connection.

use std::collections::BTreeSet;
use std::time::Duration;

use codec::websocket::{Decoder, Limits as FrameLimits, Message, Opcode, Role, encode, handshake};

use shard::Time;

use super::oracle::{Asked, named};
use super::plan::PATIENCE;
use super::socket::{Purpose, response};
use super::world::{Happening, World};
use crate::simulation::death::Mortal;
use crate::simulation::ledger::payload;
use crate::simulation::plan::CHANNELS;

#[derive(Default)]
pub(super) struct Person {
    pub(super) address: usize,
    /// Its session of long-polling, by id, and what holds a seat for it.
    pub(super) sid: Option<String>,
    pub(super) session_seat: Option<usize>,
    pub(super) opening: Option<usize>,
    pub(super) get: Option<usize>,
    post: Option<usize>,
    /// The WebSocket that is its transport; one that is to become it, and whether that has answered.
    pub(super) web: Option<usize>,
    upgrade: Option<(usize, bool)>,
    /// Its connection, which outlives a transport, and what proves it.
    pub(super) connection: Option<usize>,
    pid: Option<String>,
    offset: Option<String>,
    /// It has shown that proof over this transport.
    has_shown: bool,
    /// When it has asked to be let in.
    asked: Time,
    /// Its connection was dead before it did.
    is_late: bool,
    /// It was let in over this transport.
    pub(super) is_open: bool,
    /// Something was missed and is said again: so it must be known.
    is_known: bool,
    /// It has shown its proof and gone before it was answered: whoever asks late takes the connection from who asked after.
    has_rivals: bool,
    outgoing: Vec<String>,
    channels: BTreeSet<usize>,
    /// It was told that there is no seat, and has not been let in since.
    pub(super) is_seatless: bool,
    /// It goes, and does not come back.
    pub(super) is_leaving: bool,
}

impl Person {
    /// One that has never been here.
    pub(super) fn new(address: usize) -> Self {
        Self { address, ..Self::default() }
    }
}

impl World {
    /// A person begins a transport.
    pub(super) fn come(&mut self, index: usize) {
        let person = &self.persons[index];
        if person.is_leaving || person.opening.is_some() || person.sid.is_some() || person.web.is_some() {
            return;
        }
        if self.random.u8(..3) == 0 {
            let socket = self.connect(index, Purpose::Web);
            self.upgrade_request(socket, "");
            self.persons[index].web = Some(socket);
        } else {
            let socket = self.connect(index, Purpose::Open);
            self.persons[index].opening = Some(socket);
            self.say(socket, get("").into_bytes());
        }
    }

    fn upgrade_request(&mut self, socket: usize, sid: &str) {
        let mut bytes = Vec::new();
        let path = format!("/socket.io/?EIO=4&transport=websocket{sid}");
        handshake::write_request(&mut bytes, "sim", &path, *b"a person's tab!!", &[]);
        self.say(socket, bytes);
    }

    /// Something that a person does by itself.
    pub(super) fn act(&mut self, index: usize) {
        if !self.is_storming {
            return;
        }
        let at = self.now + Duration::from_micros(self.random.u64(..self.plan.act_micros * 2));
        self.at(at, Happening::Act(index));
        if !self.persons[index].is_open {
            if self.random.u8(..200) == 0 {
                self.lose(index, true); // It has lost its patience.
            }
            return;
        }
        match self.random.u8(..60) {
            0 | 1 => self.lose(index, true),
            2 => self.say_goodbye(index),
            3..10 => self.begin_upgrade(index),
            10..20 => self.toggle(index),
            _ => self.publish(index),
        }
        self.flush(index);
    }

    /// It does not come back to this connection.
    pub(super) fn say_goodbye(&mut self, index: usize) {
        self.packet(index, "41".into());
        self.flush(index);
        self.forget(index);
        self.lose(index, true);
    }

    fn begin_upgrade(&mut self, index: usize) {
        let person = &self.persons[index];
        let Some(sid) = person.sid.clone().filter(|_| person.upgrade.is_none() && person.web.is_none()) else { return };
        let socket = self.connect(index, Purpose::Web);
        self.upgrade_request(socket, &format!("&sid={sid}"));
        self.frame(socket, "2probe");
        self.persons[index].upgrade = Some((socket, false));
    }

    /// Enters a channel or leaves it.
    fn toggle(&mut self, index: usize) {
        let connection = self.persons[index].connection.expect("it is open");
        let channel = self.random.usize(..CHANNELS_USED);
        let is_new = self.persons[index].channels.insert(channel);
        if !is_new {
            if self.random.u8(..3) > 0 {
                return;
            }
            self.persons[index].channels.remove(&channel);
        }
        let asked = if is_new { Asked::Subscribe(channel) } else { Asked::Unsubscribe(channel) };
        let name = if is_new { "subscribe" } else { "unsubscribe" };
        let call = self.oracle.borrow_mut().asks(connection, asked);
        self.packet(index, format!("42{call}[\"{name}\",\"{}\"]", CHANNELS[channel]));
    }

    pub(super) fn publish(&mut self, index: usize) {
        let connection = self.persons[index].connection.expect("it is open");
        let channel = self.random.usize(..CHANNELS_USED);
        let padding = self.random.usize(..200);
        let mut oracle = self.oracle.borrow_mut();
        oracle.connections[connection].number += 1;
        let number = oracle.connections[connection].number;
        let call = oracle.asks(connection, Asked::Publish(channel, number));
        drop(oracle);
        let data = payload(connection as u64, number, padding);
        self.packet(index, format!("42{call}[\"publish\",\"{}\",{data}]", CHANNELS[channel]));
    }

    fn packet(&mut self, index: usize, packet: String) {
        self.persons[index].outgoing.push(packet);
    }

    /// Sends what is to be sent, if that can be.
    pub(super) fn flush(&mut self, index: usize) {
        let person = &mut self.persons[index];
        if let Some(socket) = person.web {
            for packet in std::mem::take(&mut person.outgoing) {
                self.frame(socket, &packet);
            }
            return;
        }
        let Some(sid) = person.sid.clone() else { return };
        let goes_over = person.upgrade.is_some_and(|(_, has_answered)| has_answered);
        let (wants_get, wants_post) = (person.get.is_none(), person.post.is_none() && !person.outgoing.is_empty());
        if goes_over {
            if wants_get && person.post.is_none() {
                let (socket, _) = person.upgrade.take().expect("it has answered");
                person.web = Some(socket);
                let seat = person.session_seat.take();
                self.leave_session(seat);
                self.frame(socket, "5");
                self.flush(index);
            }
            return;
        }
        let is_late = self.oracle.borrow().is_over(self.oracle.borrow().home(&sid));
        if wants_get {
            let socket = self.connect(index, Purpose::Get);
            self.sockets[socket].is_late = is_late;
            self.persons[index].get = Some(socket);
            self.say(socket, get(&sid).into_bytes());
        }
        if wants_post {
            let body = std::mem::take(&mut self.persons[index].outgoing).join("\u{1e}");
            let socket = self.connect(index, Purpose::Post);
            self.sockets[socket].is_late = is_late;
            self.persons[index].post = Some(socket);
            let request = format!(
                "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            self.say(socket, request.into_bytes());
        }
    }

    fn frame(&mut self, socket: usize, text: &str) {
        let mut bytes = Vec::new();
        encode::masked_frame(&mut bytes, Opcode::Text, [1, 2, 3, 4], text.as_bytes());
        self.say(socket, bytes);
    }

    /// A session is polled no more: its server learns that by and by.
    fn leave_session(&mut self, seat: Option<usize>) {
        let Some(seat) = seat else { return };
        let at = self.now + self.plan.session();
        let seats = &mut self.oracle.borrow_mut().seats;
        seats.begin_to_leave(self.now, seat);
        seats.leave(at, seat);
    }

    /// Its connection is no more its own.
    fn forget(&mut self, index: usize) {
        let person = &mut self.persons[index];
        (person.connection, person.pid, person.offset) = (None, None, None);
        person.channels.clear();
    }

    /// The transport is lost, or the person cuts it; it comes back with another.
    pub(super) fn lose(&mut self, index: usize, is_own_will: bool) {
        let (now, has_recovery) = (self.now, !self.plan.limits.recovery.window.is_zero());
        self.oracle.borrow_mut().note(&[7, index as u64], || format!("person {index}: transport lost, {is_own_will}"));
        let person = &mut self.persons[index];
        let upgrade = person.upgrade.take().map(|(socket, _)| socket);
        let sockets = [person.opening.take(), person.get.take(), person.post.take(), person.web.take(), upgrade];
        person.sid = None;
        person.outgoing.clear();
        person.has_rivals |= person.has_shown && !person.is_open;
        (person.is_open, person.has_shown, person.is_known) = (false, false, false);
        let opening = sockets[0].and_then(|socket| self.sockets[socket].session_seat);
        let seat = person.session_seat.take().or(opening);
        self.leave_session(seat);
        sockets.into_iter().flatten().for_each(|socket| self.leave(socket));
        if let Some(connection) = self.persons[index].connection {
            let mut oracle = self.oracle.borrow_mut();
            let lost: Vec<_> = oracle.connections[connection].calls.values().copied().collect();
            oracle.transport_lost(connection);
            for asked in lost {
                if let Asked::Subscribe(channel) | Asked::Unsubscribe(channel) = asked {
                    self.persons[index].channels.remove(&channel);
                }
            }
        }
        if !has_recovery {
            self.forget(index);
        }
        let at = now + Duration::from_micros(self.random.u64(1_000..150_000));
        self.at(at, Happening::Come(index));
    }

    /// A transport fails. Who has everything on shards that live must not notice that others die.
    fn fail(&mut self, index: usize, socket: usize, why: &str) {
        let person = &self.persons[index];
        let oracle = self.oracle.borrow();
        let is_dead = |socket: usize| {
            let socket = &self.sockets[socket];
            oracle.is_over((socket.shard, socket.life))
        };
        let is_homeless = person.sid.as_ref().is_some_and(|sid| oracle.is_over(oracle.home(sid)))
            || person.connection.is_some_and(|connection| oracle.is_over(oracle.connections[connection].home));
        let has_cause = is_dead(socket) || is_homeless || person.has_rivals || why == "429" || person.is_leaving;
        assert!(has_cause, "person {index} loses its transport without a cause: {why}");
        let waited = self.now.since(person.asked);
        let is_waiting = person.has_shown && !person.is_open;
        assert!(!is_waiting || waited < PATIENCE, "person {index} has waited for {waited:?} to be let in");
        // What cannot be recovered ends with the shard that has carried it.
        let carried = person.sid.as_ref().filter(|_| person.web == Some(socket) && is_dead(socket) && !is_homeless);
        if let Some(sid) = carried.filter(|_| self.plan.limits.recovery.window.is_zero()) {
            let ended = Happening::Ended(oracle.home(sid), named(sid));
            drop(oracle);
            self.at(self.now + 2 * self.plan.word() + self.vacancy(), ended);
        } else {
            drop(oracle);
        }
        self.persons[index].is_seatless |= why == "429";
        if self.persons[index].upgrade.is_some_and(|(upgrade, _)| upgrade == socket) {
            self.persons[index].upgrade = None;
            self.leave(socket);
            return self.flush(index); // It goes on polling.
        }
        self.lose(index, false);
    }

    /// Bytes or the end of a socket have come to its person.
    pub(super) fn hear(&mut self, socket: usize) {
        let Some((_, bytes)) = self.sockets[socket].inbox.pop_front() else { return };
        let known = &mut self.sockets[socket];
        let (index, purpose) = (known.person, known.purpose);
        if known.is_left || purpose == Purpose::Probe {
            return;
        }
        let Some(bytes) = bytes else { return self.fail(index, socket, "the end") };
        known.heard.extend_from_slice(&bytes);
        if purpose == Purpose::Web && known.is_upgraded {
            let bytes = std::mem::take(&mut known.heard);
            return self.hear_frames(index, socket, bytes);
        }
        if purpose == Purpose::Web && known.heard.starts_with(b"HTTP/1.1 101") {
            let end = known.heard.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
            known.is_upgraded = true;
            let rest = known.heard.split_off(end);
            known.heard.clear();
            return self.hear_frames(index, socket, rest);
        }
        let Some((status, body, _)) = response(&known.heard) else { return };
        self.answer(index, socket, status, &body);
    }

    /// A request is answered.
    fn answer(&mut self, index: usize, socket: usize, status: u16, body: &str) {
        if status != 200 {
            let is_unknown = (status, body) == (400, r#"{"code":1,"message":"Session ID unknown"}"#);
            assert!(is_unknown || status == 429, "person {index}: {status} {body}");
            self.unknown += u64::from(is_unknown);
            return self.fail(index, socket, if status == 429 { "429" } else { body });
        }
        assert!(!self.sockets[socket].is_late, "person {index}: a session of a dead shard goes on");
        let person = &mut self.persons[index];
        match self.sockets[socket].purpose {
            Purpose::Open => {
                person.opening = None;
                person.sid = Some(member(body, "sid").expect("an id"));
                person.session_seat = self.sockets[socket].session_seat;
                self.connect_packet(index);
            }
            Purpose::Get => {
                person.get = None;
                for packet in body.split('\u{1e}') {
                    self.hear_packet(index, socket, packet);
                }
            }
            Purpose::Post => {
                assert_eq!(body, "ok");
                person.post = None;
            }
            Purpose::Web | Purpose::Probe => panic!("person {index}: no WebSocket, {body}"),
        }
        self.leave(socket);
        self.flush(index);
    }

    /// Says hello, with what proves who it is.
    fn connect_packet(&mut self, index: usize) {
        let oracle = self.oracle.borrow();
        let person = &mut self.persons[index];
        person.asked = self.now;
        person.has_shown = person.pid.is_some();
        let home = person.connection.map(|connection| oracle.connections[connection].home);
        person.is_late = home.is_some_and(|home| oracle.is_over(home));
        drop(oracle);
        let has_shown = person.has_shown;
        let offset = person.offset.as_ref().map_or_else(String::new, |offset| format!(",\"offset\":\"{offset}\""));
        let auth = person.pid.as_ref().map_or_else(String::new, |pid| format!("{{\"pid\":\"{pid}\"{offset}}}"));
        self.packet(index, format!("40{auth}"));
        if let Some((shard, _)) = home.filter(|_| has_shown)
            && std::mem::take(&mut self.is_lurking)
        {
            let faults = self.plan.faults;
            let most = faults.network_micros + 3 * faults.pass_micros + 2 * faults.mesh_micros;
            let at = self.now + Duration::from_micros(self.random.u64(..most));
            self.at(at, Happening::Die(shard));
        }
    }

    fn hear_frames(&mut self, index: usize, socket: usize, mut bytes: Vec<u8>) {
        let mut decoder = Decoder::new(Role::Client);
        let limits = FrameLimits::default();
        let mut texts = Vec::new();
        let mut messages = decoder.decode(&mut bytes, &limits);
        while let Some(message) = messages.next() {
            match message.expect("the server speaks well") {
                Message::Text(text) => texts.push(text.to_owned()),
                Message::Close(_) => texts.push("1".to_owned()),
                _ => {}
            }
        }
        for text in texts {
            if self.sockets[socket].is_left {
                return;
            }
            self.hear_packet(index, socket, &text);
        }
        self.flush(index);
    }

    fn hear_packet(&mut self, index: usize, socket: usize, packet: &str) {
        if self.sockets[socket].is_left {
            return;
        }
        match packet {
            "1" => self.fail(index, socket, "goodbye"),
            "2" => self.packet(index, "3".into()),
            "6" => {}
            "3probe" => {
                let upgrade = self.persons[index].upgrade.as_mut().expect("it has asked");
                upgrade.1 = true;
            }
            _ if packet.starts_with('0') => self.connect_packet(index),
            _ if packet.starts_with("40") => self.let_in(index, socket, packet),
            _ if packet.starts_with("42") => self.event(index, packet),
            _ if packet.starts_with("43") => {
                let at = packet.find('[').expect("an array");
                let call = packet[2..at].parse().expect("a number");
                let connection = self.persons[index].connection.expect("it has called");
                assert!(self.persons[index].is_open, "answered before it was let in");
                self.oracle.borrow_mut().answered(connection, call, &packet[at..]);
            }
            _ => panic!("person {index}: nobody says {packet}"),
        }
    }

    /// It is let in: as who it was, or anew.
    fn let_in(&mut self, index: usize, socket: usize, packet: &str) {
        let pid = member(packet, "pid");
        let person = &mut self.persons[index];
        assert!(!person.is_open, "person {index} is let in twice");
        let waited = self.now.since(person.asked);
        assert!(waited < PATIENCE, "person {index} has waited for {waited:?} to be let in");
        let is_recovered = person.has_shown && pid == person.pid;
        assert!(is_recovered || !person.is_known, "person {index} hears what it has missed, and is not known");
        let mut oracle = self.oracle.borrow_mut();
        oracle.note(&[8, index as u64], || format!("person {index} is let in, recovered: {is_recovered}"));
        if let Some(connection) = person.connection {
            let is_in_time = self.plan.limits.recovery.window.as_secs() > 1;
            assert!(!is_recovered || !person.is_late, "person {index} is recovered from a shard that has died");
            oracle.returned(connection, is_recovered, is_in_time);
        }
        if !is_recovered {
            let (web, sid) = (&self.sockets[socket], person.sid.as_ref());
            let transport = sid.map_or((web.shard, web.life), |sid| oracle.home(sid));
            let home = pid.as_ref().map_or(transport, |pid| oracle.home(pid));
            assert_eq!(home, transport, "a connection that begins, lives where its transport is");
            person.connection = Some(oracle.opened(home));
            (person.pid, person.offset) = (pid, None);
            person.channels.clear();
        }
        person.is_open = true;
        person.is_seatless = false;
        person.has_rivals &= is_recovered;
    }

    fn event(&mut self, index: usize, packet: &str) {
        let (channel, rest) = packet[4..].split_once("\",").expect("an event with data");
        let rest = rest.strip_suffix(']').expect("an array");
        let person = &mut self.persons[index];
        let connection = person.connection.expect("events come to connections");
        if !person.is_open {
            assert!(person.has_shown, "person {index} hears {packet} before it is let in");
            person.is_known = true;
        }
        let mut data = rest;
        if !self.plan.limits.recovery.window.is_zero() {
            let (event, offset) = rest.rsplit_once(",\"").expect("an offset");
            data = event;
            person.offset = Some(offset.trim_end_matches('"').to_owned());
        }
        let mut oracle = self.oracle.borrow_mut();
        oracle.note(&[9, index as u64], || format!("person {index} hears {packet:.40}"));
        oracle.publication(connection, channel, data);
    }
}

fn get(sid: &str) -> String {
    let sid = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
    format!("GET /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

/// A string among the members of a packet.
fn member(packet: &str, name: &str) -> Option<String> {
    let (_, rest) = packet.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next().map(str::to_owned)
}

/// Few, so that everybody meets.
const CHANNELS_USED: usize = 2;
