//! The store in a directory of this machine: an embedded log-structured database on a thread of its own. What is asked of
//! it while it writes is written next, all together, with one fsync: a save is answered when the disk has it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use shard::SessionId;

use super::service::SessionService;
use super::store::{LoadDone, SaveDone, SessionSave, SessionStore, StoreError};

/// A store in a directory.
pub(super) struct FileStore {
    jobs: SyncSender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Job {
    Load(SessionId, LoadDone),
    Save(SessionSave, SaveDone),
    Remove(SessionId),
    LetGo(SyncSender<()>),
    TakeBack,
    Close,
}

impl FileStore {
    /// Opens the directory, or makes it. What a crash has left half written is cut off: it was never answered.
    pub(super) fn open(path: &Path, queue: usize) -> Result<Self, String> {
        Self::open_with(path, queue, Clock::new(SessionService::now()))
    }

    fn open_with(path: &Path, queue: usize, clock: Clock) -> Result<Self, String> {
        let files = Files::open_patiently(path).map_err(|error| error.to_string())?;
        let (jobs, received) = sync_channel(queue);
        let mut worker = Worker {
            path: path.to_owned(),
            files: Some(files),
            is_away: false,
            tried: Instant::now(),
            clock,
            purge: Purge::new(),
        };
        let thread = std::thread::Builder::new().name("session-store".to_owned());
        let thread = thread.spawn(move || worker.run(&received)).map_err(|error| error.to_string())?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)) })
    }

    /// Hands a job over, or gives it back with what is wrong.
    #[allow(clippy::result_large_err, reason = "the job itself comes back, and only when something is wrong")]
    fn hand(&self, job: Job) -> Result<(), (Job, StoreError)> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) => (job, StoreError::Full),
            TrySendError::Disconnected(job) => (job, StoreError::Closed),
        })
    }
}

impl SessionStore for FileStore {
    fn load(&self, session: SessionId, done: LoadDone) {
        if let Err((Job::Load(_, done), error)) = self.hand(Job::Load(session, done)) {
            done.finish(Err(error));
        }
    }

    fn save(&self, save: SessionSave, done: SaveDone) {
        if let Err((Job::Save(_, done), error)) = self.hand(Job::Save(save, done)) {
            done.finish(Err(error));
        }
    }

    fn remove(&self, session: SessionId) {
        // Where there is no room it is forgotten at the end of its time.
        let _ = self.hand(Job::Remove(session));
    }

    fn let_go(&self) {
        let (free, is_free) = sync_channel(1);
        // A queue that is full is worked off first.
        if self.jobs.send(Job::LetGo(free)).is_ok() {
            let _ = is_free.recv();
        }
    }

    fn take_back(&self) {
        let _ = self.jobs.send(Job::TakeBack);
    }

    fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.jobs.send(Job::Close);
            if thread.join().is_err() {
                tracing::error!("the session store has panicked");
            }
        }
    }
}

impl Drop for FileStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// The open database. Each value is the end of its time, in milliseconds of Unix time, and the session's bytes.
struct Files {
    database: Database,
    sessions: Keyspace,
}

impl Files {
    fn open(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path).cache_size(CACHE_BYTES).worker_threads(1).open()?;
        let sessions = database.keyspace("sessions", KeyspaceCreateOptions::default)?;
        Ok(Self { database, sessions })
    }

    /// Waits for another process that is about to let go of it, or has just been killed.
    fn open_patiently(path: &Path) -> fjall::Result<Self> {
        let end = Instant::now() + LOCK_PATIENCE;
        loop {
            match Self::open(path) {
                Err(fjall::Error::Locked) if Instant::now() < end => std::thread::sleep(LOCK_RETRY),
                opened => return opened,
            }
        }
    }

    fn load(&self, session: SessionId, now: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.sessions.get(session.bytes()).map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(found.and_then(|value| {
            let (expires, bytes) = value.split_first_chunk()?;
            (u64::from_be_bytes(*expires) > now).then(|| bytes.to_vec())
        }))
    }
}

/// The thread's own.
struct Worker {
    path: PathBuf,
    /// None after an error from which it has to start afresh.
    files: Option<Files>,
    /// Another process has the store.
    is_away: bool,
    tried: Instant,
    clock: Clock,
    purge: Purge,
}

impl Worker {
    fn run(&mut self, jobs: &Receiver<Job>) {
        loop {
            let first = match jobs.recv_timeout(IDLE) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.purge();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut group = vec![first];
            group.extend(jobs.try_iter().take(GROUP_MAX - 1));
            let is_last = group.iter().any(|job| matches!(job, Job::Close));
            self.carry_out(group);
            if is_last {
                return;
            }
            self.purge();
        }
    }

    /// Everything that has piled up: one write, one fsync. Loads come after it, and see it.
    fn carry_out(&mut self, group: Vec<Job>) {
        self.reopen();
        let Some(files) = &self.files else { return self.refuse(group) };
        let mut batch = files.database.batch().durability(Some(PersistMode::SyncAll));
        let (mut saves, mut loads, mut letting_go) = (Vec::new(), Vec::new(), Vec::new());
        for job in group {
            match job {
                Job::Load(session, done) => loads.push((session, done)),
                Job::Remove(session) => batch.remove(&files.sessions, session.bytes().as_slice()),
                Job::Save(save, done) => {
                    let further = save.further.iter().map(|(session, bytes)| (*session, bytes));
                    for (session, bytes) in further.chain([(save.session, &save.bytes)]) {
                        let value = [&save.expires.to_be_bytes()[..], bytes].concat();
                        batch.insert(&files.sessions, session.bytes().as_slice(), value);
                    }
                    saves.push(done);
                }
                Job::LetGo(free) => letting_go.push(free),
                Job::TakeBack | Job::Close => {}
            }
        }
        let written = if batch.is_empty() { Ok(()) } else { batch.commit().map_err(|error| explain(&error)) };
        let is_broken = written.is_err();
        for done in saves {
            done.finish(written.clone());
        }
        for (session, done) in loads {
            done.finish(files.load(session, self.clock.now()));
        }
        if !letting_go.is_empty() {
            (self.files, self.is_away) = (None, true);
            tell(letting_go);
        } else if is_broken {
            // The engine trusts its files no more than we do after a failed write: they are read again from the disk.
            self.files = None;
            self.tried = Instant::now();
        }
    }

    /// There is no store now.
    fn refuse(&mut self, group: Vec<Job>) {
        for job in group {
            let error = match self.is_away {
                true => StoreError::Closed,
                false => StoreError::Failed("it could not be opened again".to_owned()),
            };
            match job {
                Job::Load(_, done) => done.finish(Err(error)),
                Job::Save(_, done) => done.finish(Err(error)),
                Job::LetGo(free) => {
                    self.is_away = true;
                    tell(vec![free]);
                }
                Job::TakeBack => self.is_away = false,
                Job::Remove(_) | Job::Close => {}
            }
        }
    }

    fn reopen(&mut self) {
        if self.is_away || self.files.is_some() || self.tried.elapsed() < RETRY {
            return;
        }
        self.tried = Instant::now();
        match Files::open(&self.path) {
            Ok(files) => self.files = Some(files),
            Err(error) => tracing::debug!(%error, "the session store cannot be opened again"),
        }
    }

    fn purge(&mut self) {
        if let Some(files) = &self.files
            && let Err(error) = self.purge.step(files, self.clock.now())
        {
            tracing::debug!(%error, "the session store cannot forget what is over");
        }
    }
}

fn tell(letting_go: Vec<SyncSender<()>>) {
    // Who does not wait any more need not know.
    for free in letting_go {
        let _ = free.send(());
    }
}

fn explain(error: &fjall::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// The time of day when the store was opened, and what has passed since: a wall clock that jumps meanwhile ends nobody's
/// session, as it does not in the shards.
#[derive(Clone, Copy, Debug)]
struct Clock {
    opened: Instant,
    /// In milliseconds of Unix time.
    time: u64,
}

impl Clock {
    fn new(time: u64) -> Self {
        Self { opened: Instant::now(), time }
    }

    fn now(self) -> u64 {
        self.time.saturating_add(u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Forgets sessions whose time is over, a few at a time; all of them are looked at once an hour.
struct Purge {
    from: [u8; SessionId::BYTES],
    next: Instant,
}

impl Purge {
    fn new() -> Self {
        Self { from: [0; SessionId::BYTES], next: Instant::now() }
    }

    fn step(&mut self, files: &Files, now: u64) -> fjall::Result<()> {
        if Instant::now() < self.next {
            return Ok(());
        }
        let mut batch = files.database.batch();
        let mut looked_at = 0;
        for entry in files.sessions.range(self.from..).take(PURGE_STEP) {
            let (key, value) = entry.into_inner()?;
            looked_at += 1;
            self.from = <[u8; SessionId::BYTES]>::try_from(&*key).unwrap_or([255; SessionId::BYTES]);
            let expires = value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            if expires.saturating_add(PURGE_MARGIN_MS) <= now {
                batch.remove(&files.sessions, key);
            }
        }
        if looked_at < PURGE_STEP {
            *self = Self { next: Instant::now() + PURGE_ROUND, ..Self::new() };
        }
        if batch.is_empty() { Ok(()) } else { batch.commit() }
    }
}

/// Jobs in one write: at 64 KiB each still no more than some 100 MB.
const GROUP_MAX: usize = 1_024;
/// How long the thread sleeps when nothing is asked of it.
const IDLE: Duration = Duration::from_secs(1);
/// How long a server that starts waits for the one before it.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(10);
/// Between two tries to open the files again.
const RETRY: Duration = Duration::from_secs(1);
/// Sessions looked at between two groups: about a millisecond.
const PURGE_STEP: usize = 1_000;
/// So much later than it might be forgotten: a server that is started with a clock a day ahead forgets nothing for good.
const PURGE_MARGIN_MS: u64 = 2 * 86_400_000;
const PURGE_ROUND: Duration = Duration::from_secs(3_600);
/// Blocks kept in memory: what is read is in the shards already.
const CACHE_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use shard::Command;

    use super::*;
    use crate::session::port::Port;

    const ID: SessionId = SessionId::new([7; 16]);
    const OLD: SessionId = SessionId::new([8; 16]);

    /// A directory that is gone afterwards.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("socketshard-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn save(store: &FileStore, port: &Arc<Port>, version: u64, expires: u64) {
        let further = vec![(OLD, vec![2])];
        let save = SessionSave { session: ID, version, expires, bytes: vec![1, 2, 3], further };
        store.save(save, SaveDone { port: Arc::clone(port), save: Some((ID, version)) });
    }

    /// The next answer; the store has a thread of its own.
    fn answer(port: &Port) -> Command {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let mut answers = port.take(Waker::noop());
            assert!(answers.len() < 2 && Instant::now() < end, "one answer, in time");
            match answers.pop() {
                Some(answer) => return answer,
                None => std::thread::yield_now(),
            }
        }
    }

    fn load(store: &FileStore, port: &Arc<Port>, session: SessionId) -> Option<Vec<u8>> {
        store.load(session, LoadDone { port: Arc::clone(port), session: Some(session) });
        match answer(port) {
            Command::SessionLoaded { outcome: Ok(found), .. } => found,
            other => panic!("not a loaded session: {other:?}"),
        }
    }

    #[test]
    fn what_was_saved_is_there_after_a_reopening_until_its_time_is_over() {
        let directory = Directory::new("store");
        let port = Port::new(&Arc::default());
        let later = SessionService::now() + 3_600_000;
        let store = FileStore::open(&directory.0, 10).expect("a new store");
        assert_eq!(load(&store, &port, ID), None);
        save(&store, &port, 5, later);
        assert!(matches!(answer(&port), Command::SessionSaved { version: 5, outcome: Ok(()), .. }));
        assert!(matches!(Files::open(&directory.0), Err(fjall::Error::Locked)), "one server at a time");
        let store = {
            // The one that starts waits for the one before it.
            let path = directory.0.clone();
            let waiting = std::thread::spawn(move || FileStore::open(&path, 10));
            drop(store);
            waiting.join().expect("no panic").expect("it is free in time")
        };
        assert_eq!((load(&store, &port, ID), load(&store, &port, OLD)), (Some(vec![1, 2, 3]), Some(vec![2])));
        save(&store, &port, 6, 1);
        assert!(matches!(answer(&port), Command::SessionSaved { version: 6, outcome: Ok(()), .. }));
        assert_eq!(load(&store, &port, ID), None, "its time is over");
        save(&store, &port, 7, later);
        let _ = answer(&port);
        store.remove(ID);
        assert_eq!(load(&store, &port, ID), None, "requests are done in order");
    }

    #[test]
    fn a_clock_that_is_a_day_wrong_loses_no_session() {
        let directory = Directory::new("clock");
        let port = Port::new(&Arc::default());
        let (now, day) = (SessionService::now(), 86_400_000);
        let open = |time| FileStore::open_with(&directory.0, 10, Clock::new(time)).expect("a store");
        let store = open(now);
        save(&store, &port, 1, now + 3_600_000);
        assert!(matches!(answer(&port), Command::SessionSaved { outcome: Ok(()), .. }));
        drop(store);
        let ahead = open(now + day);
        assert_eq!(load(&ahead, &port, ID), None, "over, as far as this server knows");
        // The second answer comes after the purge that follows the first.
        assert_eq!(load(&ahead, &port, ID), None);
        drop(ahead);
        for time in [now - day, now] {
            let store = open(time);
            assert_eq!(load(&store, &port, ID), Some(vec![1, 2, 3]), "and not forgotten");
        }
        let late = open(now + 4 * day);
        assert_eq!((load(&late, &port, ID), load(&late, &port, ID)), (None, None));
        drop(late);
        assert_eq!(load(&open(now), &port, ID), None, "forgotten");
    }

    #[test]
    fn a_store_that_was_let_go_of_can_be_had_by_another_and_taken_back() {
        let directory = Directory::new("let-go");
        let port = Port::new(&Arc::default());
        let later = SessionService::now() + 3_600_000;
        let old = FileStore::open(&directory.0, 10).expect("a new store");
        save(&old, &port, 5, later);
        old.let_go();
        assert!(matches!(answer(&port), Command::SessionSaved { version: 5, outcome: Ok(()), .. }), "asked for before");
        let new = FileStore::open(&directory.0, 10).expect("it is free");
        assert_eq!(load(&new, &port, ID), Some(vec![1, 2, 3]));
        save(&old, &port, 6, later);
        assert!(matches!(answer(&port), Command::SessionSaved { version: 6, outcome: Err(_), .. }));
        drop(new);
        save(&old, &port, 7, later);
        assert!(
            matches!(answer(&port), Command::SessionSaved { version: 7, outcome: Err(_), .. }),
            "not before it is said"
        );
        old.take_back();
        let end = Instant::now() + Duration::from_secs(30);
        for version in 8.. {
            assert!(Instant::now() < end, "it is not taken back");
            save(&old, &port, version, later);
            if matches!(answer(&port), Command::SessionSaved { outcome: Ok(()), .. }) {
                break;
            }
        }
        old.let_go();
        old.let_go();
    }

    #[test]
    fn a_request_that_is_not_answered_has_failed() {
        let port = Port::new(&Arc::default());
        drop(SaveDone { port: Arc::clone(&port), save: Some((ID, 1)) });
        assert!(matches!(answer(&port), Command::SessionSaved { outcome: Err(_), .. }));
        drop(LoadDone { port: Arc::clone(&port), session: Some(ID) });
        assert!(matches!(answer(&port), Command::SessionLoaded { outcome: Err(_), .. }));
        let directory = Directory::new("closed");
        let store = FileStore::open(&directory.0, 1).expect("a new store");
        store.close();
        save(&store, &port, 1, u64::MAX);
        assert!(matches!(answer(&port), Command::SessionSaved { outcome: Err(_), .. }), "a closed store says so");
    }
}
