//! A server's life, on the main thread: check, place, start, say so, wait for signals, stop. It never touches a socket
//! after start-up.
//!
//! The first TERM or INT stops gracefully: no new connections, everybody gets close code 1001, exit code 0. The second
//! ends the process at once, with 128 plus its number as a shell would report it. USR1 logs the metrics, HUP reads
//! the certificates again. USR2 is for a supervisor: whose child this is does not hear of it.

use std::io::Write;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use shard::{Pressure, SessionConfig, Sessions, SocketIoConfig, Time};

use super::entrance::Entrance;
use super::executor::Executors;
use super::notify::Notifier;
use super::placement::Placement;
use super::signals::{self, Signal};
use super::supervisor::{self, Retirement};
use super::{Application, ChannelPolicies, ChannelTest, StartError, checks, guard, memory};
use crate::app::{AdminAccess, App, Common, Files, Refused, ShardHost};
use crate::config::Settings;
use crate::net::Inherited;
use crate::observe::board::{Board, Counters};
use crate::session::{SessionService, SessionStore};
use crate::tls::TlsKeeper;

/// Runs a server until a signal stops it, or, with `--supervise`, a supervisor and the server below it; the exit code.
pub(crate) fn run<F>(settings: &Settings, store: Option<Arc<dyn SessionStore>>, factory: F) -> Result<u8, StartError>
where
    F: Fn() -> App + Send + Sync + Clone + 'static,
{
    let inherited = Inherited::take().map_err(StartError::Inherited)?;
    if settings.supervision.is_on && inherited.supervisor.is_none() {
        return supervisor::supervise(settings, inherited);
    }
    serve(settings, store, inherited, factory).map(|()| 0)
}

/// The server itself.
fn serve<F>(
    settings: &Settings,
    store: Option<Arc<dyn SessionStore>>,
    inherited: Inherited,
    factory: F,
) -> Result<(), StartError>
where
    F: Fn() -> App + Send + Sync + Clone + 'static,
{
    let began = Instant::now();
    let system = |call| move |error| StartError::System { call, error };
    memory::refuse_huge_pages();
    signals::block().map_err(system("pthread_sigmask"))?;
    if inherited.supervisor.is_some() {
        signals::follow_parent();
    }
    let placement = Placement::new(settings)?;
    checks::machine(placement.cpus.len())?;
    let mut common = Common::new(settings).map_err(StartError::Key)?;
    if settings.auth.key.is_none() && settings.auth.key_files.is_empty() {
        tracing::info!(
            "tokens are signed with a random key: logins end with this process unless --auth-key-file is set"
        );
    }
    let notifier = Notifier::from_environment(inherited.supervisor.as_ref(), settings.supervision.hang_timeout);
    let sessions = SessionService::start(&settings.sessions, store, || notifier.wants_store());
    let sessions = sessions.map_err(StartError::Sessions)?;
    common.sessions = Some(sessions.clone());
    let files = open_files(settings)?;
    common.files.clone_from(&files);
    if !settings.admin.listen.is_empty() {
        let access = AdminAccess::open(&settings.admin).map_err(StartError::AdminKey)?;
        common.admin = Some(Arc::new(access));
        common.board = Some(Arc::new(Board::new(placement.cpus.len())));
    }
    let entrance = Entrance::open(settings, placement.cpus.len(), inherited.listeners)?;
    common.https_port = settings.tls.redirect_port.or_else(|| entrance.https_port());
    let (addresses, tls) = (entrance.describe(), entrance.tls.clone());
    let application = move |shard| ShardHost::new(factory(), shard, common.clone());
    let mut executors = Executors::start(settings, &placement, entrance, application, signals::notify_inside)?;
    let retirement = match inherited.supervisor {
        Some(line) => Retirement::await_word(line, sessions.clone()).map_err(system("pthread_create"))?,
        None => Retirement::default(),
    };
    guard::watch(settings.memory_max, &executors.control).map_err(system("pthread_create"))?;
    notifier.ready();
    announce(settings, &addresses, tls.as_deref(), &placement, began.elapsed());
    attend(&mut executors, &retirement, &notifier, tls.as_deref(), files.as_ref())?;
    let retires = retirement.is_due();
    if retires {
        executors.control.hand_over();
        tracing::info!(app = settings.app_name, "stopping: a new server has taken over");
    } else {
        notifier.stopping();
        executors.control.stop();
        tracing::info!(app = settings.app_name, "stopping");
    }
    end_at_the_next_signal(notifier);
    let ended = executors.join();
    // What was asked of the store while the shards stopped is still kept.
    sessions.close();
    ended?;
    tracing::info!(app = settings.app_name, "stopped");
    Ok(())
}

/// Does what signals say, until one says that this is the end.
fn attend(
    executors: &mut Executors,
    retirement: &Retirement,
    notifier: &Notifier,
    tls: Option<&TlsKeeper>,
    files: Option<&Files>,
) -> Result<(), StartError> {
    let failed = |error| StartError::System { call: "sigtimedwait", error };
    let (mut beats, mut beat) = (Vec::new(), notifier.beat());
    loop {
        let signal = signals::wait(beat.left()).map_err(failed)?;
        if beat.is_due() {
            if executors.control.are_alive(&mut beats) {
                notifier.alive();
            } else {
                tracing::error!("a shard stands still: the watchdog is not fed");
            }
        }
        match signal {
            Some(Signal::Stop(_)) => return Ok(()),
            Some(Signal::Report) => executors.control.report(),
            Some(Signal::Inside) if !executors.tend() || retirement.is_due() => return Ok(()),
            Some(Signal::Reload) => reload(tls, files, notifier),
            Some(Signal::HandOver) => tracing::warn!("SIGUSR2 is for a supervisor: start with --supervise"),
            Some(Signal::Inside | Signal::Ignored) | None => {}
        }
    }
}

/// Whether the keys and certificates of these settings can be had: what `check` can tell without a socket.
pub(crate) fn check_keys(settings: &Settings) -> Result<(), StartError> {
    Common::new(settings).map(drop).map_err(StartError::Key)?;
    AdminAccess::open(&settings.admin).map(drop).map_err(StartError::AdminKey)?;
    open_files(settings)?;
    TlsKeeper::open(&settings.tls, Vec::new()).map(drop).map_err(StartError::Tls)
}

/// The operator's files, if there are to be any.
fn open_files(settings: &Settings) -> Result<Option<Files>, StartError> {
    let directory = settings.http.files.as_ref();
    let files = directory.map(|directory| Files::open(directory, settings.http.files_options.clone()));
    files.transpose().map_err(StartError::Files)
}

/// Takes up new certificates and files. Whatever is wrong with them, the old ones go on.
fn reload(tls: Option<&TlsKeeper>, files: Option<&Files>, notifier: &Notifier) {
    notifier.reloading();
    match files.map(Files::reload) {
        None => {}
        Some(Ok(files)) => tracing::info!(files, "files are read again"),
        Some(Err(error)) => tracing::error!(%error, "the files stay as they are"),
    }
    match tls.map(TlsKeeper::reload) {
        None if files.is_none() => tracing::info!("there is nothing to reload: TLS is not spoken here"),
        None => {}
        Some(Ok(certificates)) => tracing::info!(certificates, "certificates are read again"),
        Some(Err(error)) => tracing::error!(%error, "the certificates stay as they are"),
    }
    notifier.ready();
}

impl Application for ShardHost {
    fn run_tasks(&mut self, now: Time, waker: &Waker) {
        Self::run_tasks(self, now, waker);
    }

    fn next_wake(&self) -> Option<Time> {
        Self::next_wake(self)
    }

    fn session_config(&self, began: Instant) -> Option<SessionConfig> {
        Self::session_config(self, began)
    }

    fn presence(&self) -> Option<ChannelTest> {
        Self::presence(self).map(|shows| Box::new(shows) as Box<_>)
    }

    fn socket_io(&self) -> SocketIoConfig {
        Self::socket_io(self)
    }

    fn delivery_filter(&self) -> Option<ChannelTest> {
        Self::delivery_filter(self).map(|filter| Box::new(filter) as Box<_>)
    }

    fn slow_consumers(&self) -> Option<ChannelPolicies> {
        Self::slow_consumers(self).map(|policies| Box::new(policies) as Box<_>)
    }

    fn open_sessions(&mut self, sessions: Sessions, shards: usize) {
        Self::open_sessions(self, sessions, shards);
    }

    fn leave(&mut self) {
        Self::leave(self);
    }

    fn handle_pressure(&mut self, pressure: Pressure) {
        Self::handle_pressure(self, pressure);
    }

    fn has_tasks(&self) -> bool {
        Self::has_tasks(self)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        Self::counters(self).to_vec()
    }

    fn refused(&self) -> Refused {
        Self::refused(self)
    }

    fn is_watched(&self) -> bool {
        Self::is_watched(self)
    }

    fn post_counters(&self, counters: Counters) {
        Self::post_counters(self, counters);
    }
}

/// Says that every shard accepts: for scripts as the first line of the standard output, for people in the log.
fn announce(settings: &Settings, addresses: &str, tls: Option<&TlsKeeper>, placement: &Placement, took: Duration) {
    let tls = match tls {
        None => "",
        Some(keeper) if keeper.is_offloading() => " tls=kernel",
        // The kernel has none, or none that takes what we agree on; see core/docs/security.md.
        Some(_) if settings.tls.is_kernel_used => " tls=userspace ktls=no",
        Some(_) => " tls=userspace ktls=off",
    };
    let mut output = std::io::stdout().lock();
    // A closed output is no reason to stop serving.
    let _ = writeln!(output, "socketshard listening on {addresses}{tls} shards={}", placement.cpus.len())
        .and_then(|()| output.flush());
    let (app, placement, took) = (&settings.app_name, placement.describe(), took.as_millis());
    tracing::info!(app, "listening on {addresses}{tls} with {placement} ({took} ms)");
}

/// Stopping may take as long as the peers take: whoever is in a hurry asks twice.
fn end_at_the_next_signal(notifier: Notifier) {
    let mut beat = notifier.beat();
    let wait = move || loop {
        if let Ok(Some(Signal::Stop(signal))) = signals::wait(beat.left()) {
            std::process::exit(128 + signal);
        }
        // The rest has an end of its own.
        if beat.is_due() {
            notifier.alive();
        }
    };
    if let Err(error) = std::thread::Builder::new().name("signals".to_owned()).spawn(wait) {
        tracing::warn!(%error, "a second signal will not be heard");
    }
}
