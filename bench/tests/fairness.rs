//! A publication to a channel of thousands of subscribers is sent over several passes; who calls in between is answered
//! in the pass of the call, and whoever waited hears every publication once and in order.

use std::collections::BTreeMap;

use bench::{Echo, World, frame};
use codec::message::RawJson;
use codec::socketcluster::client;
use shard::{ConnectionId, Limits, Time};

const SUBSCRIBERS: usize = 2_000;

/// One pass, begun by these bytes; what left, by slot.
fn pass(world: &mut World<Echo>, input: Option<(ConnectionId, &[u8])>) -> BTreeMap<u32, Vec<u8>> {
    let shard = &mut world.shard;
    shard.begin_turn(Time::ZERO);
    if let Some((id, bytes)) = input {
        shard.handle_receive(Time::ZERO, id, &mut bytes.to_vec(), &mut Echo);
    }
    shard.settle(Time::ZERO, &mut Echo);
    let mut sent = BTreeMap::new();
    while let Some(transmit) = shard.poll_transmit() {
        let before = sent.insert(transmit.connection.slot, transmit.bytes.to_vec());
        assert!(before.is_none(), "one send per connection and pass");
    }
    shard.check();
    sent
}

#[test]
fn a_huge_channel_keeps_nobody_waiting() {
    let mut world = World::new(0, 1);
    let caller = world.connect("/socketcluster/");
    let listeners: Vec<_> = (0..SUBSCRIBERS).map(|_| world.subscriber(&["lobby"])).collect();
    let publish = |text| frame(|out| client::publish(out, "lobby", Some(RawJson::from_validated(text)), None));
    let call = frame(|out| client::invoke(out, "app.echo", Some(RawJson::from_validated("7")), Some(9)));
    let sends_per_pass = Limits::default().sends_per_pass;

    let mut heard: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut hear = |sent: BTreeMap<u32, Vec<u8>>| {
        let count = sent.len();
        sent.into_iter().for_each(|(slot, bytes)| heard.entry(slot).or_default().extend(bytes));
        count
    };
    assert_eq!(hear(pass(&mut world, Some((caller, &publish("\"first\""))))), sends_per_pass);
    assert!(world.shard.has_work(), "the loop must not sleep now");

    // Neither a stranger's call nor that of a subscriber who still waits has to wait for the others.
    let mut sent = pass(&mut world, Some((caller, &call)));
    assert!(String::from_utf8_lossy(&sent.remove(&caller.slot).expect("the answer")).contains("\"rid\":9"));
    hear(sent);
    let last = *listeners.last().expect("there are many");
    let sent = pass(&mut world, Some((last, &call)));
    let text = String::from_utf8_lossy(&sent[&last.slot]).into_owned();
    let (news, answer) = (text.find("first").expect("the news"), text.find("\"rid\":9").expect("the answer"));
    assert!(news < answer, "in the order in which it was said");
    hear(sent);

    hear(pass(&mut world, Some((caller, &publish("\"second\"")))));
    let mut passes = 4;
    while world.shard.has_work() {
        hear(pass(&mut world, None));
        passes += 1;
    }
    // Most of those who still waited when the second publication came got both in one send.
    assert!(passes <= 2 + 2 * SUBSCRIBERS.div_ceil(sends_per_pass), "{passes} passes");
    for listener in &listeners {
        let text = String::from_utf8_lossy(&heard[&listener.slot]).into_owned();
        let at = |news: &str| text.match_indices(news).map(|(at, _)| at).collect::<Vec<_>>();
        let (first, second) = (at("first"), at("second"));
        assert!(first.len() == 1 && second.len() == 1 && first < second, "{text}");
    }
}
