//! The hottest paths, each as a loop of a given length. All that one iteration costs is in the loop, and everything
//! else is done before it, so that the difference between two lengths is the path and nothing else.

use std::hint::black_box;

use codec::message::RawJson;
use codec::socketcluster::{self, client};
use codec::websocket::{Decoder, Limits, Opcode, Role, encode, unmask};

use crate::{World, frame};

/// A loop over one hot path.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is called on the command line and in the baseline.
    pub name: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// Operations of one iteration.
    pub operations: u64,
    /// Iterations that one count takes: some milliseconds of work.
    pub iterations: u64,
    /// The loop, so many iterations long.
    pub run: fn(iterations: u64),
}

/// All of them.
pub const CASES: &[Case] = &[
    Case {
        name: "frame-decode",
        operation: "masked text frame of 110 B, 16 to a receive: header, unmask, UTF-8, message",
        operations: 16,
        iterations: 500,
        run: frame_decode,
    },
    Case { name: "unmask", operation: "payload of 1,024 B", operations: 1, iterations: 2_000, run: unmasking },
    Case {
        name: "envelope-decode",
        operation: "SocketCluster call with 64 B of argument, 107 B of text",
        operations: 1,
        iterations: 2_000,
        run: envelope_decode,
    },
    Case {
        name: "rpc",
        operation: "call of 64 B through shard and application, one to a turn",
        operations: 1,
        iterations: 2_000,
        run: |iterations| calls(1, iterations),
    },
    Case {
        name: "rpc-pipelined",
        operation: "call of 64 B through shard and application, 16 to a turn",
        operations: 16,
        iterations: 200,
        run: |iterations| calls(16, iterations),
    },
    Case {
        name: "fan-out",
        operation: "delivery of a 64 B publication to one of 1,000 subscribers",
        operations: 1_000,
        iterations: 20,
        run: fan_out,
    },
];

/// A string whose JSON has 64 bytes.
const ARGUMENT: &str = r#""abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ""#;

/// The payload of every case that has one.
#[must_use]
pub fn argument() -> RawJson<'static> {
    RawJson::from_validated(ARGUMENT)
}

fn frame_decode(iterations: u64) {
    let mut stream = Vec::new();
    for _ in 0..16 {
        encode::masked_frame(&mut stream, Opcode::Text, [1, 2, 3, 4], &[b'x'; 110]);
    }
    let (mut decoder, limits) = (Decoder::new(Role::Server), Limits::default());
    let mut bytes = stream.clone();
    for _ in 0..iterations {
        // Decoding overwrites what it decodes. The copy counts: about 2 instructions per operation.
        bytes.copy_from_slice(&stream);
        let mut messages = decoder.decode(black_box(&mut bytes), &limits);
        while let Some(message) = messages.next() {
            black_box(message.is_ok());
        }
    }
}

fn unmasking(iterations: u64) {
    let mut bytes = [7; 1_024];
    for _ in 0..iterations {
        unmask(black_box(&mut bytes), black_box([1, 2, 3, 4]));
    }
}

fn envelope_decode(iterations: u64) {
    let packet = format!(r#"{{"event":"app.echo","data":{ARGUMENT},"cid":12345}}"#);
    let mut decoder = socketcluster::Decoder::new(socketcluster::Limits::default());
    for _ in 0..iterations {
        let messages = decoder.decode(black_box(&packet)).expect("it is a packet");
        messages.for_each(|message| drop(black_box(message)));
    }
}

fn calls(pipeline: usize, iterations: u64) {
    let mut world = World::serving();
    let id = world.connect("/socketcluster/");
    let call = frame(|out| client::invoke(out, "app.echo", Some(argument()), Some(12_345)));
    let stream = call.repeat(pipeline);
    let mut bytes = stream.clone();
    for _ in 0..iterations {
        bytes.copy_from_slice(&stream);
        let sent = world.turn(id, black_box(&mut bytes));
        assert!(sent > 64 * pipeline, "every call is answered with its argument");
    }
}

fn fan_out(iterations: u64) {
    let mut world = World::serving();
    for _ in 0..1_000 {
        world.subscriber(&["lobby"]);
    }
    let publisher = world.connect("/socketcluster/");
    let stream = frame(|out| client::publish(out, "lobby", Some(argument()), None));
    let mut bytes = stream.clone();
    for _ in 0..iterations {
        bytes.copy_from_slice(&stream);
        let sent = world.turn(publisher, black_box(&mut bytes));
        assert!(sent > 64 * 1_000, "everybody gets it");
    }
}
