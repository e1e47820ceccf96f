//! Our server as a child of the generator: started on a free port of loopback, kept on its CPUs, ended by its pid.
#![allow(unsafe_code)] // what a child does between fork and exec: CPU affinity, signal mask, death signal

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::machine;

/// How long the server may take until it listens.
const START_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGTERM, before SIGKILL.
const STOP_WAIT: Duration = Duration::from_secs(15);

/// A server that we started. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Spawned {
    child: Child,
    address: SocketAddr,
    shards: usize,
}

impl Spawned {
    /// Starts a server on those CPUs and waits until it listens.
    /// With TLS it makes itself a certificate.
    pub(crate) fn start(
        program: Option<&Path>,
        arguments: &[String],
        cpus: &[usize],
        is_tls: bool,
    ) -> Result<Self, String> {
        let program = program.map_or_else(beside, |path| Ok(path.to_owned()))?;
        let mut command = Command::new(&program);
        command.arg("start");
        let names_port = |argument: &String| {
            ["--listen", "--port", "-l", "-p", "--tls-listen"]
                .iter()
                .any(|flag| argument.split('=').next() == Some(flag))
        };
        if !arguments.iter().any(names_port) {
            command.args([if is_tls { "--tls-listen" } else { "--listen" }, "127.0.0.1:0"]);
        }
        command.args(is_tls.then_some("--tls-self-signed"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let cpus = cpus.to_owned();
        // SAFETY: between fork and exec only system calls are made on memory that was prepared before.
        unsafe {
            command.pre_exec(move || {
                machine::unblock_signals();
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                if cpus.is_empty() { Ok(()) } else { machine::set_affinity(&cpus) }
            });
        }
        let mut child = command.spawn().map_err(|error| {
            let hint = if error.kind() == ErrorKind::NotFound {
                "; build it (cargo build --release) or name it (--spawn=PATH)"
            } else {
                ""
            };
            format!("cannot start {}: {error}{hint}", program.display())
        })?;
        match listening(&mut child, is_tls) {
            Ok((address, shards)) => Ok(Self { child, address, shards }),
            Err(problem) => {
                let _ = child.kill();
                let ended = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(format!("{} {problem} ({ended})", program.display()))
            }
        }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many shards it has.
    pub(crate) const fn shards(&self) -> usize {
        self.shards
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ended by itself, and how.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Asks it to stop, and makes it stop if it does not.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        if self.child.try_wait().ok().flatten().is_some() {
            return Ok(());
        }
        let pid = libc::pid_t::try_from(self.child.id()).expect("the kernel's pids fit");
        // SAFETY: no memory is involved; the child is not reaped yet, so that the pid is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let deadline = Instant::now() + STOP_WAIT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the server ended with {status} after SIGTERM")),
                Err(error) => return Err(format!("the server cannot be waited for: {error}")),
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        Err(format!("the server did not end within {} s after SIGTERM and was killed", STOP_WAIT.as_secs()))
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // Whoever wants to know how it ended has called `stop`.
        let _ = self.stop();
    }
}

/// The server beside our own program.
fn beside() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    Ok(own.with_file_name("socketshard"))
}

/// Waits for the line by which the server says that it listens; later lines of its output are read and dropped.
fn listening(child: &mut Child, is_tls: bool) -> Result<(SocketAddr, usize), String> {
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(place) = parse_line(&line, is_tls) {
                let _ = sender.try_send(place);
            }
        }
    });
    receiver.recv_timeout(START_WAIT).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => format!("did not say that it listens within {} s", START_WAIT.as_secs()),
        mpsc::RecvTimeoutError::Disconnected => "ended before it listened".to_owned(),
    })
}

/// `socketshard listening on 127.0.0.1:40123,https://127.0.0.1:40124 tls=userspace shards=2`: the first address with TLS, or
/// without.
fn parse_line(line: &str, is_tls: bool) -> Option<(SocketAddr, usize)> {
    let (addresses, rest) = line.strip_prefix("socketshard listening on ")?.split_once(' ')?;
    let shards = rest.split(' ').find_map(|word| word.strip_prefix("shards="))?;
    let wanted = |address: &str| if is_tls { address.strip_prefix("https://")?.parse() } else { address.parse() }.ok();
    Some((addresses.split(',').find_map(wanted)?, shards.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listening_line_is_understood() {
        let line = "socketshard listening on 127.0.0.1:40123 shards=2";
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(parse_line(line, false), Some((local(40123), 2)));
        assert_eq!(parse_line(line, true), None);
        let line =
            "socketshard listening on admin://127.0.0.1:1,127.0.0.1:2,https://127.0.0.1:3 tls=userspace shards=1";
        assert_eq!((parse_line(line, false), parse_line(line, true)), (Some((local(2), 1)), Some((local(3), 1))));
        assert_eq!(parse_line("socketshard listening on nowhere shards=2", false), None);
        assert_eq!(parse_line("hello", false), None);
    }

    #[test]
    fn a_server_that_cannot_start_is_an_error_that_says_so() {
        let missing = Spawned::start(Some(Path::new("/nonexistent/server")), &[], &[], false).expect_err("missing");
        assert!(missing.contains("/nonexistent/server") && missing.contains("--spawn=PATH"), "{missing}");
        let ended = Spawned::start(Some(Path::new("/bin/true")), &[], &[], false).expect_err("it ends at once");
        assert!(ended.contains("ended before it listened"), "{ended}");
    }
}
