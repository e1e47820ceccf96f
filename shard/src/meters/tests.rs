//! What becomes of clients that ask for too much: who is heard, who is told, what it costs when nothing is limited.

use std::time::Duration;

use codec::websocket::{Opcode, encode};

use super::*;
use crate::Limits;
use crate::world::{Client, World};

fn world(rates: RateLimits) -> World {
    World::new(1, Limits { rates, ..Limits::default() })
}

fn call(cid: u32) -> String {
    format!(r#"{{"event":"act","data":1,"cid":{cid}}}"#)
}

/// How many of so many calls are answered with data.
fn answered(world: &mut World, client: Client, calls: u32) -> usize {
    let answers: Vec<_> = (0..calls).filter_map(|cid| world.ask(client, &call(cid))).collect();
    answers.iter().filter(|answer| answer.contains(r#""data":true"#)).count()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_limits_nothing_is_counted() {
    let mut world = world(RateLimits::default());
    let client = world.member(0, "10.0.0.1");
    assert_eq!(answered(&mut world, client, 1_000), 1_000);
    assert!(world.shards[0].meters.is_none());
}

#[test]
fn a_client_over_its_rate_is_not_heard_any_more_and_the_operator_is_told_once() {
    let mut world = world(RateLimits { requests_per_second: 15, ..RateLimits::default() });
    let (loud, quiet) = (world.member(0, "10.0.0.1"), world.member(0, "10.0.0.2"));
    assert_eq!(answered(&mut world, loud, 15), 15);
    assert_eq!(world.ask(loud, &call(15)), None, "silently");
    assert_eq!(answered(&mut world, quiet, 15), 15, "others are heard");
    world.wait(seconds(5));
    assert_eq!(answered(&mut world, loud, 30), 0, "until it leaves");
    world.send(loud, r##"{"event":"#publish","data":{"channel":"c","data":1},"cid":9}"##);
    assert_eq!(world.heard(loud), [""; 0]);
    let told: Vec<_> = world.hosts[0].told.iter().filter(|line| line.starts_with("over")).collect();
    assert_eq!(told, ["over rate 10.0.0.1 20"]);
    let metrics = *world.shards[0].metrics();
    assert_eq!((metrics.clients_ignored, metrics.requests_ignored, metrics.requests_limited), (1, 32, 0));
    assert_eq!(metrics.calls, 30);
    // It comes back as somebody new.
    world.end(loud);
    let loud = world.member(0, "10.0.0.1");
    assert_eq!(answered(&mut world, loud, 1), 1);
}

#[test]
fn fifteen_in_any_second_are_within_the_rate() {
    let mut world = world(RateLimits { requests_per_second: 15, ..RateLimits::default() });
    let client = world.member(0, "10.0.0.1");
    for _ in 0..10 {
        assert_eq!(answered(&mut world, client, 15), 15);
        world.wait(seconds(1));
    }
}

#[test]
fn an_ignored_client_lives_as_long_as_it_answers_pings_and_may_leave() {
    let limits = Limits {
        rates: RateLimits { requests_per_second: 1, ..RateLimits::default() },
        ping_interval: seconds(1),
        ping_timeout: seconds(3),
        ..Limits::default()
    };
    let mut world = World::new(1, limits);
    let client = world.member(0, "10.0.0.1");
    assert_eq!(answered(&mut world, client, 3), 1);
    for _ in 0..8 {
        world.wait(seconds(1));
        world.heard(client);
        world.send(client, "");
    }
    assert!(!world.is_over(client));
    let mut close = Vec::new();
    encode::masked_close(&mut close, [1; 4], 1000, "");
    world.send_bytes(client, &close);
    assert!(world.is_over(client));
}

#[test]
fn with_a_ban_a_client_is_heard_again() {
    let rates = RateLimits { requests_per_second: 15, ban: Some(seconds(3)), ..RateLimits::default() };
    let mut world = world(rates);
    let client = world.member(0, "10.0.0.1");
    assert_eq!(answered(&mut world, client, 20), 15);
    world.wait(Duration::from_millis(2_900));
    assert_eq!(answered(&mut world, client, 1), 0);
    world.wait(Duration::from_millis(100));
    assert_eq!(answered(&mut world, client, 20), 15);
    assert_eq!(world.shards[0].metrics().clients_ignored, 1, "the operator knows it already");
}

#[test]
fn a_call_above_the_rate_gets_an_error_that_says_when_and_then_it_is_heard() {
    let calls = Rate { per_second: 10, burst: 3 };
    let mut world = world(RateLimits { calls, ..RateLimits::default() });
    let client = world.member(0, "10.0.0.1");
    assert_eq!(answered(&mut world, client, 3), 3);
    let error = world.ask(client, &call(7)).expect("an answer");
    let expected = r#"{"rid":7,"error":{"message":"Too many requests, try again later","name":"RateLimitError","#;
    assert_eq!(error, format!(r#"{expected}"retryAfterMs":100}}}}"#));
    assert_eq!(world.ask(client, r#"{"event":"act","data":1}"#), None, "no answer where none is wanted");
    let subscribe = r##"{"event":"#subscribe","data":{"channel":"c"},"cid":8}"##;
    assert_eq!(world.ask(client, subscribe).as_deref(), Some(r#"{"rid":8}"#), "other requests have other buckets");
    world.wait(Duration::from_millis(100));
    assert_eq!(answered(&mut world, client, 3), 1);
    assert_eq!(world.shards[0].metrics().requests_limited, 4);
}

#[test]
fn publications_and_subscriptions_have_rates_of_their_own() {
    let publications = Rate::per_second(2);
    let subscriptions = Rate { per_second: 1, burst: 3 };
    let mut world = world(RateLimits { publications, subscriptions, ..RateLimits::default() });
    let client = world.member(0, "10.0.0.1");
    let publish = r##"{"event":"#publish","data":{"channel":"c","data":1},"cid":1}"##;
    let answers: Vec<_> = (0..3).filter_map(|_| world.ask(client, publish)).collect();
    assert!(answers[1] == r#"{"rid":1}"# && answers[2].contains("RateLimitError"), "{answers:?}");
    let join = r##"{"event":"#subscribe","data":{"channel":"c"},"cid":1}"##;
    let leave = r##"{"event":"#unsubscribe","data":"c","cid":1}"##;
    let churn = [join, leave, join, leave].map(|packet| world.ask(client, packet).expect("an answer"));
    assert!(churn[2] == r#"{"rid":1}"# && churn[3].contains("RateLimitError"), "{churn:?}");
    assert_eq!(answered(&mut world, client, 100), 100);
}

#[test]
fn packets_in_one_array_are_counted_one_by_one() {
    let mut world = world(RateLimits { calls: Rate::per_second(4), ..RateLimits::default() });
    let client = world.member(0, "10.0.0.1");
    let packets: Vec<_> = (0..10).map(call).collect();
    world.send(client, &format!("[{}]", packets.join(",")));
    let heard = world.heard(client);
    assert_eq!(heard.len(), 10);
    assert_eq!(heard.iter().filter(|answer| answer.contains("RateLimitError")).count(), 6);
}

#[test]
fn a_raw_client_over_its_rate_is_sent_away() {
    let mut world = world(RateLimits { calls: Rate::per_second(2), ..RateLimits::default() });
    let client = world.upgrade(0, "10.0.0.1", "/raw");
    world.heard(client);
    for text in ["one", "two", "three", "four"] {
        world.send(client, text);
    }
    assert_eq!(world.heard(client), ["one", "two", "close 1008 too many messages"]);
    assert!(world.is_over(client));
}

#[test]
fn pings_count_against_the_clients_rate_and_are_not_answered_above_it() {
    let mut world = world(RateLimits { requests_per_second: 3, ..RateLimits::default() });
    let client = world.member(0, "10.0.0.1");
    let mut pings = Vec::new();
    (0..9).for_each(|_| encode::masked_frame(&mut pings, Opcode::Ping, [5; 4], b"x"));
    world.send_bytes(client, &pings);
    assert_eq!(world.heard(client), ["pong"; 3]);
}

#[test]
fn a_client_that_rests_holds_no_meter() {
    let limits = Limits {
        rates: RateLimits { calls: Rate::per_second(5), ..RateLimits::default() },
        ping_interval: seconds(1),
        ..Limits::default()
    };
    let mut world = World::new(1, limits);
    let client = world.member(0, "10.0.0.1");
    answered(&mut world, client, 9);
    let meters = |world: &World| world.shards[0].meters.as_ref().expect("a limit is set").held();
    assert_eq!(meters(&world), 1);
    for _ in 0..6 {
        world.wait(seconds(1));
        world.send(client, "");
    }
    assert_eq!(meters(&world), 0);
    answered(&mut world, client, 1);
    assert_eq!(meters(&world), 1);
    world.end(client);
    assert_eq!(meters(&world), 0);
}
