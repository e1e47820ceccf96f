//! The real server: the release binary, started on a port of the system's choice, known by the line it prints when all
//! its shards listen.

use std::env;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// A listening server. Dereferences to its process.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
    shards: usize,
}

impl Server {
    /// Starts `socketshard start` on loopback with two shards and these flags.
    ///
    /// # Panics
    /// When it does not listen in time, with everything it said.
    #[must_use]
    pub fn start(flags: &[&str]) -> Self {
        let mut command = start_command();
        command.args(["--shards", "2"]).args(flags);
        let server = Self::from_command(command);
        assert_eq!(server.shards, 2, "the server runs as many shards as it was told\n{}", server.process);
        server
    }

    /// Starts a command that is expected to become a listening server.
    ///
    /// # Panics
    /// When it does not listen in time, with everything it said.
    #[must_use]
    pub fn from_command(command: Command) -> Self {
        let mut process = Process::start(command);
        let line = wait::until("the server listens", PATIENCE, || {
            let line = process.stdout_lines().into_iter().next();
            if line.is_none()
                && let Some(status) = process.status()
            {
                panic!("the server ended before it listened: {status}");
            }
            line
        });
        let (address, shards) = parse_listening(&line).unwrap_or_else(|| panic!("not a listening line: {line:?}"));
        Self { process, address, shards }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        self.listed("https://")
    }

    /// Where it sends plain HTTP to TLS.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn redirect_address(&self) -> SocketAddr {
        self.listed("redirect://")
    }

    /// Where operators and backends ask.
    ///
    /// # Panics
    /// When they cannot.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.listed("admin://")
    }

    /// How many shards it says it runs.
    #[must_use]
    pub const fn shards(&self) -> usize {
        self.shards
    }

    /// The process, to wait for its end.
    #[must_use]
    pub fn into_process(self) -> Process {
        self.process
    }

    /// The sum of a counter over the shards, from a report that is asked for now.
    ///
    /// # Panics
    /// When they do not report.
    #[must_use]
    pub fn count(&self, counter: &str) -> u64 {
        let before = self.process.stderr().matches("passes=").count();
        self.process.signal(libc::SIGUSR1);
        let log = wait::until("the shards report", PATIENCE, || {
            Some(self.process.stderr()).filter(|log| log.matches("passes=").count() >= before + self.shards)
        });
        let lines = log.lines().filter(|line| line.contains("passes=")).skip(before);
        lines.filter_map(|line| value(line, counter)).sum()
    }

    /// Waits until the log says that clients were refused or ended, by this counter of the metrics. Start it with a short
    /// `--log-refusals`.
    pub fn expect_told(&self, counter: &str) {
        wait::until(format_args!("the log tells of {counter}"), PATIENCE, || {
            let log = self.process.stderr();
            let mut told = log.lines().filter(|line| line.contains("clients were refused or ended:"));
            told.any(|line| value(line, counter).is_some()).then_some(())
        });
    }

    /// Sees that no thread has panicked.
    ///
    /// # Panics
    /// When one has, with the log.
    pub fn assert_no_panic(&self) {
        let log = self.process.stderr();
        assert!(!log.contains("panicked"), "{log}");
    }

    fn listed(&self, scheme: &str) -> SocketAddr {
        let line = self.process.stdout_lines().swap_remove(0);
        let address = line.split([' ', ',']).find_map(|word| word.strip_prefix(scheme)?.parse().ok());
        address.unwrap_or_else(|| panic!("nothing listens at {scheme}: {line}"))
    }

    /// Waits until no more than that many descriptors are open.
    pub fn wait_for_descriptors(&self, count: usize, limit: Duration) {
        wait::until(format_args!("no more than {count} descriptors are open"), limit, || {
            (self.process.descriptors() <= count).then_some(())
        });
    }
}

impl Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

/// The value of a counter in a line of the log.
fn value(line: &str, counter: &str) -> Option<u64> {
    line.split(' ').find_map(|word| word.strip_prefix(counter)?.strip_prefix('=')?.parse().ok())
}

/// `socketshard start` on a loopback port of the system's choice, without further flags.
#[must_use]
pub fn start_command() -> Command {
    let mut command = command();
    command.args(["start", "--listen", "127.0.0.1:0"]);
    command
}

/// The server's binary without arguments.
#[must_use]
pub fn command() -> Command {
    without_settings(Command::new(binary("socketshard", "SOCKETSHARD_BIN")))
}

/// The load generator's binary without arguments.
#[must_use]
pub fn loadgen_command() -> Command {
    without_settings(Command::new(binary("socketshard-loadgen", "SOCKETSHARD_LOADGEN_BIN")))
}

/// An example application, as `cargo test` has built it beside this test, without arguments.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn example_command(name: &str) -> Command {
    let executable = env::current_exe().expect("a running test has a path");
    let profile = executable.ancestors().nth(2).expect("tests run as target/PROFILE/deps/NAME");
    let path = profile.join("examples").join(name);
    let is_there = path.is_file();
    assert!(is_there, "no {}: `cargo build -p socketshard --examples` builds it, as tests/run does", path.display());
    without_settings(Command::new(path))
}

/// The environment's own `SOCKETSHARD_…` settings must not decide what is tested.
fn without_settings(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("SOCKETSHARD_") {
            command.env_remove(name);
        }
    }
    command
}

/// The release binary of that name: what the variable says, else the one beside this test's own build.
///
/// # Panics
/// When it is not there: a test that ran something else, or nothing, would prove nothing.
fn binary(name: &str, variable: &str) -> PathBuf {
    let path = env::var_os(variable).map_or_else(|| target_directory().join("release").join(name), PathBuf::from);
    assert!(
        path.is_file(),
        "no {name} at {}: run tests/run, or `cargo build --release -p {}`, or set {variable}",
        path.display(),
        if name == "socketshard" { "socketshard" } else { "socketshard-loadgen" },
    );
    path
}

/// The build's target directory: tests run as `target/PROFILE/deps/NAME`.
///
/// # Panics
/// When the test runs from elsewhere.
#[must_use]
pub fn target_directory() -> PathBuf {
    let executable = env::current_exe().expect("a running test has a path");
    executable.ancestors().nth(3).expect("tests run as target/PROFILE/deps/NAME").to_owned()
}

/// `socketshard listening on 127.0.0.1:8000 shards=2`; with several addresses the first counts.
fn parse_listening(line: &str) -> Option<(SocketAddr, usize)> {
    let rest = line.strip_prefix("socketshard listening on ")?;
    let (addresses, shards) = rest.rsplit_once(" shards=")?;
    let address = addresses.split([',', ' ']).next()?.parse().ok()?;
    Some((address, shards.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listening_line_is_understood() {
        let parsed = parse_listening("socketshard listening on 127.0.0.1:8000 shards=2");
        assert_eq!(parsed, Some((SocketAddr::from(([127, 0, 0, 1], 8000)), 2)));
        for bad in ["listening on 127.0.0.1:8000 shards=2", "socketshard listening on 127.0.0.1 shards=2", ""] {
            assert_eq!(parse_listening(bad), None, "{bad}");
        }
    }
}
