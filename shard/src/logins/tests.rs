//! Failed logins: who is stopped, for how long, and what goes on meanwhile.

use super::*;
use crate::world::{Client, World};
use crate::{Command, Limits, RateLimits};

fn world(failed_logins_per_minute: u32) -> World {
    let rates = RateLimits { failed_logins_per_minute, ..RateLimits::default() };
    World::new(1, Limits { rates, ..Limits::default() })
}

fn authenticate(world: &mut World, client: Client, token: &str) -> String {
    world.heard(client);
    world.send(client, &format!(r##"{{"event":"#authenticate","data":"{token}","cid":5}}"##));
    world.heard(client).into_iter().find(|text| text.contains(r#""rid":5"#)).expect("an answer")
}

#[test]
fn after_so_many_bad_tokens_none_from_the_address_is_looked_at_for_a_minute() {
    let mut world = world(3);
    let clients = [world.member(0, "10.0.0.1"), world.member(0, "10.0.0.1")];
    for (index, token) in ["bad", "worse", "bad"].into_iter().enumerate() {
        assert!(authenticate(&mut world, clients[index % 2], token).contains("invalid signature"));
    }
    let verified = world.hosts[0].told.iter().filter(|line| line.starts_with("verify")).count();
    for client in clients {
        let answer = authenticate(&mut world, client, "good");
        assert!(answer.contains(r#""name":"TooManyLoginsError","retryAfterMs":60000"#), "{answer}");
    }
    assert_eq!(world.hosts[0].told.iter().filter(|line| line.starts_with("verify")).count(), verified);
    let answer = world.ask(clients[0], r#"{"event":"act","data":1,"cid":6}"#);
    assert_eq!(answer.as_deref(), Some(r#"{"rid":6,"data":true}"#), "nothing else is delayed");
    let other = world.member(0, "10.0.0.2");
    assert!(authenticate(&mut world, other, "good").contains(r#""isAuthenticated":true"#));
    world.wait(MINUTE);
    let later = world.member(0, "10.0.0.1");
    assert!(authenticate(&mut world, later, "good").contains(r#""isAuthenticated":true"#));
    let metrics = world.shards[0].metrics();
    assert_eq!((metrics.logins_failed, metrics.logins_refused), (3, 2));
}

#[test]
fn a_token_in_the_handshake_that_is_not_looked_at_is_a_soft_failure() {
    let mut world = world(1);
    let client = world.member(0, "10.0.0.1");
    authenticate(&mut world, client, "bad");
    let client = world.upgrade(0, "10.0.0.1", "/socketcluster/");
    world.heard(client);
    let answer = world.ask(client, r##"{"event":"#handshake","data":{"authToken":"good"},"cid":1}"##).expect("one");
    assert!(answer.contains("TooManyLoginsError") && answer.contains(r#""isAuthenticated":false"#), "{answer}");
}

#[test]
fn a_login_that_the_application_calls_failed_counts_and_the_next_is_not_run() {
    let mut world = world(2);
    let client = world.member(0, "10.0.0.1");
    let login = r#"{"event":"login","data":{},"cid":7}"#;
    for _ in 0..2 {
        world.hosts[0].commands.push_back(Command::LoginFailed { connection: client.id });
        assert_eq!(world.ask(client, login).as_deref(), Some(r#"{"rid":7,"data":true}"#));
    }
    let answer = world.ask(client, login).expect("an answer");
    assert!(answer.contains(r#""error":{"message":"Too many failed logins"#), "{answer}");
    assert_eq!(world.hosts[0].told.iter().filter(|line| *line == "login").count(), 2);
}

#[test]
fn tokens_that_were_good_once_do_not_count() {
    let mut world = world(1);
    let client = world.member(0, "10.0.0.1");
    for _ in 0..5 {
        assert!(authenticate(&mut world, client, "old").contains("jwt expired"));
    }
    assert!(authenticate(&mut world, client, "good").contains(r#""isAuthenticated":true"#));
}

#[test]
fn addresses_of_earlier_minutes_are_forgotten() {
    let mut logins = Logins::new(5, 1).expect("a limit");
    for index in 0..100_000u32 {
        logins.note(Time::from_micros(u64::from(index) * 1_000_000), IpAddr::from(index.to_be_bytes()));
    }
    assert!(logins.addresses.len() <= TIDY_MIN, "{}", logins.addresses.len());
    assert!(Logins::new(0, 1).is_none());
}
