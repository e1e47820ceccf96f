//! Work that is done once for the whole server, under real executors: on one of two shards, and after that one has died on its
//! successor, which nobody has to ask for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use codec::message::RawJson;
use shard::{
    Caller, Command, Disconnect, Host, Invocation, Invoked, Peer, RawMessage, RawReplies, Reply, Request, Responded,
    Route, ShardId, Ticket, Time, Verdict,
};

use super::replacing::{CLIENTS, Member, tend};
use crate::app::{App, Common, Publish, ShardHost};
use crate::config::Settings;
use crate::server::Application;
use crate::server::entrance::Entrance;
use crate::server::executor::Executors;
use crate::server::placement::Placement;

/// What a test and the shards know of each other.
#[derive(Default)]
struct Known {
    /// Shards that are to die.
    doomed: [AtomicBool; 2],
    /// How often the server's start was told.
    starts: AtomicUsize,
    /// On which shard each piece of work was done, and after how many starts.
    runs: Mutex<Vec<(usize, usize)>>,
}

/// An application whose shard dies when it is told to: outside of everything that is fenced.
struct Mortal {
    host: ShardHost,
    shard: usize,
    known: Arc<Known>,
}

impl Host for Mortal {
    fn secret(&mut self) -> [u8; 16] {
        self.host.secret()
    }

    fn route(&mut self, path: &str) -> Option<Route> {
        self.host.route(path)
    }

    fn request(&mut self, ticket: Ticket, peer: Peer, request: Request<'_>, response: &mut Vec<u8>) -> Responded {
        self.host.request(ticket, peer, request, response)
    }

    fn connect(&mut self, ticket: Ticket, caller: Caller<'_>, route: Route) -> Verdict {
        self.host.connect(ticket, caller, route)
    }

    fn disconnect(&mut self, caller: Caller<'_>, disconnect: &Disconnect) {
        self.host.disconnect(caller, disconnect);
    }

    fn invoke(&mut self, invocation: Invocation<'_>, reply: &mut Reply) -> Invoked {
        self.host.invoke(invocation, reply)
    }

    fn subscribe(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict {
        self.host.subscribe(ticket, caller, channel, data)
    }

    fn publish(&mut self, ticket: Ticket, caller: Caller<'_>, channel: &str, data: Option<RawJson<'_>>) -> Verdict {
        self.host.publish(ticket, caller, channel, data)
    }

    fn message(&mut self, caller: Caller<'_>, route: u16, message: RawMessage<'_>, replies: &mut RawReplies<'_>) {
        self.host.message(caller, route, message, replies);
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.host.poll_command()
    }

    fn congested(&mut self, congested: bool) {
        self.host.congested(congested);
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.host.cancel(ticket);
    }
}

impl Application for Mortal {
    fn run_tasks(&mut self, now: Time, waker: &Waker) {
        assert!(!self.known.doomed[self.shard].swap(false, Ordering::Relaxed), "as it was told to");
        self.host.run_tasks(now, waker);
    }

    fn next_wake(&self) -> Option<Time> {
        self.host.next_wake()
    }
}

/// Says every 5 ms which life of the server's work this is.
fn app(shard: usize, known: &Arc<Known>) -> App {
    let (start, work) = (Arc::clone(known), Arc::clone(known));
    App::new()
        .on_server_start(move || {
            start.starts.fetch_add(1, Ordering::Relaxed);
        })
        .every(Duration::from_millis(5), move |publish: Publish| {
            let life = work.starts.load(Ordering::Relaxed);
            work.runs.lock().unwrap_or_else(PoisonError::into_inner).push((shard, life));
            publish.broadcast("work", format!("life {life}."))
        })
}

fn start(known: &Arc<Known>) -> (Executors, SocketAddr) {
    let listen = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    let settings = Settings { listen, shard_restarts: 5, ..Settings::default() };
    let entrance = Entrance::open(&settings, 2, Vec::new()).expect("a free port");
    let address = entrance.listeners.addresses[0];
    let placement = Placement { cpus: vec![0; 2], pinned: false };
    let (common, known) = (Common::new(&settings).expect("a random key"), Arc::clone(known));
    let application = move |id: ShardId| {
        let shard = id.index();
        Mortal { host: ShardHost::new(app(shard, &known), id, common.clone()), shard, known: Arc::clone(&known) }
    };
    (Executors::start(&settings, &placement, entrance, application, || {}).expect("they start"), address)
}

#[test]
fn periodic_work_is_done_by_one_shard_and_goes_on_when_that_one_has_died() {
    let known = Arc::new(Known::default());
    let (mut executors, address) = start(&known);
    let kill = |executors: &mut Executors, shard: usize| {
        known.doomed[shard].store(true, Ordering::Relaxed);
        assert!(tend(executors));
    };
    let mut old: Vec<_> = (0..CLIENTS).map(|_| Member::connect(address)).collect();
    old.iter_mut().for_each(|member| member.await_words("life 1."));
    kill(&mut executors, 0);
    // Those on the other shard hear the successor's, and so do all who come now.
    let survivors = old.iter_mut().filter_map(|member| member.hears("life 2.").then_some(())).count();
    assert!(survivors > 0 && survivors < CLIENTS, "{survivors} have survived");
    let mut new: Vec<_> = (0..CLIENTS).map(|_| Member::connect(address)).collect();
    new.iter_mut().for_each(|member| member.await_words("life 2."));
    // The death of the other one changes nothing.
    kill(&mut executors, 1);
    let done = known.runs.lock().unwrap_or_else(PoisonError::into_inner).len();
    let mut newest: Vec<_> = (0..CLIENTS).map(|_| Member::connect(address)).collect();
    newest.iter_mut().for_each(|member| member.await_words("life 2."));
    let runs = known.runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(runs.len() > done, "it goes on");
    assert!(runs.is_sorted(), "no life works when the next has begun: {runs:?}");
    assert!(runs.iter().all(|run| [(0, 1), (0, 2)].contains(run)), "one shard alone, and two lives of it: {runs:?}");
    assert_eq!(known.starts.load(Ordering::Relaxed), 2, "the server's start is told with each life");
    drop((old, new, newest));
    executors.control.stop();
    executors.join().expect("all ends well");
}
