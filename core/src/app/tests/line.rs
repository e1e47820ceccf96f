//! One client of one real shard: its bytes go in, bytes for it come out. Only the sockets are missing, and time is a
//! number.

use std::net::{Ipv4Addr, SocketAddr};
use std::task::Waker;
use std::time::Duration;

use codec::websocket::{Decoder, Limits as MessageLimits, Message as Received, Opcode, Role, encode, handshake};
use shard::{Config, ConnectionId, Door, Host, Limits, Shard, ShardId, Time};

use crate::app::{App, Common, ShardHost};

pub(super) const HANDSHAKE: &str = r##"{"event":"#handshake","data":{"authToken":null},"cid":1}"##;

const KEY: [u8; 16] = [7; 16];

/// One client of one shard.
pub(super) struct Line {
    shard: Shard,
    host: ShardHost,
    connection: ConnectionId,
    now: Time,
}

impl Line {
    pub(super) fn open(app: App, path: &str) -> Self {
        Self::open_with(app, path, super::common())
    }

    pub(super) fn open_with(app: App, path: &str, common: Common) -> Self {
        let mut line = Self::accepted(app, common);
        let answer = line.exchange(request(path, &[]));
        let length = handshake::check_response(&answer, KEY).expect("it is let in").expect("the whole head");
        assert_eq!(length, answer.len());
        line
    }

    /// A connection that has said nothing yet.
    pub(super) fn accepted(app: App, common: Common) -> Self {
        let config = Config { id: ShardId(0), shards: 1, limits: Limits::default(), seed: 1 };
        let now = Time::from_micros(1_000_000);
        let mut shard = Shard::new(config, now);
        let host = ShardHost::new(app, ShardId(0), common);
        if let Some(filter) = host.delivery_filter() {
            shard.filter_deliveries(filter);
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000));
        let connection = shard.handle_accept(now, address, Door::Plain).expect("there is room");
        Self { shard, host, connection, now }
    }

    /// A SocketCluster client after its handshake.
    pub(super) fn shaken(app: App) -> Self {
        Self::shaken_with(app, super::common())
    }

    pub(super) fn shaken_with(app: App, common: Common) -> Self {
        let mut line = Self::open_with(app, "/socketcluster/", common);
        let answer = line.say(HANDSHAKE);
        assert!(answer.len() == 1 && answer[0].starts_with(r#"{"rid":1,"data":{"id":""#), "{answer:?}");
        line
    }

    /// Gives the shard bytes and makes a pass; what it sends.
    pub(super) fn exchange(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        self.shard.begin_turn(self.now);
        self.shard.handle_receive(self.now, self.connection, &mut bytes, &mut self.host);
        self.finish()
    }

    /// A pass that much later in which nothing comes in.
    pub(super) fn pass_after(&mut self, duration: Duration) -> Vec<u8> {
        self.now = self.now + duration;
        self.shard.begin_turn(self.now);
        self.finish()
    }

    fn finish(&mut self) -> Vec<u8> {
        self.host.run_tasks(self.now, Waker::noop());
        while let Some(command) = self.host.poll_command() {
            self.shard.command(self.now, command, &mut self.host);
        }
        self.shard.settle(self.now, &mut self.host);
        let mut sent = Vec::new();
        while let Some(transmit) = self.shard.poll_transmit() {
            sent.extend_from_slice(transmit.bytes);
        }
        // There is no socket to do these to; what the shard is told after a pause it holds back by itself.
        while self.shard.poll_event().is_some() {}
        sent
    }

    pub(super) fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Vec<String> {
        let mut frame = Vec::new();
        encode::masked_frame(&mut frame, opcode, [1, 2, 3, 4], payload);
        messages(self.exchange(frame))
    }

    pub(super) fn say(&mut self, text: &str) -> Vec<String> {
        self.send(Opcode::Text, text.as_bytes())
    }
}

/// A request for a WebSocket.
pub(super) fn request(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = Vec::new();
    handshake::write_request(&mut request, "a", path, KEY, headers);
    request
}

/// What a client sees.
pub(super) fn messages(mut bytes: Vec<u8>) -> Vec<String> {
    let mut decoder = Decoder::new(Role::Client);
    let mut list = Vec::new();
    let mut received = decoder.decode(&mut bytes, &MAX);
    while let Some(message) = received.next() {
        list.push(match message.expect("the server speaks the protocol") {
            Received::Text(text) => text.to_owned(),
            Received::Close(end) => format!("close {end:?}"),
            other => format!("{other:?}"),
        });
    }
    list
}

const MAX: MessageLimits = MessageLimits { message_bytes_max: 1 << 20, fragments_max: 16 };
