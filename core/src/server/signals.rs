#![allow(unsafe_code)] // sigwait(3) and pthread_sigmask(3) have no safe wrapper in the libraries at hand
//! Signals, as messages to the main thread: they are blocked before any other thread exists and waited for in one place,
//! so no handler ever runs and no system call of a shard is interrupted.

use std::fs::File;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// What the main thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// TERM or INT, by number.
    Stop(i32),
    /// USR1: log the metrics.
    Report,
    /// HUP: read the certificates again.
    Reload,
    /// XFSZ: the write that met the limit has failed. CHLD: a process that the application has started is gone.
    Ignored,
    /// Something has happened inside: a shard has ended, or our supervisor has said something.
    Inside,
    /// USR2: a new process is to take over.
    HandOver,
}

/// Blocks the signals in this thread and in all that it starts from now on. Part of start-up; never undone.
pub(super) fn block() -> io::Result<()> {
    let set = set();
    // SAFETY: an initialised set; the old one is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Waits for the next one; none within `patience`.
pub(super) fn wait(patience: Option<Duration>) -> io::Result<Option<Signal>> {
    let set = set();
    let time = patience.map(|patience| libc::timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: an initialised set, a time that outlives the call or none, and nobody asks for the details.
    let signal = unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), time) };
    if signal < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::EAGAIN) => Ok(None),
            Some(libc::EINTR) => Ok(Some(Signal::Ignored)),
            _ => Err(error),
        };
    }
    Ok(Some(Signal::of(signal)))
}

/// From any thread: makes the main thread's [`wait`] return [`Signal::Inside`].
pub(super) fn notify_inside() {
    // SAFETY: no memory is passed; a signal to ourselves, blocked in every thread.
    unsafe { libc::kill(libc::getpid(), libc::SIGRTMIN()) };
}

/// From now on the end of whoever started us is a TERM for us. Asked for before exec as well, which forgets it where the
/// program has capabilities of its own. On the main thread.
pub(super) fn follow_parent() {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
}

/// Sends a signal to a child that was not waited for yet.
pub(super) fn send(child: u32, signal: i32) {
    let Ok(pid) = libc::pid_t::try_from(child) else { return };
    // SAFETY: no memory is passed. It fails only for a child that has ended.
    unsafe { libc::kill(pid, signal) };
}

/// The blocked signals as something to poll and read.
#[derive(Debug)]
pub(super) struct SignalReader(File);

impl SignalReader {
    /// For the signals that [`block`] has blocked.
    pub(super) fn new() -> io::Result<Self> {
        let set = set();
        // SAFETY: an initialised set; a new descriptor is asked for.
        let descriptor = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd just returned it, and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }.into()))
    }

    /// The next one that has come.
    pub(super) fn next(&self) -> Option<Signal> {
        let mut record = [0; size_of::<libc::signalfd_siginfo>()];
        // The number is the first field. Nothing is there, or a whole record.
        (&self.0).read_exact(&mut record).ok()?;
        let (number, _) = record.split_first_chunk()?;
        Some(Signal::of(i32::try_from(u32::from_ne_bytes(*number)).unwrap_or(0)))
    }
}

impl AsFd for SignalReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Signal {
    fn of(number: i32) -> Self {
        match number {
            libc::SIGTERM | libc::SIGINT => Self::Stop(number),
            libc::SIGHUP => Self::Reload,
            libc::SIGUSR1 => Self::Report,
            libc::SIGUSR2 => Self::HandOver,
            number if number == libc::SIGRTMIN() => Self::Inside,
            _ => Self::Ignored,
        }
    }
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, and the others only add to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        // SIGXFSZ: a file that may not grow is an error of the write, and not the end of the server.
        let asked = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];
        for signal in asked.into_iter().chain([libc::SIGCHLD, libc::SIGXFSZ, libc::SIGRTMIN()]) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
