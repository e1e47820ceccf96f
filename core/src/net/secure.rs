//! What TLS makes of the sockets' operations: a receive is deciphered, a send is of ciphertext, an end is announced. It
//! never decides about a connection; what the shard is told is what it would be told without TLS.

use std::io;

use shard::{ConnectionId, Mode};

use super::operation::{Operation, of_connection, of_index};
use super::sockets::{HELD, OFFLOADED, Socket};
use super::tls::{Landing, Parting, Streams, Task};
use super::{Completion, Happened, Sockets, send};
use crate::tls::Acceptor;

impl Sockets {
    /// Speaks TLS on connections that come in by that door.
    pub(crate) fn offer_tls(&mut self, acceptor: Acceptor) {
        self.tls = Some(Box::new(Streams::new(acceptor)));
    }

    /// Received bytes of a TLS connection: what they are in plain.
    pub(super) fn received_secure(
        &mut self,
        connection: ConnectionId,
        buffer: u16,
        length: usize,
    ) -> io::Result<Happened<'_>> {
        if self.socket(connection).is_some_and(Socket::is_offloaded) {
            return self.received_offloaded(connection, buffer, length);
        }
        self.arm_receive(connection)?;
        self.decipher(connection, buffer, length)
    }

    fn decipher(&mut self, connection: ConnectionId, buffer: u16, length: usize) -> io::Result<Happened<'_>> {
        let tls = self.tls.as_mut().expect(THERE);
        let received = tls.receive(connection, self.buffers.bytes(buffer, length));
        if received.is_over {
            // What came before it is heard first.
            self.postponed.push(Completion::new(of_connection(Operation::SecureEnd, connection), 0, 0));
        }
        if tls.with(connection, |stream| stream.next_is_ready()) == Some(true) {
            self.talkative.push(connection);
        }
        if received.is_to_offload {
            self.begin_offload(connection)?;
        }
        let tls = self.tls.as_mut().expect(THERE);
        if tls.plain().is_empty() {
            self.buffers.recycle(buffer);
            return Ok(Happened::Nothing);
        }
        Ok(Happened::Received(connection, tls.plain(), buffer))
    }

    /// The shard's bytes leave as ciphertext in memory of TLS's own. While TLS has something in the air that the shard
    /// does not know of, a turn's bytes are left to it; a connection's own are encrypted and wait.
    pub(super) fn send_secure(
        &mut self,
        connection: ConnectionId,
        mode: Mode,
        token: u32,
        bytes: &[u8],
    ) -> io::Result<()> {
        let Some(socket) = self.socket(connection) else { return Ok(()) };
        if socket.is(HELD | OFFLOADED) {
            return self.send_offloaded(socket, connection, mode, token, bytes);
        }
        let tls = self.tls.as_mut().expect(THERE);
        let is_flying = tls.flying(connection).is_some();
        let (user_data, task) = match mode {
            Mode::Turn if is_flying => return self.postpone(of_index(Operation::SendTurn, token), 0),
            Mode::Turn => {
                let task = tls.with(connection, |stream| stream.take_turn(token, bytes));
                (of_index(Operation::SendTurn, token), task)
            }
            Mode::Owned => {
                let task = tls.with(connection, |stream| stream.take_owned(bytes));
                (of_connection(Operation::SendOwned, connection), task)
            }
        };
        match task.flatten() {
            None => self.postpone(user_data, -libc::EPIPE),
            Some(Task::Owned { length }) if is_flying => {
                tls.with(connection, |stream| stream.owe(length));
                Ok(())
            }
            Some(task) => self.take_off(connection, task),
        }
    }

    /// A send of ciphertext is over.
    pub(super) fn landed(&mut self, completion: Completion) -> io::Result<Happened<'static>> {
        let connection = completion.connection();
        let Some(tls) = self.tls.as_mut() else { return Ok(Happened::Nothing) };
        let happened = match tls.land(connection, completion.sent()) {
            Landing::Quiet => Happened::Nothing,
            Landing::Again => {
                self.send_flight(connection, true)?;
                return Ok(Happened::Nothing);
            }
            Landing::SendFailed(token, sent) => Happened::SendFailed(token, sent),
            Landing::Sent(sent) => Happened::Sent(connection, sent),
        };
        // What follows waits for the end of the pass: the shard may have more to add.
        if tls.with(connection, |stream| stream.next_is_ready()) == Some(true) {
            self.talkative.push(connection);
        }
        self.try_offload(connection)?;
        Ok(happened)
    }

    /// At the end of a pass: what TLS has to say itself, and ends that wait for nothing more.
    pub(super) fn let_talk(&mut self) -> io::Result<()> {
        for connection in std::mem::take(&mut self.talkative) {
            let tls = self.tls.as_mut().expect(THERE);
            if let Some(task) = tls.with(connection, |stream| stream.next()).flatten() {
                self.take_off(connection, task)?;
                continue;
            }
            if tls.with(connection, |stream| stream.is_shut()) == Some(true) {
                self.reach(connection, Operation::Shutdown)?;
            }
            self.try_offload(connection)?;
        }
        Ok(())
    }

    /// The end of our stream: its announcement, then that of the socket.
    pub(super) fn shut_secure(&mut self, connection: ConnectionId) -> io::Result<()> {
        if self.socket(connection).is_some_and(Socket::is_offloaded) {
            return self.announce(connection, true);
        }
        let tls = self.tls.as_mut().expect(THERE);
        tls.with(connection, |stream| {
            stream.say_close();
            stream.shut();
        });
        self.talkative.push(connection);
        Ok(())
    }

    /// Before the descriptor is closed: the peer is told that nothing was cut off, if there is room for it.
    pub(super) fn part_secure(&mut self, connection: ConnectionId) -> io::Result<()> {
        let Some(socket) = self.socket(connection) else { return Ok(()) };
        if socket.is_offloaded() {
            return self.part_offloaded(connection);
        }
        match self.tls.as_mut().expect(THERE).close(connection) {
            Parting::Quiet => Ok(()),
            // A send that waits for room would keep the socket open behind its descriptor.
            Parting::Flying => self.reach(connection, Operation::Abort),
            Parting::Farewell(flight) => {
                let entry = send::secure(socket.descriptor, flight.rest(), connection, false);
                let entry = self.table.on(entry);
                self.push(&entry)
            }
        }
    }

    /// The peer's end has come without a word of TLS, or the kernel's TLS has found something wrong.
    pub(super) fn ended_secure(&mut self, connection: ConnectionId, error: i32) {
        let tls = self.tls.as_mut().expect(THERE);
        match error {
            libc::EBADMSG | libc::EMSGSIZE | libc::EINVAL | libc::EIO => tls.count_failure(),
            _ => tls.ended(connection),
        }
    }

    fn take_off(&mut self, connection: ConnectionId, task: Task) -> io::Result<()> {
        let flight = self.tls.as_mut().expect(THERE).take_off(connection, task);
        debug_assert!(flight.is_some_and(|flight| !flight.rest().is_empty()), "nothing is sent with nothing to say");
        self.send_flight(connection, !matches!(task, Task::Turn { .. }))
    }

    fn send_flight(&mut self, connection: ConnectionId, waits: bool) -> io::Result<()> {
        let Some(socket) = self.socket(connection) else { return Ok(()) };
        let Some(flight) = self.tls.as_mut().expect(THERE).flying(connection) else { return Ok(()) };
        let entry = self.table.on(send::secure(socket.descriptor, flight.rest(), connection, waits));
        self.push(&entry)
    }

    /// Tells the shard in the next pass, as if the kernel had.
    pub(super) fn postpone(&mut self, user_data: u64, result: i32) -> io::Result<()> {
        self.postponed.push(Completion::new(user_data, result, 0));
        Ok(())
    }
}

pub(super) const THERE: &str = "a connection with TLS has come by a listener with TLS";
