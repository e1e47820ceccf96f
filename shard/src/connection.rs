//! What the shard keeps of one connection. Hot fields together; what only some connections need, or only for a while,
//! is boxed and gone when idle.

use std::net::SocketAddr;

use codec::socketcluster::Dialect;
use codec::websocket::{Decoder, Role};

use crate::authentication::Identity;
use crate::channel::Subscription;
use crate::compression::Compression;
use crate::engineio::Engine;
use crate::form::Form;
use crate::host::Framing;
use crate::outbox::Outbox;
use crate::people::NO_USER;
use crate::requests::Arriving;
use crate::session::NO_SLOT;
use crate::turn::Chain;
use crate::{ConnectionId, Door, Peer};

/// Where a connection stands.
///
/// ```text
/// Request --upgrade--> Handshake --#handshake--> Open --close, error, time-out--> Closing --drained--> gone
///    |  \--raw route, let in---------------------^ |                                 ^
///    \--------------answered, refused, silent------|---------------------------------/
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// An HTTP request head is awaited, or its answer is on its way.
    Request,
    /// A WebSocket, before its protocol's handshake.
    Handshake,
    /// Let in.
    Open,
    /// The last bytes are on their way; whatever arrives is ignored.
    Closing,
}

/// What is spoken on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    SocketCluster,
    Raw(u16),
    /// Messages of a raw route, in Engine.IO's packets.
    EngineIo(u16),
    SocketIo,
    /// A response without end; nothing is received.
    EventStream,
    SocketStream,
    Services,
    SocketCluster09,
    /// Another connection, which has no socket of its own.
    Carrier,
}

impl Protocol {
    /// Whether events of the server can be said in it.
    pub(crate) const fn has_events(self) -> bool {
        match self {
            Self::SocketCluster
            | Self::SocketIo
            | Self::SocketStream
            | Self::Services
            | Self::SocketCluster09
            | Self::EventStream => true,
            Self::Http | Self::Raw(_) | Self::EngineIo(_) | Self::Carrier => false,
        }
    }
}

/// Why the socket is not read, as bits.
pub(crate) mod pause {
    /// Too much is queued for the peer itself.
    pub(crate) const OUTBOX: u8 = 1;
    /// Too much is queued for other shards.
    pub(crate) const MESH: u8 = 2;
    /// The application has not decided yet.
    pub(crate) const HOOK: u8 = 4;
    /// Its request of long-polling is not answered yet. The socket is read, so that its end is seen.
    pub(crate) const POLL: u8 = 8;
}

/// How the end goes, as bits.
pub(crate) mod ending {
    /// The peer's end has come.
    pub(crate) const END_RECEIVED: u8 = 1;
    /// Our end was announced to the socket.
    pub(crate) const SHUT_DOWN: u8 = 2;
    /// The socket was told to drop everything.
    pub(crate) const ABORTED: u8 = 4;
    /// In the list of those whose last bytes are watched.
    pub(crate) const LINGERING: u8 = 8;
    /// Nothing can be sent any more.
    pub(crate) const BROKEN: u8 = 16;
    /// The peer's close frame was answered: it sends no more, and reads what we have sent.
    pub(crate) const CLOSES_EXCHANGED: u8 = 32;
    /// No end, but asked for in the same breath as `BROKEN`: it has a `compression`, which what is queued has to pass.
    pub(crate) const COMPRESSES: u8 = 64;
    /// No end either: what it is told is kept for its client to come back. With `BROKEN` it waits for it.
    pub(crate) const RECOVERS: u8 = 128;
}

/// Which ping the client answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    /// Unknown: this is the next one to try.
    Probing(Dialect),
    /// Known, by its pong or by the listener's choice.
    Locked(Dialect),
}

impl Heartbeat {
    pub(crate) const fn dialect(self) -> Dialect {
        match self {
            Self::Probing(dialect) | Self::Locked(dialect) => dialect,
        }
    }

    /// Whether the client is known to expect `#disconnect` before the close frame.
    pub(crate) const fn announces_close(self) -> bool {
        matches!(self, Self::Locked(Dialect::V1 | Dialect::V0))
    }
}

pub(crate) struct Connection {
    pub(crate) generation: u32,
    pub(crate) state: State,
    pub(crate) protocol: Protocol,
    /// How it came in.
    pub(crate) door: Door,
    /// Bits of [`pause`].
    pub(crate) pauses: u8,
    /// Bits of [`ending`].
    pub(crate) endings: u8,
    /// The application has seen its request for a WebSocket and has nothing against it.
    pub(crate) is_greeted: bool,
    /// The application let it in: it is owed one disconnect.
    pub(crate) admitted: bool,
    pub(crate) heartbeat: Heartbeat,
    /// On the list of those who are sent to in this pass.
    pub(crate) is_urgent: bool,
    /// Calls that are not answered yet.
    pub(crate) calls: u16,
    /// What the turn holds for it.
    pub(crate) chain: Chain,
    /// When anything was last received, in stamps.
    pub(crate) last_seen: u32,
    /// When the state must be over, or the next ping is due, in stamps.
    pub(crate) deadline: u32,
    pub(crate) decoder: Decoder,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) outbox: Option<Box<Outbox>>,
    pub(crate) held: Option<Box<Held>>,
    /// What Engine.IO keeps.
    pub(crate) engine: Option<Box<Engine>>,
    /// Who it has shown to be.
    pub(crate) identity: Option<Box<Identity>>,
    /// What compresses its messages, if that was agreed on.
    pub(crate) compression: Option<Box<Compression>>,
    pub(crate) address: SocketAddr,
    /// Its session's slot in the table; [`NO_SLOT`] for none.
    pub(crate) session: u32,
    /// Its user's slot in the table; [`NO_USER`] for nobody.
    pub(crate) user: u32,
}

/// Received, but not looked at yet.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// A request whose body is not whole yet.
    pub(crate) arriving: Option<Arriving>,
    /// An incomplete request head, or what came while the socket was paused.
    pub(crate) bytes: Vec<u8>,
    /// How much of an incomplete head was searched for its end.
    pub(crate) scanned: usize,
    /// An array message of which the first so many are done.
    pub(crate) batch: Option<(Box<str>, usize)>,
    /// The session's home was asked after all of this had come.
    pub(crate) is_fresh: bool,
    /// Some of it came while the socket was paused.
    pub(crate) is_late: bool,
}

impl Connection {
    pub(crate) fn new(generation: u32, address: SocketAddr, door: Door, now: u32, deadline: u32) -> Self {
        Self {
            generation,
            state: State::Request,
            protocol: Protocol::Http,
            door,
            pauses: 0,
            endings: 0,
            is_greeted: false,
            admitted: false,
            heartbeat: Heartbeat::Probing(Dialect::V2),
            is_urgent: false,
            calls: 0,
            chain: Chain::EMPTY,
            last_seen: now,
            deadline,
            decoder: Decoder::new(Role::Server),
            subscriptions: Vec::new(),
            outbox: None,
            held: None,
            engine: None,
            identity: None,
            compression: None,
            address,
            session: NO_SLOT,
            user: NO_USER,
        }
    }

    pub(crate) const fn id(&self, slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: self.generation }
    }

    pub(crate) const fn peer(&self, slot: u32) -> Peer {
        Peer { connection: self.id(slot), door: self.door, address: self.address, session: self.session }
    }

    /// What messages of a raw route are wrapped in.
    pub(crate) fn framing(&self) -> Framing {
        self.engine.as_ref().map_or(Framing::Plain, |engine| Framing::Engine(engine.version))
    }

    /// How it is told of publications from its next subscription on.
    pub(crate) fn form(&self) -> Form {
        let form = match (self.protocol, &self.engine) {
            (Protocol::SocketStream, _) => Form::SOCKETSTREAM,
            (Protocol::Services, None) => Form::SERVICES,
            (Protocol::Services, Some(_)) => Form::ENGINE_SERVICES,
            (Protocol::SocketCluster09, _) => Form::SOCKETCLUSTER_09,
            (Protocol::EventStream, _) => Form::EVENT_STREAM,
            (_, Some(engine)) => Form::socketio(engine.version, engine.current),
            (_, None) => Form::SOCKETCLUSTER,
        };
        self.compression.as_ref().map_or(form, |compression| form.compressed(compression.window_bits()))
    }

    pub(crate) const fn is_ending(&self, bit: u8) -> bool {
        self.endings & bit != 0
    }

    pub(crate) fn backlog_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.bytes())
    }

    /// Queued for the peer, this turn's bytes included.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.chain.bytes as usize + self.backlog_bytes()
    }

    /// What it is told now can be sent at once.
    pub(crate) fn is_ready(&self) -> bool {
        self.pauses & pause::OUTBOX == 0 && !self.is_ending(ending::BROKEN) && self.backlog_bytes() == 0
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.in_flight())
    }

    /// Everything said so far is with the kernel.
    pub(crate) fn is_drained(&self) -> bool {
        self.chain.is_empty() && self.outbox.is_none()
    }

    pub(crate) fn held_mut(&mut self) -> &mut Held {
        self.held.get_or_insert_default()
    }
}

const _: () = assert!(size_of::<Connection>() <= 160, "a million of them");
