//! What clients send: every message has parts that are what they should be and survives being written again; white
//! space around a text changes nothing, nor does the kind of frame that it came in.
#![no_main]

use codec::message::ClientMessage;
use codec::socketcluster::{DecodeError, Decoder, Dialect};
use socketshard_codec_fuzz::json::is_json;
use socketshard_codec_fuzz::socketcluster::{LIMITS, check_client_message};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut decoder = Decoder::new(LIMITS);
    let Ok(text) = std::str::from_utf8(input) else {
        assert!(matches!(decoder.decode_binary(input), Err(DecodeError::NotText)));
        return;
    };
    let messages: Result<Vec<_>, _> = decoder.decode(text).map(|messages| {
        let expected = messages.len();
        let messages: Vec<_> = messages.collect();
        assert_eq!(messages.len(), expected);
        messages
    });
    match &messages {
        Ok(messages) => {
            assert!(messages.len() <= LIMITS.batch_messages_max);
            assert!(is_json(text) || matches!(messages[..], [ClientMessage::Pong(_)]));
            messages.iter().for_each(check_client_message);
        }
        Err(DecodeError::BatchTooLong { .. }) => assert!(is_json(text)),
        Err(DecodeError::Json(_)) => {}
        Err(DecodeError::NotText) => panic!("this is text"),
    }
    let mut other = Decoder::new(LIMITS);
    assert_eq!(other.decode_binary(input).map(Iterator::collect::<Vec<_>>), messages);
    if Dialect::of_pong(text).is_none() {
        let padded = format!("\t\r\n {text} ");
        let mut other = Decoder::new(LIMITS);
        let again = other.decode(&padded).map(Iterator::collect::<Vec<_>>);
        assert_eq!(again.is_ok(), messages.is_ok());
        assert_eq!(again.ok().as_ref(), messages.as_ref().ok());
    }
    if let Some(alone) = Decoder::new(LIMITS).decode_event(text) {
        assert_eq!(messages.as_deref(), Ok(&[alone][..]));
    }
    // Packets as every client writes them have a way of their own; a space makes the general one read them.
    if let Some(rest) = text.strip_prefix('{') {
        let spaced = format!("{{ {rest}");
        let mut other = Decoder::new(LIMITS);
        let again = other.decode(&spaced).map(Iterator::collect::<Vec<_>>);
        assert_eq!(again.is_ok(), messages.is_ok());
        assert_eq!(again.ok(), messages.ok());
    }
});
