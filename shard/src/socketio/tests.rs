//! Socket.IO's and Engine.IO's clients, byte by byte, beside SocketCluster's: on one shard and on two.

use std::time::Duration;

use codec::socketio::encode::AnswerShape;
use codec::websocket::{Opcode, encode};

use crate::outbox::Outbox;
use crate::world::{Client, World};
use crate::{Act, Audience, Command, Disconnect, Limits, SocketIoConfig};

const V4: &str = "/socket.io/?EIO=4&transport=websocket";
const V3: &str = "/socket.io/?EIO=3&transport=websocket";

fn world(shards: usize) -> World {
    let mut world = World::new(shards, Limits::default());
    for shard in &mut world.shards {
        shard.open_socket_io(SocketIoConfig {
            namespaces: vec!["/chat".into()],
            answer_shape: AnswerShape::ErrorFirst,
            has_channel_events: true,
        });
    }
    world
}

/// A connection whose client has said nothing; what it was told is heard.
fn opened(world: &mut World, shard: usize, path: &str) -> Client {
    let client = world.upgrade(shard, "10.0.0.1", path);
    let heard = world.heard(client);
    assert!(heard[0].starts_with("HTTP/1.1 101"), "{heard:?}");
    let rest = r#"","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":2097152}"#;
    assert!(heard[1].starts_with(r#"0{"sid":""#) && heard[1].ends_with(rest), "{heard:?}");
    client
}

/// A client in the main namespace.
fn joined(world: &mut World, shard: usize, path: &str) -> Client {
    if path == V3 {
        let client = world.upgrade(shard, "10.0.0.1", path);
        assert_eq!(world.heard(client).last().map(String::as_str), Some("40"));
        return client;
    }
    let client = opened(world, shard, path);
    let answer = world.ask(client, "40").expect("an answer");
    assert!(answer.starts_with(r#"40{"sid":""#), "{answer}");
    client
}

fn ask(world: &mut World, client: Client, text: &str) -> String {
    world.ask(client, text).unwrap_or_else(|| panic!("no answer to {text}"))
}

fn send_binary(world: &mut World, client: Client, bytes: &[u8]) {
    let mut frame = Vec::new();
    encode::masked_frame(&mut frame, Opcode::Binary, [1, 2, 3, 4], bytes);
    world.send_bytes(client, &frame);
}

#[test]
fn an_event_with_an_acknowledgement_calls_the_action_of_its_name() {
    let mut world = world(1);
    for path in [V4, V3] {
        let client = joined(&mut world, 0, path);
        assert_eq!(ask(&mut world, client, r#"420["app.square",25]"#), "430[null,true]");
        assert_eq!(ask(&mut world, client, r#"421["app.square"]"#), "431[null,true]");
        assert_eq!(world.ask(client, r#"42["app.square",1,2]"#), None);
        assert_eq!(world.hosts[0].told.drain(..).collect::<Vec<_>>(), ["app.square"; 3]);
    }
}

#[test]
fn namespaces_are_what_the_application_says() {
    let mut world = world(1);
    let client = opened(&mut world, 0, V4);
    assert_eq!(ask(&mut world, client, "40/nosuch,"), r#"44/nosuch,{"message":"Invalid namespace"}"#);
    let chat = ask(&mut world, client, "40/chat,");
    assert!(chat.starts_with(r#"40/chat,{"sid":""#), "{chat}");
    assert_eq!(ask(&mut world, client, r#"42/chat,7["x"]"#), "43/chat,7[null,true]");
    assert!(world.heard(client).is_empty());
    let main = ask(&mut world, client, "40");
    assert_ne!(main.strip_prefix("40"), chat.strip_prefix("40/chat,"), "each namespace has its own id");
    assert_eq!(world.ask(client, "41/chat,"), None);
    assert_eq!(ask(&mut world, client, r#"420["x"]"#), "430[null,true]");
    // The last one that is left takes the connection with it, once.
    assert_eq!(world.ask(client, "41").as_deref(), Some("close 1000 the client has left"));
    assert_eq!(world.hosts[0].told.last().map(String::as_str), Some("disconnect 1000 the client has left"));
    let ends = world.hosts[0].told.iter().filter(|told| told.starts_with("disconnect")).count();
    assert_eq!(ends, 1);
}

#[test]
fn a_token_counts_or_keeps_out() {
    let mut world = world(1);
    let client = opened(&mut world, 0, V4);
    let refusal = ask(&mut world, client, r#"40{"token":"bad"}"#);
    assert!(refusal.starts_with(r#"44{"message":"invalid signature","data":{"#), "{refusal}");
    assert!(ask(&mut world, client, r#"40{"token":"good"}"#).starts_with("40{"));
    let old = world.upgrade(0, "10.0.0.1", "/socket.io/?EIO=3&transport=websocket&token=old");
    let heard = world.heard(old);
    assert!(heard.last().is_some_and(|last| last.starts_with(r#"44{"#) && last.contains("jwt expired")), "{heard:?}");
    let good = world.upgrade(0, "10.0.0.1", "/socket.io/?EIO=3&transport=websocket&token=good");
    assert_eq!(world.heard(good).last().map(String::as_str), Some("40"));
}

#[test]
fn every_protocol_hears_every_protocols_publications() {
    let mut world = world(2);
    let (new, old) = (joined(&mut world, 0, V4), joined(&mut world, 1, V3));
    let member = world.member(0, "10.0.0.1");
    assert_eq!(ask(&mut world, new, r#"420["subscribe","news"]"#), "430[null]");
    assert_eq!(ask(&mut world, old, r#"420["subscribe","news"]"#), "430[null]");
    world.ask(member, r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##);
    assert!(ask(&mut world, new, "40/chat,").starts_with("40/chat,"));
    assert_eq!(ask(&mut world, new, r#"42/chat,0["subscribe","news"]"#), "43/chat,0[null]");
    world.heard(member);
    world.send(new, r#"421["publish","news",{"n":1}]"#);
    assert_eq!(world.heard(new), [r#"42["news",{"n":1}]"#, r#"42/chat,["news",{"n":1}]"#, "431[null]"]);
    world.send(old, r#"42["publish","news",2]"#);
    world.send(member, r##"{"event":"#publish","data":{"channel":"news"}}"##);
    let socketcluster = |data: &str| format!(r##"{{"event":"#publish","data":{{"channel":"news"{data}}}}}"##);
    let expected = [socketcluster(r#","data":{"n":1}"#), socketcluster(r#","data":2"#), socketcluster("")];
    assert_eq!(world.heard(member), expected);
    assert_eq!(world.heard(old), [r#"42["news",{"n":1}]"#, r#"42["news",2]"#, r#"42["news"]"#]);
    // Each namespace leaves for itself.
    world.heard(new);
    assert_eq!(ask(&mut world, new, r#"422["unsubscribe","news"]"#), "432[null]");
    world.send(old, r#"42["publish","news",3]"#);
    assert_eq!(world.heard(new), [r#"42/chat,["news",3]"#]);
    let again = ask(&mut world, new, r#"423["unsubscribe","news"]"#);
    assert!(again.contains(r#""name":"BrokerError""#), "{again}");
}

#[test]
fn binary_travels_between_protocols() {
    let mut world = world(1);
    let (new, old) = (joined(&mut world, 0, V4), joined(&mut world, 0, V3));
    let member = world.member(0, "10.0.0.1");
    world.ask(new, r#"420["subscribe","news"]"#);
    world.ask(old, r#"420["subscribe","news"]"#);
    world.ask(member, r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##);
    world.heard(member);
    assert_eq!(world.ask(old, r#"451-["publish","news",{"a":{"_placeholder":true,"num":0}}]"#), None);
    send_binary(&mut world, old, b"\x04zz");
    let text = r#"451-["news",{"a":{"_placeholder":true,"num":0}}]"#;
    assert_eq!(world.heard(new), [text, "binary zz"]);
    assert_eq!(world.heard(old), [text, "binary \u{4}zz"]);
    let data = r#"{"a":{"base64":true,"data":"eno="}}"#;
    let expected = format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{data}}}}}"##);
    assert_eq!(world.heard(member), [expected]);
    world.send(member, r##"{"event":"#publish","data":{"channel":"news","data":{"base64":true,"data":"eg=="}}}"##);
    assert_eq!(world.heard(new), [r#"451-["news",{"_placeholder":true,"num":0}]"#, "binary z"]);
}

#[test]
fn the_server_asks_clients_of_protocol_4_and_answers_those_of_3() {
    let mut world = world(1);
    let (new, old) = (joined(&mut world, 0, V4), joined(&mut world, 0, V3));
    world.wait(Duration::from_secs(25));
    assert_eq!((world.heard(new), world.heard(old)), (vec!["2".to_owned()], vec![]));
    assert_eq!((world.ask(new, "3"), ask(&mut world, old, "2probe")), (None, "3probe".to_owned()));
    world.wait(Duration::from_secs(44));
    assert_eq!((world.heard(new), world.heard(old)), (vec!["2".to_owned()], vec![]));
    world.wait(Duration::from_secs(1));
    for client in [new, old] {
        assert_eq!(world.heard(client), ["close 4001 client pong timed out"]);
    }
}

#[test]
fn who_breaks_the_rules_is_sent_away() {
    let closes = |path: &str, text: &str| {
        let mut world = world(1);
        let client = joined(&mut world, 0, path);
        world.ask(client, text).is_some_and(|answer| answer.starts_with("close 1002"))
    };
    for text in
        ["9", "", "2", "4", "49", "42", "42[]", "42{}", "42[\"connect\"]", "40", "42/chat,[\"x\"]", "44{}", "0{}"]
    {
        assert!(closes(V4, text), "{text}");
    }
    for text in ["9", "3", "42[\"disconnect\"]", "bAQID"] {
        assert!(closes(V3, text), "{text}");
    }
    let mut world = world(1);
    let client = joined(&mut world, 0, V4);
    assert_eq!(world.ask(client, r#"451-["x",{"_placeholder":true,"num":0}]"#), None);
    assert!(ask(&mut world, client, r#"42["x"]"#).starts_with("close 1002"));
    let client = joined(&mut world, 0, V4);
    send_binary(&mut world, client, b"of nothing");
    assert_eq!(world.heard(client), ["close 1002 an attachment of nothing"]);
}

#[test]
fn events_of_the_server_and_its_last_word() {
    let mut world = world(1);
    let client = joined(&mut world, 0, V4);
    assert_eq!(ask(&mut world, client, r#"420["subscribe","news"]"#), "430[null]");
    let connection = client.id;
    let kick = Command::KickOut { connection, channel: "news".into(), message: "no \"more\"".into() };
    let emit = Command::Emit { connection, event: "hello".into(), data: Some("[1]".into()), is_volatile: false };
    world.hosts[0].commands.extend([emit, kick, Command::RemoveToken { connection }]);
    world.send(client, r#"421["x"]"#);
    let kicked = r##"42["#kickOut",{"channel":"news","message":"no \"more\""}]"##;
    assert_eq!(world.heard(client), [r#"42["hello",[1]]"#, kicked, r##"42["#removeAuthToken"]"##, "431[null,true]"]);
    world.send(client, r#"42["publish","news",1]"#);
    assert!(world.heard(client).is_empty(), "it was kicked out");
    world.ask(client, "40/chat,");
    world.hosts[0].commands.push_back(Command::Disconnect { connection, disconnect: Disconnect::new(4500, "go") });
    world.send(client, r#"42["x"]"#);
    assert_eq!(world.heard(client), ["41", "41/chat,", "close 4500 go"]);
    // Whoever may come back is told by the end of the connection alone.
    let client = joined(&mut world, 0, V4);
    let disconnect = Disconnect::new(1001, "later");
    world.hosts[0].commands.push_back(Command::Disconnect { connection: client.id, disconnect });
    world.send(client, r#"42["x"]"#);
    assert_eq!(world.heard(client), ["close 1001 later"]);
}

/// An event for all who are in any of these rooms, from the application of the first shard.
fn say(names: &str, is_volatile: bool, except: Option<Client>) -> Command {
    let act = Act::Event { event: "said".into(), data: Some("1".into()), is_volatile };
    Command::Address {
        audience: Audience::AnyChannel,
        names: names.into(),
        act,
        except: except.map(|client| client.id),
    }
}

#[test]
fn a_room_hears_once_in_its_namespace_and_past_who_is_excepted() {
    let mut world = world(2);
    let (one, far) = (joined(&mut world, 0, V4), joined(&mut world, 1, V3));
    let member = world.member(0, "10.0.0.1");
    for (client, channel) in [(one, "a"), (one, "b"), (far, "a"), (far, "b"), (member, "b")] {
        let join = Command::Join { connection: client.id, ticket: 1, channel: channel.into() };
        world.command(client.shard, join);
    }
    assert_eq!(world.hosts[0].told.drain(..).collect::<Vec<_>>(), ["client 1 Ok(none)"; 3]);
    world.ask(one, "40/chat,");
    world.command(0, say("a\nb\nnosuch", false, None));
    assert_eq!(
        (world.heard(one), world.heard(far)),
        (vec![r#"42["said",1]"#.to_owned()], vec![r#"42["said",1]"#.into()])
    );
    assert_eq!(world.heard(member), [r#"{"event":"said","data":1}"#]);
    world.command(0, say("b\na", false, Some(one)));
    assert_eq!((world.heard(one).len(), world.heard(far).len(), world.heard(member).len()), (0, 1, 1));
    world.command(1, Command::Leave { connection: far.id, channel: "a".into() });
    world.command(1, Command::Leave { connection: far.id, channel: "b".into() });
    world.command(0, say("a\nb", false, None));
    assert_eq!((world.heard(one).len(), world.heard(far).len()), (1, 0), "it left");
    let again = world.ask(one, r#"420["subscribe","connect"]"#).expect("an answer");
    assert!(again.contains("BrokerError") || again.contains("Invalid"), "{again}");
    world.command(0, Command::Join { connection: one.id, ticket: 2, channel: "connect".into() });
    assert_eq!(world.hosts[0].told.last().map(String::as_str), Some("client 2 Err(Unsupported)"));
}

#[test]
fn what_is_volatile_is_dropped_where_something_waits() {
    let mut world = world(1);
    let path = "/socket.io/?EIO=4&transport=websocket";
    let (ready, busy) = (joined(&mut world, 0, path), joined(&mut world, 0, path));
    for client in [ready, busy] {
        world.command(0, Command::Join { connection: client.id, ticket: 1, channel: "a".into() });
    }
    let connection = world.shards[0].connections.live(busy.id).expect("it is open");
    connection.outbox = Some(Box::new(Outbox::with_rest(b"what the kernel would not take")));
    let emit =
        |client: Client| Command::Emit { connection: client.id, event: "e".into(), data: None, is_volatile: true };
    world.command(0, emit(busy));
    world.command(0, say("a", true, None));
    world.command(0, emit(ready));
    assert_eq!(world.heard(ready), [r#"42["said",1]"#, r#"42["e"]"#]);
    assert_eq!(world.shards[0].metrics().volatile_dropped, 2);
}

#[test]
fn a_raw_route_speaks_engine_io() {
    let mut world = world(1);
    for (path, packet) in
        [("/engine.io/?EIO=4&transport=websocket", b"zz".as_slice()), ("/engine.io/?transport=websocket", b"\x04zz")]
    {
        let client = opened(&mut world, 0, path);
        assert_eq!(ask(&mut world, client, "4hello €"), "4hello €");
        send_binary(&mut world, client, packet);
        assert_eq!(world.heard(client), [format!("binary {}", String::from_utf8_lossy(packet))]);
        assert!(ask(&mut world, client, "1").starts_with("close 1000"));
    }
}

#[test]
fn what_is_no_opening_is_refused_before_the_upgrade() {
    let mut world = world(1);
    for query in ["EIO=5&transport=websocket", "EIO=4", "EIO=4&transport=polling", "EIO=4&transport=websocket&sid=x"] {
        let client = world.upgrade(0, "10.0.0.1", &format!("/socket.io/?{query}"));
        assert_eq!(world.heard(client), ["HTTP/1.1 400 Bad Request"], "{query}");
    }
    assert!(world.hosts[0].told.is_empty());
}
