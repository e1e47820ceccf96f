#![allow(unsafe_code)] // poll(2) has no safe wrapper in the libraries at hand
//! Waiting for any of several descriptors. It never reads one.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits until one of them has something to say, or the time is up; too early is no harm.
pub(super) fn wait(descriptors: &[BorrowedFd<'_>], patience: Option<Duration>) -> io::Result<()> {
    let entry =
        |descriptor: &BorrowedFd<'_>| libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<_> = descriptors.iter().map(entry).collect();
    // Rounded up: a wait of less than a millisecond would be none, again and again.
    let millis =
        patience.map_or(-1, |patience| i32::try_from(patience.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX));
    let count = entries.len() as libc::nfds_t;
    // SAFETY: as many entries as are said, each of a descriptor that is borrowed for the call.
    if unsafe { libc::poll(entries.as_mut_ptr(), count, millis) } >= 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}
