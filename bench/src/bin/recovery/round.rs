//! One round: a server, a crowd of clients, one break under their load, and how long everything took from there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::ledger::{Ledger, Return};
use crate::server::{LISTENING, Server};
use crate::visitor::{Load, Visitor};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// One shard panics.
    Shard,
    /// The server's process is killed.
    Process,
    /// An action never returns: its shard stands still.
    Hang,
}

/// How a round is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shards: usize,
    pub(crate) clients: u64,
    pub(crate) load: Load,
    /// How long the load is on before the break.
    pub(crate) before: Duration,
    /// Flags for the server.
    pub(crate) flags: Vec<String>,
}

/// What came of one. All times from the break.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Until the server, or the shard's successor, said that it accepts.
    pub(crate) accepts: Duration,
    /// Until a new connection in place of a lost one was answered there.
    pub(crate) answered: Duration,
    /// Until the last who had lost a connection had session, subscription and an answer.
    pub(crate) back: Duration,
    /// Until the last of them had heard a publication of both channels.
    pub(crate) hearing: Duration,
    /// How many had lost their connection.
    pub(crate) affected: usize,
    /// Of them, who is served by the shard that was replaced.
    pub(crate) on_successor: usize,
    /// The longest silence of any other shard from the break until all were back, where there are others.
    pub(crate) silence: Option<Duration>,
    /// The longest of any shard in as much time without a break.
    pub(crate) usual_silence: Duration,
    /// Of the load, in a second before the break.
    pub(crate) calls: u64,
    pub(crate) deliveries: u64,
    /// Writes to sessions that were acknowledged in all.
    pub(crate) writes: u64,
    pub(crate) writes_lost: u64,
    pub(crate) sessions_lost: u64,
    pub(crate) refused: u64,
    pub(crate) retries: u64,
    /// Of others than the dead shard's, whose connection ended nevertheless.
    pub(crate) bystanders_hurt: usize,
}

impl Plan {
    /// Plays a round.
    pub(crate) fn play(&self, what: Break) -> Result<Outcome, String> {
        let mut server = Server::start(self.shards, &self.flags)?;
        let ledger = Arc::new(Ledger::new(self.shards));
        let crowd = self.gather(server.address(), &ledger)?;
        let outcome = self.measure(what, &mut server, &ledger);
        ledger.is_over.store(true, Ordering::Relaxed);
        // They wait for the server at most: with it everything ends.
        drop(server);
        for visitor in crowd {
            visitor.join().map_err(|_| "a client has panicked")?;
        }
        outcome
    }

    fn gather(&self, address: SocketAddr, ledger: &Arc<Ledger>) -> Result<Vec<thread::JoinHandle<()>>, String> {
        let start = |number| {
            let visitor = Visitor::new(address, Arc::clone(ledger), self.load, number);
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn(move || visitor.live()).map_err(|error| format!("a thread for each client: {error}"))
        };
        (0..self.clients).map(start).collect()
    }

    fn measure(&self, what: Break, server: &mut Server, ledger: &Ledger) -> Result<Outcome, String> {
        let everybody = || ledger.hearing.load(Ordering::Relaxed) == self.clients;
        wait("all clients are served", everybody)?;
        let before = [&ledger.calls, &ledger.deliveries].map(|counter| counter.load(Ordering::Relaxed));
        ledger.begin_silences();
        thread::sleep(self.before);
        let usual_silence = (0..self.shards).map(|shard| ledger.silence(shard)).max().unwrap_or_default();
        let per_second = |counter: &AtomicU64, before| {
            let count = counter.load(Ordering::Relaxed) - before;
            (count as f64 / self.before.as_secs_f64()).round() as u64
        };
        let (calls, deliveries) = (per_second(&ledger.calls, before[0]), per_second(&ledger.deliveries, before[1]));
        let mut breaker = Connection::open(server.address(), None).map_err(|error| error.to_string())?;
        let shard = ask_shard(&mut breaker).map_err(|error| format!("one more client: {error}"))?;
        ledger.begin_silences();
        let is_hit = |one: usize| what != Break::Shard || one == shard;
        let hit = (0..self.shards).filter(|one| is_hit(*one)).map(|one| ledger.served[one].load(Ordering::Relaxed));
        let hit = usize::try_from(hit.sum::<u64>()).expect("as many as there are threads");
        let began = Instant::now();
        let words = match what {
            Break::Shard => {
                breaker.call("break", &Value::Null).map_err(|error| error.to_string())?;
                "the shard is replaced"
            }
            Break::Process => {
                server.kill()?;
                LISTENING
            }
            Break::Hang => {
                breaker.call("hang", &Value::Null).map_err(|error| error.to_string())?;
                LISTENING
            }
        };
        let (accepts, _) = server.await_line(words, began)?;
        // Until each of them has noticed, they count as served.
        wait("everybody is back", || ledger.returns().len() >= hit && everybody())?;
        let silent = (0..self.shards).filter(|other| *other != shard && what == Break::Shard);
        let silence = silent.map(|other| ledger.silence(other)).max();
        let returns = ledger.returns();
        let since = |at: Instant| at.saturating_duration_since(began);
        let latest = |of: fn(&Return) -> Instant| returns.iter().map(of).max().map_or(Duration::ZERO, since);
        let in_place = || returns.iter().filter(|one| is_hit(one.to));
        Ok(Outcome {
            accepts: since(accepts),
            answered: in_place().map(|one| one.answered).min().map_or(Duration::ZERO, since),
            back: latest(|one| one.back),
            hearing: latest(|one| one.hearing),
            affected: returns.len(),
            on_successor: in_place().count(),
            silence,
            usual_silence,
            calls,
            deliveries,
            writes: ledger.writes.load(Ordering::Relaxed),
            writes_lost: ledger.writes_lost.load(Ordering::Relaxed),
            sessions_lost: ledger.sessions_lost.load(Ordering::Relaxed),
            refused: ledger.refused.load(Ordering::Relaxed),
            retries: ledger.retries.load(Ordering::Relaxed),
            bystanders_hurt: returns.iter().filter(|one| !is_hit(one.from)).count(),
        })
    }
}

fn ask_shard(connection: &mut Connection) -> std::io::Result<usize> {
    connection.ask("#handshake", &json!({ "authToken": null }))?;
    let shard = connection.ask("shard", &Value::Null)?;
    Ok(shard.as_u64().and_then(|shard| usize::try_from(shard).ok()).unwrap_or(0))
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            return Err(format!("waited {} s in vain: {what}", PATIENCE.as_secs()));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(1);
/// A client needs little, and there are hundreds.
const STACK_BYTES: usize = 256 << 10;
