//! JSON texts: judged as serde_json and simd-json judge them, spans where serde_json finds them, the same whether a
//! container is read whole or walked into.
#![no_main]

use codec::json::JsonLimits;
use socketshard_codec_fuzz::json::check;

/// Small, so that a fuzzer reaches it.
const DEPTH_MAX: usize = 8;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // Two texts in one input, as the corpus has them.
    for part in input.splitn(2, |&byte| byte == 0xFF) {
        if let Ok(text) = std::str::from_utf8(part) {
            check(JsonLimits { depth_max: DEPTH_MAX }, text);
        }
    }
});
