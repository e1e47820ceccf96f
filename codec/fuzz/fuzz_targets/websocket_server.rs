//! Frames as a server receives them; the properties are in `websocket::check`.
#![no_main]

use codec::websocket::Role;
use socketshard_codec_fuzz::websocket;

libfuzzer_sys::fuzz_target!(|input: &[u8]| websocket::check(Role::Server, input));
