//! Well-behaved clients that go on calling while the server is attacked, and measure how long they wait: if they notice
//! nothing, nobody else does.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::case::{Door, Seen};
use super::member::Member;
use super::socket::Socket;
use super::stage::Stage;

/// Connections: enough that every shard of a small server most likely has one.
const CONNECTIONS: usize = 4;

/// Between two calls of all connections together.
const INTERVAL: Duration = Duration::from_millis(10);

/// More than any patience: ten minutes.
const WAIT_MICROS_MAX: u64 = 600_000_000;

/// The crowd in the background.
pub(crate) struct Bystander {
    is_over: Arc<AtomicBool>,
    worst: Arc<Mutex<Duration>>,
    thread: JoinHandle<Fate>,
}

/// What became of it.
pub(crate) struct Fate {
    /// How long its calls took, in microseconds.
    pub(crate) waits: Histogram<u64>,
    /// What hurt it.
    pub(crate) hurt: Option<String>,
}

enum Client {
    Member(Member),
    Echo(Socket),
}

impl Bystander {
    /// Connects, and begins to call.
    pub(crate) fn start(stage: &Stage) -> io::Result<Self> {
        let clients: io::Result<Vec<_>> = (0..CONNECTIONS).filter_map(|_| Client::open(stage).transpose()).collect();
        let (clients, stage) = (clients?, stage.clone());
        let (is_over, worst) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Duration::ZERO)));
        let (is_done, noted) = (Arc::clone(&is_over), Arc::clone(&worst));
        let thread = std::thread::spawn(move || watch(&stage, clients, &is_done, &noted));
        Ok(Self { is_over, worst, thread })
    }

    /// The longest wait since this was asked last.
    pub(crate) fn worst_wait(&self) -> Duration {
        std::mem::take(&mut *self.worst.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends, and says how it was.
    pub(crate) fn finish(self) -> Fate {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the bystander reports what goes wrong and does not panic")
    }
}

impl Client {
    fn open(stage: &Stage) -> io::Result<Option<Self>> {
        if stage.has(Door::SocketCluster) {
            Member::open(stage).map(Self::Member).map(Some)
        } else if stage.has(Door::Echo) {
            Socket::echo(stage).map(Self::Echo).map(Some)
        } else {
            Ok(None)
        }
    }

    fn served(&mut self) -> io::Result<Seen> {
        match self {
            Self::Member(member) => member.served(),
            Self::Echo(socket) => socket.served(),
        }
    }
}

/// Calls until it is over or something hurts.
fn watch(stage: &Stage, mut clients: Vec<Client>, is_over: &AtomicBool, worst: &Mutex<Duration>) -> Fate {
    let mut waits = Histogram::new_with_bounds(1, WAIT_MICROS_MAX, 3).expect("three digits are within its means");
    let mut turn = 0;
    let hurt = loop {
        if is_over.load(Ordering::Relaxed) {
            break None;
        }
        let begin = Instant::now();
        let count = clients.len().max(1);
        let seen = match clients.get_mut(turn % count) {
            Some(client) => client.served(),
            // A server without WebSockets: each page is a connection.
            None => stage.newcomer(),
        };
        let wait = begin.elapsed();
        match seen {
            Ok(Seen::Served) => {}
            Ok(other) => break Some(other.to_string()),
            Err(error) => break Some(error.to_string()),
        }
        waits.saturating_record(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        let mut worst = worst.lock().unwrap_or_else(PoisonError::into_inner);
        *worst = wait.max(*worst);
        drop(worst);
        turn += 1;
        std::thread::sleep(INTERVAL.saturating_sub(wait));
    };
    Fate { waits, hurt }
}
