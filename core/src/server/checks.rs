#![allow(unsafe_code)] // getrlimit(2), setrlimit(2) and uname(2) have no safe wrapper in the libraries at hand
//! What is checked before any executor starts, so that a machine that cannot run us says why in one line. The runtime
//! itself would panic instead, with a guess. It never changes anything but our own soft limits.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::config::RingSettings;
use crate::net::{Doorbell, Happened, Sockets};

/// Everything that can be known before the shards exist.
pub(super) fn machine(shards: usize) -> Result<(), StartError> {
    descriptors(shards as u64)?;
    memlock()?;
    ring()
}

/// Raises the limit on open files as far as we may: each connection is one.
fn descriptors(shards: u64) -> Result<(), StartError> {
    // Per shard three rings of glommio's, ours, eventfds and a listener or two: 16 leave room for what comes.
    let needed = 32 + 16 * shards;
    let allowed = raise(libc::RLIMIT_NOFILE)?;
    if allowed < needed { Err(StartError::Descriptors { allowed, needed }) } else { Ok(()) }
}

/// glommio refuses to start with less than 512 KiB, whatever the process is privileged to.
fn memlock() -> Result<(), StartError> {
    let needed = 512 << 10;
    let allowed = raise(libc::RLIMIT_MEMLOCK)?;
    if allowed < needed { Err(StartError::Memlock { allowed, needed }) } else { Ok(()) }
}

/// Builds a small ring and sees it work: the flags, the registered buffers and a multishot time-out, which is the newest
/// operation that we use.
pub(crate) fn ring() -> Result<(), StartError> {
    let settings = RingSettings { entries: 4, receive_buffers: 1, receive_buffer_bytes: 64, direct_descriptors: 0 };
    let doorbell = Doorbell::new().map_err(|error| StartError::System { call: "eventfd", error })?;
    let works = Sockets::new(&settings, Arc::new(doorbell), Duration::from_nanos(1)).and_then(|mut sockets| {
        let mut completions = Vec::new();
        while completions.is_empty() {
            sockets.enter(true)?;
            sockets.drain(&mut completions)?;
        }
        match sockets.interpret(completions[0], shard::Time::ZERO)? {
            Happened::Tick if completions[0].more() => Ok(()),
            _ => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
    });
    works.map_err(|error| explain(error, disabled(), is_filtered(), kernel()))
}

fn explain(error: io::Error, disabled: Option<u8>, is_filtered: bool, kernel: String) -> StartError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => StartError::RingForbidden { disabled },
        // Docker's filter answers EPERM, Podman's ENOSYS, as a kernel without io_uring does.
        Some(libc::ENOSYS) if is_filtered => StartError::RingForbidden { disabled },
        Some(libc::ENOSYS) => StartError::RingUnsupported { missing: "io_uring", kernel },
        Some(libc::EINVAL) => StartError::RingUnsupported { missing: "parts of io_uring that are needed", kernel },
        Some(libc::ENOMEM) => {
            let allowed = limit(libc::RLIMIT_MEMLOCK).map_or(0, |limit| limit.rlim_cur);
            StartError::Memlock { allowed, needed: allowed.saturating_add(8 << 20) }
        }
        Some(libc::EMFILE) => {
            let allowed = limit(libc::RLIMIT_NOFILE).map_or(0, |limit| limit.rlim_cur);
            StartError::Descriptors { allowed, needed: allowed + 64 }
        }
        _ => StartError::System { call: "io_uring_setup", error },
    }
}

/// The switch of Linux 6.6: 0 for everybody, 1 for the privileged, 2 for nobody.
fn disabled() -> Option<u8> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// Whether the system calls of this process go through a seccomp filter.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Seccomp:")).is_some_and(|mode| mode.trim() == "2")
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().into())
}

/// Raises a soft limit to the hard one; what is allowed now.
fn raise(resource: libc::__rlimit_resource_t) -> Result<u64, StartError> {
    let failed = |error| StartError::System { call: "getrlimit", error };
    let mut limit = limit(resource).map_err(failed)?;
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: a valid structure, only read. A refusal leaves the limit as it is, and that is what we report.
        unsafe { libc::setrlimit(resource, &raw const limit) };
    }
    Ok(self::limit(resource).map_err(failed)?.rlim_cur)
}

fn limit(resource: libc::__rlimit_resource_t) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid structure to write to.
    let result = unsafe { libc::getrlimit(resource, &raw mut limit) };
    if result == 0 { Ok(limit) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(code: i32, disabled: Option<u8>) -> StartError {
        explain(io::Error::from_raw_os_error(code), disabled, false, "6.1.0".to_owned())
    }

    #[test]
    fn each_refusal_of_the_kernel_has_its_explanation() {
        assert!(matches!(explained(libc::EPERM, Some(2)), StartError::RingForbidden { disabled: Some(2) }));
        assert!(matches!(explained(libc::ENOSYS, None), StartError::RingUnsupported { missing: "io_uring", .. }));
        assert!(matches!(explained(libc::EINVAL, None), StartError::RingUnsupported { .. }));
        assert!(matches!(explained(libc::ENOMEM, None), StartError::Memlock { .. }));
        assert!(matches!(explained(libc::EMFILE, None), StartError::Descriptors { .. }));
        assert!(matches!(explained(libc::EIO, None), StartError::System { .. }));
    }

    #[test]
    fn a_filter_is_blamed_before_the_kernel() {
        let filtered = explain(io::Error::from_raw_os_error(libc::ENOSYS), Some(0), true, "6.18.0".to_owned());
        assert!(matches!(filtered, StartError::RingForbidden { disabled: Some(0) }));
    }

    #[test]
    fn this_machine_passes() {
        machine(2).expect("a machine that can run the tests");
        let files = limit(libc::RLIMIT_NOFILE).expect("a limit");
        assert_eq!(files.rlim_cur, files.rlim_max, "raised to the hard limit");
    }
}
