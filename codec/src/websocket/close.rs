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
