//! The clients of SocketStream and of SocketCluster 0.9, byte by byte, beside those of other protocols: on one shard and
//! on two.

use std::time::Duration;

use crate::people::{Act, Audience};
use crate::world::{Client, World};
use crate::{Command, Disconnect, Limits, SocketIoConfig};

const SOCKETSTREAM: &str = "/socketstream/?EIO=3&transport=websocket";
const SERVICES: &str = "/services/";
const ENGINE_SERVICES: &str = "/services/?EIO=3&transport=websocket";
const SOCKETCLUSTER_09: &str = "/socketcluster/?EIO=3&transport=websocket";

fn world(shards: usize) -> World {
    let mut world = World::new(shards, Limits::default());
    for shard in &mut world.shards {
        shard.open_socket_io(SocketIoConfig { has_channel_events: true, ..SocketIoConfig::default() });
    }
    world
}

/// A client that was let in, and what it was told then.
fn come(world: &mut World, shard: usize, path: &str) -> (Client, Vec<String>) {
    let client = world.upgrade(shard, "10.0.0.1", path);
    let mut heard = world.heard(client);
    assert!(heard[0].starts_with("HTTP/1.1 101"), "{heard:?}");
    if path.contains("EIO") {
        assert!(heard[1].starts_with(r#"0{"sid":""#), "{heard:?}");
    }
    let told = heard.split_off(1 + usize::from(path.contains("EIO")));
    (client, told)
}

fn ask(world: &mut World, client: Client, text: &str) -> String {
    world.ask(client, text).unwrap_or_else(|| panic!("no answer to {text}"))
}

fn command(world: &mut World, shard: usize, command: Command) {
    world.hosts[shard].commands.push_back(command);
    world.wait(Duration::ZERO);
}

fn address(audience: Audience, names: &str) -> Command {
    let act = Act::Event { event: "told".into(), data: Some("[1]".into()), is_volatile: false };
    Command::Address { audience, names: names.into(), act, except: None }
}

#[test]
fn socketstreams_calls_are_answered_in_its_way() {
    let mut world = world(1);
    let (client, told) = come(&mut world, 0, SOCKETSTREAM);
    assert_eq!(told, ["4X|OK"]);
    assert_eq!(ask(&mut world, client, r#"41|{"m":"app.square","id":1,"p":[25]}"#), r#"41|{"id":1,"p":[true]}"#);
    assert_eq!(ask(&mut world, client, r#"41|{"m":"app.two","id":"b","p":[1,2]}"#), r#"41|{"id":"b","p":[true]}"#);
    assert_eq!(ask(&mut world, client, r#"41|{"m":"app.square","p":[3]}"#), r#"41|{"p":[true]}"#);
    assert_eq!(world.hosts[0].told.drain(..).collect::<Vec<_>>(), ["app.square", "app.two", "app.square"]);
    let error = ask(&mut world, client, r#"41|{"m":"app.square","id":8,"p":5}"#);
    assert!(error.starts_with(r#"41|{"id":8,"e":{"message":"Params must be supplied as an Array""#), "{error}");
    let error = ask(&mut world, client, r#"41|{"m":5,"id":9,"p":[]}"#);
    assert!(error.starts_with(r#"41|{"id":9,"e":{"message":""#), "{error}");
    for nothing in ["4X|s%3Aabc.def", r#"41|{"m":"#, r#"47|{"m":"a","id":1,"p":[]}"#, "4hello", "4|x"] {
        assert_eq!(world.ask(client, nothing), None, "{nothing}");
    }
    assert!(world.hosts[0].told.is_empty());
    assert_eq!(ask(&mut world, client, "2"), "3");
}

#[test]
fn services_are_found_and_called_on_either_transport() {
    let mut world = world(1);
    for (path, start) in [(SERVICES, ""), (ENGINE_SERVICES, "4")] {
        let (client, told) = come(&mut world, 0, path);
        assert!(told.is_empty(), "{told:?}");
        let connected =
            ask(&mut world, client, &format!(r#"{start}0|1|{{"c":"connect","v":"0.0.1","sessionId":false}}"#));
        assert!(connected.starts_with(&format!(r#"{start}0|1|{{"version":"0.0.1","sessionId":""#)), "{connected}");
        let found = ask(&mut world, client, &format!(r#"{start}0|2|{{"c":"discover","p":{{}}}}"#));
        assert!(found.starts_with(&format!(r#"{start}0|2|[{{"params":{{"id":1,"name":"rpc","#)), "{found}");
        let answer = ask(&mut world, client, &format!(r#"{start}1|7|{{"m":"demo.square","p":[5]}}"#));
        assert_eq!(answer, format!(r#"{start}1|7|{{"p":[true]}}"#));
        let answer = ask(&mut world, client, &format!(r#"{start}1|0|{{"m":"demo.square","p":[5]}}"#));
        assert_eq!(answer, format!(r#"{start}1||{{"p":[true]}}"#));
        for nothing in ["hello", "9|1|x", "1|3|{\"m\"", r#"0|2|{"c":"nosuch"}"#] {
            assert_eq!(world.ask(client, &format!("{start}{nothing}")), None, "{nothing}");
        }
        command(&mut world, 0, Command::Disconnect { connection: client.id, disconnect: Disconnect::new(4000, "bye") });
        assert_eq!(world.heard(client), ["close 4000 bye"]);
    }
}

#[test]
fn socketcluster_09_speaks_when_it_is_spoken_to() {
    let mut world = world(1);
    let (client, told) = come(&mut world, 0, SOCKETCLUSTER_09);
    assert!(told.len() == 1 && told[0].starts_with(r#"4{"event":"connect","data":{"soid":""#), "{told:?}");
    assert_eq!(ask(&mut world, client, r#"4{"event":"ready","cid":1}"#), r#"4{"cid":1}"#);
    assert_eq!(ask(&mut world, client, r#"4{"event":"square","data":5,"cid":2}"#), r#"4{"cid":2,"data":true}"#);
    let error = ask(&mut world, client, r#"4{"event":"unsubscribe","data":"never","cid":3}"#);
    assert!(error.starts_with(r#"4{"cid":3,"error":{"#) && error.contains("BrokerError"), "{error}");
    let error = ask(&mut world, client, r#"4{"event":"subscribe","data":"fail","cid":4}"#);
    assert!(error.contains("InvalidActionError"), "its publications would end the connection for the client: {error}");
    assert_eq!(world.ask(client, "4[]"), None);
    let invoke = |event: &str, ticket| {
        let (event, timeout) = (event.into(), Duration::from_secs(5));
        Command::Invoke { connection: client.id, ticket, event, data: Some("1".into()), timeout }
    };
    world.command(0, invoke("q", 9));
    assert_eq!(world.heard(client), [r#"4{"event":"q","data":1,"cid":1}"#]);
    world.send(client, r#"4{"cid":1,"data":2}"#);
    world.command(0, invoke("fail", 10));
    let told: Vec<_> = world.hosts[0].told.drain(..).filter(|told| told.starts_with("client")).collect();
    assert_eq!(told, [r#"client 9 Ok("2")"#, "client 10 Err(Unsupported)"]);
    // Without a transport of Engine.IO it is the SocketCluster of our days.
    world.member(0, "10.0.0.1");
}

#[test]
fn every_protocol_hears_what_every_other_publishes() {
    let mut world = world(2);
    let (stream, _) = come(&mut world, 0, SOCKETSTREAM);
    let (services, _) = come(&mut world, 1, SERVICES);
    let (engine_services, _) = come(&mut world, 0, ENGINE_SERVICES);
    let (early, _) = come(&mut world, 1, SOCKETCLUSTER_09);
    let member = world.member(0, "10.0.0.1");
    assert_eq!(ask(&mut world, stream, r#"41|{"m":"subscribe","id":1,"p":["news"]}"#), r#"41|{"id":1,"p":[]}"#);
    assert_eq!(ask(&mut world, services, r#"1|1|{"m":"subscribe","p":["news"]}"#), r#"1|1|{"p":[]}"#);
    assert_eq!(ask(&mut world, engine_services, r#"41|1|{"m":"subscribe","p":["news"]}"#), r#"41|1|{"p":[]}"#);
    assert_eq!(ask(&mut world, early, r#"4{"event":"subscribe","data":"news","cid":1}"#), r#"4{"cid":1}"#);
    ask(&mut world, member, r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##);

    world.send(stream, r#"41|{"m":"publish","id":2,"p":["news",1]}"#);
    world.send(services, r#"1|2|{"m":"publish","p":["news",2]}"#);
    world.send(engine_services, r#"41|2|{"m":"publish","p":["news",3]}"#);
    world.send(early, r#"4{"event":"publish","data":{"event":"news","data":4},"cid":2}"#);
    world.send(member, r##"{"event":"#publish","data":{"channel":"news","data":5},"cid":3}"##);

    let mut expect = |client, answer: &str, event: &dyn Fn(u32) -> String| {
        let mut heard = world.heard(client);
        let own = heard.iter().position(|text| text == answer).unwrap_or_else(|| panic!("{answer} in {heard:?}"));
        heard.remove(own);
        heard.sort();
        assert_eq!(heard, (1..=5).map(event).collect::<Vec<_>>());
    };
    expect(stream, r#"41|{"id":2,"p":[]}"#, &|number| {
        format!(r#"40|{{"t":"channel","channels":["news"],"e":"news","p":[{number}]}}|news"#)
    });
    expect(services, r#"1|2|{"p":[]}"#, &|number| format!(r#"2|{{"e":"news","p":[{number}]}}"#));
    expect(engine_services, r#"41|2|{"p":[]}"#, &|number| format!(r#"42|{{"e":"news","p":[{number}]}}"#));
    expect(early, r#"4{"cid":2}"#, &|number| format!(r#"4{{"event":"news","data":{number}}}"#));
    expect(member, r#"{"rid":3}"#, &|number| {
        format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{number}}}}}"##)
    });

    assert_eq!(ask(&mut world, stream, r#"41|{"m":"unsubscribe","id":3,"p":["news"]}"#), r#"41|{"id":3,"p":[]}"#);
    world.send(member, r##"{"event":"#publish","data":{"channel":"news","data":6}}"##);
    assert!(world.heard(stream).is_empty());
    assert_eq!(world.heard(services), [r#"2|{"e":"news","p":[6]}"#]);
}

#[test]
fn events_to_people_say_whom_they_are_for() {
    let mut world = world(2);
    let (stream, _) = come(&mut world, 0, &format!("{SOCKETSTREAM}&token=good"));
    let (early, _) = come(&mut world, 0, &format!("{SOCKETCLUSTER_09}&token=good"));
    let (services, _) = come(&mut world, 0, SERVICES);
    let (nobody, told) = come(&mut world, 0, &format!("{SOCKETSTREAM}&token=bad"));
    assert_eq!(told, ["4X|OK"], "a token that does not count keeps nobody out");
    ask(&mut world, stream, r#"41|{"m":"subscribe","id":1,"p":["room"]}"#);
    command(&mut world, 1, address(Audience::Users, "alice"));
    assert_eq!(world.heard(stream), [r#"40|{"t":"user","users":["alice"],"e":"told","p":[[1]]}|alice"#]);
    assert_eq!(world.heard(early), [r#"4{"event":"told","data":[1]}"#]);
    assert!(world.heard(services).is_empty() && world.heard(nobody).is_empty());
    command(&mut world, 1, address(Audience::Channels, "room"));
    assert_eq!(world.heard(stream), [r#"40|{"t":"channel","channels":["room"],"e":"told","p":[[1]]}|room"#]);
    command(&mut world, 1, address(Audience::Everyone, ""));
    assert_eq!(world.heard(stream), [r#"40|{"t":"all","e":"told","p":[[1]]}|null"#]);
    assert_eq!(world.heard(services), [r#"2|{"e":"told","p":[[1]]}"#]);
    assert_eq!(world.heard(early), [r#"4{"event":"told","data":[1]}"#]);
    let emit = |connection, event: &str| Command::Emit {
        connection,
        event: event.into(),
        data: Some("2".into()),
        is_volatile: false,
    };
    command(&mut world, 0, emit(stream.id, "own"));
    let heard = world.heard(stream);
    assert!(heard[0].starts_with(r#"40|{"t":"socketId","socketId":""#), "{heard:?}");
    assert!(heard[0].ends_with(r#"","e":"own","p":[2]}|null"#), "{heard:?}");
    command(&mut world, 0, emit(early.id, "disconnect"));
    assert!(world.heard(early).is_empty(), "clients take this event for their own");
    let kick = Command::KickOut { connection: stream.id, channel: "room".into(), message: "out".into() };
    command(&mut world, 0, kick);
    let heard = world.heard(stream);
    assert!(heard[0].ends_with(r##""e":"#kickOut","p":[{"channel":"room","message":"out"}]}|null"##), "{heard:?}");
}

#[test]
fn a_publication_cannot_reload_a_page() {
    let mut world = world(1);
    let (client, _) = come(&mut world, 0, SOCKETSTREAM);
    let refused = ask(&mut world, client, r#"41|{"m":"subscribe","id":1,"p":["__ss:reload"]}"#);
    assert!(refused.contains("InvalidActionError"), "{refused}");
}

#[test]
fn what_is_only_the_protocols_own_is_counted_as_well() {
    let mut limits = Limits::default();
    limits.rates.requests_per_second = 2;
    let mut world = World::new(1, limits);
    let (client, _) = come(&mut world, 0, SERVICES);
    let mut answers = 0;
    for _ in 0..10 {
        answers += usize::from(world.ask(client, r#"0|2|{"c":"discover"}"#).is_some());
    }
    assert!(answers < 10, "a client above its rate is not heard");
}
