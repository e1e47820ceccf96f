//! One shard's share of the sessions, as its application uses them: where to find one, fresh ids, who waits for which
//! write.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use codec::http::request::Head;
use shard::{
    Command, Door, Peer, Session, SessionId, Sessions, ShardId, StoreRequest, Stored, WriteError, WriteToken, Written,
};

use super::cookie::BadCookie;
use super::port::Port;
use super::service::SessionService;
use super::store::{LoadDone, SaveDone, SessionSave};
use crate::app::Waits;

/// Everything an application of one shard needs for sessions.
pub(crate) struct LocalSessions {
    service: SessionService,
    port: Arc<Port>,
    shard: ShardId,
    shards: usize,
    sessions: Sessions,
    random: RefCell<Random>,
    waits: Waits<WriteToken, Result<Written, WriteError>>,
    /// Times a request's cookies proved nothing.
    cookies_refused: Cell<u64>,
}

/// Random bytes, fetched from the system a page at a time.
struct Random {
    bytes: [u8; 1_024],
    used: usize,
}

impl LocalSessions {
    pub(super) fn new(
        service: SessionService,
        port: Arc<Port>,
        shard: ShardId,
        shards: usize,
        sessions: Sessions,
    ) -> Self {
        let random = RefCell::new(Random { bytes: [0; 1_024], used: 1_024 });
        let cookies_refused = Cell::new(0);
        Self { service, port, shard, shards, sessions, random, waits: Waits::default(), cookies_refused }
    }

    /// Times a request's cookies proved nothing.
    pub(crate) const fn cookies_refused(&self) -> u64 {
        self.cookies_refused.get()
    }

    /// The session that a request's cookie proves.
    pub(crate) fn of_request(&self, peer: Peer, head: &Head<'_>) -> Option<SessionId> {
        let found = self.service.cookies.read(peer.door == Door::Tls, head);
        if found == Err(BadCookie) {
            self.cookies_refused.set(self.cookies_refused.get() + 1);
        }
        found.ok().flatten()
    }

    /// A fresh id at home here, and its cookie.
    pub(crate) fn fresh(&self, peer: Peer) -> (SessionId, String) {
        let id = self.fresh_id(self.shard);
        (id, self.service.cookies.write(peer.door == Door::Tls, id))
    }

    /// A fresh id with that home.
    pub(crate) fn fresh_id(&self, home: ShardId) -> SessionId {
        SessionId::with_home(self.random.borrow_mut().take(), home, self.shards)
    }

    /// The home of an id.
    pub(crate) fn home(&self, id: SessionId) -> ShardId {
        id.home(self.shards)
    }

    /// The cookie that a ticket is good for.
    pub(crate) fn redeem(&self, peer: Peer, ticket: &str) -> Option<String> {
        let id = self.service.cookies.redeem(ticket, SessionService::now())?;
        Some(self.service.cookies.write(peer.door == Door::Tls, id))
    }

    /// A ticket for a session's cookie.
    pub(crate) fn ticket(&self, id: SessionId) -> String {
        self.service.ticket(id)
    }

    /// The session of a connection.
    pub(crate) fn of_peer(&self, peer: Peer) -> Option<Session> {
        self.sessions.find(peer.session)
    }

    /// Passes a request on to the store.
    pub(crate) fn store(&self, request: StoreRequest) {
        let Some(store) = &self.service.store else { return };
        let port = Arc::clone(&self.port);
        match request {
            StoreRequest::Load { session } => store.load(session, LoadDone { port, session: Some(session) }),
            StoreRequest::Save { session, version, expires, bytes, retires } => {
                let further = retires.into_iter().map(|id| (id, Stored::Retired.encode())).collect();
                let save = SessionSave { session, version, expires, bytes, further };
                store.save(save, SaveDone { port, save: Some((session, version)) });
            }
            StoreRequest::Remove { session } => store.remove(session),
        }
    }

    /// What the store has answered.
    pub(crate) fn answers(&self, waker: &Waker) -> Vec<Command> {
        if self.service.store.is_none() { Vec::new() } else { self.port.take(waker) }
    }

    /// Who waits for which write.
    pub(crate) const fn waits(&self) -> &Waits<WriteToken, Result<Written, WriteError>> {
        &self.waits
    }
}

impl Random {
    fn take(&mut self) -> [u8; SessionId::BYTES] {
        if self.used + SessionId::BYTES > self.bytes.len() {
            getrandom::fill(&mut self.bytes).expect("a system that has made a key has randomness");
            self.used = 0;
        }
        let taken = &mut self.bytes[self.used..self.used + SessionId::BYTES];
        let bytes = <[u8; SessionId::BYTES]>::try_from(&*taken).expect("as many bytes as an id has");
        // Given out, it need not be found here.
        taken.fill(0);
        self.used += SessionId::BYTES;
        bytes
    }
}

impl fmt::Debug for LocalSessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LocalSessions").field("shard", &self.shard).finish_non_exhaustive()
    }
}
