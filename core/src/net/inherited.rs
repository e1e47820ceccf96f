#![allow(unsafe_code)] // descriptors that a parent has left open are known by their numbers only
//! Sockets that the process was started with: by systemd's convention (LISTEN_FDS) they stand from descriptor 3 on, each
//! with a name that says which door it is. Our own supervisor does the same, and adds the line to itself. It never
//! takes a descriptor that was meant for another process.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use shard::Door;
use socket2::Socket;

/// What a parent has handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// Sockets that listen, in the order of the shards they are for.
    pub(crate) listeners: Vec<(Door, SocketAddr, Socket)>,
    /// The line to our supervisor.
    pub(crate) supervisor: Option<UnixStream>,
}

/// Why what was handed over is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InheritError {
    /// LISTEN_FDS is no number of descriptors.
    Count,
    /// This descriptor is no TCP socket that listens.
    NoListener(RawFd),
}

impl Inherited {
    /// Takes over what this process was started with. Once: the descriptors have one owner.
    pub(crate) fn take() -> Result<Self, InheritError> {
        let variable = |name| std::env::var(name).ok();
        let (pid, count) = (variable("LISTEN_PID"), variable("LISTEN_FDS"));
        let names = variable("LISTEN_FDNAMES");
        let mut inherited = Self::default();
        for (number, name) in names_of(pid.as_deref(), count.as_deref(), names.as_deref(), std::process::id())? {
            // SAFETY: whoever started this very process (LISTEN_PID) opened it for us; only checked before it is ours.
            if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
                return Err(InheritError::NoListener(number));
            }
            // SAFETY: it is open, as we have just seen, and nobody else in this process knows of it.
            let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
            if name == SUPERVISOR {
                inherited.supervisor = Some(descriptor.into());
                continue;
            }
            let socket = Socket::from(descriptor);
            let address = socket.local_addr().ok().and_then(|address| address.as_socket());
            let Some(address) = address.filter(|_| socket.is_listener().unwrap_or(false)) else {
                return Err(InheritError::NoListener(number));
            };
            inherited.listeners.push((door_of(&name), address, socket));
        }
        Ok(inherited)
    }
}

/// What a listener of this door is called in LISTEN_FDNAMES.
pub(crate) const fn name_of(door: Door) -> &'static str {
    match door {
        Door::Plain => "listen",
        Door::Tls => "tls",
        Door::Redirect => "redirect",
        Door::Admin => "admin",
    }
}

/// Who does not say what a socket is for means the first door: systemd's own name for it is the unit's.
fn door_of(name: &str) -> Door {
    [Door::Tls, Door::Redirect, Door::Admin].into_iter().find(|door| name_of(*door) == name).unwrap_or(Door::Plain)
}

/// The descriptors that are meant for the process `own`, with their names.
fn names_of(
    pid: Option<&str>,
    count: Option<&str>,
    names: Option<&str>,
    own: u32,
) -> Result<Vec<(RawFd, String)>, InheritError> {
    let Some(count) = count.filter(|_| pid.is_some_and(|pid| pid.parse() == Ok(own))) else { return Ok(Vec::new()) };
    let count = count.parse().ok().filter(|count| (0..=DESCRIPTORS_MAX).contains(count));
    let count: RawFd = count.ok_or(InheritError::Count)?;
    let mut names = names.unwrap_or_default().split(':');
    Ok((0..count).map(|index| (FIRST + index, names.next().unwrap_or_default().to_owned())).collect())
}

impl fmt::Display for InheritError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => write!(formatter, "LISTEN_FDS is no number of sockets from 0 to {DESCRIPTORS_MAX}"),
            Self::NoListener(number) => {
                write!(
                    formatter,
                    "descriptor {number}, which was handed over (LISTEN_FDS), is no TCP socket that listens"
                )
            }
        }
    }
}

impl std::error::Error for InheritError {}

/// What the line to the supervisor is called.
pub(crate) const SUPERVISOR: &str = "supervisor";
/// After the three standard ones.
const FIRST: RawFd = 3;
/// More than 128 shards on 16 addresses need.
const DESCRIPTORS_MAX: RawFd = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_this_process_is_taken() {
        let names = |pid, count, names| names_of(pid, count, names, 7);
        assert_eq!(names(None, None, None), Ok(vec![]));
        assert_eq!(names(Some("8"), Some("2"), None), Ok(vec![]), "it was our parent's");
        assert_eq!(names(Some("7"), None, None), Ok(vec![]));
        let two = vec![(3, "tls".to_owned()), (4, String::new())];
        assert_eq!(names(Some("7"), Some("2"), Some("tls")), Ok(two));
        for bad in ["", "-1", "x", "4097", "99999999999"] {
            assert_eq!(names(Some("7"), Some(bad), None), Err(InheritError::Count), "{bad}");
        }
    }

    #[test]
    fn a_name_says_which_door_it_is() {
        for door in [Door::Plain, Door::Tls, Door::Redirect, Door::Admin] {
            assert_eq!(door_of(name_of(door)), door);
        }
        assert_eq!(door_of("socketshard.socket"), Door::Plain);
    }
}
