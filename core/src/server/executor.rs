//! The shards' threads: one glommio executor each, the loop as its one task; and their successors, where one of them dies.
//! It never runs anything in the caller's thread but the setting up.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, PoolPlacement};
use shard::{Config, Door, Shard, ShardId, Time};
use socket2::Socket;

use super::control::{Control, Orders};
use super::deaths::Deaths;
use super::driver::{Driver, Pass};
use super::entrance::Entrance;
use super::placement::Placement;
use super::reactor::Reactor;
use super::{Application, StartError};
use crate::app::fence::{self, fence};
use crate::config::Settings;
use crate::mesh::{Link, Roll, mesh};
use crate::net::{Doorbell, Sockets, duplicate};
use crate::tls::TlsKeeper;

/// Shards that run.
pub(crate) struct Executors {
    /// How to tell them something.
    pub(crate) control: Control,
    threads: Vec<Option<Thread>>,
    endings: Receiver<usize>,
    roll: Arc<Roll>,
    deaths: Deaths,
    /// Starts a shard in a place.
    spawn: Box<dyn Fn(ShardId, Beginning) -> Result<Thread, StartError>>,
    /// Why there are not to be any more.
    failure: Option<StartError>,
}

type Thread = ExecutorJoinHandle<Result<(), String>>;

/// How a shard begins.
enum Beginning {
    /// With all others.
    First(Link, Sender<()>),
    /// In the place of one that has died, the so-many-th.
    InPlace(u32),
}

/// What one shard's thread takes along.
struct Seat {
    id: ShardId,
    settings: Settings,
    shards: usize,
    beginning: Beginning,
    roll: Arc<Roll>,
    listeners: Vec<Socket>,
    are_shared: bool,
    doors: Arc<[Door]>,
    tls: Option<Arc<TlsKeeper>>,
    orders: Arc<Orders>,
    began: Instant,
    ending: Ending,
}

/// Reports the end of a shard, whether it returns or panics.
struct Ending {
    shard: usize,
    endings: Sender<usize>,
    notify: fn(),
}

impl Executors {
    /// Starts the shards and waits until all of them accept. `notify` is called on a shard's thread when it ends.
    pub(crate) fn start<H, F>(
        settings: &Settings,
        placement: &Placement,
        entrance: Entrance,
        application: F,
        notify: fn(),
    ) -> Result<Self, StartError>
    where
        H: Application + 'static,
        F: Fn(ShardId) -> H + Clone + Send + 'static,
    {
        fence::install();
        let shards = placement.cpus.len();
        let failed = |error| StartError::System { call: "eventfd", error };
        let doorbells = (0..shards).map(|_| Doorbell::new().map(Arc::new)).collect::<io::Result<Vec<_>>>();
        let doorbells = doorbells.map_err(failed)?;
        let control = Control::new(doorbells.clone());
        let (endings, ended) = channel();
        let (began_accepting, accepting) = channel();
        let links = mesh(doorbells, settings.lane_capacity);
        let roll = Arc::clone(links.first().expect("one shard at least").roll());
        let (doors, began) = (Arc::from(entrance.doors), Instant::now());
        let are_shared = entrance.listeners.are_shared;
        let spawn = {
            let (settings, placement, roll) = (settings.clone(), placement.clone(), Arc::clone(&roll));
            let (orders, listeners) = (control.orders(), entrance.listeners.by_shard);
            move |id: ShardId, beginning| {
                let shard = id.index();
                // Ours go on listening, whatever becomes of the shard: who connects meanwhile waits for its successor.
                let listeners = duplicate(&listeners[shard]);
                let seat = Seat {
                    id,
                    settings: settings.clone(),
                    shards,
                    beginning,
                    roll: Arc::clone(&roll),
                    listeners: listeners.map_err(|error| StartError::System { call: "dup", error })?,
                    are_shared,
                    doors: Arc::clone(&doors),
                    tls: entrance.tls.clone(),
                    orders: Arc::clone(&orders),
                    began,
                    ending: Ending { shard, endings: endings.clone(), notify },
                };
                let thread = spawn(&placement, seat, application.clone());
                thread.map_err(|error| StartError::Executor { shard, message: error.to_string() })
            }
        };
        let mut executors = Self {
            control,
            threads: Vec::with_capacity(shards),
            endings: ended,
            roll,
            deaths: Deaths::new(settings.shard_restarts, shards),
            spawn: Box::new(spawn),
            failure: None,
        };
        for (index, link) in links.into_iter().enumerate() {
            // The lanes to a shard that is missing never finish: nobody waits for them.
            let thread = (executors.spawn)(shard_id(index), Beginning::First(link, began_accepting.clone()))?;
            executors.threads.push(Some(thread));
        }
        drop(began_accepting);
        executors.await_accepting(&accepting).inspect_err(|_| executors.control.stop())?;
        Ok(executors)
    }

    /// Shards that have ended although nobody has asked them to are replaced. `false`: too many, and the server is to stop.
    pub(crate) fn tend(&mut self) -> bool {
        while let Ok(shard) = self.endings.try_recv() {
            let message = self.threads[shard].take().map_or_else(String::new, last_words);
            tracing::error!(shard, message, "a shard has failed");
            self.roll.strike_off(shard_id(shard));
            if self.failure.is_some() {
                continue;
            }
            let successor = match self.deaths.note(Instant::now(), shard) {
                Some(count) => (self.spawn)(shard_id(shard), Beginning::InPlace(count)),
                None => Err(StartError::ShardFailed { shard, message }),
            };
            match successor {
                Ok(thread) => self.threads[shard] = Some(thread),
                Err(error) => self.failure = Some(error),
            }
        }
        self.failure.is_none()
    }

    /// How many have ended so far.
    #[cfg(test)]
    pub(crate) fn ended(&self) -> u32 {
        self.deaths.total()
    }

    /// Waits until all shards have ended, and says how.
    pub(crate) fn join(self) -> Result<(), StartError> {
        // Nobody is replaced any more: the shards alone decide how long to listen.
        drop(self.spawn);
        let mut result = self.failure.map_or(Ok(()), Err);
        for (shard, thread) in self.threads.into_iter().enumerate() {
            let Some(message) = thread.and_then(|thread| failure(thread.join())) else { continue };
            tracing::error!(shard, message, "a shard has failed");
            result = result.and(Err(StartError::ShardFailed { shard, message }));
        }
        result
    }

    /// Waits for every shard's word. One that ends without it has an error to tell, which `join` finds.
    fn await_accepting(&mut self, accepting: &Receiver<()>) -> Result<(), StartError> {
        let deadline = Instant::now() + START_TIMEOUT;
        for _ in 0..self.threads.len() {
            if accepting.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {
                continue;
            }
            let Ok(shard) = self.endings.try_recv() else {
                return Err(StartError::Executor { shard: 0, message: "the shards do not start in time".to_owned() });
            };
            let message = self.threads[shard].take().map_or_else(String::new, last_words);
            return Err(StartError::Executor { shard, message });
        }
        Ok(())
    }
}

impl fmt::Debug for Executors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Executors").field("deaths", &self.deaths).finish_non_exhaustive()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.endings.send(self.shard);
        (self.notify)();
    }
}

fn shard_id(index: usize) -> ShardId {
    ShardId(u8::try_from(index).expect("128 shards at most"))
}

/// Why a thread has ended that should not have.
fn last_words(thread: Thread) -> String {
    failure(thread.join()).unwrap_or_else(|| "it has ended by itself".to_owned())
}

fn failure(end: glommio::Result<Result<(), String>, ()>) -> Option<String> {
    match end {
        Ok(Ok(())) => None,
        Ok(Err(message)) => Some(message),
        Err(error) => Some(error.to_string()),
    }
}

fn spawn<H, F>(placement: &Placement, seat: Seat, application: F) -> glommio::Result<Thread, ()>
where
    H: Application + 'static,
    F: Fn(ShardId) -> H + Send + 'static,
{
    let cpu = placement.cpus[seat.id.index()];
    let pinning = if placement.pinned { glommio::Placement::Fixed(cpu) } else { glommio::Placement::Unbound };
    LocalExecutorBuilder::new(pinning)
        .name("shard")
        // Memory for file operations, pre-faulted and registered three times; sockets never use it. glommio's own
        // default would be 10 MiB.
        .io_memory(64 << 10)
        .spin_before_park(Duration::ZERO)
        .preempt_timer(Duration::from_millis(100))
        // Its helper thread would otherwise sit on the shard's own CPU.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .spawn(move || run(seat, application))
}

/// Why there is no ring. The start-up check had a small one, so that only the limit on locked memory is left to blame where
/// there is too little of it.
fn without_ring(error: &io::Error) -> String {
    let advice = match error.raw_os_error() {
        Some(libc::ENOMEM) => {
            "; all rings of a user count as locked memory: raise its limit (`ulimit -l`, LimitMEMLOCK= for a systemd service, \
             --ulimit memlock= for a container), about 1 MiB for each shard"
        }
        _ => "",
    };
    format!("cannot build its ring: {error}{advice}")
}

async fn run<H, F>(seat: Seat, application: F) -> Result<(), String>
where
    H: Application,
    F: Fn(ShardId) -> H,
{
    let _ending = seat.ending;
    let (id, began) = (seat.id, seat.began);
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let doorbell = Arc::clone(seat.roll.doorbell(id));
    let mut sockets =
        Sockets::new(&seat.settings.ring, doorbell, seat.settings.tick).map_err(|error| without_ring(&error))?;
    if seat.are_shared {
        sockets.share_listeners();
    }
    if let Some(tls) = &seat.tls {
        sockets.offer_tls(tls.acceptor());
    }
    let reactor = Reactor::new().map_err(failed("cannot reach its reactor"))?;
    let config = Config {
        id,
        shards: seat.shards,
        limits: seat.settings.limits,
        // Random: the standard library's hasher takes its keys from the system.
        seed: std::hash::RandomState::new().build_hasher().finish(),
    };
    let mut host = fenced("the application cannot start", || application(id))?;
    let now = u64::try_from(began.elapsed().as_micros()).expect("584,000 years");
    let mut shard = Shard::new(config, Time::from_micros(now));
    introduce(&mut shard, &mut host, began, seat.shards);
    let mut driver = match seat.beginning {
        Beginning::First(link, began_accepting) => {
            let listening = sockets.listen(seat.listeners, &seat.doors).and_then(|()| sockets.enter(false));
            listening.map_err(failed("cannot accept"))?;
            let _ = began_accepting.send(());
            // Who waits for all of us learns from the channel's end when one of us is missing.
            drop(began_accepting);
            Driver::new(sockets, shard, host, link, seat.orders, &seat.settings, began)
        }
        Beginning::InPlace(count) => {
            let link = seat.roll.enter(id);
            let driver = Driver::new(sockets, shard, host, link, seat.orders, &seat.settings, began);
            driver.in_place(seat.listeners, seat.doors, count)
        }
    };
    loop {
        let pass = match fenced("a bug", || driver.pass()) {
            Ok(pass) => pass.map_err(failed("its ring is broken")),
            Err(message) => Err(message),
        };
        match pass {
            Ok(Pass::Next) => {}
            Ok(Pass::Rest) => reactor.rest().await,
            Ok(Pass::Visit) => reactor.visit().await,
            Ok(Pass::Done) => break,
            Err(message) => {
                driver.abandon();
                return Err(message);
            }
        }
    }
    tracing::debug!("{}", driver.report());
    if driver.was_cut_short() {
        tracing::warn!(shard = id.0, "the time to stop is over: what was left is cut off");
    }
    Ok(())
}

/// What the shard and the application have to know of each other before anything happens.
fn introduce<H: Application>(shard: &mut Shard, host: &mut H, began: Instant, shards: usize) {
    if let Some(config) = host.session_config(began) {
        host.open_sessions(shard.open_sessions(config), shards);
    }
    if let Some(shows_members) = host.presence() {
        shard.show_members(shows_members);
    }
    shard.open_socket_io(host.socket_io());
    if let Some(filter) = host.delivery_filter() {
        shard.filter_deliveries(filter);
    }
    if let Some(policies) = host.slow_consumers() {
        shard.treat_slow_consumers(policies);
    }
}

/// A panic becomes the shard's last words, with its place. What it left half done is dropped with the shard; before that
/// the application is told whom it has lost.
fn fenced<T>(what: &str, work: impl FnOnce() -> T) -> Result<T, String> {
    fence(work).map_err(|panic| format!("{what}: {}", panic.text))
}

/// A shard needs some milliseconds; a machine that needs longer than this has other trouble.
const START_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_lockable_memory_is_told_with_what_to_raise() {
        let told = |code| without_ring(&io::Error::from_raw_os_error(code));
        assert!(told(libc::ENOMEM).contains("ulimit -l"), "{}", told(libc::ENOMEM));
        assert!(!told(libc::EMFILE).contains("ulimit -l"), "{}", told(libc::EMFILE));
    }
}
