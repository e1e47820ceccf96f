//! Compressed messages, as payloads, as frames and as our own; the properties are in `inflate::check`.
#![no_main]

use socketshard_codec_fuzz::inflate;

libfuzzer_sys::fuzz_target!(|input: &[u8]| inflate::check(input));
