//! Finds the end of an HTTP head that arrives in pieces, looking at every byte once, and refuses early what can never
//! become a head. Never parses.

use super::error::HttpError;
use memchr::{memchr, memchr_iter, memmem};

/// The longest head by default: browsers send under 2 KiB, cookies may add 8; the same as common servers (features A5).
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The length of the head that begins `bytes`, including its blank line; none while that is not there yet. The first
/// `scanned` bytes were looked at by an earlier call that found no end.
pub(super) fn head_bytes(bytes: &[u8], scanned: usize, head_bytes_max: usize) -> Result<Option<usize>, HttpError> {
    // The blank line may have begun in bytes that were seen before: step back by all but one of its four characters.
    let from = scanned.min(bytes.len()).saturating_sub(3);
    let limited = &bytes[..bytes.len().min(head_bytes_max)];
    if let Some(at) = limited.get(from..).and_then(|fresh| memmem::find(fresh, b"\r\n\r\n")) {
        return Ok(Some(from + at + 4));
    }
    check_unfinished(bytes, from)?;
    if bytes.len() < head_bytes_max {
        return Ok(None);
    }
    match memchr(b'\n', limited) {
        Some(_) => Err(HttpError::HeadTooLong),
        None => Err(HttpError::TargetTooLong),
    }
}

/// Fails on characters that no head may hold, so that a peer speaking something else (TLS, say) is told at once.
fn check_unfinished(bytes: &[u8], from: usize) -> Result<(), HttpError> {
    let is_control = |byte: &u8| (*byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')) || *byte == 0x7f;
    if bytes[from..].iter().any(is_control) {
        return Err(HttpError::Character);
    }
    check_line_ends(bytes, from)
}

/// Fails unless every CR from `from` on is followed by LF (or by nothing yet) and every LF preceded by CR: a lone one
/// of either is where two parsers of the same bytes would disagree.
pub(super) fn check_line_ends(bytes: &[u8], from: usize) -> Result<(), HttpError> {
    let fresh = &bytes[from..];
    let lone_lf = memchr_iter(b'\n', fresh).any(|at| from + at == 0 || bytes[from + at - 1] != b'\r');
    let lone_cr = memchr_iter(b'\r', fresh).any(|at| bytes.get(from + at + 1).is_some_and(|next| *next != b'\n'));
    if lone_lf || lone_cr { Err(HttpError::BareLineEnd) } else { Ok(()) }
}
