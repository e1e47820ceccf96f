//! What becomes of events that clients are asked to answer, whatever they speak and however they end.

use std::time::Duration;

use codec::websocket::{Opcode, encode};

use crate::world::{Client, World};
use crate::{Command, Limits, SocketIoConfig};

const V4: &str = "/socket.io/?EIO=4&transport=websocket";
const V3: &str = "/socket.io/?EIO=3&transport=websocket";

fn world(limits: Limits) -> World {
    let mut world = World::new(1, limits);
    let config = SocketIoConfig { namespaces: vec!["/chat".into()], ..SocketIoConfig::default() };
    world.shards[0].open_socket_io(config);
    world
}

fn joined(world: &mut World, path: &str) -> Client {
    let client = world.upgrade(0, "10.0.0.1", path);
    if path == V4 {
        world.send(client, "40");
    }
    world.heard(client);
    client
}

/// The application asks; what the client hears of it.
fn invoke(world: &mut World, client: Client, ticket: u64, data: Option<&str>) -> Vec<String> {
    let (event, data) = ("sure".into(), data.map(Into::into));
    let command = Command::Invoke { connection: client.id, ticket, event, data, timeout: Duration::from_secs(5) };
    world.command(0, command);
    world.heard(client)
}

fn told(world: &mut World) -> Vec<String> {
    world.hosts[0].told.drain(..).filter(|told| told.starts_with("client")).collect()
}

#[test]
fn every_protocol_answers_once_and_what_is_unknown_is_ignored() {
    let mut world = world(Limits::default());
    let (new, old, member) = (joined(&mut world, V4), joined(&mut world, V3), world.member(0, "10.0.0.1"));
    assert_eq!(invoke(&mut world, new, 11, Some("[1]")), [r#"421["sure",[1]]"#]);
    assert_eq!(invoke(&mut world, old, 12, None), [r#"422["sure"]"#]);
    assert_eq!(invoke(&mut world, member, 13, Some("1")), [r#"{"event":"sure","cid":3,"data":1}"#]);
    world.send(new, "432[true]");
    world.send(new, "431[\"a\",2]");
    world.send(new, "431[\"again\"]");
    world.send(old, "4399999999999999999999[]");
    world.send(old, "432[]");
    world.send(member, r#"{"rid":3,"error":{"name":"No","message":"no"}}"#);
    world.send(member, r#"{"rid":3,"data":1}"#);
    let expected = [r#"client 11 Ok("[\"a\",2]")"#, "client 12 Ok(none)"];
    let error = r#"client 13 Err(Error(RawJson("{\"name\":\"No\",\"message\":\"no\"}")))"#;
    assert_eq!(told(&mut world), [expected[0], expected[1], error]);
    assert_eq!(world.shards[0].metrics().client_answers_ignored, 4, "another's, late, unknown and late");
}

#[test]
fn binary_answers_are_whole_before_they_are_told() {
    let mut world = world(Limits::default());
    let client = joined(&mut world, V4);
    let asked = invoke(&mut world, client, 1, Some(r#"{"base64":true,"data":"eno="}"#));
    assert_eq!(asked, [r#"451-1["sure",{"_placeholder":true,"num":0}]"#, "binary zz"]);
    world.send(client, r#"461-1[{"_placeholder":true,"num":0}]"#);
    assert!(told(&mut world).is_empty());
    let mut frame = Vec::new();
    encode::masked_frame(&mut frame, Opcode::Binary, [1, 2, 3, 4], b"z");
    world.send_bytes(client, &frame);
    assert_eq!(told(&mut world), [r#"client 1 Ok("{\"base64\":true,\"data\":\"eg==\"}")"#]);
}

#[test]
fn silence_the_end_and_a_namespace_that_is_left_are_told() {
    let mut world = world(Limits::default());
    let client = joined(&mut world, V4);
    invoke(&mut world, client, 1, None);
    world.wait(Duration::from_secs(4));
    assert!(told(&mut world).is_empty());
    world.wait(Duration::from_secs(1));
    assert_eq!(told(&mut world), ["client 1 Err(TimedOut)"]);
    world.send(client, "431[1]");
    assert!(told(&mut world).is_empty(), "late");
    world.send(client, "40/chat,");
    world.heard(client);
    assert_eq!(invoke(&mut world, client, 2, None), [r#"42/chat,2["sure"]"#]);
    world.send(client, "42[\"back\"]");
    assert_eq!(invoke(&mut world, client, 3, None), [r#"423["sure"]"#]);
    world.send(client, "41/chat,");
    assert_eq!(told(&mut world), ["client 2 Err(Ended)"]);
    world.end(client);
    assert_eq!(told(&mut world), ["client 3 Err(Ended)"]);
    assert!(invoke(&mut world, client, 4, None).is_empty());
    assert_eq!(told(&mut world), ["client 4 Err(Ended)"]);
}

#[test]
fn too_many_and_what_cannot_be_answered_are_refused() {
    let mut world = world(Limits { client_calls_max: 2, ..Limits::default() });
    let client = joined(&mut world, V4);
    (1..=3).for_each(|ticket| drop(invoke(&mut world, client, ticket, None)));
    assert_eq!(told(&mut world), ["client 3 Err(Busy)"]);
    let raw = world.upgrade(0, "10.0.0.1", "/raw");
    world.heard(raw);
    assert!(invoke(&mut world, raw, 4, None).is_empty());
    assert_eq!(told(&mut world), ["client 4 Err(Unsupported)"]);
    world.send(client, "431[]");
    assert_eq!(invoke(&mut world, client, 5, None), [r#"423["sure"]"#], "there is room again");
}
