//! The ways to send. It never touches memory: it only says how.
//!
//! * **Turn**: bytes of the turn's arena. `MSG_DONTWAIT` makes the kernel finish with them inside the `enter` that takes
//!   the entry, whatever the socket can hold, so the arena is free afterwards; `MSG_WAITALL` with `SKIP_SUCCESS` makes
//!   a short send count as a failure, so that a completion exists only when there is a tail to keep.
//! * **Owned**: bytes that a connection keeps until the completion. The kernel waits for room by itself.
//!
//! * **Offloaded**: plaintext of either kind that the kernel's TLS makes records of, in the way of its kind. That TLS knows
//!   no `MSG_WAITALL`, so a short send is no failure and the completion always comes.
//! * **Secure**: ciphertext that a connection's TLS keeps until the completion, which always comes; in the way of either.
//!
//! At most one of either per connection and pass: of two, the first may go short and the second would still follow it.

use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use shard::ConnectionId;

use super::operation::{Operation, of_connection, of_index};
use super::table::{Descriptor, fd};

/// Sends the turn's bytes. A failure is reported with `token`.
pub(super) fn turn(descriptor: Descriptor, bytes: &[u8], token: u32) -> Entry {
    send(descriptor, bytes, libc::MSG_DONTWAIT)
        .flags(Flags::SKIP_SUCCESS)
        .user_data(of_index(Operation::SendTurn, token))
}

/// Sends a connection's own bytes.
pub(super) fn owned(descriptor: Descriptor, bytes: &[u8], connection: ConnectionId) -> Entry {
    send(descriptor, bytes, 0).user_data(of_connection(Operation::SendOwned, connection))
}

/// Sends a TLS connection's ciphertext, and waits for room or not.
pub(super) fn secure(descriptor: Descriptor, bytes: &[u8], connection: ConnectionId, waits: bool) -> Entry {
    let flags = if waits { 0 } else { libc::MSG_DONTWAIT };
    send(descriptor, bytes, flags).user_data(of_connection(Operation::SendSecure, connection))
}

/// Sends plaintext by the kernel's TLS, and waits for room or not.
pub(super) fn offloaded(descriptor: Descriptor, bytes: &[u8], connection: ConnectionId, waits: bool) -> Entry {
    let flags = if waits { 0 } else { libc::MSG_DONTWAIT };
    some(descriptor, bytes, flags).user_data(of_connection(Operation::SendOffloaded, connection))
}

/// As a whole.
fn send(descriptor: Descriptor, bytes: &[u8], flags: i32) -> Entry {
    some(descriptor, bytes, libc::MSG_WAITALL | flags)
}

fn some(descriptor: Descriptor, bytes: &[u8], flags: i32) -> Entry {
    let length = u32::try_from(bytes.len()).expect("outboxes are bounded far below 4 GiB");
    opcode::Send::new(fd(descriptor), bytes.as_ptr(), length).flags(libc::MSG_NOSIGNAL | flags).build()
}
