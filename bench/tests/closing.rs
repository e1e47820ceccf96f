//! Who ends the TCP connection: after both close frames the server does, at once; after its own alone it waits for the
//! peer.

use bench::{Echo, World};
use codec::websocket::{Opcode, encode};
use shard::{Command, ConnectionId, Disconnect, Event, Time};

/// Passes until the shard rests; what became of sockets.
fn events(world: &mut World<Echo>, enter: impl FnOnce(&mut World<Echo>)) -> Vec<Event> {
    let mut events = Vec::new();
    world.shard.begin_turn(Time::ZERO);
    enter(world);
    loop {
        world.shard.settle(Time::ZERO, &mut Echo);
        while world.shard.poll_transmit().is_some() {}
        events.extend(std::iter::from_fn(|| world.shard.poll_event()));
        if !world.shard.has_work() {
            return events;
        }
        world.shard.begin_turn(Time::ZERO);
    }
}

fn connection() -> (World<Echo>, ConnectionId) {
    let mut world = World::new(0, 1);
    let id = world.connect("/socketcluster/");
    (world, id)
}

#[test]
fn a_close_frame_that_was_answered_ends_the_connection_at_once() {
    let (mut world, id) = connection();
    let mut frame = Vec::new();
    encode::masked_frame_with(&mut frame, Opcode::Close, [1, 2, 3, 4], 2, |out| out.extend([0x03, 0xE8]));
    let events = events(&mut world, |world| world.shard.handle_receive(Time::ZERO, id, &mut frame, &mut Echo));
    assert_eq!(events, [Event::Close(id)]);
}

#[test]
fn a_close_frame_of_ours_waits_for_the_peers_end() {
    let (mut world, id) = connection();
    let disconnect = Command::Disconnect { connection: id, disconnect: Disconnect::new(4000, "go") };
    let before = events(&mut world, |world| world.shard.command(Time::ZERO, disconnect, &mut Echo));
    assert_eq!(before, [Event::Shutdown(id)]);
    let after = events(&mut world, |world| world.shard.handle_end(Time::ZERO, id, &mut Echo));
    assert_eq!(after, [Event::Close(id)]);
}
