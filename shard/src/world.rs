//! Shards with a stand-in for the application, driven by hand for the tests of this crate: bytes go in, text comes out,
//! time is a number. The simulation is for everything that is about many shards, faults and chance.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use codec::http::request::Head;
use codec::http::response;
use codec::message::RawJson;
use codec::socketcluster::TokenError;
use codec::websocket::{Decoder, Limits as FrameLimits, Message, Opcode, Role, encode, handshake};

use crate::{
    Answer, Caller, Command, Config, ConnectionId, Disconnect, Door, Event, Host, Invocation, Invoked, Limits,
    LoginEnd, Peer, RawMessage, RawReplies, Reader, Refusal, Reply, Request, Responded, Route, SessionId, Shard,
    ShardId, Ticket, Time, Unanswered, Verdict, Verified,
};

/// Shards and their clients.
pub(crate) struct World {
    pub(crate) shards: Vec<Shard>,
    pub(crate) hosts: Vec<Stub>,
    pub(crate) now: Time,
    /// Nothing goes from shard to shard while this is set.
    pub(crate) is_parted: bool,
    /// The shard that was lost and is not replaced yet: nothing happens there.
    dead: Option<usize>,
    clients: HashMap<Client, Ear>,
    /// Clients that read nothing, and what the kernel does not take for them.
    stalled: HashMap<Client, Vec<u8>>,
}

/// A connection of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub(crate) shard: usize,
    pub(crate) id: ConnectionId,
}

/// What a client has heard.
#[derive(Default)]
struct Ear {
    bytes: Vec<u8>,
    is_over: bool,
}

/// The application: every action answers `true`, raw routes echo, `good` is a good token, and
/// of filtered channels subscribers get the numbers up to their slot. Nobody may subscribe to `secret`, and who may to
/// `slow` is left undecided.
#[derive(Default)]
pub(crate) struct Stub {
    pub(crate) commands: VecDeque<Command>,
    /// Actions and events, as they were told.
    pub(crate) told: Vec<String>,
    /// The hooks' calls that wait for their verdicts.
    pub(crate) undecided: Vec<Ticket>,
    /// Publishes every number above zero that it is asked about again, less one.
    pub(crate) echoes: bool,
    /// How many secrets it was asked for.
    secrets: u64,
}

impl World {
    pub(crate) fn new(shards: usize, limits: Limits) -> Self {
        let shard = |index| {
            let id = ShardId(u8::try_from(index).expect("few"));
            Shard::new(Config { id, shards, limits, seed: 7 + index as u64 }, Time::ZERO)
        };
        let hosts = (0..shards).map(|_| Stub::default()).collect();
        Self {
            shards: (0..shards).map(shard).collect(),
            hosts,
            now: Time::ZERO,
            is_parted: false,
            dead: None,
            clients: HashMap::new(),
            stalled: HashMap::new(),
        }
    }

    /// A connection from that address which has said nothing yet.
    pub(crate) fn accept(&mut self, shard: usize, address: &str) -> Client {
        let address = SocketAddr::new(address.parse().expect("an address"), 9);
        self.shards[shard].begin_turn(self.now);
        let id = self.shards[shard].handle_accept(self.now, address, Door::Plain).expect("the shard is not full");
        let client = Client { shard, id };
        self.clients.insert(client, Ear::default());
        self.settle(shard);
        client
    }

    /// An upgraded connection; what it was answered is left to `heard`.
    pub(crate) fn upgrade(&mut self, shard: usize, address: &str, path: &str) -> Client {
        self.upgrade_with(shard, address, path, &[])
    }

    /// The same with further headers.
    pub(crate) fn upgrade_with(&mut self, shard: usize, address: &str, path: &str, headers: &[(&str, &str)]) -> Client {
        let client = self.accept(shard, address);
        let mut request = Vec::new();
        handshake::write_request(&mut request, "test", path, [7; 16], headers);
        self.send_bytes(client, &request);
        client
    }

    /// A SocketCluster client after its handshake.
    pub(crate) fn member(&mut self, shard: usize, address: &str) -> Client {
        let client = self.upgrade(shard, address, "/socketcluster/");
        self.send(client, r##"{"event":"#handshake","data":{"authToken":null},"cid":1}"##);
        let heard = self.heard(client);
        assert!(heard.last().is_some_and(|last| last.contains(r#""isAuthenticated":false"#)), "{heard:?}");
        client
    }

    /// Sends a text message.
    pub(crate) fn send(&mut self, client: Client, text: &str) {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, Opcode::Text, [1, 2, 3, 4], text.as_bytes());
        self.send_bytes(client, &frame);
    }

    pub(crate) fn send_bytes(&mut self, client: Client, bytes: &[u8]) {
        let (shard, host) = (&mut self.shards[client.shard], &mut self.hosts[client.shard]);
        shard.begin_turn(self.now);
        shard.handle_receive(self.now, client.id, &mut bytes.to_vec(), host);
        self.settle(client.shard);
    }

    /// The application asks its shard for something.
    pub(crate) fn command(&mut self, shard: usize, command: Command) {
        self.shards[shard].begin_turn(self.now);
        self.shards[shard].command(self.now, command, &mut self.hosts[shard]);
        self.settle(shard);
    }

    /// The client ends its direction.
    pub(crate) fn end(&mut self, client: Client) {
        let (shard, host) = (&mut self.shards[client.shard], &mut self.hosts[client.shard]);
        shard.begin_turn(self.now);
        shard.handle_end(self.now, client.id, host);
        self.settle(client.shard);
    }

    /// From now on the kernel takes nothing for a client.
    pub(crate) fn stall(&mut self, client: Client) {
        self.stalled.insert(client, Vec::new());
    }

    /// And now it takes everything again.
    pub(crate) fn let_flow(&mut self, client: Client) {
        let waiting = self.stalled.remove(&client).expect("a client that stalls");
        self.clients.get_mut(&client).expect("a client of this world").bytes.extend_from_slice(&waiting);
        let (shard, host) = (&mut self.shards[client.shard], &mut self.hosts[client.shard]);
        shard.begin_turn(self.now);
        if !waiting.is_empty() {
            shard.handle_sent(self.now, client.id, Ok(waiting.len()), host);
        }
        self.settle(client.shard);
    }

    /// Asks a client's answer: sends a text and returns what is heard of it, which is one message or none.
    pub(crate) fn ask(&mut self, client: Client, text: &str) -> Option<String> {
        self.heard(client);
        self.send(client, text);
        let heard = self.heard(client);
        assert!(heard.len() < 2, "{heard:?}");
        heard.into_iter().next()
    }

    /// Everything heard since: a response's status line, text messages, close frames as `close CODE REASON`.
    pub(crate) fn heard(&mut self, client: Client) -> Vec<String> {
        let ear = self.clients.get_mut(&client).expect("a client of this world");
        let mut bytes = std::mem::take(&mut ear.bytes);
        let mut heard = Vec::new();
        let mut rest = &mut bytes[..];
        while rest.starts_with(b"HTTP/1.1 ") {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            let body = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok()).unwrap_or(0);
            heard.push(head.lines().next().expect("a status line").to_owned());
            rest = &mut rest[end + body..];
        }
        let mut decoder = Decoder::new(Role::Client);
        let limits = FrameLimits::default();
        let mut messages = decoder.decode(rest, &limits);
        while let Some(message) = messages.next() {
            heard.push(match message.expect("the server speaks well") {
                Message::Text(text) => text.to_owned(),
                Message::Binary(bytes) => format!("binary {}", String::from_utf8_lossy(bytes)),
                Message::Close(Some((code, reason))) => format!("close {code} {reason}"),
                Message::Close(None) => "close".to_owned(),
                Message::Ping(_) => "ping".to_owned(),
                Message::Pong(_) => "pong".to_owned(),
            });
        }
        heard
    }

    /// The same as it came over the wire.
    pub(crate) fn heard_bytes(&mut self, client: Client) -> Vec<u8> {
        std::mem::take(&mut self.clients.get_mut(&client).expect("a client of this world").bytes)
    }

    /// Whether the server has closed a client's socket.
    pub(crate) fn is_over(&self, client: Client) -> bool {
        self.clients[&client].is_over
    }

    /// Time passes, with a tick of every shard at its end.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for index in (0..self.shards.len()).filter(|index| self.dead != Some(*index)).collect::<Vec<_>>() {
            let (shard, host) = (&mut self.shards[index], &mut self.hosts[index]);
            shard.begin_turn(self.now);
            shard.handle_tick(self.now, host);
            self.settle(index);
        }
    }

    /// A shard dies. What it had not sent is lost, its clients' connections are gone; the others hear of it.
    pub(crate) fn lose(&mut self, index: usize) {
        let lost = self.shards[index].id();
        self.shards[index].abandon(&mut self.hosts[index]);
        for (client, ear) in &mut self.clients {
            ear.is_over |= client.shard == index;
        }
        for other in (0..self.shards.len()).filter(|other| *other != index) {
            let (shard, host) = (&mut self.shards[other], &mut self.hosts[other]);
            shard.begin_turn(self.now);
            shard.handle_peer_lost(self.now, lost, host);
            self.finish(other);
            self.shards[other].check();
        }
        let limits = self.shards[index].limits;
        let config = Config { id: lost, shards: self.shards.len(), limits, seed: 70 + index as u64 };
        self.shards[index] = Shard::new(config, self.now);
        self.shards[index].begin_anew();
        assert_eq!(self.dead.replace(index), None, "one at a time");
    }

    /// A shard takes the place of one that was lost.
    pub(crate) fn replace(&mut self, index: usize) {
        let new = self.shards[index].id();
        assert_eq!(self.dead.take(), Some(index), "it was lost before");
        for other in (0..self.shards.len()).filter(|other| *other != index) {
            let id = self.shards[other].id();
            self.shards[index].handle_peer_joined(self.now, id);
            self.shards[other].handle_peer_joined(self.now, new);
        }
        self.shards[index].begin_turn(self.now);
        self.settle(index);
        self.shards.iter().for_each(Shard::check);
    }

    /// Time passes in which no shard does anything, and is noticed as such.
    pub(crate) fn stand_still(&mut self, time: Duration) {
        self.now = self.now + time;
        for index in (0..self.shards.len()).filter(|index| self.dead != Some(*index)).collect::<Vec<_>>() {
            let (shard, host) = (&mut self.shards[index], &mut self.hosts[index]);
            shard.begin_turn(self.now);
            shard.handle_standstill(time);
            shard.handle_tick(self.now, host);
            self.settle(index);
        }
    }

    /// Ends a shard's pass, and has the others act upon what it tells them, until there is nothing more to tell.
    fn settle(&mut self, index: usize) {
        self.finish(index);
        while !self.is_parted {
            let mut is_quiet = true;
            for from in 0..self.shards.len() {
                for to in (0..self.shards.len()).filter(|to| *to != from) {
                    let (from_id, to_id) = (self.shards[from].id(), self.shards[to].id());
                    let Some(batch) = self.shards[from].poll_batch(to_id) else { continue };
                    is_quiet = false;
                    self.shards[to].begin_turn(self.now);
                    self.shards[to].handle_batch(self.now, from_id, &batch);
                    self.finish(to);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn finish(&mut self, index: usize) {
        let (shard, host) = (&mut self.shards[index], &mut self.hosts[index]);
        shard.settle(self.now, host);
        let (mut owned, mut failed) = (Vec::new(), Vec::new());
        while let Some(transmit) = shard.poll_transmit() {
            let client = Client { shard: index, id: transmit.connection };
            if let Some(waiting) = self.stalled.get_mut(&client) {
                match transmit.mode {
                    crate::Mode::Owned => waiting.extend_from_slice(transmit.bytes),
                    crate::Mode::Turn => failed.push(transmit.token),
                }
                continue;
            }
            if let Some(ear) = self.clients.get_mut(&client) {
                ear.bytes.extend_from_slice(transmit.bytes);
            }
            if transmit.mode == crate::Mode::Owned {
                owned.push((transmit.connection, transmit.bytes.len()));
            }
        }
        let mut shut_down = Vec::new();
        while let Some(event) = shard.poll_event() {
            match event {
                Event::Shutdown(id) => shut_down.push(id),
                Event::Close(id) => {
                    if let Some(ear) = self.clients.get_mut(&Client { shard: index, id }) {
                        ear.is_over = true;
                    }
                }
                Event::PauseReceive(_) | Event::ResumeReceive(_) | Event::Abort(_) => {}
            }
        }
        if owned.is_empty() && failed.is_empty() && shut_down.is_empty() && !shard.has_work() {
            return;
        }
        shard.begin_turn(self.now);
        failed.into_iter().for_each(|token| shard.handle_send_failed(self.now, token, Ok(0), host));
        owned.into_iter().for_each(|(id, bytes)| shard.handle_sent(self.now, id, Ok(bytes), host));
        // Whoever is told that nothing follows says the same.
        shut_down.into_iter().for_each(|id| shard.handle_end(self.now, id, host));
        self.finish(index);
    }
}

impl Host for Stub {
    fn route(&mut self, path: &str) -> Option<Route> {
        match path {
            "/socketcluster/" => Some(Route::SocketCluster),
            "/raw" => Some(Route::Raw(0)),
            "/socket.io/" => Some(Route::SocketIo),
            "/sse" => Some(Route::EventStream),
            "/engine.io/" => Some(Route::EngineIo(0)),
            "/socketstream/" => Some(Route::SocketStream),
            "/services/" => Some(Route::Services),
            _ => None,
        }
    }

    fn session(&mut self, _peer: Peer, head: &Head<'_>) -> Option<SessionId> {
        head.header("cookie")?.parse().ok()
    }

    fn request(&mut self, _: Ticket, _: Peer, request: Request<'_>, response: &mut Vec<u8>) -> Responded {
        response::write(response, 200, &[], b"page", request.keep_alive);
        Responded::Ready
    }

    fn verify(&mut self, token: &str) -> Result<Verified, TokenError> {
        self.told.push(format!("verify {token}"));
        match token {
            "good" => {
                Ok(Verified { claims: r#"{"user_id":"alice"}"#.into(), user: Some("alice".into()), lifetime: None })
            }
            "old" => Err(TokenError::Expired { expiry_ms: 0 }),
            _ => Err(TokenError::Signature),
        }
    }

    fn over_rate(&mut self, peer: Peer, id: &str) {
        self.told.push(format!("over rate {} {}", peer.address.ip(), id.len()));
    }

    fn secret(&mut self) -> [u8; 16] {
        self.secrets += 1;
        u128::from(self.secrets).to_be_bytes()
    }

    fn reader(&mut self, _peer: Peer, head: &Head<'_>) -> Reader {
        match head.header("origin") {
            None => Reader::Own,
            Some("http://other") => Reader::Foreign,
            Some(origin) => Reader::Page { origin: origin.into(), is_named: true },
        }
    }

    fn connect(&mut self, _ticket: Ticket, _caller: Caller<'_>, _route: Route) -> Verdict {
        Verdict::Allow
    }

    fn deauthenticated(&mut self, caller: Caller<'_>, end: LoginEnd) {
        self.told.push(format!("{end:?} {} {}", caller.user.unwrap_or("-"), caller.claims.is_some()));
    }

    fn disconnect(&mut self, _caller: Caller<'_>, disconnect: &Disconnect) {
        self.told.push(format!("disconnect {} {}", disconnect.code, disconnect.reason));
    }

    fn tries_to_log_in(&self, head: &Head<'_>) -> bool {
        head.path == "/login"
    }

    fn is_login(&self, action: &str) -> bool {
        action == "login"
    }

    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked {
        self.told.push(invocation.action.to_owned());
        reply.set_data("true");
        Invoked::Ready
    }

    fn subscribe(&mut self, ticket: Ticket, _: Caller<'_>, channel: &str, _: Option<RawJson<'_>>) -> Verdict {
        self.told.push(format!("subscribe {channel}"));
        match channel {
            "secret" => {
                let error = r#"{"name":"MembersError","message":"members only"}"#.into();
                Verdict::Refuse(Refusal { error, code: 4008, status: 403 })
            }
            "slow" => {
                self.undecided.push(ticket);
                Verdict::Pending
            }
            _ => Verdict::Allow,
        }
    }

    fn publish(&mut self, _: Ticket, _: Caller<'_>, channel: &str, _: Option<RawJson<'_>>) -> Verdict {
        self.told.push(format!("publish {channel}"));
        Verdict::Allow
    }

    fn deliver(&mut self, subscriber: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> bool {
        self.told.push(format!("deliver {channel}"));
        let number: u32 = data.and_then(|data| data.as_str().parse().ok()).expect("a number");
        if self.echoes && number > 0 && !self.commands.iter().any(|command| matches!(command, Command::Publish { .. }))
        {
            let data = Some((number - 1).to_string().into());
            self.commands.push_back(Command::Publish { channel: channel.into(), data });
        }
        number <= subscriber.peer.connection.slot
    }

    fn message(&mut self, _caller: Caller<'_>, _route: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        replies.send(message);
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn answered(&mut self, ticket: u64, _answer: Answer) {
        self.told.push(format!("answered {ticket}"));
    }

    fn client_answered(&mut self, ticket: u64, outcome: Result<Option<RawJson<'_>>, Unanswered<'_>>) {
        let outcome = outcome.map(|data| data.map_or_else(|| "none".to_owned(), |data| format!("{:?}", data.as_str())));
        self.told.push(match outcome {
            Ok(data) => format!("client {ticket} Ok({data})"),
            Err(error) => format!("client {ticket} Err({error:?})"),
        });
    }

    fn congested(&mut self, _congested: bool) {}

    fn cancel(&mut self, _ticket: Ticket) {}
}
