//! Names: the rules are what they say, and a name that passes them travels through every message unchanged.
#![no_main]

use std::borrow::Cow;

use codec::json::{unescape, write_string};
use codec::message::{ClientMessage, RawJson};
use codec::name::{NameError, NameLimits};
use codec::socketcluster::client::{self, ServerMessage};
use codec::socketcluster::{Decoder, Limits, encode};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(name) = std::str::from_utf8(input) else { return };
    let mut json = Vec::new();
    write_string(&mut json, name);
    let json = std::str::from_utf8(&json).expect("JSON is text");
    assert_eq!(unescape(RawJson::from_validated(json)).as_deref(), Some(name));
    assert_eq!(serde_json::to_string(name).expect("serialises"), json);

    let limits = NameLimits { channel_name_bytes_max: 40, action_name_bytes_max: 20 };
    let expected = match name {
        "" => Err(NameError::Empty),
        _ if name.len() > 40 => Err(NameError::TooLong { name_bytes_max: 40 }),
        _ if name.chars().any(char::is_control) => Err(NameError::ControlCharacter),
        _ => Ok(()),
    };
    assert_eq!(limits.check_channel(name), expected);
    assert_eq!(limits.check_action(name).is_ok(), expected.is_ok() && name.len() <= 20);
    if expected.is_err() {
        return;
    }
    let limits = Limits { names: limits, ..Limits::default() };
    let mut out = Vec::new();
    client::subscribe_plain(&mut out, name, None);
    let text = String::from_utf8(out).expect("JSON is text");
    let mut decoder = Decoder::new(limits);
    let messages: Vec<_> = decoder.decode(&text).expect("what we write is valid").collect();
    let channel = Cow::Borrowed(name);
    assert_eq!(messages, [ClientMessage::Subscribe { channel: channel.clone(), data: None, call: None }]);

    let mut out = Vec::new();
    encode::kick_out(&mut out, name, name);
    let text = String::from_utf8(out).expect("JSON is text");
    let mut decoder = client::Decoder::new(limits);
    let messages: Vec<_> = decoder.decode(&text).expect("what we write is valid").collect();
    assert_eq!(messages, [ServerMessage::KickOut { channel: channel.clone(), message: Some(channel) }]);
});
