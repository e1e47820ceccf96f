//! One run from its settings to its summary: starts the server if asked, looks at it, starts the threads, lets the plan
//! begin when all connections stand, reads CPU and memory at the edges of the window, prints progress, and ends what it
//! started. The main thread does this and carries no load.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::args::ScenarioName;
use crate::client::{Protocol, Tongue};
use crate::crew::Crew;
use crate::machine;
use crate::net::Trust;
use crate::plan::{Nanoseconds, Window};
use crate::process::{CpuTime, Memory};
use crate::record::Interval;
use crate::report::{Cpu, Progress, Summary};
use crate::server::{Address, Spawned, probe};
use crate::settings::{Server, Settings};
use crate::shared::Shared;

/// From the agreement on a start to the start: time for every thread to hear of it.
const LEAD: Nanoseconds = 50_000_000;
/// How often the main thread looks at the run.
const LOOK: Duration = Duration::from_millis(20);
/// Descriptors for everything but connections.
const DESCRIPTORS_SPARE: u64 = 64;

/// A run under way.
struct Run {
    settings: Settings,
    shared: Arc<Shared>,
    crew: Crew,
    spawned: Option<Spawned>,
    server: Option<u32>,
    thread_ids: Vec<u32>,
    totals: Interval,
    lags: Vec<Nanoseconds>,
    progress: Progress,
    last_line: Nanoseconds,
    was_interrupted: bool,
}

/// Does it all.
pub(crate) fn run(mut settings: Settings) -> Result<Summary, String> {
    machine::raise_descriptors();
    let lines = if settings.protocol == Protocol::SocketIoPolling { 2 } else { 1 };
    if settings.connections * lines + DESCRIPTORS_SPARE > machine::descriptors_max() {
        return Err(format!(
            "{} connections need more descriptors than the {} this process may have (ulimit -n, fs.nr_open)",
            settings.connections,
            machine::descriptors_max()
        ));
    }
    let mut warnings = Vec::new();
    let cpus = divide_cpus(&settings, &mut warnings)?;
    let (address, spawned) = match &settings.server {
        Server::At(address) => (address.clone(), None),
        Server::Spawned(program, arguments) => {
            let spawned = Spawned::start(program.as_deref(), arguments, &cpus.server, settings.is_tls)?;
            (Address { is_tls: settings.is_tls, ..Address::of(spawned.address()) }, Some(spawned))
        }
    };
    let shards = spawned.as_ref().map(Spawned::shards).or(settings.args.server_shards);
    settings.cast.shards = shards.filter(|&shards| shards > 1 && settings.cast.publishers > 1);
    let server = spawned.as_ref().map(Spawned::pid).or(settings.args.server_pid);
    if let Some(pid) = server.filter(|&pid| CpuTime::read(pid, None).is_none()) {
        return Err(format!("process {pid} cannot be read (--server-pid)"));
    }
    let mut tongue = Tongue::new(address.host.clone(), settings.path.clone(), settings.protocol, settings.args.seed);
    let trust = address.is_tls.then(|| Trust::new(address.name(), settings.args.ca.as_deref())).transpose()?;
    probe(&address, trust.as_ref(), &mut tongue)?;
    if !cpus.generator.is_empty() {
        // The main thread must not disturb the server either; a failure leaves it where it is.
        let _ = machine::set_affinity(&cpus.generator);
    }
    let before = Memory::read(server);
    let publishers = if settings.scenario == ScenarioName::Fanout { settings.cast.publishers } else { 0 };
    let shared =
        Arc::new(Shared::new(cpus.threads, publishers).map_err(|error| format!("cannot make doorbells: {error}"))?);
    let crew = Crew::start(&settings, (&address, trust.as_ref()), &shared, cpus.threads, &cpus.generator)?;
    let mut run = Run {
        thread_ids: crew.thread_ids(),
        settings,
        shared,
        crew,
        spawned,
        server,
        totals: Interval::new(),
        lags: Vec::new(),
        progress: Progress::default(),
        last_line: 0,
        was_interrupted: false,
    };
    let result = run.play(before);
    let mut summary = run.end(&result?)?;
    summary.shards = shards;
    summary.warnings.extend(warnings);
    Ok(summary)
}

/// Who runs where.
#[derive(Debug, PartialEq, Eq)]
struct Cpus {
    generator: Vec<usize>,
    server: Vec<usize>,
    threads: usize,
}

fn divide_cpus(settings: &Settings, warnings: &mut Vec<String>) -> Result<Cpus, String> {
    let allowed = machine::allowed_cpus();
    let args = &settings.args;
    for list in [&args.cpus, &args.server_cpus].into_iter().flatten() {
        if let Some(cpu) = list.0.iter().find(|cpu| !allowed.contains(cpu)) {
            return Err(format!("CPU {cpu} is not among those this process may use: {allowed:?}"));
        }
    }
    let without = |taken: &[usize]| -> Vec<usize> {
        let rest: Vec<usize> = allowed.iter().copied().filter(|cpu| !taken.contains(cpu)).collect();
        if rest.is_empty() { allowed.clone() } else { rest }
    };
    let is_spawned = matches!(settings.server, Server::Spawned(..));
    let half = allowed.len() / 2;
    let (generator, server) = match (&args.cpus, &args.server_cpus) {
        (Some(generator), Some(server)) => (generator.0.clone(), server.0.clone()),
        (Some(generator), None) => (generator.0.clone(), without(&generator.0)),
        (None, Some(server)) => (without(&server.0), server.0.clone()),
        (None, None) if is_spawned && half > 0 => (allowed[half..].to_vec(), allowed[..half].to_vec()),
        (None, None) => (Vec::new(), Vec::new()),
    };
    if is_spawned && (generator.is_empty() || generator.iter().any(|cpu| server.contains(cpu))) {
        warnings.push("server and generator share CPUs: what each needs is not told apart by the rate".to_owned());
    }
    let threads = args.threads.map_or_else(|| args.cpus.as_ref().map_or(1, |cpus| cpus.0.len()), usize::from);
    let most = usize::try_from(settings.connections).unwrap_or(usize::MAX);
    Ok(Cpus { generator, server, threads: threads.clamp(1, most) })
}

/// What is known when the plan has been played.
struct Played {
    window: Window,
    ramp_seconds: f64,
    connections: u64,
    cpu: Cpu,
    memory: [Memory; 3],
}

impl Run {
    fn play(&mut self, before: Memory) -> Result<Played, String> {
        self.connect()?;
        let ramp_seconds = seconds(self.shared.now());
        let mut connections = self.shared.open();
        let mut with = Memory::read(self.server);
        let start = self.shared.now() + LEAD;
        let warm = start + nanoseconds(self.settings.warmup);
        let mut stop = warm + nanoseconds(self.settings.duration);
        if let (Some(messages), Some(rate)) = (self.settings.messages, self.settings.rate) {
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let planned = start + (messages as f64 * (1e9 / rate)) as u64;
            stop = stop.min(planned);
        }
        self.shared.begin(Window { start, warm, stop });
        self.until(warm, true)?;
        let (warm_at, server, generator) = (self.shared.now(), self.server_time(), self.generator_time());
        self.until(stop, true)?;
        let stopped_at = self.shared.settled().unwrap_or_else(|| self.shared.now()).min(stop);
        let cpu = Cpu {
            server: server.zip(self.server_time()).map(|(then, now)| now.since(&then)),
            generator: generator.zip(self.generator_time()).map(|(then, now)| now.since(&then)).unwrap_or_default(),
            wall: Duration::from_nanos(self.shared.now().saturating_sub(warm_at)),
        };
        self.shared.stop_at(stopped_at);
        if self.settings.scenario == ScenarioName::Connect {
            connections = self.shared.open();
            with = Memory::read(self.server);
        }
        self.until(self.shared.now() + nanoseconds(self.settings.drain), false)?;
        let memory = [before, with, Memory::read(self.server)];
        Ok(Played { window: Window { start, warm, stop: stopped_at }, ramp_seconds, connections, cpu, memory })
    }

    /// Waits until every thread has its connections.
    fn connect(&mut self) -> Result<(), String> {
        #[allow(clippy::cast_precision_loss)]
        let ramp = Duration::from_secs_f64(self.settings.connections as f64 / self.settings.args.ramp);
        let patience = nanoseconds(3 * (ramp + self.settings.args.connect_timeout));
        while self.shared.ready() < self.shared.workers() {
            if self.was_interrupted {
                break;
            }
            if self.shared.now() > patience {
                return Err(format!(
                    "only {} of {} connections stand after {:.0} s{}",
                    self.shared.open(),
                    self.settings.connections,
                    seconds(patience),
                    self.first_error()
                ));
            }
            self.look(LOOK)?;
        }
        if self.shared.open() == 0 && self.settings.scenario != ScenarioName::Connect && !self.was_interrupted {
            return Err(format!("no connection could be opened{}", self.first_error()));
        }
        Ok(())
    }

    fn first_error(&self) -> String {
        self.totals.counters.errors.keys().next().map_or_else(String::new, |error| format!(": {error}"))
    }

    /// Waits until that time, or until nothing more is to be done.
    fn until(&mut self, time: Nanoseconds, ends_when_interrupted: bool) -> Result<(), String> {
        while self.shared.settled().is_none() && !(self.was_interrupted && ends_when_interrupted) {
            let left = Duration::from_nanos(time.saturating_sub(self.shared.now()));
            if left.is_zero() {
                return Ok(());
            }
            self.look(left.min(LOOK))?;
        }
        Ok(())
    }

    /// Sleeps a moment, then collects and prints if a second is over.
    fn look(&mut self, time: Duration) -> Result<(), String> {
        if machine::wait_for_stop(time) {
            if std::mem::replace(&mut self.was_interrupted, true) {
                return Err("interrupted twice".to_owned());
            }
            eprintln!("interrupted: finishing");
        }
        let now = self.shared.now();
        let wall = now - self.last_line;
        if wall < 1_000_000_000 {
            return Ok(());
        }
        self.last_line = now;
        if let Some(status) = self.spawned.as_mut().and_then(Spawned::ended) {
            return Err(format!("the server ended during the run ({status})"));
        }
        let mut interval = self.crew.collect()?;
        interval.connections = self.shared.open();
        let (server, generator) = (self.server_time(), self.generator_time());
        let line =
            self.progress.line(Duration::from_nanos(now), Duration::from_nanos(wall), &interval, server, generator);
        if !self.settings.args.quiet {
            // Progress that cannot be shown is no reason to end a run.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        if self.shared.window().is_some_and(|window| now > window.warm) {
            self.lags.push(interval.lag_max);
        }
        self.totals.add(&interval);
        Ok(())
    }

    fn server_time(&self) -> Option<CpuTime> {
        CpuTime::read(self.server?, None)
    }

    fn generator_time(&self) -> Option<CpuTime> {
        CpuTime::read(std::process::id(), Some(&self.thread_ids))
    }

    /// Ends the threads and the server.
    fn end(mut self, played: &Played) -> Result<Summary, String> {
        self.shared.finish();
        let last = self.crew.join()?;
        self.totals.add(&last);
        self.lags.push(last.lag_max);
        let mut warnings = Vec::new();
        if let Some(Err(problem)) = self.spawned.as_mut().map(Spawned::stop) {
            warnings.push(problem);
        }
        if played.connections < self.settings.connections && self.settings.scenario != ScenarioName::Connect {
            warnings.push(format!("only {} connections stood when the plan began", played.connections));
        }
        Ok(Summary {
            seconds: played.window.seconds(),
            settings: self.settings,
            totals: self.totals,
            lags: self.lags,
            connections: played.connections,
            ramp_seconds: played.ramp_seconds,
            cpu: played.cpu,
            memory: played.memory,
            shards: None,
            was_interrupted: self.was_interrupted,
            warnings,
        })
    }
}

fn nanoseconds(duration: Duration) -> Nanoseconds {
    u64::try_from(duration.as_nanos()).expect("durations are bounded by a day")
}

fn seconds(time: Nanoseconds) -> f64 {
    Duration::from_nanos(time).as_secs_f64()
}
