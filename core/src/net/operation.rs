//! What a completion means: the operation, the generation and the slot are packed into the 64 bits that the kernel
//! hands back. It never touches the ring.
//!
//! ```text
//!   63      56 55                32 31                               0
//!   | operation | generation (24)  | slot, token or listener (32)    |
//! ```

use shard::ConnectionId;

/// What was asked of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    /// Nobody looks at the result.
    Ignored,
    /// A multishot accept; the low half is the listener.
    Accept,
    /// A multishot receive of a connection.
    Receive,
    /// A send of the turn's bytes; the low half is the token. Completes only if it went short or failed.
    SendTurn,
    /// A send of a connection's own bytes.
    SendOwned,
    /// The tick.
    Tick,
    /// The one-shot timer.
    Alarm,
    /// The doorbell.
    Doorbell,
    /// The cancellation of a connection's receive. Completes only if it failed.
    Cancel,
    /// The question for an accepted socket's peer; the low half is its number.
    PeerName,
    /// A descriptor of the process, to end our stream with.
    Shutdown,
    /// A descriptor of the process, to break the connection off with.
    Abort,
    /// A send of a TLS connection's ciphertext.
    SendSecure,
    /// Not of the kernel: TLS has found that a connection is over.
    SecureEnd,
    /// A descriptor of the process, to give the kernel's TLS a connection by.
    Offload,
    /// A descriptor of the process, to give the kernel's TLS new keys by.
    Renew,
    /// A send of plaintext by the kernel's TLS.
    SendOffloaded,
    /// The announcement of our stream's end by the kernel's TLS.
    Announce,
}

/// One completion, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    user_data: u64,
    /// What the system call would have returned; negative errors.
    pub(crate) result: i32,
    flags: u32,
}

impl Completion {
    pub(crate) const fn new(user_data: u64, result: i32, flags: u32) -> Self {
        Self { user_data, result, flags }
    }

    /// What it completes.
    pub(crate) const fn operation(self) -> Operation {
        match self.user_data >> 56 {
            1 => Operation::Accept,
            2 => Operation::Receive,
            3 => Operation::SendTurn,
            4 => Operation::SendOwned,
            5 => Operation::Tick,
            6 => Operation::Alarm,
            7 => Operation::Doorbell,
            8 => Operation::Cancel,
            9 => Operation::PeerName,
            10 => Operation::Shutdown,
            11 => Operation::Abort,
            12 => Operation::SendSecure,
            13 => Operation::SecureEnd,
            14 => Operation::Offload,
            15 => Operation::Renew,
            16 => Operation::SendOffloaded,
            17 => Operation::Announce,
            _ => Operation::Ignored,
        }
    }

    /// The connection, for the operations that have one.
    #[expect(clippy::cast_possible_truncation, reason = "the fields are cut out on purpose")]
    pub(crate) const fn connection(self) -> ConnectionId {
        let generation = (self.user_data >> 32) as u32 & ConnectionId::GENERATION_MASK;
        ConnectionId { slot: self.user_data as u32, generation }
    }

    /// The low half: a token or a listener.
    #[expect(clippy::cast_possible_truncation, reason = "the field is cut out on purpose")]
    pub(crate) const fn index(self) -> u32 {
        self.user_data as u32
    }

    /// Whether a multishot operation goes on. It may end with any completion, one with data included.
    pub(crate) fn more(self) -> bool {
        io_uring::cqueue::more(self.flags)
    }

    /// The receive buffer it used. Always to be recycled, whoever the data was for.
    pub(crate) fn buffer(self) -> Option<u16> {
        io_uring::cqueue::buffer_select(self.flags)
    }

    /// How a send went: the bytes that left, or that the connection is dead. `EAGAIN` is zero bytes.
    #[expect(clippy::cast_sign_loss, reason = "negative results are told apart first")]
    pub(crate) fn sent(self) -> Result<usize, ()> {
        match self.result {
            result if result >= 0 => Ok(result as usize),
            result if result == -libc::EAGAIN => Ok(0),
            _ => Err(()),
        }
    }
}

/// User data of an operation on a connection.
pub(crate) const fn of_connection(operation: Operation, connection: ConnectionId) -> u64 {
    (operation as u64) << 56
        | ((connection.generation & ConnectionId::GENERATION_MASK) as u64) << 32
        | connection.slot as u64
}

/// User data of an operation with an index of its own.
pub(crate) const fn of_index(operation: Operation, index: u32) -> u64 {
    (operation as u64) << 56 | index as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_brings_everything_back() {
        let operations = [
            Operation::Ignored,
            Operation::Accept,
            Operation::Receive,
            Operation::SendTurn,
            Operation::SendOwned,
            Operation::Tick,
            Operation::Alarm,
            Operation::Doorbell,
            Operation::Cancel,
            Operation::PeerName,
            Operation::Shutdown,
            Operation::Abort,
            Operation::SendSecure,
            Operation::SecureEnd,
            Operation::Offload,
            Operation::Renew,
            Operation::SendOffloaded,
            Operation::Announce,
        ];
        for operation in operations {
            let connection = ConnectionId { slot: u32::MAX - 1, generation: ConnectionId::GENERATION_MASK };
            let completion = Completion::new(of_connection(operation, connection), -11, 0);
            assert_eq!((completion.operation(), completion.connection()), (operation, connection));
            assert_eq!(Completion::new(of_index(operation, 7), 0, 0).index(), 7);
        }
    }

    #[test]
    fn a_full_socket_took_nothing_and_a_broken_one_is_dead() {
        assert_eq!(Completion::new(0, 5, 0).sent(), Ok(5));
        assert_eq!(Completion::new(0, -libc::EAGAIN, 0).sent(), Ok(0));
        assert_eq!(Completion::new(0, -libc::EPIPE, 0).sent(), Err(()));
    }
}
