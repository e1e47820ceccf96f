//! Connections that the kernel speaks TLS on: how they are given to it after their handshake, and what the sockets'
//! operations are from then on. It never decides about a connection.
//!
//! The kernel takes over between two records, so everything that we have made has to be sent before, and of what the
//! peer sends nothing may have been received beyond one. The multishot receive is cancelled; when its last completion is
//! here, a record that has begun is received to its last byte and no further; then the keys go down:
//!
//! ```text
//!   handshake over → receive cancelled → rest of the record → nothing in the air → keys → receive of whole records
//! ```
//!
//! Where the kernel does not take it (no room, a connection about to end), a connection goes on in user space.

use std::io;
use std::os::fd::BorrowedFd;

use io_uring::opcode;
use io_uring::squeue::Flags;
use shard::{ConnectionId, Mode};

use super::operation::{Operation, of_connection, of_index};
use super::receive::Buffers;
use super::secure::THERE;
use super::sockets::{ARMED, ENDED, HELD, OFFLOADED, OFFLOADING, PAUSED, Socket};
use super::table::fd;
use super::tls::Offloading;
use super::tls::kernel::Record;
use super::{Completion, Happened, Sockets, send};

impl Sockets {
    /// A handshake was completed, and the kernel is to have the rest.
    pub(super) fn begin_offload(&mut self, connection: ConnectionId) -> io::Result<()> {
        if let Some(socket) = self.socket_mut(connection) {
            socket.flags |= OFFLOADING;
            self.talkative.push(connection);
        }
        self.cancel_receive(connection)
    }

    /// One step nearer, if it is its time.
    pub(super) fn try_offload(&mut self, connection: ConnectionId) -> io::Result<()> {
        let Some(socket) = self.socket(connection).filter(|socket| socket.is(OFFLOADING)) else { return Ok(()) };
        if socket.is(ARMED | HELD) {
            return Ok(());
        }
        let tls = self.tls.as_mut().expect(THERE);
        match tls.with(connection, |stream| stream.offloading()) {
            Some(Offloading::Ready) if !socket.is(ENDED) => {
                self.mark(connection, HELD, 0);
                self.reach(connection, Operation::Offload)
            }
            Some(Offloading::Receives(bytes)) if !socket.is(ENDED) => {
                if socket.is(PAUSED) {
                    Ok(())
                } else {
                    self.receive_exactly(connection, socket, bytes)
                }
            }
            Some(Offloading::Sends) if !socket.is(ENDED) => Ok(()),
            _ => self.stay_in_user_space(connection),
        }
    }

    /// The descriptor is there for it.
    pub(super) fn offload_by(&mut self, connection: ConnectionId, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        if self.socket(connection).is_none() {
            return Ok(());
        }
        match self.tls.as_mut().expect(THERE).offload(connection, descriptor) {
            Ok(true) => {
                self.mark(connection, OFFLOADED, OFFLOADING | HELD);
                self.arm_receive(connection)
            }
            Ok(false) => self.stay_in_user_space(connection),
            Err(error) => {
                tracing::warn!(%error, "the kernel's TLS has taken a connection and not its keys");
                self.mark(connection, OFFLOADED | ENDED, OFFLOADING | HELD);
                self.postpone(of_connection(Operation::SecureEnd, connection), 0)
            }
        }
    }

    /// The kernel does not take it over.
    pub(super) fn stay_in_user_space(&mut self, connection: ConnectionId) -> io::Result<()> {
        self.mark(connection, 0, OFFLOADING | HELD);
        self.tls.as_mut().expect(THERE).keep(connection);
        self.arm_receive(connection)
    }

    /// Bytes by the kernel's TLS. While it takes over, they are left to the shard.
    pub(super) fn send_offloaded(
        &mut self,
        socket: Socket,
        connection: ConnectionId,
        mode: Mode,
        token: u32,
        bytes: &[u8],
    ) -> io::Result<()> {
        let report = match mode {
            Mode::Turn => of_index(Operation::SendTurn, token),
            Mode::Owned => of_connection(Operation::SendOwned, connection),
        };
        if !socket.is(OFFLOADED) {
            return self.postpone(report, 0);
        }
        let Some(offloaded) = self.tls.as_mut().expect(THERE).offloaded(connection) else {
            return self.postpone(report, -libc::EPIPE);
        };
        offloaded.take_off((mode == Mode::Turn).then_some((token, bytes.len())));
        let entry = send::offloaded(socket.descriptor, bytes, connection, mode == Mode::Owned);
        self.push(&self.table.on(entry))
    }

    /// Such a send is over.
    pub(super) fn landed_offloaded(&mut self, completion: Completion) -> io::Result<Happened<'static>> {
        let (connection, sent) = (completion.connection(), completion.sent());
        let tls = self.tls.as_mut().expect(THERE);
        let Some(offloaded) = tls.offloaded(connection) else { return Ok(Happened::Nothing) };
        let (turn, renews) = (offloaded.land(sent), offloaded.renews());
        if renews && sent.is_ok() {
            self.reach(connection, Operation::Renew)?;
        }
        Ok(match turn {
            Some((_, length)) if sent == Ok(length) => Happened::Nothing,
            Some((token, _)) => Happened::SendFailed(token, sent),
            None => Happened::Sent(connection, sent),
        })
    }

    /// What the kernel's TLS has received.
    pub(super) fn received_offloaded(
        &mut self,
        connection: ConnectionId,
        buffer: u16,
        length: usize,
    ) -> io::Result<Happened<'_>> {
        let record = Record::parse(self.buffers.bytes(buffer, length));
        if let Record::Data(range) = &record
            && !range.is_empty()
        {
            self.arm_receive(connection)?;
            return Ok(Happened::Received(connection, &mut self.buffers.bytes(buffer, length)[range.clone()], buffer));
        }
        self.buffers.recycle(buffer);
        let tls = self.tls.as_mut().expect(THERE);
        match record {
            Record::Data(_) | Record::Nothing => self.arm_receive(connection).map(|()| Happened::Nothing),
            Record::End => self.received_nothing(connection, 0),
            Record::KeyUpdate { is_asked } => {
                if let Some(offloaded) = tls.offloaded(connection) {
                    offloaded.heed(is_asked);
                }
                self.reach(connection, Operation::Renew)?;
                Ok(Happened::Nothing)
            }
            Record::Close => {
                if let Some(offloaded) = tls.offloaded(connection) {
                    offloaded.note_close();
                }
                self.mark(connection, ENDED, 0);
                Ok(Happened::Ended(connection))
            }
            Record::Bad => {
                tls.count_failure();
                self.mark(connection, ENDED, 0);
                Ok(Happened::Ended(connection))
            }
        }
    }

    /// A receive has found records under a key that the kernel does not have yet.
    pub(super) fn await_key(&mut self, connection: ConnectionId) -> io::Result<()> {
        let tls = self.tls.as_mut().expect(THERE);
        let is_coming = tls.offloaded(connection).is_some_and(|offloaded| offloaded.renews_in());
        if is_coming { Ok(()) } else { self.arm_receive(connection) }
    }

    /// The descriptor is there to give the kernel new keys by.
    pub(super) fn renew_by(&mut self, connection: ConnectionId, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let Err(error) = self.tls.as_mut().expect(THERE).renew(connection, descriptor) else {
            return self.arm_receive(connection);
        };
        tracing::debug!(%error, "the kernel's TLS takes no new key");
        self.tls.as_mut().expect(THERE).count_failure();
        self.mark(connection, ENDED, 0);
        self.postpone(of_connection(Operation::SecureEnd, connection), 0)
    }

    /// Says that our direction ends, once; the kernel does not by itself. That is the end of our stream: one of TCP could
    /// overtake a record that the kernel still holds.
    pub(super) fn announce(&mut self, connection: ConnectionId, waits: bool) -> io::Result<()> {
        let Some(socket) = self.socket(connection) else { return Ok(()) };
        let tls = self.tls.as_mut().expect(THERE);
        let header = tls.close_notify();
        let Some(offloaded) = tls.offloaded(connection).filter(|offloaded| !offloaded.has_said_close()) else {
            return Ok(());
        };
        offloaded.say_close(waits);
        let flags = libc::MSG_NOSIGNAL | if waits { 0 } else { libc::MSG_DONTWAIT };
        let entry = opcode::SendMsg::new(fd(socket.descriptor), header).flags(flags.unsigned_abs()).build();
        let operation = if waits { Operation::Announce } else { Operation::Ignored };
        self.push(&self.table.on(entry.user_data(of_connection(operation, connection))))
    }

    /// It is said, or never will be.
    pub(super) fn announced(&mut self, connection: ConnectionId) {
        if let Some(offloaded) = self.tls.as_mut().and_then(|tls| tls.offloaded(connection)) {
            offloaded.has_announced();
        }
    }

    /// Before the descriptor is closed.
    pub(super) fn part_offloaded(&mut self, connection: ConnectionId) -> io::Result<()> {
        self.announce(connection, false)?;
        let offloaded = self.tls.as_mut().expect(THERE).forget(connection);
        // An announcement that waits for room would keep the socket open behind its descriptor.
        if offloaded.is_some_and(|offloaded| offloaded.is_announcing()) {
            return self.reach(connection, Operation::Abort);
        }
        Ok(())
    }

    /// One receive of no more than so many bytes.
    fn receive_exactly(&mut self, connection: ConnectionId, socket: Socket, bytes: usize) -> io::Result<()> {
        self.mark(connection, ARMED, 0);
        let bytes = u32::try_from(bytes).expect("records are some thousand bytes");
        let receive = opcode::Recv::new(fd(socket.descriptor), std::ptr::null_mut(), bytes).buf_group(Buffers::GROUP);
        let entry = receive.build().flags(Flags::BUFFER_SELECT);
        self.push(&self.table.on(entry).user_data(of_connection(Operation::Receive, connection)))
    }

    fn mark(&mut self, connection: ConnectionId, set: u8, unset: u8) {
        if let Some(socket) = self.socket_mut(connection) {
            socket.flags = (socket.flags & !unset) | set;
        }
    }
}
