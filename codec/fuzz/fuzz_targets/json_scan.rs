//! JSON texts: judged as serde_json judges them, spans where serde_json finds them, and a scanner that is as good after
//! any text as before.
#![no_main]

use codec::json::{JsonLimits, Scanner};
use socketshard_codec_fuzz::json::check;

/// Small, so that a fuzzer reaches it.
const DEPTH_MAX: usize = 8;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // Two texts in one input: the second meets what the first left in the buffers.
    let mut scanner = Scanner::new(JsonLimits { depth_max: DEPTH_MAX });
    for part in input.splitn(2, |&byte| byte == 0xFF) {
        if let Ok(text) = std::str::from_utf8(part) {
            check(&mut scanner, DEPTH_MAX, text);
        }
    }
});
