//! Packets of Socket.IO, with attachments for those that have some. What is read is JSON, keeps its limits, and is
//! written again as it was; what we say of it, frames and attachments, is well-formed.
#![no_main]

use codec::engineio::Version;
use codec::json::JsonLimits;
use codec::message::RawJson;
use codec::socketio::encode::{AnswerShape, answer, event};
use codec::socketio::{Limits, Packet, fill};
use libfuzzer_sys::fuzz_target;
use socketshard_codec_fuzz::json::is_json;

const LIMITS: Limits = Limits { json: JsonLimits { depth_max: 8 }, attachments_max: 3, namespace_bytes_max: 8 };

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(packet) = Packet::decode(text, &LIMITS) else { return };
    assert!(packet.namespace.len() <= LIMITS.namespace_bytes_max);
    assert!(packet.attachments.is_none_or(|count| count <= LIMITS.attachments_max));
    assert!(packet.data.is_none_or(|data| is_json(data.as_str())));
    let mut out = Vec::new();
    packet.write(&mut out);
    let written = std::str::from_utf8(&out).expect("a packet is text");
    let again = Packet::decode(written, &LIMITS).expect("it was just written");
    assert_eq!((&again.name, again.arguments, again.address), (&packet.name, packet.arguments, packet.address));
    assert_eq!(packet.arguments.iter(LIMITS.json).count(), packet.arguments.count);
    let mut scratch = String::new();
    let Some(data) = packet.arguments.data(&mut scratch) else { return };
    assert!(is_json(data.as_str()));
    let mut filled = String::new();
    if fill(&mut filled, data.as_str(), &[vec![1], vec![], vec![2; 9]]) {
        assert!(is_json(&filled), "{filled}");
        for (version, offset) in [(Version::V3, None), (Version::V4, Some(7))] {
            let mut frames = Vec::new();
            event(&mut frames, version, "", "n", Some(RawJson::from_validated(&filled)), offset);
            answer(&mut frames, version, "1", AnswerShape::Single, Err(RawJson::from_validated(&filled)));
        }
    }
});
