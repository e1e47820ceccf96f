//! Seats: they are counted over all shards, come back, and are neither lost nor given twice, whatever happens meanwhile.

use std::time::Duration;

use super::*;
use crate::Limits;
use crate::world::{Client, World};

const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols";
const REFUSED: &str = "HTTP/1.1 429 Too Many Requests";

fn world(shards: usize, seats: SeatLimits) -> World {
    World::new(shards, Limits { seats, ..Limits::default() })
}

fn per_address(per_address: u32) -> SeatLimits {
    SeatLimits { per_address, ..SeatLimits::default() }
}

/// How many seats are taken, on all shards.
fn taken(world: &World) -> usize {
    let of = |shard: &Shard| {
        shard.seats.as_ref().map_or(0, |seats| seats.taken.values().flatten().map(|(_, count)| *count as usize).sum())
    };
    world.shards.iter().map(of).sum()
}

fn raw(world: &mut World, shard: usize, address: &str) -> Result<Client, String> {
    let client = world.upgrade(shard, address, "/raw");
    let heard = world.heard(client);
    let [status] = &*heard else { panic!("{heard:?}") };
    if status == UPGRADED { Ok(client) } else { Err(status.clone()) }
}

#[test]
fn an_address_has_so_many_connections_over_all_shards() {
    let mut world = world(3, per_address(4));
    let clients: Vec<_> = (0..4).map(|index| raw(&mut world, index % 3, "10.0.0.1").expect("a seat")).collect();
    for shard in 0..3 {
        assert_eq!(raw(&mut world, shard, "10.0.0.1"), Err(REFUSED.to_owned()));
        raw(&mut world, shard, "10.0.0.2").expect("another address");
    }
    assert_eq!(taken(&world), 7);
    world.end(clients[1]);
    assert!(world.is_over(clients[1]));
    raw(&mut world, 2, "10.0.0.1").expect("a seat is free again");
    assert!(raw(&mut world, 1, "10.0.0.1").is_err());
    let refused: u64 = world.shards.iter().map(|shard| shard.metrics().seats_refused).sum();
    assert_eq!(refused, 4);
}

#[test]
fn a_seat_is_used_from_the_accept_on_and_the_refused_are_told_before_they_ask() {
    let mut world = world(2, per_address(1));
    let silent = world.accept(0, "10.0.0.1");
    let refused = world.accept(1, "10.0.0.1");
    assert_eq!(world.heard(refused), [REFUSED]);
    assert!(world.is_over(refused) && !world.is_over(silent));
    assert_eq!(world.heard(silent), [""; 0]);
    assert_eq!(taken(&world), 1);
}

#[test]
fn what_was_sent_before_the_home_has_answered_is_heard_afterwards() {
    // The home of one of these addresses is another shard than the one of the connection.
    let mut world = world(5, per_address(3));
    for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        let client = raw(&mut world, 0, address).expect("a seat");
        world.send(client, "hello");
        assert_eq!(world.heard(client), ["hello"]);
    }
}

#[test]
fn a_connection_that_leaves_before_the_answer_gives_its_seat_back() {
    let mut world = world(2, per_address(1));
    let foreign = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
        .into_iter()
        .find(|address| home_of(&address_holder(address.parse().expect("one")), 2) == ShardId(1))
        .expect("half of all addresses");
    // The question is on its way when the connection ends.
    let address = std::net::SocketAddr::new(foreign.parse().expect("one"), 9);
    world.shards[0].begin_turn(world.now);
    let id = world.shards[0].handle_accept(world.now, address, crate::Door::Plain).expect("not full");
    world.shards[0].handle_end(world.now, id, &mut world.hosts[0]);
    world.wait(Duration::from_millis(50));
    assert_eq!(taken(&world), 0);
    raw(&mut world, 0, foreign).expect("the seat is free");
}

#[test]
fn a_home_that_does_not_answer_is_a_busy_server() {
    let mut world = world(2, per_address(1));
    world.is_parted = true;
    let clients: Vec<_> = (1..9).map(|last| world.upgrade(0, &format!("10.0.0.{last}"), "/raw")).collect();
    world.wait(Duration::from_secs(9));
    world.wait(Duration::from_secs(2));
    let heard: Vec<_> = clients.iter().flat_map(|client| world.heard(*client)).collect();
    assert!(heard.iter().any(|status| status == UPGRADED), "those whose home is here: {heard:?}");
    assert!(heard.iter().any(|status| status == "HTTP/1.1 503 Service Unavailable"), "{heard:?}");
    world.is_parted = false;
    world.wait(Duration::from_millis(50));
    clients.iter().for_each(|client| world.end(*client));
    assert_eq!(taken(&world), 0, "late answers give seats to nobody");
}

#[test]
fn a_session_has_so_many_websockets_over_all_shards() {
    let mut world = world(3, SeatLimits { per_session: 3, ..SeatLimits::default() });
    let session = SessionId::with_home([9; 16], ShardId(1), 3).to_string();
    let open = |world: &mut World, shard: usize, session: &str| {
        let client = world.upgrade_with(shard, "10.0.0.1", "/raw", &[("Cookie", session)]);
        (client, world.heard(client))
    };
    let tabs: Vec<_> = (0..3).map(|shard| open(&mut world, shard, &session)).collect();
    assert!(tabs.iter().all(|(_, heard)| *heard == [UPGRADED]), "{tabs:?}");
    for shard in 0..3 {
        assert_eq!(open(&mut world, shard, &session).1, [REFUSED]);
    }
    let other = SessionId::with_home([8; 16], ShardId(2), 3).to_string();
    assert_eq!(open(&mut world, 0, &other).1, [UPGRADED]);
    assert_eq!(taken(&world), 4);
    world.end(tabs[2].0);
    assert_eq!(open(&mut world, 0, &session).1, [UPGRADED]);
    let client = open(&mut world, 0, &other).0;
    world.send(client, "hello");
    assert_eq!(world.heard(client), ["hello"]);
}

#[test]
fn addresses_are_told_apart_by_what_one_customer_has() {
    let holder = |address: &str| address_holder(address.parse().expect("an address"));
    assert_eq!(holder("::ffff:10.0.0.1"), holder("10.0.0.1"));
    assert_ne!(holder("10.0.0.1"), holder("10.0.0.2"));
    assert_eq!(holder("2001:db8:1:2::1"), holder("2001:db8:1:2:ffff::9"));
    assert_ne!(holder("2001:db8:1:2::1"), holder("2001:db8:1:3::1"));
    assert_ne!(holder("::1"), holder("0.0.0.0"));
}

#[test]
fn homes_are_spread_and_the_same_for_everybody() {
    let homes: Vec<_> = (0..4_000).map(|index| home_of(&format!("a10.0.{}.{}", index / 250, index % 250), 4)).collect();
    for shard in 0..4 {
        let share = homes.iter().filter(|home| home.index() == shard).count();
        assert!((800..1_200).contains(&share), "{share}");
    }
    assert_eq!(home_of("a10.0.0.1", 1), ShardId(0));
}

#[test]
fn without_limits_there_are_no_seats() {
    let mut world = world(2, SeatLimits::default());
    let clients: Vec<_> = (0..50).map(|index| raw(&mut world, index % 2, "10.0.0.1").expect("in")).collect();
    assert!(world.shards.iter().all(|shard| shard.seats.is_none()));
    clients.into_iter().for_each(|client| world.end(client));
}

/// A member that has logged in as alice, the only one whom good tokens of this world name.
fn alice(world: &mut World, shard: usize) -> Client {
    let client = world.member(shard, "10.0.0.1");
    world.send(client, r##"{"event":"#authenticate","data":"good","cid":2}"##);
    client
}

#[test]
fn a_user_has_so_many_connections_over_all_shards() {
    let mut world = world(3, SeatLimits { per_user: 3, ..SeatLimits::default() });
    let clients: Vec<_> = (0..3).map(|shard| alice(&mut world, shard)).collect();
    assert!(clients.iter().all(|client| !world.is_over(*client)));
    assert_eq!(taken(&world), 3);
    for shard in 0..3 {
        let refused = alice(&mut world, shard);
        let heard = world.heard(refused);
        assert!(heard.iter().any(|heard| heard.contains("4429")), "{heard:?}");
        let _ = world.member(shard, "10.0.0.1");
    }
    assert_eq!(taken(&world), 3, "nobody's connections are not counted");
    // One leaves, one logs out, one logs in again and again: two seats are free, and no more.
    world.end(clients[0]);
    for _ in 0..4 {
        world.send(clients[1], r##"{"event":"#authenticate","data":"good","cid":3}"##);
    }
    world.send(clients[1], r##"{"event":"#removeAuthToken"}"##);
    assert_eq!(taken(&world), 1);
    let again = [alice(&mut world, 0), alice(&mut world, 1), alice(&mut world, 2)];
    let over: Vec<_> =
        again.iter().map(|client| world.heard(*client).iter().any(|heard| heard.contains("4429"))).collect();
    assert_eq!((over, taken(&world)), (vec![false, false, true], 3));
    let refused: u64 = world.shards.iter().map(|shard| shard.metrics().seats_refused).sum();
    assert_eq!(refused, 4);
}

#[test]
fn a_connection_that_is_somebody_else_before_the_answer_keeps_no_seat() {
    let mut world = world(5, SeatLimits { per_user: 2, ..SeatLimits::default() });
    for shard in 0..5 {
        let client = world.member(shard, "10.0.0.1");
        // Both in one message: the home is asked, and asked again, and neither time for long.
        let quick = r##"[{"event":"#authenticate","data":"good","cid":2},{"event":"#removeAuthToken"},{"event":"#authenticate","data":"good","cid":3},{"event":"#removeAuthToken"}]"##;
        world.send(client, quick);
        assert_eq!(taken(&world), 0, "shard {shard}");
    }
}

#[test]
fn a_polled_session_has_seats_like_any_connection_until_a_websocket_carries_it() {
    for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        let mut world = world(2, per_address(4));
        let poll = |world: &mut World| {
            let client = world.accept(0, address);
            world.send_bytes(client, b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n");
            (client, String::from_utf8(world.heard_bytes(client)).expect("text"))
        };
        let (first, opened) = poll(&mut world);
        let (second, _) = poll(&mut world);
        assert_eq!(taken(&world), 4, "two sockets and two sessions");
        world.end(second);
        let (third, refused) = poll(&mut world);
        assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
        world.end(third);
        world.end(first);
        assert_eq!(taken(&world), 2);
        let id = opened.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
        let carrier = world.upgrade(1, address, &format!("/socket.io/?EIO=4&transport=websocket&sid={id}"));
        world.send(carrier, "2probe");
        assert_eq!(taken(&world), 3);
        world.send(carrier, "5");
        assert_eq!(taken(&world), 2, "its seat is the session's");
        world.end(carrier);
        world.wait(Duration::from_secs(60));
        world.wait(Duration::from_secs(60));
        assert_eq!(taken(&world), 0, "nothing is left behind");
    }
}
