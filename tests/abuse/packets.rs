//! Messages that SocketCluster forbids or does not know: what ends a connection ends it with the right code, all else
//! is ignored and the connection goes on.

use harness::member::{Member, PATH};
use harness::server::Server;
use harness::websocket::{Received, WebSocket};
use serde_json::json;

use crate::guard::{FLOOD_BYTES, SLACK_BYTES, survives};

/// Enough for texts of some hundred thousand brackets.
const LONG_MESSAGES: [&str; 4] = ["--max-message", "1MiB", "--outbox-bytes-max", "2MiB"];

#[test]
fn anything_before_the_handshake_is_closed_with_4009() {
    let early = [
        r#"{"event":"app.square","data":25,"cid":1}"#,
        r##"{"event":"#subscribe","data":{"channel":"early"},"cid":1}"##,
        r##"{"event":"#publish","data":{"channel":"early","data":1}}"##,
        r##"{"event":"#handshake"##,
        "garbage",
        "null",
        "{}",
        "[]",
    ];
    survives(&[], SLACK_BYTES, |server| {
        for text in early {
            let mut socket = WebSocket::connect(server.address(), PATH);
            socket.send_text(text);
            assert_eq!(socket.expect_close().0, 4009, "{text}");
        }
    });
}

#[test]
fn a_handshake_that_wants_no_answer_is_closed_with_4008() {
    survives(&[], SLACK_BYTES, |server| {
        let mut socket = WebSocket::connect(server.address(), PATH);
        socket.send_text(r##"{"event":"#handshake","data":{"authToken":null}}"##);
        assert_eq!(socket.expect_close().0, 4008);
    });
}

#[test]
fn no_handshake_in_time_is_closed_with_4005() {
    survives(&["--handshake-timeout", "300ms"], SLACK_BYTES, |server| {
        let mut socket = WebSocket::connect(server.address(), PATH);
        assert_eq!(socket.expect_close().0, 4005);
    });
}

#[test]
fn a_client_that_falls_silent_is_closed_with_4001() {
    survives(&["--ping-interval", "200ms", "--ping-timeout", "1s"], SLACK_BYTES, |server| {
        let mut socket = Member::connect(server.address()).into_socket();
        // Heartbeats come, nothing is said, and that is the end.
        let mut pings = 0;
        let code = loop {
            match socket.receive() {
                Received::Text(ping) if ["", "#1", "1"].contains(&ping.as_str()) => pings += 1,
                Received::Text(packet) => assert!(packet.contains("#disconnect"), "an unexpected packet: {packet}"),
                Received::Close(close) => break close.expect("the server gives a code").0,
                other => panic!("expected heartbeats and a close frame, received {other:?}"),
            }
        };
        assert_eq!(code, 4001);
        assert!(pings > 0, "nobody is judged silent who was not asked");
    });
}

#[test]
fn a_client_that_goes_on_talking_is_not_silent() {
    survives(&["--ping-interval", "500ms", "--ping-timeout", "2s"], SLACK_BYTES, |server| {
        let mut member = Member::connect(server.address());
        // Answers every heartbeat of its dialect while it waits: ten of them are more than two time-outs.
        member.hear_heartbeats(10);
        assert_eq!(member.call("app.square", &json!(3)), Ok(json!(9)));
    });
}

#[test]
fn json_in_a_binary_frame_counts_as_text_and_other_bytes_are_ignored() {
    still_serves(&[], |member| {
        member.socket().send_binary(b"\x00\xff\xfe garbage");
        member.socket().send_binary(b"");
        member.socket().send_binary(br#"{"event":"app.square","data":12,"cid":"from binary"}"#);
        assert_eq!(member.packet(), json!({ "rid": "from binary", "data": 144 }));
    });
}

#[test]
fn what_is_no_packet_is_ignored() {
    still_serves(&[], |member| {
        let shapes = [
            "garbage",
            "{",
            "}",
            "[",
            "]",
            "{]",
            "[}",
            "\"text\"",
            "0",
            "-",
            "1e",
            "nul",
            "null",
            "true",
            "[1,2,3]",
            "[[]]",
            "{}",
            r#"{"event":7}"#,
            r#"{"event":null,"cid":1}"#,
            r#"{"event":"","cid":1}"#,
            r#"{"data":1,"cid":1}"#,
            r#"{"event":"app.square","data":,"cid":1}"#,
            r#"{"event":"app.square" "data":1}"#,
            r#"{'event':'app.square'}"#,
            "{\"event\":\"line\nfeed\"}",
            r#"{"event":"\ud800"}"#,
            r#"{"event":"\x41"}"#,
            r#"{"rid":99,"data":1}"#,
            r#"{"rid":{},"error":[]}"#,
            "\u{feff}{}",
            "\u{2028}",
            "// comment",
            "NaN",
            "Infinity",
            "01",
            "1.",
            ".5",
            "+1",
        ];
        for shape in shapes {
            member.socket().send_text(shape);
        }
    });
}

#[test]
fn broken_json_in_a_call_is_not_acted_upon() {
    still_serves(&[], |member| {
        member.subscribe("intact");
        for data in ["01", "[1,]", r#"{"a":1,}"#, "tru", r#""\u12""#, "\"tab\there\"", "[", "1]", "1}", r#""a" "b""#] {
            let text = format!(r##"{{"event":"#publish","data":{{"channel":"intact","data":{data}}},"cid":1}}"##);
            member.socket().send_text(&text);
        }
        member.publish("intact", &json!("the only one"));
        assert_eq!(member.publication(), ("intact".to_owned(), json!("the only one")));
    });
}

/// Far deeper than any parser that recurses can stand: 100,000 levels are 8 MB of stack at 80 bytes each.
#[test]
fn nesting_of_100_000_levels_is_ignored() {
    still_serves(&LONG_MESSAGES, |member| {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            member.socket().send_text(&deep);
            member.socket().send_text(&open.repeat(100_000));
            member.socket().send_text(&format!(r#"{{"event":"app.echo","data":{deep}}}"#));
            member
                .socket()
                .send_text(&format!(r##"{{"event":"#publish","data":{{"channel":"deep","data":{deep}}}}}"##));
        }
    });
}

#[test]
fn an_array_of_too_many_packets_is_bounded_work() {
    survives(&LONG_MESSAGES, FLOOD_BYTES, |server| {
        let mut member = Member::connect(server.address());
        let calls = |count| vec![r#"{"event":"app.square","data":2}"#; count].join(",");
        let before = server.count("calls");
        for packets in [vec!["{}"; 300_000].join(","), calls(30_000), calls(1_001)] {
            member.socket().send_text(&format!("[{packets}]"));
        }
        assert_eq!(member.call("app.square", &json!(3)), Ok(json!(9)));
        assert_eq!(server.count("calls") - before, 1, "of an array of more than 1,000 nothing is looked at");
        member.socket().send_text(&format!("[{}]", calls(1_000)));
        assert_eq!(member.call("app.square", &json!(3)), Ok(json!(9)));
        assert_eq!(server.count("calls") - before, 1_002);
    });
}

#[test]
fn a_second_handshake_changes_nothing() {
    still_serves(&[], |member| {
        member.subscribe("kept");
        member.socket().send_text(r##"{"event":"#handshake","data":{"authToken":null},"cid":"again"}"##);
        member.socket().send_text(r##"{"event":"#handshake","cid":"and again"}"##);
        // Whether or not those are answered, which the protocol leaves open.
        member.socket().send_text(r##"{"event":"#publish","data":{"channel":"kept","data":1}}"##);
        assert_eq!(member.publication(), ("kept".to_owned(), json!(1)));
    });
}

/// A member does something odd; then the same connection must still be served.
fn still_serves(flags: &[&str], odd: impl FnOnce(&mut Member)) {
    // Long messages are copied and indexed before they are judged: some ten times their length, once for each shard.
    let growth_bytes_max = if flags == LONG_MESSAGES { FLOOD_BYTES } else { SLACK_BYTES };
    survives(flags, growth_bytes_max, |server: &Server| {
        let mut member = Member::connect(server.address());
        odd(&mut member);
        let text = r#"{"event":"app.square","data":25,"cid":"after all that"}"#;
        member.socket().send_text(text);
        loop {
            let packet = member.packet();
            if packet["rid"] == json!("after all that") {
                assert_eq!(packet["data"], json!(625));
                break;
            }
            assert!(packet["data"].is_null(), "only refusals may come before: {packet}");
        }
    });
}
