//! What servers send: every message has parts that are what they should be and survives being written again.
#![no_main]

use codec::socketcluster::DecodeError;
use codec::socketcluster::client::{Decoder, ServerMessage};
use socketshard_codec_fuzz::json::is_json;
use socketshard_codec_fuzz::socketcluster::{LIMITS, check_server_message};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut decoder = Decoder::new(LIMITS);
    let messages = decoder.decode(text).map(Iterator::collect::<Vec<_>>);
    // Packets as servers write them have a way of their own; a space makes the general one read them.
    if let Some(rest) = text.strip_prefix('{') {
        let spaced = format!("{{ {rest}");
        let mut other = Decoder::new(LIMITS);
        let again = other.decode(&spaced).map(Iterator::collect::<Vec<_>>);
        assert_eq!(again.is_ok(), messages.is_ok());
        assert_eq!(again.ok(), messages.as_ref().ok().cloned());
    }
    match messages {
        Ok(messages) => {
            assert!(messages.len() <= LIMITS.batch_messages_max);
            assert!(is_json(text) || matches!(messages[..], [ServerMessage::Ping(_)]));
            messages.iter().for_each(check_server_message);
        }
        Err(DecodeError::BatchTooLong { .. }) => assert!(is_json(text)),
        Err(DecodeError::Json(_)) => {}
        Err(DecodeError::NotText) => panic!("this is text"),
    }
});
