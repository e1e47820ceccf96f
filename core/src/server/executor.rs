//! The shards' threads: one glommio executor each, the loop as its one task. It never runs anything in the caller's
//! thread but the setting up.

use std::hash::{BuildHasher, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, PoolPlacement};
use shard::{Config, Door, Shard, ShardId, Time};

use super::control::{Control, Orders};
use super::driver::{Driver, Pass};
use super::entrance::Entrance;
use super::placement::Placement;
use super::reactor::Reactor;
use super::{Application, StartError};
use crate::config::Settings;
use crate::mesh::{Link, mesh};
use crate::net::{Doorbell, Sockets};
use crate::tls::TlsKeeper;

/// Shards that run.
#[derive(Debug)]
pub(crate) struct Executors {
    /// How to tell them something.
    pub(crate) control: Control,
    threads: Vec<ExecutorJoinHandle<Result<(), String>>>,
    endings: Receiver<usize>,
}

/// What one shard's thread takes along.
struct Seat {
    id: ShardId,
    settings: Settings,
    shards: usize,
    link: Link,
    listeners: Vec<socket2::Socket>,
    doors: Arc<[Door]>,
    tls: Option<Arc<TlsKeeper>>,
    orders: Arc<Orders>,
    began: Instant,
    began_accepting: Sender<()>,
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
        let shards = placement.cpus.len();
        let failed = |error| StartError::System { call: "eventfd", error };
        let doorbells = (0..shards).map(|_| Doorbell::new().map(Arc::new)).collect::<io::Result<Vec<_>>>();
        let doorbells = doorbells.map_err(failed)?;
        let control = Control::new(doorbells.clone());
        let (endings, ended) = channel();
        let (began_accepting, accepting) = channel();
        let mut executors = Self { control, threads: Vec::with_capacity(shards), endings: ended };
        let doors: Arc<[Door]> = entrance.doors.into();
        let began = Instant::now();
        let links = mesh(doorbells, settings.lane_capacity).into_iter().zip(entrance.listeners.by_shard);
        for (index, (link, listeners)) in links.enumerate() {
            let seat = Seat {
                id: ShardId(u8::try_from(index).expect("128 shards at most")),
                settings: settings.clone(),
                shards,
                link,
                listeners,
                doors: Arc::clone(&doors),
                tls: entrance.tls.clone(),
                orders: executors.control.orders(),
                began,
                began_accepting: began_accepting.clone(),
                ending: Ending { shard: index, endings: endings.clone(), notify },
            };
            match spawn(placement, seat, application.clone()) {
                Ok(thread) => executors.threads.push(thread),
                Err(error) => {
                    // The lanes to the shard that is missing never finish: nobody waits for them.
                    let message = error.to_string();
                    return Err(StartError::Executor { shard: index, message });
                }
            }
        }
        drop((began_accepting, endings));
        executors.await_accepting(&accepting).inspect_err(|_| executors.control.stop())?;
        Ok(executors)
    }

    /// A shard that has ended although nobody has asked it to.
    pub(crate) fn ended(&self) -> Option<usize> {
        self.endings.try_recv().ok()
    }

    /// Waits until all shards have ended, and says how.
    pub(crate) fn join(self) -> Result<(), StartError> {
        let mut result = Ok(());
        for (shard, thread) in self.threads.into_iter().enumerate() {
            let message = match thread.join() {
                Ok(Ok(())) => continue,
                Ok(Err(message)) => message,
                Err(error) => error.to_string(),
            };
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
            let Some(shard) = self.ended() else {
                return Err(StartError::Executor { shard: 0, message: "the shards do not start in time".to_owned() });
            };
            let message = match self.threads.remove(shard).join() {
                Ok(Ok(())) => "it has ended at once".to_owned(),
                Ok(Err(message)) => message,
                Err(error) => error.to_string(),
            };
            return Err(StartError::Executor { shard, message });
        }
        Ok(())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.endings.send(self.shard);
        (self.notify)();
    }
}

fn spawn<H, F>(
    placement: &Placement,
    seat: Seat,
    application: F,
) -> glommio::Result<ExecutorJoinHandle<Result<(), String>>, ()>
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

async fn run<H, F>(seat: Seat, application: F) -> Result<(), String>
where
    H: Application,
    F: Fn(ShardId) -> H,
{
    let _ending = seat.ending;
    let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let doorbell = Arc::clone(seat.link.doorbell());
    let mut sockets =
        Sockets::new(&seat.settings.ring, doorbell, seat.settings.tick).map_err(failed("cannot build its ring"))?;
    if let Some(tls) = &seat.tls {
        sockets.offer_tls(tls.acceptor());
    }
    let reactor = Reactor::new().map_err(failed("cannot reach its reactor"))?;
    let config = Config {
        id: seat.id,
        shards: seat.shards,
        limits: seat.settings.limits,
        // Random: the standard library's hasher takes its keys from the system.
        seed: std::hash::RandomState::new().build_hasher().finish(),
    };
    let mut shard = Shard::new(config, Time::ZERO);
    let mut host = fenced("the application cannot start", || application(seat.id))?;
    if let Some(config) = host.session_config(seat.began) {
        host.open_sessions(shard.open_sessions(config), seat.shards);
    }
    if let Some(shows_members) = host.presence() {
        shard.show_members(shows_members);
    }
    shard.open_socket_io(host.socket_io());
    if let Some(filter) = host.delivery_filter() {
        shard.filter_deliveries(filter);
    }
    sockets.listen(seat.listeners, &seat.doors).and_then(|()| sockets.enter(false)).map_err(failed("cannot accept"))?;
    let _ = seat.began_accepting.send(());
    // Who waits for all of us learns from the channel's end when one of us is missing.
    drop(seat.began_accepting);
    let mut driver = Driver::new(sockets, shard, host, seat.link, seat.orders, &seat.settings, seat.began);
    loop {
        match fenced("a bug", || driver.pass())?.map_err(failed("its ring is broken"))? {
            Pass::Next => {}
            Pass::Rest => reactor.rest().await,
            Pass::Visit => reactor.visit().await,
            Pass::Done => break,
        }
    }
    tracing::debug!("{}", driver.report());
    if driver.was_cut_short() {
        tracing::warn!(shard = seat.id.0, "the time to stop is over: what was left is cut off");
    }
    Ok(())
}

/// A panic becomes the shard's last words. What it left half done is dropped with the shard and never looked at again.
fn fenced<T>(what: &str, work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&'static str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        format!("{what}: {}", text.unwrap_or("a panic without a text"))
    })
}

/// A shard needs some milliseconds; a machine that needs longer than this has other trouble.
const START_TIMEOUT: Duration = Duration::from_secs(10);
