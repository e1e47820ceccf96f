//! The TLS of one shard's connections. Connections without TLS have nothing here.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use libc::msghdr;
use shard::ConnectionId;

use super::kernel::{self, ControlRecord, RecordRoom};
use super::stream::Received;
use super::{Flight, Landing, Offloaded, Offloading, Stream, Task};
use crate::tls::Acceptor;

/// Every TLS connection of a shard, by slot.
pub(in crate::net) struct Streams {
    acceptor: Acceptor,
    streams: HashMap<u32, Box<Stream>, foldhash::fast::RandomState>,
    /// Those that the kernel has taken over.
    offloaded: HashMap<u32, Box<Offloaded>, foldhash::fast::RandomState>,
    /// What their receives and the ends of their streams are asked with.
    room: Box<RecordRoom>,
    close_notify: Box<ControlRecord>,
    /// What connections that are gone had in the air: the kernel still reads it.
    parting: HashMap<ConnectionId, Flight, foldhash::fast::RandomState>,
    /// The plaintext of what is being received.
    plain: Vec<u8>,
    spare: Vec<Vec<u8>>,
    metrics: TlsMetrics,
}

/// What happened to a shard's TLS since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsMetrics {
    /// Handshakes completed.
    pub(crate) handshakes: u64,
    /// Connections that ended in an error of TLS, before or after their handshake.
    pub(crate) failures: u64,
    /// Connections whose peer ended without saying so: something may have been cut off.
    pub(crate) truncations: u64,
    /// Connections now.
    pub(crate) connections: u64,
    /// Those of them that the kernel has taken over.
    pub(crate) offloaded: u64,
    /// Connections that it was to take over, and that stay in user space.
    pub(crate) offloads_refused: u64,
    /// Keys that the kernel was given in the place of others.
    pub(crate) keys_renewed: u64,
}

/// What is left of a connection when it closes.
#[derive(Debug)]
pub(in crate::net) enum Parting<'a> {
    /// Nothing.
    Quiet,
    /// A send that the kernel has, for as long as the socket lets it.
    Flying,
    /// This is to be sent, if there is room for it.
    Farewell(&'a Flight),
}

impl Streams {
    pub(in crate::net) fn new(acceptor: Acceptor) -> Self {
        Self {
            acceptor,
            streams: HashMap::default(),
            offloaded: HashMap::default(),
            room: RecordRoom::new(),
            close_notify: ControlRecord::close_notify(),
            parting: HashMap::default(),
            plain: Vec::new(),
            spare: Vec::new(),
            metrics: TlsMetrics::default(),
        }
    }

    /// A connection is there.
    pub(in crate::net) fn open(&mut self, id: ConnectionId) {
        let stream = Stream::new(id.generation, self.acceptor.connection());
        let before = self.streams.insert(id.slot, Box::new(stream));
        debug_assert!(before.is_none(), "a slot is used again only after its close");
    }

    /// Takes ciphertext; the plaintext that comes of it is [`Streams::plain`].
    pub(in crate::net) fn receive(&mut self, id: ConnectionId, bytes: &mut [u8]) -> Received {
        self.plain.clear();
        let (plain, waiting_bytes_max) = (&mut self.plain, self.acceptor.handshake_bytes_max());
        let Some(stream) = live(&mut self.streams, id) else { return Received::default() };
        let mut received = stream.with(&mut self.spare, |stream| stream.receive(bytes, plain, waiting_bytes_max));
        if received.has_opened {
            received.is_to_offload = stream.has_suite_of(self.acceptor.offloaded());
            if !received.is_to_offload {
                stream.keep();
            }
        }
        self.metrics.handshakes += u64::from(received.has_opened);
        self.metrics.failures += u64::from(received.has_failed);
        received
    }

    /// What the last [`Streams::receive`] came to.
    pub(in crate::net) fn plain(&mut self) -> &mut [u8] {
        &mut self.plain
    }

    /// Something is done to a connection, with memory to write to.
    pub(in crate::net) fn with<T>(&mut self, id: ConnectionId, work: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        live(&mut self.streams, id).map(|stream| stream.with(&mut self.spare, work))
    }

    /// What is next to be sent on a connection goes into the air. The caller sends it.
    pub(in crate::net) fn take_off(&mut self, id: ConnectionId, task: Task) -> Option<&Flight> {
        live(&mut self.streams, id).map(|stream| stream.take_off(task))
    }

    /// What a connection has in the air.
    pub(in crate::net) fn flying(&mut self, id: ConnectionId) -> Option<&Flight> {
        live(&mut self.streams, id)?.flying()
    }

    /// A send is over. What is to be done next is asked of the stream.
    pub(in crate::net) fn land(&mut self, id: ConnectionId, sent: Result<usize, ()>) -> Landing {
        if let Some(stream) = live(&mut self.streams, id) {
            return stream.land(sent, &mut self.spare);
        }
        self.parting.remove(&id);
        Landing::Quiet
    }

    /// The connection is closed. What it has in the air is kept until it has landed; without such, it says farewell.
    pub(in crate::net) fn close(&mut self, id: ConnectionId) -> Parting<'_> {
        if live(&mut self.streams, id).is_none() {
            return Parting::Quiet;
        }
        let mut stream = self.streams.remove(&id.slot).expect("it was just found");
        let is_flying = stream.flying().is_some();
        if !is_flying {
            stream.say_close();
            if stream.has_outgoing() {
                stream.take_off(Task::Control);
            }
        }
        let Some(flight) = stream.into_flying() else { return Parting::Quiet };
        let flight = self.parting.entry(id).or_insert(flight);
        if is_flying { Parting::Flying } else { Parting::Farewell(flight) }
    }

    /// The peer's end has come.
    pub(in crate::net) fn ended(&mut self, id: ConnectionId) {
        let is_cut = match (live(&mut self.streams, id), self.offloaded.get(&id.slot)) {
            (Some(stream), _) => !stream.is_over() && !stream.is_handshaking(),
            (None, Some(offloaded)) => offloaded.generation == id.generation && !offloaded.is_over(),
            (None, None) => false,
        };
        self.metrics.truncations += u64::from(is_cut);
    }

    /// Gives a connection to the kernel, whose keys go to this socket. `false`: it stays here. An error: nobody has it.
    pub(in crate::net) fn offload(&mut self, id: ConnectionId, socket: BorrowedFd<'_>) -> io::Result<bool> {
        let Some(stream) = live(&mut self.streams, id) else { return Ok(false) };
        if stream.offloading() != Offloading::Ready {
            return Ok(false);
        }
        if let Err(error) = kernel::prepare(socket) {
            tracing::debug!(%error, "the kernel does not take a connection over");
            return Ok(false);
        }
        let stream = self.streams.remove(&id.slot).expect("it was just found");
        match Offloaded::new(id.generation, stream.into_connection(), socket) {
            Ok(offloaded) => self.offloaded.insert(id.slot, Box::new(offloaded)),
            Err(error) => {
                self.metrics.failures += 1;
                return Err(error);
            }
        };
        Ok(true)
    }

    /// The kernel does not have a connection that it was to have.
    pub(in crate::net) fn keep(&mut self, id: ConnectionId) {
        if let Some(stream) = live(&mut self.streams, id) {
            stream.keep();
            self.metrics.offloads_refused += 1;
        }
    }

    /// A connection that the kernel has.
    pub(in crate::net) fn offloaded(&mut self, id: ConnectionId) -> Option<&mut Offloaded> {
        self.offloaded.get_mut(&id.slot).map(Box::as_mut).filter(|offloaded| offloaded.generation == id.generation)
    }

    /// One that the kernel has is closed.
    pub(in crate::net) fn forget(&mut self, id: ConnectionId) -> Option<Box<Offloaded>> {
        self.offloaded(id)?;
        self.offloaded.remove(&id.slot)
    }

    /// Gives one that the kernel has the keys that it waits for. An error ends it.
    pub(in crate::net) fn renew(&mut self, id: ConnectionId, socket: BorrowedFd<'_>) -> io::Result<()> {
        let Some(offloaded) = self.offloaded(id) else { return Ok(()) };
        let renewed = offloaded.renew(socket)?;
        self.metrics.keys_renewed += renewed;
        Ok(())
    }

    /// What a connection that the kernel has sends was no TLS.
    pub(in crate::net) const fn count_failure(&mut self) {
        self.metrics.failures += 1;
    }

    /// What receives of connections that the kernel has are asked with.
    pub(in crate::net) const fn room(&self) -> *const msghdr {
        self.room.header()
    }

    /// What announces the end of our direction on them.
    pub(in crate::net) const fn close_notify(&self) -> *const msghdr {
        self.close_notify.header()
    }

    pub(in crate::net) fn metrics(&self) -> TlsMetrics {
        let (here, offloaded) = (self.streams.len() as u64, self.offloaded.len() as u64);
        TlsMetrics { connections: here + offloaded, offloaded, ..self.metrics }
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Streams").field("metrics", &self.metrics()).finish_non_exhaustive()
    }
}

fn live(streams: &mut HashMap<u32, Box<Stream>, foldhash::fast::RandomState>, id: ConnectionId) -> Option<&mut Stream> {
    streams.get_mut(&id.slot).map(Box::as_mut).filter(|stream| stream.generation == id.generation)
}
