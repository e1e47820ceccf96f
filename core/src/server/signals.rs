#![allow(unsafe_code)] // sigwait(3) and pthread_sigmask(3) have no safe wrapper in the libraries at hand
//! Signals, as messages to the main thread: they are blocked before any other thread exists and waited for in one place,
//! so no handler ever runs and no system call of a shard is interrupted.

use std::io;
use std::mem::MaybeUninit;

/// What the main thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// TERM or INT, by number.
    Stop(i32),
    /// USR1: log the metrics.
    Report,
    /// HUP: read the certificates again.
    Reload,
    /// XFSZ: the write that met the limit has failed.
    Ignored,
    /// A shard has ended.
    Ended,
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

/// Waits for the next one.
pub(super) fn wait() -> io::Result<Signal> {
    let set = set();
    let mut signal = 0;
    // SAFETY: an initialised set and a number to write to.
    match unsafe { libc::sigwait(&raw const set, &raw mut signal) } {
        0 => Ok(match signal {
            libc::SIGTERM | libc::SIGINT => Signal::Stop(signal),
            libc::SIGHUP => Signal::Reload,
            libc::SIGUSR1 => Signal::Report,
            libc::SIGUSR2 => Signal::Ended,
            _ => Signal::Ignored,
        }),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// From a shard's thread: makes the main thread's [`wait`] return [`Signal::Ended`].
pub(super) fn notify_ended() {
    // SAFETY: no memory is passed; a signal to ourselves, blocked in every thread.
    unsafe { libc::kill(libc::getpid(), libc::SIGUSR2) };
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, and the others only add to it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        // SIGXFSZ: a file that may not grow is an error of the write, and not the end of the server.
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGXFSZ] {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
