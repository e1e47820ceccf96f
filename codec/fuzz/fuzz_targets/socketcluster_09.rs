//! Packets of SocketCluster 0.9. What is read is JSON, and a packet that is written is read again as it was.
#![no_main]

use codec::json::JsonLimits;
use codec::message::{ClientMessage, RawJson};
use codec::socketcluster::Limits;
use codec::socketcluster::v09::{self, Message, Packet};
use libfuzzer_sys::fuzz_target;
use socketshard_codec_fuzz::json::is_json;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let limits = Limits { json: JsonLimits { depth_max: 8 }, ..Limits::default() };
    let message = v09::decode(text, &limits);
    let Some(packet) = Packet::decode(text, limits.json) else {
        assert!(message.is_none(), "a message is a packet");
        return;
    };
    let is_known = packet.event.is_some() || packet.call.is_some();
    for value in [packet.data, packet.error, packet.call.map(|call| RawJson::from_validated(call.as_str()))] {
        assert!(value.is_none_or(|value| is_json(value.as_str())));
    }
    if is_known {
        let mut out = Vec::new();
        packet.write(&mut out);
        let written = std::str::from_utf8(&out).expect("a packet is text");
        let again = Packet::decode(written, limits.json).expect("it was just written");
        assert_eq!((&again.event, again.data, again.call), (&packet.event, packet.data, packet.call));
    }
    if let Some(Message::Common(ClientMessage::Subscribe { channel, .. })) = &message {
        assert!(!v09::is_reserved(channel) && limits.names.check_channel(channel).is_ok());
    }
});
