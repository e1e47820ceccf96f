//! Counts allocations: once its buffers have grown, a decoder handles ordinary messages without any, and the encoders
//! have none beyond the growth of their output. A binary of its own, because the counter is the process's allocator.
#![allow(unsafe_code)] // a global allocator cannot be written without

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use socketshard_codec::http::{self, HeaderStorage};
use socketshard_codec::message::{CallId, RawJson};
use socketshard_codec::socketcluster::errors::WireError;
use socketshard_codec::socketcluster::{Decoder, Limits, client, encode};
use socketshard_codec::websocket::deflate::Deflater;
use socketshard_codec::websocket::inflate::Inflater;
use socketshard_codec::websocket::{self, Opcode, encode as frames};

struct Counting;

thread_local! {
    /// Per thread, so that the test harness's own threads do not count.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches only a thread-local cell that needs no
// allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        BYTES.with(|count| count.set(count.get() + layout.size()));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and every block came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `realloc`'s contract, and every block came from `System`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of a second run: the first one lets buffers grow.
fn allocations(mut run: impl FnMut()) -> usize {
    run();
    let before = ALLOCATIONS.with(Cell::get);
    run();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8]))), 1);
}

#[test]
fn decoding_ordinary_messages_allocates_nothing() {
    let large = format!(r##"{{"event":"#publish","data":{{"channel":"c","data":"{}"}}}}"##, "x".repeat(100_000));
    let texts = [
        "",
        "#2",
        r##"{"event":"#handshake","data":{"authToken":null},"cid":1}"##,
        r#"{"event":"app.square","data":25,"cid":7}"#,
        r##"{"event":"#publish","data":{"channel":"news","data":{"text":"hello","n":[1,2,{"x":null}]}},"cid":19}"##,
        r##"{"cid": 1, "data": {"channel": "n\u00e9ws", "data": "\ud83d\ude00"}, "event": "\u0023publish"}"##,
        r##"{"event":"#subscribe","data":{"channel":"news"},"cid":13}"##,
        r##"{"event":"#unsubscribe","data":"news"}"##,
        r#"{"rid":1,"data":{"answer":2}}"#,
        r#"[{"event":"a","data":1},{"event":"b","data":[{}]}]"#,
        large.as_str(),
    ];
    let mut decoder = Decoder::new(Limits::default());
    let mut messages = 0;
    let count = allocations(|| {
        for text in texts {
            messages += decoder.decode(text).expect("valid").count();
        }
    });
    assert_eq!(messages, 2 * (texts.len() + 1));
    assert_eq!(count, 0);
}

#[test]
fn refusing_messages_allocates_nothing() {
    let texts = ["hello", "{\"a\":", "[[[[[[", "{\"event\":\"a\",\"data\":01}"];
    let mut decoder = Decoder::new(Limits::default());
    let count = allocations(|| texts.iter().for_each(|text| assert!(decoder.decode(text).is_err())));
    assert_eq!(count, 0);
}

#[test]
fn decoding_what_servers_send_allocates_nothing() {
    let texts = [
        "",
        r##"{"event":"#publish","data":{"channel":"news","data":{"sequence":1,"sent":123456}}}"##,
        r#"{"rid":7,"data":625}"#,
        r##"{"event":"#kickOut","data":{"channel":"c","message":"m"}}"##,
    ];
    let mut decoder = client::Decoder::new(Limits::default());
    let mut messages = 0;
    let count = allocations(|| {
        for text in texts {
            messages += decoder.decode(text).expect("valid").count();
        }
    });
    assert_eq!((messages, count), (2 * texts.len(), 0));
}

#[test]
fn encoding_into_a_buffer_with_room_allocates_nothing() {
    let mut out = Vec::with_capacity(4_096);
    let call = CallId::new(RawJson::from_validated("\"7\""));
    let data = Some(RawJson::from_validated("{\"a\":1}"));
    let count = allocations(|| {
        out.clear();
        encode::reply(&mut out, call, data);
        encode::publication(&mut out, "a \"quoted\" channel", data);
        encode::handshake_reply(&mut out, call, "id", 20_000, false, None);
        encode::kick_out(&mut out, "c", "m");
        encode::invoke(&mut out, "event", data, u64::MAX);
        let error = WireError::SubscriptionLimit { channel: "c", connection: "id", subscriptions_max: 1_000 };
        encode::reply_wire_error(&mut out, call, &error);
        client::publish(&mut out, "c", data, Some(1));
        client::handshake(&mut out, Some("token"), 1);
    });
    assert_eq!(count, 0);
}

#[test]
fn decoding_whole_frames_allocates_nothing() {
    let mut stream = Vec::new();
    for length in [0, 100, 126, 70_000] {
        websocket::encode::masked_frame(&mut stream, Opcode::Text, [1, 2, 3, 4], "x".repeat(length).as_bytes());
        websocket::encode::masked_frame(&mut stream, Opcode::Ping, [1, 2, 3, 4], b"ping");
    }
    let mut input = stream.clone();
    let mut frames = websocket::Decoder::new(websocket::Role::Server);
    let mut seen = 0;
    let count = allocations(|| {
        input.copy_from_slice(&stream);
        let mut messages = frames.decode(&mut input, &websocket::Limits::default());
        while let Some(message) = messages.next() {
            message.expect("good");
            seen += 1;
        }
    });
    assert_eq!((seen, count), (2 * 8, 0));
}

#[test]
fn frame_in_two_pieces_costs_its_state_and_its_payload() {
    let mut stream = Vec::new();
    websocket::encode::masked_frame(&mut stream, Opcode::Binary, [1, 2, 3, 4], &[7; 200]);
    let mut input = stream.clone();
    let mut frames = websocket::Decoder::new(websocket::Role::Server);
    let count = allocations(|| {
        input.copy_from_slice(&stream);
        let (first, second) = input.split_at_mut(50);
        assert!(frames.decode(first, &websocket::Limits::default()).next().is_none());
        assert!(frames.decode(second, &websocket::Limits::default()).next().is_some());
    });
    assert_eq!(count, 2);
    assert!(frames.is_idle());
}

#[test]
fn handshake_allocates_nothing_but_the_text_of_its_proof() {
    let mut request = Vec::new();
    websocket::handshake::write_request(&mut request, "localhost", "/", [7; 16], &[("Origin", "http://localhost")]);
    let mut out = Vec::with_capacity(512);
    let count = allocations(|| {
        out.clear();
        let mut storage = HeaderStorage::new();
        let parsed = http::request::parse(&request, &mut storage, http::HEAD_BYTES_MAX);
        let (head, _) = parsed.expect("good").expect("whole");
        let accept = websocket::handshake::accept(&head).expect("good");
        websocket::handshake::write_response(&mut out, &accept, None);
    });
    // tungstenite's `derive_accept_key` returns a string.
    assert_eq!(count, 1);
}

/// Bytes allocated meanwhile.
fn bytes<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = BYTES.with(Cell::get);
    let made = run();
    (BYTES.with(Cell::get) - before, made)
}

/// What README and protocol.md say of the memory of a context.
#[test]
fn compressors_take_as_much_memory_as_is_said() {
    for (window_bits, kib) in [(9, 246), (15, 372)] {
        let (bytes, _deflater) = bytes(|| Deflater::new(1, window_bits));
        assert_eq!(bytes.div_ceil(1024), kib, "a compressor of {window_bits} bits");
    }
    let mut inflater = Inflater::new(true);
    let mut out = Vec::with_capacity(64);
    let (bytes, ()) = bytes(|| inflater.inflate(&[0], 10, &mut out).expect("an empty message"));
    assert_eq!(bytes.div_ceil(1024), 47, "a decompressor");
}

#[test]
fn compressing_and_inflating_allocate_nothing() {
    let text = "a message like many others, ".repeat(100);
    let mut plain = Vec::new();
    frames::frame(&mut plain, Opcode::Text, text.as_bytes());
    let (mut deflater, mut out, mut scratch) = (Deflater::new(1, 15), Vec::new(), Vec::new());
    for takes_over in [false, true] {
        let count = allocations(|| {
            out.clear();
            out.extend_from_slice(&plain);
            assert_eq!(deflater.deflate_frames(&mut out, 0, 100, takes_over, &mut scratch).frames, 1);
        });
        assert_eq!(count, 0, "compressing");
    }
    let mut payload = Vec::new();
    Deflater::new(1, 15).deflate(text.as_bytes(), &mut payload);
    let (mut inflater, mut inflated) = (Inflater::new(false), Vec::new());
    let count = allocations(|| inflater.inflate(&payload, 1 << 20, &mut inflated).expect("our own"));
    assert_eq!(count, 0, "inflating");
    assert_eq!(inflated, text.as_bytes());
}
