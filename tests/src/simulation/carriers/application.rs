//! The application: it lets everybody in and everything happen, tells the oracle what it has accepted, and makes the
//! secrets, so that whoever shows one is known.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use codec::message::RawJson;
use fastrand::Rng;
use shard::{
    Caller, Command, ConnectionId, Disconnect, Host, Invocation, Invoked, Peer, RawMessage, RawReplies, Reply, Request,
    Responded, Route, Ticket, Verdict,
};

use super::oracle::Oracle;
use crate::simulation::ledger::{channel_index, identity};

pub(super) struct Application {
    shard: usize,
    life: u32,
    random: Rng,
    oracle: Rc<RefCell<Oracle>>,
    /// Connections that were let in and whose end was not told.
    pub(super) connected: BTreeSet<ConnectionId>,
}

impl Application {
    pub(super) const fn new(shard: usize, life: u32, random: Rng, oracle: Rc<RefCell<Oracle>>) -> Self {
        Self { shard, life, random, oracle, connected: BTreeSet::new() }
    }
}

impl Host for Application {
    fn route(&mut self, path: &str) -> Option<Route> {
        (path == "/socket.io/").then_some(Route::SocketIo)
    }

    fn request(&mut self, _: Ticket, _: Peer, _: Request<'_>, _: &mut Vec<u8>) -> Responded {
        unreachable!("nobody asks for pages here");
    }

    fn secret(&mut self) -> [u8; 16] {
        let secret = self.random.u128(..).to_be_bytes();
        self.oracle.borrow_mut().secrets.insert(secret, (self.shard, self.life));
        secret
    }

    fn connect(&mut self, _: Ticket, caller: Caller<'_>, _: Route) -> Verdict {
        assert!(self.connected.insert(caller.peer.connection), "let in twice");
        Verdict::Allow
    }

    fn disconnect(&mut self, caller: Caller<'_>, _: &Disconnect) {
        assert!(self.connected.remove(&caller.peer.connection), "an end is told twice, or of nobody");
    }

    fn invoke(&mut self, _: Invocation<'_>, _: &mut Reply) -> Invoked {
        Invoked::Unknown
    }

    fn subscribe(&mut self, _: Ticket, _: Caller<'_>, _: &str, _: Option<RawJson<'_>>) -> Verdict {
        Verdict::Allow
    }

    fn publish(&mut self, _: Ticket, _: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict {
        let (publisher, number) = data.and_then(|data| identity(data.as_str())).expect("payloads are never mangled");
        let mut oracle = self.oracle.borrow_mut();
        oracle.note(&[6, publisher, number], || format!("shard {} accepts {publisher}#{number}", self.shard));
        oracle.ledger.accept(self.shard, channel_index(channel), publisher, number);
        Verdict::Allow
    }

    fn message(&mut self, _: Caller<'_>, _: u16, _: RawMessage<'_>, _: &mut RawReplies<'_>) {
        unreachable!("there is no raw route");
    }

    fn poll_command(&mut self) -> Option<Command> {
        None
    }

    fn congested(&mut self, _: bool) {}

    fn cancel(&mut self, _: Ticket) {}
}
