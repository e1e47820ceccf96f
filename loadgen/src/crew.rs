//! The threads of a run: which CPU each gets, which part of the plan, and what they hand over. Never decides when
//! anything begins or ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use glommio::{LocalExecutorBuilder, Placement};

use crate::args::ScenarioName;
use crate::client::Protocol;
use crate::machine;
use crate::net::{Target, Trust};
use crate::plan::{Schedule, share};
use crate::record::Interval;
use crate::scenario::calls::{Calls, Pace};
use crate::scenario::connect::Connect;
use crate::scenario::echo::Echo;
use crate::scenario::emit::Emit;
use crate::scenario::fanout::{Cast, Fanout};
use crate::scenario::idle::Idle;
use crate::scenario::presence::Presence;
use crate::scenario::rpc::Rpc;
use crate::server::Address;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::worker::{Orders, work};

/// Seconds of measurements that may wait for the main thread.
const REPORTS_MAX: usize = 8;
/// Memory of an executor for its own files and timers, of which the generator has none: glommio's least.
const IO_MEMORY_BYTES: usize = 64 << 10;
/// Depth of the executor's own rings, which carry next to nothing here.
const EXECUTOR_RING_DEPTH: usize = 64;
/// Connections of the whole run that may be on their way at once: below the backlog of 4,096 that servers have, also
/// when the kernel's hash puts them all on one listener.
const OPENING_MAX: usize = 512;

/// The threads.
pub(crate) struct Crew {
    members: Vec<Member>,
}

struct Member {
    thread: JoinHandle<Result<Interval, String>>,
    reports: Receiver<Interval>,
    thread_id: Receiver<u32>,
}

impl Crew {
    /// Starts the threads, each on its CPU of the list (none: unpinned).
    pub(crate) fn start(
        settings: &Settings,
        (address, trust): (&Address, Option<&Trust>),
        shared: &Arc<Shared>,
        threads: usize,
        cpus: &[usize],
    ) -> Result<Self, String> {
        let mut members = Vec::new();
        for worker in 0..threads {
            let (reports, receiver) = sync_channel(REPORTS_MAX);
            let (id, thread_id) = sync_channel(1);
            let (settings, shared) = (settings.clone(), Arc::clone(shared));
            let orders = orders(&settings, (address, trust), worker, threads);
            let cpu = (!cpus.is_empty()).then(|| cpus[worker % cpus.len()]);
            let thread = std::thread::Builder::new()
                .name(format!("generator-{worker}"))
                .spawn(move || {
                    // Only main can be gone, and then nobody asks.
                    let _ = id.send(machine::thread_id());
                    machine::sleep_precisely();
                    run(settings, orders, shared, reports, cpu)
                })
                .map_err(|error| format!("cannot start a thread: {error}"))?;
            members.push(Member { thread, reports: receiver, thread_id });
        }
        Ok(Self { members })
    }

    /// The thread ids, once all threads run.
    pub(crate) fn thread_ids(&self) -> Vec<u32> {
        self.members.iter().filter_map(|member| member.thread_id.recv().ok()).collect()
    }

    /// Everything that was handed over since the last call, added up; an error if a thread ended.
    pub(crate) fn collect(&self) -> Result<Interval, String> {
        let mut sum = Interval::new();
        for member in &self.members {
            loop {
                match member.reports.try_recv() {
                    Ok(interval) => sum.add(&interval),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err("a generator thread ended early".to_owned()),
                }
            }
        }
        Ok(sum)
    }

    /// Waits for the threads to end (they do so within seconds once the run is finished); what they had left.
    pub(crate) fn join(self) -> Result<Interval, String> {
        let mut sum = Interval::new();
        for member in self.members {
            let last = member.thread.join().map_err(|_| "a generator thread panicked".to_owned())??;
            while let Ok(interval) = member.reports.try_recv() {
                sum.add(&interval);
            }
            sum.add(&last);
        }
        Ok(sum)
    }
}

fn orders(settings: &Settings, (address, trust): (&Address, Option<&Trust>), worker: usize, workers: usize) -> Orders {
    let connections = share(settings.connections, worker as u64, workers as u64);
    Orders {
        worker,
        workers,
        connections: usize::try_from(connections).expect("bounded by the settings"),
        target: Target {
            address: address.socket,
            trust: trust.cloned(),
            is_double: settings.protocol == Protocol::SocketIoPolling,
        },
        host: address.host.clone(),
        path: settings.path.clone(),
        protocol: settings.protocol,
        source: settings.source,
        #[allow(clippy::cast_precision_loss)]
        ramp: settings.args.ramp / workers as f64,
        opening_max: (OPENING_MAX / workers).max(1),
        open_timeout: settings.args.connect_timeout,
        seed: settings.args.seed.wrapping_mul(1_000_003).wrapping_add(worker as u64),
    }
}

/// One thread: an executor whose main task is the worker.
fn run(
    settings: Settings,
    orders: Orders,
    shared: Arc<Shared>,
    reports: SyncSender<Interval>,
    cpu: Option<usize>,
) -> Result<Interval, String> {
    let executor = LocalExecutorBuilder::new(cpu.map_or(Placement::Unbound, Placement::Fixed))
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(EXECUTOR_RING_DEPTH)
        .make()
        .map_err(|error| {
            format!("cannot start an executor: {error} (io_uring must be allowed, and RLIMIT_MEMLOCK at least 512 KiB)")
        })?;
    executor.run(async move { play(&settings, orders, shared, reports) })
}

/// How many messages a worker may send. An open loop is bounded by its plan; in a closed one, those workers share the
/// messages that have a connection which sends.
fn budget(settings: &Settings, worker: u64, workers: u64) -> u64 {
    let Some(messages) = settings.messages.filter(|_| settings.rate.is_none()) else { return u64::MAX };
    let senders = match settings.scenario {
        ScenarioName::Fanout => workers.min(settings.cast.publishers as u64),
        _ => workers,
    };
    if worker < senders { share(messages, worker, senders) } else { 0 }
}

/// Plays the scenario in this worker.
fn play(
    settings: &Settings,
    orders: Orders,
    shared: Arc<Shared>,
    reports: SyncSender<Interval>,
) -> Result<Interval, String> {
    let (worker, workers) = (orders.worker as u64, orders.workers as u64);
    let budget = budget(settings, worker, workers);
    let connections = orders.connections;
    let schedule = |participants: u64| settings.rate.map(|rate| Schedule::new(rate, participants, worker, workers));
    let pace = |participants| Pace { schedule: schedule(participants), window: settings.window, budget };
    let (bytes, seed) = (settings.args.size, settings.args.seed);
    let result = match settings.scenario {
        ScenarioName::Echo => {
            let scenario = Calls::new(Echo::new(bytes, seed), pace(settings.connections), connections);
            work(orders, shared, scenario, reports)
        }
        ScenarioName::Rpc if settings.protocol.is_socket_io() => {
            let emit = Emit::new(settings.action.clone(), settings.args.data.clone(), bytes, seed);
            work(orders, shared, Calls::new(emit, pace(settings.connections), connections), reports)
        }
        ScenarioName::Rpc => {
            let rpc = Rpc::new(settings.action.clone(), settings.args.data.clone(), bytes, seed);
            work(orders, shared, Calls::new(rpc, pace(settings.connections), connections), reports)
        }
        ScenarioName::Fanout => {
            let pace = pace(settings.cast.publishers as u64);
            let scenario = Fanout::new(settings.cast.clone(), pace, Arc::clone(&shared), orders.worker, orders.workers);
            work(orders, shared, scenario, reports)
        }
        ScenarioName::Idle => {
            let Cast { channels, subscriptions, ref prefix, .. } = settings.cast;
            let does_subscribe = settings.args.subscribe && settings.cast.has_channels;
            let subscriptions = if does_subscribe { subscriptions } else { 0 };
            let idle = Idle::new(Arc::clone(prefix), [channels, subscriptions], [orders.worker, orders.workers]);
            work(orders, shared, idle, reports)
        }
        ScenarioName::Connect => {
            let scenario = Connect::new(schedule(workers), connections, budget, settings.args.keep_open);
            work(orders, shared, scenario, reports)
        }
        ScenarioName::Presence => {
            let visitors = settings.connections - settings.gathering.rooms;
            let part = Presence::part(settings.gathering.rooms, worker, workers);
            let schedule = settings.rate.map(|rate| Schedule::new(rate, visitors, part, workers));
            let pace = Pace { schedule, ..pace(visitors) };
            let scenario = Presence::new(settings.gathering, pace, [orders.worker, orders.workers], connections);
            work(orders, shared, scenario, reports)
        }
    };
    result.map_err(|error| format!("a generator thread failed: {error}"))
}
