//! Replays recorded conversations of Engine.IO and Socket.IO, both directions, through the codec: every packet on a
//! WebSocket and every payload of long-polling is read and written again, byte for byte. Counts are asserted, so that
//! nothing is skipped unseen.

use serde_json::Value;
use socketshard_codec::base64;
use socketshard_codec::engineio::{Encoding, Item, Packet, Reader, Version, write_binary_packet, write_text_packet};
use socketshard_codec::socketio;

macro_rules! transcript {
    ($name:literal) => {
        include_str!(concat!("../../../tests/data/transcripts/", $name, ".jsonl"))
    };
}

const EIO_3: &str = transcript!("eio-v3-server3.6-client3.5");
const EIO_3_OCTETS: &str = transcript!("eio-v3-binary-payload");
const EIO_4: &str = transcript!("eio-v4-server6.6-client6.6");
const SIO_4: &str = transcript!("sio-v4-server2.5-client2.5");
const SIO_4_COMPATIBLE: &str = transcript!("sio-v4compat-server4.8-allowEIO3-client2.5");
const SIO_5: &str = transcript!("sio-v5-server4.8-client4.8");
const SIO_5_PYTHON: &str = transcript!("sio-v5-server4.8-python-socketio5.18");

fn lines(transcript: &str) -> impl Iterator<Item = Value> {
    transcript.lines().map(|line| serde_json::from_str(line).expect("one object per line"))
}

/// Steps that begin so are not a reference client's.
fn is_raw(line: &Value) -> bool {
    line["note"].as_str().expect("every line has a note").starts_with("raw")
}

fn bytes(line: &Value, field: &str) -> Option<Vec<u8>> {
    if let Some(text) = line[field].as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let mut out = Vec::new();
    base64::decode(&mut out, line[format!("{field}_b64")].as_str()?).then_some(out)
}

/// Texts of WebSocket messages that are packets, and those that are none.
fn replay_packets(transcript: &str, version: Version) -> (usize, Vec<String>) {
    let (mut good, mut bad) = (0, Vec::new());
    for line in lines(transcript) {
        match line["t"].as_str() {
            Some("text") => {
                let text = line["data"].as_str().expect("text has data");
                match Packet::from_text(version, text) {
                    Some(_) => good += 1,
                    None => bad.push(text.to_owned()),
                }
            }
            Some("bin") => {
                let bytes = bytes(&line, "data").expect("binary has data");
                assert!(matches!(Packet::from_binary(version, &bytes), Some(Packet::Binary(_))), "{bytes:?}");
                good += 1;
            }
            _ => {}
        }
    }
    (good, bad)
}

/// Socket.IO packets that are read and written again, and those that are refused.
fn replay_messages(transcript: &str, version: Version) -> (usize, Vec<String>) {
    let limits = socketio::Limits::default();
    let (mut good, mut bad) = (0, Vec::new());
    for line in lines(transcript).filter(|line| line["t"] == "text") {
        let text = line["data"].as_str().expect("text has data");
        let Some(Packet::Text(message)) = Packet::from_text(version, text) else { continue };
        match socketio::Packet::decode(message, &limits) {
            Ok(packet) => {
                let mut out = Vec::new();
                packet.write(&mut out);
                assert_eq!(std::str::from_utf8(&out), Ok(message));
                good += 1;
            }
            Err(_) => {
                assert!(is_raw(&line), "{message} is a real client's");
                bad.push(message.to_owned());
            }
        }
    }
    (good, bad)
}

/// Whether a body is a payload: what is answered with 200 and asked by polling.
fn is_payload(line: &Value) -> bool {
    let kind = line["headers"]["content-type"].as_str().unwrap_or_default();
    let is_answer = line["dir"] == "s2c";
    let body = line["body"].as_str().unwrap_or_default();
    line["t"] == "http"
        && !is_raw(line)
        && (!is_answer || line["status"] == 200)
        && !kind.starts_with("text/html")
        && !body.starts_with("___eio")
}

/// Payloads that are read and written again.
fn replay_payloads(transcript: &str, version: Version) -> usize {
    let mut count = 0;
    for line in lines(transcript).filter(is_payload) {
        let Some(body) = bytes(&line, "body").filter(|body| !body.is_empty()) else { continue };
        let is_octets = line["headers"]["content-type"] == "application/octet-stream";
        let encoding = Encoding::choose(version, is_octets, is_octets);
        let mut out = Vec::new();
        for (index, item) in Reader::new(version, is_octets, &body).enumerate() {
            match item.unwrap_or_else(|error| panic!("{error}: {line}")) {
                Item::Text(text) => {
                    assert!(Packet::from_text(version, text).is_some(), "{text}");
                    write_text_packet(&mut out, encoding, text, index == 0);
                }
                Item::Binary(bytes) => write_binary_packet(&mut out, encoding, bytes, index == 0),
            }
        }
        assert_eq!(out, body, "{line}");
        count += 1;
    }
    count
}

/// Every recording with its protocol.
const ALL: [(&str, Version); 7] = [
    (EIO_3, Version::V3),
    (EIO_3_OCTETS, Version::V3),
    (EIO_4, Version::V4),
    (SIO_4, Version::V3),
    (SIO_4_COMPATIBLE, Version::V3),
    (SIO_5, Version::V4),
    (SIO_5_PYTHON, Version::V4),
];

#[test]
fn packets_of_every_client_and_server_are_read() {
    let outcomes = ALL.map(|(transcript, version)| replay_packets(transcript, version));
    let good: Vec<_> = outcomes.iter().map(|(good, _)| *good).collect();
    assert_eq!(good, [56, 0, 49, 208, 197, 216, 28]);
    assert_eq!(outcomes.map(|(_, bad)| bad).concat(), ["zzz"; 5]);
}

#[test]
fn messages_of_socket_io_are_read_and_written_as_they_were() {
    let outcomes = [ALL[3], ALL[4], ALL[5], ALL[6]].map(|(transcript, version)| replay_messages(transcript, version));
    let good: Vec<_> = outcomes.iter().map(|(good, _)| *good).collect();
    assert_eq!(good, [134, 123, 144, 18]);
    let refused = [
        "0\"abc\"",
        "0[1]",
        "0{\"a\"",
        "9",
        "2[\"echo\"",
        "2{\"a\":1}",
        "2[]",
        "2[\"disconnect\"]",
        "2[\"connect_error\"]",
        "51[\"echo\"]",
    ];
    assert_eq!(outcomes.map(|(_, bad)| bad).concat(), [refused; 3].concat());
}

#[test]
fn payloads_of_long_polling_are_read_and_written_as_they_were() {
    assert_eq!(ALL.map(|(transcript, version)| replay_payloads(transcript, version)), [34, 8, 24, 12, 14, 15, 12]);
}
