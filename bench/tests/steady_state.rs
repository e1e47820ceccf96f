//! Counts allocations on the whole path of a message, from received bytes to bytes for the kernel: frame, envelope,
//! shard, an application of the public API with typed arguments, reply, transmit. Once its buffers have grown there is
//! none, for calls alone and pipelined, and for publications to a thousand subscribers. What a socket's receive and
//! send cost lies outside. A binary of its own, because the counter is the process's allocator.
#![allow(unsafe_code)] // a global allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bench::{World, cases, frame};
use codec::message::RawJson;
use codec::socketcluster::client;
use shard::{ConnectionId, Host};

struct Counting;

thread_local! {
    /// Per thread, so that tests beside this one do not count.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches only a thread-local cell that needs no
// allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and every block came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `realloc`'s contract, and every block came from `System`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Turns until every buffer has its size: the two arenas that alternate, and room to spare.
const WARM_UP_TURNS: usize = 8;
/// Turns that are counted.
const TURNS: usize = 50;

/// What left in one turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    sends: usize,
    bytes: usize,
}

/// Allocations of `TURNS` turns after the warm-up, in each of which these bytes arrive and that much leaves.
fn allocations(world: &mut World<impl Host>, id: ConnectionId, stream: &[u8], expected: Sent) -> usize {
    let mut bytes = stream.to_vec();
    let mut before = 0;
    for turn in 0..WARM_UP_TURNS + TURNS {
        if turn == WARM_UP_TURNS {
            before = ALLOCATIONS.get();
        }
        bytes.copy_from_slice(stream);
        let mut sent = Sent::default();
        world.turn_into(id, &mut bytes, |bytes| {
            sent.sends += 1;
            sent.bytes += bytes.len();
        });
        assert_eq!(sent, expected, "turn {turn}");
    }
    ALLOCATIONS.get() - before
}

/// One connection calls `action`, `pipeline` times in a turn; each answer must be this one.
fn calls(action: &str, argument: &str, answer: &str, pipeline: usize) -> usize {
    let mut world = World::serving();
    let id = world.connect("/socketcluster/");
    let call = frame(|out| client::invoke(out, action, Some(RawJson::from_validated(argument)), Some(7)));
    let reply = format!(r#"{{"rid":7,"data":{answer}}}"#);
    let header = if reply.len() < 126 { 2 } else { 4 };
    let mut first = Vec::new();
    world.turn_into(id, &mut call.clone(), |bytes| first.extend_from_slice(bytes));
    assert_eq!(String::from_utf8_lossy(&first[header..]), reply);
    let expected = Sent { sends: 1, bytes: (header + reply.len()) * pipeline };
    allocations(&mut world, id, &call.repeat(pipeline), expected)
}

#[test]
fn the_counter_counts_allocations_in_a_turn() {
    let mut world = World::serving();
    let id = world.connect("/socketcluster/");
    let mut fresh = frame(|out| client::subscribe(out, "a channel that was not there before", Some(2)));
    let before = ALLOCATIONS.get();
    world.turn(id, &mut fresh);
    assert!(ALLOCATIONS.get() > before, "a new channel is remembered");
}

#[test]
fn calls_allocate_nothing_in_the_steady_state() {
    let echoed = cases::argument().as_str();
    let large = format!("\"{}\"", "x".repeat(1_000));
    for pipeline in [1, 16, 64] {
        for (action, argument, answer) in [
            ("app.echo", echoed, echoed),
            ("app.echo", &large, &large),
            ("app.square", "2.5", "6.25"),
            ("app.add", "[19,23]", "42"),
        ] {
            assert_eq!(calls(action, argument, answer, pipeline), 0, "{action} of {} B x {pipeline}", argument.len());
        }
    }
}

#[test]
fn publications_allocate_nothing_in_the_steady_state() {
    for (subscribers, publications) in [(1, 1), (1_000, 1), (1_000, 16)] {
        let mut world = World::serving();
        for _ in 0..subscribers {
            world.subscriber(&["lobby"]);
        }
        let publisher = world.connect("/socketcluster/");
        let publication = frame(|out| client::publish(out, "lobby", Some(cases::argument()), None));
        let mut one = 0;
        world.turn_into(publisher, &mut publication.clone(), |bytes| one = bytes.len());
        assert!(one > 64, "it reaches its subscribers");
        let expected = Sent { sends: subscribers, bytes: one * subscribers * publications };
        let found = allocations(&mut world, publisher, &publication.repeat(publications), expected);
        assert_eq!(found, 0, "{publications} publications to {subscribers} subscribers");
    }
}
