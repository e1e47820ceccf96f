//! One shard with its application, driven by hand: bytes go in, bytes come out, and the kernel takes everything.

use codec::socketcluster::client;
use codec::websocket::{Opcode, encode, handshake};
use shard::{Batch, Config, ConnectionId, Door, Host, Limits, Shard, ShardId, Time};

use crate::{Echo, application};

/// One shard with its application.
pub struct World<H> {
    /// The shard.
    pub shard: Shard,
    host: H,
    shards: usize,
    now: Time,
}

impl World<Echo> {
    /// Shard `id` of `shards`, with the smallest application.
    #[must_use]
    pub fn new(id: u8, shards: usize) -> Self {
        Self::with_host(id, shards, Echo)
    }
}

impl World<()> {
    /// A lone shard with an application of the public API.
    #[must_use]
    pub fn serving() -> World<impl Host> {
        World::with_host(0, 1, application())
    }
}

impl<H> World<H> {
    fn with_host(id: u8, shards: usize, host: H) -> Self {
        let config = Config { id: ShardId(id), shards, limits: Limits::default(), seed: 7 };
        Self { shard: Shard::new(config, Time::ZERO), host, shards, now: Time::ZERO }
    }
}

impl<H: Host> World<H> {
    /// A connection through its handshake: a raw one on `/echo`, else one of SocketCluster.
    pub fn connect(&mut self, path: &str) -> ConnectionId {
        self.shard.begin_turn(self.now);
        let address = ([127, 0, 0, 1], 9).into();
        let id = self.shard.handle_accept(self.now, address, Door::Plain).expect("the shard is not full");
        let mut hello = Vec::new();
        handshake::write_request(&mut hello, "bench", path, [7; 16], &[]);
        if path != "/echo" {
            encode::masked_frame_with(&mut hello, Opcode::Text, [1; 4], 60, |out| client::handshake(out, None, 1));
        }
        self.shard.handle_receive(self.now, id, &mut hello, &mut self.host);
        self.finish(|_| {});
        id
    }

    /// A connection that is subscribed to these channels.
    pub fn subscriber(&mut self, channels: &[&str]) -> ConnectionId {
        let id = self.connect("/socketcluster/");
        for channel in channels {
            self.turn(id, &mut frame(|out| client::subscribe(out, channel, Some(2))));
        }
        id
    }

    /// One turn in which these bytes arrive at that connection; returns how many bytes left.
    pub fn turn(&mut self, id: ConnectionId, bytes: &mut [u8]) -> usize {
        let mut sent = 0;
        self.turn_into(id, bytes, |bytes| sent += bytes.len());
        sent
    }

    /// One turn in which these bytes arrive at that connection; every connection's bytes are shown as they leave.
    pub fn turn_into(&mut self, id: ConnectionId, bytes: &mut [u8], show: impl FnMut(&[u8])) {
        self.shard.begin_turn(self.now);
        self.shard.handle_receive(self.now, id, bytes, &mut self.host);
        self.finish(show);
    }

    /// One turn in which this batch arrives from shard `from`; returns how many bytes left.
    pub fn batch(&mut self, from: u8, batch: &Batch) -> usize {
        self.shard.begin_turn(self.now);
        self.shard.handle_batch(self.now, ShardId(from), batch);
        let mut sent = 0;
        self.finish(|bytes| sent += bytes.len());
        sent
    }

    /// It is that time, and the sweep runs; returns how many connections were sent something.
    pub fn tick(&mut self, now: Time) -> usize {
        self.now = now;
        self.shard.begin_turn(now);
        self.shard.handle_tick(now, &mut self.host);
        let mut sends = 0;
        self.finish(|_| sends += 1);
        sends
    }

    /// Ends a turn as a driver does, in as many passes as it takes.
    fn finish(&mut self, mut show: impl FnMut(&[u8])) {
        self.pass(&mut show);
        while self.shard.has_work() {
            self.shard.begin_turn(self.now);
            self.pass(&mut show);
        }
    }

    /// The end of a pass: to the mesh, to the sockets.
    fn pass(&mut self, show: &mut impl FnMut(&[u8])) {
        self.shard.settle(self.now, &mut self.host);
        for peer in 0..self.shards {
            let peer = ShardId(u8::try_from(peer).expect("shards are bounded by 128"));
            while let Some(batch) = self.shard.poll_batch(peer) {
                std::hint::black_box(batch.len());
            }
        }
        while let Some(transmit) = self.shard.poll_transmit() {
            show(transmit.bytes);
        }
        while self.shard.poll_event().is_some() {}
    }
}

/// A client's frame with this packet.
#[must_use]
pub fn frame(packet: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode::masked_frame_with(&mut out, Opcode::Text, [0x12, 0x34, 0x56, 0x78], 100, packet);
    out
}
