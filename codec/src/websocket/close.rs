//! Close codes and the payload of close frames (RFC 6455 sections 5.5.1 and 7.4).

use super::error::WebSocketError;

/// The longest reason: a control frame's 125 bytes less the code's two.
pub const REASON_BYTES_MAX: usize = 123;

/// Whether that code may stand in a close frame. 1005, 1006 and 1015 are for reporting only, 1004 means nothing yet,
/// 1016 to 2999 are the protocol's own future; 3000 to 4999 belong to libraries and applications.
#[must_use]
pub const fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads a close frame's payload: nothing, or a code and a reason.
pub(super) fn parse(payload: &[u8]) -> Result<Option<(u16, &str)>, WebSocketError> {
    match payload {
        [] => Ok(None),
        [_] => Err(WebSocketError::CloseLength),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !is_sendable(code) {
                return Err(WebSocketError::CloseCode);
            }
            match std::str::from_utf8(reason) {
                Ok(reason) => Ok(Some((code, reason))),
                Err(_) => Err(WebSocketError::InvalidUtf8),
            }
        }
    }
}

/// As much of the reason as a close frame holds, cut between characters.
pub(super) fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_those_that_may_be_sent() {
        let allowed = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            let payload = code.to_be_bytes();
            let expected = if allowed(code) { Ok(Some((code, ""))) } else { Err(WebSocketError::CloseCode) };
            assert_eq!(parse(&payload), expected, "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            assert!(!is_sendable(code), "{code}");
        }
        for code in [1000, 1003, 1012, 1013, 1014, 3000, 4999] {
            assert!(is_sendable(code), "{code}");
        }
    }

    #[test]
    fn close_payload_is_nothing_or_code_and_reason() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"\x03"), Err(WebSocketError::CloseLength));
        assert_eq!(parse(b"\x03\xe8bye \xc3\xa9"), Ok(Some((1000, "bye \u{e9}"))));
        assert_eq!(parse(b"\x03\xe8\xc3"), Err(WebSocketError::InvalidUtf8));
    }

    #[test]
    fn reason_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"a".repeat(123)).len(), 123);
        assert_eq!(cut(&"a".repeat(124)).len(), 123);
        assert_eq!(cut(&format!("a{}", "\u{e9}".repeat(70))).len(), 123);
        assert_eq!(cut(&"\u{e9}".repeat(70)).len(), 122);
        assert_eq!(cut(&"\u{1f600}".repeat(40)).len(), 120);
    }
}
