//! One client: it calls, counts in its session, publishes and hears, and comes back at once when it has lost its connection.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::application::{OF_CLIENTS, OF_SESSIONS};
use crate::connection::{Connection, Heard};
use crate::ledger::{Ledger, Return, count};

/// How much each client does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Between a client's calls.
    pub(crate) period: Duration,
    /// Of its turns, every which it publishes.
    pub(crate) publishes_every: u64,
}

/// A client.
pub(crate) struct Visitor {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    load: Load,
    /// Where it is in the turns of all, so that not all do the same at the same time.
    offset: u64,
    cookie: Option<String>,
    acknowledged: i64,
    shard: Option<usize>,
}

impl Visitor {
    /// One that has never been here.
    pub(crate) const fn new(address: SocketAddr, ledger: Arc<Ledger>, load: Load, offset: u64) -> Self {
        Self { address, ledger, load, offset, cookie: None, acknowledged: 0, shard: None }
    }

    /// Comes again and again until it is over.
    pub(crate) fn live(mut self) {
        while !self.is_over() {
            match Connection::open(self.address, self.cookie.as_deref()) {
                Ok(connection) => self.visit(connection, Instant::now()),
                Err(error) => {
                    let is_refused = error.kind() == ErrorKind::ConnectionRefused;
                    count(if is_refused { &self.ledger.refused } else { &self.ledger.retries });
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.ledger.is_over.load(Ordering::Relaxed)
    }

    fn visit(&mut self, mut connection: Connection, answered: Instant) {
        let Ok(shard) = self.come_in(&mut connection) else {
            count(&self.ledger.retries);
            return;
        };
        let from = self.shard.replace(shard);
        let ledger = Arc::clone(&self.ledger);
        count(&ledger.served[shard]);
        let mut stay = Stay { shard, answered, back: Instant::now(), from, hears: [false; 2], is_hearing: false };
        // It ends when the server goes, or all of it is over: in either case nobody is served here any more.
        let _ = self.stay(&mut connection, &mut stay);
        ledger.served[shard].fetch_sub(1, Ordering::Relaxed);
        if stay.is_hearing {
            ledger.hearing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The handshake, the subscription, and a look at the session; the shard.
    fn come_in(&mut self, connection: &mut Connection) -> io::Result<usize> {
        connection.ask("#handshake", &json!({ "authToken": null }))?;
        connection.ask("#subscribe", &json!({ "channel": OF_CLIENTS }))?;
        let counted = connection.ask("counted", &Value::Null)?.as_i64().unwrap_or(0);
        match (connection.cookie(), &self.cookie) {
            (Some(cookie), None) => {
                self.cookie = Some(cookie.to_owned());
                connection.ask("join", &Value::Null)?;
            }
            // A cookie that was not known any more was replaced.
            (Some(_), Some(_)) => count(&self.ledger.sessions_lost),
            (None, _) => {}
        }
        if counted < self.acknowledged {
            count(&self.ledger.writes_lost);
        }
        // An increment that was not acknowledged may have been made.
        self.acknowledged = counted;
        let shard = connection.ask("shard", &Value::Null)?.as_u64().and_then(|shard| usize::try_from(shard).ok());
        shard.ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn stay(&mut self, connection: &mut Connection, stay: &mut Stay) -> io::Result<()> {
        let mut next = Instant::now();
        for turn in self.offset.. {
            if self.is_over() {
                return Ok(());
            }
            connection.call("square", &json!(turn))?;
            let write = connection.call("count", &Value::Null)?;
            if turn % self.load.publishes_every == 0 {
                connection.publish(OF_CLIENTS, &json!(turn))?;
                connection.publish(OF_SESSIONS, &json!(turn))?;
            }
            next += self.load.period;
            while Instant::now() < next {
                connection.listen(next, |heard| self.hear(heard, write, stay))?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard, write: u64, stay: &mut Stay) {
        match heard {
            Heard::Answer(call, value) => {
                self.ledger.note_answer(stay.shard);
                count(&self.ledger.calls);
                // Each turn makes two calls: what is an even number of calls away from a write is a write.
                if call % 2 == write % 2
                    && let Some(sum) = value.as_i64()
                {
                    self.acknowledged = self.acknowledged.max(sum);
                    count(&self.ledger.writes);
                }
            }
            Heard::Publication(channel) => {
                count(&self.ledger.deliveries);
                stay.hears[usize::from(channel == OF_SESSIONS)] = true;
                if stay.hears == [true; 2] && !stay.is_hearing {
                    stay.is_hearing = true;
                    count(&self.ledger.hearing);
                    if let Some(from) = stay.from {
                        let (answered, back, to) = (stay.answered, stay.back, stay.shard);
                        self.ledger.note_return(Return { from, to, answered, back, hearing: Instant::now() });
                    }
                }
            }
        }
    }
}

/// One connection's time.
struct Stay {
    shard: usize,
    answered: Instant,
    back: Instant,
    /// Which shard it was on before.
    from: Option<usize>,
    /// Of which channels it has heard a publication.
    hears: [bool; 2],
    is_hearing: bool,
}

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(2);
