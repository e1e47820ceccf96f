//! Compression on one shard: what is agreed on, what is compressed how often, which contexts are kept, and what becomes of
//! messages that are more, or less, than they say.

use codec::websocket::handshake;
use codec::websocket::inflate::{Inflater, Inflation};
use codec::websocket::{Decoder, Message, Opcode, Role, encode};

use super::*;
use crate::world::{Client, World};
use crate::{Command, Limits, Verified};

fn limits(contexts_max: usize, message_bytes_min: usize) -> Limits {
    let compression =
        CompressionLimits { is_on: true, contexts_max, message_bytes_min, ..CompressionLimits::default() };
    Limits { compression, ..Limits::default() }
}

/// A client that inflates what it is sent.
struct Ear {
    client: Client,
    /// What was agreed on.
    extension: Option<String>,
    inflater: Inflater,
    /// Compressed messages so far.
    compressed: usize,
}

impl Ear {
    /// Connects to a path and offers this.
    fn connect(world: &mut World, path: &str, offer: &str) -> Self {
        let client = world.accept(0, "10.0.0.1");
        let mut request = Vec::new();
        let offer = [("Sec-WebSocket-Extensions", offer)];
        let offers = if offer[0].1.is_empty() { &[][..] } else { &offer[..] };
        handshake::write_request(&mut request, "test", path, [7; 16], offers);
        world.send_bytes(client, &request);
        let head = String::from_utf8(world.heard_bytes(client)).expect("a head and nothing else");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let extension =
            head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).map(str::to_owned);
        let takes_over = extension.as_ref().is_some_and(|agreed| !agreed.contains("server_no_context_takeover"));
        Self { client, extension, inflater: Inflater::new(takes_over), compressed: 0 }
    }

    /// The same, past SocketCluster's handshake.
    fn member(world: &mut World, offer: &str) -> Self {
        let mut member = Self::connect(world, "/socketcluster/", offer);
        world.send(member.client, r##"{"event":"#handshake","data":{"authToken":null},"cid":1}"##);
        assert_eq!(member.hear(world).len(), 1);
        member
    }

    fn hear(&mut self, world: &mut World) -> Vec<String> {
        let mut bytes = world.heard_bytes(self.client);
        self.compressed += frames(&bytes).filter(|first| first & 0x40 != 0).count();
        let (mut decoder, mut out) = (Decoder::new(Role::Client), Vec::new());
        let limits = codec::websocket::Limits::default();
        let mut messages = if self.extension.is_some() {
            let inflation = Inflation { inflater: &mut self.inflater, out: &mut out };
            decoder.decode_compressed(&mut bytes, &limits, inflation)
        } else {
            decoder.decode(&mut bytes, &limits)
        };
        let mut heard = Vec::new();
        while let Some(message) = messages.next() {
            heard.push(match message.expect("the server speaks well") {
                Message::Text(text) => text.to_owned(),
                Message::Close(Some((code, _))) => format!("close {code}"),
                other => panic!("{other:?}"),
            });
        }
        heard
    }
}

/// The first bytes of these server frames.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let (&first, &short) = (bytes.first()?, bytes.get(1)?);
        let (header, length) = match short {
            126 => (4, u64::from(u16::from_be_bytes(*bytes[2..].first_chunk()?))),
            127 => (10, u64::from_be_bytes(*bytes[2..].first_chunk()?)),
            _ => (2, u64::from(short)),
        };
        bytes = &bytes[header + usize::try_from(length).expect("it lies in memory")..];
        Some(first)
    })
}

/// Sends a compressed text.
fn send_compressed(world: &mut World, client: Client, payload: &[u8]) {
    let mut frame = Vec::new();
    encode::masked_frame(&mut frame, Opcode::CompressedText, [1, 2, 3, 4], payload);
    world.send_bytes(client, &frame);
}

fn deflated(text: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    Deflater::new(6, 15).deflate(text.as_bytes(), &mut payload);
    payload
}

const OFFER: &str = "permessage-deflate; client_max_window_bits";

#[test]
fn nothing_is_agreed_on_unless_compression_is_on() {
    let mut world = World::new(1, Limits::default());
    let mut ear = Ear::connect(&mut world, "/raw", OFFER);
    assert_eq!(ear.extension, None);
    send_compressed(&mut world, ear.client, &deflated("hello"));
    assert_eq!(ear.hear(&mut world), ["close 1002"]);
    let mut world = World::new(1, limits(0, 0));
    assert_eq!(Ear::connect(&mut world, "/raw", "").extension, None);
    assert_eq!(Ear::connect(&mut world, "/raw", "permessage-deflate; surprise").extension, None);
}

#[test]
fn without_contexts_every_message_stands_for_itself() {
    let mut world = World::new(1, limits(0, 0));
    let mut ear = Ear::connect(&mut world, "/raw", OFFER);
    let agreed = ear.extension.as_deref();
    assert_eq!(agreed, Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"));
    let text = "the same again and again ".repeat(9);
    for _ in 0..3 {
        send_compressed(&mut world, ear.client, &deflated(&text));
        assert_eq!(ear.hear(&mut world), [text.as_str()]);
    }
    assert_eq!(ear.compressed, 3);
    // A message that is not compressed may stand beside those that are.
    world.send(ear.client, &text);
    assert_eq!(ear.hear(&mut world), [text.as_str()]);
    assert_eq!(world.shards[0].compressors.contexts, 0);
}

#[test]
fn short_messages_go_out_as_they_are() {
    let mut world = World::new(1, limits(0, 100));
    let mut ear = Ear::connect(&mut world, "/raw", OFFER);
    for (length, compressed) in [(99, 0), (100, 1), (101, 2)] {
        world.send(ear.client, &"a".repeat(length));
        assert_eq!(ear.hear(&mut world), ["a".repeat(length)]);
        assert_eq!(ear.compressed, compressed, "{length}");
    }
}

#[test]
fn a_publication_is_compressed_once_for_each_window() {
    let mut world = World::new(1, limits(1, 100));
    let small = "permessage-deflate; server_max_window_bits=9";
    // The first one keeps a context, which changes nothing for publications.
    let offers = [OFFER, "", small, OFFER, "", small, OFFER, "permessage-deflate; unknown"];
    let mut ears = offers.map(|offer| Ear::member(&mut world, offer));
    for ear in &mut ears {
        world.send(ear.client, r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##);
        assert_eq!(ear.hear(&mut world), [r#"{"rid":2}"#]);
    }
    let before = world.shards[0].metrics().messages_compressed;
    let data = "\"".to_owned() + &"read all about it ".repeat(100) + "\"";
    let publisher = ears[1].client;
    world.send(publisher, &format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{data}}}}}"##));
    let expected = format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{data}}}}}"##);
    for (ear, offer) in ears.iter_mut().zip(offers) {
        let before = ear.compressed;
        assert_eq!(ear.hear(&mut world), [expected.as_str()], "{offer}");
        assert_eq!(ear.compressed - before, usize::from(ear.extension.is_some()), "{offer}");
    }
    assert_eq!(world.shards[0].metrics().messages_compressed - before, 2);
}

#[test]
fn a_context_is_kept_and_begins_anew_after_publications() {
    let mut world = World::new(1, limits(1, 0));
    let mut ear = Ear::member(&mut world, OFFER);
    assert_eq!(ear.extension.as_deref(), Some("permessage-deflate"));
    world.send(ear.client, r##"{"event":"#subscribe","data":{"channel":"news"},"cid":2}"##);
    assert_eq!(ear.hear(&mut world), [r#"{"rid":2}"#]);
    for round in 3..40 {
        // The publication and the answer leave in one send, in this order.
        let text = format!("{:?}", "news of the day ".repeat(round));
        let publish = format!(r##"{{"event":"#publish","data":{{"channel":"news","data":{text}}},"cid":{round}}}"##);
        world.send(ear.client, &publish);
        let heard = ear.hear(&mut world);
        assert_eq!(heard.len(), 2);
        assert!(heard[0].contains(&text) && heard[1] == format!(r#"{{"rid":{round}}}"#), "{heard:?}");
        for call in 0..round % 4 {
            world.send(ear.client, &format!(r#"{{"event":"call","data":null,"cid":{call}}}"#));
            assert_eq!(ear.hear(&mut world), [format!(r#"{{"rid":{call},"data":true}}"#)]);
        }
    }
}

#[test]
fn a_context_makes_messages_that_are_alike_shorter() {
    let mut world = World::new(1, limits(1, 0));
    let ear = Ear::connect(&mut world, "/raw", OFFER);
    let text = "no word in here comes twice: lorem ipsum dolor sit amet consectetur";
    world.send(ear.client, text);
    let first = world.heard_bytes(ear.client).len();
    world.send(ear.client, text);
    let second = world.heard_bytes(ear.client).len();
    assert!(second * 4 < first, "{first} bytes, then {second}");
}

#[test]
fn no_more_contexts_are_kept_than_allowed() {
    let mut world = World::new(1, limits(1, 0));
    let first = Ear::connect(&mut world, "/raw", OFFER);
    assert_eq!(first.extension.as_deref(), Some("permessage-deflate"));
    let none = Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    assert_eq!(Ear::connect(&mut world, "/raw", OFFER).extension.as_deref(), none);
    assert_eq!(world.shards[0].metrics().contexts_refused, 1);
    world.end(first.client);
    assert_eq!(world.shards[0].compressors.contexts, 0);
    assert_eq!(Ear::connect(&mut world, "/raw", OFFER).extension.as_deref(), Some("permessage-deflate"));
    assert_eq!(world.shards[0].compressors.contexts, 1);
}

#[test]
fn a_message_that_inflates_beyond_the_limit_is_closed_with_1009() {
    for contexts in [0, 1] {
        let mut world = World::new(1, limits(contexts, 0));
        let mut ear = Ear::connect(&mut world, "/raw", OFFER);
        send_compressed(&mut world, ear.client, &deflated(&"a".repeat(128 << 10)));
        assert_eq!(ear.hear(&mut world)[0].len(), 128 << 10);
        let bomb = deflated(&"a".repeat(50 << 20));
        assert!(bomb.len() < 128 << 10, "a bomb is small: {}", bomb.len());
        send_compressed(&mut world, ear.client, &bomb);
        assert_eq!(ear.hear(&mut world), ["close 1009"]);
        // What all share is as good as new.
        let mut next = Ear::connect(&mut world, "/raw", OFFER);
        send_compressed(&mut world, next.client, &deflated("hello"));
        assert_eq!(next.hear(&mut world), ["hello"]);
    }
}

#[test]
fn what_is_no_deflate_or_no_text_is_closed_with_1007() {
    for contexts in [0, 1] {
        let mut world = World::new(1, limits(contexts, 0));
        let mut surrogate = Vec::new();
        Deflater::new(6, 15).deflate(b"\xed\xa0\x80", &mut surrogate);
        for payload in [&b"\xff\xff\xff"[..], b"", &surrogate] {
            let mut ear = Ear::connect(&mut world, "/raw", "permessage-deflate; client_no_context_takeover");
            send_compressed(&mut world, ear.client, payload);
            assert_eq!(ear.hear(&mut world), ["close 1007"], "{payload:?}");
            let mut next = Ear::connect(&mut world, "/raw", OFFER);
            send_compressed(&mut world, next.client, &deflated("hello"));
            assert_eq!(next.hear(&mut world), ["hello"]);
        }
    }
}

#[test]
fn tokens_are_not_compressed() {
    let mut world = World::new(1, limits(1, 0));
    let mut ear = Ear::member(&mut world, OFFER);
    let before = ear.compressed;
    let verified = Verified { claims: "{}".into(), user: None, lifetime: None };
    let set = Command::SetToken { connection: ear.client.id, token: "t".repeat(300).into(), verified };
    world.hosts[0].commands.push_back(set);
    world.send(ear.client, r#"{"event":"call","cid":5}"#);
    let heard = ear.hear(&mut world);
    assert!(heard[0].contains("#setAuthToken") && heard[1] == r#"{"rid":5,"data":true}"#, "{heard:?}");
    assert_eq!(ear.compressed - before, 1, "the answer alone");
}
