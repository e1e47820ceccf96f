//! The application API against a stand-in for the shard: calls go in as the shard makes them, commands come out, and
//! time is a number that the test sets. No sockets, no threads but where a test is about one.
#![allow(clippy::needless_pass_by_value, reason = "that is how actions take their arguments")]

mod actions;
mod allocations;
mod api;
mod auth;
mod client_calls;
mod ends;
mod gates;
mod hooks;
mod line;
mod log;
mod pages;
mod people;
mod raw;
mod replay;
mod tasks;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use codec::message::RawJson;
use shard::{
    Caller, Command, ConnectionId, Disconnect, Door, Host, Invocation, Invoked, Peer, Reply, Route, ShardId, Ticket,
    Time, Verdict,
};

use super::{App, Common, ShardHost};
use crate::config::Settings;

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The answer's data.
    Data(Option<String>),
    /// The error object.
    Error(String),
    /// It will be answered later.
    Pending(Ticket),
    /// There is no such action.
    Unknown,
}

fn data(text: &str) -> Outcome {
    Outcome::Data(Some(text.to_owned()))
}

/// One shard's application and what stands in for its shard and its driver.
struct World {
    host: ShardHost,
    now: Time,
    tickets: u64,
    rings: Arc<Rings>,
    reply: Reply,
}

/// Counts how often the doorbell was rung.
#[derive(Default)]
struct Rings(AtomicUsize);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl World {
    fn new(app: App) -> Self {
        let host = ShardHost::new(app, ShardId(3), common());
        Self { host, now: Time::from_micros(1_000), tickets: 0, rings: Arc::default(), reply: Reply::default() }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn call(&mut self, action: &str, argument: Option<&str>) -> Outcome {
        let data = argument.map(RawJson::from_validated);
        let ticket = self.ticket();
        let invocation = Invocation { ticket, caller: caller(), action, data, wants_reply: true };
        match self.host.invoke(invocation, &mut self.reply) {
            Invoked::Ready => outcome(&self.reply),
            Invoked::Pending => Outcome::Pending(ticket),
            Invoked::Unknown => Outcome::Unknown,
        }
    }

    fn connect(&mut self) -> (Ticket, Verdict) {
        let ticket = self.ticket();
        (ticket, self.host.connect(ticket, caller(), Route::SocketCluster))
    }

    fn disconnect(&mut self, code: u16, reason: &'static str) {
        self.host.disconnect(caller(), &Disconnect::new(code, reason));
    }

    fn subscribe(&mut self, channel: &str, data: Option<&str>) -> (Ticket, Verdict) {
        let ticket = self.ticket();
        (ticket, self.host.subscribe(ticket, caller(), channel, data.map(RawJson::from_validated)))
    }

    fn publish(&mut self, channel: &str, data: Option<&str>) -> (Ticket, Verdict) {
        let ticket = self.ticket();
        (ticket, self.host.publish(ticket, caller(), channel, data.map(RawJson::from_validated)))
    }

    /// One pass of the driver: tasks run, and what they asked for comes out.
    fn run(&mut self) -> Vec<Command> {
        self.host.run_tasks(self.now, &Waker::from(Arc::clone(&self.rings)));
        self.commands()
    }

    /// A pass that much later.
    fn run_after(&mut self, duration: Duration) -> Vec<Command> {
        self.now = self.now + duration;
        self.run()
    }

    fn commands(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.host.poll_command()).collect()
    }

    fn rings(&self) -> usize {
        self.rings.0.load(Ordering::SeqCst)
    }
}

/// The answers among commands, in order; everything must be one.
fn answers(commands: Vec<Command>) -> Vec<(Ticket, Outcome)> {
    let answer = |command| match command {
        Command::Reply { ticket, reply } => (ticket, outcome(&reply)),
        other => panic!("not an answer: {other:?}"),
    };
    commands.into_iter().map(answer).collect()
}

fn outcome(reply: &Reply) -> Outcome {
    match reply.outcome() {
        Ok(data) => Outcome::Data(data.map(|json| json.as_str().to_owned())),
        Err(error) => Outcome::Error(error.as_str().to_owned()),
    }
}

const fn peer() -> Peer {
    Peer {
        connection: connection(),
        door: Door::Plain,
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_000),
        session: Peer::NO_SESSION,
    }
}

const fn caller() -> Caller<'static> {
    Caller { peer: peer(), claims: None, user: None }
}

fn common() -> Common {
    Common::new(&Settings::default()).expect("a random key can be made")
}

const fn connection() -> ConnectionId {
    ConnectionId { slot: 7, generation: 9 }
}
