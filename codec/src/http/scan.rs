//! Finds the end of an HTTP head that arrives in pieces, looking at every byte once, and refuses early what can never
//! become a head. Never parses.

use super::error::HttpError;
use memchr::{memchr, memchr_iter};

/// The longest head by default: browsers send under 2 KiB, cookies may add 8; the same as common servers (features A5).
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The length of the head that begins `bytes`, including its blank line; none while that is not there yet. The first
/// `scanned` bytes were looked at by an earlier call that found no end.
pub(super) fn head_bytes(bytes: &[u8], scanned: usize, head_bytes_max: usize) -> Result<Option<usize>, HttpError> {
    let limited = &bytes[..bytes.len().min(head_bytes_max)];
    let scanned = scanned.min(limited.len());
    for at in memchr_iter(b'\n', &limited[scanned..]) {
        let line = &limited[..=scanned + at];
        // A line feed alone is where two parsers of the same bytes would disagree (RFC 9112 section 2.2).
        if !line.ends_with(b"\r\n") {
            return Err(HttpError::BareLineEnd);
        }
        if line.ends_with(b"\r\n\r\n") {
            return Ok(Some(line.len()));
        }
    }
    check_unfinished(limited, scanned)?;
    if bytes.len() < head_bytes_max {
        return Ok(None);
    }
    match memchr(b'\n', limited) {
        Some(_) => Err(HttpError::HeadTooLong),
        None => Err(HttpError::TargetTooLong),
    }
}

/// Fails on characters that no head may hold, so that a peer speaking something else (TLS, say) is told at once rather
/// than at its deadline. In a whole head they are the parser's to find.
fn check_unfinished(bytes: &[u8], scanned: usize) -> Result<(), HttpError> {
    let is_control = |byte: &u8| (*byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')) || *byte == 0x7f;
    if bytes[scanned..].iter().any(is_control) {
        return Err(HttpError::Character);
    }
    // The last byte seen before may have been the CR whose successor is here now.
    let fresh = &bytes[scanned.saturating_sub(1)..];
    let is_lone = |at: usize| fresh.get(at + 1).is_some_and(|next| *next != b'\n');
    if memchr_iter(b'\r', fresh).any(is_lone) { Err(HttpError::BareLineEnd) } else { Ok(()) }
}
