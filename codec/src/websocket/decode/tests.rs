//! Every rule about received frames, one test each; then random streams cut at random places, which must decode to the
//! messages they were made from. A failure of those prints its seed; `SEED=… cargo test -p socketshard-codec` replays.

use super::super::encode::{self, masked_fragment, masked_frame};
use super::*;
use WebSocketError as E;

const KEY: [u8; 4] = [0x12, 0xf4, 0x56, 0x88];

/// A message that outlives its input.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Message::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Message::Close(close) => Self::Close(close.map(|(code, reason)| (code, reason.to_owned()))),
        }
    }
}

fn text(text: &str) -> Result<Owned, E> {
    Ok(Owned::Text(text.to_owned()))
}

/// Feeds one piece and collects what comes.
fn feed(decoder: &mut Decoder, piece: &[u8], limits: &Limits) -> Vec<Result<Owned, E>> {
    let mut input = piece.to_vec();
    let mut messages = decoder.decode(&mut input, limits);
    let mut seen = Vec::new();
    while let Some(message) = messages.next() {
        seen.push(message.map(Owned::from));
    }
    assert!(messages.rest().is_empty(), "input left over");
    seen
}

/// Decodes a client's stream whole, and again in two pieces cut at every place and a byte at a time: the outcome must
/// be the same.
fn decode_with(stream: &[u8], limits: &Limits) -> Vec<Result<Owned, E>> {
    let whole = feed(&mut Decoder::new(Role::Server), stream, limits);
    for cut in 0..=stream.len() {
        let mut decoder = Decoder::new(Role::Server);
        let mut seen = feed(&mut decoder, &stream[..cut], limits);
        seen.extend(feed(&mut decoder, &stream[cut..], limits));
        assert_eq!(seen, whole, "cut at {cut}");
    }
    let mut decoder = Decoder::new(Role::Server);
    let seen: Vec<_> = stream.chunks(1).flat_map(|byte| feed(&mut decoder, byte, limits)).collect();
    assert_eq!(seen, whole, "a byte at a time");
    whole
}

fn decode(stream: &[u8]) -> Vec<Result<Owned, E>> {
    decode_with(stream, &Limits::default())
}

/// A client's frames, one behind the other.
fn frames(list: &[(Opcode, bool, &[u8])]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (opcode, is_final, payload) in list {
        masked_fragment(&mut stream, *opcode, *is_final, KEY, payload);
    }
    stream
}

#[test]
fn whole_frame_is_lent_where_it_lies() {
    let mut input = frames(&[(Opcode::Text, true, b"hello")]);
    let range = input.as_ptr_range();
    let mut decoder = Decoder::new(Role::Server);
    let mut messages = decoder.decode(&mut input, &Limits::default());
    let Some(Ok(Message::Text(text))) = messages.next() else {
        panic!("no text");
    };
    assert_eq!(text, "hello");
    assert!(range.contains(&text.as_ptr()));
    assert!(messages.next().is_none());
    assert!(decoder.is_idle());
    assert_eq!(decoder.partial_bytes(), 0);
}

#[test]
fn every_kind_of_message_is_read_from_one_input() {
    let stream = frames(&[
        (Opcode::Text, true, "h\u{e9}".as_bytes()),
        (Opcode::Binary, true, b"\xff\x00"),
        (Opcode::Ping, true, b"a"),
        (Opcode::Pong, true, b""),
        (Opcode::Text, true, b""),
        (Opcode::Close, true, b"\x0f\xa1bye"),
    ]);
    let expected = vec![
        text("h\u{e9}"),
        Ok(Owned::Binary(vec![0xff, 0])),
        Ok(Owned::Ping(vec![b'a'])),
        Ok(Owned::Pong(vec![])),
        text(""),
        Ok(Owned::Close(Some((4001, "bye".to_owned())))),
    ];
    assert_eq!(decode(&stream), expected);
}

#[test]
fn client_reads_unmasked_frames() {
    let mut stream = Vec::new();
    encode::frame(&mut stream, Opcode::Text, b"hello");
    encode::close(&mut stream, 1000, "");
    let seen = feed(&mut Decoder::new(Role::Client), &stream, &Limits::default());
    assert_eq!(seen, [text("hello"), Ok(Owned::Close(Some((1000, String::new()))))]);
    assert_eq!(feed(&mut Decoder::new(Role::Server), &stream, &Limits::default()), [Err(E::Unmasked)]);
    let masked = frames(&[(Opcode::Text, true, b"x")]);
    assert_eq!(feed(&mut Decoder::new(Role::Client), &masked, &Limits::default()), [Err(E::Masked)]);
}

#[test]
fn lengths_of_every_size_are_read() {
    let limits = Limits { message_bytes_max: 70_000, ..Limits::default() };
    for length in [0, 1, 125, 126, 127, 65535, 65536, 70_000] {
        let stream = frames(&[(Opcode::Binary, true, &vec![7; length])]);
        let seen = feed(&mut Decoder::new(Role::Server), &stream, &limits);
        assert_eq!(seen, [Ok(Owned::Binary(vec![7; length]))], "{length}");
        let mut decoder = Decoder::new(Role::Server);
        let seen: Vec<_> = stream.chunks(1000).flat_map(|piece| feed(&mut decoder, piece, &limits)).collect();
        assert_eq!(seen, [Ok(Owned::Binary(vec![7; length]))], "{length} in pieces");
    }
}

#[test]
fn fragments_become_one_message_and_control_frames_pass_between_them() {
    let stream = frames(&[
        (Opcode::Text, false, b"one "),
        (Opcode::Ping, true, b"p"),
        (Opcode::Continuation, false, b""),
        (Opcode::Pong, true, b"q"),
        (Opcode::Continuation, true, b"two"),
        (Opcode::Text, true, b"three"),
    ]);
    let expected = [Ok(Owned::Ping(vec![b'p'])), Ok(Owned::Pong(vec![b'q'])), text("one two"), text("three")];
    assert_eq!(decode(&stream), expected);
}

#[test]
fn fragments_out_of_sequence_are_refused() {
    let lone = frames(&[(Opcode::Continuation, true, b"x")]);
    assert_eq!(decode(&lone), [Err(E::UnexpectedContinuation)]);
    let after_whole = frames(&[(Opcode::Text, true, b"x"), (Opcode::Continuation, false, b"x")]);
    assert_eq!(decode(&after_whole), [text("x"), Err(E::UnexpectedContinuation)]);
    let after_end =
        frames(&[(Opcode::Text, false, b"x"), (Opcode::Continuation, true, b"y"), (Opcode::Continuation, true, b"z")]);
    assert_eq!(decode(&after_end), [text("xy"), Err(E::UnexpectedContinuation)]);
    for opcode in [Opcode::Text, Opcode::Binary] {
        let inside = frames(&[(Opcode::Text, false, b"x"), (opcode, true, b"y")]);
        assert_eq!(decode(&inside), [Err(E::UnfinishedMessage)]);
    }
}

#[test]
fn header_violations_are_refused_after_what_came_before() {
    let good = frames(&[(Opcode::Text, true, b"x")]);
    for (bytes, expected) in [
        (&b"\xc1\x80\0\0\0\0"[..], E::ReservedBits),
        (b"\x83\x80\0\0\0\0", E::UnknownOpcode),
        (b"\x09\x80\0\0\0\0", E::FragmentedControl),
        (b"\x89\xfe\x00\x80\0\0\0\0", E::OversizeControl),
        (b"\x81\x01x", E::Unmasked),
        (b"\x81\xfe\x00\x01\0\0\0\0x", E::NonMinimalLength),
        (b"\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0", E::LengthTooLarge),
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", E::MessageTooLarge),
    ] {
        let stream = [&good, bytes, &good].concat();
        assert_eq!(decode(&stream), [text("x"), Err(expected)]);
    }
}

#[test]
fn errors_have_the_close_codes_of_the_rfc() {
    assert_eq!(E::ReservedBits.close_code(), 1002);
    assert_eq!(E::CloseCode.close_code(), 1002);
    assert_eq!(E::UnexpectedContinuation.close_code(), 1002);
    assert_eq!(E::InvalidUtf8.close_code(), 1007);
    assert_eq!(E::TooManyFragments.close_code(), 1008);
    assert_eq!(E::MessageTooLarge.close_code(), 1009);
}

#[test]
fn message_over_the_limit_is_refused_by_its_header() {
    let limits = Limits { message_bytes_max: 10, fragments_max: 100 };
    let exact = frames(&[(Opcode::Text, true, b"0123456789")]);
    assert_eq!(decode_with(&exact, &limits), [text("0123456789")]);
    let header_only = frames(&[(Opcode::Text, true, b"0123456789a")]);
    assert_eq!(decode_with(&header_only[..6], &limits), [Err(E::MessageTooLarge)]);
    let control = frames(&[(Opcode::Ping, true, b"0123456789a")]);
    assert_eq!(decode_with(&control, &limits), [Ok(Owned::Ping(b"0123456789a".to_vec()))]);
}

#[test]
fn message_over_the_limit_by_its_fragments_is_refused() {
    let limits = Limits { message_bytes_max: 10, fragments_max: 100 };
    let exact = frames(&[(Opcode::Binary, false, b"01234"), (Opcode::Continuation, true, b"56789")]);
    assert_eq!(decode_with(&exact, &limits), [Ok(Owned::Binary(b"0123456789".to_vec()))]);
    let over = frames(&[(Opcode::Binary, false, b"01234"), (Opcode::Continuation, true, b"56789a")]);
    assert_eq!(decode_with(&over[..17], &limits), [Err(E::MessageTooLarge)]);
}

#[test]
fn message_in_too_many_fragments_is_refused() {
    let limits = Limits { message_bytes_max: 100, fragments_max: 3 };
    let mut list: Vec<(Opcode, bool, &[u8])> = vec![(Opcode::Text, false, b"a")];
    list.extend([(Opcode::Continuation, false, &b""[..]), (Opcode::Ping, true, b"")]);
    let exact = [&list[..], &[(Opcode::Continuation, true, b"z")]].concat();
    assert_eq!(decode_with(&frames(&exact), &limits), [Ok(Owned::Ping(vec![])), text("az")]);
    let over = [&list[..], &[(Opcode::Continuation, false, b""), (Opcode::Continuation, true, b"")]].concat();
    assert_eq!(decode_with(&frames(&over), &limits), [Ok(Owned::Ping(vec![])), Err(E::TooManyFragments)]);
}

#[test]
fn empty_fragments_cost_no_memory() {
    let limits = Limits { message_bytes_max: 100, fragments_max: u32::MAX };
    let mut decoder = Decoder::new(Role::Server);
    feed(&mut decoder, &frames(&[(Opcode::Text, false, b"")]), &limits);
    let before = decoder.partial_bytes();
    for _ in 0..10_000 {
        assert!(feed(&mut decoder, &frames(&[(Opcode::Continuation, false, b"")]), &limits).is_empty());
    }
    assert_eq!(decoder.partial_bytes(), before);
}

#[test]
fn memory_grows_with_what_is_received_and_not_with_what_is_declared() {
    let limits = Limits { message_bytes_max: 10 << 20, fragments_max: 10 };
    let mut stream = Vec::new();
    masked_frame(&mut stream, Opcode::Binary, KEY, &vec![7; 10 << 20]);
    let mut decoder = Decoder::new(Role::Server);
    let (head, tail) = stream.split_at(20_000);
    for (index, byte) in head.chunks(1).enumerate() {
        feed(&mut decoder, byte, &limits);
        assert!(decoder.partial_bytes() <= 2 * index + 512, "{} after {index}", decoder.partial_bytes());
    }
    for piece in tail.chunks(100_000) {
        let seen = feed(&mut decoder, piece, &limits);
        assert!(decoder.partial_bytes() <= stream.len() + 512);
        assert_eq!(seen.is_empty(), !decoder.is_idle());
    }
    assert_eq!((decoder.is_idle(), decoder.partial_bytes()), (true, 0));
}

#[test]
fn nothing_is_held_once_everything_is_whole() {
    let stream = frames(&[(Opcode::Text, false, b"a"), (Opcode::Ping, true, b"p"), (Opcode::Continuation, true, b"b")]);
    for cut in 1..stream.len() {
        let mut decoder = Decoder::new(Role::Server);
        feed(&mut decoder, &stream[..cut], &Limits::default());
        assert!(!decoder.is_idle() && decoder.partial_bytes() > 0, "{cut}");
        feed(&mut decoder, &stream[cut..], &Limits::default());
        assert!(decoder.is_idle() && decoder.partial_bytes() == 0, "{cut}");
    }
    let mut decoder = Decoder::new(Role::Server);
    let ping = frames(&[(Opcode::Ping, true, b"ping")]);
    feed(&mut decoder, &ping[..8], &Limits::default());
    assert!(!decoder.is_idle());
    feed(&mut decoder, &ping[8..], &Limits::default());
    assert!(decoder.is_idle());
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let bad: [&[u8]; 12] = [
        b"\xff",
        b"\x80",
        b"a\xc3(",
        b"\xc0\xaf",
        b"\xc1\x81",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xc3",
        b"ok \xf0\x9f\x98",
    ];
    for payload in bad {
        assert_eq!(decode(&frames(&[(Opcode::Text, true, payload)])), [Err(E::InvalidUtf8)], "{payload:?}");
        for cut in 0..=payload.len() {
            let (first, second) = payload.split_at(cut);
            let parts = frames(&[(Opcode::Text, false, first), (Opcode::Continuation, true, second)]);
            assert_eq!(decode(&parts), [Err(E::InvalidUtf8)], "{payload:?} cut at {cut}");
        }
        let binary = frames(&[(Opcode::Binary, false, payload), (Opcode::Continuation, true, b"")]);
        assert_eq!(decode(&binary), [Ok(Owned::Binary(payload.to_vec()))]);
    }
}

#[test]
fn character_may_be_cut_by_fragments_and_control_frames() {
    let whole = "a\u{e9}\u{20ac}\u{1f600}z";
    for cut in 0..=whole.len() {
        let (first, second) = whole.as_bytes().split_at(cut);
        let stream =
            frames(&[(Opcode::Text, false, first), (Opcode::Ping, true, b""), (Opcode::Continuation, true, second)]);
        assert_eq!(decode(&stream), [Ok(Owned::Ping(vec![])), text(whole)]);
    }
}

#[test]
fn broken_text_is_refused_before_its_frame_or_message_is_whole() {
    let payload = b"valid \xe2\x82 and then much more";
    let stream = frames(&[(Opcode::Text, true, payload)]);
    let broken_at = 6 + 8;
    let mut decoder = Decoder::new(Role::Server);
    assert!(feed(&mut decoder, &stream[..broken_at], &Limits::default()).is_empty());
    assert_eq!(feed(&mut decoder, &stream[broken_at..=broken_at], &Limits::default()), [Err(E::InvalidUtf8)]);
    assert!(decoder.is_idle());
    let fragment = frames(&[(Opcode::Text, false, payload)]);
    assert_eq!(feed(&mut Decoder::new(Role::Server), &fragment, &Limits::default()), [Err(E::InvalidUtf8)]);
}

#[test]
fn close_payloads_are_judged() {
    for (payload, expected) in [
        (&b""[..], Ok(Owned::Close(None))),
        (b"\x03\xe8", Ok(Owned::Close(Some((1000, String::new()))))),
        (b"\x03\xf4", Ok(Owned::Close(Some((1012, String::new()))))),
        (b"\x03", Err(E::CloseLength)),
        (b"\x03\xed", Err(E::CloseCode)),
        (b"\x03\xe7", Err(E::CloseCode)),
        (b"\x13\x88", Err(E::CloseCode)),
        (b"\x03\xe8\xed\xa0\x80", Err(E::InvalidUtf8)),
    ] {
        assert_eq!(decode(&frames(&[(Opcode::Close, true, payload)])), [expected], "{payload:?}");
    }
}

#[test]
fn nothing_is_read_after_a_close_frame() {
    let stream = frames(&[(Opcode::Text, false, b"a"), (Opcode::Close, true, b""), (Opcode::Continuation, true, b"b")]);
    assert_eq!(decode(&stream), [Ok(Owned::Close(None))]);
    let mut decoder = Decoder::new(Role::Server);
    feed(&mut decoder, &stream, &Limits::default());
    assert!(decoder.is_idle());
    assert!(feed(&mut decoder, b"\xff\xff\xff", &Limits::default()).is_empty());
}

#[test]
fn nothing_is_read_after_an_error() {
    let mut decoder = Decoder::new(Role::Server);
    let mut input = [&b"\xff\xff"[..], &frames(&[(Opcode::Text, true, b"x")])].concat();
    let mut messages = decoder.decode(&mut input, &Limits::default());
    assert_eq!(messages.next(), Some(Err(E::ReservedBits)));
    assert_eq!(messages.next(), None);
    assert!(messages.rest().is_empty());
    assert!(feed(&mut decoder, &frames(&[(Opcode::Text, true, b"x")]), &Limits::default()).is_empty());
}

#[test]
fn caller_that_stops_early_gets_the_rest_later() {
    let stream = frames(&[
        (Opcode::Text, true, b"one"),
        (Opcode::Text, false, b"t"),
        (Opcode::Ping, true, b"p"),
        (Opcode::Continuation, true, b"wo"),
        (Opcode::Text, true, b"three"),
    ]);
    let mut decoder = Decoder::new(Role::Server);
    let mut rest = stream;
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let mut messages = decoder.decode(&mut rest, &Limits::default());
        seen.extend(messages.next().map(|message| message.map(Owned::from)));
        rest = messages.rest().to_vec();
    }
    assert_eq!(seen, [text("one"), Ok(Owned::Ping(vec![b'p'])), text("two"), text("three")]);
}

/// Makes a random stream and the messages that it holds.
fn random_stream(random: &mut fastrand::Rng) -> (Vec<u8>, Vec<Result<Owned, E>>) {
    let (mut stream, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..random.usize(1..12) {
        let length = [3, 100, 126, 300, 5000][random.usize(..5)];
        let count = random.usize(..length);
        let words: String = (0..count).map(|_| if random.u8(..4) == 0 { random.char(..) } else { 'a' }).collect();
        let is_text = words.len().is_multiple_of(2);
        let mut opcode = if is_text { Opcode::Text } else { Opcode::Binary };
        let mut rest = words.as_bytes();
        for _ in 0..random.usize(..4) {
            let (piece, after) = rest.split_at(random.usize(..=rest.len()));
            masked_fragment(&mut stream, opcode, false, random.u32(..).to_le_bytes(), piece);
            (opcode, rest) = (Opcode::Continuation, after);
            if random.bool() {
                let length = random.usize(..126);
                let payload: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
                masked_frame(&mut stream, Opcode::Ping, random.u32(..).to_le_bytes(), &payload);
                expected.push(Ok(Owned::Ping(payload)));
            }
        }
        masked_fragment(&mut stream, opcode, true, random.u32(..).to_le_bytes(), rest);
        expected.push(Ok(if is_text { Owned::Text(words) } else { Owned::Binary(words.into_bytes()) }));
    }
    (stream, expected)
}

/// Decodes in pieces of random lengths, stopping early at times.
fn decode_chopped(stream: &[u8], random: &mut fastrand::Rng) -> Vec<Result<Owned, E>> {
    let limits = Limits { message_bytes_max: 1 << 20, fragments_max: 10 };
    let longest = [1, 2, 16, 1000, stream.len()][random.usize(..5)];
    let mut decoder = Decoder::new(Role::Server);
    let (mut seen, mut held, mut at) = (Vec::new(), Vec::new(), 0);
    while at < stream.len() || !held.is_empty() {
        let length = random.usize(1..=longest).min(stream.len() - at);
        held.extend_from_slice(&stream[at..at + length]);
        at += length;
        let mut messages = decoder.decode(&mut held, &limits);
        let most = if random.bool() { usize::MAX } else { random.usize(..3) };
        let mut count = 0;
        while count < most {
            let Some(message) = messages.next() else {
                break;
            };
            seen.push(message.map(Owned::from));
            count += 1;
        }
        held = messages.rest().to_vec();
        assert!(decoder.partial_bytes() <= 2 * at + 1024);
    }
    assert!(decoder.is_idle(), "everything was whole");
    seen
}

/// The seeds to try: so many fixed ones and a fresh one, or the one that is to be replayed.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..count).chain([fastrand::u64(..)]).collect(),
    }
}

#[test]
fn random_streams_survive_any_chopping() {
    for seed in seeds(300) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (stream, expected) = random_stream(&mut random);
        for _ in 0..3 {
            let seen = decode_chopped(&stream, &mut random);
            assert!(seen == expected, "SEED={seed}: {} messages where {} were sent", seen.len(), expected.len());
        }
    }
}

#[test]
fn garbage_decodes_the_same_however_it_is_chopped() {
    for seed in seeds(3000) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stream = random_stream(&mut random).0;
        stream.truncate(400);
        for _ in 0..random.usize(..4) {
            let at = random.usize(..stream.len());
            stream[at] = random.u8(..);
        }
        let limits = Limits { message_bytes_max: 200, fragments_max: 3 };
        let mut decoder = Decoder::new(Role::Server);
        let whole = feed(&mut decoder, &stream, &limits);
        let mut pieces = Decoder::new(Role::Server);
        let (mut seen, mut rest) = (Vec::new(), &stream[..]);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.usize(1..=rest.len()));
            seen.extend(feed(&mut pieces, piece, &limits));
            rest = after;
        }
        assert_eq!(seen, whole, "SEED={seed}");
        assert_eq!(pieces.is_idle(), decoder.is_idle(), "SEED={seed}");
    }
}
