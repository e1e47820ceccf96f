//! What servers send: every message has parts that are what they should be and survives being written again.
#![no_main]

use codec::socketcluster::DecodeError;
use codec::socketcluster::client::{Decoder, ServerMessage};
use socketshard_codec_fuzz::json::is_json;
use socketshard_codec_fuzz::socketcluster::{LIMITS, check_server_message};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut decoder = Decoder::new(LIMITS);
    match decoder.decode(text).map(Iterator::collect::<Vec<_>>) {
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
