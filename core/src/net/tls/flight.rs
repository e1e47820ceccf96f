//! Ciphertext in the air: one send of one connection, what it carries, and what is to be said when it has landed.

/// A send that the kernel has.
#[derive(Debug)]
pub(in crate::net) struct Flight {
    pub(in crate::net) bytes: Vec<u8>,
    /// How much of it is with the peer's kernel.
    pub(in crate::net) sent: usize,
    pub(in crate::net) task: Task,
}

/// What a send carries beside what TLS itself has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Task {
    /// Nothing.
    Control,
    /// The first `encrypted` bytes of one of the turn's sends, `length` long.
    Turn { token: u32, encrypted: usize, length: usize },
    /// That many bytes of a connection's own, to be reported.
    Owned { length: usize },
}

/// What a landing means to the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Landing {
    /// Nothing.
    Quiet,
    /// The rest of the flight is to be sent, as long as it takes.
    Again,
    /// A turn's send did not go as a whole.
    SendFailed(u32, Result<usize, ()>),
    /// A connection's own bytes have gone, or never will.
    Sent(Result<usize, ()>),
}

impl Flight {
    /// What is still to be sent.
    pub(in crate::net) fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }
}
