//! Counts allocations: an action that is ready at once costs none of ours, once the boxes of its futures exist.
#![allow(unsafe_code)] // a global allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::{World, caller};
use crate::app::{App, Args, Channel, Channels, Peer, RawArgs, State};
use codec::message::RawJson;
use shard::{Host, Invocation, Invoked, Reply, Ticket, Verdict};

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

/// Allocations of the third and fourth run: the first two make what is kept, as two buffers may take turns.
fn allocations(mut run: impl FnMut()) -> usize {
    run();
    run();
    let before = ALLOCATIONS.get();
    run();
    run();
    ALLOCATIONS.get() - before
}

fn invoke(world: &mut World, reply: &mut Reply, action: &str, argument: &str) -> usize {
    allocations(|| {
        let data = Some(RawJson::from_validated(argument));
        let invocation = Invocation { ticket: Ticket(1), caller: caller(), action, data, wants_reply: true };
        assert_eq!(world.host.invoke(invocation, reply), Invoked::Ready);
        assert!(reply.outcome().is_ok(), "{action}");
    })
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8]))), 2);
}

#[test]
fn calls_that_are_ready_at_once_allocate_nothing() {
    let large = format!("[{}1]", "1,".repeat(2_000));
    let mut world = World::new(
        App::new()
            .state(Cell::new(0_u64))
            .action("sync", |Args(number): Args<f64>| number * number)
            .action("async", async |Args(number): Args<f64>| number * number)
            .action("echo", async |raw: RawArgs| raw)
            .action("all", async |_: Peer, _: Channels, count: State<Cell<u64>>| count.set(count.get() + 1))
            .action("fallible", async |raw: RawArgs| Ok(raw)),
    );
    let mut reply = Reply::default();
    for (action, argument) in
        [("sync", "25"), ("async", "25"), ("echo", "[1, 2]"), ("echo", &large), ("all", "null"), ("fallible", "1")]
    {
        assert_eq!(invoke(&mut world, &mut reply, action, argument), 0, "{action}");
    }
}

#[test]
fn an_idle_pass_and_hooks_that_do_not_match_allocate_nothing() {
    let mut world = World::new(App::new().on_publish("private.*", |_: Channel| ()));
    let waker = std::task::Waker::noop();
    let idle = allocations(|| {
        let verdict = world.host.publish(Ticket(1), caller(), "open", Some(RawJson::NULL));
        assert_eq!(verdict, Verdict::Allow);
        world.host.run_tasks(world.now, waker);
        assert!(world.host.poll_command().is_none());
    });
    assert_eq!(idle, 0);
}

#[test]
fn reading_a_session_allocates_nothing() {
    let config = shard::Config { id: shard::ShardId(0), shards: 1, limits: shard::Limits::default(), seed: 1 };
    let sessions = shard::Shard::new(config, shard::Time::ZERO).open_sessions(shard::SessionConfig::default());
    let session = sessions.make_for_tests().expect("there is room");
    for key in ["a", "b", "c"] {
        let operation = shard::Operation::Set { key: key.into(), text: "\"a text\"".into(), expires: 0 };
        session.write(operation).expect("there is room");
    }
    let read = || {
        assert_eq!(session.get("c").as_deref(), Some("\"a text\""));
        assert_eq!(session.get("d"), None);
    };
    assert_eq!(allocations(read), 0);
}
