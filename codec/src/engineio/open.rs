//! The server's first packet: the session's id, and what the client needs to know about the server's patience.

use crate::json::write_string;
use crate::socketcluster::encode::write_decimal;

/// What the first packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// The session's id.
    pub id: &'a str,
    /// Whether the client may go over to a WebSocket.
    pub may_upgrade: bool,
    /// Milliseconds between pings.
    pub ping_interval_ms: u64,
    /// Milliseconds that an answer may take.
    pub ping_timeout_ms: u64,
    /// Bytes of one payload; clients of protocol 3 do not look at it.
    pub payload_bytes_max: u64,
}

impl Open<'_> {
    /// Appends the packet.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"0{\"sid\":");
        write_string(out, self.id);
        out.extend_from_slice(if self.may_upgrade {
            b",\"upgrades\":[\"websocket\"],\"pingInterval\":".as_slice()
        } else {
            b",\"upgrades\":[],\"pingInterval\":"
        });
        write_decimal(out, self.ping_interval_ms);
        out.extend_from_slice(b",\"pingTimeout\":");
        write_decimal(out, self.ping_timeout_ms);
        out.extend_from_slice(b",\"maxPayload\":");
        write_decimal(out, self.payload_bytes_max);
        out.push(b'}');
    }
}
