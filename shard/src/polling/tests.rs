//! Clients without a WebSocket, request by request, each on a TCP connection of its own, on one shard and on any of two.

use std::time::Duration;

use crate::world::{Client, World};
use crate::{Limits, SessionId, ShardId, SlowConsumer, SocketIoConfig};

fn world(shards: usize) -> World {
    world_with(shards, Limits::default())
}

fn world_with(shards: usize, limits: Limits) -> World {
    let mut world = World::new(shards, limits);
    for shard in &mut world.shards {
        shard.open_socket_io(SocketIoConfig {
            answer_shape: codec::socketio::encode::AnswerShape::ErrorFirst,
            has_channel_events: true,
            ..SocketIoConfig::default()
        });
    }
    world
}

/// Sends a request on a connection of its own; what is answered is left to be read.
fn begin(world: &mut World, shard: usize, request: &str, body: &str) -> Client {
    let client = world.accept(shard, "10.0.0.1");
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    world.send_bytes(client, format!("{request} HTTP/1.1\r\nHost: a\r\n{length}\r\n{body}").as_bytes());
    client
}

/// The status and the body of the answer that is there.
fn answer(world: &mut World, client: Client) -> Option<(u16, String)> {
    let text = String::from_utf8(world.heard_bytes(client)).expect("text");
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn fetch(world: &mut World, shard: usize, request: &str, body: &str) -> (u16, String) {
    let client = begin(world, shard, request, body);
    answer(world, client).unwrap_or_else(|| panic!("no answer to {request}"))
}

/// A session's path.
fn opened(world: &mut World, shard: usize, query: &str) -> String {
    let (status, body) = fetch(world, shard, &format!("GET /socket.io/?{query}&transport=polling"), "");
    let id = body.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
    assert!(status == 200 && id.len() == 32, "{body}");
    // Clients of protocol 3 are in the main namespace at once.
    assert_eq!(body.ends_with("2:40"), query.contains("EIO=3"), "{body}");
    format!("/socket.io/?{query}&transport=polling&sid={id}")
}

fn get(world: &mut World, shard: usize, path: &str) -> String {
    let (status, body) = fetch(world, shard, &format!("GET {path}"), "");
    assert_eq!(status, 200, "{body}");
    body
}

fn post(world: &mut World, shard: usize, path: &str, body: &str) {
    assert_eq!(fetch(world, shard, &format!("POST {path}"), body), (200, "ok".to_owned()), "{body}");
}

const UNKNOWN: &str = r#"{"code":1,"message":"Session ID unknown"}"#;

#[test]
fn a_session_lives_on_one_shard_and_is_served_on_all() {
    for shards in [1, 2, 5] {
        let mut world = world(shards);
        let mut turn = (0..).map(|count| count % shards);
        let mut next = move || turn.next().expect("it never ends");
        let path = opened(&mut world, next(), "EIO=4");
        post(&mut world, next(), &path, "40");
        assert!(get(&mut world, next(), &path).starts_with(r#"40{"sid":""#));
        for number in 0..20 {
            post(&mut world, next(), &path, &format!(r#"42{number}["app.echo"]"#));
            assert_eq!(get(&mut world, next(), &path), format!("43{number}[null,true]"));
        }
        post(&mut world, next(), &path, "41");
        assert_eq!(get(&mut world, next(), &path), "1");
        assert_eq!(fetch(&mut world, next(), &format!("GET {path}"), ""), (400, UNKNOWN.to_owned()));
        let told: Vec<_> =
            world.hosts.iter().flat_map(|host| &host.told).filter(|told| told.starts_with("disc")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        world.shards.iter().for_each(crate::Shard::check);
    }
}

#[test]
fn a_request_waits_until_there_is_something_to_tell() {
    let mut world = world(2);
    let (here, there) = (opened(&mut world, 0, "EIO=4"), opened(&mut world, 1, "EIO=3"));
    post(&mut world, 1, &here, "40\u{1e}420[\"subscribe\",\"news\"]");
    let heard = get(&mut world, 1, &here);
    assert!(heard.starts_with("40{") && heard.ends_with("\u{1e}430[null]"), "{heard}");
    post(&mut world, 0, &there, "23:420[\"subscribe\",\"news\"]");
    assert_eq!(get(&mut world, 0, &there), "9:430[null]");
    let waiting = [begin(&mut world, 1, &format!("GET {here}"), ""), begin(&mut world, 1, &format!("GET {there}"), "")];
    assert_eq!(waiting.map(|client| world.heard_bytes(client)), [b"", b""]);
    post(&mut world, 0, &there, "26:42[\"publish\",\"news\",\"é😀\"]");
    let expected = [(200, "42[\"news\",\"é😀\"]".to_owned()), (200, "16:42[\"news\",\"é😀\"]".to_owned())];
    assert_eq!(waiting.map(|client| answer(&mut world, client).expect("an answer")), expected);
}

#[test]
fn binary_is_base64_or_octets() {
    let mut world = world(1);
    let (new, old) = (opened(&mut world, 0, "EIO=4"), opened(&mut world, 0, "EIO=3&b64=1"));
    let octets = opened(&mut world, 0, "EIO=3");
    post(&mut world, 0, &new, "40\u{1e}420[\"subscribe\",\"news\"]");
    post(&mut world, 0, &old, "23:420[\"subscribe\",\"news\"]");
    post(&mut world, 0, &octets, "23:420[\"subscribe\",\"news\"]");
    for path in [&new, &old, &octets] {
        get(&mut world, 0, path);
    }
    post(&mut world, 0, &new, "451-[\"publish\",\"news\",{\"_placeholder\":true,\"num\":0}]\u{1e}beno=");
    let text = r#"451-["news",{"_placeholder":true,"num":0}]"#;
    assert_eq!(get(&mut world, 0, &new), format!("{text}\u{1e}beno="));
    assert_eq!(get(&mut world, 0, &old), format!("{}:{text}6:b4eno=", text.len()));
    let client = begin(&mut world, 0, &format!("GET {octets}"), "");
    let bytes = world.heard_bytes(client);
    let expected = [&[0, 4, 2, 255], text.as_bytes(), &[1, 3, 255, 4], b"zz"].concat();
    assert!(bytes.ends_with(&expected), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn libraries_that_read_no_text_get_octets_unless_they_ask_for_text() {
    let mut world = world(1);
    for path in ["/socketstream/", "/services/", "/socketcluster/"] {
        let request = format!("GET {path}?EIO=3&transport=polling");
        let client = begin(&mut world, 0, &request, "");
        let bytes = world.heard_bytes(client);
        let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let (head, body) = (String::from_utf8_lossy(&bytes[..body]), &bytes[body..]);
        assert!(head.contains("Content-Type: application/octet-stream\r\n"), "{head}");
        assert!(body[0] == 0 && body[1..].iter().position(|byte| *byte == 255).is_some(), "{body:?}");
        let (_, body) = fetch(&mut world, 0, &format!("{request}&b64=1"), "");
        assert!(body.contains(":0{"), "{body}");
    }
}

#[test]
fn no_more_packets_are_answered_than_clients_take() {
    let mut world = world(1);
    let path = opened(&mut world, 0, "EIO=4");
    post(&mut world, 0, &path, "40");
    get(&mut world, 0, &path);
    let packets: Vec<_> = (0..40).map(|number| format!("42{number}[\"x\"]")).collect();
    post(&mut world, 0, &path, &packets.join("\u{1e}"));
    let answers = [0; 3].map(|_| get(&mut world, 0, &path).split('\u{1e}').count());
    assert_eq!(answers, [16, 16, 8]);
}

#[test]
fn scripts_are_answered_with_scripts() {
    let mut world = world(2);
    let (status, body) = fetch(&mut world, 0, "GET /socket.io/?EIO=3&transport=polling&j=0", "");
    let id = body.split("\\\"sid\\\":\\\"").nth(1).and_then(|rest| rest.split('\\').next()).expect("an id").to_owned();
    assert!(status == 200 && body.starts_with("___eio[0](\""), "{body}");
    let path = format!("/socket.io/?EIO=3&transport=polling&j=1&sid={id}");
    post(&mut world, 1, &path, "d=8%3A420%5B%22a%22%5D");
    assert_eq!(get(&mut world, 0, &path), "___eio[1](\"14:430[null,true]\");");
}

#[test]
fn two_requests_at_a_time_end_the_session() {
    for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut world = world(2);
        let path = opened(&mut world, 0, "EIO=4");
        let waiting = begin(&mut world, first, &format!("GET {path}"), "");
        let refused = fetch(&mut world, second, &format!("GET {path}"), "");
        assert_eq!(refused, (400, r#"{"code":3,"message":"Bad request"}"#.to_owned()));
        assert_eq!(answer(&mut world, waiting), Some((200, "1".to_owned())));
        assert_eq!(fetch(&mut world, 0, &format!("GET {path}"), "").0, 400);
    }
}

#[test]
fn a_request_whose_client_has_gone_leaves_its_place_and_loses_nothing() {
    for shard in [0, 1] {
        let mut world = world(2);
        let path = opened(&mut world, 0, "EIO=4");
        let waiting = begin(&mut world, shard, &format!("GET {path}"), "");
        world.end(waiting);
        post(&mut world, 0, &path, "40");
        assert!(get(&mut world, shard, &path).starts_with("40{"));
    }
}

#[test]
fn what_is_no_request_is_refused_in_the_clients_words() {
    let mut world = world(2);
    let path = opened(&mut world, 0, "EIO=4");
    let foreign = path.replace("sid=", "sid=x").trim_end_matches(char::is_alphanumeric).to_owned();
    let guessed: String = path[..path.len() - 1].to_owned() + if path.ends_with('A') { "B" } else { "A" };
    let long = format!("/socket.io/?EIO=4&transport=polling&sid={}", "A".repeat(32));
    for (request, body, code) in [
        ("GET /socket.io/?EIO=5&transport=polling", "", 5),
        ("GET /socket.io/?EIO=4&transport=carrier", "", 0),
        ("GET /socket.io/?EIO=4", "", 0),
        ("GET /socket.io/?EIO=4&transport=websocket", "", 3),
        ("POST /socket.io/?EIO=4&transport=polling", "40", 2),
        (&format!("GET {foreign}"), "", 1),
        (&format!("GET {guessed}"), "", 1),
        (&format!("GET {long}"), "", 1),
        (&format!("POST {guessed}"), "40", 1),
        (&format!("PUT {path}"), "40", 3),
    ] {
        let (status, answer) = fetch(&mut world, 1, request, body);
        assert!(status == 400 && answer.starts_with(&format!("{{\"code\":{code},")), "{request}: {status} {answer}");
    }
    assert_eq!(fetch(&mut world, 1, "OPTIONS /socket.io/?EIO=4&transport=polling", "").0, 204);
    post(&mut world, 1, &path, "zzz");
    assert_eq!(get(&mut world, 0, &path), "1", "no payload, no session");
}

#[test]
fn a_silent_client_is_given_up_and_its_last_request_answered() {
    let mut world = world(2);
    let path = opened(&mut world, 0, "EIO=4");
    post(&mut world, 1, &path, "40");
    get(&mut world, 1, &path);
    world.wait(Duration::from_secs(25));
    assert_eq!(get(&mut world, 1, &path), "2");
    let waiting = begin(&mut world, 1, &format!("GET {path}"), "");
    world.wait(Duration::from_secs(45));
    world.wait(Duration::from_secs(1));
    assert_eq!(answer(&mut world, waiting), Some((200, "1".to_owned())));
    world.wait(Duration::from_secs(60));
    assert_eq!(world.shards[0].connections(), 0, "nothing is left behind");
}

/// A WebSocket that is to carry a session.
fn carrier(world: &mut World, shard: usize, path: &str) -> Client {
    let client = world.upgrade(shard, "10.0.0.1", &path.replace("transport=polling", "transport=websocket"));
    assert!(world.heard(client)[0].starts_with("HTTP/1.1 101"));
    client
}

#[test]
fn a_session_goes_over_to_a_websocket_on_any_shard() {
    for shard in [0, 1] {
        let mut world = world(2);
        let path = opened(&mut world, 0, "EIO=4");
        post(&mut world, 0, &path, "40");
        get(&mut world, 0, &path);
        let waiting = begin(&mut world, 1, &format!("GET {path}"), "");
        let client = carrier(&mut world, shard, &path);
        world.send(client, "2probe");
        assert_eq!(world.heard(client), ["3probe"]);
        assert_eq!(answer(&mut world, waiting), Some((200, "6".to_owned())), "released");
        assert_eq!(get(&mut world, 1, &path), "6", "and not kept again");
        post(&mut world, 0, &path, r#"420["said","before"]"#);
        world.send(client, "5");
        assert_eq!(world.heard(client), ["430[null,true]"], "what waited comes first");
        assert_eq!(fetch(&mut world, 0, &format!("GET {path}"), "").0, 400, "no requests any more");
        world.send(client, r#"421["subscribe","news"]"#);
        world.send(client, r#"452-2["publish","news",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]"#);
        let mut frames = Vec::new();
        for bytes in [b"a", b"b"] {
            codec::websocket::encode::masked_frame(&mut frames, codec::websocket::Opcode::Binary, [9; 4], bytes);
        }
        world.send_bytes(client, &frames);
        let event = r#"452-["news",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]"#;
        assert_eq!(world.heard(client), ["431[null]", event, "binary a", "binary b", "432[null]"]);
        world.wait(Duration::from_secs(25));
        assert_eq!(world.heard(client), ["2"]);
        world.end(client);
        let told: Vec<_> =
            world.hosts.iter().flat_map(|host| &host.told).filter(|told| told.starts_with("disc")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        world.wait(Duration::from_secs(60));
        assert_eq!(world.shards.iter().map(crate::Shard::connections).sum::<usize>(), 0, "nothing is left behind");
    }
}

#[test]
fn the_servers_last_word_reaches_a_carrier_and_ends_it() {
    for shard in [0, 1] {
        let mut world = world(2);
        let path = opened(&mut world, 0, "EIO=4");
        post(&mut world, 0, &path, "40");
        get(&mut world, 0, &path);
        let client = carrier(&mut world, shard, &path);
        world.send(client, "5");
        world.send(client, "41");
        assert_eq!(world.heard(client), ["close 1000 the client has left"]);
        world.wait(Duration::from_secs(60));
        assert_eq!(world.shards.iter().map(crate::Shard::connections).sum::<usize>(), 0);
    }
}

#[test]
fn who_may_not_carry_is_sent_away_and_the_session_lives_on() {
    for shard in [0, 1] {
        let mut world = world(2);
        let path = opened(&mut world, 0, "EIO=4");
        let guessed: String = path[..path.len() - 1].to_owned() + if path.ends_with('A') { "B" } else { "A" };
        let client = carrier(&mut world, shard, &guessed);
        world.send(client, "2probe");
        assert!(world.heard(client).iter().all(|heard| heard != "3probe"));
        assert!(world.is_over(client));
        let client = carrier(&mut world, shard, &path);
        world.send(client, "2probe");
        world.send(client, "4hello");
        assert_eq!(world.heard(client), ["3probe", "close 1002 an upgrade begins with a probe"]);
        world.end(client);
        post(&mut world, 1, &path, "40");
        assert!(get(&mut world, 1, &path).starts_with("40{"), "it is polled as before");
    }
}

/// As `fetch`, with a cookie.
fn fetch_as(world: &mut World, shard: usize, request: &str, cookie: Option<&str>) -> (u16, String) {
    let cookie = cookie.map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
    let client = world.accept(shard, "10.0.0.1");
    world.send_bytes(client, format!("{request} HTTP/1.1\r\nHost: a\r\n{cookie}\r\n").as_bytes());
    answer(world, client).unwrap_or_else(|| panic!("no answer to {request}"))
}

#[test]
fn who_knows_an_id_but_has_not_its_cookie_gets_nothing_and_disturbs_nobody() {
    for shard in [0, 1] {
        let mut world = world(2);
        let [own, other] = [1, 2].map(|byte| SessionId::with_home([byte; 16], ShardId(1), 2).to_string());
        let request = "GET /socket.io/?EIO=4&transport=polling";
        let (_, body) = fetch_as(&mut world, 0, request, Some(&own));
        let id = body.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id");
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={id}");
        let upgrade = path.replace("transport=polling", "transport=websocket");
        for cookie in [None, Some(other.as_str())] {
            let stolen = fetch_as(&mut world, shard, &format!("GET {path}"), cookie);
            assert_eq!(stolen, (400, UNKNOWN.to_owned()));
            let headers: Vec<_> = cookie.map(|cookie| ("Cookie", cookie)).into_iter().collect();
            let thief = world.upgrade_with(shard, "10.0.0.1", &upgrade, &headers);
            world.send(thief, "2probe");
            assert!(world.heard(thief).iter().all(|heard| heard != "3probe") && world.is_over(thief));
        }
        assert_eq!(world.shards[0].metrics().polls_refused, 4);
        let owner = world.upgrade_with(shard, "10.0.0.1", &upgrade, &[("Cookie", &own)]);
        world.send(owner, "2probe");
        assert_eq!(world.heard(owner).last().map(String::as_str), Some("3probe"));
        assert_eq!(fetch_as(&mut world, shard, &format!("GET {path}"), Some(&own)), (200, "6".to_owned()));
    }
}

/// As many bytes as `count` publications of 60 KiB have, each with its number at its end.
fn publish_much(world: &mut World, publisher: Client, count: usize) {
    for number in 0..count {
        let data = format!("{}{number}", "x".repeat(60 << 10));
        world.send(publisher, &format!(r##"{{"event":"#publish","data":{{"channel":"news","data":"{data}"}}}}"##));
    }
}

/// The numbers of the publications among what a client has heard.
fn numbers(heard: &[String]) -> Vec<usize> {
    let number = |text: &String| text.trim_end_matches("\"]").rsplit('x').next()?.parse().ok();
    heard.iter().filter_map(number).collect()
}

/// A session of shard 0 that a WebSocket of this shard carries, subscribed to `news`.
fn carried(world: &mut World, shard: usize) -> Client {
    let path = opened(world, 0, "EIO=4");
    post(world, 0, &path, "40");
    get(world, 0, &path);
    let client = carrier(world, shard, &path);
    world.send(client, "5");
    world.send(client, r#"420["subscribe","news"]"#);
    assert_eq!(world.heard(client), ["430[null]"]);
    client
}

#[test]
fn a_carrier_that_stalls_has_a_bounded_part_and_the_mailbox_drops_the_rest_by_policy() {
    for shard in [0, 1] {
        let limits = Limits { slow_consumer: SlowConsumer::DropOldest, ..Limits::default() };
        let mut world = world_with(2, limits);
        let client = carried(&mut world, shard);
        let publisher = world.member(0, "10.0.0.2");
        world.stall(client);
        publish_much(&mut world, publisher, 100);
        let mark = limits.outbox_high_water_mark;
        let queued = world.shards[shard].connection_mut(client.id).expect("it lives").queued_bytes();
        assert!(queued > mark && queued <= mark + (64 << 10), "{queued}");
        world.let_flow(client);
        let heard = numbers(&world.heard(client));
        assert!(heard.is_sorted() && heard.len() < 12, "{heard:?}");
        assert!(heard.starts_with(&[0, 1, 2, 3, 4]) && heard.ends_with(&[98, 99]), "{heard:?}");
        let metrics = world.shards[0].metrics();
        assert_eq!(metrics.deliveries_dropped_oldest as usize, 100 - heard.len());
        assert!(metrics.carriers_full > 0 && metrics.slow_consumers == 0);
        publish_much(&mut world, publisher, 1);
        assert_eq!(numbers(&world.heard(client)), [0], "it hears on");
        world.shards.iter().for_each(crate::Shard::check);
    }
}

#[test]
fn a_carrier_that_keeps_up_hears_everything_however_much_it_is() {
    for shard in [0, 1] {
        let limits = Limits { slow_consumer: SlowConsumer::DropOldest, ..Limits::default() };
        let mut world = world_with(2, limits);
        let client = carried(&mut world, shard);
        let publisher = world.member(1, "10.0.0.2");
        publish_much(&mut world, publisher, 100);
        assert_eq!(numbers(&world.heard(client)), (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn a_carrier_that_stalls_is_closed_where_nothing_may_be_dropped() {
    for shard in [0, 1] {
        let mut world = world(2);
        let client = carried(&mut world, shard);
        let publisher = world.member(0, "10.0.0.2");
        world.stall(client);
        publish_much(&mut world, publisher, 100);
        assert_eq!(world.shards[0].metrics().slow_consumers, 1);
        world.let_flow(client);
        let heard = world.heard(client);
        assert_eq!(numbers(&heard), [0, 1, 2, 3, 4]);
        assert_eq!(heard.last().expect("its end"), "close 1013 slow consumer");
        world.wait(Duration::from_secs(60));
        assert_eq!(world.shards.iter().map(crate::Shard::connections).sum::<usize>(), 0, "nothing is left behind");
    }
}

#[test]
fn a_client_whose_mailbox_was_full_is_heard_again_once_it_has_fetched_it() {
    let mut world = world(2);
    let path = opened(&mut world, 0, "EIO=4");
    post(&mut world, 0, &path, "40\u{1e}420[\"subscribe\",\"news\"]");
    get(&mut world, 0, &path);
    let publisher = world.member(0, "10.0.0.2");
    publish_much(&mut world, publisher, 10);
    post(&mut world, 1, &path, r#"421["one"]"#);
    post(&mut world, 1, &path, r#"422["two"]"#);
    let mut heard = get(&mut world, 0, &path);
    heard += &get(&mut world, 1, &path);
    assert!(heard.ends_with("431[null,true]432[null,true]"), "{}", &heard[heard.len() - 100..]);
}

#[test]
fn a_frame_longer_than_the_room_that_is_left_follows_a_short_one_at_once() {
    for shard in [0, 1] {
        let limits = Limits { outbox_high_water_mark: 16 << 10, ..Limits::default() };
        let mut world = world_with(2, limits);
        let client = carried(&mut world, shard);
        let long = "x".repeat(100 << 10);
        world.send(client, r#"421["subscribe","short"]"#);
        world.heard(client);
        let publisher = world.member(0, "10.0.0.2");
        let publish = |channel: &str, data: &str| {
            format!(r##"{{"event":"#publish","data":{{"channel":"{channel}","data":"{data}"}}}}"##)
        };
        let mut frames = Vec::new();
        for text in [publish("short", "s"), publish("news", &long), publish("short", "t")] {
            codec::websocket::encode::masked_frame(
                &mut frames,
                codec::websocket::Opcode::Text,
                [9; 4],
                text.as_bytes(),
            );
        }
        world.send_bytes(publisher, &frames);
        assert_eq!(world.heard(client).iter().map(String::len).collect::<Vec<_>>(), [15, long.len() + 13, 15]);
    }
}
