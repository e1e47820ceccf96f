//! Clients of event streams, on one shard and on two: when their response begins, what is in it, and how it ends.

use std::time::Duration;

use crate::world::{Client, World};
use crate::{Act, Audience, Command, Disconnect, Limits, SlowConsumer};

fn ask(world: &mut World, shard: usize, target: &str, headers: &str) -> Client {
    let client = world.accept(shard, "10.0.0.1");
    world.send_bytes(client, format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n").as_bytes());
    client
}

fn heard(world: &mut World, client: Client) -> String {
    String::from_utf8(world.heard_bytes(client)).expect("text")
}

/// A stream whose response has begun.
fn stream(world: &mut World, shard: usize, query: &str) -> Client {
    let client = ask(world, shard, &format!("/sse?{query}"), "");
    let text = heard(world, client);
    assert!(text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"), "{text}");
    assert!(text.contains("\r\n\r\nretry: ") && text.ends_with("\n\n"), "{text}");
    client
}

fn publish(world: &mut World, shard: usize, channel: &str, data: &str) {
    world.command(shard, Command::Publish { channel: channel.into(), data: Some(data.into()) });
}

fn refused(world: &mut World, target: &str, headers: &str) -> String {
    let client = ask(world, 0, target, headers);
    let text = heard(world, client);
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    assert!(world.is_over(client), "{text}");
    text
}

#[test]
fn publications_and_events_arrive_in_their_order_on_any_shard() {
    let mut world = World::new(2, Limits::default());
    let streams = [stream(&mut world, 0, "channel=news&channel=a%2Cb+c"), stream(&mut world, 1, "channel=news")];
    let member = world.member(1, "10.0.0.2");
    world.ask(member, r##"{"event":"#subscribe","data":"news","cid":2}"##);
    for number in 0..3 {
        publish(&mut world, number % 2, "news", &number.to_string());
    }
    publish(&mut world, 0, "a,b c", "{\n\"x\":1}");
    let act = Act::Event { event: "tick".into(), data: None, is_volatile: false };
    world.command(1, Command::Address { audience: Audience::Everyone, names: "".into(), except: None, act });
    let news: String = (0..3).map(|number| format!("data: {{\"channel\":\"news\",\"data\":{number}}}\n\n")).collect();
    let other = "data: {\"channel\":\"a,b c\",\"data\":{\ndata: \"x\":1}}\n\n";
    assert_eq!(heard(&mut world, streams[0]), format!("{news}{other}event: tick\ndata: null\n\n"));
    assert_eq!(heard(&mut world, streams[1]), format!("{news}event: tick\ndata: null\n\n"));
    assert_eq!(world.heard(member).len(), 4, "the WebSocket beside them has the same");
    world.shards.iter().for_each(crate::Shard::check);
}

#[test]
fn the_response_begins_when_all_peers_know() {
    let mut world = World::new(2, Limits::default());
    world.is_parted = true;
    let client = ask(&mut world, 0, "/sse?channel=news", "");
    publish(&mut world, 0, "news", "1");
    assert_eq!(heard(&mut world, client), "");
    world.is_parted = false;
    publish(&mut world, 1, "other", "0");
    publish(&mut world, 1, "news", "2");
    let text = heard(&mut world, client);
    let one = text.find("\"data\":1}").expect("what was published before is there, and after the head");
    assert!(text.starts_with("HTTP/1.1 200 ") && text[one..].contains("\"data\":2}"), "{text}");
}

#[test]
fn a_hook_that_refuses_or_waits_is_heard_before_anything_is_answered() {
    let mut world = World::new(1, Limits::default());
    let text = refused(&mut world, "/sse?channel=news&channel=secret", "Origin: http://page\r\n");
    assert!(
        text.starts_with("HTTP/1.1 403 ") && text.ends_with(r#"{"name":"MembersError","message":"members only"}"#),
        "{text}"
    );
    assert!(text.contains("Access-Control-Allow-Origin: http://page\r\n"), "{text}");
    assert_eq!(world.hosts[0].told, ["subscribe news", "subscribe secret", "disconnect 1008 refused"]);
    assert_eq!((world.shards[0].connections(), world.shards[0].channels()), (0, 0));

    let client = ask(&mut world, 0, "/sse?channel=slow&channel=news", "");
    publish(&mut world, 0, "news", "1");
    assert_eq!(heard(&mut world, client), "");
    let ticket = world.hosts[0].undecided.pop().expect("it was asked");
    world.command(0, Command::Verdict { ticket, verdict: Ok(()) });
    let text = heard(&mut world, client);
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\"data\":1}\n\n"), "{text}");

    let client = ask(&mut world, 0, "/sse?channel=slow", "");
    world.wait(Limits::default().call_timeout + Duration::from_secs(1));
    let text = heard(&mut world, client);
    assert!(text.starts_with("HTTP/1.1 504 ") && text.contains("TimeoutError"), "{text}");
    world.shards[0].check();
}

#[test]
fn what_is_asked_for_badly_is_an_error_as_json() {
    let mut world = World::new(1, Limits { subscriptions_per_connection_max: 2, ..Limits::default() });
    for (target, headers, status) in [
        ("/sse?channel=%ff", "", 400),
        ("/sse?channel=", "", 400),
        ("/sse?channel=a%00b", "", 400),
        ("/sse?channel=a&channel=b&channel=c", "", 400),
        ("/sse?channel=a", "Origin: http://other\r\n", 403),
        ("/sse?channel=a&token=bad", "", 401),
        ("/sse?channel=a", "Authorization: Bearer old\r\n", 401),
    ] {
        let text = refused(&mut world, target, headers);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {headers} {text}");
        assert!(text.contains("application/json") && text.contains("\"name\":\""), "{text}");
    }
    let client = world.accept(0, "10.0.0.1");
    world.send_bytes(client, b"POST /sse HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(heard(&mut world, client).starts_with("HTTP/1.1 405 "));
    world.shards[0].check();
}

#[test]
fn a_token_makes_the_stream_its_users() {
    let mut world = World::new(2, Limits::default());
    let streams = [
        ask(&mut world, 0, "/sse", "Authorization: Bearer good\r\n"),
        ask(&mut world, 1, "/sse?token=good", "Last-Event-ID: 7\r\nAuthorization: Basic YTpi\r\n"),
        ask(&mut world, 1, "/sse", ""),
    ];
    streams.iter().for_each(|client| assert!(heard(&mut world, *client).starts_with("HTTP/1.1 200 ")));
    let act = Act::Event { event: "mail".into(), data: Some("[1]".into()), is_volatile: false };
    world.command(0, Command::Address { audience: Audience::Users, names: "alice".into(), except: None, act });
    let texts = streams.map(|client| heard(&mut world, client));
    assert_eq!(texts, ["event: mail\ndata: [1]\n\n", "event: mail\ndata: [1]\n\n", ""]);
    world.wait(Duration::from_secs(9));
    assert_eq!(heard(&mut world, streams[2]), ":\n\n");
    for _ in 0..20 {
        world.wait(Duration::from_secs(9));
    }
    assert_eq!(world.shards[0].online(), 1, "who only listens is not silent");
}

#[test]
fn an_end_from_our_side_is_the_last_event() {
    let mut world = World::new(1, Limits::default());
    let client = stream(&mut world, 0, "channel=news");
    let disconnect = Disconnect { code: 4500, reason: "no \"more\"".into() };
    world.command(0, Command::Disconnect { connection: client.id, disconnect });
    assert_eq!(
        heard(&mut world, client),
        "event: #disconnect\ndata: {\"code\":4500,\"reason\":\"no \\\"more\\\"\"}\n\n"
    );
    let kicked = stream(&mut world, 0, "channel=news");
    let command = Command::KickOut { connection: kicked.id, channel: "news".into(), message: "go".into() };
    world.command(0, command);
    publish(&mut world, 0, "news", "1");
    assert_eq!(heard(&mut world, kicked), "event: #kickOut\ndata: {\"channel\":\"news\",\"message\":\"go\"}\n\n");
    world.end(kicked);
    assert_eq!(world.shards[0].connections(), 0);
}

#[test]
fn whoever_speaks_on_a_stream_is_sent_away() {
    let mut world = World::new(1, Limits::default());
    for said in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x81\x80\0\0\0\0",
        b"\x88\x80\0\0\0\0",
        b"\x89\x80\0\0\0\0",
        b"\r",
    ] {
        let client = stream(&mut world, 0, "channel=news");
        world.send_bytes(client, said);
        let text = heard(&mut world, client);
        assert!(text.starts_with("event: #disconnect\ndata: {\"code\":1002,"), "{text}");
        assert!(world.is_over(client));
    }
    // In the same breath as well.
    for head in ["GET /sse HTTP/1.1\r\nHost: a\r\n\r\n", "GET /sse HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"]
    {
        // All at once, and with the last byte of the request in front of it.
        for cut in [0, head.len() - 1] {
            let client = world.accept(0, "10.0.0.1");
            world.send_bytes(client, &head.as_bytes()[..cut]);
            world.send_bytes(client, format!("{}GET / HTTP/1.1\r\nHost: a\r\n\r\n", &head[cut..]).as_bytes());
            assert_eq!(heard(&mut world, client).matches("HTTP/1.1 ").count(), 1, "{head} at {cut}");
            assert!(world.is_over(client), "{head} at {cut}");
        }
    }
    assert_eq!(world.shards[0].metrics().protocol_errors, 9);
    world.shards[0].check();
}

#[test]
fn a_question_about_a_stream_opens_none() {
    let mut world = World::new(1, Limits::default());
    let client = world.accept(0, "10.0.0.1");
    world.send_bytes(
        client,
        b"OPTIONS /sse HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n\r\nHEAD /sse HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let text = heard(&mut world, client);
    let (options, head) = text.split_once("\r\n\r\n").expect("two answers");
    assert!(
        options.starts_with("HTTP/1.1 204 ") && options.contains("Access-Control-Allow-Methods: GET, HEAD, OPTIONS")
    );
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
    assert!(head.ends_with("\r\n\r\n") && world.is_over(client));
    assert_eq!(world.shards[0].metrics().streams_opened, 0);
}

#[test]
fn a_stop_before_the_response_has_begun_is_an_error() {
    let mut world = World::new(1, Limits { slow_consumer: SlowConsumer::DropNewest, ..Limits::default() });
    let (waiting, open) = (ask(&mut world, 0, "/sse?channel=slow", ""), stream(&mut world, 0, "channel=news"));
    world.shards[0].handle_shutdown(world.now);
    world.wait(Duration::from_millis(1));
    let text = heard(&mut world, waiting);
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("Retry-After"), "{text}");
    assert!(heard(&mut world, open).starts_with("event: #disconnect\ndata: {\"code\":1001,"));
    assert!(world.shards[0].is_drained());
}
