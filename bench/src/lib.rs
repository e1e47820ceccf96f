//! What the benchmarks share: an application that does nearly nothing, and a shard whose kernel takes everything.

use codec::http::request::Head;
use codec::http::response;
use codec::message::RawJson;
use codec::socketcluster::client;
use codec::websocket::{Opcode, encode, handshake};
use shard::{
    Batch, Caller, Command, Config, ConnectionId, Disconnect, Host, Invocation, Invoked, Limits, Peer, RawMessage,
    RawReplies, Reply, Route, Shard, ShardId, Ticket, Time, Verdict,
};

/// `app.echo` gives its argument back; everything is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Host for Echo {
    fn route(&mut self, path: &str) -> Option<Route> {
        Some(if path == "/echo" { Route::Raw(0) } else { Route::SocketCluster })
    }

    fn request(&mut self, _: Peer, _: &Head<'_>, keep_alive: bool, out: &mut Vec<u8>) {
        response::write(out, 200, &[], b"", keep_alive);
    }

    fn connect(&mut self, _: Ticket, _: Caller<'_>, _: Route) -> Verdict {
        Verdict::Allow
    }

    fn disconnect(&mut self, _: Caller<'_>, _: &Disconnect) {}

    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked {
        if invocation.action != "app.echo" {
            return Invoked::Unknown;
        }
        if let Some(data) = invocation.data {
            reply.set_data().extend_from_slice(data.as_str().as_bytes());
        }
        Invoked::Ready
    }

    fn subscribe(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn publish(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn message(&mut self, _: Peer, _: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        replies.send(message);
    }

    fn poll_command(&mut self) -> Option<Command> {
        None
    }

    fn congested(&mut self, _: bool) {}

    fn cancel(&mut self, _: Ticket) {}
}

/// One shard with its application.
pub struct World {
    /// The shard.
    pub shard: Shard,
    host: Echo,
}

impl World {
    /// Shard `id` of `shards`.
    #[must_use]
    pub fn new(id: u8, shards: usize) -> Self {
        let config = Config { id: ShardId(id), shards, limits: Limits::default(), seed: 7 };
        Self { shard: Shard::new(config, Time::ZERO), host: Echo }
    }

    /// A connection through its handshake.
    pub fn connect(&mut self, path: &str) -> ConnectionId {
        self.shard.begin_turn(Time::ZERO);
        let address = ([127, 0, 0, 1], 9).into();
        let id = self.shard.handle_accept(Time::ZERO, address).expect("the shard is not full");
        let mut hello = Vec::new();
        handshake::write_request(&mut hello, "bench", path, [7; 16], &[]);
        if path != "/echo" {
            encode::masked_frame_with(&mut hello, Opcode::Text, [1; 4], 60, |out| client::handshake(out, None, 1));
        }
        self.shard.handle_receive(Time::ZERO, id, &mut hello, &mut self.host);
        self.finish();
        id
    }

    /// One turn in which these bytes arrive at that connection; returns how many bytes left.
    pub fn turn(&mut self, id: ConnectionId, bytes: &mut [u8]) -> usize {
        self.shard.begin_turn(Time::ZERO);
        self.shard.handle_receive(Time::ZERO, id, bytes, &mut self.host);
        self.finish()
    }

    /// One turn in which this batch arrives from shard `from`.
    pub fn batch(&mut self, from: u8, batch: &Batch) -> usize {
        self.shard.begin_turn(Time::ZERO);
        self.shard.handle_batch(Time::ZERO, ShardId(from), batch);
        self.finish()
    }

    fn finish(&mut self) -> usize {
        self.shard.settle(Time::ZERO, &mut self.host);
        let mut bytes = 0;
        while let Some(transmit) = self.shard.poll_transmit() {
            bytes += transmit.bytes.len();
        }
        while self.shard.poll_event().is_some() {}
        bytes
    }
}

/// A client's frame with this packet.
#[must_use]
pub fn frame(packet: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode::masked_frame_with(&mut out, Opcode::Text, [0x12, 0x34, 0x56, 0x78], 100, packet);
    out
}
