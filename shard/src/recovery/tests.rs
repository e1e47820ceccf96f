//! Connections whose transports are lost, and clients that come back: by WebSocket and by polling, on one shard and on the
//! other, in time and too late.

use std::time::Duration;

use super::RecoveryLimits;
use crate::world::{Client, World};
use crate::{Limits, SocketIoConfig};

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

fn world(recovery: RecoveryLimits) -> World {
    let mut world = World::new(2, Limits { recovery, ..Limits::default() });
    for shard in &mut world.shards {
        shard.open_socket_io(SocketIoConfig {
            namespaces: vec!["/chat".into()],
            has_channel_events: true,
            ..SocketIoConfig::default()
        });
    }
    world
}

fn recovery() -> RecoveryLimits {
    RecoveryLimits { window: Duration::from_secs(30), ..RecoveryLimits::default() }
}

fn opened(world: &mut World, shard: usize) -> Client {
    let client = world.upgrade(shard, "10.0.0.1", PATH);
    assert_eq!(world.heard(client).len(), 2);
    client
}

/// A client of `news` on the first shard, and its private id.
fn subscribed(world: &mut World) -> (Client, String) {
    let client = opened(world, 0);
    let pid = member(&world.ask(client, "40").expect("an answer"), "pid");
    assert_eq!(world.ask(client, r#"420["subscribe","news"]"#).as_deref(), Some("430[]"));
    (client, pid)
}

/// A string among an answer's members.
fn member(answer: &str, name: &str) -> String {
    let (_, rest) = answer.split_once(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("no {name} in {answer}"));
    rest.split('"').next().expect("the text's end").to_owned()
}

fn publish(world: &mut World, number: usize) {
    let publisher = world.member(1, "10.0.0.2");
    world.send(publisher, &format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{number}}}}}"##));
    world.send(publisher, r##"{"event":"#disconnect","data":{"code":1000}}"##);
}

/// The numbers and offsets of events among what was heard, and the rest.
fn events(heard: &[String]) -> (Vec<usize>, Vec<String>, Vec<&str>) {
    let (mut numbers, mut offsets, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for text in heard {
        match text.strip_prefix(r#"42["news","#).and_then(|text| text.strip_suffix("\"]")?.split_once(",\"")) {
            Some((number, offset)) => {
                numbers.push(number.parse().expect("a number"));
                offsets.push(offset.to_owned());
            }
            None => rest.push(text.as_str()),
        }
    }
    (numbers, offsets, rest)
}

/// A client comes back; what it hears.
fn back(world: &mut World, shard: usize, pid: &str, offset: Option<&str>) -> (Client, Vec<String>) {
    let client = opened(world, shard);
    let offset = offset.map_or_else(String::new, |offset| format!(r#","offset":"{offset}""#));
    world.send(client, &format!(r#"40{{"pid":"{pid}"{offset}}}"#));
    (client, world.heard(client))
}

fn ends(world: &World) -> usize {
    world.hosts.iter().flat_map(|host| &host.told).filter(|told| told.starts_with("disconnect 1006 conn")).count()
}

fn is_anew(heard: &[String], pid: &str) -> bool {
    let [answer] = heard else { panic!("one answer: {heard:?}") };
    answer.starts_with("40{") && member(answer, "pid") != pid
}

#[test]
fn a_client_that_comes_back_to_any_shard_hears_what_it_has_missed_once_and_in_order() {
    for shard in [0, 1] {
        let mut world = world(recovery());
        let (client, pid) = subscribed(&mut world);
        publish(&mut world, 1);
        let heard = world.heard(client);
        let (numbers, offsets, _) = events(&heard);
        assert_eq!(numbers, [1]);
        publish(&mut world, 2); // It is sent, and lost on the way.
        world.end(client);
        assert!(world.is_over(client));
        (3..=4).for_each(|number| publish(&mut world, number));
        let told = ends(&world);
        let (mut client, heard) = back(&mut world, shard, &pid, Some(&offsets[0]));
        let (numbers, offsets, rest) = events(&heard);
        assert_eq!((numbers, rest.len()), (vec![2, 3, 4], 1), "{heard:?}");
        assert_eq!(member(rest[0], "pid"), pid, "the same id is what tells the client that it is recovered");
        assert!(offsets.is_sorted_by_key(|offset| offset.parse::<u64>().expect("a number")));
        // It goes on as ever, and may be lost again.
        assert_eq!(world.ask(client, r#"421["x"]"#).as_deref(), Some("431[true]"));
        let mut last = offsets[2].clone();
        for number in 5..8 {
            publish(&mut world, number);
            world.end(client);
            let (again, heard) = back(&mut world, number % 2, &pid, Some(&last));
            client = again;
            let (numbers, offsets, _) = events(&heard);
            assert_eq!(numbers, [number], "{heard:?}");
            last.clone_from(&offsets[0]);
        }
        assert_eq!(ends(&world), told, "the application has seen no end");
        world.end(client);
        world.wait(Duration::from_secs(31));
        world.wait(Duration::from_secs(6));
        assert_eq!(ends(&world), told + 1);
        world.wait(Duration::from_secs(60));
        assert_eq!(world.shards.iter().map(crate::Shard::connections).sum::<usize>(), 0, "nothing is left behind");
    }
}

#[test]
fn who_comes_too_late_or_with_a_guess_begins_anew() {
    let mut world = world(recovery());
    let (client, pid) = subscribed(&mut world);
    world.end(client);
    let forged = format!("{}{}", if pid.starts_with('A') { "B" } else { "A" }, &pid[1..]);
    let mut wrong = pid.clone().into_bytes();
    wrong[20] = if wrong[20] == b'A' { b'B' } else { b'A' };
    let wrong = String::from_utf8(wrong).expect("it is text");
    let epoch = format!("{}01", &pid[..pid.len() - 2]);
    for guess in [forged.as_str(), &wrong, &pid[1..], "", &format!("{pid}0"), "é"] {
        let (guest, heard) = back(&mut world, 1, guess, None);
        assert!(is_anew(&heard, &pid), "{guess}: {heard:?}");
        world.send(guest, "41");
    }
    let told = ends(&world);
    let (_, heard) = back(&mut world, 1, &pid, Some("9999999"));
    assert!(is_anew(&heard, &pid), "an offset that was never given");
    assert_eq!(ends(&world), told + 1, "the earlier connection is over at once");
    for stale in [pid.as_str(), &epoch] {
        let (_, heard) = back(&mut world, 0, stale, None);
        assert!(is_anew(&heard, stale), "it is over");
    }
    let (client, pid) = subscribed(&mut world);
    world.end(client);
    world.wait(Duration::from_secs(31));
    let (_, heard) = back(&mut world, 0, &pid, None);
    assert!(is_anew(&heard, &pid), "too late");
}

#[test]
fn what_is_kept_is_bounded_and_a_gap_is_no_recovery() {
    for limits in [
        RecoveryLimits { packets_max: 2, ..recovery() },
        RecoveryLimits { bytes_max: 40, ..recovery() },
        RecoveryLimits { total_bytes_max: 40, ..recovery() },
    ] {
        let mut world = world(limits);
        let (client, pid) = subscribed(&mut world);
        world.end(client);
        (1..=2).for_each(|number| publish(&mut world, number));
        let (client, heard) = back(&mut world, 0, &pid, None);
        assert_eq!(events(&heard).0, [1, 2], "{heard:?}");
        let last = events(&heard).1[1].clone();
        world.end(client);
        (3..=5).for_each(|number| publish(&mut world, number));
        let (_, heard) = back(&mut world, 0, &pid, Some(&last));
        assert!(is_anew(&heard, &pid), "one of three is lost");
        assert_eq!(world.shards[0].metrics().recoveries_incomplete, 1);
    }
}

#[test]
fn what_has_arrived_is_not_kept() {
    let mut world = world(recovery());
    let (client, pid) = subscribed(&mut world);
    publish(&mut world, 1);
    world.wait(Duration::from_secs(25));
    let heard = world.heard(client);
    assert_eq!(heard.last().map(String::as_str), Some("2"));
    publish(&mut world, 2);
    world.send(client, "3");
    let last = events(&world.heard(client)).1[0].clone();
    world.end(client);
    let (_, heard) = back(&mut world, 0, &pid, None);
    assert!(is_anew(&heard, &pid), "whoever has answered the ping has heard the first");
    drop(last);
}

#[test]
fn a_client_that_is_back_before_its_loss_is_noticed_takes_the_old_ones_place() {
    for shard in [0, 1] {
        let mut world = world(recovery());
        let (old, pid) = subscribed(&mut world);
        publish(&mut world, 1);
        let (new, heard) = back(&mut world, shard, &pid, None);
        assert_eq!(events(&heard).0, [1]);
        assert!(world.is_over(old), "two cannot be one");
        world.heard(old);
        publish(&mut world, 2);
        assert_eq!(events(&world.heard(new)).0, [2]);
        assert!(world.heard(old).is_empty());
        world.send(old, r#"42["publish","news",666]"#);
        assert!(world.heard(new).is_empty(), "what the old socket still says is not heard");
    }
}

#[test]
fn each_namespace_comes_back_for_itself() {
    let mut world = world(recovery());
    let (client, main) = subscribed(&mut world);
    let chat = member(&world.ask(client, "40/chat,").expect("an answer"), "pid");
    world.ask(client, r#"42/chat,1["subscribe","news"]"#);
    world.end(client);
    publish(&mut world, 1);
    let (client, heard) = back(&mut world, 1, &main, None);
    assert_eq!(events(&heard).0, [1]);
    publish(&mut world, 2);
    assert_eq!(events(&world.heard(client)).0, [2], "the other is not there yet");
    world.send(client, &format!(r#"40/chat,{{"pid":"{chat}"}}"#));
    let heard = world.heard(client);
    assert!(
        heard[0].starts_with(r#"42/chat,["news",1,"#) && heard[1].starts_with(r#"42/chat,["news",2,"#),
        "{heard:?}"
    );
    assert_eq!(member(&heard[2], "pid"), chat);
    // Without its id it begins anew, and is in no channel.
    world.end(client);
    let (client, _) = back(&mut world, 0, &main, None);
    let answer = world.ask(client, "40/chat,").expect("an answer");
    assert_ne!(member(&answer, "pid"), chat);
    publish(&mut world, 3);
    let heard = world.heard(client);
    assert_eq!((events(&heard).0, heard.len()), (vec![3], 1), "{heard:?}");
    world.shards.iter().for_each(crate::Shard::check);
}

#[test]
fn a_transport_that_closes_or_falls_silent_is_lost_and_a_goodbye_is_final() {
    for text in ["1", ""] {
        let mut world = world(recovery());
        let (client, pid) = subscribed(&mut world);
        match text {
            "" => (0..3).for_each(|_| world.wait(Duration::from_secs(23))),
            packet => world.send(client, packet),
        }
        assert_eq!(world.shards[0].metrics().recovery_waits, 1);
        let (_, heard) = back(&mut world, 1, &pid, None);
        assert_eq!(member(&heard[0], "pid"), pid);
    }
    let mut world = world(recovery());
    let (client, pid) = subscribed(&mut world);
    world.send(client, "41");
    let (_, heard) = back(&mut world, 1, &pid, None);
    assert!(is_anew(&heard, &pid));
}

#[test]
fn no_more_wait_than_may_and_the_longest_ends_first() {
    let mut world = world(RecoveryLimits { connections_max: 2, ..recovery() });
    let mut pids = Vec::new();
    for _ in 0..3 {
        let (client, pid) = subscribed(&mut world);
        world.end(client);
        pids.push(pid);
    }
    let is_recovered = |world: &mut World, pid: &str| !is_anew(&back(world, 1, pid, None).1, pid);
    assert!(!is_recovered(&mut world, &pids[0]));
    assert!(is_recovered(&mut world, &pids[1]) && is_recovered(&mut world, &pids[2]));
}

#[test]
fn who_asks_a_shard_that_dies_for_its_connection_begins_anew_at_once() {
    let mut world = world(recovery());
    let (_, pid) = subscribed(&mut world);
    let client = opened(&mut world, 1);
    world.is_parted = true;
    world.send(client, &format!(r#"40{{"pid":"{pid}"}}"#));
    assert!(world.heard(client).is_empty());
    world.is_parted = false;
    let peer = world.shards[0].id();
    world.shards[1].poll_batch(peer).expect("its question is under way");
    world.lose(0);
    assert!(is_anew(&world.heard(client), &pid));
}

#[test]
fn nobody_of_a_shard_that_has_died_takes_up_a_connection() {
    let mut world = world(recovery());
    let (old, pid) = subscribed(&mut world);
    world.stall(old);
    publish(&mut world, 1); // It is in the air, and the connection cannot let its socket go.
    let asking = opened(&mut world, 1);
    world.send(asking, &format!(r#"40{{"pid":"{pid}"}}"#));
    assert!(world.heard(asking).is_empty());
    world.lose(1);
    world.replace(1);
    world.let_flow(old);
    assert_eq!(world.shards[0].metrics().recoveries, 0, "nobody is there to carry it");
    let (_, heard) = back(&mut world, 1, &pid, None);
    assert_eq!(events(&heard).0, [1]);
}

#[test]
fn a_subscribe_that_was_under_way_is_not_answered_to_who_comes_back() {
    let mut world = world(recovery());
    let client = opened(&mut world, 0);
    let pid = member(&world.ask(client, "40").expect("an answer"), "pid");
    world.is_parted = true;
    assert_eq!(world.ask(client, r#"427["subscribe","news"]"#), None);
    world.end(client);
    let (client, heard) = back(&mut world, 0, &pid, None);
    assert_eq!(member(&heard[0], "pid"), pid);
    world.is_parted = false;
    publish(&mut world, 1);
    assert_eq!(world.heard(client).len(), 1, "the publication, and no answer to a call of its earlier transport");
}

#[test]
fn whoever_carries_the_transport_of_a_connection_hears_when_its_shard_dies() {
    let mut world = world(recovery());
    let (client, pid) = subscribed(&mut world);
    world.end(client);
    // It comes back by polling, on another shard, and goes over to a WebSocket there.
    let fetch = |world: &mut World, request: String, body: String| {
        let client = world.accept(1, "10.0.0.1");
        let length = body.len();
        world.send_bytes(
            client,
            format!("{request} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
        );
        String::from_utf8(world.heard_bytes(client)).expect("text")
    };
    let polling = PATH.replace("websocket", "polling");
    let path = format!("{polling}&sid={}", member(&fetch(&mut world, format!("GET {polling}"), String::new()), "sid"));
    fetch(&mut world, format!("POST {path}"), format!(r#"40{{"pid":"{pid}"}}"#));
    assert_eq!(member(&fetch(&mut world, format!("GET {path}"), String::new()), "pid"), pid);
    let carrier = world.upgrade(1, "10.0.0.1", &path.replace("polling", "websocket"));
    world.send(carrier, "2probe");
    world.send(carrier, "5");
    publish(&mut world, 1);
    let heard = world.heard(carrier);
    assert!(heard.last().is_some_and(|last| last.contains(r#"["news",1"#)), "{heard:?}");
    world.lose(0);
    world.replace(0);
    assert!(world.is_over(carrier), "there is nothing to carry any more");
}
