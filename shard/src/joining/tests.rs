//! Shards that die and are replaced, each promise alone; the simulation is for all of them together, at any step.

use crate::seats::SeatLimits;
use crate::world::{Client, World};
use crate::{Command, Limits, Question, RateLimits, Shard};

fn subscribe(world: &mut World, client: Client, channel: &str) -> Option<String> {
    world.ask(client, &format!(r##"{{"event":"#subscribe","data":{{"channel":"{channel}"}},"cid":2}}"##))
}

fn publish(world: &mut World, client: Client, number: u32) {
    world.send(client, &format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{number}}}}}"##));
}

fn news(number: u32) -> Vec<String> {
    vec![format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{number}}}}}"##)]
}

#[test]
fn publications_reach_the_successor_and_come_from_it() {
    let mut world = World::new(3, Limits::default());
    let near = world.member(0, "10.0.0.1");
    assert_eq!(subscribe(&mut world, near, "news").as_deref(), Some(r#"{"rid":2}"#));
    let lost = world.member(1, "10.0.0.2");
    subscribe(&mut world, lost, "news");
    world.lose(1);
    assert!(world.is_over(lost));
    assert_eq!(world.hosts[1].told.last().map(String::as_str), Some("disconnect 1006 the shard has failed"));
    let publisher = world.member(2, "10.0.0.3");
    publish(&mut world, publisher, 1);
    assert_eq!(world.heard(near), news(1), "the others do not wait");
    assert!(world.shards[1].is_joining());
    world.replace(1);
    assert!(!world.shards[1].is_joining());
    let far = world.member(1, "10.0.0.2");
    publish(&mut world, far, 2);
    assert_eq!(world.heard(near), news(2), "its successor knew before anybody was let in");
    assert_eq!(subscribe(&mut world, far, "news").as_deref(), Some(r#"{"rid":2}"#));
    publish(&mut world, publisher, 3);
    assert_eq!((world.heard(near), world.heard(far)), (news(3), news(3)));
}

#[test]
fn a_subscribe_that_waits_for_a_shard_that_dies_is_answered() {
    let mut world = World::new(2, Limits::default());
    let client = world.member(0, "10.0.0.1");
    world.is_parted = true;
    assert_eq!(subscribe(&mut world, client, "news"), None);
    world.is_parted = false;
    let peer = world.shards[1].id();
    world.shards[0].poll_batch(peer).expect("its question is under way");
    world.lose(1);
    assert_eq!(world.heard(client), [r#"{"rid":2}"#]);
    assert_eq!(subscribe(&mut world, client, "other").as_deref(), Some(r#"{"rid":2}"#), "nobody has to be asked");
}

#[test]
fn seats_of_a_dead_shard_are_free_and_those_of_others_are_counted_again() {
    let limits = Limits { seats: SeatLimits { per_address: 2, ..SeatLimits::default() }, ..Limits::default() };
    for home in 0..2 {
        // Which of the two is the home of this address does not matter: each dies once.
        let mut world = World::new(2, limits);
        let (first, second) = (world.member(0, "10.0.0.1"), world.member(1, "10.0.0.1"));
        let full = world.accept(0, "10.0.0.1");
        assert!(world.is_over(full));
        world.lose(home);
        let early = world.accept(1 - home, "10.0.0.1");
        world.replace(home);
        let survivor = if home == 0 { second } else { first };
        assert!(!world.is_over(survivor) && !world.is_over(early), "one seat has become free");
        let late = world.accept(home, "10.0.0.1");
        assert!(world.is_over(late), "and no more than one");
        world.end(survivor);
        let next = world.accept(home, "10.0.0.1");
        assert!(!world.is_over(next));
    }
}

#[test]
fn users_of_a_dead_shard_are_gone_and_those_of_others_stay() {
    let mut world = World::new(2, Limits { rates: RateLimits::default(), ..Limits::default() });
    world.shards.iter_mut().for_each(|shard| shard.show_members(|_| true));
    let near = world.member(0, "10.0.0.1");
    let far = world.member(1, "10.0.0.2");
    for client in [near, far] {
        world.send(client, r##"{"event":"#authenticate","data":"good","cid":9}"##);
        world.send(client, r##"{"event":"#subscribe","data":{"channel":"room"},"cid":2}"##);
    }
    world.heard(near);
    world.lose(1);
    world.replace(1);
    let shards: Vec<&Shard> = world.shards.iter().collect();
    Shard::check_rosters(&shards);
    world.wait(std::time::Duration::from_millis(100));
    assert_eq!((world.shards[0].online(), world.shards[1].online()), (1, 1), "alice is online here");
    // Whose home the room was has died, or a user with a connection elsewhere has lost one of two.
    let heard = world.heard(near);
    let reset = heard.iter().position(|heard| heard.contains(r#""event":"reset""#));
    let joined = heard.iter().rposition(|heard| heard.contains(r#""event":"join","user":"alice""#));
    assert!(reset.is_none() || joined > reset, "{heard:?}");
    assert!(!heard.iter().any(|heard| heard.contains("leave")), "{heard:?}");
    world.end(near);
    world.wait(std::time::Duration::from_millis(100));
    assert_eq!((world.shards[0].online(), world.shards[1].online()), (0, 0));
}

#[test]
fn a_question_to_a_shard_that_dies_is_answered_by_its_successor() {
    let mut world = World::new(2, Limits::default());
    world.is_parted = true;
    let question = Question::Members { channel: None, after: None, count: 5 };
    world.hosts[0].commands.push_back(Command::Ask { ticket: 7, question });
    world.wait(std::time::Duration::from_millis(50));
    world.is_parted = false;
    world.lose(1);
    world.wait(std::time::Duration::from_millis(50));
    assert!(!world.hosts[0].told.iter().any(|told| told.starts_with("answered")));
    world.replace(1);
    assert_eq!(world.hosts[0].told.last().map(String::as_str), Some("answered 7"));
}

#[test]
fn who_polls_a_session_of_a_dead_shard_is_told_that_it_is_unknown() {
    let mut world = World::new(2, Limits::default());
    let opening = world.accept(1, "10.0.0.1");
    world.send_bytes(opening, b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = String::from_utf8(world.heard_bytes(opening)).expect("text");
    let sid = text.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
    let request = format!("GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: a\r\n\r\n");
    let waiting = world.accept(0, "10.0.0.1");
    world.send_bytes(waiting, request.as_bytes());
    assert!(world.heard_bytes(waiting).is_empty());
    let carrier = world.upgrade(0, "10.0.0.1", &format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"));
    world.lose(1);
    let text = String::from_utf8(world.heard_bytes(waiting)).expect("text");
    assert!(text.contains("Session ID unknown"), "{text}");
    assert!(world.is_over(carrier), "it has nothing to carry any more");
    let late = world.accept(0, "10.0.0.1");
    world.send_bytes(late, request.as_bytes());
    let text = String::from_utf8(world.heard_bytes(late)).expect("text");
    assert!(text.contains("Session ID unknown"), "{text}");
    world.shards[0].check();
}

const OPENING: &[u8] = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";

fn polled(world: &mut World, shard: usize, request: &[u8]) -> String {
    let client = world.accept(shard, "10.0.0.1");
    world.send_bytes(client, request);
    String::from_utf8(world.heard_bytes(client)).expect("text")
}

#[test]
fn a_session_of_a_successor_is_served_by_who_has_not_heard_that_it_serves() {
    let mut world = World::new(2, Limits::default());
    world.lose(1);
    world.replace(1);
    // As if the word were still under way.
    world.shards[0].serving.remove(crate::ShardId(1));
    let opened = polled(&mut world, 1, OPENING);
    let sid = opened.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    let request = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n40"
    );
    let answer = polled(&mut world, 0, request.as_bytes());
    assert!(answer.ends_with("ok"), "{answer}");
}

#[test]
fn a_polled_session_that_waits_for_a_seat_at_a_shard_that_dies_gets_it_from_its_successor() {
    let limits = Limits { seats: SeatLimits { per_address: 2, ..SeatLimits::default() }, ..Limits::default() };
    for home in 0..2 {
        let mut world = World::new(2, limits);
        let client = world.accept(1 - home, "10.0.0.1");
        world.is_parted = true;
        world.send_bytes(client, OPENING);
        world.is_parted = false;
        let peer = world.shards[home].id();
        let _ = world.shards[1 - home].poll_batch(peer);
        world.lose(home);
        world.replace(home);
        let text = String::from_utf8(world.heard_bytes(client)).expect("text");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(polled(&mut world, home, OPENING).starts_with("HTTP/1.1 429"), "both seats are taken");
    }
}
