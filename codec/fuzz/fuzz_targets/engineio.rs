//! Bodies and packets of Engine.IO. The first byte chooses the protocol and how the body is meant; the packets that are
//! read are written again and must be read as the same.
#![no_main]

use codec::engineio::{Encoding, Item, Packet, Reader, Version, read_form, write_binary_packet, write_text_packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V3 } else { Version::V4 };
    let is_octets = choice & 2 != 0;
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = read_form(text);
        let _ = Packet::from_text(version, text);
    }
    let _ = Packet::from_binary(version, body);
    let Ok(items) = Reader::new(version, is_octets, body).collect::<Result<Vec<_>, _>>() else { return };
    let encoding = Encoding::choose(version, is_octets, true);
    let mut out = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::Text(text) => write_text_packet(&mut out, encoding, text, index == 0),
            Item::Binary(bytes) => write_binary_packet(&mut out, encoding, bytes, index == 0),
        }
    }
    if out.is_empty() {
        return; // One empty packet of protocol 4.
    }
    let again: Vec<_> = Reader::new(version, is_octets, &out).collect::<Result<_, _>>().expect("it was just written");
    assert_eq!(again, items);
});
