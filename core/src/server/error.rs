//! Why a server did not start or did not end well, each with the way out and an exit code of its own. It never holds a
//! protocol's error.

use std::fmt;
use std::io;

use crate::app::{AdminKeyError, FilesError};
use crate::auth::KeyError;
use crate::net::{InheritError, ListenError};
use crate::session::SessionStartError;
use crate::tls::TlsError;

/// Why a server did not start, or did not end well.
#[derive(Debug)]
pub(crate) enum StartError {
    /// io_uring is forbidden here.
    RingForbidden {
        /// `kernel.io_uring_disabled`, if the kernel has it.
        disabled: Option<u8>,
    },
    /// The kernel has no io_uring, or lacks a part of it that we need.
    RingUnsupported {
        /// Which part.
        missing: &'static str,
        /// The kernel's release.
        kernel: String,
    },
    /// There is not enough lockable memory.
    Memlock {
        /// Bytes allowed.
        allowed: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// There are too few file descriptors even for an idle server.
    Descriptors {
        /// The hard limit.
        allowed: u64,
        /// What an idle server needs.
        needed: u64,
    },
    /// A CPU was asked for that this process may not use.
    CpuNotAllowed {
        /// The CPU.
        cpu: usize,
        /// Those it may use.
        allowed: Vec<usize>,
    },
    /// A number of shards that cannot be.
    ShardCount {
        /// How many were asked for.
        shards: usize,
    },
    /// A key of tokens cannot be had.
    Key(KeyError),
    /// The key of the admin listeners cannot be had.
    AdminKey(AdminKeyError),
    /// The files to serve cannot be had.
    Files(FilesError),
    /// Sessions cannot be set up.
    Sessions(SessionStartError),
    /// There is nothing to speak TLS with.
    Tls(TlsError),
    /// An address cannot be listened on.
    Listen(ListenError),
    /// What was handed over is no socket to listen on.
    Inherited(InheritError),
    /// A system call failed that has no story of its own.
    System {
        /// Which.
        call: &'static str,
        /// How.
        error: io::Error,
    },
    /// A shard could not start.
    Executor {
        /// Which.
        shard: usize,
        /// What glommio or the ring said.
        message: String,
    },
    /// A shard ended by itself, which is a bug or a broken kernel interface.
    ShardFailed {
        /// Which.
        shard: usize,
        /// Its last words.
        message: String,
    },
}

impl StartError {
    /// The process's exit code. 2 and 3 are the command line's and the settings'; the others follow sysexits where it
    /// has a fitting one: 66 no input, 69 unavailable, 70 internal, 71 system, 75 try again, 77 no permission.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::RingForbidden { .. } => 10,
            Self::Memlock { .. } => 11,
            Self::Descriptors { .. } => 12,
            Self::CpuNotAllowed { .. } | Self::ShardCount { .. } => 13,
            Self::Key(_) | Self::AdminKey(_) | Self::Files(_) | Self::Sessions(_) | Self::Tls(_) => 66,
            Self::RingUnsupported { .. } => 69,
            Self::ShardFailed { .. } => 70,
            Self::System { .. } | Self::Executor { .. } => 71,
            Self::Inherited(_) => 76,
            Self::Listen(error) => match error.error.kind() {
                io::ErrorKind::AddrInUse => 75,
                io::ErrorKind::PermissionDenied => 77,
                _ => 76,
            },
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RingForbidden { disabled: Some(value @ 1..) } => write!(
                formatter,
                "io_uring is switched off on this machine: kernel.io_uring_disabled is {value}; \
                 set it to 0 with `sysctl -w kernel.io_uring_disabled=0`"
            ),
            Self::RingForbidden { .. } => formatter.write_str(
                "io_uring is blocked for this process, most likely by a seccomp filter (container engines install one \
                 by default); allow io_uring_setup, io_uring_enter and io_uring_register, \
                 for Docker with --security-opt seccomp=PROFILE",
            ),
            Self::RingUnsupported { missing, kernel } => {
                write!(
                    formatter,
                    "this kernel ({kernel}) lacks {missing}: it is older than Linux 6.4, built without it, or a filter hides it"
                )
            }
            Self::Memlock { allowed, needed } => write!(
                formatter,
                "only {allowed} bytes of memory may be locked, {needed} are needed; raise the limit with \
                 `ulimit -l {}`, or LimitMEMLOCK= for a systemd service",
                needed.div_ceil(1024)
            ),
            Self::Descriptors { allowed, needed } => write!(
                formatter,
                "only {allowed} files may be open, {needed} are needed before the first connection; raise the hard \
                 limit with `ulimit -Hn`, or LimitNOFILE= for a systemd service"
            ),
            Self::CpuNotAllowed { cpu, allowed } => {
                let allowed: Vec<_> = allowed.iter().map(usize::to_string).collect();
                write!(formatter, "CPU {cpu} is not available to this process; it may use {}", allowed.join(","))
            }
            Self::ShardCount { shards } => {
                write!(formatter, "{shards} shards cannot be: choose 1 to {}", shard::ShardId::COUNT_MAX)
            }
            Self::Listen(error) if error.error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    formatter,
                    "{} is taken by another process; choose another with --port or --listen",
                    error.address
                )
            }
            Self::Key(error) => error.fmt(formatter),
            Self::AdminKey(error) => error.fmt(formatter),
            Self::Files(error) => error.fmt(formatter),
            Self::Sessions(error) => error.fmt(formatter),
            Self::Tls(error) => error.fmt(formatter),
            Self::Listen(error) => error.fmt(formatter),
            Self::Inherited(error) => error.fmt(formatter),
            Self::System { call, error } => write!(formatter, "{call} failed: {error}"),
            Self::Executor { shard, message } => write!(formatter, "shard {shard} could not start: {message}"),
            Self::ShardFailed { shard, message } => write!(formatter, "shard {shard} failed: {message}"),
        }
    }
}

impl std::error::Error for StartError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(kind: io::ErrorKind) -> StartError {
        let address = ([0, 0, 0, 0], 8000).into();
        StartError::Listen(ListenError { address, error: kind.into() })
    }

    #[test]
    fn every_kind_of_failure_has_an_exit_code_and_names_its_way_out() {
        let errors = [
            (StartError::RingForbidden { disabled: Some(2) }, 10, "kernel.io_uring_disabled is 2"),
            (StartError::RingForbidden { disabled: Some(0) }, 10, "seccomp"),
            (StartError::RingForbidden { disabled: None }, 10, "seccomp"),
            (StartError::Memlock { allowed: 65_536, needed: 524_288 }, 11, "ulimit -l 512"),
            (StartError::Descriptors { allowed: 16, needed: 64 }, 12, "LimitNOFILE"),
            (StartError::CpuNotAllowed { cpu: 7, allowed: vec![0, 1] }, 13, "CPU 7 is not available"),
            (StartError::ShardCount { shards: 0 }, 13, "1 to 128"),
            (StartError::RingUnsupported { missing: "io_uring", kernel: "4.19".to_owned() }, 69, "4.19"),
            (StartError::ShardFailed { shard: 1, message: "no".to_owned() }, 70, "shard 1"),
            (StartError::System { call: "poll", error: io::ErrorKind::Other.into() }, 71, "poll"),
            (StartError::Executor { shard: 1, message: "no".to_owned() }, 71, "shard 1"),
            (listen(io::ErrorKind::AddrInUse), 75, "0.0.0.0:8000 is taken"),
            (listen(io::ErrorKind::AddrNotAvailable), 76, "0.0.0.0:8000"),
            (StartError::Inherited(InheritError::NoListener(3)), 76, "descriptor 3"),
            (listen(io::ErrorKind::PermissionDenied), 77, "0.0.0.0:8000"),
        ];
        for (error, code, words) in errors {
            assert_eq!(error.exit_code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
