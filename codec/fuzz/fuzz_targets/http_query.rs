//! Queries: whatever comes is read or refused; text that is encoded as browsers do comes back; and what an event stream
//! makes of text is one event with that text.
#![no_main]

use codec::eventstream;
use codec::http::query::{decode, parameters};
use codec::json::write_string;
use codec::message::RawJson;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for (name, value) in parameters(text).flatten() {
        assert!(name.len() + value.len() <= text.len());
    }
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(decode(&encoded, true).as_deref(), Ok(text));
    if decode(text, false).is_ok_and(|decoded| decoded == text) {
        assert!(!text.contains('%'));
    }

    let mut json = Vec::new();
    write_string(&mut json, text);
    let json = String::from_utf8(json).expect("JSON is text");
    let mut block = Vec::new();
    eventstream::event(&mut block, text, Some(RawJson::from_validated(&json)));
    let block = String::from_utf8(block).expect("an event is text");
    let lines: Vec<_> = block.split(['\n', '\r']).collect();
    let [name, data, "", ""] = lines[..] else { panic!("not one event: {block:?}") };
    assert!(name.starts_with("event: "), "{name:?}");
    assert_eq!(data.strip_prefix("data: "), Some(&*json));
});
