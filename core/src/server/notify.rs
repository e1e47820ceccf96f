//! What the server tells whoever started it: systemd (`Type=notify`, by datagrams to NOTIFY_SOCKET) or our own supervisor
//! (by its line). It never waits: who does not listen misses it.

use std::env;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use super::supervisor::Word;

/// Tells it.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    manager: Option<UnixDatagram>,
    supervisor: Option<UnixStream>,
    /// How often it wants to hear that we are alive.
    period: Option<Duration>,
}

impl Notifier {
    /// Finds out who wants to know. A supervisor wants to hear of us within that time, if any.
    pub(super) fn from_environment(supervisor: Option<&UnixStream>, hang_timeout: Duration) -> Self {
        let variable = |name| env::var(name).ok();
        let supervisor = supervisor.and_then(|line| line.try_clone().ok());
        let manager = variable("NOTIFY_SOCKET").filter(|_| supervisor.is_none()).and_then(|name| connect(&name));
        let is_ours = variable("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let watchdog = variable("WATCHDOG_USEC").filter(|_| is_ours).and_then(|text| text.parse().ok());
        let hang_timeout = Some(hang_timeout).filter(|_| supervisor.is_some());
        let timeouts = watchdog.map(Duration::from_micros).into_iter().chain(hang_timeout);
        let period = timeouts.filter_map(period).min();
        Self { manager, supervisor, period }
    }

    /// The session store is about to be opened: whoever has it is to let go of it.
    pub(super) fn wants_store(&self) {
        self.say_to_supervisor(Word::WantsStore);
    }

    /// Every shard accepts.
    pub(super) fn ready(&self) {
        self.say("READY=1", Some(Word::Ready));
    }

    /// The certificates are read again; [`Notifier::ready`] follows.
    pub(super) fn reloading(&self) {
        self.say("RELOADING=1", None);
    }

    /// We go.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1", None);
    }

    /// Every shard's loop goes round.
    pub(super) fn alive(&self) {
        self.say("WATCHDOG=1", Some(Word::Alive));
    }

    /// How often to say so.
    pub(super) const fn period(&self) -> Option<Duration> {
        self.period
    }

    /// The times at which to say so.
    pub(super) fn beat(&self) -> Beat {
        Beat { period: self.period, due: Instant::now() + self.period.unwrap_or_default() }
    }

    fn say(&self, text: &str, word: Option<Word>) {
        if let Some(manager) = &self.manager {
            let _ = manager.send(text.as_bytes());
        }
        if let Some(word) = word {
            self.say_to_supervisor(word);
        }
    }

    fn say_to_supervisor(&self, word: Word) {
        if let Some(mut supervisor) = self.supervisor.as_ref() {
            let _ = supervisor.write_all(&[word.byte()]);
        }
    }
}

/// When the next sign of life is due. Whatever else happens meanwhile does not put it off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    period: Option<Duration>,
    due: Instant,
}

impl Beat {
    /// How long that is from now; none: nobody wants one.
    pub(super) fn left(&self) -> Option<Duration> {
        self.period.map(|_| self.due.saturating_duration_since(Instant::now()))
    }

    /// Whether it is due: then the one after it is a period from now.
    pub(super) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let Some(period) = self.period.filter(|_| self.due <= now) else { return false };
        self.due = now + period;
        true
    }
}

fn connect(name: &str) -> Option<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    let connected = address.and_then(|address| socket.connect_addr(&address));
    if let Err(error) = connected.and_then(|()| socket.set_nonblocking(true)) {
        tracing::warn!(%error, "the service manager cannot be told (NOTIFY_SOCKET)");
        return None;
    }
    Some(socket)
}

/// Three times as often as is asked for: one lost word, or one slow pass, is no death.
fn period(timeout: Duration) -> Option<Duration> {
    (!timeout.is_zero()).then(|| (timeout / 3).max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_what_there_is_to_say() {
        let path = env::temp_dir().join(format!("socketshard-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let manager = UnixDatagram::bind(&path).expect("a socket");
        manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        let to = connect(path.to_str().expect("text"));
        let notifier = Notifier { manager: to, ..Notifier::default() };
        notifier.ready();
        notifier.reloading();
        notifier.stopping();
        notifier.alive();
        for expected in ["READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1"] {
            let mut bytes = [0; 32];
            let length = manager.recv(&mut bytes).expect("a datagram");
            assert_eq!(&bytes[..length], expected.as_bytes());
        }
        std::fs::remove_file(&path).expect("it is there");
        assert!(connect("/nowhere/at/all").is_none());
    }

    #[test]
    fn a_beat_is_due_once_in_a_period_and_never_where_nobody_listens() {
        let now = Instant::now();
        let mut beat = Beat { period: Some(Duration::from_secs(60)), due: now };
        assert_eq!(beat.left(), Some(Duration::ZERO));
        assert_eq!((beat.is_due(), beat.is_due()), (true, false));
        assert!(beat.left() > Some(Duration::from_secs(50)));
        let mut silent = Beat { period: None, due: now };
        assert_eq!((silent.left(), silent.is_due()), (None, false));
    }

    #[test]
    fn a_watchdog_is_fed_three_times_as_often_as_it_asks() {
        assert_eq!(period(Duration::from_secs(3)), Some(Duration::from_secs(1)));
        assert_eq!(period(Duration::from_micros(1)), Some(Duration::from_millis(1)));
        assert_eq!(period(Duration::ZERO), None);
    }
}
